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
    /// The vCPU cannot run any more (triple fault).
    NON_RECOVERABLE_VCPU = 0x4000_0001_0000_0000, ExitReason;
    /// The TD cannot run any more.
    NON_RECOVERABLE_TD = 0x6000_0002_0000_0000, ExitReason;
    /// Interrupted; progress is kept, call again with the outputs as inputs.
    INTERRUPTED_RESUMABLE = 0x8000_0003_0000_0000, None;
    /// Interrupted; nothing is kept, call again with the same inputs.
    INTERRUPTED_RESTARTABLE = 0x8000_0004_0000_0000, None;
    /// The TD cannot run any more: its memory is damaged.
    NON_RECOVERABLE_TD_NON_ACCESSIBLE = 0x6000_0005_0000_0000, ExitReason;
    /// There is no interrupted migration call that this could resume.
    INVALID_RESUMPTION = 0xC000_0006_0000_0000, None;
    /// The TD cannot run any more: it left x2APIC mode.
    NON_RECOVERABLE_TD_WRONG_APIC_MODE = 0xE000_0007_0000_0000, ExitReason;
    /// A TD exit that is another TD's doing, before the instruction.
    CROSS_TD_FAULT = 0x8000_0008_0000_0000, ExitReason;
    /// A TD exit that is another TD's doing, after the instruction.
    CROSS_TD_TRAP = 0x9000_0009_0000_0000, ExitReason;
    /// The TD cannot run any more: its control structures are damaged.
    NON_RECOVERABLE_TD_CORRUPTED_MD = 0x6000_000A_0000_0000, ExitReason;
    /// The value of the operand is not allowed.
    OPERAND_INVALID = 0xC000_0100_0000_0000, Operand;
    /// The address lies in no initialised part of a TDMR.
    OPERAND_ADDR_RANGE_ERROR = 0xC000_0101_0000_0000, Operand;
    /// A lock of the operand is held by another logical processor.
    OPERAND_BUSY = 0x8000_0200_0000_0000, Operand;
    /// vCPUs that entered before the last TDH.MEM.TRACK still run.
    PREVIOUS_TLB_EPOCH_BUSY = 0x8000_0201_0000_0000, None;
    /// The module's global lock is held by another logical processor.
    SYS_BUSY = 0x8000_0202_0000_0000, None;
    /// The random number generator had nothing to give.
    RND_NO_ENTROPY = 0x8000_0203_0000_0000, None;
    /// The guest yields the lock of the operand to the host.
    OPERAND_BUSY_HOST_PRIORITY = 0x8000_0204_0000_0000, Operand;
    /// The guest could not get a lock that the host keeps asking for.
    HOST_PRIORITY_BUSY_TIMEOUT = 0x9000_0205_0000_0000, ExitReason;
    /// The PAMT says that the page has another type or size.
    PAGE_METADATA_INCORRECT = 0xC000_0300_0000_0000, Operand;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    PAGE_ALREADY_FREE = 0x0000_0301_0000_0000, Operand;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    PAGE_NOT_OWNED_BY_TD = 0xC000_0302_0000_0000, Operand;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    PAGE_NOT_FREE = 0xC000_0303_0000_0000, Operand;
    /// The TD still has pages besides its TDR.
    TD_ASSOCIATED_PAGES_EXIST = 0xC000_0400_0000_0000, None;
    /// TDH.SYS.INIT was done already.
    SYS_INIT_NOT_PENDING = 0xC000_0500_0000_0000, None;
    /// This logical processor has not done TDH.SYS.LP.INIT.
    SYS_LP_INIT_NOT_DONE = 0xC000_0502_0000_0000, None;
    /// This logical processor did TDH.SYS.LP.INIT already.
    SYS_LP_INIT_DONE = 0xC000_0503_0000_0000, None;
    /// The module is not initialised.
    SYS_NOT_READY = 0xC000_0505_0000_0000, None;
    /// The module is shut down.
    SYS_SHUTDOWN = 0xC000_0506_0000_0000, None;
    /// TDH.SYS.KEY.CONFIG is not due.
    SYS_KEY_CONFIG_NOT_PENDING = 0xC000_0507_0000_0000, None;
    /// The module is in another state than TDH.SYS.UPDATE needs.
    SYS_STATE_INCORRECT = 0xC000_0508_0000_0000, None;
    /// The handoff data of the module before are damaged.
    SYS_INVALID_HANDOFF = 0xC000_0509_0000_0000, None;
    /// The module cannot follow the one before.
    SYS_INCOMPATIBLE_SIGSTRUCT = 0xC000_050A_0000_0000, None;
    /// TDH.SYS.LP.INIT is not due.
    SYS_LP_INIT_NOT_PENDING = 0xC000_050B_0000_0000, None;
    /// TDH.SYS.CONFIG is not due, or logical processors are not initialised.
    SYS_CONFIG_NOT_PENDING = 0xC000_050C_0000_0000, None;
    /// The CPU lacks SEAM features that the module needs.
    INCOMPATIBLE_SEAM_CAPABILITIES = 0xC000_050D_0000_0000, Number;
    /// The TD is beyond use.
    TD_FATAL = 0xE000_0604_0000_0000, None;
    /// The leaf works on debug TDs only.
    TD_NON_DEBUG = 0xC000_0605_0000_0000, None;
    /// The TD has too few control pages.
    TDCS_NOT_ALLOCATED = 0xC000_0606_0000_0000, None;
    /// The TD is in another life cycle state than the leaf needs.
    LIFECYCLE_STATE_INCORRECT = 0xC000_0607_0000_0000, None;
    /// The TD is in another operation state than the leaf needs.
    OP_STATE_INCORRECT = 0xC000_0608_0000_0000, None;
    /// The TD has no vCPU.
    NO_VCPUS = 0xC000_0609_0000_0000, None;
    /// The TD or vCPU has another number of control pages than the leaf needs.
    TDCX_NUM_INCORRECT = 0xC000_0610_0000_0000, None;
    /// The vCPU is in another state than the leaf needs.
    VCPU_STATE_INCORRECT = 0xC000_0700_0000_0000, None;
    /// The vCPU is associated with another logical processor.
    VCPU_ASSOCIATED = 0x8000_0701_0000_0000, None;
    /// The vCPU is not associated with this logical processor.
    VCPU_NOT_ASSOCIATED = 0x8000_0702_0000_0000, None;
    /// There is no #VE information to read.
    NO_VALID_VE_INFO = 0xC000_0704_0000_0000, None;
    /// The TD has as many vCPUs as it may have.
    MAX_VCPUS_EXCEEDED = 0xC000_0705_0000_0000, None;
    /// The TSC has gone back since the vCPU ran.
    TSC_ROLLBACK = 0xC000_0706_0000_0000, None;
    /// The VMCS field has to be written first.
    TD_VMCS_FIELD_NOT_INITIALIZED = 0xC000_0730_0000_0000, VmcsField;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    TD_VMCS_FIELD_ERROR = 0xC000_0731_0000_0000, None;
    /// No key could be generated; try again.
    KEY_GENERATION_FAILED = 0x8000_0800_0000_0000, None;
    /// The TD's key is not configured on all packages, or not any more.
    TD_KEYS_NOT_CONFIGURED = 0x8000_0810_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    KEY_STATE_INCORRECT = 0xC000_0811_0000_0000, None;
    /// The TD's key is configured on this package already (informational).
    KEY_CONFIGURED = 0x0000_0815_0000_0000, None;
    /// The caches of a package have not been written back.
    WBCACHE_NOT_COMPLETE = 0x8000_0817_0000_0000, None;
    /// The KeyID is in use.
    HKID_NOT_FREE = 0xC000_0820_0000_0000, None;
    /// No KeyID waits for caches to be written back (informational).
    NO_HKID_READY_TO_WBCACHE = 0x0000_0821_0000_0000, None;
    /// There is no interrupted write-back to resume.
    WBCACHE_RESUME_ERROR = 0xC000_0823_0000_0000, None;
    /// A vCPU is still associated with a logical processor.
    FLUSHVP_NOT_DONE = 0x8000_0824_0000_0000, None;
    /// The platform has more KeyIDs than the module can handle.
    NUM_ACTIVATED_HKIDS_NOT_SUPPORTED = 0xC000_0825_0000_0000, Number;
    /// A CPUID value is not what the module needs; more in registers.
    INCORRECT_CPUID_VALUE = 0xC000_0900_0000_0000, None;
    /// IA32_MISC_ENABLE limits the CPUID leaves.
    LIMIT_CPUID_MAXVAL_SET = 0xC000_0901_0000_0000, None;
    /// A CPUID value differs between logical processors; more in registers.
    INCONSISTENT_CPUID_FIELD = 0xC000_0902_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    CPUID_MAX_SUBLEAVES_UNRECOGNIZED = 0xC000_0903_0000_0000, None;
    /// CPUID leaf 0x1F has a layout that the module does not know.
    CPUID_LEAF_1F_FORMAT_UNRECOGNIZED = 0xC000_0904_0000_0000, None;
    /// The caches are shared in a way that the module does not support.
    INVALID_WBINVD_SCOPE = 0xC000_0905_0000_0000, None;
    /// The package number is too large.
    INVALID_PKG_ID = 0xC000_0906_0000_0000, Number;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    ENABLE_MONITOR_FSM_NOT_SET = 0xC000_0907_0000_0000, None;
    /// The CPU lacks a CPUID leaf that the module needs.
    CPUID_LEAF_NOT_SUPPORTED = 0xC000_0908_0000_0000, None;
    /// The SMRR is not locked.
    SMRR_NOT_LOCKED = 0xC000_0910_0000_0000, Number;
    /// The SMRR is not set up as the module needs.
    INVALID_SMRR_CONFIGURATION = 0xC000_0911_0000_0000, Number;
    /// The SMRR and a CMR overlap.
    SMRR_OVERLAPS_CMR = 0xC000_0912_0000_0000, Bytes;
    /// The CPU cannot lock the SMRR.
    SMRR_LOCK_NOT_SUPPORTED = 0xC000_0913_0000_0000, None;
    /// The CPU has no SMRR.
    SMRR_NOT_SUPPORTED = 0xC000_0914_0000_0000, None;
    /// The MSR has another value than at TDH.SYS.INIT.
    INCONSISTENT_MSR = 0xC000_0920_0000_0000, Msr;
    /// The MSR has another value than the module needs.
    INCORRECT_MSR_VALUE = 0xC000_0921_0000_0000, Msr;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    SEAMREPORT_NOT_AVAILABLE = 0xC000_0930_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    SEAMDB_GETREF_NOT_AVAILABLE = 0xC000_0931_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    SEAMDB_REPORT_NOT_AVAILABLE = 0xC000_0932_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    SEAMVERIFYREPORT_NOT_AVAILABLE = 0xC000_0933_0000_0000, None;
    /// Base or size of the TDMR are not allowed.
    INVALID_TDMR = 0xC000_0A00_0000_0000, Bytes;
    /// The TDMRs are not in ascending order.
    NON_ORDERED_TDMR = 0xC000_0A01_0000_0000, Bytes;
    /// The TDMR has memory that is in no CMR and not reserved.
    TDMR_OUTSIDE_CMRS = 0xC000_0A02_0000_0000, Bytes;
    /// All of the TDMR is initialised already (informational).
    TDMR_ALREADY_INITIALIZED = 0x0000_0A03_0000_0000, None;
    /// Base or size of the PAMT are not allowed.
    INVALID_PAMT = 0xC000_0A10_0000_0000, Bytes;
    /// The PAMT is not in a CMR.
    PAMT_OUTSIDE_CMRS = 0xC000_0A11_0000_0000, Bytes;
    /// The PAMT overlaps a TDMR or another PAMT.
    PAMT_OVERLAP = 0xC000_0A12_0000_0000, Bytes;
    /// Base or size of the reserved area are not allowed.
    INVALID_RESERVED_IN_TDMR = 0xC000_0A20_0000_0000, Bytes;
    /// The reserved areas are not in ascending order.
    NON_ORDERED_RESERVED_IN_TDMR = 0xC000_0A21_0000_0000, Bytes;
    /// The list of CMRs is damaged.
    CMR_LIST_INVALID = 0xC000_0A22_0000_0000, None;
    /// The walk ended above the requested level.
    EPT_WALK_FAILED = 0xC000_0B00_0000_0000, Operand;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    EPT_ENTRY_FREE = 0xC000_0B01_0000_0000, Operand;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    EPT_ENTRY_NOT_FREE = 0xC000_0B02_0000_0000, Operand;
    /// No page is mapped that the leaf could work on.
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
    /// The 512 entries below are not of one kind and contiguous.
    EPT_INVALID_PROMOTE_CONDITIONS = 0xC000_0B09_0000_0000, Operand;
    /// The guest has accepted the page already (informational).
    PAGE_ALREADY_ACCEPTED = 0x0000_0B0A_0000_0000, Level;
    /// The guest's page is mapped by smaller pages.
    PAGE_SIZE_MISMATCH = 0xC000_0B0B_0000_0000, Level;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    GPA_RANGE_BLOCKED = 0xC000_0B0C_0000_0000, Operand;
    /// The leaf does not work on an S-EPT entry in this state.
    EPT_ENTRY_STATE_INCORRECT = 0xC000_0B0D_0000_0000, Operand;
    /// The table page still has entries.
    EPT_PAGE_NOT_FREE = 0xC000_0B0E_0000_0000, Operand;
    /// The walk of an L2 VM's table ended above the requested level.
    L2_SEPT_WALK_FAILED = 0xC000_0B0F_0000_0000, L2Sept;
    /// The L2 VM's entry is in use.
    L2_SEPT_ENTRY_NOT_FREE = 0xC000_0B10_0000_0000, L2Sept;
    /// No L2 VM can have this combination of attributes.
    PAGE_ATTR_INVALID = 0xC000_0B11_0000_0000, None;
    /// A page for the table of an aliased L2 VM is missing.
    L2_SEPT_PAGE_NOT_PROVIDED = 0xC000_0B12_0000_0000, Operand;
    /// There is no field of this identifier.
    METADATA_FIELD_ID_INCORRECT = 0xC000_0C00_0000_0000, None;
    /// The caller may not write the field.
    METADATA_FIELD_NOT_WRITABLE = 0xC000_0C01_0000_0000, None;
    /// The caller may not read the field.
    METADATA_FIELD_NOT_READABLE = 0xC000_0C02_0000_0000, None;
    /// The field cannot have this value.
    METADATA_FIELD_VALUE_NOT_VALID = 0xC000_0C03_0000_0000, None;
    /// The list does not fit into the buffer.
    METADATA_LIST_OVERFLOW = 0xC000_0C04_0000_0000, None;
    /// The header of the metadata list is wrong.
    INVALID_METADATA_LIST_HEADER = 0xC000_0C05_0000_0000, None;
    /// The metadata list lacks a field.
    REQUIRED_METADATA_FIELD_MISSING = 0xC000_0C06_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    METADATA_ELEMENT_SIZE_INCORRECT = 0xC000_0C07_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    METADATA_LAST_ELEMENT_INCORRECT = 0xC000_0C08_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    METADATA_FIELD_CURRENTLY_NOT_WRITABLE = 0xC000_0C09_0000_0000, None;
    /// The field can only be written as a whole.
    METADATA_WR_MASK_NOT_VALID = 0xC000_0C0A_0000_0000, None;
    /// RDX is the first identifier of the context (informational).
    METADATA_FIRST_FIELD_ID_IN_CONTEXT = 0x0000_0C0B_0000_0000, None;
    /// The field is left out of a list (informational).
    METADATA_FIELD_SKIP = 0x0000_0C0C_0000_0000, None;
    /// A service TD of this type is bound already.
    SERVTD_ALREADY_BOUND_FOR_TYPE = 0xC000_0D00_0000_0000, None;
    /// The service TD has another type than the binding.
    SERVTD_TYPE_MISMATCH = 0xC000_0D01_0000_0000, None;
    /// The service TD has other attributes than the binding.
    SERVTD_ATTR_MISMATCH = 0xC000_0D02_0000_0000, None;
    /// The service TD has another identity than the binding.
    SERVTD_INFO_HASH_MISMATCH = 0xC000_0D03_0000_0000, None;
    /// The service TD is not the one that is bound.
    SERVTD_UUID_MISMATCH = 0xC000_0D04_0000_0000, None;
    /// No service TD is bound.
    SERVTD_NOT_BOUND = 0xC000_0D05_0000_0000, None;
    /// A service TD is bound.
    SERVTD_BOUND = 0xC000_0D06_0000_0000, None;
    /// The target of the service TD is another TD.
    TARGET_UUID_MISMATCH = 0xC000_0D07_0000_0000, None;
    /// The target of the service TD has a new UUID.
    TARGET_UUID_UPDATED = 0xC000_0D08_0000_0000, None;
    /// The metadata of the migration bundle are wrong.
    INVALID_MBMD = 0xC000_0E00_0000_0000, None;
    /// The MAC of the migration bundle is wrong.
    INCORRECT_MBMD_MAC = 0xC000_0E01_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    NOT_WRITE_BLOCKED = 0xC000_0E02_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    ALREADY_WRITE_BLOCKED = 0x0000_0E03_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    NOT_EXPORTED = 0xC000_0E04_0000_0000, None;
    /// The migration stream is in another state than the leaf needs.
    MIGRATION_STREAM_STATE_INCORRECT = 0xC000_0E05_0000_0000, None;
    /// The TD has as many migration streams as it may have.
    MAX_MIGS_NUM_EXCEEDED = 0xC000_0E06_0000_0000, None;
    /// Pages were written since they were exported.
    EXPORTED_DIRTY_PAGES_REMAIN = 0xC000_0E07_0000_0000, None;
    /// The migration key has not been set.
    MIGRATION_DECRYPTION_KEY_NOT_SET = 0xC000_0E08_0000_0000, None;
    /// The TD's attributes do not allow migration.
    TD_NOT_MIGRATABLE = 0xC000_0E09_0000_0000, None;
    /// Pages of the export before are still marked.
    PREVIOUS_EXPORT_CLEANUP_INCOMPLETE = 0xC000_0E0A_0000_0000, None;
    /// More migration streams are asked for than there are.
    NUM_MIGS_HIGHER_THAN_CREATED = 0xC000_0E0B_0000_0000, None;
    /// The page is imported differently than before.
    IMPORT_MISMATCH = 0xC000_0E0C_0000_0000, None;
    /// There are no more migration epochs.
    MIGRATION_EPOCH_OVERFLOW = 0xC000_0E0D_0000_0000, None;
    /// The TD was exported as often as it may be.
    MAX_EXPORTS_EXCEEDED = 0xC000_0E0E_0000_0000, None;
    /// The MAC of the imported page is wrong.
    INVALID_PAGE_MAC = 0xC000_0E0F_0000_0000, None;
    /// The page was migrated in this epoch already.
    MIGRATED_IN_CURRENT_EPOCH = 0xC000_0E10_0000_0000, None;
    /// The page was removed and cannot be imported again.
    DISALLOWED_IMPORT_OVER_REMOVED = 0xC000_0E11_0000_0000, None;
    /// There are vCPUs still to be migrated.
    SOME_VCPUS_NOT_MIGRATED = 0xC000_0E12_0000_0000, None;
    /// All vCPUs are imported already.
    ALL_VCPUS_IMPORTED = 0xC000_0E13_0000_0000, None;
    /// The TD has fewer migration streams than it needs.
    MIN_MIGS_NOT_CREATED = 0xC000_0E14_0000_0000, None;
    /// The vCPU is exported already.
    VCPU_ALREADY_EXPORTED = 0xC000_0E15_0000_0000, None;
    /// Defined by the ABI; no leaf of module 1.5.01 returns it.
    INVALID_MIGRATION_DECRYPTION_KEY = 0xC000_0E16_0000_0000, None;
    /// The report is of another CPU security version.
    INVALID_CPUSVN = 0xC000_1000_0000_0000, None;
    /// The MAC of the report is wrong.
    INVALID_REPORTMACSTRUCT = 0xC000_1001_0000_0000, None;
    /// An exit of the L2 VM that the host routed to L1 (informational).
    L2_EXIT_HOST_ROUTED_ASYNC = 0x0000_1100_0000_0000, ExitReason;
    /// A TDVMCALL of the L2 VM that the host routed to L1 (informational).
    L2_EXIT_HOST_ROUTED_TDVMCALL = 0x0000_1101_0000_0000, ExitReason;
    /// The L2 VM left for an interrupt to L1 (informational).
    L2_EXIT_PENDING_INTERRUPT = 0x0000_1102_0000_0000, ExitReason;
    /// L1 has an interrupt to take first (informational).
    PENDING_INTERRUPT = 0x0000_1120_0000_0000, None;
    /// Debug: a TD exit before the L2 VM was entered (informational).
    TD_EXIT_BEFORE_L2_ENTRY = 0x0000_1140_0000_0000, ExitReason;
    /// Debug: a TD exit when the L2 VM left (informational).
    TD_EXIT_ON_L2_VM_EXIT = 0x0000_1141_0000_0000, ExitReason;
    /// Debug: a TD exit between the L2 VM and L1 (informational).
    TD_EXIT_ON_L2_TO_L1 = 0x0000_1142_0000_0000, ExitReason;
    /// The linear address is not canonical.
    GLA_NOT_CANONICAL = 0xC000_1160_0000_0000, Operand;
}

impl Status {
    /// Set if the function did not do its job.
    const ERROR: u64 = 1 << 63;
    /// Set if the TD, or the module, is beyond use.
    const FATAL: u64 = 1 << 61;
    /// Set if the host may have something to say to the guest about an exit.
    const HOST_HINT: u64 = 1 << 60;
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

    /// Reads a status as [`Display`](core::fmt::Display) begins it: the name of the code, with the operand if it has
    /// one. The name alone stands for the code without details.
    pub fn from_name(text: &str) -> Option<Self> {
        let (name, operand) = match text.split_once('|') {
            Some((name, operand)) => (name, Some(Operand::from_name(operand)?)),
            None => (text, None),
        };
        let code = Self::ALL.iter().find(|code| code.name() == Some(name))?;
        match (operand, code.detail_kind()) {
            (None, _) => Some(*code),
            (Some(operand), Detail::Operand) => Some(code.with(operand)),
            (Some(_), _) => None,
        }
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

    /// Returns whether the TD, or the module, is beyond use.
    #[inline]
    pub const fn is_fatal(self) -> bool {
        self.0 & Self::FATAL != 0
    }

    /// Returns whether the host may have something to say to the guest about the exit.
    #[inline]
    pub const fn has_host_hint(self) -> bool {
        self.0 & Self::HOST_HINT != 0
    }

    /// Returns whether the SEAMCALL did not reach the TDX module.
    #[inline]
    pub const fn is_software(self) -> bool {
        self.0 & Self::SOFTWARE == Self::SOFTWARE
    }

    /// Returns whether this is what TDH.VP.ENTER says when a guest has exited: bits 31:0 are the VMX
    /// exit reason then.
    pub const fn has_exit_reason(self) -> bool {
        self.is(Self::SUCCESS) || matches!(self.detail_kind(), Detail::ExitReason)
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
    fn names_are_read_back() {
        for &code in Status::ALL {
            let name = code.name().unwrap_or_default();
            assert_eq!(Status::from_name(name), Some(code));
        }
        for &operand in Operand::ALL {
            let status = Status::OPERAND_INVALID.with(operand);
            let text = status.to_string();
            let name = text.split(' ').next().unwrap_or_default();
            assert_eq!(Status::from_name(name), Some(status), "{name}");
        }
        for text in [
            "OPERAND_BUSY",
            "TDX_OPERAND_BUSY|",
            "TDX_OPERAND_BUSY|PEN",
            "TDX_SYS_BUSY|RCX",
            "",
        ] {
            assert_eq!(Status::from_name(text), None, "{text}");
        }
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
