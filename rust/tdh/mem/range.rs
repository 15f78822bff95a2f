// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.RANGE and TDH.MEM.TRACK: taking translations out of use.

use crate::{
    abi::{
        GpaWord,
        Leaf,
        Operands,
        Pfn,
        Status, //
    },
    seamcall::{
        Answer,
        Call,
        Result,
        Seamcall, //
    },
};

/// What TDH.MEM.RANGE.BLOCK found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// The entry was not blocked and is so now.
    Now,
    /// The entry was blocked already.
    Already,
}

/// TDH.MEM.RANGE.BLOCK: blocks the entry `at`, so that no new translations of it are cached.
///
/// # Errors
///
/// EPT_WALK_FAILED if a table above is missing or blocked, EPT_ENTRY_STATE_INCORRECT if the entry is
/// free.
#[inline(always)]
pub fn range_block<S: Seamcall>(seam: &S, tdr: Pfn, at: GpaWord) -> Result<Blocked> {
    let args = super::entry(tdr, at);
    // SAFETY: The call gives no page away and writes no memory of the host.
    let answer = unsafe {
        Call::new(seam, Leaf::MemRangeBlock).run_or(args, Status::GPA_RANGE_ALREADY_BLOCKED)
    }?;
    Ok(match answer {
        Answer::Success(_) => Blocked::Now,
        Answer::Other(_) => Blocked::Already,
    })
}

/// TDH.MEM.RANGE.UNBLOCK: undoes [`range_block`].
///
/// # Errors
///
/// EPT_ENTRY_STATE_INCORRECT if the entry is not blocked. Once the TD is final,
/// TLB_TRACKING_NOT_DONE with SEPT_TREE, under the conditions of [`page_remove`](super::page_remove).
pub fn range_unblock<S: Seamcall>(seam: &S, tdr: Pfn, at: GpaWord) -> Result {
    let args = super::entry(tdr, at);
    // SAFETY: The call gives no page away and writes no memory of the host.
    unsafe { Call::new(seam, Leaf::MemRangeUnblock).run(args) }.map(|_| ())
}

/// TDH.MEM.TRACK: begins a new epoch of TLB tracking.
///
/// What was blocked before can be removed when every vCPU that runs has left the guest once.
///
/// # Errors
///
/// OPERAND_BUSY with TD_EPOCH if a vCPU enters just now; PREVIOUS_TLB_EPOCH_BUSY if a vCPU has not
/// left the guest since the last but one call.
#[inline(always)]
pub fn track<S: Seamcall>(seam: &S, tdr: Pfn) -> Result {
    let args = Operands {
        rcx: tdr.pa(),
        ..Operands::default()
    };
    // SAFETY: The call gives no page away and writes no memory of the host.
    unsafe { Call::new(seam, Leaf::MemTrack).run(args) }.map(|_| ())
}
