// SPDX-License-Identifier: GPL-2.0

//! Random mapping, unmapping, splitting and merging of memory that lies anywhere, against a map of
//! what should be there.

use crate::{
    bench::ModelBench,
    whole::{
        drop_tables,
        gpa,
        map,
        run,
        Tables, //
    },
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tdx::{
    abi::{
        sept::State,
        Level,
        Pfn, //
    },
    scenario::{
        with_td,
        Fault,
        TestTd, //
    },
    sept::{
        self,
        Conflict,
        Flush,
        Host,
        Memory,
        Range,
        Run, //
    },
    tdh, //
};

/// Blocks of 2M in the guest and in the host.
const BLOCKS: u64 = 4;
const BLOCK: u64 = 512;

/// One thing that a host does.
#[derive(Debug, Clone)]
enum Step {
    /// Map `nr` pages from guest page `at` to host page `to`.
    Map { at: u64, to: u64, nr: u64 },
    /// Unmap what is mapped of `nr` pages from guest page `at`.
    Unmap { at: u64, nr: u64 },
    /// Split the page of 2M in that block, if it is one.
    Split(u64),
    /// Merge the pages in that block, if there is a table.
    Merge(u64),
}

/// Page numbers near the borders of blocks, where things happen, and lengths about a block.
fn page() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => (0..BLOCKS).prop_map(|block| block * BLOCK),
        1 => 0..BLOCKS * BLOCK,
    ]
}

fn length() -> impl Strategy<Value = u64> {
    prop_oneof![Just(BLOCK), Just(2 * BLOCK), 1..2 * BLOCK, 1u64..4]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (page(), page(), length()).prop_map(|(at, to, nr)| Step::Map { at, to, nr }),
        2 => (page(), length()).prop_map(|(at, nr)| Step::Unmap { at, nr }),
        1 => (0..BLOCKS).prop_map(Step::Split),
        1 => (0..BLOCKS).prop_map(Step::Merge),
    ]
}

/// The TD, and what should be mapped where: by guest page, the host page and the level.
struct World<'t, 'a, 'h> {
    t: &'t TestTd<'a, ModelBench>,
    host: &'h mut Tables<'a, ModelBench>,
    mapped: BTreeMap<u64, (u64, Level)>,
}

impl World<'_, '_, '_> {
    fn pfn(&self, n: u64) -> Pfn {
        self.t.bench.gib_page(n)
    }

    fn is_large(&self, block: u64) -> bool {
        let first = self.mapped.get(&(block * BLOCK));
        first.is_some_and(|(_, level)| *level == Level::M2)
    }

    fn level_at(&self, n: u64, level: Level) -> Option<State> {
        let at = gpa(n).align_down(level);
        Some(self.t.entry(at, level).ok()?.info.state().unwrap())
    }

    fn block_and_track(&self, block: u64) {
        let range = Range::new(gpa(block * BLOCK), Level::M2, 1).unwrap();
        sept::block(self.t.bench, &self.t.td, &range).unwrap();
        sept::track(self.t.bench, &self.t.td).unwrap();
    }

    fn split(&mut self, block: u64) {
        self.block_and_track(block);
        let table = self.host.take_page().unwrap();
        let at = gpa(block * BLOCK);
        // SAFETY: The memory of the bench is nobody else's.
        unsafe { sept::split(self.t.bench, &self.t.td, at, Level::M2, table) }.unwrap();
        for n in 0..BLOCK {
            self.mapped.get_mut(&(block * BLOCK + n)).unwrap().1 = Level::K4;
        }
    }

    /// Whether the pages of the block can become one.
    fn is_uniform(&self, block: u64) -> bool {
        let to = |n| self.mapped.get(&(block * BLOCK + n)).map(|(to, _)| *to);
        to(0)
            .is_some_and(|first| first % BLOCK == 0 && (1..BLOCK).all(|n| to(n) == Some(first + n)))
    }

    fn merge(&mut self, block: u64) {
        self.block_and_track(block);
        match sept::merge(self.t.bench, &self.t.td, gpa(block * BLOCK), Level::M2) {
            Ok(table) => {
                assert!(self.is_uniform(block));
                self.host.table_back(gpa(block * BLOCK), Level::M2, table);
                for n in 0..BLOCK {
                    self.mapped.get_mut(&(block * BLOCK + n)).unwrap().1 = Level::M2;
                }
            }
            Err(stop) => {
                assert!(!self.is_uniform(block));
                assert_eq!(stop.why.conflict(), Some(Conflict::NotUniform));
                let range = Range::new(gpa(block * BLOCK), Level::M2, 1).unwrap();
                sept::unblock(self.t.bench, &self.t.td, &range).unwrap();
            }
        }
    }

    /// What is mapped of a part of the guest, as runs.
    fn runs(&self, at: u64, end: u64) -> Vec<Run> {
        let mut runs: Vec<(u64, u64, Level, u64)> = Vec::new();
        for (n, (to, level)) in self.mapped.range(at..end) {
            match runs.last_mut() {
                Some((from, first, same, nr))
                    if *from + *nr == *n && *first + *nr == *to && *same == *level =>
                {
                    *nr += 1;
                }
                _ => runs.push((*n, *to, *level, 1)),
            }
        }
        runs.iter()
            .map(|(n, to, level, nr)| run(*n, *level, nr / level.pages(), self.pfn(*to)))
            .collect()
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Map { at, to, nr } => {
                let nr = nr.min(BLOCKS * BLOCK - at.max(to));
                let free = self.mapped.range(at..at + nr).next().is_none();
                let unused = |page: &u64| !(to..to + nr).contains(page);
                if !free || !self.mapped.values().all(|(page, _)| unused(page)) {
                    return;
                }
                let memory = [Memory {
                    first: self.pfn(to),
                    pages: nr,
                }];
                map(self.t, at, &memory, Level::M2, self.host).unwrap();
                for n in 0..nr {
                    let page = self.level_at(at + n, Level::M2);
                    let large = page.is_some_and(|state| state.is_leaf());
                    let level = if large { Level::M2 } else { Level::K4 };
                    self.mapped.insert(at + n, (to + n, level));
                }
            }
            Step::Unmap { at, nr } => {
                let end = (at + nr).min(BLOCKS * BLOCK);
                // A page that is unmapped in part has to be split.
                for border in [at, end] {
                    let block = border / BLOCK;
                    if border % BLOCK != 0 && self.is_large(block) {
                        self.split(block);
                    }
                }
                let runs = self.runs(at, end);
                sept::unmap(self.t.bench, &self.t.td, &runs, Flush::Pages, self.host).unwrap();
                self.mapped.retain(|n, _| !(at..end).contains(n));
            }
            Step::Split(block) if self.is_large(block) => self.split(block),
            Step::Merge(block)
                if self.level_at(block * BLOCK, Level::M2) == Some(State::NlMapped) =>
            {
                self.merge(block);
            }
            _ => (),
        }
    }

    /// Compares every entry with what should be there.
    fn check(&self) {
        for n in 0..BLOCKS * BLOCK {
            let expected = self.mapped.get(&n);
            let level = expected.map_or(Level::K4, |(_, level)| *level);
            let entry = self.t.entry(gpa(n).align_down(level), level);
            match (expected, entry) {
                (Some((to, _)), Ok(entry)) => {
                    assert_eq!(entry.info.state(), Some(State::Pending), "page {n}");
                    let offset = n % level.pages();
                    let page = Pfn::containing(entry.entry).checked_add(offset);
                    assert_eq!(page, Some(self.pfn(*to)), "page {n}");
                }
                (None, Ok(entry)) => assert_eq!(entry.info.state(), Some(State::Free)),
                // No table.
                (None, Err(error)) => {
                    let (_, info) = error.entry().unwrap();
                    assert_eq!(info.state(), Some(State::Free), "page {n}");
                }
                (Some(_), Err(error)) => panic!("page {n}: {error}"),
            }
        }
    }
}

fn run_steps(bench: &ModelBench, steps: &[Step]) -> Result<(), Fault> {
    with_td(bench, |t| {
        tdh::mr::finalize(t.bench, t.td.tdr)?;
        let mut host = Tables::new(t.bench);
        let mut world = World {
            t,
            host: &mut host,
            mapped: BTreeMap::new(),
        };
        for step in steps {
            world.apply(step);
            world.check();
        }
        let all = Step::Unmap {
            at: 0,
            nr: BLOCKS * BLOCK,
        };
        world.apply(&all);
        drop_tables(t, &mut host, 1);
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_layout(steps in prop::collection::vec(step(), 1..20)) {
        let bench = ModelBench::with_memory(2);
        if let Err(fault) = run_steps(&bench, &steps) {
            panic!("{fault}");
        }
        bench.assert_all_given_back();
    }
}
