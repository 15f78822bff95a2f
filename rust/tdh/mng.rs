// SPDX-License-Identifier: GPL-2.0

//! TDH.MNG: a TD as a whole.

use crate::{
    abi::{
        metadata::FieldId,
        Hkid,
        HostPa,
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

/// Operands of the leaves that take nothing but a TDR.
fn of(tdr: Pfn) -> Operands {
    Operands {
        rcx: tdr.pa(),
        ..Operands::default()
    }
}

/// TDH.MNG.CREATE: makes `tdr` the root page of a new TD with KeyID `hkid`.
///
/// # Errors
///
/// HKID_NOT_FREE if the KeyID is in use; RND_NO_ENTROPY.
///
/// # Safety
///
/// `tdr` must be the caller's to give.
pub unsafe fn create<S: Seamcall>(seam: &S, tdr: Pfn, hkid: Hkid) -> Result {
    let args = Operands {
        rdx: u64::from(hkid.get()),
        ..of(tdr)
    };
    // SAFETY: `tdr` is the caller's to give.
    unsafe { Call::new(seam, Leaf::MngCreate).run(args) }.map(|_| ())
}

/// What TDH.MNG.KEY.CONFIG found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyConfigured {
    /// The key is configured on this package now.
    Now,
    /// It was so before.
    Already,
}

/// TDH.MNG.KEY.CONFIG: configures the TD's key on the package that this runs on.
///
/// Has to run on one CPU of each package before the TD can be built.
///
/// # Errors
///
/// KEY_GENERATION_FAILED, which a later call may overcome.
pub fn key_config<S: Seamcall>(seam: &S, tdr: Pfn) -> Result<KeyConfigured> {
    let call = Call::new(seam, Leaf::MngKeyConfig);
    // SAFETY: The call gives no page away and writes no memory of the host.
    let answer = unsafe { call.run_or(of(tdr), Status::KEY_CONFIGURED) }?;
    Ok(match answer {
        Answer::Success(_) => KeyConfigured::Now,
        Answer::Other(_) => KeyConfigured::Already,
    })
}

/// TDH.MNG.ADDCX: gives the TD a page for its control structure.
///
/// # Errors
///
/// TDCX_NUM_INCORRECT if the TD has all pages; RND_NO_ENTROPY.
///
/// # Safety
///
/// `page` must be the caller's to give.
pub unsafe fn addcx<S: Seamcall>(seam: &S, tdr: Pfn, page: Pfn) -> Result {
    let args = Operands {
        rcx: page.pa(),
        rdx: tdr.pa(),
        ..Operands::default()
    };
    // SAFETY: `page` is the caller's to give.
    unsafe { Call::new(seam, Leaf::MngAddcx).run(args) }.map(|_| ())
}

/// TDH.MNG.INIT: initialises the TD from the TD_PARAMS at `params`.
///
/// # Errors
///
/// OPERAND_INVALID with the parameter that is wrong; RCX says more about CPUID_CONFIG.
/// TDCS_NOT_ALLOCATED if control pages are missing.
pub fn init<S: Seamcall>(seam: &S, tdr: Pfn, params: HostPa<1024>) -> Result {
    let args = Operands {
        rdx: params.get(),
        ..of(tdr)
    };
    // SAFETY: The call reads `params`; it gives no page away and writes no memory of the host.
    unsafe { Call::new(seam, Leaf::MngInit).run(args) }.map(|_| ())
}

/// TDH.MNG.RD: reads a field of the TD's control structures.
///
/// # Errors
///
/// METADATA_FIELD_ID_INCORRECT, METADATA_FIELD_NOT_READABLE.
pub fn rd<S: Seamcall>(seam: &S, tdr: Pfn, field: FieldId) -> Result<u64> {
    field::read(&Call::new(seam, Leaf::MngRd), of(tdr), field).map(|field| field.value)
}

/// TDH.MNG.RD, version 1: reads a field, and tells which one follows it.
///
/// # Errors
///
/// As for [`rd`].
pub fn rd_next<S: Seamcall>(seam: &S, tdr: Pfn, field: FieldId) -> Result<Field> {
    field::read(&Call::versioned(seam, Leaf::MngRd, 1), of(tdr), field)
}

/// TDH.MNG.RD, version 1: returns the first field of a TD.
///
/// # Errors
///
/// None but those common to all leaves.
pub fn first_field<S: Seamcall>(seam: &S, tdr: Pfn) -> Result<Option<FieldId>> {
    field::first(&Call::versioned(seam, Leaf::MngRd, 1), of(tdr))
}

/// TDH.MNG.WR: writes the bits in `mask` of a field of the TD's control structures, and returns what
/// the field was.
///
/// # Errors
///
/// METADATA_FIELD_ID_INCORRECT, METADATA_FIELD_NOT_WRITABLE, METADATA_FIELD_VALUE_NOT_VALID,
/// METADATA_WR_MASK_NOT_VALID; OPERAND_BUSY with METADATA_FIELD if another call wrote it meanwhile.
pub fn wr<S: Seamcall>(seam: &S, tdr: Pfn, field: FieldId, value: u64, mask: u64) -> Result<u64> {
    let args = Operands {
        rdx: field.into_raw(),
        r8: value,
        r9: mask,
        ..of(tdr)
    };
    // SAFETY: The call gives no page away. The host may write no field of a TD that is an address.
    unsafe { Call::new(seam, Leaf::MngWr).run(args) }.map(|out| out.r8)
}

/// TDH.MNG.VPFLUSHDONE: ends the use of the TD's KeyID by vCPUs.
///
/// # Errors
///
/// FLUSHVP_NOT_DONE if a vCPU is associated with a CPU, see [`vp::flush`](super::vp::flush).
pub fn vpflushdone<S: Seamcall>(seam: &S, tdr: Pfn) -> Result {
    // SAFETY: The call gives no page away and writes no memory of the host.
    unsafe { Call::new(seam, Leaf::MngVpflushdone).run(of(tdr)) }.map(|_| ())
}

/// TDH.MNG.KEY.FREEID: frees the TD's KeyID; its pages can be reclaimed from now on.
///
/// # Errors
///
/// WBCACHE_NOT_COMPLETE if the caches of a package were not written back, see
/// [`phymem::cache_wb`](super::phymem::cache_wb).
pub fn key_freeid<S: Seamcall>(seam: &S, tdr: Pfn) -> Result {
    // SAFETY: The call gives no page away and writes no memory of the host.
    unsafe { Call::new(seam, Leaf::MngKeyFreeid).run(of(tdr)) }.map(|_| ())
}

/// TDH.MNG.KEY.RECLAIMID: does nothing, in all modules of versions that the ABI describes.
///
/// # Errors
///
/// None.
pub fn key_reclaimid<S: Seamcall>(seam: &S, tdr: Pfn) -> Result {
    // SAFETY: The call gives no page away and writes no memory of the host.
    unsafe { Call::new(seam, Leaf::MngKeyReclaimid).run(of(tdr)) }.map(|_| ())
}
