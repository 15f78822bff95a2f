// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.SYS.LP.INIT.

use crate::{
    abi::{
        Args,
        Status, //
    },
    sim::model::{
        lock::Mode,
        platform::{
            Platform,
            MAX_PACKAGES, //
        },
        Completion,
        Ctx,
        SysState, //
    }, //
};

/// Initialises the module on this logical processor.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    (args.rcx, args.rdx, args.r8) = (0, 0, 0);

    let _global = cx.module.lock(Mode::Shared)?;
    if cx.module.state() != SysState::InitDone {
        return Err(Status::SYS_LP_INIT_NOT_PENDING);
    }
    let lp = cx.p.lp();
    if cx.module.is_lp_initialized(lp.index) {
        return Err(Status::SYS_LP_INIT_DONE);
    }
    cx.p.random().ok_or(Status::RND_NO_ENTROPY)?;
    if lp.package as usize >= MAX_PACKAGES {
        return Err(Status::INVALID_PKG_ID.with_detail(lp.package));
    }
    cx.module.set_lp_initialized(lp.index);
    Ok(())
}
