// SPDX-License-Identifier: GPL-2.0

//! SEAMCALL, which a CPU without SEAM answers with #UD, carried out by the model.
//!
//! What a CPU with SEAM would refuse stays refused: outside of VMX operation the instruction stays #UD, and
//! there is no P-SEAM loader, so that its leaves end in VMfailInvalid.

use super::{
    debugfs, ffi,
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
use crate::{
    abi::{
        args::Operands,
        Leaf,
        Rax,
        Status, //
    },
    tracepoint,
    tsc, //
};
use kernel::{
    bindings::{
        self,
        pt_regs, //
    },
    error::to_result,
    page::PAGE_SIZE,
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
    to_result(ffi::tdx_sim_start_protection())?;
    log::start()?;
    debugfs::start()?;
    inject::start()
}

/// Reads kernel memory that may not be there; zeroes where it is not. `known` is an address that is.
#[inline]
fn peek<const N: usize>(address: usize, known: usize) -> [u8; N] {
    let end = address.wrapping_add(N - 1);
    // No bit of the page's number differs.
    if (address ^ known | end ^ known) < PAGE_SIZE {
        // SAFETY: All of it is in a page that is there.
        return unsafe { (address as *const [u8; N]).read_volatile() };
    }
    peek_far(address)
}

#[cold]
#[inline(never)]
fn peek_far<const N: usize>(address: usize) -> [u8; N] {
    let mut bytes = [0; N];
    // SAFETY: `bytes` is ours, and bad source addresses are what this function is for.
    let err = unsafe {
        bindings::copy_from_kernel_nofault(bytes.as_mut_ptr().cast(), address as *const c_void, N)
    };
    if err == 0 {
        bytes
    } else {
        [0; N]
    }
}

/// The word at `address` on the stack.
#[inline]
fn stack(regs: &pt_regs, address: usize) -> usize {
    usize::from_le_bytes(peek(address, regs.sp))
}

/// Where the function returns to that called `__seamcall*()` (arch/x86/virt/vmx/tdx/seamcall.S), which keep a
/// frame if the kernel does.
#[inline]
fn return_address(regs: &pt_regs) -> usize {
    let slot = if cfg!(CONFIG_FRAME_POINTER) {
        regs.bp.wrapping_add(size_of::<usize>())
    } else {
        regs.sp
    };
    stack(regs, slot)
}

/// Tells a backend's calls from those of the TDX core and of KVM's own code.
#[inline]
fn caller(host: &Host, address: usize) -> Caller {
    if host.is_backend_code(address as u64) {
        Caller::Backend
    } else {
        Caller::Core
    }
}

/// An address in the function that made the call: beyond `tdx_seamcall()`, if the kernel keeps frames.
fn function(regs: &pt_regs, address: usize, caller: Caller) -> usize {
    if caller == Caller::Backend && cfg!(CONFIG_FRAME_POINTER) {
        let frame = stack(regs, regs.bp);
        stack(regs, frame.wrapping_add(size_of::<usize>()))
    } else {
        address
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
/// Interrupts must be off, and `cpu` the number of this CPU.
pub(super) unsafe fn handle(regs: &mut pt_regs, cpu: u32) -> bool {
    if peek(regs.ip, regs.ip) != SEAMCALL {
        return false;
    }
    let Some(host) = platform::host() else {
        return false;
    };
    if !host.allows_seamcall() {
        return false;
    }
    let interrupts = regs.flags & INTERRUPTS != 0;
    // SAFETY: By the requirements of this function.
    let Some(machine) = (unsafe { host.machine(cpu, regs.ax as u16, interrupts) }) else {
        // SEAM is left before another of its handlers can be entered, so hardware never gets here.
        fail_invalid(regs);
        return true;
    };

    let address = return_address(regs);
    let done = carry_out(&machine, regs, caller(host, address), |call| {
        if tracepoint::enabled() {
            tell(call, address);
        }
    });
    match done {
        Some(_) => {
            regs.flags &= !CARRY;
            regs.ip = regs.ip.wrapping_add(SEAMCALL.len());
        }
        None => fail_invalid(regs),
    }
    true
}

/// Tells those who listen to the tracepoint.
#[inline(always)]
fn tell(call: &Call<'_>, address: usize) {
    tracepoint::seamcall(&tracepoint::Call {
        rax: call.rax(),
        before: &call.before(),
        status: call.status(),
        after: &call.after.args.operands(),
        cycles: call.cycles,
        backend: call.caller == Caller::Backend,
        function: function(call.regs, address, call.caller),
    });
}

/// Executes a SEAMCALL that a user asks for, with interrupts off.
///
/// # Errors
///
/// `EIO` if it did not do its job.
#[cfg(CONFIG_TDX_SIM_FAULT_INJECTION)]
pub(super) fn by_user(before: Regs) -> Result {
    let host = platform::host().ok_or(ENODEV)?;
    let mut regs = pt_regs::default();
    store(&mut regs, &before);
    let done = host.with_machine(|machine| carry_out(machine, &mut regs, Caller::User, |_| ()));
    match done.flatten() {
        Some(status) if !status.is_error() => Ok(()),
        _ => Err(EIO),
    }
}

/// Executes a SEAMCALL with the registers `regs`, records it and has `tell` tell of it.
///
/// Returns its status, or `None` if it ends in VMfailInvalid.
#[inline(always)]
fn carry_out(
    machine: &Machine<'_>,
    regs: &mut pt_regs,
    caller: Caller,
    tell: impl FnOnce(&Call<'_>),
) -> Option<Status> {
    let mut after = Regs {
        rax: regs.ax as u64,
        args: operands(regs).into(),
        ..Regs::default()
    };
    let enters = after.rax == Leaf::VpEnter as u64;
    if enters {
        load_for_guest(regs, &mut after);
    }
    let memory = log::keep_operands(machine, &after);
    let start = tsc::now();
    let exit = execute(machine, &mut after);
    let cycles = tsc::now().wrapping_sub(start);
    if exit == Exit::VmFailInvalid {
        return None;
    }
    let call = Call {
        start,
        cycles,
        cpu: machine.cpu(),
        caller,
        regs,
        after: &after,
        memory,
        injected: machine.is_injected(),
    };
    log::record(&call);
    tell(&call);
    store(regs, &after);
    if enters {
        store_from_guest(regs, &after);
    }
    Some(Status::from_raw(after.rax))
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

/// The registers that take operands. No other register matters to a leaf other than TDH.VP.ENTER.
#[inline]
pub(super) fn operands(regs: &pt_regs) -> Operands {
    Operands {
        rcx: regs.cx as u64,
        rdx: regs.dx as u64,
        r8: regs.r8 as u64,
        r9: regs.r9 as u64,
        r10: regs.r10 as u64,
        r11: regs.r11 as u64,
    }
}

/// The other registers, which TDH.VP.ENTER may give to the guest.
#[cold]
fn load_for_guest(regs: &pt_regs, to: &mut Regs) {
    to.args.rbx = regs.bx as u64;
    to.args.rsi = regs.si as u64;
    to.args.rdi = regs.di as u64;
    to.args.r12 = regs.r12 as u64;
    to.args.r13 = regs.r13 as u64;
    to.args.r14 = regs.r14 as u64;
    to.args.r15 = regs.r15 as u64;
    to.rbp = regs.bp as u64;
}

/// The other registers, which TDH.VP.ENTER changes.
#[cold]
fn store_from_guest(regs: &mut pt_regs, from: &Regs) {
    regs.bx = from.args.rbx as usize;
    regs.si = from.args.rsi as usize;
    regs.di = from.args.rdi as usize;
    regs.r12 = from.args.r12 as usize;
    regs.r13 = from.args.r13 as usize;
    regs.r14 = from.args.r14 as usize;
    regs.r15 = from.args.r15 as usize;
    regs.bp = from.rbp as usize;
}

/// The registers that return operands, and RAX. Others keep what they held, as with the real module.
fn store(regs: &mut pt_regs, from: &Regs) {
    regs.ax = from.rax as usize;
    regs.cx = from.args.rcx as usize;
    regs.dx = from.args.rdx as usize;
    regs.r8 = from.args.r8 as usize;
    regs.r9 = from.args.r9 as usize;
    regs.r10 = from.args.r10 as usize;
    regs.r11 = from.args.r11 as usize;
}
