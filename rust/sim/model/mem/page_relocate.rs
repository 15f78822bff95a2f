// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.PAGE.RELOCATE: moves a 4K page to another place in physical memory.

use super::{
    super::{
        lock::Mode,
        platform::Platform,
        sept::unblocked,
        Completion,
        Ctx, //
    },
    target::{
        free_page,
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
    Status, //
};

/// RCX: GPA and level 0. RDX: TDR. R8: new page. Returns the old page in RCX.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let levels = Levels::new(Level::K4, Level::K4);
    let target = Target::open(cx, args, Leaf::MemPageRelocate, levels, Mode::Shared)?;
    let state = target.check_state(args, Leaf::MemPageRelocate)?;
    let old = target.page();
    if args.r8 == old {
        return Err(Status::OPERAND_INVALID.with(Operand::R8));
    }
    let old_page = target.lock_page(cx)?;
    target.check_tracking(args, state, old_page.entry().bepoch())?;
    let (page, pfn) = free_page(cx, args.r8, target.level())?;

    if !state.is_pending() {
        cx.p.copy_page(pfn.pa(), old);
    }
    page.give(PageType::Reg, target.td.tdr.pa());
    page.entry().set_bepoch(0);
    target.set(Entry::new(unblocked(state), pfn));
    old_page.give_back();
    args.rcx = old;
    Ok(())
}
