// SPDX-License-Identifier: GPL-2.0

//! The TDCS: control structure of a TD, made of TDCX pages.

use core::ops::Deref;

use super::{
    field::Field,
    lock::{
        Lock,
        Mem, //
    },
    pages::Pages,
    platform::Platform,
    tdr, //
};

/// Fields of the TDCS; offset 0x1000·n is in TDCX page n. TDX ABI: "TD Control Structure (TDCS)".
///
/// The lock words, the epoch's among them, and the hash state are the simulator's own and lie where
/// no architectural field is.
pub mod fields {
    use super::Field;

    /// Number of vCPUs that were initialised.
    pub const NUM_VCPUS: Field = Field::new(0x0, 32);
    /// Number of vCPUs associated with a logical processor.
    pub const NUM_ASSOC_VCPUS: Field = Field::new(0x4, 32);
    /// See [`OpState`](crate::abi::state::OpState).
    pub const OP_STATE: Field = Field::new(0x8, 32);
    /// Lock of OP_STATE, in the same word.
    pub const OP_STATE_LOCK: Field = Field::new(0xC, 16);
    /// Number of L2 VMs.
    pub const NUM_L2_VMS: Field = Field::new(0x10, 16);
    /// See [`Attributes`](crate::abi::td_params::Attributes).
    pub const ATTRIBUTES: Field = Field::new(0x80, 64);
    /// Extended features available to the TD.
    pub const XFAM: Field = Field::new(0x88, 64);
    /// Most vCPUs.
    pub const MAX_VCPUS: Field = Field::new(0x90, 32);
    /// 1: GPAs have 52 bits, not 48.
    pub const GPAW: Field = Field::new(0x94, 8);
    /// EPT pointer of the secure EPT.
    pub const EPTP: Field = Field::new(0x98, 64);
    /// Offset of the guest's TSC.
    pub const TSC_OFFSET: Field = Field::new(0xA8, 64);
    /// Multiplier of the guest's TSC.
    pub const TSC_MULTIPLIER: Field = Field::new(0xB0, 64);
    /// Frequency of the guest's TSC in units of 25 MHz.
    pub const TSC_FREQUENCY: Field = Field::new(0xB8, 16);
    /// Number of entries in CPUID_VALUES.
    pub const NUM_CPUID_VALUES: Field = Field::new(0xBA, 16);
    /// Size of the XSAVE area.
    pub const XBUFF_SIZE: Field = Field::new(0xDC, 32);
    /// Notifications that the guest enabled.
    pub const NOTIFY_ENABLES: Field = Field::new(0xE0, 64);
    /// How long a guest waits for a lock that the host has priority on, in microseconds.
    pub const HP_LOCK_TIMEOUT: Field = Field::new(0xE8, 64);
    /// Controls of each VM, four elements.
    pub const VM_CTLS: Field = Field::new(0xF0, 64);
    /// See [`ConfigFlags`](crate::abi::td_params::ConfigFlags).
    pub const CONFIG_FLAGS: Field = Field::new(0x118, 64);
    /// Controls that the guest chose.
    pub const TD_CTLS: Field = Field::new(0x120, 64);
    /// Which entries of CPUID_VALUES are valid, 80 elements.
    pub const CPUID_VALID: Field = Field::new(0x134, 8);
    /// Offsets in the XSAVE area, 19 elements.
    pub const XBUFF_OFFSETS: Field = Field::new(0x190, 32);
    /// The current TLB tracking epoch.
    pub const TD_EPOCH: Field = Field::new(0x200, 64);
    /// Number of vCPUs in the guest that entered in an even and in an odd epoch.
    pub const REFCOUNT: Field = Field::new(0x208, 16);
    /// Lock of TD_EPOCH.
    pub const EPOCH_LOCK: Field = Field::new(0x210, 16);
    /// Lock of the secure EPT as a whole.
    pub const SEPT_TREE_LOCK: Field = Field::new(0x218, 16);
    /// Measurement of the initial contents, six elements.
    pub const MRTD: Field = Field::new(0x240, 64);
    /// Software-defined identity of the configuration, six elements.
    pub const MRCONFIGID: Field = Field::new(0x270, 64);
    /// Software-defined identity of the owner, six elements.
    pub const MROWNER: Field = Field::new(0x2A0, 64);
    /// Software-defined identity of the owner's configuration, six elements.
    pub const MROWNERCONFIG: Field = Field::new(0x2D0, 64);
    /// Run-time measurements, four of six elements.
    pub const RTMR: Field = Field::new(0x300, 64);
    /// Lock of the run-time measurements.
    pub const RTMR_LOCK: Field = Field::new(0x3C0, 16);
    /// State of the SHA-384 that becomes MRTD, eight elements.
    pub const MRTD_STATE: Field = Field::new(0x400, 64);
    /// Number of 128-byte blocks that went into it.
    pub const MRTD_BLOCKS: Field = Field::new(0x440, 64);
    /// Key for import is set.
    pub const MIG_DEC_KEY_SET: Field = Field::new(0x580, 8);
    /// Number of exports.
    pub const EXPORT_COUNT: Field = Field::new(0x584, 32);
    /// Number of imports.
    pub const IMPORT_COUNT: Field = Field::new(0x588, 32);
    /// Migration epoch.
    pub const MIG_EPOCH: Field = Field::new(0x58C, 32);
    /// Write-blocking epoch.
    pub const BW_EPOCH: Field = Field::new(0x590, 64);
    /// Number of migration bundles.
    pub const TOTAL_MB_COUNT: Field = Field::new(0x598, 64);
    /// Migration keys, four elements each.
    pub const MIG_DEC_KEY: Field = Field::new(0x5A0, 64);
    /// See [`MIG_DEC_KEY`].
    pub const MIG_DEC_WORKING_KEY: Field = Field::new(0x5C0, 64);
    /// See [`MIG_DEC_KEY`].
    pub const MIG_ENC_KEY: Field = Field::new(0x5E0, 64);
    /// See [`MIG_DEC_KEY`].
    pub const MIG_ENC_WORKING_KEY: Field = Field::new(0x600, 64);
    /// Version of the migration protocol.
    pub const MIG_VERSION: Field = Field::new(0x620, 16);
    /// The version in use.
    pub const MIG_WORKING_VERSION: Field = Field::new(0x622, 16);
    /// Pages exported and dirty.
    pub const DIRTY_COUNT: Field = Field::new(0x628, 64);
    /// Pages exported.
    pub const MIG_COUNT: Field = Field::new(0x630, 64);
    /// Number of migration streams.
    pub const NUM_MIGS: Field = Field::new(0x638, 16);
    /// Number of vCPUs migrated.
    pub const NUM_MIGRATED_VCPUS: Field = Field::new(0x63C, 32);
    /// Identity before import, four elements.
    pub const PRE_IMPORT_UUID: Field = Field::new(0x640, 64);
    /// Virtual VMX MSRs, from IA32_VMX_BASIC on.
    pub const VIRTUAL_MSRS: Field = Field::new(0x700, 64);
    /// CPUID values that the guest sees, 80 of two elements.
    pub const CPUID_VALUES: Field = Field::new(0x800, 64);
    /// Hash of the service TDs, six elements.
    pub const SERVTD_HASH: Field = Field::new(0xD00, 64);
    /// Number of service TDs.
    pub const SERVTD_NUM: Field = Field::new(0xD30, 16);
    /// Service TD bindings, 16 words.
    pub const SERVTD_BINDINGS_TABLE: Field = Field::new(0xD90, 64);
    /// MSR exit bitmaps, a page.
    pub const MSR_BITMAPS: Field = Field::new(0x2000, 64);
    /// Root of the secure EPT, a page.
    pub const SEPT_ROOT: Field = Field::new(0x3000, 64);
    /// A page of zeros.
    pub const ZERO_PAGE: Field = Field::new(0x4000, 64);
    /// Migration stream contexts, a page.
    pub const MIGSC_LINKS: Field = Field::new(0x5000, 64);
    /// Roots of the secure EPTs of L2 VMs, up to three pages.
    pub const L2_SEPT_ROOTS: Field = Field::new(0x6000, 64);
}

/// TDCX pages that every TD has.
pub const BASE_PAGES: u64 = 6;

/// The TDCS of a TD whose pages were all donated.
pub struct Tdcs<'a, P>(Pages<'a, P>);

impl<'a, P> Deref for Tdcs<'a, P> {
    type Target = Pages<'a, P>;

    #[inline]
    fn deref(&self) -> &Pages<'a, P> {
        &self.0
    }
}

impl<'a, P: Platform> Tdcs<'a, P> {
    /// The TDCS of the TD whose TDR is at `tdr`.
    #[inline]
    pub fn new(p: &'a P, tdr: u64) -> Self {
        let list = tdr::fields::TDCX_PA.word(p, tdr);
        Self(Pages::new(Pages::listed(list, 0), list))
    }

    /// Number of bits of a GPA, the SHARED bit being the highest.
    #[inline]
    pub fn gpa_width(&self) -> u32 {
        if self.get(fields::GPAW) != 0 {
            52
        } else {
            48
        }
    }

    /// Whether a GPA is a private one: below the SHARED bit.
    #[inline]
    pub fn is_private(&self, gpa: u64) -> bool {
        gpa.wrapping_shr(self.gpa_width() - 1) == 0
    }

    /// The lock of OP_STATE.
    #[inline]
    pub fn op_state_lock(&self) -> Lock<Mem<'a, P>, { fields::OP_STATE_LOCK.shift() }, true> {
        Lock::new(self.word(fields::OP_STATE_LOCK))
    }

    /// The lock of the TD epoch.
    #[inline]
    pub fn epoch_lock(&self) -> Lock<Mem<'a, P>, { fields::EPOCH_LOCK.shift() }, false> {
        Lock::new(self.word(fields::EPOCH_LOCK))
    }

    /// The lock of the whole secure EPT.
    #[inline]
    pub fn sept_tree_lock(&self) -> Lock<Mem<'a, P>, { fields::SEPT_TREE_LOCK.shift() }, false> {
        Lock::new(self.word(fields::SEPT_TREE_LOCK))
    }

    /// The lock of the run-time measurements.
    #[inline]
    pub fn rtmr_lock(&self) -> Lock<Mem<'a, P>, { fields::RTMR_LOCK.shift() }, true> {
        Lock::new(self.word(fields::RTMR_LOCK))
    }
}
