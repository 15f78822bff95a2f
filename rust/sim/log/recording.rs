// SPDX-License-Identifier: GPL-2.0

//! What a replay needs beyond the last calls: the calls that brought the module up, and the memory that calls
//! read as operands.

use super::{
    record::{
        Claim,
        Record, //
    },
    ring::{
        self,
        Entry, //
    },
    Call, //
};
use crate::{
    abi::{
        Leaf,
        Rax, //
    },
    sim::{
        model::{
            platform::Platform,
            Regs, //
        },
        once::Once,
        platform::Machine,
        trace::{
            has_memory_operands,
            memory_operands, //
        }, //
    },
};
use core::fmt;
use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed, //
    }, //
};

/// Calls of [`changes_module`]: a TDMR of 1 TiB takes 1024.
const BRING_UP_CALLS: usize = 4096;

/// Pieces of memory that these read: TDMR_INFO by TDH.SYS.CONFIG.
const BRING_UP_PIECES: usize = 128;

/// Pieces of memory that the last of the other calls read.
const PIECES: usize = 2048;

const PAGE_WORDS: usize = 512;

/// Words of a piece: address, length in bytes, content.
const PIECE_WORDS: usize = 2 + PAGE_WORDS;

/// The memory that a call reads as its operands: where the pieces of it are kept, as a word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Operands(u64);

impl Operands {
    /// No memory.
    pub(in super::super) const NONE: Self = Self(0);

    fn new(bring_up: bool, first: u64, count: u8) -> Self {
        Self(u64::from(bring_up) << 63 | first << 8 | u64::from(count))
    }

    fn bring_up(self) -> bool {
        self.0 >> 63 != 0
    }

    /// Number of the first piece.
    fn first(self) -> u64 {
        self.0 << 1 >> 9
    }

    /// Number of pieces.
    fn count(self) -> u64 {
        self.0 & 0xff
    }

    #[inline]
    pub(super) fn into_raw(self) -> u64 {
        self.0
    }

    pub(super) fn from_raw(word: u64) -> Self {
        Self(word)
    }
}

/// Records with numbers in sequence, of which the last ones stay.
struct Pieces {
    next: Atomic<u64>,
    records: KVVec<Record<PIECE_WORDS>>,
}

impl Pieces {
    fn new(nr: usize) -> Result<Self> {
        Ok(Self {
            next: Atomic::new(0),
            records: records(nr)?,
        })
    }

    fn record(&self, number: u64) -> Option<&Record<PIECE_WORDS>> {
        self.records
            .get(number as usize % self.records.len().max(1))
    }
}

struct Recording {
    next: Atomic<u64>,
    bring_up: KVVec<Record<{ ring::WORDS }>>,
    bring_up_pieces: Pieces,
    pieces: Pieces,
}

static RECORDING: Once<Recording> = Once::new();

/// Makes empty records.
pub(super) fn records<const N: usize>(nr: usize) -> Result<KVVec<Record<N>>> {
    let mut records = KVVec::with_capacity(nr, GFP_KERNEL)?;
    for _ in 0..nr {
        records.push(Record::new(), GFP_KERNEL)?;
    }
    Ok(records)
}

/// Begins.
pub(super) fn start() -> Result {
    let recording = Recording {
        next: Atomic::new(0),
        bring_up: records(BRING_UP_CALLS)?,
        bring_up_pieces: Pieces::new(BRING_UP_PIECES)?,
        pieces: Pieces::new(PIECES)?,
    };
    RECORDING.set(recording)
}

/// Whether a leaf changes the state of the module as a whole.
fn changes_module(rax: u64) -> bool {
    matches!(
        Rax::from_raw(rax).known_leaf(),
        Some(
            Leaf::SysInit
                | Leaf::SysLpInit
                | Leaf::SysConfig
                | Leaf::SysKeyConfig
                | Leaf::SysTdmrInit
                | Leaf::SysShutdown
                | Leaf::SysUpdate
                | Leaf::SysDisable
        )
    )
}

/// Keeps the memory that a call is going to read as its operands.
#[inline]
pub(in super::super) fn keep_operands(machine: &Machine<'_>, regs: &Regs) -> Operands {
    match RECORDING.get() {
        Some(recording) => recording.keep_operands(machine, regs),
        None => Operands::NONE,
    }
}

/// Keeps a call, if it is one that brings the module up.
#[inline(always)]
pub(super) fn keep(number: u64, call: &Call<'_>) {
    if let Some(recording) = RECORDING.get() {
        if let Some(claim) = recording.claim(number, call.rax()) {
            Entry::store(call, claim.words());
            claim.publish();
        }
    }
}

impl Recording {
    fn pieces(&self, bring_up: bool) -> &Pieces {
        if bring_up {
            &self.bring_up_pieces
        } else {
            &self.pieces
        }
    }

    /// Claims a record for call number `number`, if it is one that brings the module up.
    #[cold]
    fn claim(&self, number: u64, rax: u64) -> Option<Claim<'_, { ring::WORDS }>> {
        if !changes_module(rax) {
            return None;
        }
        let slot = self.next.fetch_add(1u64, Relaxed);
        self.bring_up.get(slot as usize)?.claim(number)
    }

    #[cold]
    fn keep_operands(&self, machine: &Machine<'_>, regs: &Regs) -> Operands {
        let Regs { rax, args, .. } = *regs;
        if !has_memory_operands(rax) {
            return Operands::NONE;
        }
        let mut count = 0u8;
        memory_operands(machine, rax, &args, |_, _| count = count.saturating_add(1));
        if count == 0 {
            return Operands::NONE;
        }
        let bring_up = changes_module(rax);
        let pieces = self.pieces(bring_up);
        let first = pieces.next.fetch_add(u64::from(count), Relaxed);
        let mut numbers = first..first.saturating_add(count.into());
        memory_operands(machine, rax, &args, |pa, len| {
            let content = (0..len / 8).map(|i| machine.load(pa.wrapping_add(i * 8)));
            if let Some((number, record)) =
                numbers.next().and_then(|n| Some((n, pieces.record(n)?)))
            {
                // By its full name: every type has another `chain()` from the prelude.
                let piece = Iterator::chain([pa, len].into_iter(), content);
                if let Some(claim) = record.claim(number) {
                    for (to, from) in claim.words().iter().zip(piece) {
                        to.store(from, core::sync::atomic::Ordering::Relaxed);
                    }
                    claim.publish();
                }
            }
        });
        Operands::new(bring_up, first, count)
    }
}

/// Number of the calls that brought the module up, and were kept.
pub(super) fn bring_up_calls() -> u64 {
    RECORDING.get().map_or(0, |recording| {
        let made = recording.next.load(Acquire);
        made.min(recording.bring_up.len() as u64)
    })
}

/// The `nth` of them: its number and words.
pub(super) fn bring_up_call(nth: u64) -> Option<(u64, [u64; ring::WORDS])> {
    let record = RECORDING.get()?.bring_up.get(nth as usize)?;
    let number = record.number()?;
    Some((number, record.read(number)?))
}

/// Calls `f` with address and content of each piece of memory that was kept, and with `None` in the place of
/// each that is lost.
pub(super) fn for_each_operand(
    operands: Operands,
    mut f: impl FnMut(Option<(u64, &[u64])>) -> fmt::Result,
) -> fmt::Result {
    let Some(recording) = RECORDING.get().filter(|_| operands != Operands::NONE) else {
        return Ok(());
    };
    let mut words = KBox::new([0; PIECE_WORDS], GFP_KERNEL).map_err(|_| fmt::Error)?;
    let pieces = recording.pieces(operands.bring_up());
    for i in 0..operands.count() {
        let number = operands.first().wrapping_add(i);
        let there = pieces
            .record(number)
            .is_some_and(|record| record.fetch(number, &mut words));
        let [pa, len, content @ ..] = &*words;
        let content = content.get(..*len as usize / 8);
        f(content.filter(|_| there).map(|content| (*pa, content)))?;
    }
    Ok(())
}
