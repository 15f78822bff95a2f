// SPDX-License-Identifier: GPL-2.0

//! What the replay does not compare, and why.

use crate::trace::Record;

/// Metadata fields whose values are not compared. Whether they can be read is.
struct Rule {
    leaves: &'static [&'static str],
    /// Which fields; the identifiers are those of the first element, without context and size.
    fields: &'static [Fields],
    reason: &'static str,
}

enum Fields {
    /// So many elements from this identifier on.
    Range(u64, u64),
    /// All of a class.
    Class(u64),
}

use Fields::{
    Class,
    Range, //
};

const RULES: &[Rule] = &[
    Rule {
        leaves: &["TDH.MNG.RD"],
        fields: &[Range(0x8000_0000_0000_0020, 4)],
        reason: "TD_UUID is random",
    },
    Rule {
        leaves: &["TDH.MNG.RD"],
        fields: &[Range(0x1100_0000_0000_000A, 1)],
        reason: "TSC_OFFSET is the time when the TD was initialised",
    },
    Rule {
        leaves: &["TDH.MNG.RD"],
        fields: &[Class(0x14), Class(0x16), Class(0x20)],
        reason: "CPUID_VALUES, virtual MSRs and MSR_BITMAPS follow the CPU",
    },
    Rule {
        leaves: &["TDH.VP.RD", "TDH.VP.WR"],
        fields: &[
            Class(0x00),
            Class(0x10),
            Class(0x11),
            Class(0x12),
            Class(0x13),
        ],
        reason: "the guest's initial registers and its VMCS follow the CPU",
    },
    Rule {
        leaves: &["TDH.SYS.RD"],
        fields: &[
            Class(0x00),
            Range(0x8800_0000_0000_0001, 2),
            Range(0x0800_0000_0000_0005, 2),
            Class(0x09),
            Range(0x9900_0000_0000_0800, 0x90),
        ],
        reason:
            "packages, build, handoff data and the lists of CPU models are those of the platform",
    },
];

/// Why the value in R8 is not compared, if it is not.
pub fn value_not_compared(record: &Record) -> Option<&'static str> {
    /// All but context and size.
    const FIELD: u64 = !((0x7 << 52) | (0x3 << 32));
    let leaf = record.leaf.as_deref()?;
    let id = record.input.get("rdx")?.0 & FIELD;
    let matches = |fields: &Fields| match *fields {
        Range(first, elements) => id.checked_sub(first).is_some_and(|index| index < elements),
        Class(class) => (id >> 56) & 0x3F == class,
    };
    RULES
        .iter()
        .find(|rule| rule.leaves.contains(&leaf) && rule.fields.iter().any(matches))
        .map(|rule| rule.reason)
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

/// Why a call never reaches a TDX module, if the CPU refuses it. The traces come from the module's
/// code alone.
pub fn refused_by_cpu(record: &Record) -> Option<&'static str> {
    const SEAMLDR: u64 = 1 << 63;
    (record.rax_in?.0 & SEAMLDR != 0)
        .then_some("RAX bit 63 calls the P-SEAMLDR, of which there is none: VMfailInvalid")
}
