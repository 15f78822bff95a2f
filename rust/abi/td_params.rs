// SPDX-License-Identifier: GPL-2.0

//! TD_PARAMS, the input of TDH.MNG.INIT.

// `bitfield!` defines constants without documentation.
#![allow(missing_docs)]

use kernel::bitfield;

/// Size of TD_PARAMS in bytes, and its alignment.
pub const SIZE: usize = 1024;

/// Byte offsets of the fields. Bytes in no field have to be 0.
pub mod offset {
    /// [`Attributes`](super::Attributes), 8 bytes.
    pub const ATTRIBUTES: usize = 0;
    /// Extended features that the TD may use, 8 bytes, in the format of XCR0 and IA32_XSS.
    pub const XFAM: usize = 8;
    /// Highest number of vCPUs, 2 bytes.
    pub const MAX_VCPUS: usize = 16;
    /// Number of L2 VMs, 1 byte.
    pub const NUM_L2_VMS: usize = 18;
    /// Bit 0: IA32_ARCH_CAPABILITIES_CONFIG is given; 1 byte.
    pub const MSR_CONFIG_CTLS: usize = 19;
    /// [`EptpControls`](super::EptpControls), 8 bytes.
    pub const EPTP_CONTROLS: usize = 24;
    /// [`ConfigFlags`](super::ConfigFlags), 8 bytes.
    pub const CONFIG_FLAGS: usize = 32;
    /// Virtual TSC frequency in units of 25 MHz, 2 bytes.
    pub const TSC_FREQUENCY: usize = 40;
    /// Software-defined configuration id, 48 bytes.
    pub const MRCONFIGID: usize = 80;
    /// Software-defined owner id, 48 bytes.
    pub const MROWNER: usize = 128;
    /// Software-defined owner configuration, 48 bytes.
    pub const MROWNERCONFIG: usize = 176;
    /// Bits of IA32_ARCH_CAPABILITIES that the host chooses, 8 bytes.
    pub const IA32_ARCH_CAPABILITIES_CONFIG: usize = 224;
    /// CPUID values (EAX, EBX, ECX, EDX each) in the order of the CPUID_CONFIG fields.
    pub const CPUID_VALUES: usize = 256;
}

/// Ranges of bytes that belong to no field, ends excluded.
pub const RESERVED: [(usize, usize); 3] = [(20, 24), (42, 80), (232, 256)];

bitfield! {
    /// TD attributes.
    pub struct Attributes(u64) {
        /// The TD may use performance monitoring.
        63:63 perfmon;
        /// The TD may use TDX partitioning assist.
        62:62 tpa;
        /// The TD may use Key Locker.
        31:31 kl;
        /// The TD may use supervisor protection keys.
        30:30 pks;
        /// The TD can be migrated.
        29:29 migratable;
        /// EPT violations of pending pages are no #VE.
        28:28 sept_ve_disable;
        /// The TD may use linear address space separation.
        27:27 lass;
        /// The host may read and write the TD's memory and state.
        0:0 debug;
    }
}

bitfield! {
    /// CONFIG_FLAGS of a TD, also called EXEC_CONTROLS.
    pub struct ConfigFlags(u64) {
        /// RBP is kept across TDH.VP.ENTER.
        2:2 no_rbp_mod;
        /// The guest may choose whether pending pages raise #VE.
        1:1 flexible_pending_ve;
        /// GPAs have 52 bits and the SHARED bit is 51, instead of 48 and 47.
        0:0 gpaw;
    }
}

bitfield! {
    /// EPTP_CONTROLS of a TD.
    pub struct EptpControls(u64) {
        /// Supervisor shadow-stack control.
        7:7 sss;
        /// Accessed and dirty flags.
        6:6 ad;
        /// Levels of the secure EPT, less one; this is also the level number of the root's entries.
        5:3 walk_length;
        /// Memory type.
        2:0 mt;
    }
}

impl EptpControls {
    /// Memory type write-back.
    pub const MT_WB: u64 = 6;
}

/// TD_PARAMS under construction.
///
/// What is not set is 0, which is valid for every field that is not an argument of [`new`].
///
/// [`new`]: TdParams::new
#[repr(C, align(1024))]
pub struct TdParams([u64; SIZE / 8]);

impl TdParams {
    /// Creates TD_PARAMS for a TD without L2 VMs, identities and CPUID configuration.
    ///
    /// `tsc_frequency` is in units of 25 MHz.
    pub const fn new(
        attributes: Attributes,
        xfam: u64,
        max_vcpus: u16,
        eptp_controls: EptpControls,
        config_flags: ConfigFlags,
        tsc_frequency: u16,
    ) -> Self {
        let mut words = [0; SIZE / 8];
        words[offset::ATTRIBUTES / 8] = attributes.into_raw();
        words[offset::XFAM / 8] = xfam;
        words[offset::MAX_VCPUS / 8] = max_vcpus as u64;
        words[offset::EPTP_CONTROLS / 8] = eptp_controls.into_raw();
        words[offset::CONFIG_FLAGS / 8] = config_flags.into_raw();
        words[offset::TSC_FREQUENCY / 8] = tsc_frequency as u64;
        Self(words)
    }

    /// Returns the words to put into memory, each little endian.
    pub const fn words(&self) -> &[u64; SIZE / 8] {
        &self.0
    }
}
