// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.SEPT.REMOVE: takes an empty table page out of the secure EPT.

use super::{
    super::{
        lock::Mode,
        platform::Platform,
        sept::Slot,
        Completion,
        Ctx, //
    },
    target::{
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
    Status, //
};

/// RCX: GPA and level of the entry that points to the page. RDX: TDR. Returns the page in RCX;
/// version 1: those of L2 VMs in R9 to R11.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    if cx.version == 1 {
        super::no_l2_pages(args);
    }
    let levels = Levels::to_root(Level::M2);
    let target = Target::open(cx, args, Leaf::MemSeptRemove, levels, Mode::Exclusive)?;
    let state = target.check_state(args, Leaf::MemSeptRemove)?;
    let table = target.table(cx)?;
    let page = target.lock_table(cx, table)?;
    target.check_tracking(args, state, page.entry().bepoch())?;
    let children = target.level().down().ok_or(Status::TD_FATAL)?;
    for index in 0..Level::ENTRIES {
        if !Slot::nth(cx.p, table, index, children)
            .load()
            .is(State::Free)
        {
            return target.fail(args, Status::EPT_PAGE_NOT_FREE);
        }
    }

    target.set(Entry::FREE);
    page.give_back();
    target.td.tdr.remove_children(1);
    args.rcx = table;
    Ok(())
}
