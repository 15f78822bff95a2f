// SPDX-License-Identifier: GPL-2.0

//! TDH.MR.FINALIZE: ends the building of a TD, which can run from then on.

use super::super::{
    lock::Mode,
    mrtd,
    platform::Platform,
    td::Td,
    tdcs::fields,
    Completion,
    Ctx, //
};
use crate::abi::{
    state::OpState,
    Args,
    Leaf,
    Operand,
    Status, //
};

/// RCX: TDR.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let td = Td::open(
        cx,
        Leaf::MrFinalize,
        Operand::RCX,
        args.rcx,
        Mode::Exclusive,
    )?;
    if td.tdcs.get(fields::NUM_VCPUS) == 0 {
        return Err(Status::NO_VCPUS);
    }

    mrtd::finish(cx.p, &td.tdcs);
    td.tdcs.set(fields::OP_STATE, OpState::Runnable.raw());
    Ok(())
}
