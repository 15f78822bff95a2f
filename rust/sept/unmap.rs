// SPDX-License-Identifier: GPL-2.0

//! Taking pages away.

use super::{
    Machine,
    Range,
    Result,
    Stop,
    Td,
    Why, //
};
use crate::{
    abi::{
        KeyedPfn,
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
#[inline]
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
#[inline]
pub fn track<S: Seamcall>(seam: &S, td: &Td) -> Result {
    tdh::mem::track(seam, td.tdr).map_err(|error| Stop::refused(0, error))
}

/// Unmaps `range`, which maps the memory from `first` up, and makes that memory fit for use.
///
/// # Errors
///
/// [`Why::Invalid`] if the level is above 1 GiB, or there is no such memory below the KeyID bits;
/// [`Why::Refused`] with the errors of [`tdh::mem::page_remove`]; [`Why::Mismatch`]; [`Why::Lost`].
#[inline]
pub fn remove<M: Machine>(machine: &M, td: &Td, range: &Range, first: Pfn) -> Result {
    let level = range.level();
    if level > Level::G1 || !first.is_aligned_to(level) {
        return Err(Stop::before(Why::Invalid));
    }
    for n in 0..range.nr() {
        // Known before the mapping is gone, since there is no way back then.
        let keyed = range
            .memory(first, n)
            .and_then(|page| Some((page, KeyedPfn::new(page, td.hkid, machine.keyid_shift())?)));
        let Some((page, keyed)) = keyed else {
            return Err(Stop {
                done: n,
                why: Why::Invalid,
            });
        };
        let removed = tdh::mem::page_remove(machine, td.tdr, range.entry(n))
            .map_err(|error| Stop::refused(n, error))?;
        if removed != page {
            return Err(Stop {
                done: n,
                why: Why::Mismatch(removed),
            });
        }
        for small in 0..level.pages() {
            tdh::phymem::page_wbinvd(machine, keyed.page(small)).map_err(|error| Stop {
                done: n,
                why: Why::Lost(error),
            })?;
        }
        machine.reset(page, level);
    }
    Ok(())
}
