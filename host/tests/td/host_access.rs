// SPDX-License-Identifier: GPL-2.0

//! What is taken from the host and given back: at any time the pages in TDX hands, no more and no less. And the
//! way back from such a page to its place in the secure EPT.

use std::{
    collections::BTreeSet,
    sync::Mutex, //
};
use tdx::{
    abi::{
        Gpa,
        Level,
        PageType,
        Pfn, //
    },
    bench::ModelBench,
    scenario::{
        with_td,
        TestTd, //
    },
    sept::{
        self,
        Range, //
    },
    tdh, //
};

const GPA: u64 = 0x4000_0000;

fn gpa(page: u64) -> Gpa {
    Gpa::new(GPA + page * Level::K4.size()).unwrap()
}

fn range(level: Level) -> Range {
    Range::new(gpa(0), level, 1).unwrap()
}

/// Pages that are compared: those that are handed out first, and a large one.
fn pages(bench: &ModelBench) -> impl Iterator<Item = Pfn> {
    let large = bench.large_page();
    let small = bench.first_page();
    (0..64)
        .map(move |n| small.checked_add(n).unwrap())
        .chain((0..512).map(move |n| large.checked_add(n).unwrap()))
}

/// The host is kept out of exactly the pages that are in TDX hands.
#[track_caller]
fn check(bench: &ModelBench) -> usize {
    let closed = bench.computer.closed.as_ref().unwrap().lock().unwrap();
    let held = |page: &Pfn| {
        let metadata = tdh::phymem::page_rdmd(bench, *page).unwrap();
        metadata.page_type != Some(PageType::Nda)
    };
    let held: BTreeSet<u64> = pages(bench).filter(held).map(Pfn::pa).collect();
    assert_eq!(*closed, held);
    held.len()
}

#[track_caller]
fn place(t: &TestTd<'_, ModelBench>, page: Pfn) -> Option<(u64, Level)> {
    t.bench.place(t.td.tdr, page)
}

#[test]
fn pages_of_a_td_from_its_creation_to_its_end() {
    let mut bench = ModelBench::new();
    bench.computer.closed = Some(Mutex::default());
    let bench = bench;
    assert_eq!(check(&bench), 0);
    let outcome = with_td(&bench, |t| {
        // The TDR, the TDCS, and the TDVPS of a vCPU.
        assert_eq!(check(&bench), 13);
        t.link_tables(gpa(0))?;
        assert_eq!(check(&bench), 16);
        let page = t.alloc_private()?;
        assert_eq!((check(&bench), place(t, page)), (16, None));
        // SAFETY: The memory of the bench is nobody else's.
        unsafe { sept::aug(&bench, &t.td, &range(Level::K4), page) }?;
        assert_eq!(check(&bench), 17);
        assert_eq!(place(t, page), Some((GPA, Level::K4)));
        // What is refused changes nothing.
        // SAFETY: As above.
        unsafe { sept::aug(&bench, &t.td, &range(Level::K4), page) }.unwrap_err();
        assert_eq!(check(&bench), 17);

        tdh::mr::finalize(&bench, t.td.tdr)?;
        sept::block(&bench, &t.td, &range(Level::K4))?;
        sept::track(&bench, &t.td)?;
        assert_eq!(place(t, page), Some((GPA, Level::K4)));
        sept::remove(&bench, &t.td, &range(Level::K4), page)?;
        assert_eq!((check(&bench), place(t, page)), (16, None));
        t.free_private(page);
        Ok(())
    });
    if let Err(fault) = outcome {
        panic!("{fault}");
    }
    assert_eq!(check(&bench), 0);
}

#[test]
fn a_large_page_split_and_merged() {
    let mut bench = ModelBench::new();
    bench.computer.closed = Some(Mutex::default());
    let bench = bench;
    let first = bench.large_page();
    let last = first.checked_add(511).unwrap();
    let outcome = with_td(&bench, |t| {
        t.link_tables_to(gpa(0), Level::M2)?;
        tdh::mr::finalize(&bench, t.td.tdr)?;
        let before = check(&bench);
        // SAFETY: The memory of the bench is nobody else's.
        unsafe { sept::aug(&bench, &t.td, &range(Level::M2), first) }?;
        assert_eq!(check(&bench), before + 512);
        assert_eq!(place(t, last), Some((GPA, Level::M2)));

        let table = t.alloc_private()?;
        sept::block(&bench, &t.td, &range(Level::M2))?;
        sept::track(&bench, &t.td)?;
        // SAFETY: As above.
        unsafe { sept::split(&bench, &t.td, gpa(0), Level::M2, table) }?;
        assert_eq!(check(&bench), before + 513);
        assert_eq!(place(t, last), Some((gpa(511).get(), Level::K4)));
        assert_eq!(place(t, table), Some((GPA, Level::M2)));

        sept::block(&bench, &t.td, &range(Level::M2))?;
        sept::track(&bench, &t.td)?;
        assert_eq!(sept::merge(&bench, &t.td, gpa(0), Level::M2)?, table);
        assert_eq!((check(&bench), place(t, table)), (before + 512, None));

        sept::block(&bench, &t.td, &range(Level::M2))?;
        sept::track(&bench, &t.td)?;
        sept::remove(&bench, &t.td, &range(Level::M2), first)?;
        assert_eq!((check(&bench), place(t, last)), (before, None));
        Ok(())
    });
    if let Err(fault) = outcome {
        panic!("{fault}");
    }
    assert_eq!(check(&bench), 0);
}

/// A tree whose tables lead back into it ends the search all the same.
#[test]
fn a_damaged_tree_is_not_searched_for_ever() {
    let bench = ModelBench::new();
    let outcome = with_td(&bench, |t| {
        t.link_tables_to(gpa(0), Level::G1)?;
        let (parent, table) = (t.alloc_private()?, t.alloc_private()?);
        for (table, level) in [(parent, Level::G1), (table, Level::M2)] {
            // SAFETY: The memory of the bench is nobody else's.
            unsafe { sept::link(&bench, &t.td, gpa(0).align_down(level), level, table) }?;
        }
        let mut word = [0; 8];
        bench.computer.read(parent.pa(), &mut word);
        let mut free = [0; 8];
        bench.computer.read(parent.pa() + 8, &mut free);
        for n in 1..512 {
            bench.computer.write(parent.pa() + 8 * n, &word);
        }
        assert_eq!(place(t, bench.large_page()), None);
        assert_eq!(place(t, table), Some((GPA, Level::M2)));
        for n in 1..512 {
            bench.computer.write(parent.pa() + 8 * n, &free);
        }
        Ok(())
    });
    if let Err(fault) = outcome {
        panic!("{fault}");
    }
}
