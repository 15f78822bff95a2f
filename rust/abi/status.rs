// SPDX-License-Identifier: GPL-2.0

//! Completion status: what a SEAMCALL leaves in RAX.
//!
//! TDX ABI: "Function Completion Status". The upper half of the word is the code, the lower half
//! holds details whose meaning depends on the code.

use super::operand::Operand;

/// A completion status.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Status(u64);

/// What bits 31:0 of a completion status mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Nothing, the bits are 0.
    None,
    /// An [`Operand`] id.
    Operand,
    /// Up to four numbers of a byte each, first in bits 7:0.
    Bytes,
    /// A number: a limit, an index or a package.
    Number,
    /// VM exit reason.
    ExitReason,
    /// MSR address.
    Msr,
    /// VMCS field encoding.
    VmcsField,
    /// S-EPT level.
    Level,
    /// S-EPT level in bits 15:0, VM index in bits 31:16.
    L2Sept,
}

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $detail:ident;)*) => {
        impl Status {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// All codes of the TDX module, without details.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the name of the code, details left out.
            pub const fn name(self) -> Option<&'static str> {
                match self.class().0 {
                    $($value => Some(concat!("TDX_", stringify!($name))),)*
                    _ => None,
                }
            }

            /// Returns what bits 31:0 mean for this code.
            pub const fn detail_kind(self) -> Detail {
                match self.class().0 {
                    $($value => Detail::$detail,)*
                    _ => Detail::None,
                }
            }
        }
    };
}

statuses! {
    /// The function did its job.
    SUCCESS = 0x0000_0000_0000_0000, None;
    /// VCPU unusable (triple fault).
    NON_RECOVERABLE_VCPU = 0x4000_0001_0000_0000, ExitReason;
    /// TD unusable.
    NON_RECOVERABLE_TD = 0x6000_0002_0000_0000, ExitReason;
    /// Interrupted; progress is kept, call again with the outputs as inputs.
    INTERRUPTED_RESUMABLE = 0x8000_0003_0000_0000, None;
    /// Interrupted; nothing is kept, call again with the same inputs.
    INTERRUPTED_RESTARTABLE = 0x8000_0004_0000_0000, None;
    /// TD memory damaged.
    NON_RECOVERABLE_TD_NON_ACCESSIBLE = 0x6000_0005_0000_0000, ExitReason;
    /// Resume without matching interruption (migration).
    INVALID_RESUMPTION = 0xC000_0006_0000_0000, None;
    /// TD unusable, APIC mode.
    NON_RECOVERABLE_TD_WRONG_APIC_MODE = 0xE000_0007_0000_0000, ExitReason;
    /// Fault-like cross-TD exit.
    CROSS_TD_FAULT = 0x8000_0008_0000_0000, ExitReason;
    /// Trap-like cross-TD exit.
    CROSS_TD_TRAP = 0x9000_0009_0000_0000, ExitReason;
    /// TD control structures corrupted.
    NON_RECOVERABLE_TD_CORRUPTED_MD = 0x6000_000A_0000_0000, ExitReason;
    /// Illegal value.
    OPERAND_INVALID = 0xC000_0100_0000_0000, Operand;
    /// The address lies in no initialised part of a TDMR.
    OPERAND_ADDR_RANGE_ERROR = 0xC000_0101_0000_0000, Operand;
    /// A lock of the operand is held by another logical processor.
    OPERAND_BUSY = 0x8000_0200_0000_0000, Operand;
    /// VCPUs of the previous epoch still running.
    PREVIOUS_TLB_EPOCH_BUSY = 0x8000_0201_0000_0000, None;
    /// Module global lock held.
    SYS_BUSY = 0x8000_0202_0000_0000, None;
    /// Random number generator failed.
    RND_NO_ENTROPY = 0x8000_0203_0000_0000, None;
    /// Guest side yields to host.
    OPERAND_BUSY_HOST_PRIORITY = 0x8000_0204_0000_0000, Operand;
    /// Guest could not get a lock in time.
    HOST_PRIORITY_BUSY_TIMEOUT = 0x9000_0205_0000_0000, ExitReason;
    /// The PAMT says that the page has another type or size.
    PAGE_METADATA_INCORRECT = 0xC000_0300_0000_0000, Operand;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    PAGE_ALREADY_FREE = 0x0000_0301_0000_0000, Operand;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    PAGE_NOT_OWNED_BY_TD = 0xC000_0302_0000_0000, Operand;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    PAGE_NOT_FREE = 0xC000_0303_0000_0000, Operand;
    /// TDR still has pages.
    TD_ASSOCIATED_PAGES_EXIST = 0xC000_0400_0000_0000, None;
    /// SYS.INIT done already.
    SYS_INIT_NOT_PENDING = 0xC000_0500_0000_0000, None;
    /// This LP has not run LP.INIT.
    SYS_LP_INIT_NOT_DONE = 0xC000_0502_0000_0000, None;
    /// This LP ran LP.INIT already.
    SYS_LP_INIT_DONE = 0xC000_0503_0000_0000, None;
    /// Module not ready.
    SYS_NOT_READY = 0xC000_0505_0000_0000, None;
    /// Module shut down.
    SYS_SHUTDOWN = 0xC000_0506_0000_0000, None;
    /// Wrong system state.
    SYS_KEY_CONFIG_NOT_PENDING = 0xC000_0507_0000_0000, None;
    /// Wrong system state (UPDATE).
    SYS_STATE_INCORRECT = 0xC000_0508_0000_0000, None;
    /// Handoff data bad.
    SYS_INVALID_HANDOFF = 0xC000_0509_0000_0000, None;
    /// Signature structure mismatch.
    SYS_INCOMPATIBLE_SIGSTRUCT = 0xC000_050A_0000_0000, None;
    /// Wrong system state.
    SYS_LP_INIT_NOT_PENDING = 0xC000_050B_0000_0000, None;
    /// Wrong system state or LPs missing.
    SYS_CONFIG_NOT_PENDING = 0xC000_050C_0000_0000, None;
    /// CPU SEAM features missing.
    INCOMPATIBLE_SEAM_CAPABILITIES = 0xC000_050D_0000_0000, None;
    /// TD fatal flag set.
    TD_FATAL = 0xE000_0604_0000_0000, None;
    /// Debug TD required.
    TD_NON_DEBUG = 0xC000_0605_0000_0000, None;
    /// Too few TDCX pages.
    TDCS_NOT_ALLOCATED = 0xC000_0606_0000_0000, None;
    /// Life cycle state.
    LIFECYCLE_STATE_INCORRECT = 0xC000_0607_0000_0000, None;
    /// Op state.
    OP_STATE_INCORRECT = 0xC000_0608_0000_0000, None;
    /// FINALIZE without VCPU.
    NO_VCPUS = 0xC000_0609_0000_0000, None;
    /// Page count of TDCS or TDVPS.
    TDCX_NUM_INCORRECT = 0xC000_0610_0000_0000, None;
    /// VCPU state.
    VCPU_STATE_INCORRECT = 0xC000_0700_0000_0000, None;
    /// VCPU belongs to another LP.
    VCPU_ASSOCIATED = 0x8000_0701_0000_0000, None;
    /// VCPU not on this LP.
    VCPU_NOT_ASSOCIATED = 0x8000_0702_0000_0000, None;
    /// No #VE information.
    NO_VALID_VE_INFO = 0xC000_0704_0000_0000, None;
    /// MAX_VCPUS reached.
    MAX_VCPUS_EXCEEDED = 0xC000_0705_0000_0000, None;
    /// TSC went back.
    TSC_ROLLBACK = 0xC000_0706_0000_0000, None;
    /// Posted-interrupt set-up missing.
    TD_VMCS_FIELD_NOT_INITIALIZED = 0xC000_0730_0000_0000, VmcsField;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    TD_VMCS_FIELD_ERROR = 0xC000_0731_0000_0000, None;
    /// Key generation, retry.
    KEY_GENERATION_FAILED = 0x8000_0800_0000_0000, None;
    /// Life cycle not KEYS_CONFIGURED.
    TD_KEYS_NOT_CONFIGURED = 0x8000_0810_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    KEY_STATE_INCORRECT = 0xC000_0811_0000_0000, None;
    /// Key of this package is already set.
    KEY_CONFIGURED = 0x0000_0815_0000_0000, None;
    /// CACHE.WB missing on a package.
    WBCACHE_NOT_COMPLETE = 0x8000_0817_0000_0000, None;
    /// HKID in use.
    HKID_NOT_FREE = 0xC000_0820_0000_0000, None;
    /// Nothing to flush.
    NO_HKID_READY_TO_WBCACHE = 0x0000_0821_0000_0000, None;
    /// Nothing to resume.
    WBCACHE_RESUME_ERROR = 0xC000_0823_0000_0000, None;
    /// VCPUs still associated.
    FLUSHVP_NOT_DONE = 0x8000_0824_0000_0000, None;
    /// Too many HKIDs.
    NUM_ACTIVATED_HKIDS_NOT_SUPPORTED = 0xC000_0825_0000_0000, Number;
    /// CPUID value not as required.
    INCORRECT_CPUID_VALUE = 0xC000_0900_0000_0000, None;
    /// Boot-NT4 bit set.
    LIMIT_CPUID_MAXVAL_SET = 0xC000_0901_0000_0000, None;
    /// CPUID differs between LPs.
    INCONSISTENT_CPUID_FIELD = 0xC000_0902_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    CPUID_MAX_SUBLEAVES_UNRECOGNIZED = 0xC000_0903_0000_0000, None;
    /// CPUID leaf 0x1F layout.
    CPUID_LEAF_1F_FORMAT_UNRECOGNIZED = 0xC000_0904_0000_0000, None;
    /// Cache topology.
    INVALID_WBINVD_SCOPE = 0xC000_0905_0000_0000, None;
    /// Package id ≥ 8.
    INVALID_PKG_ID = 0xC000_0906_0000_0000, Number;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    ENABLE_MONITOR_FSM_NOT_SET = 0xC000_0907_0000_0000, None;
    /// CPUID leaf missing.
    CPUID_LEAF_NOT_SUPPORTED = 0xC000_0908_0000_0000, None;
    /// SMRR.
    SMRR_NOT_LOCKED = 0xC000_0910_0000_0000, Number;
    /// SMRR.
    INVALID_SMRR_CONFIGURATION = 0xC000_0911_0000_0000, Number;
    /// SMRR.
    SMRR_OVERLAPS_CMR = 0xC000_0912_0000_0000, Bytes;
    /// SMRR.
    SMRR_LOCK_NOT_SUPPORTED = 0xC000_0913_0000_0000, None;
    /// SMRR.
    SMRR_NOT_SUPPORTED = 0xC000_0914_0000_0000, None;
    /// MSR differs from SYS.INIT.
    INCONSISTENT_MSR = 0xC000_0920_0000_0000, Msr;
    /// MSR value not as required.
    INCORRECT_MSR_VALUE = 0xC000_0921_0000_0000, Msr;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    SEAMREPORT_NOT_AVAILABLE = 0xC000_0930_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    SEAMDB_GETREF_NOT_AVAILABLE = 0xC000_0931_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    SEAMDB_REPORT_NOT_AVAILABLE = 0xC000_0932_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    SEAMVERIFYREPORT_NOT_AVAILABLE = 0xC000_0933_0000_0000, None;
    /// TDMR base/size.
    INVALID_TDMR = 0xC000_0A00_0000_0000, Bytes;
    /// TDMR order.
    NON_ORDERED_TDMR = 0xC000_0A01_0000_0000, Bytes;
    /// TDMR not in CMRs.
    TDMR_OUTSIDE_CMRS = 0xC000_0A02_0000_0000, Bytes;
    /// All of the TDMR is initialised.
    TDMR_ALREADY_INITIALIZED = 0x0000_0A03_0000_0000, None;
    /// PAMT base/size.
    INVALID_PAMT = 0xC000_0A10_0000_0000, Bytes;
    /// PAMT not in CMRs.
    PAMT_OUTSIDE_CMRS = 0xC000_0A11_0000_0000, Bytes;
    /// PAMT overlap.
    PAMT_OVERLAP = 0xC000_0A12_0000_0000, Bytes;
    /// Reserved area.
    INVALID_RESERVED_IN_TDMR = 0xC000_0A20_0000_0000, Bytes;
    /// Reserved area order.
    NON_ORDERED_RESERVED_IN_TDMR = 0xC000_0A21_0000_0000, Bytes;
    /// CMR table.
    CMR_LIST_INVALID = 0xC000_0A22_0000_0000, None;
    /// The walk ended above the requested level.
    EPT_WALK_FAILED = 0xC000_0B00_0000_0000, Operand;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    EPT_ENTRY_FREE = 0xC000_0B01_0000_0000, Operand;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    EPT_ENTRY_NOT_FREE = 0xC000_0B02_0000_0000, Operand;
    /// No accessible leaf.
    EPT_ENTRY_NOT_PRESENT = 0xC000_0B03_0000_0000, Operand;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    EPT_ENTRY_NOT_LEAF = 0xC000_0B04_0000_0000, Operand;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    EPT_ENTRY_LEAF = 0xC000_0B05_0000_0000, Operand;
    /// The entry has to be blocked first.
    GPA_RANGE_NOT_BLOCKED = 0xC000_0B06_0000_0000, Operand;
    /// The entry is blocked already (informational).
    GPA_RANGE_ALREADY_BLOCKED = 0x0000_0B07_0000_0000, Operand;
    /// TLB tracking since the block is not complete.
    TLB_TRACKING_NOT_DONE = 0xC000_0B08_0000_0000, Operand;
    /// Children not uniform.
    EPT_INVALID_PROMOTE_CONDITIONS = 0xC000_0B09_0000_0000, Operand;
    /// Guest: already accepted.
    PAGE_ALREADY_ACCEPTED = 0x0000_0B0A_0000_0000, Level;
    /// Guest: mapped with smaller pages.
    PAGE_SIZE_MISMATCH = 0xC000_0B0B_0000_0000, Level;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    GPA_RANGE_BLOCKED = 0xC000_0B0C_0000_0000, Operand;
    /// The leaf does not work on an S-EPT entry in this state.
    EPT_ENTRY_STATE_INCORRECT = 0xC000_0B0D_0000_0000, Operand;
    /// S-EPT page still has entries.
    EPT_PAGE_NOT_FREE = 0xC000_0B0E_0000_0000, Operand;
    /// L2 walk.
    L2_SEPT_WALK_FAILED = 0xC000_0B0F_0000_0000, L2Sept;
    /// L2 entry used.
    L2_SEPT_ENTRY_NOT_FREE = 0xC000_0B10_0000_0000, L2Sept;
    /// L2 attribute combination.
    PAGE_ATTR_INVALID = 0xC000_0B11_0000_0000, None;
    /// Page for aliased L2 VM missing.
    L2_SEPT_PAGE_NOT_PROVIDED = 0xC000_0B12_0000_0000, Operand;
    /// Unknown or malformed field id.
    METADATA_FIELD_ID_INCORRECT = 0xC000_0C00_0000_0000, None;
    /// Field.
    METADATA_FIELD_NOT_WRITABLE = 0xC000_0C01_0000_0000, None;
    /// Field.
    METADATA_FIELD_NOT_READABLE = 0xC000_0C02_0000_0000, None;
    /// Value.
    METADATA_FIELD_VALUE_NOT_VALID = 0xC000_0C03_0000_0000, None;
    /// Buffer full.
    METADATA_LIST_OVERFLOW = 0xC000_0C04_0000_0000, None;
    /// Metadata list (import).
    INVALID_METADATA_LIST_HEADER = 0xC000_0C05_0000_0000, None;
    /// Metadata list (import).
    REQUIRED_METADATA_FIELD_MISSING = 0xC000_0C06_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    METADATA_ELEMENT_SIZE_INCORRECT = 0xC000_0C07_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    METADATA_LAST_ELEMENT_INCORRECT = 0xC000_0C08_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    METADATA_FIELD_CURRENTLY_NOT_WRITABLE = 0xC000_0C09_0000_0000, None;
    /// Mask must be complete.
    METADATA_WR_MASK_NOT_VALID = 0xC000_0C0A_0000_0000, None;
    /// First id returned in RDX.
    METADATA_FIRST_FIELD_ID_IN_CONTEXT = 0x0000_0C0B_0000_0000, None;
    /// Internal.
    METADATA_FIELD_SKIP = 0x0000_0C0C_0000_0000, None;
    /// Service TD.
    SERVTD_ALREADY_BOUND_FOR_TYPE = 0xC000_0D00_0000_0000, None;
    /// Service TD.
    SERVTD_TYPE_MISMATCH = 0xC000_0D01_0000_0000, None;
    /// Service TD.
    SERVTD_ATTR_MISMATCH = 0xC000_0D02_0000_0000, None;
    /// Service TD.
    SERVTD_INFO_HASH_MISMATCH = 0xC000_0D03_0000_0000, None;
    /// Service TD.
    SERVTD_UUID_MISMATCH = 0xC000_0D04_0000_0000, None;
    /// Service TD.
    SERVTD_NOT_BOUND = 0xC000_0D05_0000_0000, None;
    /// Service TD.
    SERVTD_BOUND = 0xC000_0D06_0000_0000, None;
    /// Service TD.
    TARGET_UUID_MISMATCH = 0xC000_0D07_0000_0000, None;
    /// Service TD.
    TARGET_UUID_UPDATED = 0xC000_0D08_0000_0000, None;
    /// Migration.
    INVALID_MBMD = 0xC000_0E00_0000_0000, None;
    /// Migration.
    INCORRECT_MBMD_MAC = 0xC000_0E01_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    NOT_WRITE_BLOCKED = 0xC000_0E02_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    ALREADY_WRITE_BLOCKED = 0x0000_0E03_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    NOT_EXPORTED = 0xC000_0E04_0000_0000, None;
    /// Migration.
    MIGRATION_STREAM_STATE_INCORRECT = 0xC000_0E05_0000_0000, None;
    /// Migration.
    MAX_MIGS_NUM_EXCEEDED = 0xC000_0E06_0000_0000, None;
    /// Migration.
    EXPORTED_DIRTY_PAGES_REMAIN = 0xC000_0E07_0000_0000, None;
    /// Migration.
    MIGRATION_DECRYPTION_KEY_NOT_SET = 0xC000_0E08_0000_0000, None;
    /// Migration.
    TD_NOT_MIGRATABLE = 0xC000_0E09_0000_0000, None;
    /// Migration.
    PREVIOUS_EXPORT_CLEANUP_INCOMPLETE = 0xC000_0E0A_0000_0000, None;
    /// Migration.
    NUM_MIGS_HIGHER_THAN_CREATED = 0xC000_0E0B_0000_0000, None;
    /// Migration.
    IMPORT_MISMATCH = 0xC000_0E0C_0000_0000, None;
    /// Migration.
    MIGRATION_EPOCH_OVERFLOW = 0xC000_0E0D_0000_0000, None;
    /// Migration.
    MAX_EXPORTS_EXCEEDED = 0xC000_0E0E_0000_0000, None;
    /// Migration.
    INVALID_PAGE_MAC = 0xC000_0E0F_0000_0000, None;
    /// Migration.
    MIGRATED_IN_CURRENT_EPOCH = 0xC000_0E10_0000_0000, None;
    /// Migration.
    DISALLOWED_IMPORT_OVER_REMOVED = 0xC000_0E11_0000_0000, None;
    /// Migration.
    SOME_VCPUS_NOT_MIGRATED = 0xC000_0E12_0000_0000, None;
    /// Migration.
    ALL_VCPUS_IMPORTED = 0xC000_0E13_0000_0000, None;
    /// Migration.
    MIN_MIGS_NOT_CREATED = 0xC000_0E14_0000_0000, None;
    /// Migration.
    VCPU_ALREADY_EXPORTED = 0xC000_0E15_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    INVALID_MIGRATION_DECRYPTION_KEY = 0xC000_0E16_0000_0000, None;
    /// VERIFYREPORT.
    INVALID_CPUSVN = 0xC000_1000_0000_0000, None;
    /// VERIFYREPORT.
    INVALID_REPORTMACSTRUCT = 0xC000_1001_0000_0000, None;
    /// To L1 guest.
    L2_EXIT_HOST_ROUTED_ASYNC = 0x0000_1100_0000_0000, ExitReason;
    /// To L1 guest.
    L2_EXIT_HOST_ROUTED_TDVMCALL = 0x0000_1101_0000_0000, ExitReason;
    /// To L1 guest.
    L2_EXIT_PENDING_INTERRUPT = 0x0000_1102_0000_0000, ExitReason;
    /// TDG.VP.ENTER.
    PENDING_INTERRUPT = 0x0000_1120_0000_0000, None;
    /// Debug exit.
    TD_EXIT_BEFORE_L2_ENTRY = 0x0000_1140_0000_0000, ExitReason;
    /// Debug exit.
    TD_EXIT_ON_L2_VM_EXIT = 0x0000_1141_0000_0000, ExitReason;
    /// Debug exit.
    TD_EXIT_ON_L2_TO_L1 = 0x0000_1142_0000_0000, ExitReason;
    /// INVVPID.
    GLA_NOT_CANONICAL = 0xC000_1160_0000_0000, Operand;
}

impl Status {
    /// Set if the function did not do its job.
    const ERROR: u64 = 1 << 63;
    /// Bits 63:32: the code.
    const CODE: u64 = 0xFFFF_FFFF_0000_0000;
    /// Codes that the kernel gives to a SEAMCALL that did not reach the TDX module; no code of the
    /// module has these bits (arch/x86/include/asm/tdx.h: TDX_SW_ERROR).
    const SOFTWARE: u64 = 0x8000_FF00_0000_0000;

    /// SEAMCALL failed with VMfailInvalid: no TDX module, or one that is disabled.
    pub const VMFAILINVALID: Self = Self(0x8000_FF00_FFFF_0000);
    /// SEAMCALL raised #GP: TDX is not enabled by firmware.
    pub const GP: Self = Self(0x8000_FF00_0000_000D);
    /// SEAMCALL raised #UD: the CPU is not in VMX operation.
    pub const UD: Self = Self(0x8000_FF00_0000_0006);

    /// Creates a status from the value of RAX.
    #[inline]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// Returns the value of RAX.
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Returns the status without its details, comparable to the constants.
    #[inline]
    pub const fn class(self) -> Self {
        Self(self.0 & Self::CODE)
    }

    /// Returns whether this is the code `code`, whatever the details.
    #[inline]
    pub const fn is(self, code: Self) -> bool {
        self.class().0 == code.class().0
    }

    /// Returns whether the function did its job, with nothing to add.
    #[inline]
    pub const fn is_success(self) -> bool {
        self.0 == 0
    }

    /// Returns whether the function did not do its job.
    ///
    /// A status that is neither success nor an error is a success with information.
    #[inline]
    pub const fn is_error(self) -> bool {
        self.0 & Self::ERROR != 0
    }

    /// Returns whether the SEAMCALL did not reach the TDX module.
    #[inline]
    pub const fn is_software(self) -> bool {
        self.0 & Self::SOFTWARE == Self::SOFTWARE
    }

    /// Returns bits 31:0.
    #[inline]
    pub const fn detail(self) -> u32 {
        self.0 as u32
    }

    /// Returns the operand that the status names, if codes of this kind name one.
    #[inline]
    pub const fn operand(self) -> Option<Operand> {
        match self.detail_kind() {
            Detail::Operand => Some(Operand::from_raw(self.detail())),
            _ => None,
        }
    }

    /// Returns the status with an operand named in it.
    #[inline]
    pub const fn with(self, operand: Operand) -> Self {
        self.with_detail(operand.raw())
    }

    /// Returns the status with bits 31:0 replaced.
    #[inline]
    pub const fn with_detail(self, detail: u32) -> Self {
        Self(self.class().0 | detail as u64)
    }
}

impl core::fmt::Debug for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

/// Name and operand where known, and always the number.
impl core::fmt::Display for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let name = match *self {
            Self::VMFAILINVALID => Some("VMfailInvalid"),
            Self::GP => Some("#GP"),
            Self::UD => Some("#UD"),
            _ => self.name(),
        };
        if let Some(name) = name {
            f.write_str(name)?;
            if let Some(operand) = self.operand().and_then(Operand::name) {
                write!(f, "|{operand}")?;
            }
            f.write_str(" ")?;
        }
        write!(f, "{:#018x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_plain() {
        for (i, a) in Status::ALL.iter().enumerate() {
            assert_eq!(a.detail(), 0);
            assert!(!a.is_software());
            assert!(Status::ALL[i + 1..].iter().all(|b| a != b), "{a} twice");
        }
    }

    #[test]
    fn busy_with_operand() {
        let status = Status::OPERAND_BUSY.with(Operand::SEPT_TREE);
        assert_eq!(status.raw(), 0x8000_0200_0000_0092);
        assert!(status.is(Status::OPERAND_BUSY) && status.is_error());
        assert_eq!(status.operand(), Some(Operand::SEPT_TREE));
        assert_eq!(
            status.to_string(),
            "TDX_OPERAND_BUSY|SEPT_TREE 0x8000020000000092"
        );
    }

    #[test]
    fn information_is_no_error() {
        assert!(!Status::GPA_RANGE_ALREADY_BLOCKED.is_error());
        assert!(!Status::GPA_RANGE_ALREADY_BLOCKED.is_success());
    }

    #[test]
    fn software_codes() {
        for status in [Status::VMFAILINVALID, Status::GP, Status::UD] {
            assert!(status.is_software() && status.is_error());
            assert_eq!(status.name(), None);
        }
        assert_eq!(Status::UD.to_string(), "#UD 0x8000ff0000000006");
    }
}
