// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.RANGE.UNBLOCK: gives the guest its access back.

use super::{
    super::{
        lock::Mode,
        platform::Platform,
        sept::{
            tracking,
            unblocked, //
        },
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
    Status, //
};

/// RCX: GPA and level. RDX: TDR.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let levels = Levels::to_root(Level::K4);
    let target = Target::open(cx, args, Leaf::MemRangeUnblock, levels, Mode::Exclusive)?;
    let state = target.check_state(args, Leaf::MemRangeUnblock)?;
    let (pfn, page) = target.mapped(cx, state)?;
    if tracking::is_needed(&target.td) && !tracking::is_done(&target.td, page.bepoch()) {
        return Err(Status::TLB_TRACKING_NOT_DONE.with(Operand::SEPT_TREE));
    }

    target.set(Entry::new(unblocked(state), pfn));
    Ok(())
}
