// SPDX-License-Identifier: GPL-2.0

//! The last calls in detail, in a ring.

use super::{
    record::Record,
    recording,
    Call,
    Name,
    Origin, //
};
use crate::{
    abi::{
        args::Operands,
        Rax,
        Status, //
    },
    sim::once::Once, //
};
use core::{
    fmt,
    sync::atomic::{
        AtomicU64,
        Ordering::{
            Acquire,
            Relaxed, //
        }, //
    }, //
};
use kernel::prelude::*;

/// Records of the ring; a power of two. The calls of one selftest have room.
const RECORDS: usize = 65536;

/// Words of a record.
pub(super) const WORDS: usize = 18;

/// A call as the ring has it.
pub(super) struct Entry {
    pub(super) start: u64,
    pub(super) cycles: u64,
    pub(super) cpu: u32,
    pub(super) origin: Origin,
    pub(super) rax: u64,
    pub(super) before: Operands,
    pub(super) status: Status,
    pub(super) after: Operands,
    pub(super) memory: recording::Operands,
}

impl Entry {
    /// Stores a call into the words of a record.
    #[inline(always)]
    pub(super) fn store(call: &Call<'_>, to: &[AtomicU64; WORDS]) {
        let [start, cycles, origin, rax, rcx, rdx, r8, r9, r10, r11, status, memory, after @ ..] =
            to;
        start.store(call.start, Relaxed);
        cycles.store(call.cycles, Relaxed);
        let cpu = u64::from(call.cpu) << 8;
        origin.store(cpu | Origin::of(call).encode(), Relaxed);
        rax.store(call.rax(), Relaxed);
        let before = call.before();
        rcx.store(before.rcx, Relaxed);
        rdx.store(before.rdx, Relaxed);
        r8.store(before.r8, Relaxed);
        r9.store(before.r9, Relaxed);
        r10.store(before.r10, Relaxed);
        r11.store(before.r11, Relaxed);
        status.store(call.after.rax, Relaxed);
        memory.store(call.memory.into_raw(), Relaxed);
        let [rcx, rdx, r8, r9, r10, r11] = after;
        rcx.store(call.after.args.rcx, Relaxed);
        rdx.store(call.after.args.rdx, Relaxed);
        r8.store(call.after.args.r8, Relaxed);
        r9.store(call.after.args.r9, Relaxed);
        r10.store(call.after.args.r10, Relaxed);
        r11.store(call.after.args.r11, Relaxed);
    }

    pub(super) fn decode(words: &[u64; WORDS]) -> Self {
        let [start, cycles, origin, rax, rcx, rdx, r8, r9, r10, r11, status, memory, after @ ..] =
            *words;
        Self {
            start,
            cycles,
            cpu: (origin >> 8) as u32,
            origin: Origin::decode(origin),
            rax,
            before: [rcx, rdx, r8, r9, r10, r11].into(),
            status: Status::from_raw(status),
            after: after.into(),
            memory: recording::Operands::from_raw(memory),
        }
    }
}

struct Ring {
    /// Number of the next call.
    next: AtomicU64,
    /// Number of the first call that is still of interest.
    first: AtomicU64,
    /// Calls that found their record in use.
    dropped: AtomicU64,
    records: KVVec<Record<WORDS>>,
}

static RING: Once<Ring> = Once::new();

impl Ring {
    #[inline]
    fn record(&self, number: u64) -> Option<&Record<WORDS>> {
        self.records.get(number as usize % RECORDS)
    }

    fn get(&self, number: u64) -> Option<Entry> {
        Some(Entry::decode(&self.record(number)?.read(number)?))
    }

    /// Numbers of the calls that it may hold and that are of interest.
    fn numbers(&self) -> core::ops::Range<u64> {
        let next = self.next.load(Acquire);
        let oldest = next.saturating_sub(RECORDS as u64);
        oldest.max(self.first.load(Relaxed))..next
    }
}

/// Makes the ring.
pub(in super::super) fn start() -> Result {
    let ring = Ring {
        next: AtomicU64::new(0),
        first: AtomicU64::new(0),
        dropped: AtomicU64::new(0),
        records: recording::records(RECORDS)?,
    };
    RING.set(ring)
}

/// Puts a call into the ring.
#[inline(always)]
pub(super) fn push(call: &Call<'_>) {
    let Some(ring) = RING.get() else {
        return;
    };
    let number = ring.next.fetch_add(1, Relaxed);
    match ring.record(number).and_then(|record| record.claim(number)) {
        Some(claim) => {
            Entry::store(call, claim.words());
            claim.publish();
        }
        None => {
            ring.dropped.fetch_add(1, Relaxed);
        }
    }
    recording::keep(number, call);
}

/// Numbers of the calls that the ring may hold and that are of interest.
pub(super) fn numbers() -> core::ops::Range<u64> {
    RING.get().map_or(0..0, Ring::numbers)
}

/// Call number `number`, if the ring holds it.
pub(super) fn get(number: u64) -> Option<Entry> {
    RING.get()?.get(number)
}

/// Forgets the calls so far: [`show`] shows later ones alone.
pub(in super::super) fn clear() {
    if let Some(ring) = RING.get() {
        ring.first.store(ring.next.load(Acquire), Relaxed);
    }
}

/// Prints the last calls, oldest first.
pub(in super::super) fn show(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(ring) = RING.get() else {
        return Ok(());
    };
    let numbers = ring.numbers();
    writeln!(
        f,
        "records={RECORDS} first={} next={} dropped={}",
        ring.first.load(Relaxed),
        numbers.end,
        ring.dropped.load(Relaxed)
    )?;
    for number in numbers {
        // A call that has not been stored yet, or no more, is a gap in the sequence.
        let Some(call) = ring.get(number) else {
            continue;
        };
        let [rcx, rdx, r8, r9, r10, r11] = call.before.to_array();
        write!(
            f,
            "seq={number} tsc={} cpu={} caller={} leaf={} rax={:#x} rcx={rcx:#x} rdx={rdx:#x} \
             r8={r8:#x} r9={r9:#x} r10={r10:#x} r11={r11:#x} ",
            call.start,
            call.cpu,
            call.origin.caller.name(),
            Name(Rax::from_raw(call.rax).leaf().get()),
            call.rax,
        )?;
        let [rcx, rdx, r8, r9, r10, r11] = call.after.to_array();
        writeln!(
            f,
            "status={:#018x} rcx_out={rcx:#x} rdx_out={rdx:#x} r8_out={r8:#x} r9_out={r9:#x} \
             r10_out={r10:#x} r11_out={r11:#x} cycles={} injected={}",
            call.status.raw(),
            call.cycles,
            u8::from(call.origin.injected),
        )?;
    }
    Ok(())
}
