// SPDX-License-Identifier: GPL-2.0

//! The defence against zero-stepping: a host that does not let the guest get on from an instruction
//! has to map all that this instruction needs before the vCPU runs again.
//!
//! TDX ABI: TDH.VP.ENTER, "Zero-step and single-step defence".

use super::super::{
    lock::Mode,
    mem::target::lock_tree,
    metadata::vmcs::fields as vmcs,
    platform::Platform,
    sept::{
        self,
        Sept, //
    },
    tdcs,
    tdvps::{
        fields,
        Tdvps,
        LAST_EPF_RIP, //
    },
    vp::vcpu::Vcpu,
    Ctx, //
};
use super::{
    super::vmx::reason,
    event,
    registers::last_exit,
    LastExit,
    TdExit, //
};
use crate::abi::{
    Level,
    Status, //
};

/// Faults at one instruction that are only counted.
const HARMLESS: u64 = 6;

/// Addresses that are kept.
const LIST: u32 = 32;

/// Looks at a VM exit, whatever it is for: a guest that is at another instruction has got on.
pub fn look<P: Platform>(tdvps: &Tdvps<'_, P>) {
    let rip = tdvps.get(vmcs::GUEST_RIP);
    if tdvps.get(LAST_EPF_RIP) != rip {
        tdvps.set(LAST_EPF_RIP, rip);
        reset(tdvps);
    }
}

/// Counts an EPT violation of a private address, and notes the address once there are too many at one
/// instruction.
pub fn count<P: Platform>(tdvps: &Tdvps<'_, P>, gpa: u64) {
    let faults = tdvps.get(fields::POSSIBLY_EPF_STEPPING);
    if faults < HARMLESS {
        tdvps.set(fields::POSSIBLY_EPF_STEPPING, faults.wrapping_add(1));
        return;
    }
    let page = gpa & !0xFFF;
    let length = tdvps.get(fields::LAST_EPF_GPA_LIST_IDX) as u32;
    let known = list(tdvps).any(|noted| noted == page);
    if !known && length < LIST {
        tdvps.set(fields::LAST_EPF_GPA_LIST.element(length), page);
        tdvps.set(fields::LAST_EPF_GPA_LIST_IDX, u64::from(length) + 1);
    }
}

fn reset<P: Platform>(tdvps: &Tdvps<'_, P>) {
    tdvps.set(fields::POSSIBLY_EPF_STEPPING, 0);
    tdvps.set(fields::LAST_EPF_GPA_LIST_IDX, 0);
}

fn list<'t, P: Platform>(tdvps: &'t Tdvps<'_, P>) -> impl Iterator<Item = u64> + 't {
    let length = tdvps.get(fields::LAST_EPF_GPA_LIST_IDX) as u32;
    (0..length.min(LIST)).map(|index| tdvps.get(fields::LAST_EPF_GPA_LIST.element(index)))
}

/// What an entry is to be instead.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The tree is in use.
    Busy(Status),
    /// An exit for an address that still is not mapped.
    NotMapped(TdExit),
}

/// Before an entry: all addresses that were noted have to be mapped.
pub fn check<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>) -> Result<(), Refusal> {
    /// Exit qualification: a write.
    const WRITE: u32 = 1 << 1;
    const NOTIFY: u64 = 1 << 0;

    let tdvps = &vcpu.tdvps;
    if tdvps.get(fields::LAST_EPF_GPA_LIST_IDX) == 0 {
        return Ok(());
    }
    let _tree = lock_tree(&vcpu.td, Mode::Exclusive).map_err(Refusal::Busy)?;
    let sept = Sept::of(cx, &vcpu.td).map_err(Refusal::Busy)?;
    for gpa in list(tdvps) {
        let slot = sept.walk(cx, gpa, Level::K4).map_err(Refusal::Busy)?;
        if !sept::is_present_leaf(slot.load()) {
            return Err(Refusal::NotMapped(TdExit {
                gpa,
                qualification: WRITE,
                ..TdExit::fault(Status::SUCCESS, reason::EPT_VIOLATION)
            }));
        }
    }
    let notify = vcpu.td.tdcs.get(tdcs::fields::NOTIFY_ENABLES) & NOTIFY != 0;
    if notify && last_exit(tdvps) == LastExit::AsyncFault && event::is_free(tdvps) {
        // A vCPU that has just faulted on a page gets no #VE information of its own.
        let gpa = tdvps.get(vmcs::GUEST_PHYSICAL_ADDRESS);
        if let Some(exit) = event::ve(tdvps, gpa) {
            return Err(Refusal::NotMapped(exit));
        }
    }
    reset(tdvps);
    Ok(())
}
