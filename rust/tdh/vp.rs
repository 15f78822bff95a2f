// SPDX-License-Identifier: GPL-2.0

//! TDH.VP: a TD's vCPUs.

use crate::{
    abi::{
        metadata::FieldId,
        Leaf,
        Operands,
        Pfn,
        Status, //
    },
    seamcall::{
        Answer,
        Call,
        Result,
        Seamcall, //
    },
    tdh::field::{
        self,
        Field, //
    },
};

mod enter;

pub use enter::{
    enter,
    Exit,
    Hints, //
};

/// TDH.VP.CREATE: makes `tdvpr` the root page of a new vCPU.
///
/// # Errors
///
/// None but those common to all leaves.
///
/// # Safety
///
/// `tdvpr` must be the caller's to give.
pub unsafe fn create<S: Seamcall>(seam: &S, tdr: Pfn, tdvpr: Pfn) -> Result {
    let args = Operands {
        rcx: tdvpr.pa(),
        rdx: tdr.pa(),
        ..Operands::default()
    };
    // SAFETY: `tdvpr` is the caller's to give.
    unsafe { Call::new(seam, Leaf::VpCreate).run(args) }.map(|_| ())
}

/// TDH.VP.ADDCX: gives the vCPU a page for its control structure.
///
/// # Errors
///
/// TDCX_NUM_INCORRECT if the vCPU has all pages.
///
/// # Safety
///
/// `page` must be the caller's to give.
pub unsafe fn addcx<S: Seamcall>(seam: &S, tdvpr: Pfn, page: Pfn) -> Result {
    let args = Operands {
        rcx: page.pa(),
        rdx: tdvpr.pa(),
        ..Operands::default()
    };
    // SAFETY: `page` is the caller's to give.
    unsafe { Call::new(seam, Leaf::VpAddcx).run(args) }.map(|_| ())
}

/// TDH.VP.INIT: initialises the vCPU with `rcx` as the guest's first RCX. Associates it with the CPU
/// that this runs on.
///
/// # Errors
///
/// TDCX_NUM_INCORRECT if pages are missing, MAX_VCPUS_EXCEEDED, VCPU_STATE_INCORRECT.
pub fn init<S: Seamcall>(seam: &S, tdvpr: Pfn, rcx: u64, x2apic_id: u32) -> Result {
    let args = Operands {
        rcx: tdvpr.pa(),
        rdx: rcx,
        r8: u64::from(x2apic_id),
        ..Operands::default()
    };
    // SAFETY: The call gives no page away and writes no memory of the host.
    unsafe { Call::versioned(seam, Leaf::VpInit, 1).run(args) }.map(|_| ())
}

/// Operands of the leaves that take a TDVPR and a field.
fn of(tdvpr: Pfn) -> Operands {
    Operands {
        rcx: tdvpr.pa(),
        ..Operands::default()
    }
}

/// TDH.VP.RD: reads a field of the vCPU's control structure. Associates it with the CPU that this
/// runs on.
///
/// # Errors
///
/// METADATA_FIELD_ID_INCORRECT, METADATA_FIELD_NOT_READABLE, VCPU_ASSOCIATED.
pub fn rd<S: Seamcall>(seam: &S, tdvpr: Pfn, field: FieldId) -> Result<u64> {
    field::read(&Call::new(seam, Leaf::VpRd), of(tdvpr), field).map(|field| field.value)
}

/// TDH.VP.RD, version 1: reads a field, and tells which one follows it.
///
/// # Errors
///
/// As for [`rd`].
pub fn rd_next<S: Seamcall>(seam: &S, tdvpr: Pfn, field: FieldId) -> Result<Field> {
    field::read(&Call::versioned(seam, Leaf::VpRd, 1), of(tdvpr), field)
}

/// TDH.VP.RD, version 1: returns the first field of a vCPU.
///
/// # Errors
///
/// VCPU_ASSOCIATED.
pub fn first_field<S: Seamcall>(seam: &S, tdvpr: Pfn) -> Result<Option<FieldId>> {
    field::first(&Call::versioned(seam, Leaf::VpRd, 1), of(tdvpr))
}

/// TDH.VP.WR: writes the bits in `mask` of a field of the vCPU's control structure, and
/// returns what the field was.
///
/// # Errors
///
/// METADATA_FIELD_ID_INCORRECT, METADATA_FIELD_NOT_WRITABLE, METADATA_FIELD_VALUE_NOT_VALID,
/// VCPU_ASSOCIATED.
///
/// # Safety
///
/// Where the field is the address of memory that the CPU writes, such as the posted-interrupt
/// descriptor, that memory must be the caller's to have written for as long as the vCPU lives.
pub unsafe fn wr<S: Seamcall>(
    seam: &S,
    tdvpr: Pfn,
    field: FieldId,
    value: u64,
    mask: u64,
) -> Result<u64> {
    let args = Operands {
        rdx: field.into_raw(),
        r8: value,
        r9: mask,
        ..of(tdvpr)
    };
    // SAFETY: As for this function.
    unsafe { Call::new(seam, Leaf::VpWr).run(args) }.map(|out| out.r8)
}

/// What TDH.VP.FLUSH found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// The vCPU was associated with this CPU and is not any more.
    Now,
    /// The vCPU was associated with another CPU, or with none.
    NotAssociated,
}

/// TDH.VP.FLUSH: ends the association of the vCPU with the CPU that this runs on.
///
/// # Errors
///
/// TDCX_NUM_INCORRECT if the vCPU has not all pages.
pub fn flush<S: Seamcall>(seam: &S, tdvpr: Pfn) -> Result<Flushed> {
    let args = of(tdvpr);
    let call = Call::new(seam, Leaf::VpFlush);
    // SAFETY: The call gives no page away and writes no memory of the host.
    let answer = unsafe { call.run_or(args, Status::VCPU_NOT_ASSOCIATED) }?;
    Ok(match answer {
        Answer::Success(_) => Flushed::Now,
        Answer::Other(_) => Flushed::NotAssociated,
    })
}
