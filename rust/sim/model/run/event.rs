// SPDX-License-Identifier: GPL-2.0

//! The events that the module puts before the guest: exceptions, #VE among them, and NMIs of the host.

use super::{
    super::{
        metadata::vmcs::fields as vmcs,
        platform::Platform,
        tdvps::{
            fields,
            Tdvps, //
        },
        vmx::{
            kind,
            reason,
            vector,
            Event,
            BLOCKING_BY_INSTRUCTION,
            BLOCKING_BY_NMI,
            DPL,
            LONG_CODE,
            NMI_WINDOW_EXITING,
            SINGLE_STEP,
            TRAP_FLAG, //
        }, //
    },
    TdExit, //
};
use crate::abi::Status;

/// VALID of the #VE information while it is.
const VE_VALID: u64 = 0xFFFF_FFFF;

/// The event that the next VM entry delivers.
fn pending<P: Platform>(tdvps: &Tdvps<'_, P>) -> Event {
    Event::from_raw(tdvps.get(vmcs::VM_ENTRY_INTERRUPTION_INFORMATION) as u32)
}

fn set<P: Platform>(tdvps: &Tdvps<'_, P>, event: Event, error_code: u64) {
    tdvps.set(
        vmcs::VM_ENTRY_INTERRUPTION_INFORMATION,
        event.into_raw().into(),
    );
    tdvps.set(vmcs::VM_ENTRY_EXCEPTION_ERROR_CODE, error_code);
}

/// Before a VM entry: an NMI that the host asks for is delivered as soon as the guest takes it.
///
/// TDX ABI: PEND_NMI.
pub fn prepare<P: Platform>(tdvps: &Tdvps<'_, P>) {
    let wanted = tdvps.get(fields::PEND_NMI) != 0 && tdvps.get(fields::VALID) == 0;
    let controls = tdvps.get(vmcs::PRIMARY_PROCESSOR_BASED_CONTROLS) & !NMI_WINDOW_EXITING;
    let window = if wanted { NMI_WINDOW_EXITING } else { 0 };
    tdvps.set(vmcs::PRIMARY_PROCESSOR_BASED_CONTROLS, controls | window);
}

/// After a VM exit: what was on its way to the guest when the exit came is to be delivered again.
pub fn note<P: Platform>(tdvps: &Tdvps<'_, P>) {
    let interrupted = Event::from_raw(tdvps.get(vmcs::IDT_VECTORING_INFORMATION) as u32);
    let again = if interrupted.is_valid() {
        Event::from_raw(interrupted.into_raw() & !Event::NMI_UNBLOCKING_MASK)
    } else {
        Event::from_raw(0)
    };
    if again.is(kind::NMI, vector::NMI) {
        // Its delivery has begun to block NMIs, and begins anew.
        let state = tdvps.get(vmcs::INTERRUPTIBILITY_STATE);
        tdvps.set(vmcs::INTERRUPTIBILITY_STATE, state & !BLOCKING_BY_NMI);
    }
    set(tdvps, again, tdvps.get(vmcs::IDT_VECTORING_ERROR_CODE));
    tdvps.set(
        vmcs::VM_ENTRY_INSTRUCTION_LENGTH,
        tdvps.get(vmcs::VM_EXIT_INSTRUCTION_LENGTH),
    );
}

/// The guest has been in the middle of an IRET that ends the blocking of NMIs: it begins that again.
pub fn block_nmis_again<P: Platform>(tdvps: &Tdvps<'_, P>) {
    if !pending(tdvps).is_valid() {
        let state = tdvps.get(vmcs::INTERRUPTIBILITY_STATE);
        tdvps.set(vmcs::INTERRUPTIBILITY_STATE, state | BLOCKING_BY_NMI);
    }
}

/// Whether an exception is of those that make a double fault of one that they meet.
fn is_contributory(vector: u8) -> bool {
    matches!(vector, 0 | 10..=14 | 20)
}

/// Raises an exception of the guest; an exit if the guest is shut down by it.
///
/// Intel SDM, volume 3, "Double Fault Exception".
#[must_use]
fn raise<P: Platform>(tdvps: &Tdvps<'_, P>, vector: u8, error_code: Option<u64>) -> Option<TdExit> {
    let first = pending(tdvps);
    let earlier = (first.into_raw() & Event::VECTOR_MASK) as u8;
    let (vector, error_code) = if first.is(kind::HARDWARE_EXCEPTION, vector::DF) {
        return Some(TdExit::fault(
            Status::NON_RECOVERABLE_VCPU,
            reason::TRIPLE_FAULT,
        ));
    } else if first.is(kind::HARDWARE_EXCEPTION, earlier)
        && is_contributory(earlier)
        && is_contributory(vector)
    {
        (vector::DF, Some(0))
    } else {
        (vector, error_code)
    };
    let event = Event::exception(vector);
    match error_code {
        Some(code) => set(tdvps, event.with_error_code(), code),
        None => set(tdvps, event, 0),
    }
    None
}

/// Raises #UD.
#[must_use]
pub fn ud<P: Platform>(tdvps: &Tdvps<'_, P>) -> Option<TdExit> {
    raise(tdvps, vector::UD, None)
}

/// Raises #GP(0).
#[must_use]
pub fn gp<P: Platform>(tdvps: &Tdvps<'_, P>) -> Option<TdExit> {
    raise(tdvps, vector::GP, Some(0))
}

/// Raises #PF for the linear address of the exit.
#[must_use]
pub fn pf<P: Platform>(tdvps: &Tdvps<'_, P>, error_code: u64) -> Option<TdExit> {
    tdvps.set(fields::CR2, tdvps.get(vmcs::GUEST_LINEAR_ADDRESS));
    raise(tdvps, vector::PF, Some(error_code))
}

/// Raises #VE for the exit that has just been, or #DF if the guest has yet to read of the one before.
///
/// TDX ABI: TDG.VP.VEINFO.GET.
#[must_use]
pub fn ve<P: Platform>(tdvps: &Tdvps<'_, P>, gpa: u64) -> Option<TdExit> {
    if tdvps.get(fields::VALID) != 0 {
        return raise(tdvps, vector::DF, Some(0));
    }
    for (to, from) in [
        (fields::EXIT_REASON, vmcs::EXIT_REASON),
        (fields::EXIT_QUALIFICATION, vmcs::EXIT_QUALIFICATION),
        (fields::GLA, vmcs::GUEST_LINEAR_ADDRESS),
        (fields::INSTRUCTION_LENGTH, vmcs::VM_EXIT_INSTRUCTION_LENGTH),
        (
            fields::INSTRUCTION_INFORMATION,
            vmcs::VM_EXIT_INSTRUCTION_INFORMATION,
        ),
    ] {
        tdvps.set(to, tdvps.get(from));
    }
    tdvps.set(fields::GPA, gpa);
    tdvps.set(fields::VALID, VE_VALID);
    raise(tdvps, vector::VE, None)
}

/// The guest takes NMIs now: it gets the one that the host asks for.
pub fn nmi<P: Platform>(tdvps: &Tdvps<'_, P>) {
    tdvps.set(fields::PEND_NMI, 0);
    set(tdvps, Event::new(kind::NMI, vector::NMI), 0);
}

/// The guest goes on behind the instruction that has caused the exit.
pub fn skip<P: Platform>(tdvps: &Tdvps<'_, P>, length: u64) {
    let rip = tdvps.get(vmcs::GUEST_RIP).wrapping_add(length);
    let code = tdvps.get(vmcs::GUEST_CS_ACCESS_RIGHTS);
    let rip = if code & LONG_CODE == 0 {
        rip & u64::from(u32::MAX)
    } else {
        rip
    };
    tdvps.set(vmcs::GUEST_RIP, rip);
    let state = tdvps.get(vmcs::INTERRUPTIBILITY_STATE);
    tdvps.set(
        vmcs::INTERRUPTIBILITY_STATE,
        state & !BLOCKING_BY_INSTRUCTION,
    );
    if tdvps.get(vmcs::GUEST_RFLAGS) & TRAP_FLAG != 0 {
        let debug = tdvps.get(vmcs::PENDING_DEBUG_EXCEPTIONS);
        tdvps.set(vmcs::PENDING_DEBUG_EXCEPTIONS, debug | SINGLE_STEP);
    }
}

/// Whether the guest runs at privilege level 0.
pub fn is_supervisor<P: Platform>(tdvps: &Tdvps<'_, P>) -> bool {
    tdvps.get(vmcs::GUEST_SS_ACCESS_RIGHTS) & DPL == 0
}

/// Whether nothing is in the way of an exception: no event, no blocking of NMIs, no #VE unread.
pub fn is_free<P: Platform>(tdvps: &Tdvps<'_, P>) -> bool {
    !pending(tdvps).is_valid()
        && tdvps.get(vmcs::INTERRUPTIBILITY_STATE) & BLOCKING_BY_NMI == 0
        && tdvps.get(fields::VALID) == 0
}
