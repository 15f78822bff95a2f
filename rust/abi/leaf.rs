// SPDX-License-Identifier: GPL-2.0

//! Host-side leaf functions of SEAMCALL: numbers, names, versions.

// `bitfield!` defines constants without documentation.
#![allow(missing_docs)]

use kernel::bitfield;

bitfield! {
    /// RAX on entry to SEAMCALL.
    ///
    /// TDX ABI: "SEAMCALL instruction, RAX format".
    pub struct Rax(u64) {
        /// Set for the P-SEAM loader, clear for the TDX module.
        63:63 seamldr;
        /// Version of the leaf's interface.
        23:16 version;
        /// Leaf number.
        15:0 leaf;
    }
}

impl Rax {
    /// Bits that have to be 0 in a call to the TDX module.
    pub const RESERVED: u64 = !(Self::VERSION_MASK | Self::LEAF_MASK);

    /// Returns RAX for version `version` of `leaf`.
    #[inline]
    pub const fn new(leaf: Leaf, version: u8) -> Self {
        Self::from_raw(((version as u64) << Self::VERSION_SHIFT) | leaf as u64)
    }

    /// Returns the leaf, if the ABI knows one of that number.
    #[inline]
    pub const fn known_leaf(self) -> Option<Leaf> {
        Leaf::from_raw(self.into_raw() as u16)
    }
}

impl From<Leaf> for Rax {
    #[inline]
    fn from(leaf: Leaf) -> Self {
        Self::new(leaf, 0)
    }
}

/// How to go on with a call that an interrupt has ended. TDX ABI: "Interruptible leaves".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupted {
    /// The leaf runs to completion.
    Never,
    /// INTERRUPTED_RESTARTABLE: from the start, with the same operands; no progress was kept.
    Restart,
    /// INTERRUPTED_RESUMABLE: the module has kept the progress; the same call with RCX set to 1.
    ResumeFlag,
    /// INTERRUPTED_RESUMABLE: what is left to do is in the registers that the module returned.
    ResumeOutputs,
}

/// Makes the enum of one side's leaf functions from the table of them.
macro_rules! leaf_functions {
    ($(#[$doc:meta])* $leaf:ident; $($variant:ident = $number:literal, $name:literal, $version:literal;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum $leaf {
            $(
                #[doc = concat!($name, ".")]
                $variant = $number,
            )*
        }

        impl $leaf {
            /// All leaves, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Creates a leaf from its number.
            pub const fn from_raw(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Returns the name of the leaf.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns the highest interface version that is in use today or that modules offer.
            pub const fn max_version(self) -> u8 {
                match self {
                    $(Self::$variant => $version,)*
                }
            }
        }
    };
}
pub(super) use leaf_functions;

macro_rules! leaves {
    ($($variant:ident = $number:literal, $name:literal, $version:literal, $v1_5_01:expr,
        $interrupted:ident;)*) => {
        leaf_functions! {
            /// A host-side leaf function of the TDX module.
            Leaf;
            $($variant = $number, $name, $version;)*
        }

        impl Leaf {
            /// Returns the highest interface version of module 1.5.01, `None` where that module
            /// does not have the leaf.
            pub const fn max_version_1_5_01(self) -> Option<u8> {
                match self {
                    $(Self::$variant => $v1_5_01,)*
                }
            }

            /// Returns how to go on after an interrupt ended a call.
            #[inline]
            pub const fn interrupted(self) -> Interrupted {
                match self {
                    $(Self::$variant => Interrupted::$interrupted,)*
                }
            }
        }
    };
}

// Leaf = number, name, highest version, highest version of module 1.5.01, what an interrupt does.
leaves! {
    VpEnter = 0, "TDH.VP.ENTER", 0, Some(0), Never;
    MngAddcx = 1, "TDH.MNG.ADDCX", 0, Some(0), Never;
    MemPageAdd = 2, "TDH.MEM.PAGE.ADD", 0, Some(0), Never;
    MemSeptAdd = 3, "TDH.MEM.SEPT.ADD", 1, Some(1), ResumeOutputs;
    VpAddcx = 4, "TDH.VP.ADDCX", 0, Some(0), Never;
    MemPageRelocate = 5, "TDH.MEM.PAGE.RELOCATE", 0, Some(0), Never;
    MemPageAug = 6, "TDH.MEM.PAGE.AUG", 0, Some(0), Never;
    MemRangeBlock = 7, "TDH.MEM.RANGE.BLOCK", 0, Some(0), Never;
    MngKeyConfig = 8, "TDH.MNG.KEY.CONFIG", 0, Some(0), Never;
    MngCreate = 9, "TDH.MNG.CREATE", 0, Some(0), Never;
    VpCreate = 10, "TDH.VP.CREATE", 0, Some(0), Never;
    MngRd = 11, "TDH.MNG.RD", 1, Some(1), Never;
    MemRd = 12, "TDH.MEM.RD", 0, Some(0), Never;
    MngWr = 13, "TDH.MNG.WR", 0, Some(0), Never;
    MemWr = 14, "TDH.MEM.WR", 0, Some(0), Never;
    MemPageDemote = 15, "TDH.MEM.PAGE.DEMOTE", 0, Some(0), Restart;
    MrExtend = 16, "TDH.MR.EXTEND", 0, Some(0), Never;
    MrFinalize = 17, "TDH.MR.FINALIZE", 0, Some(0), Never;
    VpFlush = 18, "TDH.VP.FLUSH", 0, Some(0), Never;
    MngVpflushdone = 19, "TDH.MNG.VPFLUSHDONE", 0, Some(0), Never;
    MngKeyFreeid = 20, "TDH.MNG.KEY.FREEID", 0, Some(0), Never;
    MngInit = 21, "TDH.MNG.INIT", 0, Some(0), Never;
    VpInit = 22, "TDH.VP.INIT", 1, Some(0), Never;
    MemPagePromote = 23, "TDH.MEM.PAGE.PROMOTE", 1, Some(1), Restart;
    PhymemPageRdmd = 24, "TDH.PHYMEM.PAGE.RDMD", 0, Some(0), Never;
    MemSeptRd = 25, "TDH.MEM.SEPT.RD", 0, Some(0), Never;
    VpRd = 26, "TDH.VP.RD", 1, Some(1), Never;
    MngKeyReclaimid = 27, "TDH.MNG.KEY.RECLAIMID", 0, Some(0), Never;
    PhymemPageReclaim = 28, "TDH.PHYMEM.PAGE.RECLAIM", 0, Some(0), Never;
    MemPageRemove = 29, "TDH.MEM.PAGE.REMOVE", 0, Some(0), Never;
    MemSeptRemove = 30, "TDH.MEM.SEPT.REMOVE", 1, Some(1), Never;
    SysKeyConfig = 31, "TDH.SYS.KEY.CONFIG", 0, Some(0), Never;
    SysInfo = 32, "TDH.SYS.INFO", 0, Some(0), Never;
    SysInit = 33, "TDH.SYS.INIT", 0, Some(0), Never;
    SysRd = 34, "TDH.SYS.RD", 0, Some(0), Never;
    SysLpInit = 35, "TDH.SYS.LP.INIT", 0, Some(0), Never;
    SysTdmrInit = 36, "TDH.SYS.TDMR.INIT", 0, Some(0), Never;
    SysRdall = 37, "TDH.SYS.RDALL", 0, Some(0), Never;
    MemTrack = 38, "TDH.MEM.TRACK", 0, Some(0), Never;
    MemRangeUnblock = 39, "TDH.MEM.RANGE.UNBLOCK", 0, Some(0), Never;
    PhymemCacheWb = 40, "TDH.PHYMEM.CACHE.WB", 0, Some(0), ResumeFlag;
    PhymemPageWbinvd = 41, "TDH.PHYMEM.PAGE.WBINVD", 0, Some(0), Never;
    VpWr = 43, "TDH.VP.WR", 0, Some(0), Never;
    SysLpShutdown = 44, "TDH.SYS.LP.SHUTDOWN", 0, Some(0), Never;
    SysConfig = 45, "TDH.SYS.CONFIG", 0, Some(0), Never;
    ServtdBind = 48, "TDH.SERVTD.BIND", 0, Some(0), Never;
    ServtdPrebind = 49, "TDH.SERVTD.PREBIND", 0, Some(0), Never;
    SysShutdown = 52, "TDH.SYS.SHUTDOWN", 0, Some(0), Never;
    SysUpdate = 53, "TDH.SYS.UPDATE", 0, Some(0), Never;
    ExportAbort = 64, "TDH.EXPORT.ABORT", 0, Some(0), Never;
    ExportBlockw = 65, "TDH.EXPORT.BLOCKW", 0, Some(0), Never;
    ExportRestore = 66, "TDH.EXPORT.RESTORE", 0, Some(0), Never;
    ExportMem = 68, "TDH.EXPORT.MEM", 0, Some(0), Never;
    SysDisable = 69, "TDH.SYS.DISABLE", 0, None, ResumeOutputs;
    ExportPause = 70, "TDH.EXPORT.PAUSE", 0, Some(0), Never;
    ExportTrack = 71, "TDH.EXPORT.TRACK", 0, Some(0), Never;
    ExportStateImmutable = 72, "TDH.EXPORT.STATE.IMMUTABLE", 0, Some(0), Never;
    ExportStateTd = 73, "TDH.EXPORT.STATE.TD", 0, Some(0), Never;
    ExportStateVp = 74, "TDH.EXPORT.STATE.VP", 0, Some(0), Never;
    ExportUnblockw = 75, "TDH.EXPORT.UNBLOCKW", 0, Some(0), Never;
    ImportAbort = 80, "TDH.IMPORT.ABORT", 0, Some(0), Never;
    ImportEnd = 81, "TDH.IMPORT.END", 0, Some(0), Never;
    ImportCommit = 82, "TDH.IMPORT.COMMIT", 0, Some(0), Never;
    ImportMem = 83, "TDH.IMPORT.MEM", 0, Some(0), Never;
    ImportTrack = 84, "TDH.IMPORT.TRACK", 0, Some(0), Never;
    ImportStateImmutable = 85, "TDH.IMPORT.STATE.IMMUTABLE", 0, Some(0), Never;
    ImportStateTd = 86, "TDH.IMPORT.STATE.TD", 0, Some(0), Never;
    ImportStateVp = 87, "TDH.IMPORT.STATE.VP", 0, Some(0), Never;
    MigStreamCreate = 96, "TDH.MIG.STREAM.CREATE", 0, Some(0), Never;
}

impl Leaf {
    /// Size of a table indexed by leaf number.
    pub const TABLE_SIZE: usize = Self::MigStreamCreate as usize + 1;

    /// Returns the leaf of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|leaf| leaf.name() == name)
    }

    /// Returns the leaf number.
    #[inline]
    pub const fn raw(self) -> u16 {
        self as u16
    }

    /// Returns the registers that the leaf defines as outputs in one of its versions: bits 0 to 5 stand for
    /// RCX, RDX and R8 to R11.
    ///
    /// TDX ABI: "Output Operands" of each leaf.
    pub const fn outputs(self, version: u8) -> u8 {
        const RCX: u8 = 1 << 0;
        const RDX: u8 = 1 << 1;
        const R8: u8 = 1 << 2;
        const R9: u8 = 1 << 3;
        const R10: u8 = 1 << 4;
        const R11: u8 = 1 << 5;
        match (self, version) {
            (Self::MemSeptAdd, 1) => RCX | RDX | R8 | R9 | R10 | R11,
            (Self::MemSeptRemove | Self::MemPagePromote, 1) => RCX | RDX | R9 | R10 | R11,
            (Self::MemRd | Self::MemWr, _) => RCX | RDX | R8,
            (Self::MngInit, _) => RCX,
            (Self::MngRd | Self::VpRd, 1) => RDX | R8,
            (Self::MngRd | Self::MngWr | Self::VpRd | Self::VpWr, _) => R8,
            (Self::PhymemPageRdmd | Self::PhymemPageReclaim, _) => RCX | RDX | R8 | R9 | R10 | R11,
            (Self::SysInit, _) => RCX | RDX | R8 | R9 | R10,
            (Self::SysLpInit, _) => RCX | RDX | R8,
            (Self::SysTdmrInit, _) => RDX,
            (Self::SysRd, _) => RDX | R8,
            (Self::SysInfo, _) => RDX | R9,
            _ if self.reports_entry() => RCX | RDX,
            _ => 0,
        }
    }

    /// Returns whether the leaf works on an S-EPT entry, and shows in RCX and RDX the one that it
    /// stumbled over.
    pub const fn reports_entry(self) -> bool {
        matches!(
            self,
            Self::MemPageAdd
                | Self::MemPageAug
                | Self::MemPageDemote
                | Self::MemPagePromote
                | Self::MemPageRelocate
                | Self::MemPageRemove
                | Self::MemRangeBlock
                | Self::MemRangeUnblock
                | Self::MemRd
                | Self::MemSeptAdd
                | Self::MemSeptRd
                | Self::MemSeptRemove
                | Self::MemWr
                | Self::MrExtend
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_ordered_and_complete() {
        assert!(Leaf::ALL.windows(2).all(|w| w[0] < w[1]));
        for &leaf in Leaf::ALL {
            assert_eq!(Leaf::from_raw(leaf.raw()), Some(leaf));
            assert_eq!(Leaf::from_name(leaf.name()), Some(leaf));
            assert!(usize::from(leaf.raw()) < Leaf::TABLE_SIZE);
            assert!(leaf.max_version_1_5_01().unwrap_or(0) <= leaf.max_version());
        }
        // Numbers that no leaf has, 42 among them (named in a header, never dispatched).
        for hole in [42, 46, 47, 50, 51, 97] {
            assert_eq!(Leaf::from_raw(hole), None);
        }
    }

    #[test]
    fn rax() {
        let rax = Rax::new(Leaf::VpInit, 1);
        assert_eq!(rax.into_raw(), 0x1_0016);
        assert_eq!(rax.known_leaf(), Some(Leaf::VpInit));
        assert_eq!(Rax::RESERVED, 0xffff_ffff_ff00_0000);
    }
}
