// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.MNG.KEY.CONFIG.

use crate::{
    abi::{
        state::Lifecycle,
        Args,
        Operand,
        Status, //
    },
    sim::model::{
        lock::Mode,
        platform::Platform,
        tdr::{
            fields,
            Tdr, //
        },
        Completion,
        Ctx, //
    }, //
};

/// Configures the key of a TD on this package.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let tdr = Tdr::lock(cx, Operand::RCX, args.rcx, Mode::Exclusive)?;
    if tdr.is_fatal() {
        return Err(Status::TD_FATAL);
    }
    if tdr.lifecycle() != Some(Lifecycle::HkidAssigned) {
        return Err(Status::LIFECYCLE_STATE_INCORRECT);
    }
    let packages = tdr.get(fields::PKG_CONFIG_BITMAP);
    if packages & cx.package_bit() != 0 {
        return Err(Status::KEY_CONFIGURED);
    }
    cx.config_key(tdr.hkid())?;

    let packages = packages | cx.package_bit();
    tdr.set(fields::PKG_CONFIG_BITMAP, packages);
    if packages == cx.p.config().all_packages() {
        tdr.set(fields::LIFECYCLE_STATE, Lifecycle::KeysConfigured.raw());
    }
    Ok(())
}
