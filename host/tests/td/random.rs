// SPDX-License-Identifier: GPL-2.0

//! Random mapping and unmapping with random contention, against a map of what should be there.

use crate::{
    bench::ModelBench,
    disturbed::Disturbed, //
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tdx::{
    abi::{
        sept::State,
        Gpa,
        Leaf,
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
        Range,
        Stop, //
    },
    tdh, //
};

/// GPAs that are used: around the border of two tables.
const SLOTS: u64 = 12;
const FIRST_GPA: u64 = 0x4020_0000 - 6 * 4096;

/// One thing that a host does.
#[derive(Debug, Clone)]
struct Step {
    unmap: bool,
    slot: u64,
    nr: u64,
    /// At the leaf that does the step, let that many calls through, then be busy once.
    busy: Option<u32>,
}

fn step() -> impl Strategy<Value = Step> {
    (
        any::<bool>(),
        0..SLOTS,
        1u64..5,
        proptest::option::of(0u32..4),
    )
        .prop_map(|(unmap, slot, nr, busy)| Step {
            unmap,
            slot,
            nr: nr.min(SLOTS - slot),
            busy,
        })
}

fn gpa(slot: u64) -> Gpa {
    Gpa::new(FIRST_GPA + slot * Level::K4.size()).unwrap()
}

/// The TD, and what should be mapped where.
struct World<'t, 'a, 'b> {
    t: &'t mut TestTd<'a, Disturbed<'b>>,
    mapped: BTreeMap<u64, Pfn>,
}

impl World<'_, '_, '_> {
    /// Calls again from where it stopped for as long as locks are held.
    fn persist(
        &self,
        range: &Range,
        mut op: impl FnMut(&Range, u64) -> sept::Result,
    ) -> Result<(), Stop> {
        let mut done = 0;
        loop {
            let gpa = range.gpa().checked_add(done * Level::K4.size()).unwrap();
            let rest = Range::new(gpa, Level::K4, range.nr() - done).unwrap();
            match op(&rest, done) {
                Err(stop) if matches!(stop.why, sept::Why::Refused(e) if e.is_busy()) => {
                    done += stop.done;
                }
                result => return result,
            }
        }
    }

    fn apply(&mut self, step: &Step) -> Result<(), Fault> {
        let slots = step.slot..step.slot + step.nr;
        let free = slots.clone().all(|slot| !self.mapped.contains_key(&slot));
        let full = slots.clone().all(|slot| self.mapped.contains_key(&slot));
        if step.unmap && full {
            self.unmap(step)
        } else if !step.unmap && free {
            self.map(step)
        } else {
            Ok(())
        }
    }

    fn map(&mut self, step: &Step) -> Result<(), Fault> {
        for slot in step.slot..step.slot + step.nr {
            let page = self.t.alloc_private()?;
            if let Some(after) = step.busy {
                self.t.bench.refuse(Leaf::MemPageAug, after);
            }
            let one = Range::new(gpa(slot), Level::K4, 1).unwrap();
            let t = &*self.t;
            // SAFETY: The memory of the bench is nobody else's.
            self.persist(&one, |rest, _| unsafe {
                sept::aug(t.bench, &t.td, rest, page)
            })?;
            self.mapped.insert(slot, page);
        }
        Ok(())
    }

    fn unmap(&mut self, step: &Step) -> Result<(), Fault> {
        let range = Range::new(gpa(step.slot), Level::K4, step.nr).unwrap();
        let t = &*self.t;
        let disturb = |leaf| {
            if let Some(after) = step.busy {
                t.bench.refuse(leaf, after);
            }
        };
        disturb(Leaf::MemRangeBlock);
        self.persist(&range, |rest, _| sept::block(t.bench, &t.td, rest))?;
        t.bench.calm();
        sept::track(t.bench, &t.td)?;
        for slot in step.slot..step.slot + step.nr {
            let page = self.mapped.remove(&slot).unwrap();
            disturb(Leaf::MemPageRemove);
            let one = Range::new(gpa(slot), Level::K4, 1).unwrap();
            let t = &*self.t;
            self.persist(&one, |rest, _| sept::remove(t.bench, &t.td, rest, page))?;
            self.t.free_private(page);
        }
        Ok(())
    }

    /// Compares every entry with what should be there.
    fn check(&self) {
        for slot in 0..SLOTS {
            let entry = self.t.entry(gpa(slot), Level::K4).unwrap();
            match self.mapped.get(&slot) {
                None => assert_eq!(entry.info.state(), Some(State::Free)),
                Some(page) => {
                    assert_eq!(entry.info.state(), Some(State::Pending));
                    assert_eq!(entry.entry & 0xf_ffff_ffff_f000, page.pa());
                }
            }
        }
    }
}

fn run(bench: &ModelBench, steps: &[Step]) -> Result<(), Fault> {
    with_td(&Disturbed::new(bench), |t| {
        t.link_tables(gpa(0))?;
        t.link_tables(gpa(SLOTS - 1))?;
        tdh::mr::finalize(t.bench, t.td.tdr)?;
        let mut world = World {
            t,
            mapped: BTreeMap::new(),
        };
        for step in steps {
            world.apply(step)?;
            world.t.bench.calm();
            world.check();
        }
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn mapping_and_unmapping(steps in prop::collection::vec(step(), 1..40)) {
        let bench = ModelBench::new();
        if let Err(fault) = run(&bench, &steps) {
            panic!("{fault}");
        }
        bench.assert_all_given_back();
    }
}
