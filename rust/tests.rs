// SPDX-License-Identifier: GPL-2.0

//! KUnit tests: the scenarios on the TDX module of this machine, and what KVM's operations answer.

use crate::{
    abi::{
        sept::{
            Info,
            State, //
        },
        Args,
        Hkid,
        Level,
        Pfn,
        Rax,
        Status, //
    },
    kvm,
    scenario::{
        self,
        ensure,
        Bench,
        Fault, //
    },
    seamcall::{
        kernel::TdxCore,
        Seamcall, //
    },
    sept::Machine,
};
use core::{
    cell::Cell,
    ops::ControlFlow,
    ptr, //
};
use kernel::{
    bindings,
    cpu::nr_cpu_ids,
    page::PAGE_SIZE,
    prelude::*, //
};

mod backing;
mod hammer;

/// The machine that the kernel runs on, with its memory and KeyIDs.
#[derive(Default)]
struct Kernel {
    /// Number of SEAMCALLs so far.
    calls: Cell<u64>,
}

impl Seamcall for Kernel {
    unsafe fn call(&self, rax: Rax, args: &mut Args) -> Status {
        self.calls.set(self.calls.get().wrapping_add(1));
        // SAFETY: As for this function.
        unsafe { TdxCore.call(rax, args) }
    }
}

impl Machine for Kernel {
    fn convertible(&self, first: Pfn, pages: u64) -> bool {
        TdxCore.convertible(first, pages)
    }

    fn keyid_shift(&self) -> u32 {
        TdxCore.keyid_shift()
    }

    fn reset(&self, first: Pfn, level: Level) {
        TdxCore.reset(first, level)
    }

    fn clflush_before_alloc(&self) -> bool {
        TdxCore.clflush_before_alloc()
    }

    fn flush_caches(&self) -> u64 {
        TdxCore.flush_caches()
    }
}

// `tests/memory.c`.
extern "C" {
    fn tdx_sept_test_alloc() -> u64;
    fn tdx_sept_test_free(pfn: u64);
    fn tdx_sept_test_address(pfn: u64) -> *mut u64;
}

impl Bench for Kernel {
    fn alloc(&self) -> Option<Pfn> {
        // SAFETY: This can be called wherever the kernel may sleep.
        match unsafe { tdx_sept_test_alloc() } {
            0 => None,
            pfn => Pfn::new(pfn),
        }
    }

    fn free(&self, page: Pfn) {
        // SAFETY: The page comes from `alloc`, and the TDX module does not have it any more.
        unsafe { tdx_sept_test_free(page.get()) }
    }

    fn write(&self, page: Pfn, words: &[u64]) {
        let count = words.len().min(PAGE_SIZE / size_of::<u64>());
        // SAFETY: The page comes from `alloc`, nobody else uses it, and `count` words fit.
        unsafe {
            ptr::copy_nonoverlapping(words.as_ptr(), tdx_sept_test_address(page.get()), count)
        }
    }

    fn alloc_keyid(&self) -> Option<Hkid> {
        // SAFETY: This can be called wherever the kernel may sleep.
        let hkid = unsafe { bindings::tdx_guest_keyid_alloc() };
        u16::try_from(hkid).ok().map(Hkid::new)
    }

    fn free_keyid(&self, hkid: Hkid) {
        // SAFETY: The KeyID comes from `alloc_keyid`.
        unsafe { bindings::tdx_guest_keyid_free(hkid.get().into()) }
    }

    fn global_keyid(&self) -> Hkid {
        // SAFETY: The number does not change after boot.
        let hkid = unsafe { bindings::tdx_get_global_keyid() };
        // KeyIDs have 16 bits by the ABI.
        Hkid::new(hkid as u16)
    }

    fn on_each_cpu(&self, f: &mut dyn FnMut() -> ControlFlow<()>) {
        /// What a CPU is asked to do, and what came out of it.
        struct Work<'a> {
            f: &'a mut dyn FnMut() -> ControlFlow<()>,
            outcome: ControlFlow<()>,
        }

        /// # Safety
        ///
        /// `work` must be a [`Work`] that nobody else uses.
        unsafe extern "C" fn run(work: *mut c_void) -> c_int {
            // SAFETY: As for this function.
            let work = unsafe { &mut *work.cast::<Work<'_>>() };
            work.outcome = (work.f)();
            0
        }

        for cpu in 0..nr_cpu_ids() {
            let mut work = Work {
                f: &mut *f,
                outcome: ControlFlow::Continue(()),
            };
            let arg = ptr::from_mut(&mut work).cast();
            // A CPU that is not online does not run it: there is nothing to do there either.
            // SAFETY: `run` gets the `Work` it expects, and has ended when the call returns.
            unsafe { bindings::smp_call_on_cpu(cpu, Some(run), arg, false) };
            if work.outcome.is_break() {
                break;
            }
        }
    }
}

/// Runs a scenario, and says what went wrong.
///
/// Where the module is built in it is there without a TDX module too, and nothing can be tested.
fn run(scenario: fn(&Kernel) -> Result<(), Fault>) -> Result {
    // SAFETY: The function can be called at any time.
    if unsafe { bindings::tdx_get_sysinfo() }.is_null() {
        pr_warn!("not tested: no TDX module is initialized\n");
        return Ok(());
    }
    scenario(&Kernel::default()).map_err(|fault| {
        pr_err!("{}\n", core::format_args!("{fault}"));
        EIO
    })
}

/// KVM's operations on a TD: what they return and report. Refusals reach the log, too.
fn operations(kernel: &Kernel) -> Result<(), Fault> {
    scenario::with_td(kernel, |t| {
        let ops = &kvm::OPS.0;
        let (Some(link), Some(aug), Some(block), Some(track), Some(remove)) =
            (ops.link, ops.aug, ops.block, ops.track, ops.remove)
        else {
            return Err(Fault::Resources);
        };
        let td = bindings::tdx_sept_td {
            tdr_pfn: t.td.tdr.get(),
            hkid: t.td.hkid.get(),
        };
        let range = bindings::tdx_sept_range {
            gpa: 0x4000_0000,
            level: 0,
            nr: 1,
        };
        let mut res = bindings::tdx_sept_result::default();
        let page = t.alloc_private()?;
        let tables = [t.alloc_private()?, t.alloc_private()?, t.alloc_private()?];
        let pfn = page.get();

        // SAFETY: The arguments are valid, the pages the TD's to take.
        unsafe {
            // No such level, and memory that does not exist.
            let bad = bindings::tdx_sept_range { level: -1, ..range };
            ensure!(aug(&td, &bad, pfn, &mut res) == EINVAL.to_errno());
            ensure!(res.status == 0);
            ensure!(aug(&td, &range, u64::MAX, &mut res) == EINVAL.to_errno());
            ensure!(aug(&td, &range, (1 << 40) - 1, &mut res) == EINVAL.to_errno());
            ensure!(res.status == 0);

            // No table: the root's entry is shown.
            ensure!(aug(&td, &range, pfn, &mut res) == EIO.to_errno());
            ensure!(Status::from_raw(res.status).is(Status::EPT_WALK_FAILED));
            let info = Info::from_raw(res.level_state);
            ensure!(info.level() == Some(Level::G512) && info.state() == Some(State::Free));
            ensure!(res.nr_done == 0);

            for (table, level) in tables.iter().zip([3, 2, 1]) {
                let gpa = range.gpa >> (12 + 9 * level) << (12 + 9 * level);
                ensure!(link(&td, gpa, level, table.get(), &mut res) == 0);
            }
            ensure!(aug(&td, &range, pfn, &mut res) == 0);
            // The second page of the range is free, and cannot be blocked.
            let two = bindings::tdx_sept_range { nr: 2, ..range };
            ensure!(block(&td, &two, &mut res) == EIO.to_errno());
            ensure!(res.nr_done == 1);
            ensure!(block(&td, &range, &mut res) == 0);
            ensure!(track(&td, &mut res) == 0);
            ensure!(remove(&td, &range, pfn, &mut res) == 0);
        }
        t.free_private(page);
        Ok(())
    })
}

#[kunit_tests(tdx_sept)]
mod suite {
    use super::*;

    #[test]
    fn kvms_operations() -> Result {
        run(operations)
    }

    #[test]
    fn s1_counted_memory() -> Result {
        run(backing::counted)
    }

    #[test]
    fn s2_split_while_mapped() -> Result {
        run(backing::split_while_mapped)
    }

    #[test]
    fn s3_memory_unknown_to_the_kernel() -> Result {
        run(backing::unknown)
    }

    #[test]
    fn s4_memory_not_counted() -> Result {
        run(backing::not_counted)
    }

    #[test]
    fn s5_not_convertible() -> Result {
        run(backing::not_convertible)
    }

    #[test]
    fn s6_many_backings() -> Result {
        run(backing::many)
    }

    #[test]
    fn all_cpus_at_once() -> Result {
        run(hammer::all_cpus_at_once)
    }

    #[test]
    fn life() -> Result {
        run(scenario::life)
    }

    #[test]
    fn measurement() -> Result {
        run(scenario::measurement)
    }

    #[test]
    fn ranges() -> Result {
        run(scenario::ranges)
    }

    #[test]
    fn refused_calls() -> Result {
        run(scenario::refused_calls)
    }

    #[test]
    fn refused_memory() -> Result {
        run(scenario::refused_memory)
    }
}
