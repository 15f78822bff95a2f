// SPDX-License-Identifier: GPL-2.0

//! The private memory of a TD.

use super::{
    state::Mapped,
    Core,
    Host,
    Td, //
};
use crate::{
    abi::{
        sept::span::Span,
        Gpa,
        GpaWord,
        Level, //
    },
    seamcall,
    sept::{
        self,
        Cost,
        Flush,
        Machine,
        Memory,
        Partial,
        Range,
        Run,
        Stop,
        Why, //
    },
    tdh, //
};

impl<M: Machine, H: Host, S: Mapped> Td<M, H, S> {
    /// Maps the pieces of `memory` from `gpa` up, see [`sept::map`].
    ///
    /// # Errors
    ///
    /// Those of [`sept::map`]; [`Why::NoMemory`] also if the host cannot keep account of the memory.
    /// What is not mapped is the host's again.
    ///
    /// # Safety
    ///
    /// The memory must be the caller's to give; nobody may access it until the host was told that it is
    /// back.
    pub unsafe fn map(
        &mut self,
        gpa: Gpa,
        memory: &[Memory],
        largest: Level,
    ) -> Result<Cost, Partial> {
        self.lending(
            memory,
            |Core {
                 machine, host, id, ..
             }| {
                // SAFETY: The caller gives the memory, and the host the tables.
                unsafe { sept::map(machine, id, gpa, memory, largest, host) }
            },
        )
    }

    /// Lets the host keep account of `memory` while `map` maps it, and of what is mapped from then on.
    pub(super) fn lending(
        &mut self,
        memory: &[Memory],
        map: impl FnOnce(&mut Core<M, H>) -> Result<Cost, Partial>,
    ) -> Result<Cost, Partial> {
        let core = &mut self.core;
        for (n, piece) in memory.iter().enumerate() {
            if !core.host.lend(*piece) {
                for piece in memory.iter().take(n) {
                    core.host.memory_back(*piece);
                }
                return Err(Partial {
                    pages: 0,
                    why: Why::NoMemory,
                    cost: Cost::default(),
                });
            }
        }
        let result = map(core);
        if let Err(partial) = &result {
            let mut mapped = partial.pages;
            for piece in memory {
                let skip = mapped.min(piece.pages);
                mapped = mapped.wrapping_sub(skip);
                let pages = piece.pages.wrapping_sub(skip);
                if let (Some(first), 1..) = (piece.first.checked_add(skip), pages) {
                    core.host.memory_back(Memory { first, pages });
                }
            }
        }
        result
    }

    /// Unmaps `runs`, see [`sept::unmap`]. The host is told of the memory that is its own again.
    ///
    /// # Errors
    ///
    /// Those of [`sept::unmap`]. Memory that is lost comes back with the end of the TD.
    pub fn unmap(&mut self, runs: &[Run], flush: Flush) -> Result<Cost, Partial> {
        let Core {
            machine, host, id, ..
        } = &mut self.core;
        let result = sept::unmap(machine, id, runs, flush, host);
        let mut unmapped = result
            .as_ref()
            .map_or_else(|partial| partial.pages, |_| u64::MAX);
        for run in runs {
            let pages = run.range().pages().min(unmapped);
            unmapped = unmapped.wrapping_sub(pages);
            if pages > 0 {
                host.memory_back(Memory {
                    first: run.first(),
                    pages,
                });
            }
        }
        result
    }

    /// Gives the host the table pages below the entries of `range` that map nothing, see
    /// [`sept::unlink_empty`].
    ///
    /// # Errors
    ///
    /// Those of [`sept::unlink_empty`].
    pub fn unlink_empty(&mut self, range: &Range) -> Result<Cost, Partial> {
        let Core {
            machine, host, id, ..
        } = &mut self.core;
        sept::unlink_empty(machine, id, range, host)
    }

    /// Splits the mapping of `level` at `gpa`, with a table page from the host.
    ///
    /// # Errors
    ///
    /// Those of [`sept::block`], [`sept::track`] and [`sept::split`]; [`Why::NoMemory`]. The mapping is
    /// as it was, unless making it accessible again is refused as well.
    pub fn split(&mut self, gpa: Gpa, level: Level) -> sept::Result {
        let table = self.core.host.take_page().ok_or(Stop {
            done: 0,
            why: Why::NoMemory,
        })?;
        let result = self.set_aside(gpa, level, |machine, id| {
            // SAFETY: The host has given the page.
            unsafe { sept::split(machine, id, gpa, level, table) }
        });
        if result.is_err() {
            self.core.host.return_page(table);
        }
        result
    }

    /// Merges the 512 mappings below the entry of `level` at `gpa`, and gives the host the table page
    /// back.
    ///
    /// # Errors
    ///
    /// Those of [`sept::block`], [`sept::track`] and [`sept::merge`]. The mappings are as they were,
    /// unless making them accessible again is refused as well.
    pub fn merge(&mut self, gpa: Gpa, level: Level) -> sept::Result {
        let table = self.set_aside(gpa, level, |machine, id| {
            sept::merge(machine, id, gpa, level)
        })?;
        self.core.host.table_back(gpa, level, table);
        Ok(())
    }

    /// Changes the entry of `level` at `gpa` with `change` while no vCPU can use it.
    fn set_aside<T>(
        &mut self,
        gpa: Gpa,
        level: Level,
        change: impl FnOnce(&M, &sept::Td) -> sept::Result<T>,
    ) -> sept::Result<T> {
        let Core {
            machine, host, id, ..
        } = &mut self.core;
        let range = Range::new(gpa, level, 1).ok_or(Stop {
            done: 0,
            why: Why::Invalid,
        })?;
        if !S::FINAL {
            return change(machine, id);
        }
        sept::block(machine, id, &range)?;
        let result = sept::track(machine, id).and_then(|()| {
            host.kick();
            change(machine, id)
        });
        if matches!(
            &result,
            Err(Stop {
                why: Why::Refused(_),
                ..
            })
        ) {
            // The first refusal is what the caller has to know.
            let _ = sept::unblock(machine, id, &range);
        }
        result
    }

    /// Reads the entry of `level` at `gpa`.
    ///
    /// # Errors
    ///
    /// Those of [`tdh::mem::sept_rd`].
    pub fn entry(&self, gpa: Gpa, level: Level) -> seamcall::Result<tdh::mem::SeptEntry> {
        let at = GpaWord::from_raw(gpa.align_down(level).get() | level.raw());
        tdh::mem::sept_rd(&self.core.machine, self.core.id.tdr, at)
    }

    /// Tells `f` of all that the entries of `range` hold, see [`sept::walk`].
    ///
    /// # Errors
    ///
    /// Those of [`sept::walk`].
    pub fn walk(&self, range: &Range, f: impl FnMut(&Span)) -> seamcall::Result {
        sept::walk(&self.core.machine, &self.core.id, range, f)
    }
}
