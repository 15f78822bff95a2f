// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.PAGE.DEMOTE: replaces a large page by 512 smaller ones.

use super::{
    super::{
        lock::Mode,
        pamt,
        platform::Platform,
        sept::{
            unblocked,
            Slot, //
        },
        Completion,
        Ctx, //
    },
    take_flag,
    target::{
        free_page,
        Levels,
        Target, //
    },
    NO_PAGE,
    UNUSED, //
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

/// RCX: GPA and level of the large page. RDX: TDR; bit 0: how pages of L2 VMs are given. R8: table
/// page. R9 to R11: table pages of L2 VMs.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let operands = (args.rcx, args.rdx);
    // No TD of the model has L2 VMs to give pages for.
    let _ = take_flag(args);
    let levels = Levels::new(Level::M2, Level::G1);
    let target = Target::open(cx, args, Leaf::MemPageDemote, levels, Mode::Shared)?;
    let state = target.check_state(args, Leaf::MemPageDemote)?;
    let bepoch = target.page_entry(cx)?.bepoch();
    target.check_tracking(args, state, bepoch)?;
    let (table_page, table) = free_page(cx, args.r8, Level::K4)?;
    if cx.p.config().module.interrupts_demote() && cx.p.interrupt_pending() {
        (args.rcx, args.rdx) = operands;
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

    let tdr = target.td.tdr.pa();
    for index in 0..Level::ENTRIES {
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
    table_page.give(PageType::Ept, tdr);
    target.set(Entry::new(State::NlMapped, table));
    target.td.tdr.add_children(1);
    for page in [&mut args.r9, &mut args.r10, &mut args.r11] {
        if *page != NO_PAGE {
            *page |= UNUSED;
        }
    }
    Ok(())
}
