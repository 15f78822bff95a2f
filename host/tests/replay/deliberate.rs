// SPDX-License-Identifier: GPL-2.0

//! What the replay does not compare, and why.

use crate::trace::Record;

/// A register that a leaf returns and that is not compared.
pub struct Rule {
    leaf: &'static str,
    /// Field identifiers in RDX without context and size; empty for all.
    fields: &'static [u64],
    /// The register.
    pub register: &'static str,
    /// Why it is not compared.
    pub reason: &'static str,
}

const RULES: &[Rule] = &[];

/// Bits of a field identifier that tell fields apart: all but context and size.
const FIELD: u64 = !(0x7 << 52 | 0x3 << 32);

/// The rule for a call, if there is one.
pub fn not_compared(record: &Record) -> Option<&'static Rule> {
    let leaf = record.leaf.as_deref()?;
    let field = record.input.get("rdx").map_or(0, |id| id.0) & FIELD;
    RULES
        .iter()
        .find(|rule| rule.leaf == leaf && (rule.fields.is_empty() || rule.fields.contains(&field)))
}

/// Why a call never reaches a TDX module, if the CPU refuses it. The traces come from the module's
/// code alone.
pub fn refused_by_cpu(record: &Record) -> Option<&'static str> {
    const SEAMLDR: u64 = 1 << 63;
    (record.rax_in?.0 & SEAMLDR != 0)
        .then_some("RAX bit 63 calls the P-SEAMLDR, of which there is none: VMfailInvalid")
}
