// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.RD and TDH.MEM.WR: the content of private memory, of debug TDs.

use crate::{
    abi::{
        Gpa,
        Leaf,
        Operands,
        Pfn, //
    },
    seamcall::{
        Call,
        Result,
        Seamcall, //
    },
};
use kernel::num::Bounded;

/// log2 of the number of bytes that one call reads or writes.
const WORD_SHIFT: u32 = 3;

/// Number of an 8-byte word within a 4 KiB page.
pub type Word = Bounded<u64, 9>;

fn operands(tdr: Pfn, gpa: Gpa, word: Word) -> Operands {
    Operands {
        rcx: gpa.get() | (word.get() << WORD_SHIFT),
        rdx: tdr.pa(),
        ..Operands::default()
    }
}

/// TDH.MEM.RD: reads a word of the page at `gpa`.
///
/// # Errors
///
/// TD_NON_DEBUG; EPT_ENTRY_NOT_PRESENT if no page is mapped there, EPT_ENTRY_STATE_INCORRECT if the
/// guest has not accepted it.
pub fn rd<S: Seamcall>(seam: &S, tdr: Pfn, gpa: Gpa, word: Word) -> Result<u64> {
    // SAFETY: The call gives no page away and writes no memory.
    unsafe { Call::new(seam, Leaf::MemRd).run(operands(tdr, gpa, word)) }.map(|out| out.r8)
}

/// TDH.MEM.WR: writes a word of the page at `gpa`, and returns what it was.
///
/// # Errors
///
/// As for [`rd`]; EPT_ENTRY_STATE_INCORRECT also if the page is blocked for writing.
pub fn wr<S: Seamcall>(seam: &S, tdr: Pfn, gpa: Gpa, word: Word, value: u64) -> Result<u64> {
    let args = Operands {
        r8: value,
        ..operands(tdr, gpa, word)
    };
    // SAFETY: The call gives no page away, and writes memory of the TD only.
    unsafe { Call::new(seam, Leaf::MemWr).run(args) }.map(|out| out.r8)
}
