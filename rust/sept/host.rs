// SPDX-License-Identifier: GPL-2.0

//! What operations on whole ranges need from their caller, and what they report.

use super::Why;
use crate::abi::{
    Gpa,
    Level,
    Pfn, //
};
use core::fmt;

/// What operations on whole ranges need from the one who has the TD.
pub trait Host {
    /// Takes a page for the TDX module, if there is one.
    fn take_page(&mut self) -> Option<Pfn>;

    /// Gives a page back that was taken and that the TDX module did not get.
    fn return_page(&mut self, page: Pfn);

    /// Tells that the table page below the entry of `level` at `gpa` is not linked any more, and the
    /// host's again. Who keeps a mirror of the S-EPT has to drop it there.
    fn table_back(&mut self, gpa: Gpa, level: Level, table: Pfn);

    /// Makes every vCPU that is in the guest leave it once.
    fn kick(&mut self);
}

impl<H: Host + ?Sized> Host for &mut H {
    fn take_page(&mut self) -> Option<Pfn> {
        (**self).take_page()
    }

    fn return_page(&mut self, page: Pfn) {
        (**self).return_page(page);
    }

    fn table_back(&mut self, gpa: Gpa, level: Level, table: Pfn) {
        (**self).table_back(gpa, level, table);
    }

    fn kick(&mut self) {
        (**self).kick();
    }
}

/// What an operation on a range has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// SEAMCALLs on the S-EPT, those that were refused included.
    pub sept_calls: u64,
    /// How often all vCPUs were made to leave the guest.
    pub kicks: u64,
    /// SEAMCALLs that write back cache lines.
    pub cache_calls: u64,
    /// CPUs that were interrupted to write back all of their caches.
    pub cache_ipis: u64,
    /// Runs of pages that were to be merged, and the TDX module refused.
    pub not_merged: u64,
}

impl Cost {
    /// Returns what an operation reports that has cost this, has done `pages` pages, and then ended
    /// with `result`.
    pub(super) fn of(self, pages: u64, result: Result<(), Why>) -> Result<Self, Partial> {
        result.map(|()| self).map_err(|why| Partial {
            pages,
            why,
            cost: self,
        })
    }
}

/// How far an operation on a range got, why no further, and what it has cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    /// Number of 4 KiB pages that are done. They come first.
    pub pages: u64,
    /// What happened after those.
    pub why: Why,
    /// What it has cost so far.
    pub cost: Cost,
}

impl fmt::Display for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, after {} pages", self.why, self.pages)
    }
}
