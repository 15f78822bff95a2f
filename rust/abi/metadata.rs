// SPDX-License-Identifier: GPL-2.0

//! Metadata field identifiers.
//!
//! TDX ABI: "Metadata Field Identifier", "Global Scope (TDX Module) Metadata".

// `bitfield!` defines constants without documentation.
#![allow(missing_docs)]

use kernel::bitfield;

bitfield! {
    /// Identifier of a metadata field, of an element of one, or of a sequence of fields.
    pub struct FieldId(u64) {
        /// The field is not architectural: it may differ between modules.
        63:63 non_arch;
        /// Class code.
        61:56 class;
        /// Context: 0 for the module, 1 for a TD, 2 for a vCPU.
        54:52 context;
        /// A write mask follows each element of a sequence.
        51:51 write_mask_valid;
        /// Size of the step between fields of a sequence.
        50:50 inc_size;
        /// Number of fields in a sequence, less one.
        46:38 last_field;
        /// Number of elements in a field of a sequence, less one.
        37:34 last_element;
        /// log2 of the element's size in bytes.
        33:32 element_size;
        /// Field code: the first element's code plus the index of the element.
        23:0 code;
    }
}

impl FieldId {
    /// Bits that have to be 0.
    pub const RESERVED: u64 = (1 << 62) | (1 << 55) | (0x7 << 47) | (0xff << 24);

    /// Asks for the first field identifier of a context where leaves support that.
    pub const FIRST: Self = Self::from_raw(u64::MAX);

    /// Returns the identifier of the element `index` further on.
    #[inline]
    pub const fn element(self, index: u32) -> Self {
        let code = (self.into_raw() & Self::CODE_MASK) + index as u64;
        Self::from_raw(self.into_raw() & !Self::CODE_MASK | code & Self::CODE_MASK)
    }
}

/// A field of the global (module) context.
#[derive(Debug, Clone, Copy)]
pub struct GlobalField {
    /// Name of the field.
    pub name: &'static str,
    /// Identifier of the first element.
    pub id: FieldId,
    /// Number of fields.
    pub fields: u16,
    /// Number of elements in each field.
    pub elements: u16,
    /// A guest may read the field, too, with TDG.SYS.RD.
    pub guest: bool,
}

macro_rules! global_fields {
    (@guest guest) => {
        true
    };
    (@guest) => {
        false
    };
    ($($name:ident = $id:literal, $fields:literal, $elements:literal $(, $guest:ident)?;)*) => {
        /// Fields of the global (module) context, read by TDH.SYS.RD.
        pub mod global {
            use super::{
                FieldId,
                GlobalField, //
            };

            $(
                #[doc = concat!("`", stringify!($name), "`, identifier of the first element.")]
                pub const $name: FieldId = FieldId::from_raw($id);
            )*

            /// All fields, grouped by class.
            pub const ALL: &[GlobalField] = &[$(GlobalField {
                name: stringify!($name),
                id: $name,
                fields: $fields,
                elements: $elements,
                guest: global_fields!(@guest $($guest)?),
            },)*];
        }
    };
}

// Field = identifier, number of fields, elements per field, and whether guests may read it.
global_fields! {
    NUM_PKGS = 0x0000_0002_0000_0000, 1, 1;
    PKG_FMS = 0x0000_0002_0000_0001, 8, 1;
    VENDOR_ID = 0x0800_0002_0000_0000, 1, 1, guest;
    BUILD_DATE = 0x8800_0002_0000_0001, 1, 1;
    BUILD_NUM = 0x8800_0001_0000_0002, 1, 1;
    MINOR_VERSION = 0x0800_0001_0000_0003, 1, 1, guest;
    MAJOR_VERSION = 0x0800_0001_0000_0004, 1, 1, guest;
    UPDATE_VERSION = 0x0800_0001_0000_0005, 1, 1;
    INTERNAL_VERSION = 0x0800_0001_0000_0006, 1, 1;
    MODULE_HV = 0x8900_0001_0000_0000, 1, 1;
    MIN_UPDATE_HV = 0x8900_0001_0000_0001, 1, 1;
    NO_DOWNGRADE = 0x8900_0000_0000_0002, 1, 1;
    NUM_HANDOFF_PAGES = 0x8900_0001_0000_0003, 1, 1;
    HANDOFF_DATA_VALID = 0x8900_0000_0000_0004, 1, 1;
    HANDOFF_DATA_HV = 0x8900_0001_0000_0005, 1, 1;
    HANDOFF_DATA_SIZE = 0x8900_0002_0000_0006, 1, 1;
    SYS_ATTRIBUTES = 0x0A00_0002_0000_0000, 1, 1, guest;
    NUM_TDX_FEATURES = 0x0A00_0000_0000_0001, 1, 1, guest;
    TDX_FEATURES0 = 0x0A00_0003_0000_0008, 1, 1, guest;
    NUM_CMRS = 0x9000_0001_0000_0000, 1, 1;
    CMR_BASE = 0x9000_0003_0000_0080, 32, 1;
    CMR_SIZE = 0x9000_0003_0000_0100, 32, 1;
    MAX_TDMRS = 0x9100_0001_0000_0008, 1, 1;
    MAX_RESERVED_PER_TDMR = 0x9100_0001_0000_0009, 1, 1;
    PAMT_4K_ENTRY_SIZE = 0x9100_0001_0000_0010, 1, 1;
    PAMT_2M_ENTRY_SIZE = 0x9100_0001_0000_0011, 1, 1;
    PAMT_1G_ENTRY_SIZE = 0x9100_0001_0000_0012, 1, 1;
    TDR_BASE_SIZE = 0x9800_0001_0000_0000, 1, 1;
    TDCS_BASE_SIZE = 0x9800_0001_0000_0100, 1, 1;
    TDCS_SIZE_PER_L2_VM = 0x9800_0001_0000_0101, 1, 1;
    TDVPS_BASE_SIZE = 0x9800_0001_0000_0200, 1, 1;
    TDVPS_SIZE_PER_L2_VM = 0x9800_0001_0000_0201, 1, 1;
    ATTRIBUTES_FIXED0 = 0x1900_0003_0000_0000, 1, 1;
    ATTRIBUTES_FIXED1 = 0x1900_0003_0000_0001, 1, 1;
    XFAM_FIXED0 = 0x1900_0003_0000_0002, 1, 1;
    XFAM_FIXED1 = 0x1900_0003_0000_0003, 1, 1;
    NUM_CPUID_CONFIG = 0x9900_0001_0000_0004, 1, 1;
    MAX_VCPUS_PER_TD = 0x9900_0001_0000_0008, 1, 1;
    CONFIG_FLAGS_FIXED0 = 0x9900_0003_0000_0006, 1, 1;
    CONFIG_FLAGS_FIXED1 = 0x9900_0003_0000_0007, 1, 1;
    CPUID_CONFIG_LEAVES = 0x9900_0003_0000_0400, 32, 1;
    CPUID_CONFIG_VALUES = 0x9900_0003_0000_0500, 32, 2;
    IA32_ARCH_CAPABILITIES_CONFIG_MASK = 0x9900_0003_0000_0600, 1, 1;
    NUM_ALLOWED_FMS = 0x9900_0001_0000_0800, 1, 1;
    NUM_DISALLOWED_FMS = 0x9900_0001_0000_0801, 1, 1;
    ALLOWED_FMS = 0x9900_0003_0000_0810, 64, 1;
    DISALLOWED_FMS = 0x9900_0003_0000_0850, 64, 1;
    MIG_ATTRIBUTES = 0xA000_0003_0000_0000, 1, 1, guest;
    MIN_EXPORT_VERSION = 0x2000_0001_0000_0001, 1, 1, guest;
    MAX_EXPORT_VERSION = 0x2000_0001_0000_0002, 1, 1, guest;
    MIN_IMPORT_VERSION = 0x2000_0001_0000_0003, 1, 1, guest;
    MAX_IMPORT_VERSION = 0x2000_0001_0000_0004, 1, 1, guest;
    MAX_MIGS = 0xA000_0001_0000_0010, 1, 1;
    NUM_IMMUTABLE_STATE_PAGES = 0xA000_0000_0000_0020, 1, 1;
    NUM_TD_STATE_PAGES = 0xA000_0000_0000_0021, 1, 1;
    NUM_VP_STATE_PAGES = 0xA000_0000_0000_0022, 1, 1;
    MAX_SERV_TDS = 0xA100_0001_0000_0000, 1, 1;
    SERVTD_ATTR_FIXED0 = 0xA100_0003_0000_0001, 1, 1;
    SERVTD_ATTR_FIXED1 = 0xA100_0003_0000_0002, 1, 1;
    GUEST_L2_GPA_ATTR_MASK = 0xA200_0001_0000_0000, 1, 1, guest;
    VM_CTLS_FIXED0 = 0xA200_0003_0000_0001, 1, 1;
    VM_CTLS_FIXED1 = 0xA200_0003_0000_0002, 1, 1;
    VPCU_L2_CTLS_FIXED0 = 0xA200_0003_0000_0003, 1, 1;
    VCPU_L2_CTLS_FIXED1 = 0xA200_0003_0000_0004, 1, 1;
    VPCU_L2_DEBUG_CTLS_FIXED0 = 0xA200_0003_0000_0005, 1, 1;
    VCPU_L2_DEBUG_CTLS_FIXED1 = 0xA200_0003_0000_0006, 1, 1;
}

bitfield! {
    /// Value of the field TDX_FEATURES0: what the module can do.
    pub struct Features0(u64) {
        /// TDH.MEM.PAGE.DEMOTE is not interrupted (the bit that KVM's huge-page series tests).
        51:51 enhanced_demote_interruptibility;
        /// The host flushes cache lines of a page before it gives the page to the module.
        23:23 clflush_before_alloc;
        /// Virtual topology enumeration.
        20:20 topology_enum;
        /// L2 TLB invalidation is optimised.
        19:19 l2_tlb_invd_opt;
        /// RBP can be kept across TDH.VP.ENTER.
        18:18 no_rbp_mod;
        /// Family, model and stepping are configurable.
        17:17 fms_config;
        /// EPT violations of pending pages, version 2.
        16:16 pending_ept_violation_v2;
        /// IA32_ARCH_CAPABILITIES is configurable.
        11:11 arch_capabilities_config;
        /// Locks with host priority.
        10:10 host_priority_locks;
        /// TD entry enhancements.
        9:9 td_entry_enhancements;
        /// Local attestation.
        8:8 local_attestation;
        /// TD partitioning.
        7:7 td_partitioning;
        /// The guest controls CPUID virtualisation.
        5:5 cpuid_guest_control;
        /// Memory management with relaxed concurrency rules.
        4:4 relaxed_mem_mng_concurrency;
        /// TDG.VP.RD and TDG.VP.WR.
        3:3 tdg_vp_rdwr;
        /// Service TDs.
        2:2 service_td;
        /// The module can be updated while TDs live.
        1:1 td_preserving;
        /// TD migration.
        0:0 td_migration;
    }
}

/// Fields of the TD context (TDR and TDCS), read by TDH.MNG.RD.
pub mod td {
    use super::FieldId;

    /// LIFECYCLE_STATE, see [`Lifecycle`](crate::abi::state::Lifecycle).
    pub const LIFECYCLE_STATE: FieldId = FieldId::from_raw(0x8010_0002_0000_0005);
    /// CHLDCNT: number of 4 KiB pages that the TD has, its TDR excluded.
    pub const CHLDCNT: FieldId = FieldId::from_raw(0x8010_0003_0000_0004);
    /// HKID.
    pub const HKID: FieldId = FieldId::from_raw(0x8110_0001_0000_0001);
    /// NUM_VCPUS.
    pub const NUM_VCPUS: FieldId = FieldId::from_raw(0x9010_0002_0000_0001);
    /// OP_STATE, see [`OpState`](crate::abi::state::OpState).
    pub const OP_STATE: FieldId = FieldId::from_raw(0x9010_0002_0000_0004);
    /// ATTRIBUTES.
    pub const ATTRIBUTES: FieldId = FieldId::from_raw(0x1110_0003_0000_0000);
    /// XFAM.
    pub const XFAM: FieldId = FieldId::from_raw(0x1110_0003_0000_0001);
    /// TD_EPOCH.
    pub const TD_EPOCH: FieldId = FieldId::from_raw(0x9210_0003_0000_0000);
    /// MRTD, six elements.
    pub const MRTD: FieldId = FieldId::from_raw(0x1310_0003_0000_0000);
}

/// Fields of the vCPU context (TDVPS), read by TDH.VP.RD.
pub mod vcpu {
    use super::FieldId;

    /// VCPU_INDEX.
    pub const VCPU_INDEX: FieldId = FieldId::from_raw(0xA020_0002_0000_0002);
    /// PEND_NMI: an NMI is to be injected; the host may write it.
    pub const PEND_NMI: FieldId = FieldId::from_raw(0x2020_0000_0000_000B);
    /// VCPU_STATE_DETAILS.
    pub const VCPU_STATE_DETAILS: FieldId = FieldId::from_raw(0x9120_0003_0000_0100);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn global_fields_are_well_formed() {
        for field in global::ALL {
            assert_eq!(field.id.into_raw() & FieldId::RESERVED, 0, "{}", field.name);
            assert_eq!(field.id.context().get(), 0, "{}", field.name);
            assert_eq!(field.id.last_field().get(), 0, "{}", field.name);
        }
    }

    #[test]
    fn elements() {
        let third = global::CMR_BASE.element(2);
        assert_eq!(third.into_raw(), 0x9000_0003_0000_0082);
    }
}
