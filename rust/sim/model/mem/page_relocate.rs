// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.PAGE.RELOCATE: moves a 4K page to another place in physical memory.

use super::{
    super::{
        lock::Mode,
        pamt,
        platform::Platform,
        sept::unblocked,
        td::Td,
        Completion,
        Ctx, //
    },
    target::{
        Levels,
        Target, //
    },
};
use crate::abi::{
    sept::Entry,
    Args,
    Leaf,
    Level,
    Operand,
    PageType,
    Pfn,
    Status, //
};

/// RCX: GPA and level 0. RDX: TDR. R8: new page. Returns the old page in RCX.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let (word, tdr) = (args.rcx, args.rdx);
    (args.rcx, args.rdx) = (0, 0);

    let td = Td::open(cx, Leaf::MemPageRelocate, Operand::RDX, tdr, Mode::Shared)?;
    let levels = Levels::new(Level::K4, Level::K4);
    let target = Target::find(cx, args, td, word, levels, Mode::Shared)?;
    let state = target.check_state(args, Leaf::MemPageRelocate)?;
    let old = target.page();
    let invalid = Status::OPERAND_INVALID.with(Operand::R8);
    if args.r8 == old {
        return Err(invalid);
    }
    let old_page = target.lock_page(cx)?;
    target.check_tracking(args, state, old_page.entry().bepoch())?;
    let page = pamt::page(cx, Operand::R8, args.r8, PageType::Nda, Mode::Exclusive)?;
    let pfn = Pfn::from_pa(args.r8).ok_or(invalid)?;

    if !state.is_pending() {
        cx.p.copy_page(pfn.pa(), old);
    }
    page.entry().set(PageType::Reg, tdr);
    page.entry().set_bepoch(0);
    target.set(Entry::new(unblocked(state), pfn));
    old_page.entry().set_type(PageType::Nda);
    args.rcx = old;
    Ok(())
}
