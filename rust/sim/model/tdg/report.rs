// SPDX-License-Identifier: GPL-2.0

//! TDG.MR.REPORT: what the TD is, for others to see. TDX ABI: TDREPORT_STRUCT.

use super::{
    super::{
        lock::Mode,
        platform::Platform,
        sha384,
        tdcs::{
            fields,
            Tdcs, //
        },
        vp::vcpu::Vcpu,
        Ctx, //
    },
    translate::{
        self,
        Access, //
    },
    Completion,
    Outcome,
    Stop, //
};
use crate::abi::{
    Args,
    Operand,
    Status, //
};

/// Size of a TDREPORT in bytes, and its alignment.
const SIZE: u64 = 1024;
const WORDS: usize = SIZE as usize / 8;

/// Size of the data that the report is to hold, and their alignment.
const DATA_SIZE: u64 = 64;

/// Words at which the parts begin.
mod at {
    pub(super) const TCB_HASH: usize = 32 / 8;
    pub(super) const INFO_HASH: usize = 80 / 8;
    pub(super) const DATA: usize = 128 / 8;
    pub(super) const MAC: usize = 224 / 8;
    pub(super) const TCB: usize = 256 / 8;
    pub(super) const INFO: usize = 512 / 8;
}

/// Words of the MAC, of which the CPU's own makes as many.
const MAC_WORDS: usize = 4;

/// Type of the first word: a TD's report.
const TDX: u64 = 0x81;

/// Bytes of TEE_TCB_INFO.
const TCB_SIZE: usize = 239;

/// TEE_TCB_INFO: which of its words are there, those of TEE_TCB_SVN. The module has no signer, nor a
/// measurement of itself.
const TCB_VALID: u64 = 0x6;

/// RCX: GPA of the report. RDX: GPA of 64 bytes to be in it. R8: 0. Both addresses may be shared.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>, args: &mut Args) -> Completion {
    let invalid = |operand| Stop::from(Status::OPERAND_INVALID.with(operand));
    let limit = 1u64.wrapping_shl(vcpu.td.tdcs.gpa_width());
    if args.rcx & (SIZE - 1) != 0 || args.rcx >= limit {
        return Err(invalid(Operand::RCX));
    }
    if args.rdx & (DATA_SIZE - 1) != 0 || args.rdx >= limit {
        return Err(invalid(Operand::RDX));
    }
    let data = translate::any(cx, vcpu, args.rdx, Access::Read)?;
    if args.r8 != 0 {
        return Err(invalid(Operand::R8));
    }
    let _lock = vcpu
        .td
        .tdcs
        .rtmr_lock()
        .acquire_by_guest(Mode::Shared)
        .map_err(|status| status.with(Operand::RTMR))?;
    if cx.p.interrupt_pending() {
        return Err(Stop::Outcome(Outcome::Again));
    }
    let report = report(cx, &vcpu.td.tdcs, data);
    let to = translate::any(cx, vcpu, args.rcx, Access::Write)?;
    for (offset, word) in (0..).step_by(8).zip(report) {
        cx.p.store(to.wrapping_add(offset), word);
    }
    Ok(())
}

/// Makes the report, with the data at `data` in it.
fn report<P: Platform>(cx: &Ctx<'_, P>, tdcs: &Tdcs<'_, P>, data: u64) -> [u64; WORDS] {
    let p = cx.p;
    let mut report = [0; WORDS];
    put(&mut report, at::TCB, [TCB_VALID]);
    put(&mut report, at::INFO, info(tdcs));
    let part = |report: &[u64; WORDS], at: usize, size: usize| {
        let words = *report;
        sha384::bytes(words.into_iter().skip(at)).take(size)
    };
    let tcb_hash = sha384::digest(p, part(&report, at::TCB, TCB_SIZE));
    let info_hash = sha384::digest(p, part(&report, at::INFO, (WORDS - at::INFO) * 8));

    put(&mut report, 0, [TDX]);
    put(&mut report, at::TCB_HASH, tcb_hash);
    put(&mut report, at::INFO_HASH, info_hash);
    let data = (data..).step_by(8).take(DATA_SIZE as usize / 8);
    put(&mut report, at::DATA, data.map(|pa| p.load(pa)));
    let mac = sha384::hmac(p, &cx.module.report_key(), part(&report, 0, at::MAC * 8));
    put(&mut report, at::MAC, mac.into_iter().take(MAC_WORDS));
    report
}

fn put(report: &mut [u64; WORDS], at: usize, words: impl IntoIterator<Item = u64>) {
    for (to, word) in report.iter_mut().skip(at).zip(words) {
        *to = word;
    }
}

/// TDINFO: ATTRIBUTES, XFAM, the measurements and identities, the hash of service TDs.
fn info<'t, P: Platform>(tdcs: &'t Tdcs<'_, P>) -> impl Iterator<Item = u64> + 't {
    [
        (fields::ATTRIBUTES, 1),
        (fields::XFAM, 1),
        (fields::MRTD, 6),
        (fields::MRCONFIGID, 6),
        (fields::MROWNER, 6),
        (fields::MROWNERCONFIG, 6),
        (fields::RTMR, 24),
        (fields::SERVTD_HASH, 6),
    ]
    .into_iter()
    .flat_map(move |(field, words)| (0..words).map(move |word| tdcs.get(field.element(word))))
}
