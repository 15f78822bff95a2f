// SPDX-License-Identifier: GPL-2.0

//! The C side of the simulator (`glue.c`, `protect.c`), as `glue.h` declares it.

use super::log;
use kernel::{
    bindings,
    ffi::{
        c_char,
        c_int,
        c_ulong,
        c_void, //
    },
    seq_file::SeqFile,
    seq_print, //
};

/// Facts of the machine that the simulator is told once, at init.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Facts {
    /// Page-table entry bits of a writable kernel mapping of RAM.
    pub(super) pte_flags: u64,
    /// XCR0 and IA32_XSS bits that the CPU has, in one mask.
    pub(super) xfeatures: u64,
    /// Frequency of the time-stamp counter.
    pub(super) tsc_hz: u64,
    /// Code of the SEAMCALL entry of backends.
    pub(super) backend_start: u64,
    /// Length of that code.
    pub(super) backend_size: u64,
    /// Width of physical addresses without the KeyID.
    pub(super) phys_bits: u32,
    /// First private KeyID, the one of the TDX module.
    pub(super) first_private_keyid: u32,
    /// Number of private KeyIDs.
    pub(super) nr_private_keyids: u32,
    /// Number of CPUs that are present.
    pub(super) nr_cpus: u32,
    /// Number of packages.
    pub(super) nr_packages: u32,
    /// CPUID.1:EAX.
    pub(super) cpuid_fms: u32,
    /// Whether the CPU has VMX.
    pub(super) has_vmx: bool,
    /// Whether the CPU has 5-level EPT.
    pub(super) has_ept5: bool,
}

/// What was asked for at boot, see [`Options`](super::model::options::Options).
#[repr(C)]
pub(super) struct Options {
    pub(super) profile: *const c_char,
    pub(super) version: *const c_char,
    pub(super) features: *const c_char,
    pub(super) max_tdmrs: u32,
    pub(super) max_reserved_per_tdmr: u32,
    pub(super) pamt_entry_size: [u32; 3],
    pub(super) tdcs_pages: u32,
    pub(super) tdvps_pages: u32,
}

/// A range of physical memory.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Range {
    /// First byte.
    pub(super) base: u64,
    /// Length in bytes.
    pub(super) size: u64,
}

/// Rules of fault injection that there can be.
#[cfg(CONFIG_TDX_SIM_FAULT_INJECTION)]
pub(super) const FAULT_RULES: usize = 8;

/// Which of its events a rule of fault injection strikes, as `struct fault_attr` has it.
#[cfg(CONFIG_TDX_SIM_FAULT_INJECTION)]
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct FaultWhen {
    /// Each that many.
    pub(super) interval: u32,
    /// Percentage of these.
    pub(super) probability: u32,
    /// Events up to the first one, itself included.
    pub(super) space: i32,
    /// At most that many, -1 for no limit.
    pub(super) times: i32,
}

#[cfg(CONFIG_TDX_SIM_FAULT_INJECTION)]
unsafe extern "C" {
    /// Asks the framework about one event. `rule` has to be below [`FAULT_RULES`].
    pub(super) fn tdx_sim_should_fail(rule: u32) -> bool;

    /// Says which events a rule strikes. `rule` has to be below [`FAULT_RULES`].
    pub(super) fn tdx_sim_set_fault(rule: u32, when: *const FaultWhen);

    /// Stores which events a rule strikes. `rule` has to be below [`FAULT_RULES`].
    pub(super) fn tdx_sim_get_fault(rule: u32, when: *mut FaultWhen);

    /// Makes the framework's directories, and returns the rule of the boot parameter, a string that lives
    /// for ever, with its events; or null.
    pub(super) fn tdx_sim_start_faults(when: *mut FaultWhen) -> *const c_char;
}

unsafe extern "C" {
    /// Fills in the facts.
    pub(super) fn tdx_sim_get_facts(facts: *mut Facts);

    /// Returns the boot parameters. They live for ever, and so do their strings.
    pub(super) safe fn tdx_sim_get_options() -> *const Options;

    /// Returns the value of the parameter `trace`.
    pub(super) safe fn tdx_sim_get_trace() -> bool;

    /// Creates the file `trace` beside those that are in debugfs already.
    pub(super) safe fn tdx_sim_create_trace_file();

    /// Stores up to `max` ranges of RAM, ascending, and returns how many.
    pub(super) fn tdx_sim_get_ram(ranges: *mut Range, max: u32) -> u32;

    /// Reserves kernel addresses for `nr` pages, stores a pointer to the page-table entry of each, and
    /// returns the first address, or null.
    pub(super) fn tdx_sim_map_windows(nr: c_ulong, ptes: *mut *mut u64) -> *mut c_void;

    /// Returns the package of a CPU. `cpu` has to be a possible CPU.
    pub(super) fn tdx_sim_package(cpu: u32) -> u32;

    /// Returns whether the local APIC holds a deliverable interrupt.
    pub(super) safe fn tdx_sim_interrupt_pending() -> bool;

    /// Stores a random number, or returns `false`.
    pub(super) fn tdx_sim_random(value: *mut u64) -> bool;

    /// Gets ready to keep the host out of memory, if a parameter asks for it. To be called once.
    pub(super) safe fn tdx_sim_start_protection() -> c_int;

    /// Takes pages from the direct map or puts them back, if a parameter asks for it. Memory that is not
    /// there is left alone.
    ///
    /// What is taken has to be in TDX hands, where no Rust reference to it can be, and interrupts must be off.
    pub(super) fn tdx_sim_set_host_access(pa: u64, nr_pages: u64, allowed: bool);
}

/// Called by `glue.c` once, before the first SEAMCALL.
#[no_mangle]
extern "C" fn tdx_sim_start() -> c_int {
    match super::trap::start() {
        Ok(()) => 0,
        Err(e) => e.to_errno(),
    }
}

/// Called by `protect.c` on a page fault in the direct map.
#[no_mangle]
extern "C" fn tdx_sim_report_access(pa: u64, write: bool) -> bool {
    super::protect::report(pa, write)
}

/// Called by `glue.c`: number of pieces of the trace.
#[no_mangle]
extern "C" fn tdx_sim_trace_pieces() -> u64 {
    log::trace_pieces()
}

/// Called by `glue.c`: prints a piece of the trace.
///
/// # Safety
///
/// `m` must be valid, and used by nothing else.
#[no_mangle]
unsafe extern "C" fn tdx_sim_trace_show(m: *mut bindings::seq_file, piece: u64) {
    // SAFETY: By the requirements of this function.
    let m = unsafe { SeqFile::from_raw(m) };
    // The kernel has a `Display` of its own, which the standard one is not.
    seq_print!(m, "{}", format_args!("{}", log::show_trace(piece)));
}

/// Called by `glue.c` on a #UD in kernel mode. What it returns is for the chain of die notifiers.
///
/// # Safety
///
/// `regs` must be the registers at the exception, not used by anything else, `cpu` the number of this CPU, and
/// interrupts must be off.
#[no_mangle]
unsafe extern "C" fn tdx_sim_trap(regs: *mut bindings::pt_regs, cpu: u32) -> c_int {
    // SAFETY: By the requirements of this function.
    if unsafe { super::trap::handle(&mut *regs, cpu) } {
        bindings::NOTIFY_STOP as c_int
    } else {
        bindings::NOTIFY_DONE as c_int
    }
}
