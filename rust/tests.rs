// SPDX-License-Identifier: GPL-2.0

//! KUnit tests: the scenarios on the TDX module of this machine, and what KVM's operations answer.

use crate::{
    abi::{
        sept::{
            Info,
            State, //
        },
        Level,
        Status, //
    },
    kvm,
    scenario::{
        self,
        ensure,
        Fault, //
    },
    seamcall::kernel::TdxCore, //
};
use kernel::{
    bindings,
    prelude::*, //
};

mod backing;
mod enter;
mod hammer;

/// Runs a scenario, and says what went wrong.
///
/// Where the module is built in it is there without a TDX module too, and nothing can be tested.
fn run(scenario: fn(&TdxCore) -> Result<(), Fault>) -> Result {
    if TdxCore::version().is_err() {
        pr_warn!("not tested\n");
        return Ok(());
    }
    scenario(&TdxCore).map_err(|fault| {
        pr_err!("{}\n", core::format_args!("{fault}"));
        EIO
    })
}

/// KVM's operations on a TD: what they return and report. Refusals reach the log, too.
fn operations(machine: &TdxCore) -> Result<(), Fault> {
    scenario::with_td(machine, |t| {
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
    fn enter_leaves_the_host() -> Result {
        run(enter::host_state)
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
