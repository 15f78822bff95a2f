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
        sha384,
        vmx::TSC_ADJUST,
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
    let seed = cx.p.random().ok_or(Status::RND_NO_ENTROPY)?;
    // A CPU with SEAM has a key of its own for TDREPORTs.
    let key = sha384::digest(cx.p, sha384::bytes([seed]));
    cx.module.set_report_key(key);
    cx.module.set_tsc_adjust(cx.p.msr(TSC_ADJUST));
    cx.module.set_state(SysState::InitDone);
    Ok(())
}
