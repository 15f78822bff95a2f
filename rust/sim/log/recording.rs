// SPDX-License-Identifier: GPL-2.0

//! What a replay needs beyond the last calls, kept if the boot parameter `tdx_sim.trace` asks for it: the calls
//! that brought the module up, and the memory that calls read as operands.

use super::{
    record::Record,
    ring, //
};
use crate::{
    abi::{
        Args,
        Leaf,
        Rax, //
    },
    sim::{
        ffi,
        model::platform::Platform,
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
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed, //
        },
        SetOnce, //
    },
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

/// The memory that a call reads as its operands: where the pieces of it are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Operands {
    bring_up: bool,
    first: u64,
    count: u8,
}

impl Operands {
    /// No memory.
    pub(in super::super) const NONE: Self = Self {
        bring_up: false,
        first: 0,
        count: 0,
    };

    /// As a word.
    #[inline]
    pub(super) fn encode(self) -> u64 {
        u64::from(self.bring_up) << 63 | self.first << 8 | u64::from(self.count)
    }

    pub(super) fn decode(word: u64) -> Self {
        Self {
            bring_up: word >> 63 != 0,
            first: word << 1 >> 9,
            count: word as u8,
        }
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

static RECORDING: SetOnce<Recording> = SetOnce::new();

/// Makes empty records.
pub(super) fn records<const N: usize>(nr: usize) -> Result<KVVec<Record<N>>> {
    let mut records = KVVec::with_capacity(nr, GFP_KERNEL)?;
    for _ in 0..nr {
        records.push(Record::new(), GFP_KERNEL)?;
    }
    Ok(records)
}

/// Begins, if that is asked for.
pub(super) fn start() -> Result {
    if !ffi::tdx_sim_get_trace() {
        return Ok(());
    }
    let recording = Recording {
        next: Atomic::new(0),
        bring_up: records(BRING_UP_CALLS)?,
        bring_up_pieces: Pieces::new(BRING_UP_PIECES)?,
        pieces: Pieces::new(PIECES)?,
    };
    RECORDING.populate(recording).then_some(()).ok_or(EBUSY)
}

/// Whether the run is recorded.
pub(in super::super) fn is_on() -> bool {
    RECORDING.as_ref().is_some()
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
pub(in super::super) fn keep_operands(machine: &Machine<'_>, rax: u64, args: &Args) -> Operands {
    if !has_memory_operands(rax) {
        return Operands::NONE;
    }
    match RECORDING.as_ref() {
        Some(recording) => recording.keep_operands(machine, rax, args),
        None => Operands::NONE,
    }
}

/// Keeps a call, if it is one that brings the module up.
#[inline]
pub(super) fn keep(number: u64, rax: u64, words: &[u64; ring::WORDS]) {
    if !changes_module(rax) {
        return;
    }
    if let Some(recording) = RECORDING.as_ref() {
        let slot = recording.next.fetch_add(1u64, Relaxed);
        if let Some(record) = recording.bring_up.get(slot as usize) {
            record.write(number, words.iter().copied());
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

    fn keep_operands(&self, machine: &Machine<'_>, rax: u64, args: &Args) -> Operands {
        let mut count = 0u8;
        memory_operands(machine, rax, args, |_, _| count = count.saturating_add(1));
        if count == 0 {
            return Operands::NONE;
        }
        let bring_up = changes_module(rax);
        let pieces = self.pieces(bring_up);
        let first = pieces.next.fetch_add(u64::from(count), Relaxed);
        let mut numbers = first..first.saturating_add(count.into());
        memory_operands(machine, rax, args, |pa, len| {
            let content = (0..len / 8).map(|i| machine.load(pa.wrapping_add(i * 8)));
            if let Some((number, record)) =
                numbers.next().and_then(|n| Some((n, pieces.record(n)?)))
            {
                // By its full name: every type has another `chain()` from the prelude.
                record.write(number, Iterator::chain([pa, len].into_iter(), content));
            }
        });
        Operands {
            bring_up,
            first,
            count,
        }
    }
}

/// Number of the calls that brought the module up, and were kept.
pub(super) fn bring_up_calls() -> u64 {
    RECORDING.as_ref().map_or(0, |recording| {
        let made = recording.next.load(Acquire);
        made.min(recording.bring_up.len() as u64)
    })
}

/// The `nth` of them: its number and words.
pub(super) fn bring_up_call(nth: u64) -> Option<(u64, [u64; ring::WORDS])> {
    let record = RECORDING.as_ref()?.bring_up.get(nth as usize)?;
    let number = record.number()?;
    Some((number, record.read(number)?))
}

/// Calls `f` with address and content of each piece of memory that was kept, and with `None` in the place of
/// each that is lost.
pub(super) fn for_each_operand(
    operands: Operands,
    mut f: impl FnMut(Option<(u64, &[u64])>) -> fmt::Result,
) -> fmt::Result {
    let Some(recording) = RECORDING.as_ref().filter(|_| operands != Operands::NONE) else {
        return Ok(());
    };
    let mut words = KBox::new([0; PIECE_WORDS], GFP_KERNEL).map_err(|_| fmt::Error)?;
    let pieces = recording.pieces(operands.bring_up);
    for i in 0..u64::from(operands.count) {
        let number = operands.first.wrapping_add(i);
        let there = pieces
            .record(number)
            .is_some_and(|record| record.fetch(number, &mut words));
        let [pa, len, content @ ..] = &*words;
        let content = content.get(..*len as usize / 8);
        f(content.filter(|_| there).map(|content| (*pa, content)))?;
    }
    Ok(())
}
