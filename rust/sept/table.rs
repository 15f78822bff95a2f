// SPDX-License-Identifier: GPL-2.0

//! Table pages.

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

/// Returns the entry that a table page can be below.
#[inline(always)]
fn parent(gpa: Gpa, level: Level) -> Result<GpaWord> {
    match gpa.at(level) {
        Some(at) if level > Level::K4 => Ok(at),
        _ => Err(Stop::before(Why::Invalid)),
    }
}

/// Links `table` below the entry of `level` that begins at `gpa`.
///
/// # Errors
///
/// [`Why::Invalid`] if no table can be below such an entry; [`Why::NotConvertible`];
/// [`Why::Refused`] with the errors of [`tdh::mem::sept_add`].
///
/// # Safety
///
/// `table` must be the caller's to give; nobody may access it until it has come back.
#[inline(always)]
pub unsafe fn link<M: Machine>(machine: &M, td: &Td, gpa: Gpa, level: Level, table: Pfn) -> Result {
    let at = parent(gpa, level)?;
    prepare(machine, table, 1, Level::K4)?;
    // SAFETY: `table` is the caller's to give.
    unsafe { tdh::mem::sept_add(machine, td.tdr, at, table) }
        .map_err(|error| Stop::refused(0, error))
}

/// Unlinks the table page below the entry of `level` at `gpa`, which maps nothing, and returns it, fit
/// for use.
///
/// Once the TD is final, the entry has to be blocked and tracked before.
///
/// # Errors
///
/// [`Why::Invalid`] if no table can be below such an entry; [`Why::Refused`] with the errors of
/// [`tdh::mem::sept_remove`], see [`Why::conflict`]; [`Why::Lost`] if the page cannot be used.
pub fn unlink<M: Machine>(machine: &M, td: &Td, gpa: Gpa, level: Level) -> Result<Pfn> {
    let at = parent(gpa, level)?;
    let table =
        tdh::mem::sept_remove(machine, td.tdr, at).map_err(|error| Stop::refused(0, error))?;
    back::table(machine, td, table).map_err(Stop::before)
}

/// Takes back a table page of a TD whose KeyID is free.
///
/// # Errors
///
/// [`Why::Refused`] with the errors of [`tdh::phymem::page_reclaim`]; the page is lost to the host
/// unless a later call succeeds.
pub fn free_table<M: Machine>(machine: &M, table: Pfn) -> Result {
    tdh::phymem::page_reclaim(machine, table).map_err(|error| Stop::refused(0, error))?;
    // No cache line with the TD's key is left: a KeyID is freed only after the caches were written
    // back on all packages.
    machine.reset(table, Level::K4);
    Ok(())
}
