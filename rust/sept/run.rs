// SPDX-License-Identifier: GPL-2.0

//! Mapped memory as runs: pieces of a range that are contiguous in guest and host.

use super::Range;
use crate::abi::{
    Gpa,
    Level,
    Pfn, //
};

/// A range and the memory that it maps, which is contiguous.
///
/// # Invariants
///
/// The memory is aligned to the level of the range, which is at most 1 GiB, and ends below 2^52.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    range: Range,
    first: Pfn,
}

/// A part of a run that the operations treat as one: mapped by one entry of `level`, or, if `merge`,
/// by 512 entries below it that may become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) gpa: Gpa,
    pub(super) level: Level,
    pub(super) first: Pfn,
    pub(super) merge: bool,
}

impl Unit {
    /// The range of the entries that map the unit when it is not merged.
    pub(super) fn small(&self) -> Option<Run> {
        let range = Range::new(self.gpa, Level::K4, self.level.pages())?;
        Run::new(range, self.first)
    }
}

impl Run {
    /// Creates a run of `range` and the memory from `first` on.
    ///
    /// `None` if that is not aligned to the level, the level is above 1 GiB, or there is no such
    /// memory.
    pub fn new(range: Range, first: Pfn) -> Option<Self> {
        let last = first.checked_add(range.pages().checked_sub(1)?);
        // INVARIANT: Checked here.
        (first.is_aligned_to(range.level()) && range.level() <= Level::G1 && last.is_some())
            .then_some(Self { range, first })
    }

    /// Returns the range.
    pub fn range(&self) -> &Range {
        &self.range
    }

    /// Returns the first page of the memory.
    pub fn first(&self) -> Pfn {
        self.first
    }

    /// Returns the guest-physical address where the run ends.
    pub(super) fn end(&self) -> u64 {
        // Does not wrap: a range ends at 2^52 at most.
        let size = self.range.pages() << Level::K4.shift();
        self.range.gpa().get().wrapping_add(size)
    }

    /// Returns the rest of the run after its first `pages` pages, whole mappings.
    pub fn after(&self, pages: u64) -> Option<Self> {
        let level = self.range.level();
        let gpa = self.range.gpa().checked_add(pages << Level::K4.shift())?;
        let nr = self.range.nr().checked_sub(pages / level.pages())?;
        Self::new(Range::new(gpa, level, nr)?, self.first.checked_add(pages)?)
    }

    /// Returns the part of the run below `end`, the start of a page of its level.
    fn before(&self, end: u64) -> Option<Self> {
        let room = end.checked_sub(self.range.gpa().get())?;
        let nr = (room >> self.range.level().shift()).min(self.range.nr());
        Self::new(
            Range::new(self.range.gpa(), self.range.level(), nr)?,
            self.first,
        )
    }

    /// Returns the part of the run in the 1 GiB that begin at `region`.
    pub(super) fn within(&self, region: Gpa) -> Option<Self> {
        let start = region.get().checked_sub(self.range.gpa().get());
        let rest = match start {
            Some(bytes) => self.after(bytes >> Level::K4.shift())?,
            None => *self,
        };
        rest.before(region.get().wrapping_add(Level::G1.size()))
    }

    /// Returns the units of the run, in their order.
    pub(super) fn units(self) -> impl Iterator<Item = Unit> {
        let mut rest = Some(self);
        core::iter::from_fn(move || {
            let run = rest?;
            let gpa = run.range.gpa();
            let merge = run.range.level() == Level::K4
                && run.range.nr() >= Level::M2.pages()
                && gpa.is_aligned_to(Level::M2)
                && run.first.is_aligned_to(Level::M2);
            let unit = Unit {
                gpa,
                level: if merge { Level::M2 } else { run.range.level() },
                first: run.first,
                merge,
            };
            rest = run.after(unit.level.pages());
            Some(unit)
        })
    }
}
