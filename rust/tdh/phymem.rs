// SPDX-License-Identifier: GPL-2.0

//! TDH.PHYMEM: physical pages and caches.

use crate::{
    abi::{
        KeyedPfn,
        Leaf,
        Level,
        Operands,
        PageType,
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

/// What the TDX module knows of a physical page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageMetadata {
    /// What the page is used for, `None` for a type that the ABI does not name.
    pub page_type: Option<PageType>,
    /// TDR of the TD that has the page, where it has one.
    pub owner: Option<Pfn>,
    /// Size that the page is kept at.
    pub level: Option<Level>,
    /// Epoch of TLB tracking in which it was blocked; 0 if never, and for control pages.
    pub bepoch: u64,
}

impl PageMetadata {
    fn from_operands(out: &Operands) -> Self {
        let page_type = PageType::from_raw(out.rcx);
        Self {
            page_type,
            owner: match page_type {
                Some(PageType::Nda | PageType::Rsvd | PageType::Tdr) => None,
                _ => Pfn::from_pa(out.rdx),
            },
            level: Level::from_raw(out.r8),
            bepoch: out.r9,
        }
    }
}

/// TDH.PHYMEM.PAGE.RDMD: reads the metadata of a page.
///
/// # Errors
///
/// OPERAND_ADDR_RANGE_ERROR if no TDMR covers the page.
pub fn page_rdmd<S: Seamcall>(seam: &S, page: Pfn) -> Result<PageMetadata> {
    let args = Operands {
        rcx: page.pa(),
        ..Operands::default()
    };
    // SAFETY: The call gives no page away and writes no memory.
    let out = unsafe { Call::new(seam, Leaf::PhymemPageRdmd).run(args) }?;
    Ok(PageMetadata::from_operands(&out))
}

/// TDH.PHYMEM.PAGE.RECLAIM: takes a page of a TD back whose KeyID is free. Returns what it was.
///
/// # Errors
///
/// LIFECYCLE_STATE_INCORRECT if the TD still has its KeyID; TD_ASSOCIATED_PAGES_EXIST for a TDR whose
/// TD still has other pages. RCX and RDX of the error are page type and owner.
pub fn page_reclaim<S: Seamcall>(seam: &S, page: Pfn) -> Result<PageMetadata> {
    let args = Operands {
        rcx: page.pa(),
        ..Operands::default()
    };
    // SAFETY: The call gives a page back; it takes none and writes no memory.
    let out = unsafe { Call::new(seam, Leaf::PhymemPageReclaim).run(args) }?;
    Ok(PageMetadata::from_operands(&out))
}

/// TDH.PHYMEM.PAGE.WBINVD: writes back and invalidates the cache lines of a 4 KiB page with the
/// KeyID in `page`. The TDX module must not have the page in use.
///
/// # Errors
///
/// None but those common to all leaves.
#[inline(always)]
pub fn page_wbinvd<S: Seamcall>(seam: &S, page: KeyedPfn) -> Result {
    let args = Operands {
        rcx: page.raw(),
        ..Operands::default()
    };
    // SAFETY: The call gives no page away, and writes back what was written before.
    unsafe { Call::new(seam, Leaf::PhymemPageWbinvd).run(args) }.map(|_| ())
}

/// What TDH.PHYMEM.CACHE.WB found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheWritten {
    /// The caches are written back.
    Now,
    /// No KeyID waited for it.
    NothingToDo,
}

/// TDH.PHYMEM.CACHE.WB: writes back the caches of the package that this runs on, for all KeyIDs that
/// wait for it. The caller must not move to another package meanwhile.
///
/// # Errors
///
/// OPERAND_BUSY with WBCACHE if another CPU of the package is at it.
pub fn cache_wb<S: Seamcall>(seam: &S) -> Result<CacheWritten> {
    // SAFETY: The call gives no page away, and writes back what was written before.
    let answer = unsafe {
        Call::new(seam, Leaf::PhymemCacheWb)
            .run_or(Operands::default(), Status::NO_HKID_READY_TO_WBCACHE)
    }?;
    Ok(match answer {
        Answer::Success(_) => CacheWritten::Now,
        Answer::Other(_) => CacheWritten::NothingToDo,
    })
}
