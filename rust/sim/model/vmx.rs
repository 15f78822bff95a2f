// SPDX-License-Identifier: GPL-2.0

//! What the module knows of VMX: VM exits, the events that a VM entry delivers, and the controls that
//! a TD runs under.
//!
//! Intel SDM, volume 3, "VMX Non-Root Operation", "VM Exits", appendix C "VMX Basic Exit Reasons".

// The names say it, and the SDM the rest.
#![allow(missing_docs)]

use kernel::bitfield;

/// Basic exit reasons.
pub mod reason {
    pub const EXCEPTION_NMI: u16 = 0;
    pub const EXTERNAL_INTERRUPT: u16 = 1;
    pub const TRIPLE_FAULT: u16 = 2;
    pub const INIT: u16 = 3;
    pub const OTHER_SMI: u16 = 6;
    pub const NMI_WINDOW: u16 = 8;
    pub const TASK_SWITCH: u16 = 9;
    pub const CPUID: u16 = 10;
    pub const GETSEC: u16 = 11;
    pub const HLT: u16 = 12;
    pub const INVD: u16 = 13;
    pub const RDPMC: u16 = 15;
    pub const VMCALL: u16 = 18;
    pub const VMCLEAR: u16 = 19;
    pub const VMXON: u16 = 27;
    pub const CR_ACCESS: u16 = 28;
    pub const IO: u16 = 30;
    pub const RDMSR: u16 = 31;
    pub const WRMSR: u16 = 32;
    pub const INVALID_GUEST_STATE: u16 = 33;
    pub const MSR_LOADING: u16 = 34;
    pub const MWAIT: u16 = 36;
    pub const MONITOR: u16 = 39;
    pub const MACHINE_CHECK_ON_ENTRY: u16 = 41;
    pub const C_STATE_SMI: u16 = 42;
    pub const EPT_VIOLATION: u16 = 48;
    pub const EPT_MISCONFIGURATION: u16 = 49;
    pub const INVEPT: u16 = 50;
    pub const INVVPID: u16 = 53;
    pub const WBINVD: u16 = 54;
    pub const XSETBV: u16 = 55;
    pub const APIC_WRITE: u16 = 56;
    pub const VMFUNC: u16 = 59;
    pub const ENCLS: u16 = 60;
    pub const PML_FULL: u16 = 62;
    pub const PCONFIG: u16 = 65;
    pub const BUS_LOCK: u16 = 74;
    pub const NOTIFY: u16 = 75;
    pub const SEAMCALL: u16 = 76;
    pub const TDCALL: u16 = 77;
}

/// Exit reason: the VM entry failed.
pub const ENTRY_FAILURE: u64 = 1 << 31;

/// Vectors of exceptions.
pub mod vector {
    pub const UD: u8 = 6;
    pub const DF: u8 = 8;
    pub const GP: u8 = 13;
    pub const PF: u8 = 14;
    pub const MC: u8 = 18;
    pub const VE: u8 = 20;
    pub const NMI: u8 = 2;
}

bitfield! {
    /// An event: VM-entry and VM-exit interruption information, IDT-vectoring information.
    pub struct Event(u32) {
        31:31 valid;
        /// VM exits only.
        12:12 nmi_unblocking;
        11:11 has_error_code;
        10:8 kind;
        7:0 vector;
    }
}

/// Kinds of events.
pub mod kind {
    pub const NMI: u32 = 2;
    pub const HARDWARE_EXCEPTION: u32 = 3;
}

impl Event {
    /// An event of `kind`, without error code.
    pub const fn new(kind: u32, vector: u8) -> Self {
        Self::from_raw(Self::VALID_MASK | kind << Self::KIND_SHIFT | vector as u32)
    }

    /// An exception of the guest.
    pub const fn exception(vector: u8) -> Self {
        Self::new(kind::HARDWARE_EXCEPTION, vector)
    }

    /// The same event, with an error code.
    pub const fn with_error_code(self) -> Self {
        Self::from_raw(self.into_raw() | Self::HAS_ERROR_CODE_MASK)
    }

    /// Whether there is an event.
    pub const fn is_valid(self) -> bool {
        self.into_raw() & Self::VALID_MASK != 0
    }

    /// Whether this is an event of `kind` with this vector.
    pub const fn is(self, kind: u32, vector: u8) -> bool {
        const MASK: u32 = Event::VALID_MASK | Event::KIND_MASK | Event::VECTOR_MASK;
        self.into_raw() & MASK == Self::new(kind, vector).into_raw()
    }
}

/// Interruptibility state: blocking by STI and by MOV SS, which ends with the next instruction.
pub const BLOCKING_BY_INSTRUCTION: u64 = 3;
/// Interruptibility state: blocking by NMI.
pub const BLOCKING_BY_NMI: u64 = 1 << 3;

/// Pin-based controls: external interrupts and NMIs exit, the guest has virtual NMIs.
pub const PIN_BASED: u64 = 1 << 0 | 1 << 3 | 1 << 5;

/// Primary controls: NMI-window exiting.
pub const NMI_WINDOW_EXITING: u64 = 1 << 22;

/// Primary controls: TSC offset; HLT, MWAIT, RDPMC, all I/O and MONITOR exit; TPR shadow; MSR bitmaps;
/// secondary controls.
pub const PRIMARY: u64 =
    1 << 3 | 1 << 7 | 1 << 10 | 1 << 11 | 1 << 21 | 1 << 24 | 1 << 28 | 1 << 29 | 1 << 31;

/// Secondary controls: EPT, RDTSCP, virtual x2APIC, WBINVD exits, unrestricted guest, APIC-register
/// virtualization, virtual-interrupt delivery, INVPCID, XSAVES, TSC scaling.
pub const SECONDARY: u64 =
    1 << 1 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 12 | 1 << 20 | 1 << 25;

/// VM-exit controls: save debug controls, 64-bit host, acknowledge interrupt, save and load IA32_PAT
/// and IA32_EFER.
pub const EXIT: u64 = 1 << 2 | 1 << 9 | 1 << 15 | 1 << 18 | 1 << 19 | 1 << 20 | 1 << 21;

/// VM-exit controls of a TD with CET: load the host's.
pub const EXIT_CET: u64 = 1 << 28;

/// VM-entry controls: load debug controls, IA32_PAT and IA32_EFER.
pub const ENTRY: u64 = 1 << 2 | 1 << 14 | 1 << 15;
/// VM-entry controls of a TD with CET: load the guest's.
pub const ENTRY_CET: u64 = 1 << 20;
/// VM-entry controls: the guest is in IA-32e mode.
pub const ENTRY_IA32E: u64 = 1 << 9;

bitfield! {
    /// Exit qualification of an EPT violation.
    pub struct EptViolation(u64) {
        12:12 nmi_unblocking;
        7:7 gla_valid;
        5:5 executable;
        4:4 writable;
        3:3 readable;
        2:2 execute;
        1:1 write;
        0:0 read;
    }
}

/// IA32_EFER.
pub mod efer {
    pub const SCE: u64 = 1 << 0;
    pub const LME: u64 = 1 << 8;
    pub const LMA: u64 = 1 << 10;
    pub const NXE: u64 = 1 << 11;
}

/// CR0.
pub mod cr0 {
    pub const PE: u64 = 1 << 0;
    pub const NE: u64 = 1 << 5;
    pub const NW: u64 = 1 << 29;
    pub const CD: u64 = 1 << 30;
    pub const PG: u64 = 1 << 31;
}

/// CR4.
pub mod cr4 {
    pub const PAE: u64 = 1 << 5;
    pub const MCE: u64 = 1 << 6;
    pub const LA57: u64 = 1 << 12;
    pub const VMXE: u64 = 1 << 13;
    pub const SMXE: u64 = 1 << 14;
    pub const OSXSAVE: u64 = 1 << 18;
    pub const KL: u64 = 1 << 19;
    pub const PKE: u64 = 1 << 22;
    pub const CET: u64 = 1 << 23;
    pub const PKS: u64 = 1 << 24;
    pub const UINTR: u64 = 1 << 25;
}

/// Bits of CR0 that the guest does not have to itself, with what it sees of them.
pub const CR0_OWNED: u64 = cr0::NE | cr0::NW | cr0::CD;
/// See [`CR0_OWNED`].
pub const CR0_SEEN: u64 = cr0::NE;

/// Bits of CR4 that the guest does not have to itself, with what it sees of them. One with CET has the bit of
/// that to itself.
pub const CR4_OWNED: u64 =
    cr4::MCE | cr4::VMXE | cr4::SMXE | cr4::KL | cr4::CET | cr4::PKS | cr4::UINTR;
/// See [`CR4_OWNED`].
pub const CR4_SEEN: u64 = cr4::MCE;

/// RFLAGS.TF.
pub const TRAP_FLAG: u64 = 1 << 8;
/// Pending debug exceptions: a single step.
pub const SINGLE_STEP: u64 = 1 << 14;
/// Access rights of SS: the privilege level of the vCPU.
pub const DPL: u64 = 3 << 5;
/// Access rights of CS: 64-bit code.
pub const LONG_CODE: u64 = 1 << 13;
/// IA32_TSC_ADJUST.
pub const TSC_ADJUST: u32 = 0x3B;
/// IA32_XSS.
pub const XSS: u32 = 0xDA0;
