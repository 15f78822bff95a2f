// SPDX-License-Identifier: GPL-2.0

//! The C and assembler side of running a TD (`host.c`, `vmenter.S`), as `host.h` declares it.

use kernel::ffi::c_void;

/// What a VM exit does not bring back by itself.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Host {
    pub(super) gdt_base: u64,
    pub(super) idt_base: u64,
    pub(super) tr_base: u64,
    pub(super) gdt_limit: u16,
    pub(super) idt_limit: u16,
    pub(super) ldtr: u16,
    pub(super) tr: u16,
    pub(super) cs: u16,
    pub(super) ss: u16,
    pub(super) ds: u16,
    pub(super) es: u16,
    pub(super) fs: u16,
    pub(super) gs: u16,
}

unsafe extern "C" {
    /// Returns zeroed pages that stay, and stores where they are; null if there are none.
    pub(super) fn tdx_sim_alloc_pages(size: u64, pa: *mut u64) -> *mut c_void;

    /// Stores what a VM exit does not bring back. Interrupts must be off from here on.
    pub(super) fn tdx_sim_save_host(host: *mut Host);

    /// Brings it back, after a VM exit on the same CPU.
    pub(super) fn tdx_sim_restore_host(host: *const Host);

    /// Loads the features of `mask` from an XSAVE area; `false` if the CPU refuses what is in it.
    pub(super) fn tdx_sim_load_xstate(xsave: *const c_void, mask: u64) -> bool;

    /// Saves the features of `mask` to an XSAVE area.
    pub(super) fn tdx_sim_save_xstate(xsave: *mut c_void, mask: u64);

    /// Reads an MSR; 0 if the CPU does not have it.
    pub(super) safe fn tdx_sim_rdmsr(msr: u32) -> u64;

    /// Enters the guest of the current VMCS with these registers and stores those at the exit; `true` if
    /// there was no entry.
    ///
    /// The VMCS must be one whose exit is to [`tdx_sim_vmexit`] on this CPU's stack.
    pub(super) fn tdx_sim_vmenter(regs: *mut [u64; 16]) -> bool;

    /// Where the exit goes: not to be called.
    pub(super) fn tdx_sim_vmexit();
}
