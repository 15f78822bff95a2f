// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.SEPT: entries and table pages of the secure EPT.

use crate::{
    abi::{
        sept::Info,
        GpaWord,
        Leaf,
        Pfn, //
    },
    seamcall::{
        Call,
        Result,
        Seamcall, //
    },
};

/// TDH.MEM.SEPT.ADD: links a table page below the entry `at`.
///
/// `at.level()` is the level of the entry that will point to `table`, 1 or higher.
///
/// # Errors
///
/// EPT_WALK_FAILED if a table above is missing or blocked, EPT_ENTRY_STATE_INCORRECT if the entry is
/// not free.
///
/// # Safety
///
/// `table` must be the caller's to give.
#[inline(always)]
pub unsafe fn sept_add<S: Seamcall>(seam: &S, tdr: Pfn, at: GpaWord, table: Pfn) -> Result {
    // SAFETY: `table` is the caller's to give.
    unsafe { super::give(seam, Leaf::MemSeptAdd, tdr, at, table) }
}

/// A secure EPT entry as the TDX module shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeptEntry {
    /// The entry; see [`Entry::reported`](crate::abi::sept::Entry::reported) for what is left out.
    pub entry: u64,
    /// Level and state.
    pub info: Info,
}

/// TDH.MEM.SEPT.RD: reads the entry `at`.
///
/// # Errors
///
/// EPT_WALK_FAILED if a table above is missing or blocked.
pub fn sept_rd<S: Seamcall>(seam: &S, tdr: Pfn, at: GpaWord) -> Result<SeptEntry> {
    // SAFETY: The call gives no page away and writes no memory.
    let out = unsafe { Call::new(seam, Leaf::MemSeptRd).run(super::entry(tdr, at)) }?;
    Ok(SeptEntry {
        entry: out.rcx,
        info: Info::from_raw(out.rdx),
    })
}

/// TDH.MEM.SEPT.REMOVE: unlinks the table page below the entry `at`, all of whose entries are free,
/// and returns it.
///
/// The page is the host's again, but its cache lines with the TD's key are still to be flushed.
///
/// # Errors
///
/// EPT_ENTRY_STATE_INCORRECT if the entry points to no table page; EPT_PAGE_NOT_FREE if that has
/// entries in use. Once the TD is final, GPA_RANGE_NOT_BLOCKED and TLB_TRACKING_NOT_DONE as for
/// [`page_remove`](super::page_remove).
pub fn sept_remove<S: Seamcall>(seam: &S, tdr: Pfn, at: GpaWord) -> Result<Pfn> {
    super::take_back(seam, Leaf::MemSeptRemove, tdr, at)
}
