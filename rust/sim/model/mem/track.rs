// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.TRACK: begins a new TD epoch.

use super::super::{
    lock::Mode,
    platform::Platform,
    sept::tracking,
    td::Td,
    tdcs::fields,
    Completion,
    Ctx, //
};
use crate::abi::{
    Args,
    Leaf,
    Operand,
    Status, //
};

/// RCX: TDR.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let td = Td::open(cx, Leaf::MemTrack, Operand::RCX, args.rcx, Mode::Shared)?;
    let busy = Status::OPERAND_BUSY.with(Operand::TD_EPOCH);
    let _epoch = td.tdcs.epoch_lock().acquire(Mode::Exclusive).ok_or(busy)?;
    let previous = tracking::previous_epoch(&td);
    if tracking::references(&td, previous) != 0 {
        return Err(Status::PREVIOUS_TLB_EPOCH_BUSY);
    }

    td.tdcs.set(fields::TD_EPOCH, previous.wrapping_add(2));
    Ok(())
}
