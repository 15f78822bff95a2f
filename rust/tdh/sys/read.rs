// SPDX-License-Identifier: GPL-2.0

//! Reading what the TDX module is and can do.

use crate::{
    abi::{
        metadata::FieldId,
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

/// TDH.SYS.RD: reads a field of the module.
///
/// # Errors
///
/// METADATA_FIELD_ID_INCORRECT if the module does not have the field.
pub fn rd<S: Seamcall>(seam: &S, field: FieldId) -> Result<u64> {
    rd_next(seam, field).map(|field| field.value)
}

/// TDH.SYS.RD: reads a field of the module, and tells which one follows it.
///
/// # Errors
///
/// As for [`rd`].
pub fn rd_next<S: Seamcall>(seam: &S, field: FieldId) -> Result<Field> {
    field::read(&Call::new(seam, Leaf::SysRd), Operands::default(), field)
}

/// TDH.SYS.RD: returns the first field of the module.
///
/// # Errors
///
/// SYS_LP_INIT_NOT_DONE if this CPU did not run [`lp_init`](super::lp_init).
pub fn first_field<S: Seamcall>(seam: &S) -> Result<Option<FieldId>> {
    field::first(&Call::new(seam, Leaf::SysRd), Operands::default())
}

/// TDH.SYS.RDALL: writes the fields from `from` on, or all, into the page `buffer`. Returns the field
/// to go on with if they did not all fit.
///
/// # Errors
///
/// METADATA_FIELD_ID_INCORRECT if the module does not have the field.
///
/// # Safety
///
/// `buffer` must be the caller's to have written.
pub unsafe fn rdall<S: Seamcall>(
    seam: &S,
    buffer: Pfn,
    from: Option<FieldId>,
) -> Result<Option<FieldId>> {
    let args = Operands {
        rdx: buffer.pa(),
        r8: field::raw(from),
        ..Operands::default()
    };
    // SAFETY: `buffer` is the caller's to have written.
    match unsafe { Call::new(seam, Leaf::SysRdall).run_or(args, Status::METADATA_LIST_OVERFLOW) }? {
        Answer::Success(_) => Ok(None),
        Answer::Other(out) => Ok(field::id(out.r8)),
    }
}

/// Where TDH.SYS.INFO writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InfoBuffers {
    /// 1024 bytes for TDSYSINFO_STRUCT.
    pub info: HostPa<1024>,
    /// 512 bytes for CMR_INFO, 32 times base and size.
    pub cmrs: HostPa<512>,
}

impl InfoBuffers {
    /// Size of TDSYSINFO_STRUCT, in bytes.
    const INFO_SIZE: u64 = 1024;
    /// Entries of CMR_INFO.
    const NR_CMRS: u64 = 32;
}

/// TDH.SYS.INFO: writes what the module is and which memory it can convert. Returns the number of
/// CMR_INFO entries.
///
/// # Errors
///
/// SYS_LP_INIT_NOT_DONE if this CPU did not run [`lp_init`](super::lp_init).
///
/// # Safety
///
/// The buffers must be the caller's to have written.
pub unsafe fn info<S: Seamcall>(seam: &S, buffers: InfoBuffers) -> Result<u64> {
    let args = Operands {
        rcx: buffers.info.get(),
        rdx: InfoBuffers::INFO_SIZE,
        r8: buffers.cmrs.get(),
        r9: InfoBuffers::NR_CMRS,
        ..Operands::default()
    };
    // SAFETY: The buffers are the caller's to have written.
    unsafe { Call::new(seam, Leaf::SysInfo).run(args) }.map(|out| out.r9)
}
