// SPDX-License-Identifier: GPL-2.0

//! The TDX module to be: what it says about itself, and what depends on that.

use super::{
    platform::Profile,
    tdcs,
    tdmr::{
        MAX_RESERVED,
        MAX_TDMRS,
        PAMT_ENTRY_SIZE,
        PAMT_LEVELS, //
    },
    tdvps, //
};
use crate::abi::{
    metadata::Features0,
    td_params::{
        Attributes,
        ConfigFlags, //
    },
    Leaf,
    Level, //
};
use core::fmt;

/// Version of the data that a module hands to its successor.
pub const HANDOFF_VERSION: u16 = 0;

/// Features that the host can configure: PKS, migratability, #VE for pending pages, debugging,
/// monitoring.
pub const ATTRIBUTES_FIXED0: u64 = (1 << 63) | (1 << 30) | (1 << 29) | (1 << 28) | 1;

/// Extended features that the module can give to a TD, if the CPU has them.
pub const XFAM_FIXED0: u64 = 0x6_DBE7;

/// Extended features that every TD has: x87 and SSE.
pub const XFAM_FIXED1: u64 = 3;

/// CONFIG_FLAGS that the host can set.
const CONFIG_FLAGS_FIXED0: u64 = 7;

/// Bits of IA32_ARCH_CAPABILITIES that the host can choose.
const ARCH_CAPABILITIES_CONFIG: u64 = (1 << 24) | (1 << 20) | (1 << 19) | (1 << 4);

/// Most L2 VMs of a TD.
const MAX_L2_VMS: u64 = 3;

/// Version of a module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// MAJOR_VERSION.
    pub major: u16,
    /// MINOR_VERSION.
    pub minor: u16,
    /// UPDATE_VERSION.
    pub update: u16,
}

/// The module to be: a profile, with what else tells TDX modules apart. All that the host can read of
/// it, and all that depends on it, comes from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The module that this one is like.
    pub profile: Profile,
    /// Its version.
    pub version: Version,
    /// TDX_FEATURES0.
    pub features0: u64,
    /// Most TDMRs.
    pub max_tdmrs: u16,
    /// Most reserved areas in a TDMR.
    pub max_reserved_per_tdmr: u16,
    /// Bytes of a PAMT entry by page size, smallest size first.
    pub pamt_entry_sizes: [u16; PAMT_LEVELS.len()],
    /// TDCX pages that every TD has.
    pub tdcs_pages: u16,
    /// TDVPS pages that every vCPU has, the TDVPR among them.
    pub tdvps_pages: u16,
}

impl Default for Shape {
    fn default() -> Self {
        Profile::default().into()
    }
}

impl From<Profile> for Shape {
    fn from(profile: Profile) -> Self {
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
        let features0 = match profile {
            Profile::V1_5_01 => {
                COMMON
                    | Features0::TD_MIGRATION_MASK
                    | Features0::TD_PRESERVING_MASK
                    | Features0::SERVICE_TD_MASK
                    | Features0::TD_PARTITIONING_MASK
            }
            Profile::Current => {
                COMMON
                    | Features0::TOPOLOGY_ENUM_MASK
                    | Features0::ENHANCED_DEMOTE_INTERRUPTIBILITY_MASK
            }
        };
        Self {
            profile,
            version: Version {
                major: 1,
                minor: 5,
                update: 0,
            },
            features0,
            max_tdmrs: MAX_TDMRS as u16,
            max_reserved_per_tdmr: MAX_RESERVED as u16,
            pamt_entry_sizes: [PAMT_ENTRY_SIZE as u16; PAMT_LEVELS.len()],
            tdcs_pages: tdcs::BASE_PAGES as u16,
            tdvps_pages: tdvps::BASE_PAGES as u16,
        }
    }
}

impl Shape {
    /// Whether the module has the features of a mask of TDX_FEATURES0.
    #[inline]
    pub fn has(&self, mask: u64) -> bool {
        self.features0 & mask == mask
    }

    /// The highest version of a leaf; `None` if the module does not have it.
    pub fn max_version(&self, leaf: Leaf) -> Option<u8> {
        match self.profile {
            // The x2APIC ID that version 1 takes is for topology enumeration.
            _ if leaf == Leaf::VpInit => Some(self.has(Features0::TOPOLOGY_ENUM_MASK).into()),
            Profile::V1_5_01 => leaf.max_version_1_5_01(),
            Profile::Current => Some(leaf.max_version()),
        }
    }

    /// Whether TDH.MEM.PAGE.DEMOTE gives way to interrupts.
    pub fn interrupts_demote(&self) -> bool {
        !self.has(Features0::ENHANCED_DEMOTE_INTERRUPTIBILITY_MASK)
    }

    /// Most vCPUs of a TD, if the module tells.
    pub fn max_vcpus_per_td(&self) -> Option<u16> {
        match self.profile {
            Profile::V1_5_01 => None,
            // arch/x86/kvm/vmx/tdx.c wants at least the number of CPUs.
            Profile::Current => Some(u16::MAX),
        }
    }

    /// Attributes that the host can choose for a TD.
    pub fn attributes_fixed0(&self) -> u64 {
        if self.has(Features0::TD_MIGRATION_MASK) {
            ATTRIBUTES_FIXED0
        } else {
            ATTRIBUTES_FIXED0 & !Attributes::MIGRATABLE_MASK
        }
    }

    /// CONFIG_FLAGS that the host can set.
    pub fn config_flags_fixed0(&self) -> u64 {
        if self.has(Features0::NO_RBP_MOD_MASK) {
            CONFIG_FLAGS_FIXED0
        } else {
            CONFIG_FLAGS_FIXED0 & !ConfigFlags::NO_RBP_MOD_MASK
        }
    }

    /// Bits of IA32_ARCH_CAPABILITIES that the host can choose.
    pub fn arch_capabilities_config(&self) -> u64 {
        if self.has(Features0::ARCH_CAPABILITIES_CONFIG_MASK) {
            ARCH_CAPABILITIES_CONFIG
        } else {
            0
        }
    }

    /// Most L2 VMs of a TD.
    pub fn max_l2_vms(&self) -> u64 {
        if self.has(Features0::TD_PARTITIONING_MASK) {
            MAX_L2_VMS
        } else {
            0
        }
    }

    /// What Linux 7.3 cannot do without and the module does not have, the first of it.
    ///
    /// TDX ABI: "Values Linux needs from a module". The TDX core reads MAX_VCPUS_PER_TD and asks for
    /// NO_RBP_MOD when it initialises the module, KVM asks for TOPOLOGY_ENUM when it is loaded.
    pub fn missing_for_linux(&self) -> Option<&'static str> {
        if self.max_vcpus_per_td().is_none() {
            Some("the field MAX_VCPUS_PER_TD")
        } else if !self.has(Features0::NO_RBP_MOD_MASK) {
            Some("the feature NO_RBP_MOD")
        } else if !self.has(Features0::TOPOLOGY_ENUM_MASK) {
            Some("the feature TOPOLOGY_ENUM")
        } else {
            None
        }
    }

    /// Bytes of a PAMT entry of pages of `level`.
    #[inline]
    pub fn pamt_entry_size(&self, level: Level) -> u64 {
        self.pamt_entry_sizes
            .get(level as usize)
            .map_or(0, |size| u64::from(*size))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Version {
            major,
            minor,
            update,
        } = self.version;
        let [k4, m2, g1] = self.pamt_entry_sizes;
        write!(
            f,
            "TDX module {major}.{minor}.{update:02}, TDX_FEATURES0 {:#x}, {} TDMRs with {} reserved areas, \
             PAMT entries of {k4}, {m2}, {g1} bytes, TDCS of {} pages, TDVPS of {}",
            self.features0,
            self.max_tdmrs,
            self.max_reserved_per_tdmr,
            self.tdcs_pages,
            self.tdvps_pages,
        )
    }
}
