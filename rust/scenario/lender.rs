// SPDX-License-Identifier: GPL-2.0

//! The host of a TD under test.

use super::Bench;
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
    },
    td::{
        Host,
        Leak, //
    }, //
};
use core::ops::ControlFlow;

/// Most pages that a TD of a scenario takes from the bench. There is no heap on all machines.
const MAX_PAGES: usize = 64;

/// Most pieces of other memory that such a TD has.
const MAX_PIECES: usize = 8;

/// A page of the bench that the TD has.
#[derive(Clone, Copy)]
struct Page {
    page: Pfn,
    /// Whether the TD is at its end, and knows of the page.
    ending: bool,
}

/// A host that lends to one TD what a bench has.
pub struct Lender<'a, B> {
    bench: &'a B,
    pages: [Option<Page>; MAX_PAGES],
    pieces: [Option<Memory>; MAX_PIECES],
    vcpus: [Option<Pfn>; 1],
    kicks: u64,
    leak: Option<Leak>,
}

/// Puts something where there is room. Returns whether there was.
fn put<T>(rooms: &mut [Option<T>], value: T) -> bool {
    let room = rooms.iter_mut().find(|room| room.is_none());
    room.map(|room| *room = Some(value)).is_some()
}

/// Returns what is left of a piece of memory when another is gone: a part before and a part after it.
fn cut(piece: Memory, gone: Memory) -> [Option<Memory>; 2] {
    let part = |from, to: u64| {
        let pages = to.checked_sub(from).filter(|pages| *pages > 0)?;
        Pfn::new(from).map(|first| Memory { first, pages })
    };
    let ends = |memory: Memory| {
        let start = memory.first.get();
        (start, start.saturating_add(memory.pages))
    };
    let ((start, end), (from, to)) = (ends(piece), ends(gone));
    [part(start, end.min(from)), part(start.max(to), end)]
}

impl<'a, B: Bench> Lender<'a, B> {
    /// Creates a host that has lent nothing.
    pub fn new(bench: &'a B) -> Self {
        Self {
            bench,
            pages: [None; MAX_PAGES],
            pieces: [None; MAX_PIECES],
            vcpus: [None],
            kicks: 0,
            leak: None,
        }
    }

    /// Returns the bench.
    pub fn bench(&self) -> &'a B {
        self.bench
    }

    /// Returns the first thing that the TDX module has kept.
    pub fn leak(&self) -> Option<Leak> {
        self.leak
    }

    /// Returns how often the vCPUs were made to leave the guest.
    pub fn kicks(&self) -> u64 {
        self.kicks
    }
}

impl<B: Bench> sept::Host for Lender<'_, B> {
    fn take_page(&mut self) -> Option<Pfn> {
        let page = self.bench.alloc()?;
        let noted = put(
            &mut self.pages,
            Page {
                page,
                ending: false,
            },
        );
        if !noted {
            self.bench.free(page);
        }
        noted.then_some(page)
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
        // No vCPU of a scenario runs.
        self.kicks += 1;
    }
}

impl<B: Bench> Host for Lender<'_, B> {
    fn take_keyid(&mut self) -> Option<Hkid> {
        self.bench.alloc_keyid()
    }

    fn return_keyid(&mut self, hkid: Hkid) {
        self.bench.free_keyid(hkid);
    }

    fn global_keyid(&self) -> Hkid {
        self.bench.global_keyid()
    }

    fn lend(&mut self, memory: Memory) -> bool {
        // A page of the bench is on account already.
        let mut pages = self.pages.iter().flatten();
        pages.any(|page| page.page == memory.first) || put(&mut self.pieces, memory)
    }

    fn lent(&mut self) -> Option<Memory> {
        let mut pages = self.pages.iter_mut().flatten();
        if let Some(page) = pages.find(|page| !page.ending) {
            page.ending = true;
            return Some(Memory {
                first: page.page,
                pages: 1,
            });
        }
        self.pieces.iter_mut().find_map(Option::take)
    }

    fn memory_back(&mut self, memory: Memory) {
        for room in &mut self.pages {
            if room.is_some_and(|page| memory.first == page.page) {
                *room = None;
                self.bench.free(memory.first);
                return;
            }
        }
        for n in 0..MAX_PIECES {
            let piece = self.pieces.get_mut(n).and_then(Option::take);
            for rest in piece.into_iter().flat_map(|piece| cut(piece, memory)) {
                // A scenario takes no piece apart so often that there is no room.
                rest.map(|rest| put(&mut self.pieces, rest));
            }
        }
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
        self.bench.on_each_cpu(f);
    }

    fn leaked(&mut self, leak: Leak) {
        self.leak = self.leak.or(Some(leak));
    }
}
