// SPDX-License-Identifier: GPL-2.0

//! What is knowingly different from the real module, checks apart: see
//! [`Absent`](super::Absent) for those.

/// Metadata fields whose values are not compared. Whether they can be read is.
pub struct Rule {
    /// The leaves that read or write them.
    pub leaves: &'static [&'static str],
    /// Which fields; the identifiers are those of the first element, without context and size.
    fields: &'static [Fields],
    /// Why their values differ.
    pub reason: &'static str,
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

/// All of them.
pub const RULES: &[Rule] = &[
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

/// Why the value of a metadata field is not compared with that of the real module, if it is not.
pub fn value_not_compared(leaf: &str, id: u64) -> Option<&'static str> {
    /// All but context and size.
    const FIELD: u64 = !((0x7 << 52) | (0x3 << 32));
    let id = id & FIELD;
    let matches = |fields: &Fields| match *fields {
        Range(first, elements) => id.checked_sub(first).is_some_and(|index| index < elements),
        Class(class) => (id >> 56) & 0x3F == class,
    };
    RULES
        .iter()
        .find(|rule| rule.leaves.contains(&leaf) && rule.fields.iter().any(matches))
        .map(|rule| rule.reason)
}

/// What else is different.
pub const NOTES: &[&str] = &[
    "Memory has one view whatever the KeyID: nothing is encrypted, no integrity is checked, no cache \
     has to be written back.",
    "TDH.VP.ENTER makes its checks and then ends as if there were no such leaf: no guest runs.",
    "Leaves of migration and of service TDs end as if there were no such leaf. TD_PARAMS can ask for L2 \
     VMs in the 1.5.01 profile only; they get no secure EPT.",
    "Where the host has damaged memory that hardware would protect, a leaf that would follow the damage \
     ends in TDX_TD_FATAL.",
    "TDH.SYS.UPDATE never finds handoff data: there is no P-SEAM loader. Its leaves (RAX bit 63) end in \
     VMfailInvalid.",
    "TDH.SYS.SHUTDOWN does not look for other logical processors inside the module.",
    "TDH.SYS.DISABLE and version 1 of TDH.VP.INIT are what Linux expects of them; module 1.5.01 has \
     neither.",
    "TDH.SYS.LP.SHUTDOWN changes nothing, as in the reference traces of module 1.5.01.",
];
