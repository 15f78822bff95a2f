// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.SYS.DISABLE, as far as arch/x86/virt/vmx/tdx/tdx.c:tdx_sys_disable() tells.

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

/// Ends the module: every further SEAMCALL fails with VMfailInvalid, as without a module.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>) -> Completion {
    let _global = cx
        .module
        .global_lock()
        .acquire(Mode::Exclusive)
        .ok_or(Status::SYS_BUSY)?;
    cx.module.set_state(SysState::Disabled);
    Ok(())
}
