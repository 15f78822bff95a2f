// SPDX-License-Identifier: GPL-2.0

//! SEAMCALL, which a CPU without SEAM answers with #UD, carried out by the model.
//!
//! What a CPU with SEAM would refuse stays refused: outside of VMX operation the instruction stays #UD, and
//! there is no P-SEAM loader, so that its leaves end in VMfailInvalid.

use super::{
    cpu, debugfs,
    inject::{
        self,
        rule::{
            self,
            Kind, //
        }, //
    },
    log::{
        self,
        Call,
        Caller, //
    },
    model::{
        Exit,
        Module,
        Regs, //
    },
    platform::{
        self,
        Host,
        Machine, //
    },
};
use crate::abi::{
    Args,
    Rax,
    Status, //
};
use kernel::{
    bindings::{
        self,
        pt_regs, //
    },
    prelude::*, //
};

/// The instruction.
const SEAMCALL: [u8; 4] = [0x66, 0x0f, 0x01, 0xcf];

/// RFLAGS.CF: VMfailInvalid.
const CARRY: usize = 1 << 0;
/// RFLAGS.IF.
const INTERRUPTS: usize = 1 << 9;

/// The TDX module's own state. All else is in memory that the host gave it.
pub(super) static MODULE: Module = Module::new();

/// Gets ready for SEAMCALLs.
pub(super) fn start() -> Result {
    platform::start()?;
    log::start()?;
    debugfs::start()?;
    inject::start()
}

/// Reads kernel memory that may not be there.
fn peek<const N: usize>(address: usize) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    // SAFETY: `bytes` is ours, and bad source addresses are what this function is for.
    let err = unsafe {
        bindings::copy_from_kernel_nofault(bytes.as_mut_ptr().cast(), address as *const c_void, N)
    };
    (err == 0).then_some(bytes)
}

/// Tells a backend's calls from those of the TDX core and of KVM's own code: by the function that called
/// `__seamcall*()` (arch/x86/virt/vmx/tdx/seamcall.S), which keep a frame if the kernel does.
fn caller(host: &Host, regs: &pt_regs) -> Caller {
    let slot = if cfg!(CONFIG_FRAME_POINTER) {
        regs.bp.wrapping_add(size_of::<usize>())
    } else {
        regs.sp
    };
    match peek(slot).map(u64::from_le_bytes) {
        Some(address) if host.is_backend_code(address) => Caller::Backend,
        _ => Caller::Core,
    }
}

/// Completes the instruction with VMfailInvalid.
fn fail_invalid(regs: &mut pt_regs) {
    regs.flags |= CARRY;
    regs.ip = regs.ip.wrapping_add(SEAMCALL.len());
}

/// Handles a #UD in kernel mode; `false` if it was none of ours.
///
/// # Safety
///
/// Interrupts must be off.
pub(super) unsafe fn handle(regs: &mut pt_regs) -> bool {
    let start = cpu::tsc();
    if peek(regs.ip) != Some(SEAMCALL) {
        return false;
    }
    let Some(host) = platform::host() else {
        return false;
    };
    if !host.allows_seamcall() {
        return false;
    }
    let interrupts = regs.flags & INTERRUPTS != 0;
    // SAFETY: Interrupts are off by the requirements of this function.
    let Some(machine) = (unsafe { host.machine(regs.ax as u16, interrupts) }) else {
        // SEAM is left before another of its handlers can be entered, so hardware never gets here.
        fail_invalid(regs);
        return true;
    };

    let (rax, before) = (regs.ax as u64, load(regs));
    let mut after = Regs { rax, args: before };
    if execute(&machine, &mut after) == Exit::VmFailInvalid {
        fail_invalid(regs);
        return true;
    }
    store(regs, &after);
    regs.flags &= !CARRY;
    regs.ip = regs.ip.wrapping_add(SEAMCALL.len());

    log::record(&Call {
        start,
        cpu: machine.cpu(),
        caller: caller(host, regs),
        rax,
        before,
        status: Status::from_raw(after.rax),
        after: after.args,
        injected: machine.is_injected(),
    });
    true
}

/// Executes a SEAMCALL that a user asks for, with interrupts off.
///
/// # Errors
///
/// `EIO` if it did not do its job.
#[cfg(CONFIG_TDX_SIM_FAULT_INJECTION)]
pub(super) fn by_user(before: Regs) -> Result {
    let host = platform::host().ok_or(ENODEV)?;
    let done = host.with_machine(|machine| {
        let start = cpu::tsc();
        let mut after = before;
        if execute(machine, &mut after) == Exit::VmFailInvalid {
            return false;
        }
        let status = Status::from_raw(after.rax);
        log::record(&Call {
            start,
            cpu: machine.cpu(),
            caller: Caller::User,
            rax: before.rax,
            before: before.args,
            status,
            after: after.args,
            injected: machine.is_injected(),
        });
        !status.is_error()
    });
    done.unwrap_or(false).then_some(()).ok_or(EIO)
}

/// Executes a SEAMCALL, or answers in the place of the module if a rule of fault injection wants that.
fn execute(machine: &Machine<'_>, regs: &mut Regs) -> Exit {
    let rax = Rax::from_raw(regs.rax);
    if regs.rax & Rax::SEAMLDR_MASK == 0 {
        if let Some(status) = machine.strikes(Kind::Answer) {
            rule::outputs(rax, &mut regs.args);
            regs.rax = status.raw();
            return Exit::Completed;
        }
    }
    MODULE.seamcall(machine, regs)
}

fn load(regs: &pt_regs) -> Args {
    Args {
        rcx: regs.cx as u64,
        rdx: regs.dx as u64,
        r8: regs.r8 as u64,
        r9: regs.r9 as u64,
        r10: regs.r10 as u64,
        r11: regs.r11 as u64,
        r12: regs.r12 as u64,
        r13: regs.r13 as u64,
        r14: regs.r14 as u64,
        r15: regs.r15 as u64,
        rbx: regs.bx as u64,
        rdi: regs.di as u64,
        rsi: regs.si as u64,
    }
}

fn store(regs: &mut pt_regs, from: &Regs) {
    regs.ax = from.rax as usize;
    regs.cx = from.args.rcx as usize;
    regs.dx = from.args.rdx as usize;
    regs.r8 = from.args.r8 as usize;
    regs.r9 = from.args.r9 as usize;
    regs.r10 = from.args.r10 as usize;
    regs.r11 = from.args.r11 as usize;
    regs.r12 = from.args.r12 as usize;
    regs.r13 = from.args.r13 as usize;
    regs.r14 = from.args.r14 as usize;
    regs.r15 = from.args.r15 as usize;
    regs.bx = from.args.rbx as usize;
    regs.di = from.args.rdi as usize;
    regs.si = from.args.rsi as usize;
}
