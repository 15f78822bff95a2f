// SPDX-License-Identifier: GPL-2.0

//! TDH.SYS: the TDX module itself.
//!
//! The kernel's TDX core brings the module up and shuts it down; users of the module only read.

use crate::{
    abi::{
        metadata::FieldId,
        Args,
        Leaf, //
    },
    seamcall::{
        Call,
        Result,
        Seamcall, //
    },
};

/// TDH.SYS.RD: reads a field of the module.
///
/// # Errors
///
/// METADATA_FIELD_ID_INCORRECT if the module does not have the field.
pub fn rd<S: Seamcall>(seam: &S, field: FieldId) -> Result<u64> {
    let args = Args {
        rdx: field.into_raw(),
        ..Args::default()
    };
    // SAFETY: The call gives no page away and writes no memory.
    unsafe { Call::new(seam, Leaf::SysRd).run(args) }.map(|out| out.r8)
}
