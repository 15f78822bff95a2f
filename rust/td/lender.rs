// SPDX-License-Identifier: GPL-2.0

//! A host for TDs: it lends what its machine has, and keeps account of that.

use super::{
    Host,
    Leak, //
};
use crate::{
    abi::{
        Gpa,
        Hkid,
        Level,
        Pfn, //
    },
    sept::{
        self,
        Memory, //
    }, //
};
use core::ops::{
    ControlFlow,
    Range, //
};
use kernel::{
    bitmap::BitmapVec,
    prelude::*, //
};

/// What a machine has for TDs.
pub trait Resources {
    /// Takes a page of zeroes from the host.
    fn alloc(&self) -> Option<Pfn>;

    /// Gives a page back to the host.
    fn free(&self, page: Pfn);

    /// Writes words to the beginning of a page of the host.
    fn write(&self, page: Pfn, words: &[u64]);

    /// Takes a KeyID for a TD.
    fn alloc_keyid(&self) -> Option<Hkid>;

    /// Gives a KeyID back.
    fn free_keyid(&self, hkid: Hkid);

    /// Returns the KeyID of the TDX module's own memory.
    fn global_keyid(&self) -> Hkid;

    /// Runs `f` on each CPU, one after the other, until it breaks.
    fn on_each_cpu(&self, f: &mut dyn FnMut() -> ControlFlow<()>);

    /// Tells the host's people of what the TDX module keeps.
    fn complain(&self, leak: &Leak);
}

impl<R: Resources + ?Sized> Resources for &R {
    fn alloc(&self) -> Option<Pfn> {
        (**self).alloc()
    }

    fn free(&self, page: Pfn) {
        (**self).free(page);
    }

    fn write(&self, page: Pfn, words: &[u64]) {
        (**self).write(page, words);
    }

    fn alloc_keyid(&self) -> Option<Hkid> {
        (**self).alloc_keyid()
    }

    fn free_keyid(&self, hkid: Hkid) {
        (**self).free_keyid(hkid);
    }

    fn global_keyid(&self) -> Hkid {
        (**self).global_keyid()
    }

    fn on_each_cpu(&self, f: &mut dyn FnMut() -> ControlFlow<()>) {
        (**self).on_each_cpu(f);
    }

    fn complain(&self, leak: &Leak) {
        (**self).complain(leak);
    }
}

/// Most vCPUs of a TD: what [`with_plain_params`](super::with_plain_params) allows.
const VCPUS: usize = 1;

/// A page of the machine that the TD has.
struct Page {
    page: Pfn,
    /// Whether the TD is at its end, and knows of the page.
    ending: bool,
}

/// Memory that the user of the TD has named.
struct Piece {
    memory: Memory,
    /// Those of its pages that are back.
    back: BitmapVec,
}

impl Piece {
    fn new(memory: Memory) -> Result<Self> {
        Ok(Self {
            back: BitmapVec::new(memory.pages.try_into()?, GFP_KERNEL)?,
            memory,
        })
    }

    /// The numbers within this piece of the pages that `memory` has of it.
    fn part(&self, memory: Memory) -> Range<usize> {
        let number = |pfn: u64| {
            let number = pfn.saturating_sub(self.memory.first.get());
            // A bitmap has as many bits.
            number.min(self.memory.pages) as usize
        };
        let first = memory.first.get();
        number(first)..number(first.saturating_add(memory.pages))
    }

    /// Whether all pages are back.
    fn is_back(&self) -> bool {
        self.back.next_zero_bit(0).is_none()
    }

    /// Takes note that pages are back.
    fn note(&mut self, pages: Range<usize>) {
        for page in pages {
            self.back.set_bit(page);
        }
    }

    /// Returns the first pages that are not back, as many as follow each other, and takes them as back.
    fn take(&mut self) -> Option<Memory> {
        let from = self.back.next_zero_bit(0)?;
        let to = self.back.next_bit(from).unwrap_or(self.back.len());
        self.note(from..to);
        Some(Memory {
            first: self.memory.first.checked_add(from as u64)?,
            pages: to.saturating_sub(from) as u64,
        })
    }
}

/// A host that lends what `R` has to one TD.
///
/// For a TD with few pieces of memory: it looks for one by going through all of them.
pub struct Lender<R: Resources> {
    resources: R,
    pages: KVec<Page>,
    pieces: KVec<Piece>,
    vcpus: [Option<Pfn>; VCPUS],
    kicks: u64,
    leak: Option<Leak>,
}

impl<R: Resources> Lender<R> {
    /// Creates a host that has lent nothing.
    pub fn new(resources: R) -> Self {
        Self {
            resources,
            pages: KVec::new(),
            pieces: KVec::new(),
            vcpus: [None; VCPUS],
            kicks: 0,
            leak: None,
        }
    }

    /// Returns what it lends from.
    pub fn resources(&self) -> &R {
        &self.resources
    }

    /// Returns the first thing that the TDX module has kept.
    pub fn leak(&self) -> Option<Leak> {
        self.leak
    }

    /// Returns how often the vCPUs were to leave the guest.
    pub fn kicks(&self) -> u64 {
        self.kicks
    }
}

impl<R: Resources> sept::Host for Lender<R> {
    fn take_page(&mut self) -> Option<Pfn> {
        let page = self.resources.alloc()?;
        let ending = false;
        match self.pages.push(Page { page, ending }, GFP_KERNEL) {
            Ok(()) => Some(page),
            Err(_) => {
                self.resources.free(page);
                None
            }
        }
    }

    fn return_page(&mut self, page: Pfn) {
        self.memory_back(Memory {
            first: page,
            pages: 1,
        });
    }

    fn table_back(&mut self, _gpa: Gpa, _level: Level, table: Pfn) {
        self.return_page(table);
    }

    fn kick(&mut self) {
        // Its vCPUs do not run.
        self.kicks += 1;
    }
}

impl<R: Resources> Host for Lender<R> {
    fn take_keyid(&mut self) -> Option<Hkid> {
        self.resources.alloc_keyid()
    }

    fn return_keyid(&mut self, hkid: Hkid) {
        self.resources.free_keyid(hkid);
    }

    fn global_keyid(&self) -> Hkid {
        self.resources.global_keyid()
    }

    fn lend(&mut self, memory: Memory) -> bool {
        // A page of the machine is on account already.
        let mut pages = self.pages.iter();
        if pages.any(|page| page.page == memory.first) {
            return true;
        }
        Piece::new(memory).is_ok_and(|piece| self.pieces.push(piece, GFP_KERNEL).is_ok())
    }

    fn lent(&mut self) -> Option<Memory> {
        if let Some(page) = self.pages.iter_mut().find(|page| !page.ending) {
            page.ending = true;
            return Some(Memory {
                first: page.page,
                pages: 1,
            });
        }
        self.pieces.iter_mut().find_map(Piece::take)
    }

    fn memory_back(&mut self, memory: Memory) {
        if let Some(n) = self.pages.iter().position(|page| page.page == memory.first) {
            if let Ok(page) = self.pages.remove(n) {
                self.resources.free(page.page);
            }
            return;
        }
        for piece in &mut self.pieces {
            piece.note(piece.part(memory));
        }
        self.pieces.retain(|piece| !piece.is_back());
    }

    fn vcpus(&mut self) -> &mut [Option<Pfn>] {
        &mut self.vcpus
    }

    fn on_each_package(&mut self, f: &mut dyn FnMut()) {
        self.on_each_cpu(&mut || {
            f();
            ControlFlow::Continue(())
        });
    }

    fn on_each_cpu(&mut self, f: &mut dyn FnMut() -> ControlFlow<()>) {
        self.resources.on_each_cpu(f);
    }

    fn leaked(&mut self, leak: Leak) {
        self.resources.complain(&leak);
        self.leak = self.leak.or(Some(leak));
    }
}
