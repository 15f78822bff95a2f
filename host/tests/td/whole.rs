// SPDX-License-Identifier: GPL-2.0

//! Mapping and unmapping whole ranges: what it costs, and what happens when it stops half way.

use crate::{
    bench::ModelBench,
    disturbed::Disturbed, //
};
use tdx::{
    abi::{
        Gpa,
        Leaf,
        Level,
        PageType,
        Pfn, //
    },
    scenario::{
        with_td,
        Bench,
        TestTd, //
    },
    sept::{
        self,
        Conflict,
        Cost,
        Flush,
        Host,
        Memory,
        Partial,
        Range,
        Run,
        Why, //
    },
    tdh, //
};

const GIB_PAGES: u64 = 1 << 18;

/// A host that counts kicks, and what it gave and got.
pub(crate) struct Tables<'a, B> {
    pub(crate) bench: &'a B,
    pub(crate) kicks: u64,
    pub(crate) taken: u64,
    pub(crate) back: u64,
    /// How many tables there still are to take.
    pub(crate) left: u64,
}

impl<'a, B: Bench> Tables<'a, B> {
    pub(crate) fn new(bench: &'a B) -> Self {
        Self {
            bench,
            kicks: 0,
            taken: 0,
            back: 0,
            left: u64::MAX,
        }
    }
}

impl<B: Bench> Host for Tables<'_, B> {
    fn take_page(&mut self) -> Option<Pfn> {
        self.left = self.left.checked_sub(1)?;
        self.taken += 1;
        self.bench.alloc()
    }

    fn return_page(&mut self, table: Pfn) {
        self.taken -= 1;
        self.bench.free(table);
    }

    fn table_back(&mut self, _gpa: Gpa, _level: Level, table: Pfn) {
        self.back += 1;
        self.bench.free(table);
    }

    fn kick(&mut self) {
        self.kicks += 1;
    }
}

/// GPA of page `n` of the range.
pub(crate) fn gpa(n: u64) -> Gpa {
    Gpa::new(0x80_0000_0000 + n * Level::K4.size()).unwrap()
}

pub(crate) fn run(n: u64, level: Level, nr: u64, first: Pfn) -> Run {
    Run::new(Range::new(gpa(n), level, nr).unwrap(), first).unwrap()
}

/// Gives back all tables of the range of `gib` GiB, which has to be empty.
pub(crate) fn drop_tables<B: Bench>(t: &TestTd<'_, B>, host: &mut Tables<'_, B>, gib: u64) {
    for (level, nr) in [(Level::M2, gib * 512), (Level::G1, gib), (Level::G512, 1)] {
        let range = Range::new(gpa(0), level, nr).unwrap();
        sept::unlink_empty(t.bench, &t.td, &range, host)
            .unwrap_or_else(|partial| panic!("{level:?}: {partial}"));
    }
    assert_eq!(host.taken, host.back);
}

/// Runs `body` on a final TD, on a machine with memory to map.
fn on_final_td(
    gib: u64,
    body: impl FnOnce(&mut TestTd<'_, ModelBench>, &mut Tables<'_, ModelBench>),
) {
    let bench = ModelBench::with_memory(gib);
    let outcome = with_td(&bench, |t| {
        tdh::mr::finalize(t.bench, t.td.tdr)?;
        let mut host = Tables::new(t.bench);
        body(t, &mut host);
        drop_tables(t, &mut host, 1);
        Ok(())
    });
    if let Err(fault) = outcome {
        panic!("{fault}");
    }
    bench.assert_all_given_back();
}

pub(crate) fn map<B: Bench>(
    t: &TestTd<'_, B>,
    at: u64,
    memory: &[Memory],
    largest: Level,
    host: &mut Tables<'_, B>,
) -> Result<Cost, Partial> {
    // SAFETY: The memory of the bench is nobody else's.
    unsafe { sept::map(t.bench, &t.td, gpa(at), memory, largest, host) }
}

/// Maps a GiB at 4 KiB, unmaps it, and returns what that took.
fn unmap_gib(memory: &[Memory], runs: &[Run], flush: Flush) -> Cost {
    let mut result = None;
    on_final_td(3, |t, host| {
        map(t, 0, memory, Level::K4, host).unwrap();
        let before = (t.bench.sept_calls(), t.bench.count(Leaf::PhymemPageWbinvd));
        host.kicks = 0;
        let cost = sept::unmap(t.bench, &t.td, runs, flush, host).unwrap();
        // What is reported is what the TDX module has seen.
        assert_eq!(t.bench.sept_calls() - before.0, cost.sept_calls);
        let flushed = t.bench.count(Leaf::PhymemPageWbinvd) - before.1;
        assert_eq!(flushed, cost.cache_calls);
        assert_eq!(host.kicks, cost.kicks);
        println!("1 GiB unmapped: {cost:?}");
        result = Some(cost);
    });
    result.unwrap()
}

fn gib_page(n: u64) -> Pfn {
    Pfn::new((tdx::layout::TDMR_BASE >> 12) + GIB_PAGES + n).unwrap()
}

fn piece(first: Pfn, pages: u64) -> Memory {
    Memory { first, pages }
}

#[test]
fn a_contiguous_gib_is_unmapped_as_one_page() {
    let memory = [piece(gib_page(0), GIB_PAGES)];
    let runs = [run(0, Level::K4, GIB_PAGES, gib_page(0))];
    let cost = unmap_gib(&memory, &runs, Flush::Pages);
    assert!(cost.sept_calls <= 1040 && cost.kicks <= 3, "{cost:?}");
    // The memory, and the table pages of the merged levels.
    assert_eq!(cost.cache_calls, GIB_PAGES + 513);
    let cost = unmap_gib(&memory, &runs, Flush::Caches);
    assert_eq!((cost.cache_calls, cost.cache_ipis), (513, 2));
}

#[test]
fn contiguous_2m_pieces_are_unmapped_as_2m_pages() {
    // Neighbours in the guest are not neighbours in the host.
    let place = |block: u64| gib_page((block * 5 % 512) * 512);
    let memory: Vec<_> = (0..512).map(|block| piece(place(block), 512)).collect();
    let runs: Vec<_> = (0..512)
        .map(|block| run(block * 512, Level::K4, 512, place(block)))
        .collect();
    let cost = unmap_gib(&memory, &runs, Flush::Pages);
    assert!(cost.sept_calls <= 2060 && cost.kicks <= 2, "{cost:?}");
}

#[test]
fn scattered_pages_are_two_calls_each() {
    let place = |n: u64| gib_page(n * 7 % GIB_PAGES);
    let memory: Vec<_> = (0..GIB_PAGES).map(|n| piece(place(n), 1)).collect();
    let runs: Vec<_> = (0..GIB_PAGES)
        .map(|n| run(n, Level::K4, 1, place(n)))
        .collect();
    let cost = unmap_gib(&memory, &runs, Flush::Pages);
    assert_eq!((cost.sept_calls, cost.kicks), (2 * GIB_PAGES + 1, 1));
}

#[test]
fn a_gib_is_mapped_by_512_calls() {
    on_final_td(3, |t, host| {
        let before = t.bench.count(Leaf::MemPageAug);
        let cost = map(t, 0, &[piece(gib_page(0), GIB_PAGES)], Level::M2, host).unwrap();
        assert_eq!(t.bench.count(Leaf::MemPageAug) - before, 512);
        // A table for 512G, one for 1G; one call asks what is there.
        assert_eq!((host.taken, cost.sept_calls), (2, 512 + 2 + 1));

        // By name of its 2M pages; they become one first.
        let runs = [run(0, Level::M2, 512, gib_page(0))];
        let cost = sept::unmap(t.bench, &t.td, &runs, Flush::Pages, host).unwrap();
        assert_eq!((cost.sept_calls, cost.kicks), (3 + 3, 2));
    });
}

#[test]
fn a_page_is_split_and_merged_at_every_level() {
    on_final_td(3, |t, host| {
        map(t, 0, &[piece(gib_page(0), GIB_PAGES)], Level::M2, host).unwrap();
        let block_and_track = |level| {
            let one = Range::new(gpa(0), level, 1).unwrap();
            sept::block(t.bench, &t.td, &one).unwrap();
            sept::track(t.bench, &t.td).unwrap();
        };
        block_and_track(Level::G1);
        let table = sept::merge(t.bench, &t.td, gpa(0), Level::G1).unwrap();
        let level = || tdh::phymem::page_rdmd(t.bench, gib_page(0)).unwrap().level;
        assert_eq!(level(), Some(Level::G1));
        for size in [Level::G1, Level::M2] {
            let table = if size == Level::G1 {
                table
            } else {
                host.take_page().unwrap()
            };
            block_and_track(size);
            // SAFETY: The memory of the bench is nobody else's.
            unsafe { sept::split(t.bench, &t.td, gpa(0), size, table) }.unwrap();
            assert_eq!(level(), size.down());
        }
        // A page of 4K cannot be mapped into one of 2M, nor 2M where there are pages of 4K.
        let spare = piece(t.bench.large_page(), 512);
        let why = |result: Result<Cost, Partial>| result.unwrap_err().why.conflict();
        let one = piece(t.bench.large_page(), 1);
        let larger = why(map(t, 512, &[one], Level::K4, host));
        assert_eq!(larger, Some(Conflict::Larger(Level::M2)));
        let at = Range::new(gpa(0), Level::M2, 1).unwrap();
        // SAFETY: As above.
        let smaller = unsafe { sept::aug(t.bench, &t.td, &at, spare.first) };
        assert_eq!(smaller.unwrap_err().why.conflict(), Some(Conflict::Smaller));

        block_and_track(Level::M2);
        let table = sept::merge(t.bench, &t.td, gpa(0), Level::M2).unwrap();
        host.table_back(gpa(0), Level::M2, table);
        let runs = [run(0, Level::M2, 512, gib_page(0))];
        sept::unmap(t.bench, &t.td, &runs, Flush::Pages, host).unwrap();
    });
}

#[test]
fn mixed_states_are_unmapped_page_by_page() {
    let bench = ModelBench::with_memory(3);
    let outcome = with_td(&bench, |t| {
        let mut host = Tables::new(t.bench);
        // One page of initial memory, which needs no acceptance, among others.
        map(t, 1, &[piece(gib_page(1), 511)], Level::K4, &mut host).unwrap();
        let one = Range::new(gpa(0), Level::K4, 1).unwrap();
        // SAFETY: The memory of the bench is nobody else's.
        unsafe { sept::add(t.bench, &t.td, &one, gib_page(0), t.bench.large_page()) }?;
        tdh::mr::finalize(t.bench, t.td.tdr)?;

        let runs = [run(0, Level::K4, 512, gib_page(0))];
        let cost = sept::unmap(t.bench, &t.td, &runs, Flush::Pages, &mut host).unwrap();
        // Block, track, a refused merge, unblock; then two calls a page, and track.
        assert_eq!((cost.sept_calls, cost.kicks), (4 + 2 * 512 + 1, 2));
        assert_eq!(cost.not_merged, 1);
        drop_tables(t, &mut host, 1);
        Ok(())
    });
    if let Err(fault) = outcome {
        panic!("{fault}");
    }
    bench.assert_all_given_back();
}

#[test]
fn mapping_uses_the_largest_pages_that_fit() {
    on_final_td(3, |t, host| {
        // 2M fits neither at the start nor at the end.
        let memory = [piece(gib_page(512 - 3), 3 + 2 * 512 + 5)];
        let cost = map(t, 512 - 3, &memory, Level::M2, host).unwrap();
        assert_eq!(t.bench.count(Leaf::MemPageAug), 3 + 2 + 5);
        // Three tables of pages would be wrong: two at the ends, one each of 1G and 512G.
        assert_eq!(host.taken, 4);
        // Asked once for each table whose entries were needed.
        assert_eq!(cost.sept_calls, 10 + 4 + 3);
        let runs = [
            run(512 - 3, Level::K4, 3, gib_page(512 - 3)),
            run(512, Level::M2, 2, gib_page(512)),
            run(3 * 512, Level::K4, 5, gib_page(3 * 512)),
        ];
        let cost = sept::unmap(t.bench, &t.td, &runs, Flush::Pages, host).unwrap();
        assert_eq!((cost.sept_calls, cost.kicks), (2 * 10 + 1, 1));

        // Where the guest address and the memory do not go together, pages are small.
        let before = t.bench.count(Leaf::MemPageAug);
        map(t, 512, &[piece(gib_page(1), 512)], Level::M2, host).unwrap();
        assert_eq!(t.bench.count(Leaf::MemPageAug) - before, 512);
        let runs = [run(512, Level::K4, 512, gib_page(1))];
        sept::unmap(t.bench, &t.td, &runs, Flush::Pages, host).unwrap();
        // The table page is still there, in the place of a page of 2M: small pages again.
        map(t, 512, &[piece(gib_page(512), 512)], Level::M2, host).unwrap();
        let page = tdh::phymem::page_rdmd(t.bench, gib_page(512)).unwrap();
        assert_eq!(
            (page.page_type, page.level),
            (Some(PageType::Reg), Some(Level::K4))
        );
        let runs = [run(512, Level::K4, 512, gib_page(512))];
        sept::unmap(t.bench, &t.td, &runs, Flush::Pages, host).unwrap();
    });
}

#[test]
fn nothing_is_called_for_memory_that_cannot_be() {
    on_final_td(1, |t, host| {
        let before = t.bench.sept_calls();
        let good = piece(t.bench.large_page(), 1);
        let last = (1 << 40) - 1;
        // Not in a TDMR; from its end on; in the PAMT; above all addresses; more than there is.
        let bad = [
            (0, 1),
            ((tdx::layout::TDMR_BASE >> 12) + GIB_PAGES - 1, 2),
            (0x8_0400, 1),
            (last, 1),
            (last, 2),
            (last, u64::MAX),
            (0, u64::MAX),
        ];
        for (pfn, pages) in bad {
            let bad = piece(Pfn::new(pfn).unwrap(), pages);
            let partial = map(t, 0, &[good, bad], Level::M2, host).unwrap_err();
            assert!(matches!(partial.why, Why::NotConvertible | Why::Invalid));
            assert_eq!((partial.pages, partial.cost), (0, Cost::default()));
        }
        let unordered = [
            run(1, Level::K4, 1, good.first),
            run(0, Level::K4, 1, good.first),
        ];
        let above = [run(0, Level::K4, 1, Pfn::new(1 << 34).unwrap())];
        for runs in [&unordered[..], &above] {
            let partial = sept::unmap(t.bench, &t.td, runs, Flush::Pages, host).unwrap_err();
            assert_eq!(partial.why, Why::Invalid);
        }
        assert_eq!(t.bench.sept_calls(), before);
    });
}

#[test]
fn without_tables_mapping_stops_and_goes_on() {
    on_final_td(3, |t, host| {
        let memory = [piece(gib_page(0), 1024)];
        host.left = 3;
        let partial = map(t, 0, &memory, Level::K4, host).unwrap_err();
        assert_eq!((partial.pages, partial.why), (512, Why::NoMemory));
        host.left = 1;
        map(t, 512, &[piece(gib_page(512), 512)], Level::K4, host).unwrap();
        let runs = [run(0, Level::K4, 1024, gib_page(0))];
        sept::unmap(t.bench, &t.td, &runs, Flush::Pages, host).unwrap();
    });
}

/// What is left of `runs` after `pages` pages.
pub(crate) fn rest(runs: &[Run], mut pages: u64) -> Vec<Run> {
    let mut left = Vec::new();
    for run in runs {
        let skip = pages.min(run.range().pages());
        pages -= skip;
        left.extend(run.after(skip));
    }
    left
}

#[test]
fn unmapping_that_is_stopped_anywhere_goes_on() {
    let place = |n| gib_page(n);
    // All of 1 GiB, 2M pieces with small ones between them, and single pages.
    let whole = vec![run(0, Level::M2, 512, place(0))];
    let mixed = vec![
        run(0, Level::K4, 512, place(512)),
        run(515, Level::K4, 2, place(3)),
        run(1024, Level::K4, 512, place(2048)),
        run(1536, Level::M2, 1, place(4096)),
    ];
    let leaves = [
        Leaf::MemRangeBlock,
        Leaf::MemTrack,
        Leaf::MemPagePromote,
        Leaf::MemPageRemove,
    ];
    for runs in [whole, mixed] {
        for leaf in leaves {
            for after in [0, 1, 2, 3, 4] {
                let bench = ModelBench::with_memory(3);
                let disturbed = Disturbed::new(&bench);
                let outcome = with_td(&disturbed, |t| {
                    tdh::mr::finalize(t.bench, t.td.tdr)?;
                    let mut host = Tables::new(t.bench);
                    for run in &runs {
                        let at = (run.range().gpa().get() - gpa(0).get()) >> 12;
                        let memory = [piece(run.first(), run.range().pages())];
                        map(t, at, &memory, run.range().level(), &mut host).unwrap();
                    }
                    t.bench.refuse(leaf, after);
                    let mut left = runs.clone();
                    while let Err(partial) =
                        sept::unmap(t.bench, &t.td, &left, Flush::Pages, &mut host)
                    {
                        assert!(matches!(partial.why, Why::Refused(error) if error.is_busy()));
                        left = rest(&left, partial.pages);
                    }
                    t.bench.calm();
                    drop_tables(t, &mut host, 1);
                    Ok(())
                });
                if let Err(fault) = outcome {
                    panic!("{leaf:?} after {after}: {fault}");
                }
                bench.assert_all_given_back();
            }
        }
    }
}
