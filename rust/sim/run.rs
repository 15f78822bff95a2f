// SPDX-License-Identifier: GPL-2.0

//! The machine under a running TD: VM entries and exits of this CPU, in the place of SEAM VMX root
//! operation.
//!
//! The state of a vCPU is in its TDVPS. Each entry fills a VMCS that belongs to the CPU from there, and each
//! exit brings back what has changed, so that a vCPU can go to another CPU at any time. GPAs are translated
//! by the tables that are there: the secure EPT, whose entries have the form of EPT entries, and KVM's
//! tables for shared memory. Only their two roots are merged, in a page that belongs to the CPU.

mod ffi;
mod vmx;

use super::{
    cpu,
    ffi::Facts,
    model::{
        metadata::vmcs::fields as vmcs,
        platform::{
            Platform,
            Unable, //
        },
        run::state::{
            self,
            ADDRESSES,
            DR6,
            ENTRY,
            EXIT,
            GUEST_STATE,
            MSRS,
            XCR0_MASK,
            XSS_MASK, //
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
            reason::INVALID_GUEST_STATE,
            ENTRY_FAILURE,
            ENTRY_IA32E, //
        }, //
    },
    platform::Machine,
};
use crate::abi::Level;
use core::cell::Cell;
use kernel::prelude::*;
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
/// MSRs that are switched around the guest besides [`MSRS`].
const DEBUGCTL: u32 = 0x1D9;
const XSS: u32 = 0xDA0;

/// IA32_DEBUGCTL bits that an exit keeps: BTF, FREEZE_PERFMON_ON_PMI, FREEZE_WHILE_SMM.
const DEBUGCTL_KEPT: u64 = 1 << 1 | 1 << 12 | 1 << 14;

const PAGE_WORDS: usize = Level::ENTRIES as usize;

/// Words of the XSAVE area of a vCPU, and the pages that they are in.
const XSAVE_WORDS: usize = 1536;
/// Words of the header of an XSAVE area: which features are there, and the format.
const XSTATE_BV: usize = 64;
const XCOMP_BV: usize = 65;
const HEADER_END: usize = 72;
/// XCOMP_BV: the compacted format.
const COMPACTED: u64 = 1 << 63;
/// An XSAVE area with nothing in it.
const INIT_WORDS: usize = HEADER_END;

/// What a CPU has for running TDs.
///
/// # Invariants
///
/// The pages are its own; `vmcs` is a VMCS that is not active.
struct Cpu {
    vmcs: u64,
    root: *mut [u64; PAGE_WORDS],
    root_pa: u64,
    xsave: *mut [u64; XSAVE_WORDS],
    init: *mut [u64; INIT_WORDS],
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
            xsave: pages()?.0,
            init: pages()?.0,
            last: Cell::new(u64::MAX),
        })
    }
}

impl Runner {
    /// Gets ready to run TDs; tells why if this machine cannot.
    pub(super) fn new(facts: &Facts) -> Result<Result<Self, Unable>> {
        const MAX_PHYS_ADDR: u32 = 0x8000_0008;

        let Some(capabilities) = facts.has_vmx.then(Capabilities::read).flatten() else {
            return Ok(Err(Unable::Vmx));
        };
        let nr_cpus = kernel::cpu::nr_cpu_ids() as usize;
        let mut cpus = KVec::with_capacity(nr_cpus, GFP_KERNEL)?;
        for _ in 0..nr_cpus {
            cpus.push(Cpu::new(capabilities.revision)?, GFP_KERNEL)?;
        }
        let [eax, ..] = cpu::cpuid(MAX_PHYS_ADDR, 0);
        Ok(Ok(Self {
            cpus,
            capabilities,
            pa_width: eax & 0xFF,
        }))
    }

    /// See [`Platform::can_run`].
    pub(super) fn can_run(&self, tdcs: &Tdcs<'_, Machine<'_>>) -> Result<(), Unable> {
        if self.pa_width < tdcs.gpa_width() {
            return Err(Unable::AddressWidth);
        }
        let root = Root::of(tdcs);
        if root.walk > 3 && !self.capabilities.ept5 || root.shared == 0 {
            return Err(Unable::Ept5);
        }
        Ok(())
    }

    /// See [`Platform::run`].
    pub(super) fn run(
        &self,
        machine: &Machine<'_>,
        tdcs: &Tdcs<'_, Machine<'_>>,
        tdvps: &Tdvps<'_, Machine<'_>>,
        flush: bool,
    ) {
        let Some(cpu) = self.cpus.get(machine.cpu() as usize) else {
            // There is one for each.
            return;
        };
        let eptp = merge_roots(machine, cpu, tdcs, tdvps);

        // SAFETY: A SEAMCALL comes from VMX operation, with interrupts off while the machine is there, and the
        // VMCS is this CPU's.
        let current = unsafe { Current::new(cpu.vmcs) };
        let mut host = ffi::Host::default();
        // SAFETY: `host` is ours.
        unsafe { ffi::tdx_sim_save_host(&mut host) };
        write_host(&host);
        self.write_guest(tdvps, eptp);

        let tdvpr = tdvps.page(0);
        if cpu.last.replace(tdvpr) != tdvpr || flush {
            // SAFETY: The CPU is in VMX operation, and was found to have it.
            unsafe { vmx::invept(eptp) };
        }

        let xstate = Xstate::load(machine, cpu, tdcs, tdvps);
        let mut regs = load_registers(tdvps);
        let debugctl = cpu::rdmsr(DEBUGCTL);
        // SAFETY: The VMCS is current, and has been filled in for this.
        let failed = unsafe { ffi::tdx_sim_vmenter(&mut regs) };
        if !failed {
            // SAFETY: This was a VM exit.
            unsafe { ffi::tdx_sim_restore_host(&host) };
        }
        // SAFETY: These bits the host has set itself.
        unsafe { cpu::wrmsr(DEBUGCTL, debugctl & DEBUGCTL_KEPT) };
        save_registers(tdvps, &regs);
        xstate.save(machine, cpu, tdvps);
        if failed {
            refuse(tdvps);
        } else {
            read_guest(tdvps);
        }
        drop(current);
    }

    /// Fills in the VMCS from the vCPU's state.
    fn write_guest(&self, tdvps: &Tdvps<'_, Machine<'_>>, eptp: u64) {
        const PIN_BASED: u32 = 0x4000;
        const PRIMARY: u32 = 0x4002;
        const EXIT_CONTROLS: u32 = 0x400C;
        const ENTRY_CONTROLS: u32 = 0x4012;
        const SECONDARY: u32 = 0x401E;
        const EPTP: u32 = 0x201A;

        let mask = tdvps.platform().config().memory_mask();
        let fixed = &self.capabilities.fixed;
        let long = if tdvps.get(vmcs::IA32_EFER) & efer::LMA == 0 {
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
            write(field, tdvps.get(place) | fixed);
        }
        for field in [GUEST_STATE, ENTRY].into_iter().flatten() {
            write(field.encoding, tdvps.get(field.place));
        }
        for field in ADDRESSES {
            write(field.encoding, tdvps.get(field.place) & mask);
        }
        write(EPTP, eptp);
    }
}

/// The root page of a TD's EPT.
struct Root {
    /// Levels below it.
    walk: u32,
    /// The first entry that is for shared memory; 0 if the SHARED bit is not one that selects an entry of the
    /// root.
    shared: usize,
}

impl Root {
    fn of(tdcs: &Tdcs<'_, Machine<'_>>) -> Self {
        let walk = ((tdcs.get(tdcs::fields::EPTP) >> 3) & 7) as u32;
        let shared = (tdcs.gpa_width() - 1)
            .checked_sub(Level::K4.shift() + 9 * walk)
            .and_then(|bit| 1usize.checked_shl(bit))
            .filter(|shared| *shared < PAGE_WORDS);
        Self {
            walk,
            shared: shared.unwrap_or(0),
        }
    }
}

/// Makes the root of the EPT: the lower part is that of the secure EPT, the rest that of the host's shared
/// EPT. Returns the EPT pointer.
fn merge_roots(
    machine: &Machine<'_>,
    cpu: &Cpu,
    tdcs: &Tdcs<'_, Machine<'_>>,
    tdvps: &Tdvps<'_, Machine<'_>>,
) -> u64 {
    /// Everything in an EPT pointer but the address.
    const CONTROLS: u64 = 0x3F;

    let Root { shared, .. } = Root::of(tdcs);
    let mask = machine.config().memory_mask() & !0xFFF;
    // SAFETY: The page is this CPU's, and mapped for good; only the CPU itself reads it otherwise.
    let root = unsafe { &mut *cpu.root };
    let (private_part, shared_part) = root.split_at_mut(shared);
    machine.read_words(
        tdcs.page(tdcs::fields::SEPT_ROOT.offset >> 12),
        private_part,
    );
    let from = tdvps.get(vmcs::SHARED_EPTP) & mask;
    machine.read_words(from | (shared as u64 * 8), shared_part);
    cpu.root_pa | tdcs.get(tdcs::fields::EPTP) & CONTROLS
}

/// The CPU refuses what it had promised: says so once, and lets it be a VM entry that failed.
fn refuse(tdvps: &Tdvps<'_, Machine<'_>>) {
    const VM_INSTRUCTION_ERROR: u32 = 0x4400;
    // SAFETY: Our VMCS is current.
    let error = unsafe { vmread(VM_INSTRUCTION_ERROR) };
    kernel::pr_err_once!("the CPU refuses to enter a TD: VM-instruction error {error}\n");
    let reason = ENTRY_FAILURE | u64::from(INVALID_GUEST_STATE);
    tdvps.set(vmcs::EXIT_REASON, reason);
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

/// Brings back what the guest has changed, and what the exit tells.
fn read_guest(tdvps: &Tdvps<'_, Machine<'_>>) {
    for field in [GUEST_STATE, EXIT].into_iter().flatten() {
        // SAFETY: Our VMCS is current.
        tdvps.set(field.place, unsafe { vmread(field.encoding) });
    }
}

/// Numbers of the general-purpose registers, without RSP.
fn numbers() -> impl Iterator<Item = u32> {
    (0..16).filter(|number| *number != 4)
}

/// Loads the registers that a VM entry does not, and returns those for the entry itself.
fn load_registers(tdvps: &Tdvps<'_, Machine<'_>>) -> [u64; 16] {
    for msr in MSRS {
        // SAFETY: The guest has these MSRs to itself, its value has been accepted by a CPU before, and the
        // host expects to lose its own.
        unsafe { cpu::wrmsr(msr.msr, tdvps.get(msr.field)) };
    }
    // SAFETY: As above.
    unsafe {
        cpu::set_cr2(tdvps.get(fields::CR2));
        cpu::set_dr0(tdvps.get(fields::DR0));
        cpu::set_dr1(tdvps.get(fields::DR1));
        cpu::set_dr2(tdvps.get(fields::DR2));
        cpu::set_dr3(tdvps.get(fields::DR3));
        cpu::set_dr6(tdvps.get(fields::DR6) & u64::from(u32::MAX));
    }
    let mut regs = [0; 16];
    for number in numbers() {
        if let Some(register) = regs.get_mut(number as usize) {
            *register = tdvps.get(fields::RAX.element(number));
        }
    }
    regs
}

/// Brings back the registers that the guest has changed, and leaves those of the CPU as a host finds them.
fn save_registers(tdvps: &Tdvps<'_, Machine<'_>>, regs: &[u64; 16]) {
    for number in numbers() {
        if let Some(register) = regs.get(number as usize) {
            tdvps.set(fields::RAX.element(number), *register);
        }
    }
    for msr in MSRS {
        tdvps.set(msr.field, cpu::rdmsr(msr.msr));
        // SAFETY: This is what the TDX module leaves in it.
        unsafe { cpu::wrmsr(msr.msr, msr.host) };
    }
    let debug = [cpu::dr0(), cpu::dr1(), cpu::dr2(), cpu::dr3()];
    for (number, value) in (0..).zip(debug) {
        tdvps.set(fields::DR0.element(number), value);
    }
    tdvps.set(fields::DR6, cpu::dr6());
    tdvps.set(fields::CR2, cpu::cr2());
    // SAFETY: As above; KVM puts back what the host has in use.
    unsafe {
        cpu::set_dr0(0);
        cpu::set_dr1(0);
        cpu::set_dr2(0);
        cpu::set_dr3(0);
        cpu::set_dr6(DR6);
        cpu::set_cr2(0);
    }
}

/// The extended state of a vCPU, in the CPU.
#[must_use]
struct Xstate {
    xfam: u64,
    words: usize,
}

impl Xstate {
    /// Loads it, with the features that the guest has enabled.
    fn load(
        machine: &Machine<'_>,
        cpu: &Cpu,
        tdcs: &Tdcs<'_, Machine<'_>>,
        tdvps: &Tdvps<'_, Machine<'_>>,
    ) -> Self {
        let xfam = tdcs.get(tdcs::fields::XFAM);
        let words =
            (tdcs.get(tdcs::fields::XBUFF_SIZE) as usize / 8).clamp(INIT_WORDS, XSAVE_WORDS);
        // SAFETY: The memory is this CPU's, and nothing else refers to it now.
        let area = unsafe { &mut *cpu.xsave };
        for (page, chunk) in (0..).zip(area[..words].chunks_mut(PAGE_WORDS)) {
            machine.read_words(tdvps.page((fields::XBUFF.offset >> 12) + page), chunk);
        }
        area[XSTATE_BV] &= xfam;
        area[XCOMP_BV] = COMPACTED | xfam;
        area[XCOMP_BV + 1..HEADER_END].fill(0);
        // SAFETY: As above.
        let init = unsafe { &mut *cpu.init };
        init[XCOMP_BV] = COMPACTED | xfam;

        enable(xfam, xfam);
        // SAFETY: The areas have room for these features, and the header says so.
        unsafe {
            if !ffi::tdx_sim_load_xstate(cpu.xsave.cast(), xfam) {
                // Only a debugger can have put it there.
                ffi::tdx_sim_load_xstate(cpu.init.cast(), xfam);
            }
        }
        enable(
            tdvps.get(fields::XCR0) | state::X87,
            tdvps.get(fields::IA32_XSS),
        );
        Self { xfam, words }
    }

    /// Brings it back, and leaves the CPU as a host finds it: with the TD's features, all of them initial.
    fn save(self, machine: &Machine<'_>, cpu: &Cpu, tdvps: &Tdvps<'_, Machine<'_>>) {
        // The guest may have chosen others meanwhile only by way of the module.
        enable(self.xfam, self.xfam);
        // SAFETY: The areas have room for these features.
        unsafe {
            ffi::tdx_sim_save_xstate(cpu.xsave.cast(), self.xfam);
            ffi::tdx_sim_load_xstate(cpu.init.cast(), self.xfam);
        }
        // SAFETY: The memory is this CPU's, and nothing else refers to it now.
        let area = unsafe { &*cpu.xsave };
        for (page, chunk) in (0..).zip(area[..self.words].chunks(PAGE_WORDS)) {
            machine.write_words(tdvps.page((fields::XBUFF.offset >> 12) + page), chunk);
        }
    }
}

/// Enables features in XCR0 and IA32_XSS.
fn enable(xcr0: u64, xss: u64) {
    // SAFETY: The TDX module gives a TD no features that the CPU does not have. That the host loses what it
    // had in XCR0 and IA32_XSS is how TDX is.
    unsafe {
        cpu::set_xcr0(xcr0 & XCR0_MASK);
        cpu::wrmsr(XSS, xss & XSS_MASK);
    }
}

/// Reads an MSR; 0 if the CPU does not have it.
pub(super) fn msr(msr: u32) -> u64 {
    ffi::tdx_sim_rdmsr(msr)
}
