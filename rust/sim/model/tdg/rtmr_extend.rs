// SPDX-License-Identifier: GPL-2.0

//! TDG.MR.RTMR.EXTEND: adds to a run-time measurement.

use super::{
    super::{
        lock::Mode,
        platform::Platform,
        sha384::{
            self,
            DIGEST_WORDS, //
        },
        tdcs::fields,
        vp::vcpu::Vcpu,
        Ctx, //
    },
    translate::{
        self,
        Access, //
    },
    Completion, //
};
use crate::abi::{
    Args,
    Operand,
    Status, //
};

/// Run-time measurements of a TD.
const RTMRS: u64 = 4;

/// RCX: GPA of 48 bytes. RDX: which measurement.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>, args: &mut Args) -> Completion {
    let tdcs = &vcpu.td.tdcs;
    if args.rcx & 63 != 0 || !tdcs.is_private(args.rcx) {
        return Err(Status::OPERAND_INVALID.with(Operand::RCX).into());
    }
    let pa = translate::private(cx, vcpu, args.rcx, Access::Read)?;
    if args.rdx >= RTMRS {
        return Err(Status::OPERAND_INVALID.with(Operand::RDX).into());
    }
    let _lock = tdcs
        .rtmr_lock()
        .acquire_by_guest(Mode::Exclusive)
        .map_err(|status| status.with(Operand::RTMR))?;

    let words = 0..DIGEST_WORDS as u32;
    let rtmr = fields::RTMR.element(args.rdx as u32 * DIGEST_WORDS as u32);
    let old = words.clone().map(|word| tdcs.get(rtmr.element(word)));
    let data = words.map(|word| cx.p.load(pa.wrapping_add(u64::from(word) * 8)));
    let digest = sha384::digest(cx.p, sha384::bytes(Iterator::chain(old, data)));
    for (word, value) in (0..).zip(digest) {
        tdcs.set(rtmr.element(word), value);
    }
    Ok(())
}
