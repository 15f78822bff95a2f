// SPDX-License-Identifier: GPL-2.0

//! A record of the SEAMCALLs: counters that never forget, and a ring of the last calls in detail.
//!
//! Writers are #UD traps on all CPUs, and NMIs on top of them, so nothing here waits: counters are
//! atomics, and a record of the ring is claimed by its sequence number or given up.

use super::cpu;
use crate::abi::{
    Args,
    Leaf,
    Rax,
    Status, //
};
use core::fmt;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        barrier::{
            smp_mb,
            Read,
            Write, //
        },
        SetOnce, //
    },
};

/// Who executed a SEAMCALL.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Caller {
    /// The TDX core, or KVM's own code through its functions.
    Core = 0,
    /// A backend, through `tdx_seamcall()`.
    Backend = 1,
    /// A user, through debugfs.
    User = 2,
}

impl Caller {
    const ALL: [Self; 3] = [Self::Core, Self::Backend, Self::User];

    const fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Backend => "backend",
            Self::User => "user",
        }
    }
}

/// Who executed a SEAMCALL, and whether fault injection had a hand in it, in a byte.
struct Origin {
    caller: Caller,
    injected: bool,
}

impl Origin {
    const CALLER: u64 = 0x3;
    const INJECTED: u64 = 1 << 2;

    const fn of(call: &Call) -> Self {
        Self {
            caller: call.caller,
            injected: call.injected,
        }
    }

    const fn encode(self) -> u64 {
        let injected = if self.injected { Self::INJECTED } else { 0 };
        self.caller as u64 | injected
    }

    fn decode(bits: u64) -> Self {
        let raw = bits & Self::CALLER;
        let mut callers = Caller::ALL.into_iter();
        Self {
            caller: callers
                .find(|caller| *caller as u64 == raw)
                .unwrap_or(Caller::Core),
            injected: bits & Self::INJECTED != 0,
        }
    }
}

/// A completed SEAMCALL.
pub(super) struct Call {
    /// Time-stamp counter when the trap began.
    pub(super) start: u64,
    /// CPU that it ran on.
    pub(super) cpu: u32,
    /// Who executed it.
    pub(super) caller: Caller,
    /// RAX before.
    pub(super) rax: u64,
    /// The other registers before.
    pub(super) before: Args,
    /// RAX after.
    pub(super) status: Status,
    /// The other registers after.
    pub(super) after: Args,
    /// Whether fault injection had a hand in it.
    pub(super) injected: bool,
}

/// Records a call. Interrupts must be off.
pub(super) fn record(call: &Call) {
    let cycles = cpu::tsc().wrapping_sub(call.start);
    let number = Rax::from_raw(call.rax).leaf().get();
    if let Some(counter) = counter(number as usize, call.caller) {
        counter.calls.add(1, Relaxed);
        counter.cycles.add(cycles, Relaxed);
        if call.status.is_error() {
            counter.failed.add(1, Relaxed);
        }
        if call.injected {
            counter.injected.add(1, Relaxed);
        }
    }
    if !call.status.is_success() {
        count_status(number, Origin::of(call), call.status);
    }
    if let Some(ring) = RING.as_ref() {
        ring.push(call, cycles);
    }
}

/// Makes the ring.
pub(super) fn start() -> Result {
    let mut records = KVVec::with_capacity(RECORDS, GFP_KERNEL)?;
    for _ in 0..RECORDS {
        records.push(Record::new(), GFP_KERNEL)?;
    }
    let ring = Ring {
        next: Atomic::new(0),
        first: Atomic::new(0),
        dropped: Atomic::new(0),
        records,
    };
    RING.populate(ring).then_some(()).ok_or(EBUSY)
}

// Counters.

struct Counter {
    calls: Atomic<u64>,
    failed: Atomic<u64>,
    injected: Atomic<u64>,
    cycles: Atomic<u64>,
}

impl Counter {
    const fn new() -> Self {
        Self {
            calls: Atomic::new(0),
            failed: Atomic::new(0),
            injected: Atomic::new(0),
            cycles: Atomic::new(0),
        }
    }
}

/// One row for each leaf number, and the last one for all numbers above those that the ABI knows.
const ROWS: usize = Leaf::TABLE_SIZE + 1;

static COUNTERS: [[Counter; Caller::ALL.len()]; ROWS] =
    [const { [const { Counter::new() }; Caller::ALL.len()] }; ROWS];

fn counter(number: usize, caller: Caller) -> Option<&'static Counter> {
    COUNTERS.get(number.min(ROWS - 1))?.get(caller as usize)
}

/// How often `caller` called `leaf`.
#[cfg(CONFIG_TDX_SIM_KUNIT_TEST)]
pub(super) fn calls(leaf: Leaf, caller: Caller) -> u64 {
    counter(leaf.raw().into(), caller).map_or(0, |counter| counter.calls.load(Relaxed))
}

/// Prints a leaf by name, or by number if the ABI does not know it.
struct Name(u64);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u16::try_from(self.0).ok().and_then(Leaf::from_raw) {
            Some(leaf) => f.write_str(leaf.name()),
            None => write!(f, "{}", self.0),
        }
    }
}

fn each_counter(mut f: impl FnMut(Name, Caller, &Counter) -> fmt::Result) -> fmt::Result {
    for (number, row) in COUNTERS.iter().enumerate() {
        for (caller, counter) in Caller::ALL.into_iter().zip(row) {
            if counter.calls.load(Relaxed) != 0 {
                f(Name(number as u64), caller, counter)?;
            }
        }
    }
    Ok(())
}

/// Prints how often each leaf was called, failed, and met fault injection.
pub(super) fn show_calls(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    each_counter(|leaf, caller, counter| {
        let (calls, failed) = (counter.calls.load(Relaxed), counter.failed.load(Relaxed));
        writeln!(
            f,
            "leaf={leaf} caller={} calls={calls} failed={failed} injected={}",
            caller.name(),
            counter.injected.load(Relaxed),
        )
    })
}

/// Prints what the calls of each leaf cost, from the start to the end of the trap handler.
pub(super) fn show_cost(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    each_counter(|leaf, caller, counter| {
        let (calls, cycles) = (counter.calls.load(Relaxed), counter.cycles.load(Relaxed));
        writeln!(
            f,
            "leaf={leaf} caller={} calls={calls} cycles={cycles}",
            caller.name()
        )
    })
}

// Statuses other than success: a hash table that entries are only added to.

/// Entries of the table; a power of two.
const STATUSES: usize = 512;

/// Entries that are looked at for one status.
const PROBES: usize = 16;

/// Key of an entry that is free.
const FREE: u64 = 0;
/// Key of an entry that is being filled in.
const CLAIMED: u64 = 1;
/// Bit of the key of an entry that counts.
const COUNTS: u64 = 1 << 63;

struct StatusCount {
    /// [`FREE`], [`CLAIMED`], or leaf and [`Origin`] with [`COUNTS`].
    key: Atomic<u64>,
    status: Atomic<u64>,
    count: Atomic<u64>,
}

static STATUS_COUNTS: [StatusCount; STATUSES] = [const {
    StatusCount {
        key: Atomic::new(FREE),
        status: Atomic::new(0),
        count: Atomic::new(0),
    }
}; STATUSES];

/// Statuses that found no entry.
static UNCOUNTED: Atomic<u64> = Atomic::new(0);

fn count_status(number: u64, origin: Origin, status: Status) {
    let key = COUNTS | number << 8 | origin.encode();
    let raw = status.raw();
    let hash = (raw >> 32 ^ raw ^ number << 4) as usize;
    for probe in 0..PROBES {
        let entry = &STATUS_COUNTS[hash.wrapping_add(probe) % STATUSES];
        let mut found = entry.key.load(Acquire);
        if found == FREE {
            match entry.key.cmpxchg(FREE, CLAIMED, Full) {
                Ok(_) => {
                    entry.status.store(raw, Relaxed);
                    entry.count.store(1, Relaxed);
                    entry.key.store(key, Release);
                    return;
                }
                Err(other) => found = other,
            }
        }
        // An entry that another CPU is filling in may become a second one for the same status. The sum
        // is right.
        if found == key && entry.status.load(Relaxed) == raw {
            entry.count.add(1, Relaxed);
            return;
        }
    }
    UNCOUNTED.add(1, Relaxed);
}

/// Prints how often each leaf returned each status other than success.
pub(super) fn show_failures(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for entry in &STATUS_COUNTS {
        let key = entry.key.load(Acquire);
        if key & COUNTS == 0 {
            continue;
        }
        let status = Status::from_raw(entry.status.load(Relaxed));
        let origin = Origin::decode(key);
        write!(
            f,
            "leaf={} caller={} status={:#018x} name={} operand=",
            Name((key & !COUNTS) >> 8),
            origin.caller.name(),
            status.raw(),
            status.name().unwrap_or("-"),
        )?;
        match status.operand().and_then(|operand| operand.name()) {
            Some(name) => f.write_str(name)?,
            None => f.write_str("-")?,
        }
        writeln!(
            f,
            " injected={} count={}",
            u8::from(origin.injected),
            entry.count.load(Relaxed)
        )?;
    }
    match UNCOUNTED.load(Relaxed) {
        0 => Ok(()),
        n => writeln!(f, "uncounted={n}"),
    }
}

// The ring.

/// Records of the ring; a power of two. The calls of one selftest have room.
const RECORDS: usize = 65536;

/// Sequence number of a record that is being written.
const WRITING: u64 = u64::MAX;

/// Words of a record.
pub(super) const WORDS: usize = 12;

/// A call, and its sequence number plus 1 (0 before the first).
///
/// # Invariants
///
/// `words` only changes while `sequence` is [`WRITING`].
pub(super) struct Record {
    sequence: Atomic<u64>,
    words: [Atomic<u64>; WORDS],
}

impl Record {
    /// An empty record.
    pub(super) const fn new() -> Self {
        Self {
            sequence: Atomic::new(0),
            words: [const { Atomic::new(0) }; WORDS],
        }
    }

    /// Stores call number `number`; `false` if the record is being written, or holds a later call.
    pub(super) fn write(&self, number: u64, words: &[u64; WORDS]) -> bool {
        let old = self.sequence.load(Relaxed);
        if old > number || self.sequence.cmpxchg(old, WRITING, Full).is_err() {
            return false;
        }
        smp_mb(Write);
        for (to, from) in self.words.iter().zip(words) {
            to.store(*from, Relaxed);
        }
        self.sequence.store(number + 1, Release);
        true
    }

    /// Returns call number `number`, if that is what the record holds.
    pub(super) fn read(&self, number: u64) -> Option<[u64; WORDS]> {
        let holds = number + 1;
        if self.sequence.load(Acquire) != holds {
            return None;
        }
        let mut words = [0; WORDS];
        for (to, from) in words.iter_mut().zip(&self.words) {
            *to = from.load(Relaxed);
        }
        smp_mb(Read);
        (self.sequence.load(Relaxed) == holds).then_some(words)
    }
}

struct Ring {
    /// Number of the next call.
    next: Atomic<u64>,
    /// Number of the first call that is still of interest.
    first: Atomic<u64>,
    /// Calls that found their record in use.
    dropped: Atomic<u64>,
    records: KVVec<Record>,
}

static RING: SetOnce<Ring> = SetOnce::new();

impl Ring {
    fn record(&self, number: u64) -> Option<&Record> {
        self.records.get(number as usize % RECORDS)
    }

    fn push(&self, call: &Call, cycles: u64) {
        let number = self.next.fetch_add(1u64, Relaxed);
        let words = [
            call.start,
            u64::from(call.cpu) << 8 | Origin::of(call).encode(),
            call.rax,
            call.before.rcx,
            call.before.rdx,
            call.before.r8,
            call.before.r9,
            call.status.raw(),
            call.after.rcx,
            call.after.rdx,
            call.after.r8,
            cycles,
        ];
        if !self
            .record(number)
            .is_some_and(|record| record.write(number, &words))
        {
            self.dropped.add(1, Relaxed);
        }
    }
}

/// Forgets the calls so far: [`show_ring`] shows later ones alone.
pub(super) fn clear_ring() {
    if let Some(ring) = RING.as_ref() {
        ring.first.store(ring.next.load(Acquire), Relaxed);
    }
}

/// Prints the last calls, oldest first.
pub(super) fn show_ring(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(ring) = RING.as_ref() else {
        return Ok(());
    };
    let next = ring.next.load(Acquire);
    writeln!(
        f,
        "records={RECORDS} first={} next={next} dropped={}",
        ring.first.load(Relaxed),
        ring.dropped.load(Relaxed)
    )?;
    let oldest = next.saturating_sub(RECORDS as u64);
    for number in oldest.max(ring.first.load(Relaxed))..next {
        // A call that has not been stored yet, or no more, is a gap in the sequence.
        let Some(words) = ring.record(number).and_then(|record| record.read(number)) else {
            continue;
        };
        let [start, origin, rax, rcx, rdx, r8, r9, status, rcx_out, rdx_out, r8_out, cycles] =
            words;
        let rax = Rax::from_raw(rax);
        let who = Origin::decode(origin);
        writeln!(
            f,
            "seq={number} tsc={start} cpu={} caller={} leaf={} version={} rcx={rcx:#x} rdx={rdx:#x} \
             r8={r8:#x} r9={r9:#x} status={status:#018x} rcx_out={rcx_out:#x} rdx_out={rdx_out:#x} \
             r8_out={r8_out:#x} cycles={cycles} injected={}",
            origin >> 8,
            who.caller.name(),
            Name(rax.leaf().get()),
            rax.version().get(),
            u8::from(who.injected),
        )?;
    }
    Ok(())
}
