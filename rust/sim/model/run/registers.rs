// SPDX-License-Identifier: GPL-2.0

//! The registers that go between host and guest. TDX ABI: TDH.VP.ENTER, "Input Operands" and "Output
//! Operands"; TDG.VP.VMCALL.

use super::{
    super::{
        field::Field,
        platform::{
            Platform,
            Profile, //
        },
        tdcs,
        tdvps::{
            fields,
            Tdvps, //
        },
        vmx::reason,
        vp::vcpu::Vcpu,
        Ctx,
        Regs, //
    },
    LastExit,
    TdExit, //
};
use crate::abi::{
    guest::VmcallMask,
    state::VcpuState,
    td_params::ConfigFlags,
    Status, //
};

/// Numbers of the registers, as instructions have them.
const RBP: u32 = 5;

/// RCX on entry: the host could do nothing about the exit.
pub const HINT: u64 = 1 << 52;

/// Number of XMM registers.
const XMMS: u32 = 16;

/// The field that holds a general-purpose register of the guest, by its number.
pub fn guest(number: u32) -> Field {
    fields::RAX.element(number)
}

/// The host's register of that number, other than RAX, RCX and RSP.
fn host(regs: &mut Regs, number: u32) -> Option<&mut u64> {
    let args = &mut regs.args;
    Some(match number {
        2 => &mut args.rdx,
        3 => &mut args.rbx,
        RBP => &mut regs.rbp,
        6 => &mut args.rsi,
        7 => &mut args.rdi,
        8 => &mut args.r8,
        9 => &mut args.r9,
        10 => &mut args.r10,
        11 => &mut args.r11,
        12 => &mut args.r12,
        13 => &mut args.r13,
        14 => &mut args.r14,
        15 => &mut args.r15,
        _ => return None,
    })
}

/// The registers that can be passed.
fn numbers() -> impl Iterator<Item = u32> {
    (2..16).filter(|number| *number != 4)
}

/// The guest's general-purpose registers, as a leaf takes and returns them.
pub fn load<P: Platform>(tdvps: &Tdvps<'_, P>) -> Regs {
    let mut regs = Regs {
        rax: tdvps.get(fields::RAX),
        ..Regs::default()
    };
    regs.args.rcx = tdvps.get(fields::RCX);
    for number in numbers() {
        if let Some(register) = host(&mut regs, number) {
            *register = tdvps.get(guest(number));
        }
    }
    regs
}

/// Gives the guest the registers that a leaf has returned.
pub fn store<P: Platform>(tdvps: &Tdvps<'_, P>, regs: &mut Regs) {
    tdvps.set(fields::RAX, regs.rax);
    tdvps.set(fields::RCX, regs.args.rcx);
    for number in numbers() {
        if let Some(register) = host(regs, number) {
            tdvps.set(guest(number), *register);
        }
    }
}

/// What an entry does to the guest's registers: it gets the host's answer to its TDG.VP.VMCALL.
pub fn enter<P: Platform>(vcpu: &Vcpu<'_, P>, regs: &mut Regs) {
    /// Status of a guest's leaf: the host may be able to do something about it.
    const HOST_HINT: u64 = 1 << 60;

    let tdvps = &vcpu.tdvps;
    match last_exit(tdvps) {
        LastExit::AsyncFault => (),
        LastExit::AsyncTrap => {
            let rax = tdvps.get(fields::RAX) & !HOST_HINT;
            let hint = if regs.args.rcx & HINT == 0 {
                0
            } else {
                HOST_HINT
            };
            tdvps.set(fields::RAX, rax | hint);
        }
        LastExit::Vmcall => {
            let mask = VmcallMask::from_raw(tdvps.get(fields::RCX));
            tdvps.set(fields::RAX, 0);
            for number in numbers().filter(|number| mask.has_gpr(*number)) {
                if let Some(register) = host(regs, number) {
                    tdvps.set(guest(number), *register);
                }
            }
            let p = tdvps.platform();
            for number in (0..XMMS).filter(|number| mask.has_xmm(*number)) {
                set_guest_xmm(tdvps, number, p.host_xmm(number));
            }
        }
    }
}

/// How the vCPU came back to the host the last time.
pub fn last_exit<P: Platform>(tdvps: &Tdvps<'_, P>) -> LastExit {
    match tdvps.get(fields::LAST_TD_EXIT) {
        1 => LastExit::AsyncTrap,
        2 => LastExit::Vmcall,
        _ => LastExit::AsyncFault,
    }
}

/// Gives the host the registers of an exit other than TDG.VP.VMCALL, and returns RAX.
pub fn leave_async<P: Platform>(
    cx: &Ctx<'_, P>,
    vcpu: &Vcpu<'_, P>,
    regs: &mut Regs,
    exit: &TdExit,
) -> Status {
    leave(cx.p, regs, exit, |number| {
        number != RBP || loses_rbp(cx, vcpu)
    })
}

/// As [`leave_async`] for an exit in the place of an entry, which leaves RBP alone.
pub fn leave_refused<P: Platform>(tdvps: &Tdvps<'_, P>, regs: &mut Regs, exit: &TdExit) -> Status {
    leave(tdvps.platform(), regs, exit, |number| number != RBP)
}

fn leave<P: Platform>(
    p: &P,
    regs: &mut Regs,
    exit: &TdExit,
    is_lost: impl Fn(u32) -> bool,
) -> Status {
    for number in numbers().filter(|number| is_lost(*number)) {
        if let Some(register) = host(regs, number) {
            *register = 0;
        }
    }
    regs.args.rcx = exit.qualification.into();
    regs.args.rdx = exit.extended;
    regs.args.r8 = exit.gpa & !0xFFF;
    regs.args.r9 = exit.interruption.into();
    clear_xmms(p, |_| true);
    exit.status.with_detail(exit.reason)
}

/// Whether an exit other than TDG.VP.VMCALL clears the host's RBP, as module 1.5.01 always does.
fn loses_rbp<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>) -> bool {
    cx.p.config().module.profile == Profile::V1_5_01 || !keeps_rbp(vcpu)
}

/// Whether the TD has nothing to do with the host's RBP.
pub fn keeps_rbp<P: Platform>(vcpu: &Vcpu<'_, P>) -> bool {
    vcpu.td.tdcs.get(tdcs::fields::CONFIG_FLAGS) & ConfigFlags::NO_RBP_MOD_MASK != 0
}

/// Gives the host the registers that the guest selected with TDG.VP.VMCALL, and 0 in the others.
/// Returns RAX.
pub fn leave_vmcall<P: Platform>(vcpu: &Vcpu<'_, P>, regs: &mut Regs) -> Status {
    let tdvps = &vcpu.tdvps;
    let mask = VmcallMask::from_raw(tdvps.get(fields::RCX));
    regs.args.rcx = mask.into_raw();
    for number in numbers().filter(|number| *number != RBP || !keeps_rbp(vcpu)) {
        if let Some(register) = host(regs, number) {
            *register = if mask.has_gpr(number) {
                tdvps.get(guest(number))
            } else {
                0
            };
        }
    }
    let p = tdvps.platform();
    clear_xmms(p, |number| !mask.has_xmm(number));
    for number in (0..XMMS).filter(|number| mask.has_xmm(*number)) {
        p.set_host_xmm(number, guest_xmm(tdvps, number));
    }
    tdvps.set(fields::VCPU_STATE, VcpuState::Ready.raw());
    tdvps.set(fields::LAST_TD_EXIT, LastExit::Vmcall as u64);
    Status::SUCCESS.with_detail(reason::TDCALL.into())
}

fn clear_xmms<P: Platform>(p: &P, which: impl Fn(u32) -> bool) {
    for number in (0..XMMS).filter(|number| which(*number)) {
        p.set_host_xmm(number, [0; 2]);
    }
}

/// Words of the guest's XSAVE area: bit 1 says whether its XMM registers are there.
const XSTATE_BV: Field = fields::XBUFF.element(64);
const SSE: u64 = 1 << 1;
/// MXCSR and its mask.
const MXCSR: Field = fields::XBUFF.element(3);
const MXCSR_START: u64 = 0x1F80;

/// The first of the two words of an XMM register in the XSAVE area.
fn xmm(number: u32) -> Field {
    const FIRST: u32 = 160 / 8;
    fields::XBUFF.element(FIRST + 2 * number)
}

fn guest_xmm<P: Platform>(tdvps: &Tdvps<'_, P>, number: u32) -> [u64; 2] {
    if tdvps.get(XSTATE_BV) & SSE == 0 {
        return [0; 2];
    }
    [0, 1].map(|word| tdvps.get(xmm(number).element(word)))
}

fn set_guest_xmm<P: Platform>(tdvps: &Tdvps<'_, P>, number: u32, value: [u64; 2]) {
    let present = tdvps.get(XSTATE_BV);
    if present & SSE == 0 {
        for word in 0..XMMS * 2 {
            tdvps.set(xmm(0).element(word), 0);
        }
        tdvps.set(MXCSR, MXCSR_START);
        tdvps.set(XSTATE_BV, present | SSE);
    }
    for (word, value) in (0..).zip(value) {
        tdvps.set(xmm(number).element(word), value);
    }
}
