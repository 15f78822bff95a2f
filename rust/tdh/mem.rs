// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM: private memory of a TD.

mod data;
mod page;
mod range;
mod resize;
mod sept;

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

pub use data::{
    rd,
    wr,
    Word, //
};
pub use page::{
    page_add,
    page_aug,
    page_relocate,
    page_remove, //
};
pub use range::{
    range_block,
    range_unblock,
    track,
    Blocked, //
};
pub use resize::{
    page_demote,
    page_promote, //
};
pub use sept::{
    sept_add,
    sept_rd,
    sept_remove,
    SeptEntry, //
};

/// The operands of most leaves: an entry of the S-EPT, and the TD.
#[inline]
fn entry(tdr: Pfn, at: GpaWord) -> Operands {
    Operands {
        rcx: at.into_raw(),
        rdx: tdr.pa(),
        ..Operands::default()
    }
}

/// Calls a leaf that gives `page` to the TD, for the entry `at`.
///
/// # Errors
///
/// Those of the leaf.
///
/// # Safety
///
/// `page`, and at higher levels the pages that follow it, must be the caller's to give.
#[inline]
unsafe fn give<S: Seamcall>(seam: &S, leaf: Leaf, tdr: Pfn, at: GpaWord, page: Pfn) -> Result {
    let args = Operands {
        r8: page.pa(),
        ..entry(tdr, at)
    };
    // SAFETY: The memory is the caller's to give.
    unsafe { Call::new(seam, leaf).run(args) }.map(|_| ())
}

/// Calls a leaf that takes no page, and returns the one that it has taken from the entry `at`.
///
/// # Errors
///
/// Those of the leaf.
#[inline]
fn take_back<S: Seamcall>(seam: &S, leaf: Leaf, tdr: Pfn, at: GpaWord) -> Result<Pfn> {
    // SAFETY: The call gives a page back; it takes none and writes no memory of the host.
    let out = unsafe { Call::new(seam, leaf).run(entry(tdr, at)) }?;
    Ok(Pfn::containing(out.rcx))
}
