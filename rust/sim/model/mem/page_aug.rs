// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.PAGE.AUG: maps a page that the guest has yet to accept.

use super::{
    super::{
        lock::Mode,
        platform::Platform,
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
    sept::{
        Entry,
        State, //
    },
    Args,
    Leaf,
    Level,
    PageType, //
};

/// RCX: GPA and level. RDX: TDR. R8: page.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let levels = Levels::new(Level::K4, Level::M2);
    let target = Target::open(cx, args, Leaf::MemPageAug, levels, Mode::Shared)?;
    target.check_state(args, Leaf::MemPageAug)?;
    let (page, pfn) = free_page(cx, args.r8, target.level())?;

    page.give(PageType::Reg, target.td.tdr.pa());
    page.entry().set_bepoch(0);
    target.set(Entry::new(State::Pending, pfn));
    target.td.tdr.add_children(target.level().pages());
    Ok(())
}
