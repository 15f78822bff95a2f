// SPDX-License-Identifier: GPL-2.0

//! State of a vCPU that VMX does not switch: it is loaded when TDH.VP.ENTER begins and saved when it ends, which
//! leaves in its place what the ABI says ("Host CPU state after a TD exit").

use super::{
    ffi,
    Cpu,
    PAGE_WORDS, //
};
use crate::sim::{
    cpu,
    model::{
        run::state::{
            DR6,
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
        vmx::XSS, //
    },
    platform::Machine, //
};

const DEBUGCTL: u32 = 0x1D9;

/// IA32_DEBUGCTL bits that an exit keeps: BTF, FREEZE_PERFMON_ON_PMI, FREEZE_WHILE_SMM.
const DEBUGCTL_KEPT: u64 = 1 << 1 | 1 << 12 | 1 << 14;

/// Words of the XSAVE area of a vCPU.
pub(super) const XSAVE_WORDS: usize = 1536;
/// Words of the header of an XSAVE area: which features are there, and the format.
const XSTATE_BV: usize = 64;
const XCOMP_BV: usize = 65;
const HEADER_END: usize = 72;
/// XCOMP_BV: the compacted format.
const COMPACTED: u64 = 1 << 63;
/// An XSAVE area with nothing in it.
pub(super) const INIT_WORDS: usize = HEADER_END;

/// What the host has in the place of a TD's state, while that is loaded.
#[derive(Clone, Copy, Default)]
pub(super) struct Displaced {
    debugctl: u64,
    xcr0: u64,
    xss: u64,
    /// The features of the TD; 0 if none is loaded, for every TD has some.
    xfam: u64,
}

/// Loads the state of the vCPU.
pub(super) fn load(
    machine: &Machine<'_>,
    cpu: &Cpu,
    tdcs: &Tdcs<'_, Machine<'_>>,
    tdvps: &Tdvps<'_, Machine<'_>>,
) {
    cpu.displaced.set(Displaced {
        debugctl: cpu::rdmsr(DEBUGCTL),
        xcr0: cpu::xcr0(),
        xss: cpu::rdmsr(XSS),
        xfam: tdcs.get(tdcs::fields::XFAM),
    });
    for msr in MSRS {
        // SAFETY: The guest has these MSRs to itself, its value has been accepted by a CPU before, and the
        // host expects to lose its own.
        unsafe { cpu::wrmsr(msr.msr, tdvps.get(msr.field)) };
    }
    // SAFETY: As above.
    unsafe {
        cpu::set_dr0(tdvps.get(fields::DR0));
        cpu::set_dr1(tdvps.get(fields::DR1));
        cpu::set_dr2(tdvps.get(fields::DR2));
        cpu::set_dr3(tdvps.get(fields::DR3));
        cpu::set_dr6(tdvps.get(fields::DR6) & u64::from(u32::MAX));
    }
    load_xstate(machine, cpu, tdcs, tdvps);
}

/// Saves it, and leaves those values that a host finds.
pub(super) fn save(
    machine: &Machine<'_>,
    cpu: &Cpu,
    tdcs: &Tdcs<'_, Machine<'_>>,
    tdvps: &Tdvps<'_, Machine<'_>>,
) {
    save_xstate(machine, cpu, tdcs, tdvps);
    let Displaced { debugctl, .. } = cpu.displaced.take();
    let debug = [cpu::dr0(), cpu::dr1(), cpu::dr2(), cpu::dr3()];
    for (number, value) in (0..).zip(debug) {
        tdvps.set(fields::DR0.element(number), value);
    }
    tdvps.set(fields::DR6, cpu::dr6());
    for msr in MSRS {
        tdvps.set(msr.field, cpu::rdmsr(msr.msr));
        // SAFETY: This is what the TDX module leaves in it.
        unsafe { cpu::wrmsr(msr.msr, msr.host) };
    }
    // SAFETY: As above; KVM puts back what the host has in use. The bits of IA32_DEBUGCTL are the host's own.
    unsafe {
        cpu::set_dr0(0);
        cpu::set_dr1(0);
        cpu::set_dr2(0);
        cpu::set_dr3(0);
        cpu::set_dr6(DR6);
        cpu::set_cr2(0);
        cpu::wrmsr(DEBUGCTL, debugctl & DEBUGCTL_KEPT);
    }
}

/// Length of the XSAVE area that the TD's features take up, in words.
fn words(tdcs: &Tdcs<'_, Machine<'_>>) -> usize {
    let size = tdcs.get(tdcs::fields::XBUFF_SIZE) as usize;
    (size / size_of::<u64>()).clamp(INIT_WORDS, XSAVE_WORDS)
}

/// Loads the extended state; which features are enabled then is for each VM entry to choose.
fn load_xstate(
    machine: &Machine<'_>,
    cpu: &Cpu,
    tdcs: &Tdcs<'_, Machine<'_>>,
    tdvps: &Tdvps<'_, Machine<'_>>,
) {
    let xfam = tdcs.get(tdcs::fields::XFAM);
    // SAFETY: The memory is this CPU's, and nothing else refers to it now.
    let area = unsafe { &mut *cpu.xsave };
    for (page, chunk) in (0..).zip(area[..words(tdcs)].chunks_mut(PAGE_WORDS)) {
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
}

/// Saves it, and leaves all features of the TD enabled and initial.
fn save_xstate(
    machine: &Machine<'_>,
    cpu: &Cpu,
    tdcs: &Tdcs<'_, Machine<'_>>,
    tdvps: &Tdvps<'_, Machine<'_>>,
) {
    let xfam = tdcs.get(tdcs::fields::XFAM);
    enable(xfam, xfam);
    // SAFETY: The areas have room for these features.
    unsafe {
        ffi::tdx_sim_save_xstate(cpu.xsave.cast(), xfam);
        ffi::tdx_sim_load_xstate(cpu.init.cast(), xfam);
    }
    // SAFETY: The memory is this CPU's, and nothing else refers to it now.
    let area = unsafe { &*cpu.xsave };
    for (page, chunk) in (0..).zip(area[..words(tdcs)].chunks(PAGE_WORDS)) {
        machine.write_words(tdvps.page((fields::XBUFF.offset >> 12) + page), chunk);
    }
}

/// Runs `f`, which may use the host's extended state: that of a TD that is loaded is put aside.
pub(super) fn aside<R>(cpu: &Cpu, f: impl FnOnce() -> R) -> R {
    let Displaced {
        xcr0, xss, xfam, ..
    } = cpu.displaced.get();
    if xfam == 0 {
        return f();
    }
    enable(xfam, xfam);
    // SAFETY: The areas have room for these features. What the host had was enabled before.
    unsafe {
        ffi::tdx_sim_save_xstate(cpu.xsave.cast(), xfam);
        ffi::tdx_sim_load_xstate(cpu.init.cast(), xfam);
        cpu::set_xcr0(xcr0);
        cpu::wrmsr(XSS, xss);
    }
    let result = f();
    enable(xfam, xfam);
    // SAFETY: The CPU has just saved it there.
    unsafe { ffi::tdx_sim_load_xstate(cpu.xsave.cast(), xfam) };
    result
}

/// Enables features in XCR0 and IA32_XSS.
pub(super) fn enable(xcr0: u64, xss: u64) {
    // SAFETY: The TDX module gives a TD no features that the CPU does not have. That the host loses what it
    // had in XCR0 and IA32_XSS is how TDX is.
    unsafe {
        cpu::set_xcr0(xcr0 & XCR0_MASK);
        cpu::wrmsr(XSS, xss & XSS_MASK);
    }
}
