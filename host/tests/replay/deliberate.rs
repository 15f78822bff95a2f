// SPDX-License-Identifier: GPL-2.0

//! What the replay does not compare; the reasons are in `src/conformance/differences.rs`.

use crate::trace::Record;
use tdx::{
    conformance::differences,
    sim::trace, //
};

/// Why the value in R8 is not compared, if it is not.
pub fn value_not_compared(record: &Record) -> Option<&'static str> {
    differences::value_not_compared(record.leaf.as_deref()?, record.input.get("rdx")?.0)
}

/// The parts of TDSYSINFO that follow the build and the CPU: date and number of the build, and the
/// CPUID configuration. Only this structure is read back from memory, and only its size tells.
pub fn memory_not_compared(size: usize) -> &'static [std::ops::Range<usize>] {
    const TDSYSINFO_SIZE: usize = 1024;
    if size == TDSYSINFO_SIZE {
        &[8..14, 132..1024]
    } else {
        &[]
    }
}

/// Why the call that a note announces is not made, if it is not: what was answered in its place is not the
/// module's doing, or depends on the very moment.
pub fn call_not_made(note: &str) -> Option<&'static str> {
    match note {
        trace::BUSY => {
            Some("busy: a lock was held by a call on another logical processor at the time")
        }
        trace::INJECTED => Some("fault injection answered, not the module"),
        _ => None,
    }
}

/// Why a call never reaches a TDX module, if the CPU refuses it. The traces come from the module's
/// code alone.
pub fn refused_by_cpu(record: &Record) -> Option<&'static str> {
    const SEAMLDR: u64 = 1 << 63;
    (record.rax_in?.0 & SEAMLDR != 0)
        .then_some("RAX bit 63 calls the P-SEAMLDR, of which there is none: VMfailInvalid")
}
