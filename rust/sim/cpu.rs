// SPDX-License-Identifier: GPL-2.0

//! The few instructions that the simulator needs.

use core::arch::{
    asm,
    x86_64::__cpuid_count, //
};
use kernel::bindings;

/// CR4 bit that allows VMX operation.
const CR4_VMXE: u64 = 1 << 13;

/// Reads CPUID: EAX, EBX, ECX and EDX.
pub(super) fn cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
    // SAFETY: All 64-bit CPUs have the instruction, and it only writes to registers.
    let result = unsafe { __cpuid_count(leaf, subleaf) };
    [result.eax, result.ebx, result.ecx, result.edx]
}

/// Whether CR4 allows VMX operation on this CPU.
///
/// Linux sets CR4.VMXE right before VMXON and clears it right after VMXOFF (arch/x86/virt/hw.c), so this
/// also tells whether the CPU is in VMX operation.
#[inline]
pub(super) fn in_vmx_operation() -> bool {
    let cr4: u64;
    // SAFETY: Reading CR4 has no side effects.
    unsafe { asm!("mov {}, cr4", out(reg) cr4, options(nomem, nostack, preserves_flags)) };
    cr4 & CR4_VMXE != 0
}

/// Forgets this CPU's translations of the page at `address`.
///
/// # Safety
///
/// This CPU must hold no reference to memory that it reached by the old translation.
#[inline]
pub(super) unsafe fn invlpg(address: *mut u8) {
    // SAFETY: Dropping a translation only makes the CPU read the page tables again. The memory clobber (no
    // `nomem`) keeps accesses by the new translation behind it.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

/// Number of the CPU that this runs on, for as long as it stays there.
pub(super) fn this_cpu() -> u32 {
    // SAFETY: This is always safe to call.
    unsafe { bindings::raw_smp_processor_id() as u32 }
}
