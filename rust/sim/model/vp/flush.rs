// SPDX-License-Identifier: GPL-2.0

//! TDH.VP.FLUSH: ends that a logical processor has state of a vCPU.

use super::{
    super::{
        lock::Mode,
        platform::Platform,
        td,
        tdcs,
        tdr::Tdr,
        tdvps::{
            fields,
            Tdvps,
            NO_LP, //
        },
        Completion,
        Ctx, //
    },
    vcpu::{
        self,
        count_associated, //
    }, //
};
use crate::abi::{
    state::Lifecycle,
    Args,
    Operand,
    Status, //
};

/// RCX: TDVPR. A TD that is fatal can be flushed too, in every operation state.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let page = vcpu::lock(cx, Operand::RCX, args.rcx, Mode::Exclusive)?;
    let tdr = Tdr::lock_implicit(cx, page.owner(), Mode::Shared)?;
    if tdr.lifecycle() != Some(Lifecycle::KeysConfigured) {
        return Err(Status::TD_KEYS_NOT_CONFIGURED);
    }
    // A vCPU can only be created when the TDCS is complete.
    let tdcs = td::tdcs(cx, &tdr)?.ok_or(Status::TD_FATAL)?;
    let tdvps = Tdvps::new(cx.p, args.rcx);
    vcpu::map(cx, &tdvps, tdr.pa(), tdcs.get(tdcs::fields::NUM_L2_VMS))?;
    if tdvps.get(fields::ASSOC_LPID) != u64::from(cx.p.lp().index) {
        return Err(Status::VCPU_NOT_ASSOCIATED);
    }

    tdvps.set(fields::ASSOC_LPID, NO_LP);
    count_associated(&tdcs, u64::MAX);
    Ok(())
}
