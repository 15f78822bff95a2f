// SPDX-License-Identifier: GPL-2.0

//! Large mappings: split into small ones, and removed as they are.

use crate::bench::ModelBench;
use std::sync::atomic::Ordering::Relaxed;
use tdx::{
    abi::{
        sept::State,
        Gpa,
        Level,
        Operand,
        PageType,
        Pfn,
        Status, //
    },
    scenario::{
        backed_by,
        with_td,
        TestTd, //
    },
    sept::{
        self,
        Memory,
        Range,
        Why, //
    },
    tdh, //
};

const GPA: u64 = 0x4000_0000;

fn gpa(page: u64) -> Gpa {
    Gpa::new(GPA + page * Level::K4.size()).unwrap()
}

fn range(level: Level, nr: u64) -> Range {
    Range::new(gpa(0), level, nr).unwrap()
}

fn refused(result: sept::Result) -> Status {
    match result.unwrap_err().why {
        Why::Refused(error) => error.status,
        why => panic!("{why:?}"),
    }
}

/// Runs `body` on a final TD with a 2 MiB page mapped, that has to be removed again.
fn on_large_page(body: impl FnOnce(&mut TestTd<'_, ModelBench>, Pfn)) {
    let bench = ModelBench::new();
    let first = bench.large_page();
    let outcome = with_td(&bench, |t| {
        t.link_tables_to(gpa(0), Level::M2)?;
        tdh::mr::finalize(t.bench, t.td.tdr)?;
        // SAFETY: The memory of the bench is nobody else's.
        unsafe { sept::aug(t.bench, &t.td, &range(Level::M2, 1), first) }?;
        let page = tdh::phymem::page_rdmd(t.bench, first)?;
        assert_eq!(page.page_type, Some(PageType::Reg));
        assert_eq!(page.level, Some(Level::M2));
        body(t, first);
        Ok(())
    });
    if let Err(fault) = outcome {
        panic!("{fault}");
    }
    bench.assert_all_given_back();
}

#[test]
fn large_page_is_removed_as_one() {
    on_large_page(|t, first| {
        sept::block(t.bench, &t.td, &range(Level::M2, 1)).unwrap();
        sept::track(t.bench, &t.td).unwrap();
        sept::remove(t.bench, &t.td, &range(Level::M2, 1), first).unwrap();
    });
}

#[test]
fn large_page_is_split() {
    on_large_page(|t, first| {
        let table = t.alloc_private().unwrap();
        // SAFETY: The memory of the bench is nobody else's.
        let split = |t: &TestTd<'_, ModelBench>| unsafe {
            sept::split(t.bench, &t.td, gpa(0), Level::M2, table)
        };
        let not_blocked = Status::GPA_RANGE_NOT_BLOCKED.with(Operand::RCX);
        assert_eq!(refused(split(t)), not_blocked);
        sept::block(t.bench, &t.td, &range(Level::M2, 1)).unwrap();
        let not_tracked = Status::TLB_TRACKING_NOT_DONE.with(Operand::RCX);
        assert_eq!(refused(split(t)), not_tracked);
        sept::track(t.bench, &t.td).unwrap();

        // Interrupts may wait: the module has ENHANCED_DEMOTE_INTERRUPTIBILITY.
        t.bench.computer.interrupt.store(true, Relaxed);
        split(t).unwrap();
        t.bench.computer.interrupt.store(false, Relaxed);
        for n in [0, 1, 255, 511] {
            let entry = t.entry(gpa(n), Level::K4).unwrap();
            assert_eq!(entry.info.state(), Some(State::Pending));
            assert_eq!(entry.entry & 0xf_ffff_ffff_f000, first.pa() + n * 4096);
        }
        let all = range(Level::K4, Level::M2.pages());
        sept::block(t.bench, &t.td, &all).unwrap();
        sept::track(t.bench, &t.td).unwrap();
        sept::remove(t.bench, &t.td, &all, first).unwrap();
    });
}

#[test]
fn merge_that_is_interrupted_for_ever_is_given_up() {
    on_large_page(|t, first| {
        let block = |t: &TestTd<'_, ModelBench>| {
            sept::block(t.bench, &t.td, &range(Level::M2, 1)).unwrap();
            sept::track(t.bench, &t.td).unwrap();
        };
        block(t);
        let table = t.alloc_private().unwrap();
        // SAFETY: The memory of the bench is nobody else's.
        unsafe { sept::split(t.bench, &t.td, gpa(0), Level::M2, table) }.unwrap();
        block(t);

        let merge = |t: &TestTd<'_, ModelBench>| sept::merge(t.bench, &t.td, gpa(0), Level::M2);
        t.bench.computer.interrupt.store(true, Relaxed);
        let interrupted = merge(t).unwrap_err();
        assert!(matches!(interrupted.why, Why::Refused(error)
            if error.status == Status::INTERRUPTED_RESTARTABLE));
        t.bench.computer.interrupt.store(false, Relaxed);
        let entry = t.entry(gpa(0), Level::M2).unwrap();
        assert_eq!(entry.info.state(), Some(State::NlBlocked));

        assert_eq!(merge(t).unwrap(), table);
        block(t);
        sept::remove(t.bench, &t.td, &range(Level::M2, 1), first).unwrap();
    });
}

#[test]
fn memory_goes_through_all_sizes() {
    let bench = ModelBench::new();
    let memory = Memory {
        first: bench.large_page(),
        pages: 2 * Level::M2.pages(),
    };
    let mut asked = 0;
    let outcome = backed_by(&bench, memory, &mut || {
        asked += 1;
        true
    });
    if let Err(fault) = outcome {
        panic!("{fault}");
    }
    assert_eq!(asked, 6);
    bench.assert_all_given_back();

    // An owner who finds it changed is heard.
    assert!(backed_by(&bench, memory, &mut || false).is_err());
    bench.assert_all_given_back();
}

#[test]
fn many_pages_are_mapped_by_one_call_each() {
    on_large_page(|t, first| {
        let large = Range::new(gpa(512), Level::M2, 3).unwrap();
        let next = first.checked_add(512).unwrap();
        // SAFETY: The memory of the bench is nobody else's.
        unsafe { sept::aug(t.bench, &t.td, &large, next) }.unwrap();
        let all = range(Level::M2, 4);
        sept::block(t.bench, &t.td, &all).unwrap();
        sept::track(t.bench, &t.td).unwrap();
        sept::remove(t.bench, &t.td, &all, first).unwrap();
    });
}
