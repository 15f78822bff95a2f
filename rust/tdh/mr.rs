// SPDX-License-Identifier: GPL-2.0

//! TDH.MR: measurement of a TD.

use crate::{
    abi::{
        Gpa,
        Leaf,
        Level,
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

/// log2 of the number of bytes that one TDH.MR.EXTEND measures.
const CHUNK_SHIFT: u32 = 8;

/// Number of a 256-byte chunk within a 4 KiB page.
pub type Chunk = Bounded<u64, 4>;

/// Returns all chunks of a page, in their order.
pub fn chunks() -> impl Iterator<Item = Chunk> {
    (0..Level::K4.size() >> CHUNK_SHIFT).filter_map(Chunk::try_new)
}

/// TDH.MR.EXTEND: measures 256 bytes of a page that was added.
///
/// # Errors
///
/// EPT_ENTRY_NOT_PRESENT if no 4 KiB page is mapped at `gpa`.
pub fn extend<S: Seamcall>(seam: &S, tdr: Pfn, gpa: Gpa, chunk: Chunk) -> Result {
    let args = Operands {
        rcx: gpa.get() | (chunk.get() << CHUNK_SHIFT),
        rdx: tdr.pa(),
        ..Operands::default()
    };
    // SAFETY: The call gives no page away and writes no memory of the host.
    unsafe { Call::new(seam, Leaf::MrExtend).run(args) }.map(|_| ())
}

/// TDH.MR.FINALIZE: completes the measurement; the TD can run.
///
/// # Errors
///
/// NO_VCPUS if the TD has none.
pub fn finalize<S: Seamcall>(seam: &S, tdr: Pfn) -> Result {
    let args = Operands {
        rcx: tdr.pa(),
        ..Operands::default()
    };
    // SAFETY: The call gives no page away and writes no memory of the host.
    unsafe { Call::new(seam, Leaf::MrFinalize).run(args) }.map(|_| ())
}
