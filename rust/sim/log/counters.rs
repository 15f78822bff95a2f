// SPDX-License-Identifier: GPL-2.0

//! How often each leaf was called, by whom, and what that cost.

use super::{
    Call,
    Caller,
    Name,
    Origin, //
};
use crate::abi::{
    Leaf,
    Status, //
};
use core::{
    fmt,
    sync::atomic::{
        AtomicU64,
        Ordering::Relaxed, //
    }, //
};

struct Counter {
    calls: AtomicU64,
    failed: AtomicU64,
    injected: AtomicU64,
    cycles: AtomicU64,
}

impl Counter {
    const fn new() -> Self {
        Self {
            calls: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            injected: AtomicU64::new(0),
            cycles: AtomicU64::new(0),
        }
    }
}

/// One row for each leaf number, and the last one for all numbers above those that the ABI knows.
const ROWS: usize = Leaf::TABLE_SIZE + 1;

static COUNTERS: [[Counter; Caller::ALL.len()]; ROWS] =
    [const { [const { Counter::new() }; Caller::ALL.len()] }; ROWS];

/// The row of a leaf number.
#[inline]
pub(super) fn row(number: u64) -> u64 {
    number.min(ROWS as u64 - 1)
}

#[inline]
fn counter(number: u64, caller: Caller) -> Option<&'static Counter> {
    COUNTERS.get(row(number) as usize)?.get(caller as usize)
}

#[inline(always)]
pub(super) fn count(call: &Call<'_>) {
    if let Some(counter) = counter(call.leaf(), call.caller) {
        counter.calls.fetch_add(1, Relaxed);
        counter.cycles.fetch_add(call.cycles, Relaxed);
    }
}

/// Counts what is rare of a call: that it failed, or met fault injection.
pub(super) fn count_more(row: u64, origin: Origin, status: Status) {
    if let Some(counter) = counter(row, origin.caller) {
        if status.is_error() {
            counter.failed.fetch_add(1, Relaxed);
        }
        if origin.injected {
            counter.injected.fetch_add(1, Relaxed);
        }
    }
}

/// How often `caller` called `leaf`.
#[cfg(CONFIG_TDX_SIM_KUNIT_TEST)]
pub(in super::super) fn calls(leaf: Leaf, caller: Caller) -> u64 {
    counter(leaf.raw().into(), caller).map_or(0, |counter| counter.calls.load(Relaxed))
}

/// Calls of a leaf by one caller, and what they cost.
pub(super) struct Sum {
    pub(super) row: u64,
    pub(super) caller: Caller,
    pub(super) calls: u64,
    pub(super) failed: u64,
    pub(super) injected: u64,
    pub(super) cycles: u64,
}

/// Calls `f` for each leaf and caller of whom there were calls.
pub(super) fn for_each(mut f: impl FnMut(Sum) -> fmt::Result) -> fmt::Result {
    for (row, counters) in (0..).zip(&COUNTERS) {
        for (caller, counter) in Caller::ALL.into_iter().zip(counters) {
            let sum = Sum {
                row,
                caller,
                calls: counter.calls.load(Relaxed),
                failed: counter.failed.load(Relaxed),
                injected: counter.injected.load(Relaxed),
                cycles: counter.cycles.load(Relaxed),
            };
            if sum.calls != 0 {
                f(sum)?;
            }
        }
    }
    Ok(())
}

/// Prints how often each leaf was called, failed and met fault injection, and the cycles that it took.
pub(in super::super) fn show(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for_each(|sum| {
        writeln!(
            f,
            "leaf={} caller={} calls={} failed={} injected={} cycles={}",
            Name(sum.row),
            sum.caller.name(),
            sum.calls,
            sum.failed,
            sum.injected,
            sum.cycles,
        )
    })
}
