// SPDX-License-Identifier: GPL-2.0

//! Unmapping whole ranges with the fewest calls.
//!
//! Pages are taken away in phases, so that all of a batch share one TDH.MEM.TRACK and one kick of the
//! vCPUs. A page that is mapped costs two calls to remove, whatever its size: 512 that are
//! contiguous are therefore merged first, which costs two calls as well. Merging takes a phase of its
//! own, for the table page has to be blocked and tracked. A batch is what lies in 1 GiB:
//!
//! 1. block the table pages of contiguous runs of 2 MiB; track; merge each into a 2 MiB page;
//! 2. if all of the 1 GiB has become, or was, contiguous 2 MiB pages: the same one level up;
//! 3. block what is mapped now; track; remove it.
//!
//! The host cannot see whether the guest has accepted a page. Where some of a run are accepted and
//! others not, the TDX module refuses to merge: the run is unblocked, and removed page by page.
//!
//! An operation that stops can be begun again with what is left: it takes pages as it finds them,
//! blocked or merged.

use super::{
    back,
    run::Unit,
    Conflict,
    Cost,
    Host,
    Machine,
    Partial,
    Range,
    Run,
    Td,
    Why, //
};
use crate::{
    abi::{
        Gpa,
        GpaWord,
        KeyedPfn,
        Level,
        Pfn,
        Status, //
    },
    seamcall::{
        self,
        Error, //
    },
    tdh, //
};

/// How memory that was removed gets out of the caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// By a TDH.PHYMEM.PAGE.WBINVD for each 4 KiB page, which disturbs nobody else.
    Pages,
    /// By one write-back of all caches of all CPUs for each batch: few calls, but everybody who runs
    /// on the machine waits and loses what is cached.
    Caches,
}

/// Unmaps `runs`, which are in ascending order, and makes their memory fit for use.
///
/// # Errors
///
/// [`Why::Invalid`] if the runs are not in order or their memory lies above the KeyID bits, before
/// anything was called; [`Why::Refused`] with the errors of the leaves that the phases call;
/// [`Why::Mismatch`] and [`Why::Lost`] as for [`remove`](super::remove). Pages after those that are
/// done may be blocked, and merged.
pub fn unmap<M: Machine, H: Host>(
    machine: &M,
    td: &Td,
    runs: &[Run],
    flush: Flush,
    host: &mut H,
) -> Result<Cost, Partial> {
    let mut work = Work::new(machine, td, flush, host);
    let result = check(machine, td, runs).and_then(|()| work.all(runs));
    work.cost.of(work.done, result)
}

/// Unlinks the table pages below the entries of `range` that map nothing, with one
/// TDH.MEM.TRACK and one kick, and hands them to [`Host::table_back`]. Leaves alone entries without
/// a table page, and table pages that have entries in use.
///
/// # Errors
///
/// [`Why::Refused`] with the errors of the leaves that are called; [`Why::Lost`]. Entries after those
/// that are done may be blocked; the same call again goes on.
pub fn unlink_empty<M: Machine, H: Host>(
    machine: &M,
    td: &Td,
    range: &Range,
    host: &mut H,
) -> Result<Cost, Partial> {
    let mut work = Work::new(machine, td, Flush::Pages, host);
    let result = work.unlink(range);
    work.cost.of(work.done, result)
}

/// Checks everything that can be checked beforehand.
fn check<M: Machine>(machine: &M, td: &Td, runs: &[Run]) -> Result<(), Why> {
    let mut end = 0;
    for run in runs {
        let last = run
            .first()
            .checked_add(run.range().pages().saturating_sub(1));
        let keyed = last.and_then(|last| back::keyed(machine, td, last));
        if run.range().gpa().get() < end || keyed.is_none() {
            return Err(Why::Invalid);
        }
        end = run.end();
    }
    Ok(())
}

/// A set of 2 MiB pages in 1 GiB.
#[derive(Clone, Copy, Default)]
struct Set([u64; 8]);

impl Set {
    fn place(gpa: Gpa) -> (usize, u64) {
        let index = (gpa.get() % Level::G1.size()) >> Level::M2.shift();
        // 512 pages are 8 words.
        ((index / 64) as usize, 1 << (index % 64))
    }

    fn insert(&mut self, gpa: Gpa) {
        let (word, bit) = Self::place(gpa);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    fn contains(&self, gpa: Gpa) -> bool {
        let (word, bit) = Self::place(gpa);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    fn is_full(&self) -> bool {
        self.0 == [u64::MAX; 8]
    }
}

/// The runs within 1 GiB from `region` on.
#[derive(Clone, Copy)]
struct Batch<'a> {
    runs: &'a [Run],
    region: Gpa,
}

impl<'a> Batch<'a> {
    /// The batch without the runs beyond it.
    fn cut(self) -> Self {
        let end = self.region.get().wrapping_add(Level::G1.size());
        let runs = self.runs.iter();
        let nr = runs.take_while(|run| run.range().gpa().get() < end).count();
        Self {
            runs: self.runs.get(..nr).unwrap_or_default(),
            ..self
        }
    }

    fn units(self) -> impl Iterator<Item = Unit> + 'a {
        self.runs
            .iter()
            .filter_map(move |run| run.within(self.region))
            .flat_map(Run::units)
    }

    /// The page of 1 GiB that all of the batch can become if it consists of 2 MiB pages.
    fn whole(self) -> Option<Unit> {
        let first = self.units().next()?.first;
        // Where the next unit has to be for there to be no gap, in the guest and in the host.
        let mut next = Some((self.region, first));
        for unit in self.units() {
            if next != Some((unit.gpa, unit.first)) {
                return None;
            }
            let gpa = unit.gpa.checked_add(unit.level.size());
            next = gpa.zip(unit.first.checked_add(unit.level.pages()));
        }
        let end = next.map(|(gpa, _)| gpa) == self.region.checked_add(Level::G1.size());
        (first.is_aligned_to(Level::G1) && end).then_some(Unit {
            gpa: self.region,
            level: Level::G1,
            first,
            merge: true,
        })
    }
}

/// What came of an attempt to merge.
enum Merged {
    /// There is one page now.
    Yes,
    /// The pages are as they were.
    No,
}

struct Work<'a, M, H> {
    machine: &'a M,
    td: &'a Td,
    host: &'a mut H,
    flush: Flush,
    /// 4 KiB pages that are unmapped.
    done: u64,
    cost: Cost,
}

impl<'a, M: Machine, H: Host> Work<'a, M, H> {
    fn new(machine: &'a M, td: &'a Td, flush: Flush, host: &'a mut H) -> Self {
        Self {
            machine,
            td,
            host,
            flush,
            done: 0,
            cost: Cost::default(),
        }
    }

    fn all(&mut self, runs: &[Run]) -> Result<(), Why> {
        let mut rest = runs;
        let mut region = None;
        while let Some(run) = rest.first() {
            let gpa = run.range().gpa().align_down(Level::G1);
            // A run may go on beyond the batch before.
            let this = region.map_or(gpa, |next| gpa.max(next));
            self.batch(
                Batch {
                    runs: rest,
                    region: this,
                }
                .cut(),
            )?;
            let Some(next) = this.checked_add(Level::G1.size()) else {
                break;
            };
            let over = rest
                .iter()
                .take_while(|run| run.end() <= next.get())
                .count();
            rest = rest.get(over..).unwrap_or_default();
            region = Some(next);
        }
        Ok(())
    }

    fn batch(&mut self, batch: Batch<'_>) -> Result<(), Why> {
        let mut large = Set::default();
        for unit in batch
            .units()
            .filter(|unit| unit.level == Level::M2 && !unit.merge)
        {
            large.insert(unit.gpa);
        }
        let whole = match self.merge_small(batch, &mut large)? {
            Found::Larger => batch.whole(),
            Found::AsNamed if large.is_full() => match batch.whole() {
                Some(unit) => self.merge_large(unit)?,
                None => None,
            },
            Found::AsNamed => None,
        };
        match whole {
            Some(unit) => self.leaves(|| core::iter::once(unit)),
            None => self.leaves(|| {
                batch.units().flat_map(move |unit| {
                    let small = (unit.merge && !large.contains(unit.gpa)).then(|| unit.small());
                    let pages = small.flatten().map(pages);
                    let one = pages.is_none().then_some(unit);
                    pages.into_iter().flatten().chain(one)
                })
            }),
        }
    }

    /// Phase 1. Adds to `large` what is a 2 MiB page now.
    fn merge_small(&mut self, batch: Batch<'_>, large: &mut Set) -> Result<Found, Why> {
        let candidates = || batch.units().filter(|unit| unit.merge);
        let mut any = false;
        for unit in candidates() {
            match self.block(unit) {
                Ok(()) => any = true,
                // An attempt before this one got as far as to merge all.
                Err(why) if why.conflict() == Some(Conflict::Larger(Level::G1)) => {
                    return Ok(Found::Larger);
                }
                // Or it got as far as to block it.
                Err(Why::Refused(error)) if is_blocked_table(&error) => {
                    self.reopen(batch.region)?;
                    self.block(unit)?;
                    any = true;
                }
                Err(why) => return Err(why),
            }
        }
        if !any {
            return Ok(Found::AsNamed);
        }
        self.track()?;
        for unit in candidates() {
            if let Merged::Yes = self.merge(unit)? {
                large.insert(unit.gpa);
            }
        }
        Ok(Found::AsNamed)
    }

    /// Phase 2. Returns the unit if it is a page now.
    fn merge_large(&mut self, unit: Unit) -> Result<Option<Unit>, Why> {
        self.block(unit)?;
        self.track()?;
        Ok(match self.merge(unit)? {
            Merged::Yes => Some(unit),
            Merged::No => None,
        })
    }

    /// Phase 3: blocks and removes pages.
    fn leaves<I: Iterator<Item = Unit>>(&mut self, pages: impl Fn() -> I) -> Result<(), Why> {
        for page in pages() {
            self.block(page)?;
        }
        self.track()?;
        let mut removed = 0;
        let result = pages().try_for_each(|page| {
            self.remove(page)?;
            removed += 1;
            Ok(())
        });
        if self.flush == Flush::Caches && removed > 0 {
            self.cost.cache_ipis += self.machine.flush_caches();
            for page in pages().take(removed) {
                self.machine.reset(page.first, page.level);
            }
        }
        result
    }

    fn at(unit: Unit) -> Result<GpaWord, Why> {
        unit.gpa.at(unit.level).ok_or(Why::Invalid)
    }

    fn block(&mut self, unit: Unit) -> Result<(), Why> {
        self.cost.sept_calls += 1;
        tdh::mem::range_block(self.machine, self.td.tdr, Self::at(unit)?)
            .map(|_| ())
            .map_err(Why::Refused)
    }

    fn unblock(&mut self, at: GpaWord) -> Result<(), Why> {
        self.cost.sept_calls += 1;
        tdh::mem::range_unblock(self.machine, self.td.tdr, at).map_err(Why::Refused)
    }

    /// Tracks, and makes all vCPUs leave the guest.
    fn track(&mut self) -> Result<(), Why> {
        self.cost.sept_calls += 1;
        tdh::mem::track(self.machine, self.td.tdr).map_err(Why::Refused)?;
        self.cost.kicks += 1;
        self.host.kick();
        Ok(())
    }

    /// Makes the table page below the 1 GiB at `gpa` accessible that was left blocked.
    fn reopen(&mut self, gpa: Gpa) -> Result<(), Why> {
        self.track()?;
        self.unblock(gpa.at(Level::G1).ok_or(Why::Invalid)?)
    }

    fn merge(&mut self, unit: Unit) -> Result<Merged, Why> {
        let at = Self::at(unit)?;
        self.cost.sept_calls += 1;
        match tdh::mem::page_promote(self.machine, self.td.tdr, at) {
            Ok(table) => {
                self.table_back(unit.gpa, unit.level, table)?;
                Ok(Merged::Yes)
            }
            Err(error) if is_page(&error) => Ok(Merged::Yes),
            Err(error) if error.status.is(Status::EPT_INVALID_PROMOTE_CONDITIONS) => {
                self.cost.not_merged += 1;
                self.unblock(at)?;
                Ok(Merged::No)
            }
            Err(error) => Err(Why::Refused(error)),
        }
    }

    fn table_back(&mut self, gpa: Gpa, level: Level, table: Pfn) -> Result<(), Why> {
        self.cost.cache_calls += 1;
        let table = back::table(self.machine, self.td, table)?;
        self.host.table_back(gpa, level, table);
        Ok(())
    }

    fn remove(&mut self, page: Unit) -> Result<(), Why> {
        let keyed = back::keyed(self.machine, self.td, page.first).ok_or(Why::Invalid)?;
        self.cost.sept_calls += 1;
        let removed = tdh::mem::page_remove(self.machine, self.td.tdr, Self::at(page)?)
            .map_err(Why::Refused)?;
        if removed != page.first {
            return Err(Why::Mismatch(removed));
        }
        if self.flush == Flush::Pages {
            self.flush_page(page, keyed).map_err(Why::Lost)?;
        }
        // Below 2^40.
        self.done = self.done.wrapping_add(page.level.pages());
        Ok(())
    }

    fn flush_page(&mut self, page: Unit, keyed: KeyedPfn) -> Result<(), seamcall::Error> {
        self.cost.cache_calls += page.level.pages();
        back::make_usable(self.machine, page.first, keyed, page.level)
    }

    fn unlink(&mut self, range: &Range) -> Result<(), Why> {
        let level = range.level();
        let mut linked = 0u64;
        for at in range.entries() {
            self.cost.sept_calls += 1;
            match tdh::mem::range_block(self.machine, self.td.tdr, at).map_err(Why::Refused) {
                Ok(_) => linked += 1,
                Err(why) if matches!(why.conflict(), Some(Conflict::Free(_))) => (),
                Err(why) => return Err(why),
            }
        }
        if linked == 0 {
            return Ok(());
        }
        self.track()?;
        for at in range.entries() {
            self.cost.sept_calls += 1;
            let removed = tdh::mem::sept_remove(self.machine, self.td.tdr, at);
            match removed.map_err(Why::Refused) {
                Ok(table) => self.table_back(at.gpa(), level, table)?,
                Err(why) if matches!(why.conflict(), Some(Conflict::Free(_))) => (),
                // In use, or a page of that size.
                Err(why) if why.conflict() == Some(Conflict::NotEmpty) => self.unblock(at)?,
                Err(Why::Refused(error)) if is_page(&error) => self.unblock(at)?,
                Err(why) => return Err(why),
            }
            self.done = self.done.wrapping_add(level.pages());
        }
        Ok(())
    }
}

/// What an attempt before has left.
enum Found {
    /// All is mapped by one page of 1 GiB.
    Larger,
    /// Nothing that changes the plan.
    AsNamed,
}

/// The pages of a run of 4 KiB pages, one by one.
fn pages(run: Run) -> impl Iterator<Item = Unit> {
    let range = *run.range();
    (0..range.nr()).filter_map(move |n| {
        Some(Unit {
            gpa: range.entry(n).gpa(),
            level: range.level(),
            first: range.memory(run.first(), n)?,
            merge: false,
        })
    })
}

/// Whether a leaf that works on table pages found a page in the place of one.
fn is_page(error: &Error) -> bool {
    error.status.is(Status::EPT_ENTRY_STATE_INCORRECT)
        && error
            .entry()
            .and_then(|(_, info)| info.state())
            .is_some_and(|state| state.is_leaf())
}

/// Whether a walk ended at a table page that is blocked.
fn is_blocked_table(error: &Error) -> bool {
    error.status.is(Status::EPT_WALK_FAILED)
        && error
            .entry()
            .and_then(|(_, info)| info.state())
            .is_some_and(|state| state.is_blocked() && !state.is_leaf())
}
