// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.PAGE: pages that come and go.

use crate::{
    abi::{
        Gpa,
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

/// TDH.MEM.PAGE.ADD: maps `page` at `gpa` with a copy of the page `source`, before the TD is final.
///
/// The measurement covers the GPA; the content is measured by [`mr::extend`](super::super::mr::extend).
///
/// # Errors
///
/// EPT_WALK_FAILED if the table for 4 KiB entries is missing, EPT_ENTRY_STATE_INCORRECT if the entry
/// is not free.
///
/// # Safety
///
/// `page` must be the caller's to give. `source` must not change during the call.
#[inline(always)]
pub unsafe fn page_add<S: Seamcall>(
    seam: &S,
    tdr: Pfn,
    gpa: Gpa,
    page: Pfn,
    source: Pfn,
) -> Result {
    let args = Operands {
        rcx: gpa.get(),
        rdx: tdr.pa(),
        r8: page.pa(),
        r9: source.pa(),
        ..Operands::default()
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
#[inline(always)]
pub unsafe fn page_aug<S: Seamcall>(seam: &S, tdr: Pfn, at: GpaWord, page: Pfn) -> Result {
    // SAFETY: The memory is the caller's to give.
    unsafe { super::give(seam, Leaf::MemPageAug, tdr, at, page) }
}

/// TDH.MEM.PAGE.REMOVE: unmaps the page mapped by `at` and returns what was mapped.
///
/// The page is the host's again, but its cache lines with the TD's key are still to be flushed; see
/// [`phymem::page_wbinvd`](super::super::phymem::page_wbinvd).
///
/// # Errors
///
/// EPT_ENTRY_STATE_INCORRECT if the entry maps no page. Once the TD is final: GPA_RANGE_NOT_BLOCKED
/// if [`range_block`](super::range_block) was not called, TLB_TRACKING_NOT_DONE if since then
/// [`track`](super::track) was not called or
/// a vCPU has not left the guest.
#[inline(always)]
pub fn page_remove<S: Seamcall>(seam: &S, tdr: Pfn, at: GpaWord) -> Result<Pfn> {
    super::take_back(seam, Leaf::MemPageRemove, tdr, at)
}

/// TDH.MEM.PAGE.RELOCATE: puts `page` in the place of the 4 KiB page mapped at `gpa`, with what is in
/// that, and returns it. The mapping is not blocked any more.
///
/// The old page is the host's again, but its cache lines with the TD's key are still to be flushed.
///
/// # Errors
///
/// EPT_WALK_FAILED or EPT_ENTRY_STATE_INCORRECT if no 4 KiB page is mapped at `gpa`. Once the TD is
/// final, GPA_RANGE_NOT_BLOCKED and TLB_TRACKING_NOT_DONE as for [`page_remove`].
///
/// # Safety
///
/// `page` must be the caller's to give.
pub unsafe fn page_relocate<S: Seamcall>(seam: &S, tdr: Pfn, gpa: Gpa, page: Pfn) -> Result<Pfn> {
    let args = Operands {
        rcx: gpa.get(),
        rdx: tdr.pa(),
        r8: page.pa(),
        ..Operands::default()
    };
    // SAFETY: `page` is the caller's to give.
    let out = unsafe { Call::new(seam, Leaf::MemPageRelocate).run(args) }?;
    Ok(Pfn::containing(out.rcx))
}
