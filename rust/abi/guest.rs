// SPDX-License-Identifier: GPL-2.0

//! Guest-side leaf functions of TDCALL: numbers, names, versions.

// `bitfield!` defines constants without documentation.
#![allow(missing_docs)]

use super::leaf::leaf_functions;
use kernel::bitfield;

// Leaf = number, name, highest version. TDX ABI: "TDCALL instruction".
leaf_functions! {
    /// A guest-side leaf function of the TDX module.
    GuestLeaf;
    VpVmcall = 0, "TDG.VP.VMCALL", 0;
    VpInfo = 1, "TDG.VP.INFO", 0;
    MrRtmrExtend = 2, "TDG.MR.RTMR.EXTEND", 0;
    VpVeinfoGet = 3, "TDG.VP.VEINFO.GET", 0;
    MrReport = 4, "TDG.MR.REPORT", 0;
    VpCpuidveSet = 5, "TDG.VP.CPUIDVE.SET", 0;
    MemPageAccept = 6, "TDG.MEM.PAGE.ACCEPT", 0;
    VmRd = 7, "TDG.VM.RD", 1;
    VmWr = 8, "TDG.VM.WR", 0;
    VpRd = 9, "TDG.VP.RD", 0;
    VpWr = 10, "TDG.VP.WR", 0;
    SysRd = 11, "TDG.SYS.RD", 0;
    MemPageAttrRd = 23, "TDG.MEM.PAGE.ATTR.RD", 0;
    MemPageAttrWr = 24, "TDG.MEM.PAGE.ATTR.WR", 0;
}

bitfield! {
    /// RCX of TDG.VP.VMCALL: the registers that the guest shares with its host. Bit n of each half stands for
    /// register number n.
    pub struct VmcallMask(u64) {
        31:16 xmms;
        15:0 gprs;
    }
}

impl VmcallMask {
    /// Bits that have to be 0: RAX, RCX and RSP are never shared.
    pub const RESERVED: u64 = !(Self::XMMS_MASK | Self::GPRS_MASK) | 1 << 0 | 1 << 1 | 1 << 4;

    /// RBP, which a TD that leaves the host's alone cannot share.
    pub const RBP: u64 = 1 << 5;

    /// Returns whether a general-purpose register is shared.
    pub const fn has_gpr(self, number: u32) -> bool {
        number < 16 && (self.into_raw() >> number) & 1 != 0
    }

    /// Returns whether an XMM register is shared.
    pub const fn has_xmm(self, number: u32) -> bool {
        number < 16 && (self.into_raw() >> (Self::XMMS_SHIFT + number)) & 1 != 0
    }
}

bitfield! {
    /// Extended exit qualification: RDX of an exit from TDH.VP.ENTER.
    ///
    /// TDX ABI: "Extended Exit Qualification".
    pub struct ExtendedQualification(u64) {
        /// Which VM's entry: 0 for L1.
        53:52 vm;
        /// The walk ended at an entry that maps a page.
        46:46 leaf;
        /// State of that entry, as leaves report it.
        45:38 state;
        /// Its level.
        37:35 level;
        /// Level that the leaf was for.
        34:32 requested;
        /// What the exit is about.
        3:0 kind;
    }
}

impl ExtendedQualification {
    /// Kind: TDG.MEM.PAGE.ACCEPT.
    pub const ACCEPT: u64 = 1;
    /// Kind: TDG.MEM.PAGE.ATTR.WR.
    pub const ATTR_WR: u64 = 5;
    /// Kind: the guest touched a page that it has not accepted.
    pub const PENDING: u64 = 6;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_by_number() {
        for &leaf in GuestLeaf::ALL {
            assert_eq!(GuestLeaf::from_raw(leaf as u16), Some(leaf));
            assert!(leaf.name().starts_with("TDG."));
        }
        assert_eq!(GuestLeaf::from_raw(13), None);
    }

    #[test]
    fn mask() {
        let mask = VmcallMask::from_raw(0x8001_FFCC);
        assert!(mask.has_gpr(2) && mask.has_gpr(15) && !mask.has_gpr(4) && !mask.has_gpr(16));
        assert!(mask.has_xmm(0) && mask.has_xmm(15) && !mask.has_xmm(1));
        assert_eq!(0xFFFF_FFCC & VmcallMask::RESERVED, 0);
    }
}
