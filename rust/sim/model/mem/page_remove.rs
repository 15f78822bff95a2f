// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.PAGE.REMOVE: takes a page away from a TD.

use super::{
    super::{
        lock::Mode,
        platform::Platform,
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
    Level, //
};

/// RCX: GPA and level. RDX: TDR. Returns the page in RCX.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let levels = Levels::new(Level::K4, Level::G1);
    let target = Target::open(cx, args, Leaf::MemPageRemove, levels, Mode::Shared)?;
    let state = target.check_state(args, Leaf::MemPageRemove)?;
    let page = target.lock_page(cx)?;
    target.check_tracking(args, state, page.entry().bepoch())?;

    args.rcx = target.page();
    target.set(Entry::FREE);
    page.give_back();
    target.td.tdr.remove_children(target.level().pages());
    Ok(())
}
