// SPDX-License-Identifier: GPL-2.0

//! The scenarios on modules that differ from the default in all that a host has to ask for.

use tdx::{
    abi::{
        metadata::Features0,
        Gpa,
        Leaf,
        Level,
        Status, //
    },
    bench::ModelBench,
    scenario::{
        self,
        with_td, //
    },
    sept::{
        self,
        Range, //
    },
    sim::model::profile::Shape, //
};

fn run_all(change: impl FnOnce(&mut Shape)) {
    let mut shape = Shape::default();
    change(&mut shape);
    let bench = ModelBench::with_module(shape, 1);
    for scenario in [
        scenario::life,
        scenario::measurement,
        scenario::ranges,
        scenario::refused_calls,
        scenario::refused_memory,
    ] {
        if let Err(fault) = scenario(&bench) {
            panic!("{fault}");
        }
        bench.assert_all_given_back();
    }
}

#[test]
fn more_of_everything() {
    run_all(|shape| {
        shape.pamt_entry_sizes = [64, 128, 256];
        shape.tdcs_pages = 9;
        shape.tdvps_pages = 15;
        shape.features0 |= Features0::CLFLUSH_BEFORE_ALLOC_MASK;
    });
}

#[test]
fn entries_that_lie_across_pages() {
    run_all(|shape| shape.pamt_entry_sizes = [48, 80, 112]);
}

#[test]
fn as_little_as_can_be() {
    run_all(|shape| {
        shape.max_tdmrs = 1;
        shape.max_reserved_per_tdmr = 1;
    });
}

/// Only for a module that asks, and before the page is given.
#[test]
fn cache_lines_are_flushed_for_a_module_that_wants_so() {
    for wants in [false, true] {
        let mut shape = Shape::default();
        if wants {
            shape.features0 |= Features0::CLFLUSH_BEFORE_ALLOC_MASK;
        }
        let bench = ModelBench::with_module(shape, 1);
        let done = with_td(&bench, |t| {
            let flushes = || bench.count(Leaf::PhymemPageWbinvd);
            let per_page = u64::from(wants);

            let before = flushes();
            t.link_tables(Gpa::new(0).unwrap())?;
            assert_eq!(flushes() - before, 3 * per_page);

            let before = flushes();
            let range = Range::new(Gpa::new(0).unwrap(), Level::K4, 1).unwrap();
            let page = t.alloc_private()?;
            // SAFETY: The page was just allocated.
            unsafe { sept::aug(&bench, &t.td, &range, page) }?;
            assert_eq!(flushes() - before, per_page);

            // The page was still the host's then.
            let [before, last] = bench.last_calls();
            assert_eq!(last, Some((Leaf::MemPageAug, Status::SUCCESS)));
            let flushed = Some((Leaf::PhymemPageWbinvd, Status::SUCCESS));
            assert_eq!(before == flushed, wants);
            Ok(())
        });
        if let Err(fault) = done {
            panic!("{fault}");
        }
        bench.assert_all_given_back();
    }
}
