// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.SYS.KEY.CONFIG.

use crate::{
    abi::Status,
    sim::model::{
        lock::{
            Mode,
            Word, //
        },
        platform::Platform,
        Completion,
        Ctx,
        SysState, //
    }, //
};

/// Configures the key of the global private KeyID on this package.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>) -> Completion {
    let _global = cx.module.lock(Mode::Exclusive)?;
    if cx.module.state() != SysState::ConfigDone {
        return Err(Status::SYS_KEY_CONFIG_NOT_PENDING);
    }
    let packages = &cx.module.packages;
    let bit = cx.package_bit();
    if Word::load(&packages) & bit != 0 {
        return Err(Status::KEY_CONFIGURED);
    }
    cx.config_key(cx.module.hkid())?;
    packages.replace(bit, bit);
    if Word::load(&packages) == cx.p.config().all_packages() {
        cx.module.set_state(SysState::Ready);
    }
    Ok(())
}
