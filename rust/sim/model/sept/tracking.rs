// SPDX-License-Identifier: GPL-2.0

//! TLB tracking: whether a processor may still have a translation of a blocked entry.
//!
//! TDX ABI: "TLB tracking". An entry records the TD epoch in which it was blocked (BEPOCH). A vCPU
//! that enters the guest in a later epoch cannot have the translation, and those that entered in
//! that epoch or before are counted.

use super::super::{
    platform::Platform,
    td::Td,
    tdcs::fields, //
};
use crate::abi::state::OpState;

/// BEPOCH then is a migration epoch.
const MIGRATION: u64 = 1 << 63;

/// Whether no processor can have a translation of an entry that was blocked in epoch `bepoch`.
pub fn is_done<P: Platform>(td: &Td<'_, P>, bepoch: u64) -> bool {
    let previous = previous_epoch(td);
    bepoch & MIGRATION == 0
        && (bepoch < previous || (bepoch == previous && references(td, bepoch) == 0))
}

/// The epoch before the current one; the first epoch of a TD is 1.
pub fn previous_epoch<P: Platform>(td: &Td<'_, P>) -> u64 {
    td.tdcs.get(fields::TD_EPOCH).wrapping_sub(1)
}

/// The number of vCPUs in the guest that entered in `epoch`, the current or the previous one.
pub fn references<P: Platform>(td: &Td<'_, P>, epoch: u64) -> u64 {
    td.tdcs.get(fields::REFCOUNT.element((epoch & 1) as u32))
}

/// Whether vCPUs may run, so that tracking is needed.
pub fn is_needed<P: Platform>(td: &Td<'_, P>) -> bool {
    matches!(
        td.op_state(),
        Some(OpState::Runnable | OpState::LiveExport | OpState::LiveImport)
    )
}
