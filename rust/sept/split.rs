// SPDX-License-Identifier: GPL-2.0

//! Splitting large mappings, and merging small ones.

use super::{
    back,
    prepare,
    Machine,
    Result,
    Stop,
    Td,
    Why, //
};
use crate::{
    abi::{
        Gpa,
        GpaWord,
        Level,
        Pfn, //
    },
    tdh, //
};

/// Returns the entry of a mapping that can be split, or merged to.
fn large(gpa: Gpa, level: Level) -> Result<GpaWord> {
    match (gpa.at(level), level) {
        (Some(at), Level::M2 | Level::G1) => Ok(at),
        _ => Err(Stop::before(Why::Invalid)),
    }
}

/// Splits the mapping of `level` at `gpa` into 512 of the level below, with `table` as table page.
///
/// Once the TD is final, the mapping has to be blocked and tracked before, as for
/// [`remove`](super::remove); the smaller mappings are not blocked.
///
/// # Errors
///
/// [`Why::Invalid`] if a mapping of that level cannot be split; [`Why::NotConvertible`];
/// [`Why::Refused`] with the errors of [`tdh::mem::page_demote`].
///
/// # Safety
///
/// `table` must be the caller's to give; nobody may access it until it has come back.
pub unsafe fn split<M: Machine>(
    machine: &M,
    td: &Td,
    gpa: Gpa,
    level: Level,
    table: Pfn,
) -> Result {
    let at = large(gpa, level)?;
    prepare(machine, table, 1, Level::K4)?;
    // SAFETY: `table` is the caller's to give.
    unsafe { tdh::mem::page_demote(machine, td.tdr, at, table) }
        .map_err(|error| Stop::refused(0, error))
}

/// Merges the 512 mappings below the entry of `level` at `gpa` into one, and returns the table page
/// that mapped them, fit for use.
///
/// Once the TD is final, the entry has to be blocked and tracked before; the merged mapping is not
/// blocked.
///
/// # Errors
///
/// [`Why::Invalid`] if there are no mappings of that level; [`Why::Refused`] with the errors of
/// [`tdh::mem::page_promote`], see [`Why::conflict`]; [`Why::Lost`] if the table page cannot be used.
pub fn merge<M: Machine>(machine: &M, td: &Td, gpa: Gpa, level: Level) -> Result<Pfn> {
    let at = large(gpa, level)?;
    let table =
        tdh::mem::page_promote(machine, td.tdr, at).map_err(|error| Stop::refused(0, error))?;
    back::table(machine, td, table).map_err(Stop::before)
}
