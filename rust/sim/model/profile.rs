// SPDX-License-Identifier: GPL-2.0

//! What the module says about itself, and which of it depends on the profile.

use super::platform::Profile;
use crate::abi::{
    metadata::Features0,
    Leaf, //
};

/// Version of the data that a module hands to its successor.
pub const HANDOFF_VERSION: u16 = 0;

/// Features that the host can configure: PKS, migratability, #VE for pending pages, debugging,
/// monitoring.
pub const ATTRIBUTES_FIXED0: u64 = (1 << 63) | (1 << 30) | (1 << 29) | (1 << 28) | 1;

/// The same without migration.
const ATTRIBUTES_FIXED0_NO_MIGRATION: u64 = ATTRIBUTES_FIXED0 & !(1 << 29);

/// Extended features that the module can give to a TD, if the CPU has them.
pub const XFAM_FIXED0: u64 = 0x6_DBE7;

/// Extended features that every TD has: x87 and SSE.
pub const XFAM_FIXED1: u64 = 3;

/// CONFIG_FLAGS that the host can set.
pub const CONFIG_FLAGS_FIXED0: u64 = 7;

/// Bits of IA32_ARCH_CAPABILITIES that the host can choose.
pub const ARCH_CAPABILITIES_CONFIG: u64 = (1 << 24) | (1 << 20) | (1 << 19) | (1 << 4);

/// Most L2 VMs of a TD.
pub const MAX_L2_VMS: u64 = 3;

impl Profile {
    /// The highest version of a leaf; `None` if the module does not have it.
    pub fn max_version(self, leaf: Leaf) -> Option<u8> {
        match self {
            Self::V1_5_01 => leaf.max_version_1_5_01(),
            Self::Current => Some(leaf.max_version()),
        }
    }

    /// Value of TDX_FEATURES0.
    pub fn features0(self) -> u64 {
        const COMMON: u64 = Features0::TDG_VP_RDWR_MASK
            | Features0::RELAXED_MEM_MNG_CONCURRENCY_MASK
            | Features0::CPUID_GUEST_CONTROL_MASK
            | Features0::LOCAL_ATTESTATION_MASK
            | Features0::TD_ENTRY_ENHANCEMENTS_MASK
            | Features0::HOST_PRIORITY_LOCKS_MASK
            | Features0::ARCH_CAPABILITIES_CONFIG_MASK
            | Features0::PENDING_EPT_VIOLATION_V2_MASK
            | Features0::FMS_CONFIG_MASK
            | Features0::NO_RBP_MOD_MASK
            | Features0::L2_TLB_INVD_OPT_MASK;
        match self {
            Self::V1_5_01 => {
                COMMON
                    | Features0::TD_MIGRATION_MASK
                    | Features0::TD_PRESERVING_MASK
                    | Features0::SERVICE_TD_MASK
                    | Features0::TD_PARTITIONING_MASK
            }
            Self::Current => {
                COMMON
                    | Features0::TOPOLOGY_ENUM_MASK
                    | Features0::ENHANCED_DEMOTE_INTERRUPTIBILITY_MASK
            }
        }
    }

    /// Whether TDH.MEM.PAGE.DEMOTE gives way to interrupts.
    pub fn interrupts_demote(self) -> bool {
        self.features0() & Features0::ENHANCED_DEMOTE_INTERRUPTIBILITY_MASK == 0
    }

    /// Most vCPUs of a TD, if the module tells.
    pub fn max_vcpus_per_td(self) -> Option<u16> {
        match self {
            Self::V1_5_01 => None,
            // arch/x86/kvm/vmx/tdx.c wants at least the number of CPUs.
            Self::Current => Some(u16::MAX),
        }
    }

    /// Attributes that the host can choose for a TD.
    pub fn attributes_fixed0(self) -> u64 {
        match self {
            Self::V1_5_01 => ATTRIBUTES_FIXED0,
            Self::Current => ATTRIBUTES_FIXED0_NO_MIGRATION,
        }
    }

    /// Most L2 VMs of a TD.
    pub fn max_l2_vms(self) -> u64 {
        match self {
            Self::V1_5_01 => MAX_L2_VMS,
            Self::Current => 0,
        }
    }
}
