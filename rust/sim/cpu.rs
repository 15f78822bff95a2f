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
    cr4() & CR4_VMXE != 0
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

/// Reads an MSR that the CPU is known to have.
#[inline]
pub(super) fn rdmsr(msr: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: Reading an MSR has no side effects.
    unsafe {
        asm!(
            "rdmsr",
            in("ecx") msr,
            out("eax") low,
            out("edx") high,
            options(nomem, nostack, preserves_flags)
        )
    };
    u64::from(low) | u64::from(high) << 32
}

/// Writes an MSR.
///
/// # Safety
///
/// The CPU must have the MSR, and the kernel must be able to live with the value.
#[inline]
pub(super) unsafe fn wrmsr(msr: u32, value: u64) {
    // SAFETY: By the requirements of this function.
    unsafe {
        asm!(
            "wrmsr",
            in("ecx") msr,
            in("eax") value as u32,
            in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags)
        )
    };
}

/// The features that XSAVE and the instructions behind them have.
#[inline]
pub(super) fn xcr0() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: Reading the register has no side effects; all CPUs with RDRAND have it, and Linux uses it.
    unsafe {
        asm!(
            "xgetbv",
            in("ecx") 0,
            out("eax") low,
            out("edx") high,
            options(nomem, nostack, preserves_flags)
        )
    };
    u64::from(low) | u64::from(high) << 32
}

/// Chooses the features that XSAVE and the instructions behind them have.
///
/// # Safety
///
/// The CPU must have them, and the kernel must be able to live with that.
#[inline]
pub(super) unsafe fn set_xcr0(value: u64) {
    // SAFETY: By the requirements of this function.
    unsafe {
        asm!(
            "xsetbv",
            in("ecx") 0,
            in("eax") value as u32,
            in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags)
        )
    };
}

macro_rules! readable {
    ($($register:ident)*) => {
        $(
            #[doc = concat!("Reads the register ", stringify!($register), ".")]
            #[inline]
            pub(super) fn $register() -> u64 {
                let value: u64;
                // SAFETY: Reading the register has no side effects.
                unsafe {
                    asm!(
                        concat!("mov {}, ", stringify!($register)),
                        out(reg) value,
                        options(nomem, nostack, preserves_flags)
                    )
                };
                value
            }
        )*
    };
}

readable!(cr0 cr2 cr3 cr4 dr0 dr1 dr2 dr3 dr6);

macro_rules! writable {
    ($($register:ident $set:ident;)*) => {
        $(
            #[doc = concat!("Writes the register ", stringify!($register), ".")]
            ///
            /// # Safety
            ///
            /// The kernel must be able to live with the value.
            #[inline]
            pub(super) unsafe fn $set(value: u64) {
                // SAFETY: By the requirements of this function.
                unsafe {
                    asm!(
                        concat!("mov ", stringify!($register), ", {}"),
                        in(reg) value,
                        options(nostack, preserves_flags)
                    )
                };
            }
        )*
    };
}

writable! {
    cr2 set_cr2;
    dr0 set_dr0;
    dr1 set_dr1;
    dr2 set_dr2;
    dr3 set_dr3;
    dr6 set_dr6;
}

macro_rules! xmms {
    ($($number:literal)*) => {
        /// Reads an XMM register; 0 for one that there is not.
        pub(super) fn xmm(number: u32) -> [u64; 2] {
            let mut value = [0u64; 2];
            match number {
                $(
                    // SAFETY: `value` is ours.
                    $number => unsafe {
                        asm!(
                            concat!("movdqu [{}], xmm", $number),
                            in(reg) &mut value,
                            options(nostack, preserves_flags)
                        )
                    },
                )*
                _ => (),
            }
            value
        }

        /// Writes an XMM register.
        ///
        /// # Safety
        ///
        /// Whoever has something in it must expect that.
        pub(super) unsafe fn set_xmm(number: u32, value: [u64; 2]) {
            match number {
                $(
                    // SAFETY: By the requirements of this function.
                    $number => unsafe {
                        asm!(
                            concat!("movdqu xmm", $number, ", [{}]"),
                            in(reg) &value,
                            options(nostack, preserves_flags)
                        )
                    },
                )*
                _ => (),
            }
        }
    };
}

xmms!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
