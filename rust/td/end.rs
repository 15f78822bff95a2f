// SPDX-License-Identifier: GPL-2.0

//! The end of a TD.
//!
//! TDX ABI: "TD life cycle". No mapping is blocked, tracked or removed: when the KeyID is free, no vCPU
//! can run, and each page is taken back by one TDH.PHYMEM.PAGE.RECLAIM, at the size that it was mapped.

use super::{
    state::{
        Ending,
        Live,
        TornDown, //
    },
    Core,
    Failed,
    Host,
    Leak,
    Leaked,
    Step,
    Td, //
};
use crate::{
    abi::{
        Level,
        PageType,
        Pfn,
        Status, //
    },
    seamcall::{
        self,
        Error, //
    },
    sept::{
        Machine,
        Memory, //
    },
    tdh::{
        self,
        vp::Flushed, //
    },
};
use core::ops::ControlFlow;

/// Attempts at a call that finds a lock held.
///
/// The locks that these leaves take are those of the TD, which nobody else uses any more, and such that
/// others hold for the time of one call: the table of KeyIDs, and metadata of the pages around.
const BUSY_TRIES: u32 = 1000;

/// How far the end of a TD has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    NotBegun,
    /// TDH.MNG.VPFLUSHDONE is done.
    Flushed,
    /// TDH.MNG.KEY.FREEID is done.
    KeyFreed,
    /// Every page is the host's again, or leaked.
    Done,
}

impl<M: Machine, H: Host, S: Live> Td<M, H, S> {
    /// Tears the TD down: flushes the vCPUs, writes the caches back, frees the KeyID and takes all pages
    /// back.
    ///
    /// # Errors
    ///
    /// [`Why::Refused`](super::Why::Refused) if the KeyID cannot be freed, with the errors of
    /// [`tdh::vp::flush`], [`tdh::mng::vpflushdone`], [`tdh::phymem::cache_wb`] and
    /// [`tdh::mng::key_freeid`]. The TD can be torn down again, and nothing else.
    pub fn tear_down(self) -> Step<Td<M, H, TornDown>, Td<M, H, Ending>> {
        let mut td = self.into_state(Ending::NEW);
        match td.core.free_key() {
            Ok(()) => {
                let leaks = td.core.take_back();
                Ok(td.into_state(TornDown { leaks }))
            }
            Err(error) => Err(Failed::new(td, error)),
        }
    }
}

impl<M: Machine, H: Host> Td<M, H, TornDown> {
    /// Returns how many pieces of memory the TDX module keeps, see [`Host::leaked`].
    pub fn leaks(&self) -> u64 {
        self.state.leaks
    }
}

impl<M: Machine, H: Host> Drop for Core<M, H> {
    fn drop(&mut self) {
        match self.free_key() {
            Ok(()) => {
                self.take_back();
            }
            Err(error) => self.leak(error),
        }
    }
}

/// Calls again for as long as a lock is held, within a limit.
fn persist<T>(mut call: impl FnMut() -> seamcall::Result<T>) -> seamcall::Result<T> {
    let mut tries = 1;
    loop {
        match call() {
            Err(error) if error.is_busy() && tries < BUSY_TRIES => tries += 1,
            result => return result,
        }
    }
}

impl<M: Machine, H: Host> Core<M, H> {
    /// Goes as far as to free the KeyID.
    fn free_key(&mut self) -> seamcall::Result {
        if self.progress == Progress::NotBegun {
            self.flush_vcpus()?;
            persist(|| tdh::mng::vpflushdone(&self.machine, self.id.tdr))?;
            self.progress = Progress::Flushed;
        }
        if self.progress == Progress::Flushed {
            self.write_back_caches()?;
            persist(|| tdh::mng::key_freeid(&self.machine, self.id.tdr))?;
            self.progress = Progress::KeyFreed;
            self.host.return_keyid(self.id.hkid);
        }
        Ok(())
    }

    fn flush_vcpus(&mut self) -> seamcall::Result {
        while let Some(tdvpr) = self.host.vcpus().iter().find_map(|vcpu| *vcpu) {
            self.flush_vcpu(tdvpr)?;
            for room in self.host.vcpus() {
                *room = room.filter(|vcpu| *vcpu != tdvpr);
            }
        }
        Ok(())
    }

    /// Flushes the vCPU on the CPU that it is associated with, if there is one.
    fn flush_vcpu(&mut self, tdvpr: Pfn) -> seamcall::Result {
        let machine = &self.machine;
        let mut outcome = Ok(Flushed::NotAssociated);
        self.host.on_each_cpu(&mut || {
            outcome = persist(|| tdh::vp::flush(machine, tdvpr));
            match outcome {
                Ok(Flushed::NotAssociated) => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        });
        outcome.map(|_| ())
    }

    fn write_back_caches(&mut self) -> seamcall::Result {
        let machine = &self.machine;
        let mut outcome = Ok(());
        self.host.on_each_package(&mut || {
            if outcome.is_ok() {
                outcome = persist(|| tdh::phymem::cache_wb(machine)).map(|_| ());
            }
        });
        outcome
    }

    /// Takes all pages back that the host has lent. Returns how many pieces of memory are leaked.
    fn take_back(&mut self) -> u64 {
        if self.progress == Progress::Done {
            return 0;
        }
        self.progress = Progress::Done;
        let mut leaks = 0;
        while let Some(memory) = self.host.lent() {
            leaks += self.take_memory_back(memory);
        }
        // The root page is taken back when no other page is left.
        leaks + self.take_root_back()
    }

    fn take_memory_back(&mut self, memory: Memory) -> u64 {
        let (mut leaks, mut done) = (0, 0);
        while let Some(page) = memory
            .first
            .checked_add(done)
            .filter(|_| done < memory.pages)
        {
            let level = if page == self.id.tdr {
                Level::K4
            } else {
                match self.reclaim(page) {
                    Ok(level) => {
                        self.back(page, level);
                        level
                    }
                    Err(error) => {
                        let level = self.level_of(page);
                        leaks += 1;
                        self.leak_memory(page, level, error);
                        level
                    }
                }
            };
            done = done.wrapping_add(level.pages());
        }
        leaks
    }

    /// Returns the level that the TDX module keeps a page at.
    fn level_of(&self, page: Pfn) -> Level {
        let metadata = persist(|| tdh::phymem::page_rdmd(&self.machine, page));
        metadata
            .ok()
            .and_then(|page| page.level)
            .unwrap_or(Level::K4)
    }

    /// Takes a page back that the TD may have, and returns its level.
    fn reclaim(&self, page: Pfn) -> seamcall::Result<Level> {
        match persist(|| tdh::phymem::page_reclaim(&self.machine, page)) {
            Ok(metadata) => Ok(metadata.level.unwrap_or(Level::K4)),
            // It did not get so far as to be the TD's, or a flush failed after it was taken from it. Now
            // all caches are written back.
            Err(error) if is_free(&error) => Ok(Level::K4),
            Err(error) => Err(error),
        }
    }

    fn take_root_back(&mut self) -> u64 {
        let tdr = self.id.tdr;
        let result = persist(|| tdh::phymem::page_reclaim(&self.machine, tdr))
            .and_then(|_| persist(|| tdh::phymem::page_wbinvd(&self.machine, self.tdr)));
        match result {
            Ok(()) => {
                self.back(tdr, Level::K4);
                0
            }
            Err(error) => {
                self.leak_memory(tdr, Level::K4, error);
                1
            }
        }
    }

    fn back(&mut self, first: Pfn, level: Level) {
        self.machine.reset(first, level);
        self.host.memory_back(Memory {
            first,
            pages: level.pages(),
        });
    }

    /// Gives everything up, since the KeyID cannot be freed.
    fn leak(&mut self, error: Error) {
        self.host.leaked(Leak {
            what: Leaked::Keyid(self.id.hkid),
            error,
        });
        while let Some(memory) = self.host.lent() {
            self.host.leaked(Leak {
                what: Leaked::Memory(memory),
                error,
            });
        }
    }

    fn leak_memory(&mut self, first: Pfn, level: Level, error: Error) {
        let pages = level.pages();
        self.host.leaked(Leak {
            what: Leaked::Memory(Memory { first, pages }),
            error,
        });
    }
}

/// Whether a page could not be taken back because it is the host's. RCX tells the type of the page.
fn is_free(error: &Error) -> bool {
    error.status.is(Status::PAGE_METADATA_INCORRECT)
        && PageType::from_raw(error.rcx) == Some(PageType::Nda)
}
