// SPDX-License-Identifier: GPL-2.0

//! Operand ids: which operand a completion status speaks of.
//!
//! TDX ABI: "Function Completion Status Operand IDs". An operand passed in a register is named by
//! the register; an object that the TDX module found by itself has an id of 64 and above.

/// The operand named in bits 31:0 of a completion status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operand(u32);

macro_rules! operands {
    ($($name:ident = $id:literal;)*) => {
        impl Operand {
            $(
                #[doc = concat!("Operand `", stringify!($name), "`.")]
                pub const $name: Self = Self($id);
            )*

            /// All operands that have a name.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the name of the operand.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($id => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

operands! {
    RAX = 0;
    RCX = 1;
    RDX = 2;
    RBX = 3;
    RBP = 5;
    RSI = 6;
    RDI = 7;
    R8 = 8;
    R9 = 9;
    R10 = 10;
    R11 = 11;
    R12 = 12;
    R13 = 13;
    R14 = 14;
    R15 = 15;
    ATTRIBUTES = 64;
    XFAM = 65;
    EXEC_CONTROLS = 66;
    EPTP_CONTROLS = 67;
    MAX_VCPUS = 68;
    CPUID_CONFIG = 69;
    TSC_FREQUENCY = 70;
    NUM_L2_VMS = 71;
    IA32_ARCH_CAPABILITIES_CONFIG = 72;
    PAGE = 95;
    TDMR_INFO_PA = 96;
    GPA_LIST_ENTRY = 97;
    MIG_BUFF_LIST_ENTRY = 98;
    NEW_PAGE_LIST_ENTRY = 99;
    TDR = 128;
    TDCX = 129;
    TDVPR = 130;
    REG_PAGE = 132;
    TDCS = 144;
    TDVPS = 145;
    SEPT_TREE = 146;
    SEPT_ENTRY = 147;
    RTMR = 168;
    TD_EPOCH = 169;
    L2_VAPIC_GPA = 170;
    MIGSC = 171;
    OP_STATE = 172;
    MIG = 173;
    SERVTD_BINDINGS = 174;
    METADATA_FIELD = 176;
    SYS = 184;
    TDMR = 185;
    KOT = 186;
    KET = 187;
    WBCACHE = 188;
}

impl Operand {
    /// Creates an operand from its id.
    #[inline]
    pub const fn from_raw(id: u32) -> Self {
        Self(id)
    }

    /// Returns the operand of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let is_named = |operand: &Self| operand.name() == Some(name);
        Self::ALL.iter().copied().find(is_named)
    }

    /// Returns the operand id.
    #[inline]
    pub const fn raw(self) -> u32 {
        self.0
    }
}
