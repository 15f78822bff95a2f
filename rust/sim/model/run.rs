// SPDX-License-Identifier: GPL-2.0

//! The run of a vCPU, from the VM entry that TDH.VP.ENTER makes to the exit to the host.
//!
//! TDX ABI: TDH.VP.ENTER. All state of the vCPU is in its TDVPS, the registers that VMX loads and
//! saves in the TD VMCS page of it. The machine ([`Platform::run`]) executes the guest up to the next
//! VM exit; what an exit means is decided here.

pub mod cpuid;
pub mod event;
pub mod exits;
pub mod fetch;
pub mod msr;
pub mod registers;
pub mod root;
pub mod state;
pub mod zero_step;

#[cfg(test)]
mod tests;

use super::{
    platform::Platform,
    tdr,
    tdvps::fields,
    vp::vcpu::Vcpu,
    Ctx,
    Regs, //
};
use crate::abi::{
    state::VcpuState,
    Status, //
};
use exits::Next;

/// How a vCPU came back to the host the last time, field LAST_TD_EXIT: what the next entry does to
/// the guest's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LastExit {
    /// The guest executes the instruction again.
    AsyncFault = 0,
    /// The guest goes on behind a TDCALL that ended with a status for the host to add to.
    AsyncTrap = 1,
    /// The guest gets the host's answer to TDG.VP.VMCALL.
    Vmcall = 2,
}

/// An exit to the host, other than TDG.VP.VMCALL. TDX ABI: "Exit: host register state".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TdExit {
    /// RAX bits 63:32.
    pub status: Status,
    /// RAX bits 31:0, the VMX exit reason.
    pub reason: u32,
    /// RCX bits 31:0.
    pub qualification: u32,
    /// RDX.
    pub extended: u64,
    /// R8, less its low bits.
    pub gpa: u64,
    /// R9.
    pub interruption: u32,
}

impl TdExit {
    /// An exit with nothing but a status and a reason.
    pub const fn fault(status: Status, reason: u16) -> Self {
        Self {
            status,
            reason: reason as u32,
            qualification: 0,
            extended: 0,
            gpa: 0,
            interruption: 0,
        }
    }
}

/// Runs a vCPU until there is something for the host, and returns RAX.
///
/// `flush`: translations made before are to be forgotten.
pub fn run<P: Platform>(
    cx: &Ctx<'_, P>,
    vcpu: &Vcpu<'_, P>,
    regs: &mut Regs,
    flush: bool,
) -> Status {
    let tdvps = &vcpu.tdvps;
    registers::enter(vcpu, regs);
    tdvps.set(fields::VCPU_STATE, VcpuState::Active.raw());
    cx.p.load_guest(&vcpu.td.tdcs, tdvps);
    let next = run_to_exit(cx, vcpu, flush);
    cx.p.save_guest(&vcpu.td.tdcs, tdvps);
    let status = match next {
        Some(exit) => leave(cx, vcpu, regs, &exit),
        None => registers::leave_vmcall(vcpu, regs),
    };
    tdvps.set(fields::LAST_EXIT_TSC, cx.p.tsc());
    status
}

/// Runs a vCPU up to the next exit that is the host's: `None` is TDG.VP.VMCALL.
fn run_to_exit<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>, flush: bool) -> Option<TdExit> {
    let tdvps = &vcpu.tdvps;
    let mut flush = flush;
    loop {
        event::prepare(tdvps);
        cx.p.run(&vcpu.td.tdcs, tdvps, flush);
        flush = false;
        event::note(tdvps);
        match exits::handle(cx, vcpu) {
            Next::Resume => (),
            Next::Vmcall => return None,
            Next::Exit(exit) => return Some(exit),
        }
    }
}

/// Ends the run with an exit other than TDG.VP.VMCALL. TDX ABI: "Status values on TD exit".
fn leave<P: Platform>(
    cx: &Ctx<'_, P>,
    vcpu: &Vcpu<'_, P>,
    regs: &mut Regs,
    exit: &TdExit,
) -> Status {
    let tdvps = &vcpu.tdvps;
    match exit.status {
        Status::NON_RECOVERABLE_VCPU => {
            tdvps.set(fields::VCPU_STATE, VcpuState::Disabled.raw());
        }
        status if status.is_fatal() => vcpu.td.tdr.set(tdr::fields::FATAL, 1),
        status => {
            let last = if status.has_host_hint() {
                LastExit::AsyncTrap
            } else {
                LastExit::AsyncFault
            };
            tdvps.set(fields::VCPU_STATE, VcpuState::Ready.raw());
            tdvps.set(fields::LAST_TD_EXIT, last as u64);
        }
    }
    registers::leave_async(cx, vcpu, regs, exit)
}

/// The guest is not run: the host gets an exit at once, which clears all registers but RBP.
pub fn refuse<P: Platform>(vcpu: &Vcpu<'_, P>, regs: &mut Regs, exit: &TdExit) -> Status {
    let tdvps = &vcpu.tdvps;
    tdvps.set(fields::LAST_TD_EXIT, LastExit::AsyncFault as u64);
    registers::leave_refused(tdvps, regs, exit)
}
