// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.RANGE.BLOCK: takes the guest's access away, as the first step of any change to what is
//! mapped.

use super::{
    super::{
        lock::Mode,
        platform::Platform,
        sept,
        tdcs::fields,
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
    Status, //
};

/// RCX: GPA and level. RDX: TDR.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let levels = Levels::to_root(Level::K4);
    let target = Target::open(cx, args, Leaf::MemRangeBlock, levels, Mode::Exclusive)?;
    if sept::state(target.entry())?.is_blocked() {
        return target.fail(args, Status::GPA_RANGE_ALREADY_BLOCKED);
    }
    let state = target.check_state(args, Leaf::MemRangeBlock)?;

    // The epoch is kept with what is blocked; this write takes no lock of it.
    let (pfn, page) = target.mapped(cx, state)?;
    page.set_bepoch(target.td.tdcs.get(fields::TD_EPOCH));
    target.set(Entry::new(sept::blocked(state), pfn));
    Ok(())
}
