// SPDX-License-Identifier: GPL-2.0

//! How often each leaf returned each status, and what that cost.
//!
//! Success is what the [`counters`] have beyond the other statuses. These are in a hash table that entries
//! are only added to.

use super::{
    counters,
    Name,
    Origin, //
};
use crate::abi::Status;
use core::fmt;
use kernel::sync::atomic::{
    Acquire,
    Atomic,
    Full,
    Relaxed,
    Release, //
};

/// Entries of the table; a power of two.
const ENTRIES: usize = 512;

/// Entries that are looked at for one status.
const PROBES: usize = 16;

/// Key of an entry that is free.
const FREE: u64 = 0;
/// Key of an entry that is being filled in.
const CLAIMED: u64 = 1;
/// Bit of the key of an entry that counts.
const COUNTS: u64 = 1 << 63;

struct Entry {
    /// [`FREE`], [`CLAIMED`], or leaf and [`Origin`] with [`COUNTS`].
    key: Atomic<u64>,
    status: Atomic<u64>,
    calls: Atomic<u64>,
    cycles: Atomic<u64>,
}

static TABLE: [Entry; ENTRIES] = [const {
    Entry {
        key: Atomic::new(FREE),
        status: Atomic::new(0),
        calls: Atomic::new(0),
        cycles: Atomic::new(0),
    }
}; ENTRIES];

/// Calls that found no entry.
static UNCOUNTED: Atomic<u64> = Atomic::new(0);

fn key(row: u64, origin: Origin) -> u64 {
    COUNTS | row << 8 | origin.encode()
}

pub(super) fn count(row: u64, origin: Origin, status: Status, cycles: u64) {
    let key = key(row, origin);
    let raw = status.raw();
    let hash = (raw >> 32 ^ raw ^ row << 4) as usize;
    for probe in 0..PROBES {
        let entry = &TABLE[hash.wrapping_add(probe) % ENTRIES];
        let mut found = entry.key.load(Acquire);
        if found == FREE {
            match entry.key.cmpxchg(FREE, CLAIMED, Full) {
                Ok(_) => {
                    entry.status.store(raw, Relaxed);
                    entry.calls.store(1, Relaxed);
                    entry.cycles.store(cycles, Relaxed);
                    entry.key.store(key, Release);
                    return;
                }
                Err(other) => found = other,
            }
        }
        // An entry that another CPU is filling in may become a second one for the same status. The sum
        // is right.
        if found == key && entry.status.load(Relaxed) == raw {
            entry.calls.add(1, Relaxed);
            entry.cycles.add(cycles, Relaxed);
            return;
        }
    }
    UNCOUNTED.add(1, Relaxed);
}

/// Calls `f` with status, calls and cycles of each entry of a leaf and origin.
fn for_each(
    row: u64,
    origin: Origin,
    mut f: impl FnMut(Status, u64, u64) -> fmt::Result,
) -> fmt::Result {
    for entry in &TABLE {
        if entry.key.load(Acquire) == key(row, origin) {
            let status = Status::from_raw(entry.status.load(Relaxed));
            let calls = entry.calls.load(Relaxed);
            f(status, calls, entry.cycles.load(Relaxed))?;
        }
    }
    Ok(())
}

/// Prints how often each leaf returned each status.
pub(in super::super) fn show(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    counters::for_each(|sum| {
        let mut line = |status: Status, injected: bool, calls: u64, cycles: u64| {
            write!(
                f,
                "leaf={} caller={} status={:#018x} name={} operand=",
                Name(sum.row),
                sum.caller.name(),
                status.raw(),
                status.name().unwrap_or("-"),
            )?;
            match status.operand().and_then(|operand| operand.name()) {
                Some(name) => f.write_str(name)?,
                None => f.write_str("-")?,
            }
            writeln!(
                f,
                " injected={} count={calls} cycles={cycles}",
                u8::from(injected)
            )
        };
        let (mut calls, mut cycles) = (sum.calls, sum.cycles);
        for injected in [false, true] {
            let caller = sum.caller;
            for_each(sum.row, Origin { caller, injected }, |status, n, spent| {
                calls = calls.saturating_sub(n);
                cycles = cycles.saturating_sub(spent);
                line(status, injected, n, spent)
            })?;
        }
        if calls == 0 {
            return Ok(());
        }
        line(Status::SUCCESS, false, calls, cycles)
    })?;
    match UNCOUNTED.load(Relaxed) {
        0 => Ok(()),
        n => writeln!(f, "uncounted={n}"),
    }
}
