// SPDX-License-Identifier: GPL-2.0

//! What TDH.VP.ENTER leaves of the host's registers and of the rest of the CPU's state. That is for
//! `selftests/kunit/enter.c` to fill and to compare: here is the TD.

use crate::{
    abi::metadata::global,
    scenario::{
        tear_down,
        Fault, //
    },
    seamcall::kernel::TdxCore,
    td::{
        Lender,
        Td, //
    },
    tdh, //
};

// `selftests/kunit/enter.h`.
extern "C" {
    fn tdx_enter_check(tdvpr: u64, gpa: u64, xfam: u64);
    fn tdx_enter_stay(stay: bool);
}

/// Where a vCPU begins.
const RESET: u64 = 0xFFFF_F000;

/// Enters a TD that has no memory: its first instruction is an EPT violation.
pub(super) fn host_state(machine: &TdxCore) -> Result<(), Fault> {
    // A vCPU belongs to the CPU that it was made on.
    // SAFETY: This is a thread of its own, which may sleep.
    unsafe { tdx_enter_stay(true) };
    let outcome = enter(machine);
    // SAFETY: As above.
    unsafe { tdx_enter_stay(false) };
    outcome
}

fn enter(machine: &TdxCore) -> Result<(), Fault> {
    let mut lender = Lender::new(machine);
    let mut td = Td::plain(machine, &mut lender)?.complete()?;
    let xfam = tdh::sys::rd(machine, global::XFAM_FIXED1)?;
    let vcpu = td.vcpu(0).ok_or(Fault::Resources)?;
    // SAFETY: The TD is this test's own, and shares no memory with the host.
    unsafe { tdx_enter_check(vcpu.tdvpr().pa(), RESET, xfam) };
    tear_down(td)
}
