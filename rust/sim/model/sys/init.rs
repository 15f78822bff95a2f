// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.SYS.INIT.

use crate::{
    abi::{
        Args,
        Operand,
        Status, //
    },
    sim::model::{
        kot::MAX_KEYIDS,
        lock::Mode,
        platform::Platform,
        Completion,
        Ctx,
        SysState, //
    }, //
};

/// Initialises the module, once.
///
/// What the real module finds out about CPU and platform here cannot be wrong in a simulation,
/// except for the number of KeyIDs.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let attributes = args.rcx;
    (args.rcx, args.rdx, args.r8, args.r9, args.r10) = (0, 0, 0, 0, 0);

    let _global = cx.module.lock(Mode::Exclusive)?;
    if attributes != 0 {
        return Err(Status::OPERAND_INVALID.with(Operand::RCX));
    }
    if cx.module.state() != SysState::InitPending {
        return Err(Status::SYS_INIT_NOT_PENDING);
    }
    if usize::from(cx.p.config().private_keyids().end) > MAX_KEYIDS {
        return Err(Status::NUM_ACTIVATED_HKIDS_NOT_SUPPORTED.with_detail(MAX_KEYIDS as u32));
    }
    // The real module seeds its stack protector with it.
    cx.p.random().ok_or(Status::RND_NO_ENTROPY)?;
    cx.module.set_state(SysState::InitDone);
    Ok(())
}
