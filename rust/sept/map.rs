// SPDX-License-Identifier: GPL-2.0

//! Mapping pages.

use super::{
    prepare,
    Machine,
    Range,
    Result,
    Stop,
    Td,
    Why, //
};
use crate::{
    abi::{
        Level,
        Pfn, //
    },
    tdh, //
};

/// Maps the pages from `first` up at `range`, with copies of the pages from `source` up, before the
/// TD is final.
///
/// # Errors
///
/// [`Why::Invalid`] if the level is not 4 KiB or there is no memory of that number;
/// [`Why::NotConvertible`]; [`Why::Refused`] with the errors of [`tdh::mem::page_add`].
///
/// # Safety
///
/// The pages from `first` must be the caller's to give; nobody may access them until they have come
/// back. The pages from `source` must not change during the call.
pub unsafe fn add<M: Machine>(
    machine: &M,
    td: &Td,
    range: &Range,
    first: Pfn,
    source: Pfn,
) -> Result {
    if range.level() != Level::K4 {
        return Err(Stop::before(Why::Invalid));
    }
    prepare(machine, first, range.pages(), Level::K4)?;
    for n in 0..range.nr() {
        let (Some(page), Some(source)) = (range.memory(first, n), range.memory(source, n)) else {
            return Err(Stop {
                done: n,
                why: Why::Invalid,
            });
        };
        let gpa = range.entry(n).gpa();
        // SAFETY: The caller gives all of the pages, and keeps the sources as they are.
        unsafe { tdh::mem::page_add(machine, td.tdr, gpa, page, source) }
            .map_err(|error| Stop::refused(n, error))?;
    }
    Ok(())
}

/// Maps the memory from `first` up at `range`, for the guest to accept. 4 KiB and 2 MiB only.
///
/// # Errors
///
/// [`Why::Invalid`] if the level is another or the memory is not aligned to it;
/// [`Why::NotConvertible`]; [`Why::Refused`] with the errors of [`tdh::mem::page_aug`].
///
/// # Safety
///
/// The memory from `first` must be the caller's to give; nobody may access it until it has come back.
#[inline(always)]
pub unsafe fn aug<M: Machine>(machine: &M, td: &Td, range: &Range, first: Pfn) -> Result {
    if range.level() > Level::M2 {
        return Err(Stop::before(Why::Invalid));
    }
    prepare(machine, first, range.pages(), range.level())?;
    for n in 0..range.nr() {
        let Some(page) = range.memory(first, n) else {
            return Err(Stop {
                done: n,
                why: Why::Invalid,
            });
        };
        // SAFETY: The caller gives all of the memory.
        unsafe { tdh::mem::page_aug(machine, td.tdr, range.entry(n), page) }
            .map_err(|error| Stop::refused(n, error))?;
    }
    Ok(())
}
