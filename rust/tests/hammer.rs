// SPDX-License-Identifier: GPL-2.0

//! All CPUs call the TDX module at once, about the same few pages: nobody waits for a lock, and nothing
//! gets lost.

use crate::{
    abi::{
        sept::State,
        Gpa,
        GpaWord,
        Level,
        PageType,
        Pfn,
        Status, //
    },
    scenario::{
        self,
        ensure,
        Fault,
        TestTd, //
    },
    seamcall::{
        self,
        kernel::TdxCore, //
    },
    tdh, //
};
use core::{
    ptr,
    sync::atomic::{
        AtomicU64,
        Ordering::Relaxed, //
    }, //
};
use kernel::{
    bindings,
    prelude::*, //
};

/// Pages, and as many places for them: few, so that the CPUs get into each other's way.
const PAGES: usize = 4;
/// Where the first of them is; the others follow.
const GPA: u64 = 0x4000_0000;
/// How often the CPUs begin together, and how many calls each of them makes then with interrupts off.
const ROUNDS: u64 = 100;
const CALLS: u64 = 64;

/// What the CPUs work on, and what came out of it.
struct Work {
    tdr: Pfn,
    pages: [Pfn; PAGES],
    seed: AtomicU64,
    given: AtomicU64,
    taken: AtomicU64,
    busy: AtomicU64,
    /// The status of a call that has another answer than it may have; 0 for none.
    wrong: AtomicU64,
}

/// Answers to calls that come at the wrong time, of which there are many here.
const EXPECTED: [Status; 7] = [
    Status::OPERAND_BUSY,
    Status::EPT_ENTRY_STATE_INCORRECT,
    Status::GPA_RANGE_NOT_BLOCKED,
    Status::PAGE_METADATA_INCORRECT,
    Status::PREVIOUS_TLB_EPOCH_BUSY,
    Status::TLB_TRACKING_NOT_DONE,
    Status::EPT_WALK_FAILED,
];

fn place(n: usize) -> Option<GpaWord> {
    let gpa = Gpa::new(GPA.wrapping_add(n as u64 * Level::K4.size()))?;
    Some(GpaWord::from_raw(gpa.get() | Level::K4.raw()))
}

impl Work {
    /// Makes a call that `random` chooses.
    fn call(&self, random: u64) -> seamcall::Result {
        let Some(at) = place(random as usize % PAGES) else {
            return Ok(());
        };
        let page = self.pages[(random >> 8) as usize % PAGES];
        match (random >> 16) % 6 {
            0 | 1 => {
                // SAFETY: The pages are for the TD, and nobody uses them otherwise.
                unsafe { tdh::mem::page_aug(&TdxCore, self.tdr, at, page) }?;
                self.given.fetch_add(1, Relaxed);
            }
            2 => {
                tdh::mem::range_block(&TdxCore, self.tdr, at)?;
            }
            3 => tdh::mem::track(&TdxCore, self.tdr)?,
            4 => {
                tdh::mem::page_remove(&TdxCore, self.tdr, at)?;
                self.taken.fetch_add(1, Relaxed);
            }
            _ => {
                tdh::phymem::page_rdmd(&TdxCore, page)?;
            }
        }
        Ok(())
    }

    /// What each CPU does in a round.
    fn round(&self) {
        let mut random = self.seed.fetch_add(1, Relaxed);
        for _ in 0..CALLS {
            // Knuth's MMIX; the upper bits are the better ones.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let Err(error) = self.call(random >> 33) else {
                continue;
            };
            if error.is_busy() {
                self.busy.fetch_add(1, Relaxed);
            }
            if !EXPECTED.iter().any(|status| error.status.is(*status)) {
                self.wrong.store(error.status.raw(), Relaxed);
            }
        }
    }

    /// All CPUs at once, with interrupts off.
    fn on_all_cpus(&self) {
        /// # Safety
        ///
        /// `work` must be a [`Work`].
        unsafe extern "C" fn run(work: *mut c_void) {
            // SAFETY: As for this function; others share it, too.
            unsafe { &*work.cast::<Work>() }.round();
        }

        // SAFETY: `run` gets the `Work` it expects, and has ended on all CPUs when the call returns.
        unsafe {
            bindings::on_each_cpu_cond_mask(
                None,
                Some(run),
                ptr::from_ref(self).cast_mut().cast(),
                true,
                &raw const bindings::__cpu_online_mask,
            )
        };
    }
}

/// Takes back what is mapped. Returns how many pages that were.
fn take_all(tdr: Pfn) -> Result<u64, Fault> {
    let mut taken = 0;
    for n in 0..PAGES {
        let at = place(n).ok_or(Fault::Resources)?;
        if tdh::mem::sept_rd(&TdxCore, tdr, at)?.info.state() == Some(State::Free) {
            continue;
        }
        tdh::mem::range_block(&TdxCore, tdr, at)?;
        tdh::mem::track(&TdxCore, tdr)?;
        tdh::mem::page_remove(&TdxCore, tdr, at)?;
        taken += 1;
    }
    Ok(taken)
}

/// See the module.
pub(super) fn all_cpus_at_once(machine: &TdxCore) -> Result<(), Fault> {
    scenario::with_td(machine, |td: &mut TestTd<'_, TdxCore>| {
        let tdr = td.td.tdr;
        td.link_tables(Gpa::new(GPA).ok_or(Fault::Resources)?)?;
        let mut pages = [tdr; PAGES];
        for page in &mut pages {
            *page = td.alloc_private()?;
        }
        let work = Work {
            tdr,
            pages,
            seed: AtomicU64::new(0),
            given: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            wrong: AtomicU64::new(0),
        };
        for _ in 0..ROUNDS {
            work.on_all_cpus();
        }
        let (given, taken) = (work.given.load(Relaxed), work.taken.load(Relaxed));
        pr_info!(
            "all CPUs at once: {given} pages given, {taken} taken, {} times a lock was held\n",
            work.busy.load(Relaxed)
        );

        // A page that is lost here stays with the TD, and its teardown says so.
        let left = take_all(tdr)?;
        ensure!(work.wrong.load(Relaxed) == 0);
        ensure!(given > 0 && taken > 0);
        ensure!(given.wrapping_sub(taken) == left);
        for page in pages {
            ensure!(td.type_of(page)? == Some(PageType::Nda));
            td.free_private(page);
        }
        Ok(())
    })
}
