// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.MNG.KEY.FREEID.

use crate::{
    abi::{
        state::Lifecycle,
        Args,
        Operand,
        Status, //
    },
    sim::model::{
        kot::KeyIdState,
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

/// Frees a TD's KeyID, once all packages have written back their caches.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let tdr = Tdr::lock(cx, Operand::RCX, args.rcx, Mode::Exclusive)?;
    if tdr.lifecycle() != Some(Lifecycle::Blocked) {
        return Err(Status::LIFECYCLE_STATE_INCORRECT);
    }
    let kot = &cx.module.kot;
    let _kot = kot
        .lock()
        .acquire(Mode::Exclusive)
        .ok_or(Status::OPERAND_BUSY.with(Operand::KOT))?;
    let hkid = tdr.hkid();
    if kot.pending(hkid) != 0 {
        return Err(Status::WBCACHE_NOT_COMPLETE);
    }

    kot.set(hkid, KeyIdState::Free);
    tdr.set(fields::LIFECYCLE_STATE, Lifecycle::Teardown.raw());
    Ok(())
}
