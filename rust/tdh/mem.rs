// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM: private memory of a TD.

use crate::{
    abi::{
        sept::Info,
        Args,
        Gpa,
        GpaWord,
        Leaf,
        Pfn,
        Status, //
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
#[inline]
pub unsafe fn sept_add<S: Seamcall>(seam: &S, tdr: Pfn, at: GpaWord, table: Pfn) -> Result {
    let args = Args {
        rcx: at.into_raw(),
        rdx: tdr.pa(),
        r8: table.pa(),
        ..Args::default()
    };
    // SAFETY: `table` is the caller's to give.
    unsafe { Call::new(seam, Leaf::MemSeptAdd).run(args) }.map(|_| ())
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
    let args = Args {
        rcx: at.into_raw(),
        rdx: tdr.pa(),
        ..Args::default()
    };
    // SAFETY: The call gives no page away and writes no memory.
    let out = unsafe { Call::new(seam, Leaf::MemSeptRd).run(args) }?;
    Ok(SeptEntry {
        entry: out.rcx,
        info: Info::from_raw(out.rdx),
    })
}

/// TDH.MEM.PAGE.ADD: maps `page` at `gpa` with a copy of the page `source`, before the TD is final.
///
/// The measurement covers the GPA; the content is measured by [`mr::extend`](super::mr::extend).
///
/// # Errors
///
/// EPT_WALK_FAILED if the table for 4 KiB entries is missing, EPT_ENTRY_STATE_INCORRECT if the entry
/// is not free.
///
/// # Safety
///
/// `page` must be the caller's to give. `source` must not change during the call.
#[inline]
pub unsafe fn page_add<S: Seamcall>(
    seam: &S,
    tdr: Pfn,
    gpa: Gpa,
    page: Pfn,
    source: Pfn,
) -> Result {
    let args = Args {
        rcx: gpa.get(),
        rdx: tdr.pa(),
        r8: page.pa(),
        r9: source.pa(),
        ..Args::default()
    };
    // SAFETY: `page` is the caller's to give.
    unsafe { Call::new(seam, Leaf::MemPageAdd).run(args) }.map(|_| ())
}

/// TDH.MEM.PAGE.AUG: maps `page` at `at`, for the guest to accept. 4 KiB and 2 MiB only.
///
/// # Errors
///
/// EPT_WALK_FAILED if a table above is missing, EPT_ENTRY_STATE_INCORRECT if the entry is not free.
///
/// # Safety
///
/// `page`, and at higher levels the pages that follow it, must be the caller's to give.
#[inline]
pub unsafe fn page_aug<S: Seamcall>(seam: &S, tdr: Pfn, at: GpaWord, page: Pfn) -> Result {
    let args = Args {
        rcx: at.into_raw(),
        rdx: tdr.pa(),
        r8: page.pa(),
        ..Args::default()
    };
    // SAFETY: The memory is the caller's to give.
    unsafe { Call::new(seam, Leaf::MemPageAug).run(args) }.map(|_| ())
}

/// TDH.MEM.PAGE.DEMOTE: splits the page mapped by `at`, level 1 or 2, into 512 of the level below,
/// with `table` as their table page.
///
/// # Errors
///
/// EPT_ENTRY_STATE_INCORRECT if the entry maps no page; GPA_RANGE_NOT_BLOCKED and
/// TLB_TRACKING_NOT_DONE as for [`page_remove`]; INTERRUPTED_RESTARTABLE if no attempt got through.
///
/// # Safety
///
/// `table` must be the caller's to give.
pub unsafe fn page_demote<S: Seamcall>(seam: &S, tdr: Pfn, at: GpaWord, table: Pfn) -> Result {
    /// Register value for "no page for this L2 VM".
    const NO_L2_PAGE: u64 = u64::MAX;

    let args = Args {
        rcx: at.into_raw(),
        rdx: tdr.pa(),
        r8: table.pa(),
        r9: NO_L2_PAGE,
        r10: NO_L2_PAGE,
        r11: NO_L2_PAGE,
        ..Args::default()
    };
    // SAFETY: `table` is the caller's to give.
    unsafe { Call::new(seam, Leaf::MemPageDemote).run_restarting(args) }.map(|_| ())
}

/// TDH.MEM.PAGE.REMOVE: unmaps the page mapped by `at` and returns its physical address.
///
/// The page is the host's again, but its cache lines with the TD's key are still to be flushed; see
/// [`phymem::page_wbinvd`](super::phymem::page_wbinvd).
///
/// # Errors
///
/// EPT_ENTRY_STATE_INCORRECT if the entry maps no page. Once the TD is final: GPA_RANGE_NOT_BLOCKED
/// if [`range_block`] was not called, TLB_TRACKING_NOT_DONE if since then [`track`] was not called or
/// a vCPU has not left the guest.
#[inline]
pub fn page_remove<S: Seamcall>(seam: &S, tdr: Pfn, at: GpaWord) -> Result<u64> {
    let args = Args {
        rcx: at.into_raw(),
        rdx: tdr.pa(),
        ..Args::default()
    };
    // SAFETY: The call gives a page back; it takes none and writes no memory.
    let out = unsafe { Call::new(seam, Leaf::MemPageRemove).run(args) }?;
    Ok(out.rcx)
}

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
#[inline]
pub fn range_block<S: Seamcall>(seam: &S, tdr: Pfn, at: GpaWord) -> Result<Blocked> {
    let args = Args {
        rcx: at.into_raw(),
        rdx: tdr.pa(),
        ..Args::default()
    };
    // SAFETY: The call gives no page away and writes no memory of the host.
    let now = unsafe {
        Call::new(seam, Leaf::MemRangeBlock).run_or(args, Status::GPA_RANGE_ALREADY_BLOCKED)
    }?;
    Ok(if now { Blocked::Now } else { Blocked::Already })
}

/// TDH.MEM.TRACK: begins a new epoch of TLB tracking.
///
/// What was blocked before can be removed when every vCPU that runs has left the guest once.
///
/// # Errors
///
/// OPERAND_BUSY with TD_EPOCH if a vCPU enters just now; PREVIOUS_TLB_EPOCH_BUSY if a vCPU has not
/// left the guest since the last but one call.
#[inline]
pub fn track<S: Seamcall>(seam: &S, tdr: Pfn) -> Result {
    let args = Args {
        rcx: tdr.pa(),
        ..Args::default()
    };
    // SAFETY: The call gives no page away and writes no memory of the host.
    unsafe { Call::new(seam, Leaf::MemTrack).run(args) }.map(|_| ())
}
