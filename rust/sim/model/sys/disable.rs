// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.SYS.DISABLE, as far as arch/x86/virt/vmx/tdx/tdx.c:tdx_sys_disable() tells.

use crate::sim::model::{
    lock::Mode,
    platform::Platform,
    Completion,
    Ctx,
    SysState, //
};

/// Ends the module: every further SEAMCALL fails with VMfailInvalid, as without a module.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>) -> Completion {
    let _global = cx.module.lock(Mode::Exclusive)?;
    cx.module.set_state(SysState::Disabled);
    Ok(())
}
