// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.SYS.UPDATE.

use crate::{
    abi::Status,
    sim::model::{
        lock::Mode,
        platform::Platform,
        Completion,
        Ctx,
        SysState, //
    }, //
};

/// Takes over from the module that ran before. There never is one: loading a module is the P-SEAM
/// loader's job, which the simulator does not have.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>) -> Completion {
    let _global = cx.module.lock(Mode::Exclusive)?;
    if cx.module.state() != SysState::InitDone
        || cx.module.nr_lps() != u64::from(cx.p.config().nr_lps)
    {
        return Err(Status::SYS_STATE_INCORRECT);
    }
    Err(Status::SYS_INVALID_HANDOFF)
}
