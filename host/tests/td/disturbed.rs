// SPDX-License-Identifier: GPL-2.0

//! Operations that the TDX module, or what the caller says, stops half way.

use crate::bench::ModelBench;
use std::{
    cell::{
        Cell,
        RefCell, //
    },
    ops::ControlFlow, //
};
use tdx::{
    abi::{
        sept::State,
        Args,
        Gpa,
        Hkid,
        Leaf,
        Level,
        Operand,
        PageType,
        Pfn,
        Rax,
        Status, //
    },
    scenario::{
        with_td,
        TestTd, //
    },
    seamcall::Seamcall,
    sept::{
        self,
        Machine,
        Range,
        Why, //
    },
    td::{
        Leak,
        Resources, //
    },
    tdh, //
};

/// A bench whose TDX module finds a lock held at chosen calls.
pub(crate) struct Disturbed<'a> {
    bench: &'a ModelBench,
    /// Leaf, and how many of its calls are still let through before one is refused.
    busy: RefCell<Option<(Leaf, u32)>>,
    /// Leaf, and RCX if not all of its calls, that always ends with a status.
    broken: Cell<Option<(Leaf, Option<u64>, Status)>>,
    calls: RefCell<Vec<Leaf>>,
}

impl<'a> Disturbed<'a> {
    pub(crate) fn new(bench: &'a ModelBench) -> Self {
        Self {
            bench,
            busy: RefCell::new(None),
            broken: Cell::new(None),
            calls: RefCell::default(),
        }
    }

    /// The bench below.
    pub(crate) fn model(&self) -> &'a ModelBench {
        self.bench
    }

    /// Lets `after` calls of `leaf` through, and refuses the next.
    pub(crate) fn refuse(&self, leaf: Leaf, after: u32) {
        *self.busy.borrow_mut() = Some((leaf, after));
    }

    /// Lets every call of `leaf` end with `status`.
    pub(crate) fn break_leaf(&self, leaf: Leaf, status: Status) {
        self.broken.set(Some((leaf, None, status)));
    }

    /// Lets every call of TDH.PHYMEM.PAGE.RECLAIM for `page` end with `status`.
    pub(crate) fn keep_page(&self, page: Pfn, status: Status) {
        let reclaim = Leaf::PhymemPageReclaim;
        self.broken.set(Some((reclaim, Some(page.pa()), status)));
    }

    /// Returns the leaves that were called since this was last asked.
    pub(crate) fn take_calls(&self) -> Vec<Leaf> {
        self.calls.take()
    }

    /// Refuses nothing any more.
    pub(crate) fn calm(&self) {
        self.broken.set(None);
        *self.busy.borrow_mut() = None;
    }
}

impl Seamcall for Disturbed<'_> {
    unsafe fn call(&self, rax: Rax, args: &mut Args) -> Status {
        self.calls.borrow_mut().extend(rax.known_leaf());
        match self.broken.get() {
            Some((leaf, rcx, status))
                if rax.known_leaf() == Some(leaf) && rcx.is_none_or(|rcx| rcx == args.rcx) =>
            {
                return status;
            }
            _ => (),
        }
        let mut busy = self.busy.borrow_mut();
        match &mut *busy {
            Some((leaf, 0)) if rax.known_leaf() == Some(*leaf) => {
                *busy = None;
                return Status::OPERAND_BUSY.with(Operand::SEPT_TREE);
            }
            Some((leaf, after)) if rax.known_leaf() == Some(*leaf) => *after -= 1,
            _ => (),
        }
        // SAFETY: As for this function.
        unsafe { self.bench.call(rax, args) }
    }
}

impl Machine for Disturbed<'_> {
    fn convertible(&self, first: Pfn, pages: u64) -> bool {
        self.bench.convertible(first, pages)
    }

    fn keyid_shift(&self) -> u32 {
        self.bench.keyid_shift()
    }

    fn reset(&self, first: Pfn, level: Level) {
        self.bench.reset(first, level);
    }

    fn clflush_before_alloc(&self) -> bool {
        self.bench.clflush_before_alloc()
    }

    fn flush_caches(&self) -> u64 {
        self.bench.flush_caches()
    }
}

impl Resources for Disturbed<'_> {
    fn alloc(&self) -> Option<Pfn> {
        self.bench.alloc()
    }

    fn free(&self, page: Pfn) {
        self.bench.free(page);
    }

    fn write(&self, page: Pfn, words: &[u64]) {
        self.bench.write(page, words);
    }

    fn alloc_keyid(&self) -> Option<Hkid> {
        self.bench.alloc_keyid()
    }

    fn free_keyid(&self, hkid: Hkid) {
        self.bench.free_keyid(hkid);
    }

    fn global_keyid(&self) -> Hkid {
        self.bench.global_keyid()
    }

    fn on_each_cpu(&self, f: &mut dyn FnMut() -> ControlFlow<()>) {
        self.bench.on_each_cpu(f);
    }

    fn complain(&self, _leak: &Leak) {
        // Whoever tests asks the host for it.
    }
}

const NR: u64 = 6;

fn gpa(page: u64) -> Gpa {
    Gpa::new(0x4000_0000 + page * Level::K4.size()).unwrap()
}

fn range(first: u64, nr: u64) -> Range {
    Range::new(gpa(first), Level::K4, nr).unwrap()
}

/// Runs `body` on a final TD with tables for the range, and on pages that follow each other.
fn on_final_td(body: impl FnOnce(&mut TestTd<'_, Disturbed<'_>>, Pfn)) {
    let bench = ModelBench::new();
    let disturbed = Disturbed::new(&bench);
    let outcome = with_td(&disturbed, |t| {
        t.link_tables(gpa(0))?;
        tdh::mr::finalize(t.bench, t.td.tdr)?;
        // The allocator of the bench hands out the lowest free page.
        let first = t.alloc_private()?;
        for n in 1..NR {
            assert_eq!(t.alloc_private()?.get(), first.get() + n);
        }
        body(t, first);
        t.bench.calm();
        Ok(())
    });
    if let Err(fault) = outcome {
        panic!("{fault}");
    }
    bench.assert_all_given_back();
}

fn aug(t: &TestTd<'_, Disturbed<'_>>, range: &Range, first: Pfn) -> sept::Result {
    // SAFETY: The memory of the bench is nobody else's.
    unsafe { sept::aug(t.bench, &t.td, range, first) }
}

/// Asserts that an operation found a lock held after `done` mappings.
#[track_caller]
fn assert_busy(result: sept::Result, done: u64) {
    let stop = result.unwrap_err();
    assert_eq!(stop.done, done);
    assert!(
        matches!(stop.why, Why::Refused(error) if error.is_busy()),
        "{stop}"
    );
}

fn states(t: &TestTd<'_, Disturbed<'_>>) -> Vec<State> {
    (0..NR)
        .map(|n| t.entry(gpa(n), Level::K4).unwrap().info.state().unwrap())
        .collect()
}

#[test]
fn a_busy_lock_stops_a_range_and_the_rest_can_follow() {
    for done in 0..NR {
        on_final_td(|t, first| {
            let skip = |pages| first.checked_add(pages).unwrap();
            t.bench.refuse(Leaf::MemPageAug, done as u32);
            assert_busy(aug(t, &range(0, NR), first), done);
            let mapped = states(t).iter().filter(|s| **s == State::Pending).count();
            assert_eq!(mapped as u64, done);
            aug(t, &range(done, NR - done), skip(done)).unwrap();

            t.bench.refuse(Leaf::MemRangeBlock, done as u32);
            assert_busy(sept::block(t.bench, &t.td, &range(0, NR)), done);
            // The whole range again: what is blocked already is no error.
            sept::block(t.bench, &t.td, &range(0, NR)).unwrap();

            t.bench.refuse(Leaf::MemTrack, 0);
            assert_busy(sept::track(t.bench, &t.td), 0);
            sept::track(t.bench, &t.td).unwrap();

            t.bench.refuse(Leaf::MemPageRemove, done as u32);
            assert_busy(sept::remove(t.bench, &t.td, &range(0, NR), first), done);
            sept::remove(t.bench, &t.td, &range(done, NR - done), skip(done)).unwrap();
            assert_eq!(states(t), [State::Free; NR as usize]);
        });
    }
}

#[test]
fn a_page_whose_flush_fails_is_lost() {
    on_final_td(|t, first| {
        aug(t, &range(0, NR), first).unwrap();
        sept::block(t.bench, &t.td, &range(0, NR)).unwrap();
        sept::track(t.bench, &t.td).unwrap();
        t.bench.refuse(Leaf::PhymemPageWbinvd, 2);
        let stop = sept::remove(t.bench, &t.td, &range(0, NR), first).unwrap_err();
        // Two are removed, and the third is not mapped any more either.
        assert_eq!(stop.done, 2);
        assert!(matches!(stop.why, Why::Lost(_)), "{stop}");
        assert_eq!(
            states(t)[..4],
            [State::Free, State::Free, State::Free, State::PendingBlocked]
        );
    });
}

#[test]
fn another_page_than_named_is_told() {
    on_final_td(|t, first| {
        aug(t, &range(0, 1), first).unwrap();
        sept::block(t.bench, &t.td, &range(0, 1)).unwrap();
        sept::track(t.bench, &t.td).unwrap();
        let wrong = first.checked_add(1).unwrap();
        let stop = sept::remove(t.bench, &t.td, &range(0, 1), wrong).unwrap_err();
        assert_eq!((stop.done, stop.why), (0, Why::Mismatch(first)));
        assert_eq!(t.type_of(first).unwrap(), Some(PageType::Nda));
    });
}

#[test]
fn a_busy_table_page_is_not_freed() {
    on_final_td(|t, first| {
        t.bench.refuse(Leaf::PhymemPageReclaim, 0);
        assert_busy(sept::free_table(t.bench, first), 0);
        t.bench.refuse(Leaf::MemSeptAdd, 0);
        // SAFETY: The memory of the bench is nobody else's.
        let link = unsafe { sept::link(t.bench, &t.td, gpa(512), Level::M2, first) };
        assert_busy(link, 0);
        assert_eq!(t.type_of(first).unwrap(), Some(PageType::Nda));
    });
}
