// SPDX-License-Identifier: GPL-2.0

//! Mapping whole ranges, with the largest pages and the fewest calls.

use super::{
    prepare,
    Conflict,
    Cost,
    Host,
    Machine,
    Partial,
    Range,
    Td,
    Why, //
};
use crate::{
    abi::{
        Gpa,
        Level,
        Pfn, //
    },
    tdh, //
};

/// Contiguous memory of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// The first page.
    pub first: Pfn,
    /// Number of 4 KiB pages.
    pub pages: u64,
}

/// Maps the pieces of `memory`, one after the other, from `gpa` up, for the guest to accept: with
/// 2 MiB pages where both addresses and the length of the piece allow it and `largest` does not
/// forbid it, else with 4 KiB pages. Table pages that are missing come from `host`.
///
/// Where a table page is in the place of a 2 MiB page already, 4 KiB pages are mapped.
///
/// # Errors
///
/// [`Why::Invalid`] if the range goes beyond 2^52 or there is no such memory, and
/// [`Why::NotConvertible`], before anything was called; [`Why::NoMemory`]; [`Why::Refused`] with the
/// errors of [`tdh::mem::page_aug`] and [`tdh::mem::sept_add`], see [`Why::conflict`].
///
/// # Safety
///
/// The memory, and the pages that `host` gives, must be the caller's to give; nobody may access them
/// until they have come back.
pub unsafe fn map<M: Machine, H: Host>(
    machine: &M,
    td: &Td,
    gpa: Gpa,
    memory: &[Memory],
    largest: Level,
    host: &mut H,
) -> Result<Cost, Partial> {
    let mut mapper = Mapper::new(machine, td, host);
    let mut done = 0;
    let result = check(machine, gpa, memory).and_then(|flushes| {
        mapper.cost.cache_calls = flushes;
        memory.iter().try_for_each(|piece| {
            // SAFETY: The caller gives memory and tables.
            unsafe { mapper.piece(gpa, piece, largest, &mut done) }
        })
    });
    mapper.cost.of(done, result)
}

/// Maps the pages from `first` up at `range`, with copies of the pages from `source` up, before the TD
/// is final. Table pages that are missing come from `host`.
///
/// # Errors
///
/// [`Why::Invalid`] if the level is not 4 KiB or there is no memory of that number, and
/// [`Why::NotConvertible`], before anything was called; [`Why::NoMemory`]; [`Why::Refused`] with the
/// errors of [`tdh::mem::page_add`] and [`tdh::mem::sept_add`].
///
/// # Safety
///
/// The pages from `first`, and those that `host` gives, must be the caller's to give; nobody may access
/// them until they have come back. The pages from `source` must not change during the call.
pub unsafe fn map_initial<M: Machine, H: Host>(
    machine: &M,
    td: &Td,
    range: &Range,
    first: Pfn,
    source: Pfn,
    host: &mut H,
) -> Result<Cost, Partial> {
    let mut mapper = Mapper::new(machine, td, host);
    let mut done = 0;
    let result = check_initial(machine, range, first, source).and_then(|flushes| {
        mapper.cost.cache_calls = flushes;
        range.entries().try_for_each(|at| {
            let (Some(page), Some(source)) = (first.checked_add(done), source.checked_add(done))
            else {
                return Err(Why::Invalid);
            };
            // SAFETY: The caller gives pages and tables, and keeps the sources as they are.
            unsafe { mapper.initial_page(at.gpa(), page, source) }?;
            done += 1;
            Ok(())
        })
    });
    mapper.cost.of(done, result)
}

/// Checks everything about initial memory that can be checked beforehand, and makes it ready to be
/// given. Returns how many calls on caches that took.
fn check_initial<M: Machine>(
    machine: &M,
    range: &Range,
    first: Pfn,
    source: Pfn,
) -> Result<u64, Why> {
    // A range is not empty.
    if range.level() != Level::K4 || source.checked_add(range.pages().wrapping_sub(1)).is_none() {
        return Err(Why::Invalid);
    }
    prepare(machine, first, range.pages(), Level::K4).map_err(|stop| stop.why)
}

/// Links the table pages that are missing above the entry of `level` at `gpa`, with pages from `host`.
///
/// # Errors
///
/// [`Why::Invalid`] if there is no such entry; [`Why::NoMemory`]; [`Why::Refused`] with the errors of
/// [`tdh::mem::sept_add`], see [`Why::conflict`].
///
/// # Safety
///
/// The pages that `host` gives must be the caller's to give; nobody may access them until they have
/// come back.
pub unsafe fn link_tables<M: Machine, H: Host>(
    machine: &M,
    td: &Td,
    gpa: Gpa,
    level: Level,
    host: &mut H,
) -> Result<Cost, Partial> {
    let mut mapper = Mapper::new(machine, td, host);
    // SAFETY: The caller gives the tables.
    let result = unsafe { mapper.tables(gpa, level) };
    mapper.cost.of(0, result)
}

/// Checks everything that can be checked beforehand, and makes the memory ready to be given. Returns
/// how many calls on caches that took.
fn check<M: Machine>(machine: &M, gpa: Gpa, memory: &[Memory]) -> Result<u64, Why> {
    let mut calls = 0u64;
    let mut room = gpa.room_above() >> Level::K4.shift();
    for piece in memory {
        room = room.checked_sub(piece.pages).ok_or(Why::Invalid)?;
        let prepared = prepare(machine, piece.first, piece.pages, Level::K4);
        calls = calls.wrapping_add(prepared.map_err(|stop| stop.why)?);
    }
    Ok(calls)
}

struct Mapper<'a, M, H> {
    machine: &'a M,
    td: &'a Td,
    host: &'a mut H,
    /// Start of what the table page covers that was last seen to be there, and level of its entries.
    covered: Option<(Gpa, Level)>,
    cost: Cost,
}

impl<'a, M: Machine, H: Host> Mapper<'a, M, H> {
    fn new(machine: &'a M, td: &'a Td, host: &'a mut H) -> Self {
        Self {
            machine,
            td,
            host,
            covered: None,
            cost: Cost::default(),
        }
    }

    /// Maps one piece, `done` pages above `base`.
    ///
    /// # Safety
    ///
    /// As for [`map`].
    unsafe fn piece(
        &mut self,
        base: Gpa,
        piece: &Memory,
        largest: Level,
        done: &mut u64,
    ) -> Result<(), Why> {
        let mut offset = 0;
        // Below this offset a table page is in the place of a larger page.
        let mut small_until = 0;
        while offset < piece.pages {
            let gpa = base
                .checked_add(*done << Level::K4.shift())
                .ok_or(Why::Invalid)?;
            let page = piece.first.checked_add(offset).ok_or(Why::Invalid)?;
            // `offset` is below the number of pages.
            let left = piece.pages.wrapping_sub(offset);
            let large = largest >= Level::M2
                && offset >= small_until
                && left >= Level::M2.pages()
                && gpa.is_aligned_to(Level::M2)
                && page.is_aligned_to(Level::M2);
            let level = if large { Level::M2 } else { Level::K4 };

            // SAFETY: As for this function.
            let mapped = unsafe { self.page(gpa, level, page) };
            if let Err(why) = mapped {
                if large && why.conflict() == Some(Conflict::Smaller) {
                    small_until = offset.wrapping_add(Level::M2.pages());
                    continue;
                }
                return Err(why);
            }
            // Both are below 2^40.
            offset = offset.wrapping_add(level.pages());
            *done = done.wrapping_add(level.pages());
        }
        Ok(())
    }

    /// Maps one page.
    ///
    /// # Safety
    ///
    /// As for [`map`].
    unsafe fn page(&mut self, gpa: Gpa, level: Level, page: Pfn) -> Result<(), Why> {
        // SAFETY: As for this function.
        unsafe { self.tables(gpa, level) }?;
        let at = gpa.at(level).ok_or(Why::Invalid)?;
        self.cost.sept_calls += 1;
        // SAFETY: The caller gives the memory.
        unsafe { tdh::mem::page_aug(self.machine, self.td.tdr, at, page) }.map_err(Why::Refused)
    }

    /// Maps one page of initial memory.
    ///
    /// # Safety
    ///
    /// As for [`map_initial`].
    unsafe fn initial_page(&mut self, gpa: Gpa, page: Pfn, source: Pfn) -> Result<(), Why> {
        // SAFETY: As for this function.
        unsafe { self.tables(gpa, Level::K4) }?;
        self.cost.sept_calls += 1;
        // SAFETY: As for this function.
        unsafe { tdh::mem::page_add(self.machine, self.td.tdr, gpa, page, source) }
            .map_err(Why::Refused)
    }

    /// Links the table pages that are missing above the entry of `level` at `gpa`.
    ///
    /// # Safety
    ///
    /// As for [`map`].
    unsafe fn tables(&mut self, gpa: Gpa, level: Level) -> Result<(), Why> {
        let parent = level.up().ok_or(Why::Invalid)?;
        let covered = Some((gpa.align_down(parent), level));
        if self.covered == covered {
            return Ok(());
        }
        // Asking is one call for a whole table of entries, however many table pages are missing.
        let at = gpa.at(level).ok_or(Why::Invalid)?;
        self.cost.sept_calls += 1;
        if let Err(error) = tdh::mem::sept_rd(self.machine, self.td.tdr, at) {
            let why = Why::Refused(error);
            let Some(Conflict::Free(mut missing)) = why.conflict() else {
                return Err(why);
            };
            while missing > level {
                // SAFETY: As for this function.
                unsafe { self.link(gpa.align_down(missing), missing) }?;
                missing = missing.down().ok_or(Why::Invalid)?;
            }
        }
        self.covered = covered;
        Ok(())
    }

    /// Links a table page.
    ///
    /// # Safety
    ///
    /// As for [`map`].
    unsafe fn link(&mut self, gpa: Gpa, level: Level) -> Result<(), Why> {
        let table = self.host.take_page().ok_or(Why::NoMemory)?;
        self.cost.sept_calls += 1;
        self.cost.cache_calls += u64::from(self.machine.clflush_before_alloc());
        // SAFETY: The caller gives the table.
        unsafe { super::link(self.machine, self.td, gpa, level, table) }.map_err(|stop| {
            self.host.return_page(table);
            stop.why
        })
    }
}
