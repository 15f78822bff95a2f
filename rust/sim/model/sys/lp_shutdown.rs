// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.SYS.LP.SHUTDOWN.

use crate::sim::model::{
    platform::Platform,
    Completion,
    Ctx,
    SysState, //
};

/// Shuts the module down.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>) -> Completion {
    cx.module.set_state(SysState::Shutdown);
    Ok(())
}
