// SPDX-License-Identifier: GPL-2.0

//! The TDMR table: which memory TDX covers, and where its PAMT is.
//!
//! TDX ABI: TDH.SYS.CONFIG stores the table, TDH.SYS.TDMR.INIT advances through it.

use super::{
    lock::Lock,
    platform::Range, //
};
use crate::abi::Level;
use core::sync::atomic::{
    AtomicU64,
    Ordering::{
        Acquire,
        Relaxed,
        Release, //
    }, //
};

/// Most TDMRs that the module takes.
pub const MAX_TDMRS: usize = 64;

/// Most reserved areas in a TDMR.
pub const MAX_RESERVED: usize = 16;

/// Bytes of a PAMT entry that mean something. In a module of another shape entries are farther apart.
pub const PAMT_ENTRY_SIZE: u64 = 16;

/// Page sizes that have a PAMT of their own, smallest first.
pub const PAMT_LEVELS: [Level; 3] = [Level::K4, Level::M2, Level::G1];

/// The mutex of a TDMR.
pub type TdmrLock<'a> = Lock<&'a AtomicU64, 0, false>;

/// A range of physical memory in words that may be read while they are written.
struct AtomicRange {
    base: AtomicU64,
    size: AtomicU64,
}

impl AtomicRange {
    const fn new() -> Self {
        Self {
            base: AtomicU64::new(0),
            size: AtomicU64::new(0),
        }
    }

    fn get(&self) -> Range {
        Range {
            base: self.base.load(Relaxed),
            size: self.size.load(Relaxed),
        }
    }

    fn set(&self, range: Range) {
        self.base.store(range.base, Relaxed);
        self.size.store(range.size, Relaxed);
    }
}

/// One trust domain memory region.
pub struct Tdmr {
    lock: AtomicU64,
    range: AtomicRange,
    pamt: [AtomicRange; PAMT_LEVELS.len()],
    pamt_entry_sizes: [AtomicU64; PAMT_LEVELS.len()],
    /// First address whose PAMT entries are not initialised.
    next: AtomicU64,
    reserved: [AtomicRange; MAX_RESERVED],
}

impl Tdmr {
    const fn new() -> Self {
        Self {
            lock: AtomicU64::new(0),
            range: AtomicRange::new(),
            pamt: [const { AtomicRange::new() }; PAMT_LEVELS.len()],
            pamt_entry_sizes: [const { AtomicU64::new(0) }; PAMT_LEVELS.len()],
            next: AtomicU64::new(0),
            reserved: [const { AtomicRange::new() }; MAX_RESERVED],
        }
    }

    /// The mutex that TDH.SYS.TDMR.INIT takes.
    pub fn lock(&self) -> TdmrLock<'_> {
        Lock::new(&self.lock)
    }

    /// The memory that the region spans.
    pub fn range(&self) -> Range {
        self.range.get()
    }

    /// The memory of the PAMT for pages of `level`; empty above 1G.
    pub fn pamt(&self, level: Level) -> Range {
        self.pamt
            .get(level as usize)
            .map_or(Range::default(), AtomicRange::get)
    }

    /// The reserved areas, as physical addresses.
    pub fn reserved(&self) -> impl Iterator<Item = Range> + '_ {
        self.reserved
            .iter()
            .map(AtomicRange::get)
            .take_while(|area| area.size != 0)
    }

    /// First address whose PAMT entries are not initialised yet.
    pub fn next(&self) -> u64 {
        self.next.load(Acquire)
    }

    /// Records how far initialisation got.
    pub fn set_next(&self, pa: u64) {
        self.next.store(pa, Release);
    }

    /// First address that TDX cannot use yet: memory becomes usable by the gigabyte.
    pub fn usable_end(&self) -> u64 {
        self.next() & !(Level::G1.size() - 1)
    }

    /// Bytes from a PAMT entry for pages of `level` to the next.
    #[inline]
    pub fn pamt_entry_size(&self, level: Level) -> u64 {
        self.pamt_entry_sizes
            .get(level as usize)
            .map_or(0, |size| size.load(Relaxed))
    }

    /// Address of the PAMT entry of the page of `level` that covers `pa`, an address in the region.
    #[inline]
    pub fn pamt_entry(&self, level: Level, pa: u64) -> u64 {
        let index = pa.wrapping_sub(self.range.base.load(Relaxed)) >> level.shift();
        self.pamt(level)
            .base
            .wrapping_add(index.wrapping_mul(self.pamt_entry_size(level)))
    }
}

/// A TDMR as the host describes it, once it has been found sound.
#[derive(Clone, Copy, Debug, Default)]
pub struct TdmrInfo {
    /// The memory that the region spans.
    pub range: Range,
    /// The memory of its PAMTs, smallest page size first.
    pub pamt: [Range; PAMT_LEVELS.len()],
    /// Bytes of an entry of each.
    pub pamt_entry_sizes: [u64; PAMT_LEVELS.len()],
    /// Its reserved areas as physical addresses, ascending; the unused ones have size 0.
    pub reserved: [Range; MAX_RESERVED],
}

/// The table of all TDMRs, ascending.
pub struct Tdmrs {
    count: AtomicU64,
    entries: [Tdmr; MAX_TDMRS],
}

impl Tdmrs {
    /// An empty table.
    pub const fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            entries: [const { Tdmr::new() }; MAX_TDMRS],
        }
    }

    /// Appends a region; `false` if the table is full.
    #[must_use]
    pub fn push(&self, info: &TdmrInfo) -> bool {
        let count = self.count.load(Relaxed);
        let Some(tdmr) = self.entries.get(count as usize) else {
            return false;
        };
        tdmr.range.set(info.range);
        tdmr.next.store(info.range.base, Relaxed);
        for (to, from) in tdmr.pamt.iter().zip(&info.pamt) {
            to.set(*from);
        }
        for (to, from) in tdmr.pamt_entry_sizes.iter().zip(info.pamt_entry_sizes) {
            to.store(from, Relaxed);
        }
        for (to, from) in tdmr.reserved.iter().zip(&info.reserved) {
            to.set(*from);
        }
        self.count.store(count + 1, Release);
        true
    }

    /// Forgets all regions.
    pub fn clear(&self) {
        self.count.store(0, Release);
    }

    /// The regions that were configured.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &Tdmr> {
        self.entries.iter().take(self.count.load(Acquire) as usize)
    }

    /// The region that has `pa` in its usable part.
    #[inline]
    pub fn covering(&self, pa: u64) -> Option<&Tdmr> {
        self.iter()
            .find(|tdmr| pa >= tdmr.range.base.load(Relaxed) && pa < tdmr.usable_end())
    }
}

impl Default for Tdmrs {
    fn default() -> Self {
        Self::new()
    }
}
