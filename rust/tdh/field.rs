// SPDX-License-Identifier: GPL-2.0

//! What the leaves that read and write metadata fields have in common.

use crate::{
    abi::{
        metadata::FieldId,
        Operands,
        Status, //
    },
    seamcall::{
        Answer,
        Call,
        Result,
        Seamcall, //
    },
};

/// A metadata field, as TDH.SYS.RD and version 1 of TDH.MNG.RD and TDH.VP.RD return it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Value, extended to 64 bits with zeroes.
    pub value: u64,
    /// The field that follows it, `None` after the last one.
    pub next: Option<FieldId>,
}

/// Field identifier for none, in a register.
const NONE: u64 = u64::MAX;

/// Returns a field identifier from a register.
pub(super) fn id(raw: u64) -> Option<FieldId> {
    (raw != NONE).then(|| FieldId::from_raw(raw))
}

/// Returns the register for a field identifier.
pub(super) fn raw(id: Option<FieldId>) -> u64 {
    id.map_or(NONE, FieldId::into_raw)
}

/// Reads a field and tells which one follows it. `args` has all operands but the field.
///
/// # Errors
///
/// METADATA_FIELD_ID_INCORRECT, METADATA_FIELD_NOT_READABLE, and what the leaf adds.
pub(super) fn read<S: Seamcall>(
    call: &Call<'_, S>,
    args: Operands,
    field: FieldId,
) -> Result<Field> {
    let args = Operands {
        rdx: field.into_raw(),
        ..args
    };
    // SAFETY: The call gives no page away and writes no memory of the host.
    unsafe { call.run(args) }.map(|out| Field {
        value: out.r8,
        next: id(out.rdx),
    })
}

/// Asks for the first field. `args` has all operands but the field.
///
/// # Errors
///
/// What the leaf adds.
pub(super) fn first<S: Seamcall>(call: &Call<'_, S>, args: Operands) -> Result<Option<FieldId>> {
    let args = Operands { rdx: NONE, ..args };
    // SAFETY: The call gives no page away and writes no memory of the host.
    match unsafe { call.run_or(args, Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT) }? {
        Answer::Success(out) | Answer::Other(out) => Ok(id(out.rdx)),
    }
}
