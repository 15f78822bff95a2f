// SPDX-License-Identifier: GPL-2.0

//! A TD and the machine it is made on.

use crate::{
    abi::{
        Gpa,
        Level,
        PageType,
        Pfn, //
    },
    seamcall,
    sept::{
        self,
        Host as _,
        Machine,
        Partial,
        Stop, //
    },
    td::{
        self,
        state::Building,
        Failed,
        Leak,
        Lender,
        Resources,
        Td, //
    },
    tdh, //
};
use core::fmt;

/// A machine to run scenarios on, with the host's resources that a TD takes.
pub trait Bench: Machine + Resources {}

impl<T: Machine + Resources> Bench for T {}

/// Why a scenario failed.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// No page, or no KeyID, to be had.
    Resources,
    /// A step in the life of a TD that should have been done.
    Step(td::Why),
    /// An operation on a range that should have done its job.
    Range(Partial),
    /// Something that the TDX module has kept.
    Leak(Leak),
    /// A leaf that should have done its job.
    Call(seamcall::Error),
    /// An S-EPT operation that should have done its job.
    Sept(Stop),
    /// Something is not as it should be.
    Check {
        /// Source file of the check.
        file: &'static str,
        /// Line of the check.
        line: u32,
        /// The condition that does not hold.
        what: &'static str,
    },
}

impl From<seamcall::Error> for Fault {
    fn from(error: seamcall::Error) -> Self {
        Self::Call(error)
    }
}

impl From<td::Why> for Fault {
    fn from(why: td::Why) -> Self {
        Self::Step(why)
    }
}

impl<T> From<Failed<T>> for Fault {
    fn from(failed: Failed<T>) -> Self {
        Self::Step(failed.why)
    }
}

impl From<Partial> for Fault {
    fn from(partial: Partial) -> Self {
        Self::Range(partial)
    }
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Self {
        Self::Sept(stop)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resources => f.write_str("no page or KeyID to be had"),
            Self::Step(why) => write!(f, "{why}"),
            Self::Range(partial) => write!(f, "{partial}"),
            Self::Leak(leak) => write!(f, "{leak}"),
            Self::Call(error) => write!(f, "{error}"),
            Self::Sept(stop) => write!(f, "{stop}"),
            Self::Check { file, line, what } => write!(f, "{file}:{line}: {what}"),
        }
    }
}

/// A TD under test, with a vCPU.
pub struct TestTd<'a, B: Bench> {
    /// The machine that the TD is on.
    pub bench: &'a B,
    /// What operations know the TD by.
    pub td: sept::Td,
    inner: Td<&'a B, &'a mut Lender<&'a B>, Building>,
}

/// Runs `body` on a new TD, and tears the TD down whatever comes out.
///
/// # Errors
///
/// What was not as it should be, in `body` or around it.
pub fn with_td<B: Bench>(
    bench: &B,
    body: impl FnOnce(&mut TestTd<'_, B>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut lender = Lender::new(bench);
    let inner = Td::plain(bench, &mut lender)?.with_vcpu()?;
    let mut td = TestTd {
        bench,
        td: *inner.id(),
        inner,
    };
    let outcome = body(&mut td);
    outcome.and(tear_down(td.inner))
}

/// Tears a TD down. Nothing may be left with the TDX module.
///
/// # Errors
///
/// What is left.
pub fn tear_down<B: Bench, S: td::state::Live>(
    td: Td<&B, &mut Lender<&B>, S>,
) -> Result<(), Fault> {
    match td.tear_down()?.host().leak() {
        Some(leak) => Err(Fault::Leak(leak)),
        None => Ok(()),
    }
}

/// Returns what the TDX module uses a page for.
///
/// # Errors
///
/// A leaf that did not do its job.
pub fn type_of<B: Bench>(bench: &B, page: Pfn) -> Result<Option<PageType>, Fault> {
    Ok(tdh::phymem::page_rdmd(bench, page)?.page_type)
}

impl<B: Bench> TestTd<'_, B> {
    /// Returns the root page of the vCPU.
    pub fn vcpu(&mut self) -> Option<Pfn> {
        self.inner.vcpu(0).map(|vcpu| vcpu.tdvpr())
    }

    /// Links the table pages that are missing above the entry of 4 KiB at `gpa`.
    ///
    /// # Errors
    ///
    /// An operation that did not do its job.
    pub fn link_tables(&mut self, gpa: Gpa) -> Result<(), Fault> {
        self.link_tables_to(gpa, Level::K4)
    }

    /// Links the table pages that are missing above the entry of `level` at `gpa`.
    ///
    /// # Errors
    ///
    /// An operation that did not do its job.
    pub fn link_tables_to(&mut self, gpa: Gpa, level: Level) -> Result<(), Fault> {
        let host = self.inner.host_mut();
        // SAFETY: The host gives pages that were just allocated.
        unsafe { sept::link_tables(self.bench, &self.td, gpa, level, host) }?;
        Ok(())
    }

    /// Allocates a page for the TD.
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn alloc_private(&mut self) -> Result<Pfn, Fault> {
        self.inner.host_mut().take_page().ok_or(Fault::Resources)
    }

    /// Frees a page that the TD had, or did not get.
    pub fn free_private(&mut self, page: Pfn) {
        self.inner.host_mut().return_page(page);
    }

    /// Reads the entry of `level` at `gpa`.
    ///
    /// # Errors
    ///
    /// EPT_WALK_FAILED if a table above it is missing or blocked.
    pub fn entry(&self, gpa: Gpa, level: Level) -> Result<tdh::mem::SeptEntry, seamcall::Error> {
        self.inner.entry(gpa, level)
    }

    /// Returns what the TDX module uses a page for.
    ///
    /// # Errors
    ///
    /// A leaf that did not do its job.
    pub fn type_of(&self, page: Pfn) -> Result<Option<PageType>, Fault> {
        type_of(self.bench, page)
    }
}
