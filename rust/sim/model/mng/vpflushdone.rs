// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.MNG.VPFLUSHDONE.

use crate::{
    abi::{
        state::{
            Lifecycle,
            OpState, //
        },
        Args,
        Operand,
        Status, //
    },
    sim::model::{
        lock::Mode,
        platform::Platform,
        td,
        tdcs,
        tdr::{
            fields,
            Tdr, //
        },
        Completion,
        Ctx, //
    }, //
};

/// Gives up a TD's KeyID, once no vCPU is associated with a processor. A fatal TD can do so too.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let tdr = Tdr::lock(cx, Operand::RCX, args.rcx, Mode::Exclusive)?;
    let kot = &cx.module.kot;
    let _kot = kot
        .lock()
        .acquire(Mode::Exclusive)
        .ok_or(Status::OPERAND_BUSY.with(Operand::KOT))?;
    if !matches!(
        tdr.lifecycle(),
        Some(Lifecycle::HkidAssigned | Lifecycle::KeysConfigured)
    ) {
        return Err(Status::LIFECYCLE_STATE_INCORRECT);
    }
    // A TDCS that is not to be had any more, because the host has damaged the TDR, associates
    // nothing.
    if let Ok(Some(tdcs)) = td::tdcs(cx, &tdr) {
        let initialized = tdcs.get(tdcs::fields::OP_STATE) != OpState::Uninitialized.raw();
        if initialized && tdcs.get(tdcs::fields::NUM_ASSOC_VCPUS) != 0 {
            return Err(Status::FLUSHVP_NOT_DONE);
        }
    }

    kot.set_flushed(tdr.hkid(), cx.p.config().all_packages());
    tdr.set(fields::LIFECYCLE_STATE, Lifecycle::Blocked.raw());
    Ok(())
}
