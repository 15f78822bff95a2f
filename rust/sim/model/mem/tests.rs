// SPDX-License-Identifier: GPL-2.0

//! The checks of the TDH.MEM leaves in their order, and what the leaves do.

use super::super::{
    lock::Mode,
    pamt,
    platform::Profile,
    sept::Slot,
    tdcs::{
        fields,
        Tdcs, //
    },
    tdr,
    tests::Sim,
    Ctx, //
};
use crate::abi::{
    sept::{
        Entry,
        Info,
        State, //
    },
    Leaf,
    Level,
    Operand,
    PageType,
    Pfn,
    Rax,
    Status, //
};
use std::sync::atomic::Ordering::Relaxed;

const SOURCE: u64 = 0x0201_0000;
/// The first 2M page that lies in TDX memory and that no test uses in smaller pieces.
const LARGE: u64 = 512;
const SIZE_2M: u64 = 512 * 4096;

/// A TD with table pages for the GPAs from 0 to 2M.
struct Td {
    sim: Sim,
    tdr: u64,
}

impl Td {
    fn new() -> Self {
        Self::with_attributes(0)
    }

    fn with_attributes(attributes: u64) -> Self {
        let sim = Sim::new(Profile::V1_5_01);
        sim.poke(0x0200_0000, attributes);
        let tdr = sim.init(1, 33);
        let td = Self { sim, tdr };
        for (level, page) in [(3, 8), (2, 9), (1, 10)] {
            td.ok(Leaf::MemSeptAdd, level, page);
        }
        td
    }

    /// Lets the TD run: then changes have to be tracked. Its vCPU takes pages 11 to 16.
    fn finalize(self) -> Self {
        let vcpu = Sim::page(11);
        self.sim.ok(Leaf::VpCreate, &[vcpu, self.tdr]);
        for n in 12..17 {
            self.sim.ok(Leaf::VpAddcx, &[Sim::page(n), vcpu]);
        }
        self.sim.ok(Leaf::VpInit, &[vcpu]);
        self.sim.ok(Leaf::MrFinalize, &[self.tdr]);
        self
    }

    fn inputs(&self, word: u64, page: u64) -> [u64; 4] {
        [word, self.tdr, Sim::page(page), SOURCE]
    }

    /// A leaf that must succeed; returns RCX.
    #[track_caller]
    fn ok(&self, leaf: Leaf, word: u64, page: u64) -> u64 {
        self.sim.ok(leaf, &self.inputs(word, page)).rcx
    }

    /// A leaf that must end with `status` and report nothing.
    #[track_caller]
    fn fails(&self, leaf: Leaf, word: u64, page: u64, status: Status) {
        let args = self.sim.fails(leaf, &self.inputs(word, page), status);
        assert_eq!((args.rcx, args.rdx), (0, 0), "{}", leaf.name());
    }

    /// A leaf that must end with `status` and operand RCX and report an entry in this state.
    #[track_caller]
    fn reports(&self, leaf: Leaf, word: u64, page: u64, status: Status, found: (Level, State)) {
        let args = self.sim.fails(leaf, &self.inputs(word, page), rcx(status));
        assert_eq!(
            Info::from_raw(args.rdx).into_raw(),
            Info::new(found.0, found.1).into_raw()
        );
    }

    #[track_caller]
    fn state(&self, word: u64) -> Option<State> {
        let args = self.sim.ok(Leaf::MemSeptRd, &[word, self.tdr]);
        Info::from_raw(args.rdx).state()
    }

    fn tdcs<T>(&self, f: impl FnOnce(Tdcs<'_, crate::platform::Cpu<'_>>) -> T) -> T {
        f(Tdcs::new(&self.sim.machine.cpu(1, 0), self.tdr))
    }

    fn children(&self) -> u64 {
        tdr::fields::CHLDCNT.load(&self.sim.machine.cpu(0, 0), self.tdr)
    }

    /// Page type and size of the page in use at page `n`.
    fn usage(&self, n: u64) -> (u64, u64) {
        let args = self.sim.ok(Leaf::PhymemPageRdmd, &[Sim::page(n)]);
        (args.rcx, args.r8)
    }

    /// Runs `f` while another processor holds the lock of the PAMT entry of page `n`.
    fn with_page_locked(&self, n: u64, level: Level, mode: Mode, f: impl FnOnce()) {
        let cpu = self.sim.machine.cpu(1, 0);
        let cx = Ctx {
            module: &self.sim.module,
            p: &cpu,
            version: 0,
        };
        let guard = pamt::entry(&cx, Sim::page(n), level).and_then(|e| e.lock().acquire(mode));
        assert!(guard.is_some());
        f();
    }
}

fn rcx(status: Status) -> Status {
    status.with(Operand::RCX)
}

fn invalid(operand: Operand) -> Status {
    Status::OPERAND_INVALID.with(operand)
}

const FREE: (Level, State) = (Level::K4, State::Free);

#[test]
fn levels_by_leaf() {
    let td = Td::new();
    for (leaf, min, max) in [
        (Leaf::MemPageAdd, 0, 0),
        (Leaf::MemPageRelocate, 0, 0),
        (Leaf::MemPageAug, 0, 1),
        (Leaf::MemPageRemove, 0, 2),
        (Leaf::MemPagePromote, 1, 2),
        (Leaf::MemPageDemote, 1, 2),
        (Leaf::MemSeptAdd, 1, 3),
        (Leaf::MemSeptRemove, 1, 3),
        (Leaf::MemRangeBlock, 0, 3),
        (Leaf::MemRangeUnblock, 0, 3),
        (Leaf::MemSeptRd, 0, 3),
    ] {
        for level in 0..8 {
            // At 0 everything is aligned.
            let (status, _) = td.sim.call(0, leaf, &[level, td.tdr, 0, 0]);
            let refused = status == invalid(Operand::RCX);
            assert_eq!(
                refused,
                !(min..=max).contains(&level),
                "{} {level}",
                leaf.name()
            );
            // What succeeded is undone, so that the next leaf finds the tables.
            if status.is_success() && leaf == Leaf::MemRangeBlock {
                td.ok(Leaf::MemRangeUnblock, level, 0);
            }
        }
    }
}

#[test]
fn walks_end_where_nothing_is_below() {
    let td = Td::new();
    td.reports(
        Leaf::MemPageAug,
        1 << 30,
        20,
        Status::EPT_WALK_FAILED,
        (Level::G1, State::Free),
    );
    td.ok(Leaf::MemRangeBlock, 2, 0);
    td.reports(
        Leaf::MemSeptRd,
        0,
        0,
        Status::EPT_WALK_FAILED,
        (Level::G1, State::NlBlocked),
    );
    td.ok(Leaf::MemRangeUnblock, 2, 0);
    // A page ends the walk to the smaller one in it, mapped or not.
    td.ok(Leaf::MemPageAug, SIZE_2M | 1, LARGE);
    let pending = (Level::M2, State::Pending);
    td.reports(
        Leaf::MemPageAug,
        SIZE_2M,
        20,
        Status::EPT_WALK_FAILED,
        pending,
    );
}

#[test]
fn page_add_copies_the_source() {
    let td = Td::new();
    td.sim.poke(SOURCE + 0x10, 0x1234_5678);
    let before = td.children();
    td.ok(Leaf::MemPageAdd, 0x5000, 20);
    assert_eq!(td.sim.peek(Sim::page(20) + 0x10), 0x1234_5678);
    assert_eq!(td.children(), before + 1);
    assert_eq!(td.usage(20), (PageType::Reg.raw(), 0));
    assert_eq!(td.state(0x5000), Some(State::Mapped));
}

#[test]
fn page_aug_of_2m_needs_all_of_it_free() {
    let td = Td::new();
    td.ok(Leaf::MemPageAug, 0, LARGE + 3);
    td.fails(
        Leaf::MemPageAug,
        SIZE_2M | 1,
        LARGE,
        Status::PAGE_METADATA_INCORRECT.with(Operand::R8),
    );
    td.fails(
        Leaf::MemPageAug,
        SIZE_2M | 1,
        LARGE + 1,
        invalid(Operand::R8),
    );
    td.ok(Leaf::MemPageRemove, 0, 0);
    let before = td.children();
    td.ok(Leaf::MemPageAug, SIZE_2M | 1, LARGE);
    assert_eq!(td.children(), before + 512);
    // Any page of it is in use now.
    assert_eq!(td.usage(LARGE + 3), (PageType::Reg.raw(), 1));
    td.fails(
        Leaf::MemPageAug,
        0,
        LARGE + 3,
        Status::PAGE_METADATA_INCORRECT.with(Operand::R8),
    );
    // A table is there: no page of that size.
    let found = (Level::M2, State::NlMapped);
    td.reports(
        Leaf::MemPageAug,
        1,
        2 * LARGE,
        Status::EPT_ENTRY_STATE_INCORRECT,
        found,
    );
}

#[test]
fn range_block_takes_access_away_once() {
    let td = Td::new();
    td.ok(Leaf::MemPageAdd, 0, 20);
    td.ok(Leaf::MemPageAug, 0x1000, 21);
    td.ok(Leaf::MemRangeBlock, 0, 0);
    td.ok(Leaf::MemRangeBlock, 0x1000, 0);
    let blocked = (Level::K4, State::Blocked);
    td.reports(
        Leaf::MemRangeBlock,
        0,
        0,
        Status::GPA_RANGE_ALREADY_BLOCKED,
        blocked,
    );
    assert!(!Status::GPA_RANGE_ALREADY_BLOCKED.is_error());
    td.reports(
        Leaf::MemRangeBlock,
        0x2000,
        0,
        Status::EPT_ENTRY_STATE_INCORRECT,
        FREE,
    );
    assert_eq!(td.state(0x1000), Some(State::PendingBlocked));
    td.ok(Leaf::MemRangeUnblock, 0, 0);
    td.ok(Leaf::MemRangeUnblock, 0x1000, 0);
    assert_eq!(
        (td.state(0), td.state(0x1000)),
        (Some(State::Mapped), Some(State::Pending))
    );
    td.reports(
        Leaf::MemRangeUnblock,
        0,
        0,
        Status::EPT_ENTRY_STATE_INCORRECT,
        (Level::K4, State::Mapped),
    );
}

#[test]
fn removal_needs_blocking_and_tracking_once_the_td_can_run() {
    let td = Td::new();
    td.ok(Leaf::MemPageAdd, 0, 20);
    td.ok(Leaf::MemPageAdd, 0x1000, 21);
    assert_eq!(td.ok(Leaf::MemPageRemove, 0x1000, 0), Sim::page(21));
    let td = td.finalize();
    let not_done = rcx(Status::TLB_TRACKING_NOT_DONE);
    let mapped = (Level::K4, State::Mapped);
    td.reports(
        Leaf::MemPageRemove,
        0,
        0,
        Status::GPA_RANGE_NOT_BLOCKED,
        mapped,
    );
    td.ok(Leaf::MemRangeBlock, 0, 0);
    td.fails(Leaf::MemPageRemove, 0, 0, not_done);
    let unblock = Status::TLB_TRACKING_NOT_DONE.with(Operand::SEPT_TREE);
    td.fails(Leaf::MemRangeUnblock, 0, 0, unblock);
    // A vCPU that entered in epoch 1 may still have the translation after the epoch has changed.
    td.tdcs(|tdcs| tdcs.set(fields::REFCOUNT.element(1), 1));
    td.sim.ok(Leaf::MemTrack, &[td.tdr]);
    td.fails(Leaf::MemPageRemove, 0, 0, not_done);
    td.sim
        .fails(Leaf::MemTrack, &[td.tdr], Status::PREVIOUS_TLB_EPOCH_BUSY);
    td.tdcs(|tdcs| tdcs.set(fields::REFCOUNT.element(1), 0));
    let before = td.children();
    assert_eq!(td.ok(Leaf::MemPageRemove, 0, 0), Sim::page(20));
    assert_eq!(td.children(), before - 1);
    assert_eq!(td.usage(20), (PageType::Nda.raw(), 0));
    td.reports(
        Leaf::MemPageRemove,
        0,
        0,
        Status::EPT_ENTRY_STATE_INCORRECT,
        FREE,
    );
}

#[test]
fn a_page_is_tracked_when_all_vcpus_of_its_epoch_have_left() {
    let td = Td::new();
    td.ok(Leaf::MemPageAdd, 0, 20);
    td.ok(Leaf::MemPageAdd, 0x1000, 21);
    let td = td.finalize();
    let inside = |epoch: u32, vcpus| {
        td.tdcs(|tdcs| tdcs.set(fields::REFCOUNT.element(epoch % 2), vcpus));
    };
    let not_done = rcx(Status::TLB_TRACKING_NOT_DONE);
    // Two vCPUs enter in epoch 1, before the page is blocked.
    inside(1, 2);
    td.ok(Leaf::MemRangeBlock, 0, 0);
    td.sim.ok(Leaf::MemTrack, &[td.tdr]);
    td.fails(Leaf::MemPageRemove, 0, 0, not_done);
    // One leaves and enters anew, now in epoch 2.
    inside(1, 1);
    inside(2, 1);
    td.fails(Leaf::MemPageRemove, 0, 0, not_done);
    let busy = Status::PREVIOUS_TLB_EPOCH_BUSY;
    td.sim.fails(Leaf::MemTrack, &[td.tdr], busy);
    // What is blocked in epoch 2 has to wait for that one, too; the first page has not.
    td.ok(Leaf::MemRangeBlock, 0x1000, 0);
    inside(1, 0);
    td.ok(Leaf::MemPageRemove, 0, 0);
    td.fails(Leaf::MemPageRemove, 0x1000, 0, not_done);
    // Two epochs later it does not matter who is inside.
    td.sim.ok(Leaf::MemTrack, &[td.tdr]);
    td.fails(Leaf::MemPageRemove, 0x1000, 0, not_done);
    inside(2, 0);
    td.sim.ok(Leaf::MemTrack, &[td.tdr]);
    inside(3, 1);
    inside(4, 1);
    td.ok(Leaf::MemPageRemove, 0x1000, 0);
}

#[test]
fn sept_add_of_what_exists() {
    let td = Td::new();
    let v1 = Rax::new(Leaf::MemSeptAdd, 1);
    let none = u64::MAX;
    let table = (Level::M2, State::NlMapped);
    let page = Sim::page(20);
    td.reports(
        Leaf::MemSeptAdd,
        1,
        20,
        Status::EPT_ENTRY_STATE_INCORRECT,
        table,
    );
    td.sim.fails(
        Leaf::MemSeptAdd,
        &[SIZE_2M | 1, td.tdr, none],
        invalid(Operand::R8),
    );
    td.sim.fails(
        Leaf::MemSeptAdd,
        &[1, td.tdr | 2, page],
        invalid(Operand::RDX),
    );
    // No TD has L2 VMs that take a page; R9 is the first that is looked at.
    let call = |inputs: &[u64]| td.sim.call(0, v1, inputs);
    assert_eq!(
        call(&[SIZE_2M | 1, td.tdr, page, page]).0,
        invalid(Operand::R9)
    );
    assert_eq!(td.state(SIZE_2M | 1), Some(State::Free));
    td.ok(Leaf::MemSeptAdd, SIZE_2M | 1, 20);
    td.fails(
        Leaf::MemSeptAdd,
        (2 * SIZE_2M) | 1,
        20,
        Status::PAGE_METADATA_INCORRECT.with(Operand::R8),
    );
}

#[test]
fn sept_remove_needs_an_empty_table() {
    let td = Td::new();
    td.ok(Leaf::MemPageAug, 0, 20);
    let table = (Level::M2, State::NlMapped);
    td.reports(Leaf::MemSeptRemove, 1, 0, Status::EPT_PAGE_NOT_FREE, table);
    td.ok(Leaf::MemPageRemove, 0, 0);
    let before = td.children();
    assert_eq!(td.ok(Leaf::MemSeptRemove, 1, 0), Sim::page(10));
    assert_eq!(td.children(), before - 1);
    assert_eq!(td.usage(10), (PageType::Nda.raw(), 0));
    td.reports(
        Leaf::MemSeptRemove,
        1,
        0,
        Status::EPT_ENTRY_STATE_INCORRECT,
        (Level::M2, State::Free),
    );
}

#[test]
fn demote_and_promote_are_inverse() {
    let td = Td::new();
    td.ok(Leaf::MemPageAug, SIZE_2M | 1, LARGE);
    let before = td.children();
    td.sim.machine.interrupt.store(true, Relaxed);
    let inputs = td.inputs(SIZE_2M | 1, 20);
    let args = td.sim.fails(
        Leaf::MemPageDemote,
        &inputs,
        Status::INTERRUPTED_RESTARTABLE,
    );
    assert_eq!((args.rcx, args.rdx), (inputs[0], inputs[1]));
    td.sim.machine.interrupt.store(false, Relaxed);

    td.ok(Leaf::MemPageDemote, SIZE_2M | 1, 20);
    assert_eq!(td.children(), before + 1);
    assert_eq!(td.usage(LARGE + 511), (PageType::Reg.raw(), 0));
    assert_eq!(td.usage(20), (PageType::Ept.raw(), 0));
    let last = td.sim.ok(Leaf::MemSeptRd, &[SIZE_2M + 511 * 4096, td.tdr]);
    let pfn = Pfn::from_pa(Sim::page(LARGE + 511)).unwrap();
    assert_eq!(last.rcx, Entry::new(State::Pending, pfn).reported());

    td.sim.machine.interrupt.store(true, Relaxed);
    td.sim.fails(
        Leaf::MemPagePromote,
        &inputs,
        Status::INTERRUPTED_RESTARTABLE,
    );
    td.sim.machine.interrupt.store(false, Relaxed);
    assert_eq!(td.ok(Leaf::MemPagePromote, SIZE_2M | 1, 0), Sim::page(20));
    assert_eq!(td.children(), before);
    assert_eq!(td.usage(LARGE + 511), (PageType::Reg.raw(), 1));
    assert_eq!(td.usage(20), (PageType::Nda.raw(), 0));
    assert_eq!(td.ok(Leaf::MemPageRemove, SIZE_2M | 1, 0), Sim::page(LARGE));
    assert_eq!(td.usage(LARGE + 511), (PageType::Nda.raw(), 0));
}

#[test]
fn promote_needs_equal_and_consecutive_pages() {
    let td = Td::new();
    let table = (Level::M2, State::NlMapped);
    let refused = Status::EPT_INVALID_PROMOTE_CONDITIONS;
    td.reports(Leaf::MemPagePromote, 1, 0, refused, table);
    td.ok(Leaf::MemPageAug, SIZE_2M | 1, LARGE);
    td.ok(Leaf::MemPageDemote, SIZE_2M | 1, 20);
    let hole = SIZE_2M + 5 * 4096;
    td.ok(Leaf::MemPageRemove, hole, 0);
    td.reports(Leaf::MemPagePromote, SIZE_2M | 1, 0, refused, table);
    td.ok(Leaf::MemPageAug, hole, 21);
    td.reports(Leaf::MemPagePromote, SIZE_2M | 1, 0, refused, table);
    td.ok(Leaf::MemPageRemove, hole, 0);
    td.ok(Leaf::MemPageAdd, hole, LARGE + 5);
    td.reports(Leaf::MemPagePromote, SIZE_2M | 1, 0, refused, table);
    td.ok(Leaf::MemPageRemove, hole, 0);
    td.ok(Leaf::MemPageAug, hole, LARGE + 5);
    td.ok(Leaf::MemPagePromote, SIZE_2M | 1, 0);
}

#[test]
fn relocate_moves_the_page() {
    let td = Td::new();
    td.sim.poke(SOURCE, 0xABCD);
    td.ok(Leaf::MemPageAdd, 0, 20);
    td.fails(Leaf::MemPageRelocate, 0, 20, invalid(Operand::R8));
    td.fails(
        Leaf::MemPageRelocate,
        0,
        10,
        Status::PAGE_METADATA_INCORRECT.with(Operand::R8),
    );
    td.ok(Leaf::MemRangeBlock, 0, 0);
    assert_eq!(td.ok(Leaf::MemPageRelocate, 0, 21), Sim::page(20));
    assert_eq!(td.sim.peek(Sim::page(21)), 0xABCD);
    assert_eq!(td.state(0), Some(State::Mapped));
    assert_eq!(
        (td.usage(20).0, td.usage(21).0),
        (PageType::Nda.raw(), PageType::Reg.raw())
    );
}

#[test]
fn only_debug_tds_can_be_read() {
    let td = Td::new();
    td.ok(Leaf::MemPageAdd, 0, 20);
    td.fails(Leaf::MemRd, 0, 0, Status::TD_NON_DEBUG);
    td.fails(Leaf::MemWr, 0, 0, Status::TD_NON_DEBUG);
    td.sim
        .fails(Leaf::MemSeptRd, &[0, td.tdr | 1], invalid(Operand::RDX));

    let td = Td::with_attributes(1);
    td.ok(Leaf::MemPageAdd, 0, 20);
    td.ok(Leaf::MemPageAug, 0x1000, 21);
    td.sim
        .fails(Leaf::MemRd, &[4, td.tdr], invalid(Operand::RCX));
    td.reports(
        Leaf::MemRd,
        0x1008,
        0,
        Status::EPT_ENTRY_NOT_PRESENT,
        (Level::K4, State::Pending),
    );
    let written = td.sim.ok(Leaf::MemWr, &[0x18, td.tdr, 77]);
    assert_eq!(written.r8, 0);
    assert_eq!(td.sim.ok(Leaf::MemRd, &[0x18, td.tdr]).r8, 77);
    assert_eq!(td.sim.peek(Sim::page(20) + 0x18), 77);
    assert_eq!(td.sim.ok(Leaf::MemSeptRd, &[0, td.tdr | 1, 5]).r8, 0);
}

#[test]
fn a_locked_entry_is_reported_and_gives_the_host_priority() {
    let td = Td::new();
    td.ok(Leaf::MemPageAug, 0, 20);
    let cpu = td.sim.machine.cpu(1, 0);
    let slot = Slot::nth(&cpu, Sim::page(10), 0, Level::K4);
    let guard = slot.lock();
    assert!(guard.is_some() && slot.lock().is_none());
    td.reports(
        Leaf::MemRangeBlock,
        0,
        0,
        Status::OPERAND_BUSY,
        (Level::K4, State::Pending),
    );
    let bits = |mask| slot.load().into_raw() & mask != 0;
    assert!(bits(Entry::LOCKED_MASK) && bits(Entry::HOST_PRIORITY_MASK));
    drop(guard);
    assert!(!bits(Entry::LOCKED_MASK) && bits(Entry::HOST_PRIORITY_MASK));
    td.ok(Leaf::MemRangeBlock, 0, 0);
    assert!(!bits(Entry::HOST_PRIORITY_MASK));
}

#[test]
fn the_tree_is_locked_for_as_much_as_a_leaf_does() {
    let td = Td::new();
    td.ok(Leaf::MemPageAug, 0, 20);
    let busy = Status::OPERAND_BUSY.with(Operand::SEPT_TREE);
    td.tdcs(|tdcs| {
        let guard = tdcs.sept_tree_lock().acquire(Mode::Shared);
        assert!(guard.is_some());
        td.ok(Leaf::MemPageAug, 0x1000, 21);
        td.fails(Leaf::MemRangeBlock, 0, 0, busy);
        td.fails(Leaf::MemRangeUnblock, 0, 0, busy);
        td.fails(Leaf::MemSeptRemove, 1, 0, busy);
        // A leaf that has the TD to itself needs no lock of the tree.
        td.ok(Leaf::MemPageAdd, 0x2000, 22);
        drop(guard);
        let guard = tdcs.sept_tree_lock().acquire(Mode::Exclusive);
        assert!(guard.is_some());
        td.fails(Leaf::MemPageAug, 0x3000, 23, busy);
        drop(guard);
    });
    td.ok(Leaf::MemPageAug, 0x3000, 23);
}

#[test]
fn a_page_that_the_leaf_finds_itself_is_locked_alone() {
    let td = Td::new();
    td.ok(Leaf::MemPageAug, 0, 20);
    td.with_page_locked(20, Level::K4, Mode::Shared, || {
        td.fails(Leaf::MemPageRemove, 0, 0, rcx(Status::OPERAND_BUSY));
        // Blocking writes the page's PAMT entry without its lock.
        td.ok(Leaf::MemRangeBlock, 0, 0);
    });
    // The PAMT entry above is not needed to remove a page, but to use one.
    td.with_page_locked(20, Level::M2, Mode::Exclusive, || {
        // The TDR lies in the same 2M: use it through another page operand only.
        td.fails(
            Leaf::MemPageAug,
            0x1000,
            21,
            Status::OPERAND_BUSY.with(Operand::RDX),
        );
    });
    td.with_page_locked(10, Level::K4, Mode::Shared, || {
        td.fails(Leaf::MemSeptRemove, 1, 0, rcx(Status::OPERAND_BUSY));
    });
    td.ok(Leaf::MemPageRemove, 0, 0);
}

#[test]
fn a_damaged_table_is_fatal_and_not_followed() {
    let td = Td::new();
    td.ok(Leaf::MemPageAug, 0, 20);
    let outside = td.sim.machine.ram.outside();
    let (root, table) = (Sim::page(5), Sim::page(10));
    let damages = [
        // A table elsewhere, a table that is none, an encoding that is none.
        (root, 0x8000_0000_0000_0007 | (0x1234 << 40)),
        (root, 0x8000_0000_0000_0007 | Sim::page(20)),
        (table, 0x8000_0000_0000_0000 | (1 << 6)),
        // A page of nobody, and one that is a table.
        (
            table,
            Entry::new(State::Blocked, Pfn::from_pa(Sim::page(40)).unwrap()).into_raw(),
        ),
        (
            table,
            Entry::new(State::Blocked, Pfn::from_pa(Sim::page(9)).unwrap()).into_raw(),
        ),
    ];
    for (at, damage) in damages {
        let sound = td.sim.peek(at);
        td.sim.poke(at, damage);
        td.fails(Leaf::MemPageRemove, 0, 0, Status::TD_FATAL);
        td.sim.poke(at, sound);
    }
    assert_eq!(td.sim.machine.ram.outside(), outside);
    td.ok(Leaf::MemPageRemove, 0, 0);
}
