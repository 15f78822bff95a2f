// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.PAGE.DEMOTE: replaces a large page by 512 smaller ones.

use super::{
    super::{
        lock::Mode,
        pamt,
        platform::Platform,
        sept::{
            unblocked,
            Slot,
            ENTRIES, //
        },
        td::Td,
        Completion,
        Ctx, //
    },
    target::{
        Levels,
        Target, //
    },
    NO_PAGE, //
};
use crate::abi::{
    sept::{
        Entry,
        State, //
    },
    Args,
    Leaf,
    Level,
    Operand,
    PageType,
    Pfn,
    Status, //
};

/// RDX: bits that have to be 0; bit 0 chooses how pages of L2 VMs are given.
const RESERVED: u64 = 0xFFE | (u64::MAX << 52);
/// RDX: how pages of L2 VMs are given.
const L2_ADD_MODE: u64 = 1;
/// R9 to R11 in the output: the page was not used.
const UNUSED: u64 = 1 << 63;

/// RCX: GPA and level of the large page. RDX: TDR. R8: table page. R9 to R11: table pages of L2
/// VMs.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let (word, rdx) = (args.rcx, args.rdx);
    (args.rcx, args.rdx) = (0, 0);
    if rdx & RESERVED != 0 {
        return Err(Status::OPERAND_INVALID.with(Operand::RDX));
    }
    let tdr = rdx & !L2_ADD_MODE;

    let td = Td::open(cx, Leaf::MemPageDemote, Operand::RDX, tdr, Mode::Shared)?;
    let levels = Levels::new(Level::M2, Level::G1);
    let target = Target::find(cx, args, td, word, levels, Mode::Shared)?;
    let state = target.check_state(args, Leaf::MemPageDemote)?;
    let bepoch = target.page_entry(cx)?.bepoch();
    target.check_tracking(args, state, bepoch)?;
    let table_page = pamt::page(cx, Operand::R8, args.r8, PageType::Nda, Mode::Exclusive)?;
    let table = Pfn::from_pa(args.r8).ok_or(Status::OPERAND_INVALID.with(Operand::R8))?;
    if cx.p.interrupt_pending() {
        (args.rcx, args.rdx) = (word, rdx);
        return Err(Status::INTERRUPTED_RESTARTABLE);
    }
    let level = target.level().down().ok_or(Status::TD_FATAL)?;
    let first = Pfn::from_pa(target.page()).ok_or(Status::TD_FATAL)?;
    let large = pamt::walk(
        cx,
        Operand::RCX,
        first.pa(),
        target.level(),
        Mode::Exclusive,
    )?;

    for index in 0..ENTRIES {
        let Some(pfn) = first.checked_add(index.wrapping_mul(level.pages())) else {
            break;
        };
        if let Some(small) = pamt::entry(cx, pfn.pa(), level) {
            small.set(PageType::Reg, tdr);
            small.set_bepoch(0);
        }
        Slot::nth(cx.p, table.pa(), index, level).store(Entry::new(unblocked(state), pfn));
    }
    large.entry().set_type(PageType::Nda);
    table_page.entry().set(PageType::Ept, tdr);
    target.set(Entry::new(State::NlMapped, table));
    target.td.tdr.add_children(1);
    for page in [&mut args.r9, &mut args.r10, &mut args.r11] {
        if *page != NO_PAGE {
            *page |= UNUSED;
        }
    }
    Ok(())
}
