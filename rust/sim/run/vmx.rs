// SPDX-License-Identifier: GPL-2.0

//! The VMX instructions and the capabilities of the CPU.

use crate::sim::{
    cpu::rdmsr,
    model::vmx, //
};
use core::arch::asm;

/// VMCS fields of the host, which the TD VMCS does not have. Intel SDM, volume 3, appendix B.
pub(super) mod host {
    pub(crate) const ES_SELECTOR: u32 = 0xC00;
    pub(crate) const CS_SELECTOR: u32 = 0xC02;
    pub(crate) const SS_SELECTOR: u32 = 0xC04;
    pub(crate) const DS_SELECTOR: u32 = 0xC06;
    pub(crate) const FS_SELECTOR: u32 = 0xC08;
    pub(crate) const GS_SELECTOR: u32 = 0xC0A;
    pub(crate) const TR_SELECTOR: u32 = 0xC0C;
    pub(crate) const PAT: u32 = 0x2C00;
    pub(crate) const EFER: u32 = 0x2C02;
    pub(crate) const SYSENTER_CS: u32 = 0x4C00;
    pub(crate) const CR0: u32 = 0x6C00;
    pub(crate) const CR3: u32 = 0x6C02;
    pub(crate) const CR4: u32 = 0x6C04;
    pub(crate) const FS_BASE: u32 = 0x6C06;
    pub(crate) const GS_BASE: u32 = 0x6C08;
    pub(crate) const TR_BASE: u32 = 0x6C0A;
    pub(crate) const GDTR_BASE: u32 = 0x6C0C;
    pub(crate) const IDTR_BASE: u32 = 0x6C0E;
    pub(crate) const SYSENTER_ESP: u32 = 0x6C10;
    pub(crate) const SYSENTER_EIP: u32 = 0x6C12;
    pub(crate) const RIP: u32 = 0x6C16;
    pub(crate) const S_CET: u32 = 0x6C18;
    pub(crate) const SSP: u32 = 0x6C1A;
    pub(crate) const INTERRUPT_SSP_TABLE: u32 = 0x6C1C;
}

/// No VMCS is current.
const NO_VMCS: u64 = u64::MAX;

/// Reads a field of the current VMCS; 0 if the CPU does not have it.
///
/// # Safety
///
/// A VMCS of ours must be current.
#[inline]
pub(super) unsafe fn vmread(field: u32) -> u64 {
    let mut value: u64 = 0;
    // SAFETY: A VMCS is current; a field that the CPU does not have only changes flags.
    unsafe {
        asm!("vmread {}, {}", inout(reg) value, in(reg) u64::from(field), options(nostack, nomem))
    };
    value
}

/// Writes a field of the current VMCS. What the CPU does not have is no loss: the controls that need it
/// were asked for before.
///
/// # Safety
///
/// A VMCS of ours must be current, and the value must be good for the machine that the next VM entry
/// makes.
#[inline]
pub(super) unsafe fn vmwrite(field: u32, value: u64) {
    // SAFETY: By the requirements of this function.
    unsafe {
        asm!("vmwrite {}, {}", in(reg) u64::from(field), in(reg) value, options(nostack, nomem))
    };
}

/// The VMCS of this CPU, made current in the place of KVM's until this is dropped.
///
/// # Invariants
///
/// This CPU is in VMX operation, has interrupts off, and the VMCS at `ours` is its current one.
pub(super) struct Current {
    ours: u64,
    before: u64,
}

impl Current {
    /// Makes the VMCS at `ours` current, cleared.
    ///
    /// # Safety
    ///
    /// `ours` must be the physical address of a VMCS that only this CPU uses, the CPU in VMX operation, and
    /// interrupts off as long as the result lives.
    pub(super) unsafe fn new(ours: u64) -> Self {
        let mut before: u64 = 0;
        // SAFETY: The CPU is in VMX operation, and `before` is ours.
        unsafe { asm!("vmptrst [{}]", in(reg) &mut before, options(nostack)) };
        // SAFETY: By the requirements of this function.
        unsafe { clear(ours) };
        // SAFETY: By the requirements of this function.
        unsafe { load(ours) };
        // INVARIANT: It is current now.
        Self { ours, before }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        // SAFETY: By the type invariants. No VMCS is current then.
        unsafe { clear(self.ours) };
        if self.before != NO_VMCS {
            // SAFETY: It was current before, and is still active on this CPU.
            unsafe { load(self.before) };
        }
    }
}

/// # Safety
///
/// `vmcs` must be the physical address of a VMCS that may be cleared.
unsafe fn clear(vmcs: u64) {
    // SAFETY: By the requirements of this function.
    unsafe { asm!("vmclear [{}]", in(reg) &vmcs, options(nostack)) };
}

/// # Safety
///
/// `vmcs` must be the physical address of a VMCS that is not active on another CPU.
unsafe fn load(vmcs: u64) {
    // SAFETY: By the requirements of this function.
    unsafe { asm!("vmptrld [{}]", in(reg) &vmcs, options(nostack)) };
}

/// Forgets the translations that this CPU has made with an EPT pointer.
///
/// # Safety
///
/// The CPU must be in VMX operation and have INVEPT.
pub(super) unsafe fn invept(eptp: u64) {
    /// Of a single context.
    const SINGLE: u64 = 1;
    let descriptor = [eptp, 0];
    // SAFETY: Forgetting translations only makes the CPU read the tables again.
    unsafe { asm!("invept {}, [{}]", in(reg) SINGLE, in(reg) &descriptor, options(nostack)) };
}

const VMX_BASIC: u32 = 0x480;
const VMX_EPT_VPID_CAP: u32 = 0x48C;

/// A set of controls: its MSR that tells which can be 0 and 1, with IA32_VMX_BASIC bit 55 and without.
struct Controls {
    required: u64,
    msr: u32,
    true_msr: u32,
}

/// The controls that a TD runs under, in the order of [`Fixed`]'s fields.
const CONTROLS: [Controls; 5] = [
    Controls {
        required: vmx::PIN_BASED,
        msr: 0x481,
        true_msr: 0x48D,
    },
    Controls {
        required: vmx::PRIMARY,
        msr: 0x482,
        true_msr: 0x48E,
    },
    Controls {
        required: vmx::SECONDARY,
        msr: 0x48B,
        true_msr: 0x48B,
    },
    Controls {
        required: vmx::EXIT,
        msr: 0x483,
        true_msr: 0x48F,
    },
    Controls {
        required: vmx::ENTRY,
        msr: 0x484,
        true_msr: 0x490,
    },
];

/// What the CPU wants to be 1 in VMCS fields of controls, whatever they are for.
#[derive(Clone, Copy, Default)]
pub(super) struct Fixed {
    pub(super) pin_based: u64,
    pub(super) primary: u64,
    pub(super) secondary: u64,
    pub(super) exit: u64,
    pub(super) entry: u64,
}

/// What the CPU says about VMX; `None` if it lacks what a TD needs.
#[derive(Clone, Copy)]
pub(super) struct Capabilities {
    /// The first word of a VMCS.
    pub(super) revision: u32,
    /// See [`Fixed`].
    pub(super) fixed: Fixed,
    /// IA32_VMX_EPT_VPID_CAP bit 7: EPT with 5 levels.
    pub(super) ept5: bool,
    /// VMX switches the state of CET.
    pub(super) cet: bool,
}

impl Capabilities {
    /// Asks a CPU that has VMX.
    pub(super) fn read() -> Option<Self> {
        /// 4-level EPT, write-back, 2M pages, INVEPT of a single context.
        const EPT: u64 = 1 << 6 | 1 << 14 | 1 << 16 | 1 << 20 | 1 << 25;
        const EPT5: u64 = 1 << 7;
        const TRUE_CONTROLS: u64 = 1 << 55;

        let basic = rdmsr(VMX_BASIC);
        let ept = rdmsr(VMX_EPT_VPID_CAP);
        if ept & EPT != EPT {
            return None;
        }
        let mut allowed = [0; CONTROLS.len()];
        for (allowed, controls) in allowed.iter_mut().zip(&CONTROLS) {
            let msr = if basic & TRUE_CONTROLS == 0 {
                controls.msr
            } else {
                controls.true_msr
            };
            *allowed = rdmsr(msr);
            if controls.required & !(*allowed >> 32) != 0 {
                return None;
            }
        }
        let [pin_based, primary, secondary, exit, entry] =
            allowed.map(|allowed| allowed & u64::from(u32::MAX));
        let [.., can_exit, can_enter] = allowed.map(|allowed| allowed >> 32);
        Some(Self {
            revision: basic as u32 & !(1 << 31),
            fixed: Fixed {
                pin_based,
                primary,
                secondary,
                exit,
                entry,
            },
            ept5: ept & EPT5 != 0,
            cet: can_exit & vmx::EXIT_CET != 0 && can_enter & vmx::ENTRY_CET != 0,
        })
    }
}
