// SPDX-License-Identifier: GPL-2.0

//! What TDH.VP.ENTER leaves of the host's registers and of the rest of the CPU's state. That is for
//! `selftests/kunit/enter.c` to fill and to compare: here is the TD.

use crate::{
    abi::{
        metadata::{
            global,
            Features0, //
        },
        td_params::ConfigFlags, //
    },
    scenario::{
        tear_down,
        Fault, //
    },
    seamcall::kernel::TdxCore,
    td::{
        with_params,
        Lender,
        Td, //
    },
    tdh, //
};

// `selftests/kunit/enter.h`.
extern "C" {
    fn tdx_enter_check(tdvpr: u64, gpa: u64, xfam: u64, keeps_rbp: bool);
    fn tdx_enter_stay(stay: bool);
}

/// Where a vCPU begins.
const RESET: u64 = 0xFFFF_F000;

/// Enters TDs that have no memory: their first instruction is an EPT violation. They have all features that there are;
/// one may use RBP, the other, which is as KVM makes them, leaves it to the host.
pub(super) fn host_state(machine: &TdxCore) -> Result<(), Fault> {
    // A vCPU belongs to the CPU that it was made on.
    // SAFETY: This is a thread of its own, which may sleep.
    unsafe { tdx_enter_stay(true) };
    let outcome = enter(machine, false).and_then(|()| enter(machine, true));
    // SAFETY: As above.
    unsafe { tdx_enter_stay(false) };
    outcome
}

fn enter(machine: &TdxCore, keeps_rbp: bool) -> Result<(), Fault> {
    let features = Features0::from_raw(tdh::sys::rd(machine, global::TDX_FEATURES0)?);
    if keeps_rbp && !bool::from(features.no_rbp_mod()) {
        return Ok(());
    }
    let flags = ConfigFlags::from_raw(0).with_no_rbp_mod(keeps_rbp);
    let mut lender = Lender::new(machine);
    let xfam = tdh::sys::rd(machine, global::XFAM_FIXED0)?;
    let mut td = with_params(machine, xfam, flags, |params| {
        let td = Td::create(machine, &mut lender)?.configure_key()?;
        Ok::<_, Fault>(td.initialise(params)?.complete()?)
    })?;
    let vcpu = td.vcpu(0).ok_or(Fault::Resources)?;
    // SAFETY: The TD is this test's own, and shares no memory with the host.
    unsafe { tdx_enter_check(vcpu.tdvpr().pa(), RESET, xfam, keeps_rbp) };
    tear_down(td)
}
