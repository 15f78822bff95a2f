// SPDX-License-Identifier: GPL-2.0

//! Operations on a TD's secure EPT.
//!
//! They are phases, so that the caller can put its own work between them. To map a page: [`link`]
//! table pages from the root down, then [`add`] (initial memory) or [`aug`] (pages that the guest
//! accepts). To take pages away from a TD that may run: [`block`] the range, [`track`], make every
//! vCPU leave the guest once, [`remove`].
//!
//! [`map`] and [`unmap`] do all of that for whole ranges of memory, with the largest pages and the
//! fewest calls.
//!
//! The phases are always inlined, down to the call: each operation of KVM's is one function, whoever else in
//! the crate has use for its phases.
//!
//! All of them work on ranges and name memory by page frame number alone. Before a page is given to
//! the TDX module the only question asked about it is whether TDX covers it, see
//! [`Machine::convertible`]. An operation that cannot go on says how far it got and why: see
//! [`Stop`].

use crate::{
    abi::{
        sept::State,
        Gpa,
        GpaWord,
        Hkid,
        KeyedPfn,
        Level,
        Pfn,
        Status, //
    },
    seamcall::{
        self,
        Seamcall, //
    },
    tdh, //
};
use core::fmt;

mod back;
mod host;
mod map;
mod map_range;
mod run;
mod split;
mod table;
mod unmap;
mod unmap_range;
mod walk;

pub use host::{
    Cost,
    Host,
    Partial, //
};
pub use map::{
    add,
    aug, //
};
pub use map_range::{
    link_tables,
    map,
    map_initial,
    Memory, //
};
pub use run::Run;
pub use split::{
    merge,
    split, //
};
pub use table::{
    free_table,
    link,
    unlink, //
};
pub use unmap::{
    block,
    remove,
    track,
    unblock, //
};
pub use unmap_range::{
    unlink_empty,
    unmap,
    Flush, //
};
pub use walk::walk;

/// What the operations need from the machine besides its TDX module.
pub trait Machine: Seamcall {
    /// Returns whether TDX covers the `pages` pages from `first`: they lie in TDMRs, outside of all
    /// reserved areas.
    fn convertible(&self, first: Pfn, pages: u64) -> bool;

    /// Returns the position of the KeyID in a physical address.
    fn keyid_shift(&self) -> u32;

    /// Makes memory that came back from the TDX module fit for use by the host, where the CPU needs
    /// more for that than the TDX module does.
    fn reset(&self, first: Pfn, level: Level);

    /// Returns whether the TDX module wants the host to write back and invalidate the cache lines of
    /// memory before it takes it (TDX_FEATURES0.CLFLUSH_BEFORE_ALLOC).
    fn clflush_before_alloc(&self) -> bool;

    /// Writes back and invalidates all caches of all CPUs. Returns how many CPUs were interrupted.
    fn flush_caches(&self) -> u64;
}

impl<T: Machine + ?Sized> Machine for &T {
    #[inline]
    fn convertible(&self, first: Pfn, pages: u64) -> bool {
        (**self).convertible(first, pages)
    }

    #[inline]
    fn keyid_shift(&self) -> u32 {
        (**self).keyid_shift()
    }

    #[inline]
    fn reset(&self, first: Pfn, level: Level) {
        (**self).reset(first, level)
    }

    #[inline]
    fn clflush_before_alloc(&self) -> bool {
        (**self).clflush_before_alloc()
    }

    fn flush_caches(&self) -> u64 {
        (**self).flush_caches()
    }
}

/// A TD, as far as its secure EPT is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Td {
    /// Root page of the TD.
    pub tdr: Pfn,
    /// KeyID of the TD's memory.
    pub hkid: Hkid,
}

/// A range of guest-physical addresses, as a number of mappings of one level.
///
/// # Invariants
///
/// `gpa` is aligned to `level`; there is at least one mapping; the end is at most 2^52.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    gpa: Gpa,
    level: Level,
    nr: u64,
}

impl Range {
    /// Creates a range of `nr` mappings of `level` from `gpa` up.
    ///
    /// `None` if it is empty, not aligned, or reaches beyond 2^52.
    #[inline]
    pub fn new(gpa: Gpa, level: Level, nr: u64) -> Option<Self> {
        let room = gpa.room_above() >> level.shift();
        // INVARIANT: All three are checked here.
        (nr != 0 && nr <= room && gpa.is_aligned_to(level)).then_some(Self { gpa, level, nr })
    }

    /// Returns where the range begins.
    #[inline]
    pub fn gpa(&self) -> Gpa {
        self.gpa
    }

    /// Returns the level of the mappings.
    #[inline]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Returns the number of mappings.
    #[inline]
    pub fn nr(&self) -> u64 {
        self.nr
    }

    /// Returns the number of 4 KiB pages that the range covers.
    #[inline]
    pub fn pages(&self) -> u64 {
        // The invariant keeps this below 2^40.
        self.nr << (self.level.shift() - Level::K4.shift())
    }

    /// Returns the entry of mapping `n`, which must be one of the range.
    #[inline]
    fn entry(&self, n: u64) -> GpaWord {
        // Does not wrap, by the invariant.
        let gpa = self.gpa.get().wrapping_add(n << self.level.shift());
        GpaWord::from_raw(gpa | self.level.raw())
    }

    /// Returns the entries of all mappings, in their order.
    fn entries(&self) -> impl Iterator<Item = GpaWord> + '_ {
        (0..self.nr).map(|n| self.entry(n))
    }

    /// Returns the memory of mapping `n`, where `first` is that of mapping 0.
    #[inline]
    fn memory(&self, first: Pfn, n: u64) -> Option<Pfn> {
        first.checked_add(n << (self.level.shift() - Level::K4.shift()))
    }
}

/// Why an operation stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// An argument makes no sense: no such level for the operation, memory that is not aligned to
    /// the level or does not exist. Nothing was called.
    Invalid,
    /// TDX does not cover all of the memory. Nothing was called.
    NotConvertible,
    /// The host has no page for a table, or no room to keep account of what the TD has.
    NoMemory,
    /// The TDX module refused the mapping; it is as it was before.
    Refused(seamcall::Error),
    /// The TDX module unmapped other memory than the caller named: this. The
    /// mapping is gone, and neither memory was made fit for use.
    Mismatch(Pfn),
    /// The mapping is gone, but its memory could not be made fit for use and is lost to the host.
    Lost(seamcall::Error),
}

/// How far an operation got, and why no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// Number of mappings that are done. They come first in the range.
    pub done: u64,
    /// What happened to the mapping after those.
    pub why: Why,
}

/// What an S-EPT operation found in the place of what it expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// A larger page, of this level, covers the address.
    Larger(Level),
    /// A table page, for smaller pages, is in the place of the page.
    Smaller,
    /// The pages to merge are not contiguous, or not all in the same state.
    NotUniform,
    /// The table page to unlink has entries in use.
    NotEmpty,
    /// The entry, of this level, is free.
    Free(Level),
}

impl Why {
    /// Returns what was in the way, where the TDX module's refusal tells.
    pub fn conflict(&self) -> Option<Conflict> {
        let Self::Refused(error) = self else {
            return None;
        };
        match error.status.class() {
            Status::EPT_INVALID_PROMOTE_CONDITIONS => return Some(Conflict::NotUniform),
            Status::EPT_PAGE_NOT_FREE => return Some(Conflict::NotEmpty),
            _ => (),
        }
        let (_, info) = error.entry()?;
        let (level, state) = (info.level()?, info.state()?);
        match error.status.class() {
            Status::EPT_WALK_FAILED if state.is_leaf() => Some(Conflict::Larger(level)),
            _ if state == State::Free => Some(Conflict::Free(level)),
            Status::EPT_ENTRY_STATE_INCORRECT if !state.is_empty() && !state.is_leaf() => {
                Some(Conflict::Smaller)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid => f.write_str("invalid argument"),
            Self::NotConvertible => f.write_str("not memory that TDX can convert"),
            Self::NoMemory => f.write_str("no memory of the host's for it"),
            Self::Refused(error) => write!(f, "refused, {error}"),
            Self::Mismatch(removed) => write!(f, "unmapped PFN {:#x} instead", removed.get()),
            Self::Lost(error) => write!(f, "memory lost, {error}"),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.why)?;
        if self.done > 0 {
            write!(f, ", after {} mappings", self.done)?;
        }
        Ok(())
    }
}

/// Result of an operation.
pub type Result<T = (), E = Stop> = core::result::Result<T, E>;

impl Stop {
    /// Nothing was called, and nothing changed.
    #[cold]
    fn before(why: Why) -> Self {
        Self { done: 0, why }
    }

    /// The module's refusal of what came after `done` mappings.
    #[cold]
    fn refused(done: u64, error: seamcall::Error) -> Self {
        Self {
            done,
            why: Why::Refused(error),
        }
    }
}

/// Checks memory that is about to be given to the TDX module, and writes its cache lines back if the
/// module wants so. Returns how many calls that took.
#[inline(always)]
fn prepare<M: Machine>(machine: &M, first: Pfn, pages: u64, level: Level) -> Result<u64> {
    if !first.is_aligned_to(level) {
        return Err(Stop::before(Why::Invalid));
    }
    if !machine.convertible(first, pages) {
        return Err(Stop::before(Why::NotConvertible));
    }
    if !machine.clflush_before_alloc() {
        return Ok(0);
    }
    flush(machine, first, pages)
}

/// Writes back and invalidates what caches have of memory of the host.
///
/// The TDX module does it: memory that it is given need not be in the direct map. It refuses memory that
/// is not the host's; why that cannot be given is for the call to say that follows.
#[cold]
fn flush<M: Machine>(machine: &M, first: Pfn, pages: u64) -> Result<u64> {
    let hosts = KeyedPfn::new(first, Hkid::HOST, machine.keyid_shift());
    let hosts = hosts.ok_or(Stop::before(Why::Invalid))?;
    for n in 0..pages {
        match tdh::phymem::page_wbinvd(machine, hosts.page(n)) {
            Err(error) if !error.status.is(Status::PAGE_METADATA_INCORRECT) => {
                return Err(Stop::refused(0, error));
            }
            _ => (),
        }
    }
    Ok(pages)
}
