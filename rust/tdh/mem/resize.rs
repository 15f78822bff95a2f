// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.PAGE.DEMOTE and PROMOTE: the same memory mapped by smaller and by larger pages.

use crate::{
    abi::{
        GpaWord,
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

/// TDH.MEM.PAGE.DEMOTE: splits the page mapped by `at`, level 1 or 2, into 512 of the level below,
/// with `table` as their table page.
///
/// # Errors
///
/// EPT_ENTRY_STATE_INCORRECT if the entry maps no page; GPA_RANGE_NOT_BLOCKED and
/// TLB_TRACKING_NOT_DONE as for [`page_remove`](super::page_remove); INTERRUPTED_RESTARTABLE if no attempt got through.
///
/// # Safety
///
/// `table` must be the caller's to give.
pub unsafe fn page_demote<S: Seamcall>(seam: &S, tdr: Pfn, at: GpaWord, table: Pfn) -> Result {
    /// Register value for "no page for this L2 VM".
    const NO_L2_PAGE: u64 = u64::MAX;

    let args = Operands {
        r8: table.pa(),
        r9: NO_L2_PAGE,
        r10: NO_L2_PAGE,
        r11: NO_L2_PAGE,
        ..super::entry(tdr, at)
    };
    // SAFETY: `table` is the caller's to give.
    unsafe { Call::new(seam, Leaf::MemPageDemote).run(args) }.map(|_| ())
}

/// TDH.MEM.PAGE.PROMOTE: merges the 512 pages below the entry `at`, level 1 or 2, into one, and
/// returns the table page that mapped them.
///
/// The merged mapping is not blocked. The table page is the host's again, but its cache lines with
/// the TD's key are still to be flushed.
///
/// # Errors
///
/// EPT_INVALID_PROMOTE_CONDITIONS if the pages are not contiguous from an aligned one on, or not all
/// accepted or all pending; EPT_ENTRY_STATE_INCORRECT if the entry points to no table page;
/// GPA_RANGE_NOT_BLOCKED and TLB_TRACKING_NOT_DONE as for [`page_remove`](super::page_remove);
/// INTERRUPTED_RESTARTABLE if no attempt got through.
pub fn page_promote<S: Seamcall>(seam: &S, tdr: Pfn, at: GpaWord) -> Result<Pfn> {
    super::take_back(seam, Leaf::MemPagePromote, tdr, at)
}
