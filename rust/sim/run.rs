// SPDX-License-Identifier: GPL-2.0

//! The machine under a running TD: VM entries and exits of this CPU, in the place of SEAM VMX root
//! operation.
//!
//! The state of a vCPU is in its TDVPS. Each entry fills a VMCS that belongs to the CPU from there, and each
//! exit brings back what has changed, so that a vCPU can go to another CPU at any time. GPAs are translated
//! by the tables that are there: the secure EPT, whose entries have the form of EPT entries, and KVM's
//! tables for shared memory. Only their two roots are merged, in a page that belongs to the CPU.

mod ffi;
mod guest;
mod root;
mod td_vmcs;
mod vmx;

use super::{
    cpu,
    ffi::Facts,
    model::{
        metadata::vmcs::fields as vmcs,
        platform::{
            Abilities,
            Platform, //
        },
        run::state::{
            self,
            Vmcs,
            ADDRESSES,
            CET, //
            ENTRY,
            EXIT,
            GUEST_CET,
            GUEST_STATE,
        },
        tdcs::{
            self,
            Tdcs, //
        },
        tdvps::{
            fields,
            Tdvps, //
        },
        vmx::{
            efer,
            reason::{
                EPT_VIOLATION,
                INVALID_GUEST_STATE, //
            },
            ENTRY_CET,
            ENTRY_FAILURE,
            ENTRY_IA32E, //
        }, //
    },
    platform::Machine,
};
use crate::abi::Level;
use core::cell::Cell;
use kernel::prelude::*;
use root::merge_roots;
use td_vmcs::TdVmcs;
use vmx::{
    host,
    vmread,
    vmwrite,
    Capabilities,
    Current, //
};

/// MSRs of the host that a VM exit loads.
const EFER: u32 = 0xC000_0080;
const PAT: u32 = 0x277;
const SYSENTER_CS: u32 = 0x174;
const SYSENTER_ESP: u32 = 0x175;
const SYSENTER_EIP: u32 = 0x176;
const FS_BASE: u32 = 0xC000_0100;
const GS_BASE: u32 = 0xC000_0101;
const S_CET: u32 = 0x6A2;
const INTERRUPT_SSP_TABLE: u32 = 0x6A8;

const PAGE_WORDS: usize = Level::ENTRIES as usize;

/// What a CPU has for running TDs.
///
/// # Invariants
///
/// The pages are its own; `vmcs` is a VMCS that is not active.
struct Cpu {
    vmcs: u64,
    root: *mut [u64; PAGE_WORDS],
    root_pa: u64,
    td_vmcs: *mut td_vmcs::Words,
    xsave: *mut [u64; guest::XSAVE_WORDS],
    init: *mut [u64; guest::INIT_WORDS],
    displaced: Cell<guest::Displaced>,
    /// The TDVPR of the vCPU that it ran last.
    last: Cell<u64>,
}

/// What all CPUs have for running TDs.
pub(super) struct Runner {
    cpus: KVec<Cpu>,
    capabilities: Capabilities,
    /// Width of physical addresses, KeyIDs included.
    pa_width: u32,
}

// SAFETY: What belongs to a CPU is used on that CPU only, with interrupts off.
unsafe impl Send for Runner {}
// SAFETY: As above.
unsafe impl Sync for Runner {}

fn pages<T>() -> Result<(*mut T, u64)> {
    let mut pa = 0;
    // SAFETY: `pa` is ours.
    let pages = unsafe { ffi::tdx_sim_alloc_pages(size_of::<T>() as u64, &mut pa) };
    if pages.is_null() {
        return Err(ENOMEM);
    }
    Ok((pages.cast(), pa))
}

impl Cpu {
    fn new(revision: u32) -> Result<Self> {
        let (vmcs, vmcs_pa) = pages::<[u64; PAGE_WORDS]>()?;
        let (root, root_pa) = pages()?;
        // SAFETY: The page is ours.
        unsafe { vmcs.cast::<u32>().write(revision) };
        // INVARIANT: Nothing else has the pages.
        Ok(Self {
            vmcs: vmcs_pa,
            root,
            root_pa,
            td_vmcs: pages()?.0,
            xsave: pages()?.0,
            init: pages()?.0,
            displaced: Cell::default(),
            last: Cell::new(u64::MAX),
        })
    }
}

impl Runner {
    /// Gets ready to run TDs, if the CPU has VMX and all of it that every TD needs.
    pub(super) fn new(facts: &Facts) -> Result<Option<Self>> {
        const MAX_PHYS_ADDR: u32 = 0x8000_0008;

        let Some(capabilities) = facts.has_vmx.then(Capabilities::read).flatten() else {
            return Ok(None);
        };
        let nr_cpus = kernel::cpu::nr_cpu_ids() as usize;
        let mut cpus = KVec::with_capacity(nr_cpus, GFP_KERNEL)?;
        for _ in 0..nr_cpus {
            cpus.push(Cpu::new(capabilities.revision)?, GFP_KERNEL)?;
        }
        let [eax, ..] = cpu::cpuid(MAX_PHYS_ADDR, 0);
        Ok(Some(Self {
            cpus,
            capabilities,
            pa_width: eax & 0xFF,
        }))
    }

    /// See [`Platform::abilities`].
    pub(super) fn abilities(&self) -> Abilities {
        Abilities {
            pa_width: self.pa_width,
            ept5: self.capabilities.ept5,
        }
    }

    /// Extended features that VMX does not switch: no TD can have them.
    pub(super) fn not_switched(&self) -> u64 {
        if self.capabilities.cet {
            0
        } else {
            CET
        }
    }

    /// What belongs to this CPU.
    fn this_cpu(&self, machine: &Machine<'_>) -> Option<&Cpu> {
        self.cpus.get(machine.cpu() as usize)
    }

    /// See [`Platform::load_guest`].
    pub(super) fn load_guest(
        &self,
        machine: &Machine<'_>,
        tdcs: &Tdcs<'_, Machine<'_>>,
        tdvps: &Tdvps<'_, Machine<'_>>,
    ) {
        if let Some(cpu) = self.this_cpu(machine) {
            guest::load(machine, cpu, tdcs, tdvps);
            merge_roots(machine, cpu, tdcs, tdvps);
        }
    }

    /// See [`Platform::save_guest`].
    pub(super) fn save_guest(
        &self,
        machine: &Machine<'_>,
        tdcs: &Tdcs<'_, Machine<'_>>,
        tdvps: &Tdvps<'_, Machine<'_>>,
    ) {
        if let Some(cpu) = self.this_cpu(machine) {
            guest::save(machine, cpu, tdcs, tdvps);
        }
    }

    /// Runs `f`, which may use vector registers as the kernel does.
    pub(super) fn with_host_state<R>(&self, machine: &Machine<'_>, f: impl FnOnce() -> R) -> R {
        match self.this_cpu(machine) {
            Some(cpu) => guest::aside(cpu, f),
            None => f(),
        }
    }

    /// See [`Platform::run`].
    pub(super) fn run(
        &self,
        machine: &Machine<'_>,
        tdcs: &Tdcs<'_, Machine<'_>>,
        tdvps: &Tdvps<'_, Machine<'_>>,
        flush: bool,
    ) {
        let Some(cpu) = self.this_cpu(machine) else {
            return;
        };
        // SAFETY: The memory is this CPU's, and nothing else refers to it now.
        let words = unsafe { &mut *cpu.td_vmcs };
        let mut td_vmcs = TdVmcs::load(machine, tdvps, words);
        if td_vmcs.get(vmcs::EXIT_REASON) == EPT_VIOLATION.into() {
            // It may have been the root that was out of date.
            merge_roots(machine, cpu, tdcs, tdvps);
        }
        let eptp = cpu.root_pa | tdcs.get(tdcs::fields::EPTP) & root::CONTROLS;

        // SAFETY: A SEAMCALL comes from VMX operation, with interrupts off while the machine is there, and the
        // VMCS is this CPU's.
        let current = unsafe { Current::new(cpu.vmcs) };
        let mut host = ffi::Host::default();
        // SAFETY: `host` is ours.
        unsafe { ffi::tdx_sim_save_host(&mut host) };
        write_host(&host);
        if !cet_state(&td_vmcs).is_empty() {
            write_host_cet();
        }
        self.write_guest(machine, &td_vmcs, eptp);

        let tdvpr = tdvps.page(0);
        if cpu.last.replace(tdvpr) != tdvpr || flush {
            // SAFETY: The CPU is in VMX operation, and was found to have it.
            unsafe { vmx::invept(eptp) };
        }

        let mut regs = [0; 16];
        machine.read_words(registers_pa(tdvps), &mut regs);
        guest::enable(
            tdvps.get(fields::XCR0) | state::X87,
            tdvps.get(fields::IA32_XSS),
        );
        // SAFETY: What was in it belongs to whoever takes page faults with interrupts off: nobody.
        unsafe { cpu::set_cr2(tdvps.get(fields::CR2)) };
        // SAFETY: The VMCS is current, and has been filled in for this.
        let failed = unsafe { ffi::tdx_sim_vmenter(&mut regs) };
        tdvps.set(fields::CR2, cpu::cr2());
        if failed {
            refuse(&mut td_vmcs);
        } else {
            // SAFETY: This was a VM exit.
            unsafe { ffi::tdx_sim_restore_host(&host) };
            read_guest(&mut td_vmcs);
        }
        drop(current);
        machine.write_words(registers_pa(tdvps), &regs);
        td_vmcs.store(machine);
    }

    /// Fills in the VMCS from the vCPU's state.
    fn write_guest(&self, machine: &Machine<'_>, td_vmcs: &TdVmcs<'_>, eptp: u64) {
        const PIN_BASED: u32 = 0x4000;
        const PRIMARY: u32 = 0x4002;
        const EXIT_CONTROLS: u32 = 0x400C;
        const ENTRY_CONTROLS: u32 = 0x4012;
        const SECONDARY: u32 = 0x401E;
        const EPTP: u32 = 0x201A;

        let mask = machine.config().memory_mask();
        let fixed = &self.capabilities.fixed;
        let long = if td_vmcs.get(vmcs::IA32_EFER) & efer::LMA == 0 {
            0
        } else {
            ENTRY_IA32E
        };
        let controls = [
            (PIN_BASED, vmcs::PIN_BASED_CONTROLS, fixed.pin_based),
            (
                PRIMARY,
                vmcs::PRIMARY_PROCESSOR_BASED_CONTROLS,
                fixed.primary,
            ),
            (
                SECONDARY,
                vmcs::SECONDARY_PROCESSOR_BASED_CONTROLS,
                fixed.secondary,
            ),
            (EXIT_CONTROLS, vmcs::VM_EXIT_CONTROLS, fixed.exit),
            (ENTRY_CONTROLS, vmcs::VM_ENTRY_CONTROLS, fixed.entry | long),
        ];
        let write = |field, value| {
            // SAFETY: Our VMCS is current. What a guest may do is decided by the module, and host state is
            // written elsewhere.
            unsafe { vmwrite(field, value) };
        };
        for (field, place, fixed) in controls {
            write(field, td_vmcs.get(place) | fixed);
        }
        for field in [GUEST_STATE, cet_state(td_vmcs), ENTRY]
            .into_iter()
            .flatten()
        {
            write(field.encoding, td_vmcs.get(field.place));
        }
        for field in ADDRESSES {
            write(field.encoding, td_vmcs.get(field.place) & mask);
        }
        write(EPTP, eptp);
    }
}

/// The CPU refuses what it had promised: says so once, and lets it be a VM entry that failed.
fn refuse(td_vmcs: &mut TdVmcs<'_>) {
    const VM_INSTRUCTION_ERROR: u32 = 0x4400;
    // SAFETY: Our VMCS is current.
    let error = unsafe { vmread(VM_INSTRUCTION_ERROR) };
    kernel::pr_err_once!("the CPU refuses to enter a TD: VM-instruction error {error}\n");
    let reason = ENTRY_FAILURE | u64::from(INVALID_GUEST_STATE);
    td_vmcs.set(vmcs::EXIT_REASON, reason);
}

/// Where a VM exit brings the CPU: to the host as it is now.
fn write_host(state: &ffi::Host) {
    let fields = [
        (host::CS_SELECTOR, u64::from(state.cs)),
        (host::SS_SELECTOR, u64::from(state.ss)),
        (host::DS_SELECTOR, 0),
        (host::ES_SELECTOR, 0),
        (host::FS_SELECTOR, 0),
        (host::GS_SELECTOR, 0),
        (host::TR_SELECTOR, u64::from(state.tr)),
        (host::TR_BASE, state.tr_base),
        (host::GDTR_BASE, state.gdt_base),
        (host::IDTR_BASE, state.idt_base),
        (host::FS_BASE, cpu::rdmsr(FS_BASE)),
        (host::GS_BASE, cpu::rdmsr(GS_BASE)),
        (host::CR0, cpu::cr0()),
        (host::CR3, cpu::cr3()),
        (host::CR4, cpu::cr4()),
        (host::EFER, cpu::rdmsr(EFER)),
        (host::PAT, cpu::rdmsr(PAT)),
        (host::SYSENTER_CS, cpu::rdmsr(SYSENTER_CS)),
        (host::SYSENTER_ESP, cpu::rdmsr(SYSENTER_ESP)),
        (host::SYSENTER_EIP, cpu::rdmsr(SYSENTER_EIP)),
        (host::RIP, ffi::tdx_sim_vmexit as usize as u64),
    ];
    for (field, value) in fields {
        // SAFETY: Our VMCS is current, and this is what the host is now.
        unsafe { vmwrite(field, value) };
    }
}

/// The same for CET. The kernel has no shadow stack.
fn write_host_cet() {
    let fields = [
        (host::S_CET, cpu::rdmsr(S_CET)),
        (host::SSP, 0),
        (host::INTERRUPT_SSP_TABLE, cpu::rdmsr(INTERRUPT_SSP_TABLE)),
    ];
    for (field, value) in fields {
        // SAFETY: As in `write_host`.
        unsafe { vmwrite(field, value) };
    }
}

/// The state of CET, if the guest has that.
fn cet_state(td_vmcs: &TdVmcs<'_>) -> &'static [Vmcs] {
    if td_vmcs.get(vmcs::VM_ENTRY_CONTROLS) & ENTRY_CET == 0 {
        &[]
    } else {
        GUEST_CET
    }
}

/// Brings back what the guest has changed, and what the exit tells.
fn read_guest(td_vmcs: &mut TdVmcs<'_>) {
    for field in [GUEST_STATE, cet_state(td_vmcs), EXIT]
        .into_iter()
        .flatten()
    {
        // SAFETY: Our VMCS is current.
        td_vmcs.set(field.place, unsafe { vmread(field.encoding) });
    }
}

/// Where the general-purpose registers of the vCPU are, by their numbers. That of RSP is never used.
fn registers_pa(tdvps: &Tdvps<'_, Machine<'_>>) -> u64 {
    tdvps.page(0) | u64::from(fields::RAX.offset)
}

/// Reads an MSR; 0 if the CPU does not have it.
pub(super) fn msr(msr: u32) -> u64 {
    ffi::tdx_sim_rdmsr(msr)
}
