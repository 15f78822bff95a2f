// SPDX-License-Identifier: GPL-2.0

//! Taking pages away.

use super::{
    back,
    Machine,
    Range,
    Result,
    Stop,
    Td,
    Why, //
};
use crate::{
    abi::{
        GpaWord,
        Level,
        Pfn, //
    },
    seamcall::Seamcall,
    tdh, //
};

/// Blocks all mappings of `range`. That a mapping is blocked already is fine.
///
/// # Errors
///
/// [`Why::Refused`] with the errors of [`tdh::mem::range_block`].
#[inline(always)]
pub fn block<S: Seamcall>(seam: &S, td: &Td, range: &Range) -> Result {
    for n in 0..range.nr() {
        tdh::mem::range_block(seam, td.tdr, range.entry(n))
            .map_err(|error| Stop::refused(n, error))?;
    }
    Ok(())
}

/// Begins a new epoch of TLB tracking. What was blocked before can be removed when every vCPU has
/// left the guest once.
///
/// # Errors
///
/// [`Why::Refused`] with the errors of [`tdh::mem::track`].
#[inline(always)]
pub fn track<S: Seamcall>(seam: &S, td: &Td) -> Result {
    tdh::mem::track(seam, td.tdr).map_err(|error| Stop::refused(0, error))
}

/// Makes the mappings of `range` usable again that were blocked.
///
/// Once the TD is final, they have to be tracked before.
///
/// # Errors
///
/// [`Why::Refused`] with the errors of [`tdh::mem::range_unblock`].
pub fn unblock<S: Seamcall>(seam: &S, td: &Td, range: &Range) -> Result {
    for n in 0..range.nr() {
        tdh::mem::range_unblock(seam, td.tdr, range.entry(n))
            .map_err(|error| Stop::refused(n, error))?;
    }
    Ok(())
}

/// Unmaps `range`, which maps the memory from `first` up, and makes that memory fit for use.
///
/// # Errors
///
/// [`Why::Invalid`] if the level is above 1 GiB, or there is no such memory below the KeyID bits;
/// [`Why::Refused`] with the errors of [`tdh::mem::page_remove`]; [`Why::Mismatch`]; [`Why::Lost`].
#[inline(always)]
pub fn remove<M: Machine>(machine: &M, td: &Td, range: &Range, first: Pfn) -> Result {
    let level = range.level();
    if level > Level::G1 || !first.is_aligned_to(level) {
        return Err(Stop::before(Why::Invalid));
    }
    for n in 0..range.nr() {
        let stop = |why| Stop { done: n, why };
        let page = range.memory(first, n).ok_or(stop(Why::Invalid))?;
        remove_one(machine, td, range.entry(n), page, level).map_err(stop)?;
    }
    Ok(())
}

/// Unmaps the page of `level` mapped by `at`, and makes it fit for use.
#[inline(always)]
fn remove_one<M: Machine>(
    machine: &M,
    td: &Td,
    at: GpaWord,
    page: Pfn,
    level: Level,
) -> Result<(), Why> {
    // Known before the mapping is gone, since there is no way back then.
    let keyed = back::keyed(machine, td, page).ok_or(Why::Invalid)?;
    let removed = tdh::mem::page_remove(machine, td.tdr, at).map_err(Why::Refused)?;
    if removed != page {
        return Err(Why::Mismatch(removed));
    }
    back::make_usable(machine, page, keyed, level).map_err(Why::Lost)
}
