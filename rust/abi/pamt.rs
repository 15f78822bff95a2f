// SPDX-License-Identifier: GPL-2.0

//! Page types of the physical address metadata table (PAMT).

/// What a page of a TDMR is used for.
///
/// TDX ABI: "Physical Page Types" (PT).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PageType {
    /// Not assigned: the host may use the page.
    Nda = 0,
    /// In a reserved area of the TDMR; never usable by TDX.
    Rsvd = 1,
    /// Private memory of a TD.
    Reg = 3,
    /// Root page of a TD.
    Tdr = 4,
    /// Page of a TDCS, or any page of a TDVPS but the first.
    Tdcx = 5,
    /// First page of a TDVPS, the root page of a vCPU.
    Tdvpr = 6,
    /// Table page of a secure EPT.
    Ept = 8,
}

impl PageType {
    /// All page types.
    pub const ALL: [Self; 7] = [
        Self::Nda,
        Self::Rsvd,
        Self::Reg,
        Self::Tdr,
        Self::Tdcx,
        Self::Tdvpr,
        Self::Ept,
    ];

    /// Creates a page type from its number.
    #[inline]
    pub const fn from_raw(raw: u64) -> Option<Self> {
        match raw {
            0 => Some(Self::Nda),
            1 => Some(Self::Rsvd),
            3 => Some(Self::Reg),
            4 => Some(Self::Tdr),
            5 => Some(Self::Tdcx),
            6 => Some(Self::Tdvpr),
            8 => Some(Self::Ept),
            _ => None,
        }
    }

    /// Returns the number of the page type.
    #[inline]
    pub const fn raw(self) -> u64 {
        self as u64
    }

    /// Returns the name of the page type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nda => "PT_NDA",
            Self::Rsvd => "PT_RSVD",
            Self::Reg => "PT_REG",
            Self::Tdr => "PT_TDR",
            Self::Tdcx => "PT_TDCX",
            Self::Tdvpr => "PT_TDVPR",
            Self::Ept => "PT_EPT",
        }
    }
}
