// SPDX-License-Identifier: GPL-2.0

//! What the model needs from the machine it runs on.
//!
//! The model sees physical memory as aligned 64-bit words and knows nothing of caches, encryption
//! or integrity: memory has one view whatever the KeyID. Everything else that the TDX module would
//! take from the CPU or the platform is behind [`Platform`] too, so that the same model runs in the
//! kernel and in host tests.

use super::{
    profile::Shape,
    tdcs::Tdcs,
    tdvps::Tdvps, //
};
use crate::abi::{
    Level,
    Status, //
};

/// The machine under the simulated TDX module.
///
/// Implementations must tolerate any physical address below 2^52: the model checks the addresses
/// that the ABI tells it to check, and the host may have damaged the others. An address without
/// memory behind it reads as zero and ignores writes.
pub trait Platform {
    /// Reads the 8-byte aligned word at `pa` (acquire).
    fn load(&self, pa: u64) -> u64;

    /// Writes the 8-byte aligned word at `pa` (release).
    fn store(&self, pa: u64, value: u64);

    /// Replaces the word at `pa` if it still is `old` (acquire and release); fails with the word
    /// found.
    fn cmpxchg(&self, pa: u64, old: u64, new: u64) -> Result<u64, u64>;

    /// Copies the 4K page at `src` to the one at `dst`.
    fn copy_page(&self, dst: u64, src: u64);

    /// Fills the 4K page at `pa` with copies of `word`.
    fn fill_page(&self, pa: u64, word: u64);

    /// One step of the SHA-512 compression function.
    fn sha512_block(&self, state: &mut [u64; 8], block: &[u8; 128]);

    /// A random number (RDSEED, RDRAND), or `None` when there is no entropy.
    fn random(&self) -> Option<u64>;

    /// The time-stamp counter.
    fn tsc(&self) -> u64;

    /// CPUID as the processor reports it: EAX, EBX, ECX and EDX.
    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4];

    /// The logical processor that executes the call.
    fn lp(&self) -> Lp;

    /// Whether an interrupt waits for this logical processor (TDX ABI: interruptible functions).
    fn interrupt_pending(&self) -> bool;

    /// Configures a new key for `hkid` on this package (PCONFIG).
    fn config_key(&self, hkid: u16) -> Result<(), KeyError>;

    /// Takes the page of `level` at `pa` from the host or, with `allowed`, gives it back: called when
    /// the page comes into TDX hands and when it leaves them. On hardware the page's KeyID keeps the
    /// host out.
    fn set_host_access(&self, _pa: u64, _level: Level, _allowed: bool) {}

    /// Reads an MSR of this logical processor; 0 if it has none of that number.
    fn msr(&self, msr: u32) -> u64;

    /// An XMM register of the host.
    fn host_xmm(&self, number: u32) -> [u64; 2];

    /// Sets an XMM register of the host.
    fn set_host_xmm(&self, number: u32, value: [u64; 2]);

    /// What this machine has for running TDs; nothing if its CPUs have no VMX, or not all of it that every TD needs.
    fn abilities(&self) -> Option<Abilities>;

    /// Before the first VM entry of a TDH.VP.ENTER: loads that state of the vCPU which VMX does not switch.
    fn load_guest(&self, _tdcs: &Tdcs<'_, Self>, _tdvps: &Tdvps<'_, Self>)
    where
        Self: Sized,
    {
    }

    /// After the last VM exit: saves that state, and leaves in its place what a host finds after
    /// TDH.VP.ENTER.
    fn save_guest(&self, _tdcs: &Tdcs<'_, Self>, _tdvps: &Tdvps<'_, Self>)
    where
        Self: Sized,
    {
    }

    /// Runs a vCPU up to the next VM exit: loads its state from the TDVPS and its TD VMCS, as VM entry
    /// does, and saves it there with the information about the exit.
    ///
    /// GPAs below the SHARED bit are translated by the secure EPT (EPTP of the TDCS), those above by the
    /// host's (SHARED_EPTP). `flush`: translations that this logical processor has made are forgotten.
    /// Only called for a TD that has a [root](super::run::root::Root) on this machine.
    fn run(&self, tdcs: &Tdcs<'_, Self>, tdvps: &Tdvps<'_, Self>, flush: bool)
    where
        Self: Sized;

    /// The facts of the platform, which do not change while the module lives.
    fn config(&self) -> &Config;
}

/// What a machine with VMX has for running TDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Width of physical addresses in bits, KeyIDs included.
    pub pa_width: u32,
    /// EPT of 5 levels.
    pub ept5: bool,
}

/// Why a machine cannot run a TD. TDH.VP.ENTER ends with INCOMPATIBLE_SEAM_CAPABILITIES then, and this
/// number in bits 31:0: an answer of the simulator's own, for a CPU with SEAM has all that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Unable {
    /// The CPU has no VMX, or not all of it that a TD needs.
    Vmx = 1,
    /// Physical addresses are too narrow for the SHARED bit of a GPA: a page-table entry of the guest
    /// that has it is a reserved-bit fault.
    AddressWidth = 2,
    /// The TD has an EPT of 5 levels, the CPU only one of 4.
    Ept5 = 3,
    /// The TD has an EPT of 5 levels with the SHARED bit of one of 4: no entry of the root is for shared
    /// memory alone.
    SharedBit = 4,
}

impl Unable {
    /// In words.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Vmx => "the CPU has no VMX, or not all of it that a TD needs",
            Self::AddressWidth => "physical addresses are too narrow for the SHARED bit of a GPA",
            Self::Ept5 => "the CPU has no EPT of 5 levels",
            Self::SharedBit => "the SHARED bit selects no entry in the root of the EPT",
        }
    }

    /// How TDH.VP.ENTER ends.
    pub const fn status(self) -> Status {
        Status::INCOMPATIBLE_SEAM_CAPABILITIES.with_detail(self as u32)
    }
}

/// A logical processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lp {
    /// Its number, from 0 up to [`Config::nr_lps`].
    pub index: u32,
    /// The package it is in, from 0 up to [`Config::nr_packages`].
    pub package: u32,
}

/// Why PCONFIG did not make a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Another processor is using the key encryption table.
    Busy,
    /// The processor could not generate the key.
    Entropy,
}

/// Most convertible memory ranges that the ABI can describe.
pub const MAX_CMRS: usize = 32;

/// A range of physical memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub base: u64,
    /// Length in bytes; 0 stands for "none".
    pub size: u64,
}

impl Range {
    /// The first byte after the range.
    pub const fn end(&self) -> u64 {
        self.base.saturating_add(self.size)
    }

    /// Whether the whole of `other` lies in the range.
    pub const fn contains(&self, other: &Range) -> bool {
        other.base >= self.base && other.end() <= self.end()
    }

    /// Whether the two ranges have a byte in common.
    pub const fn overlaps(&self, other: &Range) -> bool {
        self.base < other.end() && other.base < self.end() && self.size != 0 && other.size != 0
    }
}

/// The TDX module that the model answers as, but for what [`Shape`] changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Module 1.5.01 to the letter.
    V1_5_01,
    /// That module plus what Linux 7.3 needs beyond it, less what the model does not have:
    /// migration, service TDs, TD partitioning and run-time update.
    #[default]
    Current,
}

/// The platform as the BIOS and the CPU describe it, and the choice of the module.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which module to be.
    pub module: Shape,
    /// Position of the lowest KeyID bit in a physical address: the number of bits left for memory.
    pub keyid_shift: u8,
    /// Number of KeyID bits; `keyid_shift + keyid_bits` is MAXPHYADDR.
    pub keyid_bits: u8,
    /// The first private KeyID.
    pub first_private_keyid: u16,
    /// Number of private KeyIDs.
    pub nr_private_keyids: u16,
    /// Number of logical processors that have to be initialised.
    pub nr_lps: u32,
    /// Number of packages, at most [`MAX_PACKAGES`].
    pub nr_packages: u32,
    /// Family, model and stepping as in CPUID.1:EAX.
    pub fms: u32,
    /// Convertible memory ranges in ascending order; an unused entry has size 0.
    pub cmrs: [Range; MAX_CMRS],
    /// The range that belongs to the SEAM loader and the module.
    pub seamrr: Range,
    /// Extended features that the CPU has (XCR0 and IA32_XSS in one mask), the part of XFAM that is
    /// not the module's choice.
    pub xfam: u64,
    /// Frequency of the time-stamp counter in Hz.
    pub tsc_hz: u64,
    /// Whether the CPU has 5-level EPT.
    pub ept5: bool,
    /// Steps in which a package writes its caches back (PHYMEM.CACHE.WB can be interrupted between
    /// them).
    pub cache_wb_blocks: u32,
}

/// Most packages of a platform.
pub const MAX_PACKAGES: usize = 8;

impl Config {
    /// Whether `hkid` is one of the private KeyIDs.
    pub fn is_private_keyid(&self, hkid: u16) -> bool {
        self.private_keyids().contains(&hkid)
    }

    /// The private KeyIDs.
    pub fn private_keyids(&self) -> core::ops::Range<u16> {
        let first = self.first_private_keyid;
        first..first.saturating_add(self.nr_private_keyids)
    }

    /// The bits of a physical address that select memory: those below the KeyID.
    pub fn memory_mask(&self) -> u64 {
        !u64::MAX.wrapping_shl(u32::from(self.keyid_shift))
    }

    /// A physical address with a KeyID in it.
    pub fn with_keyid(&self, pa: u64, hkid: u64) -> u64 {
        pa | hkid.wrapping_shl(u32::from(self.keyid_shift))
    }

    /// The KeyID in a physical address, together with whatever is above it.
    pub fn keyid(&self, pa: u64) -> u64 {
        pa.wrapping_shr(u32::from(self.keyid_shift))
    }

    /// A bit for each package.
    pub fn all_packages(&self) -> u64 {
        1u64.checked_shl(self.nr_packages)
            .map_or(u64::MAX, |bit| bit - 1)
    }
}
