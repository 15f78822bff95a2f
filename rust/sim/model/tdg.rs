// SPDX-License-Identifier: GPL-2.0

//! TDCALL: the leaf functions of the guest side, one small file for each.
//!
//! The TD and the vCPU are locked by the TDH.VP.ENTER that the guest runs in. What a guest leaf finds locked
//! by the host, or wanted by it, it leaves to the host: it ends with OPERAND_BUSY.

pub mod cpuidve_set;
pub mod page_accept;
pub mod page_attr;
pub mod report;
pub mod rtmr_extend;
pub mod sys_rd;
pub mod target;
pub mod translate;
pub mod veinfo_get;
pub mod vm;
pub mod vmcall;
pub mod vp;
pub mod vp_info;

#[cfg(test)]
mod tests;

use super::{
    platform::Platform,
    tdcs,
    tdvps::fields,
    vp::vcpu::Vcpu,
    Ctx,
    Regs, //
};
use crate::abi::{
    guest::GuestLeaf,
    Operand,
    Rax,
    Status, //
};

/// How a TDCALL ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The leaf is done, and the guest goes on behind the instruction.
    Completed,
    /// Something else comes first: the guest executes the instruction again.
    Again,
    /// TDG.VP.VMCALL: the host is to be asked.
    Vmcall,
    /// The TD exits with an EPT violation.
    Violation(Violation),
    /// The leaf is done, and the TD exits: the host has kept the guest from a lock for too long.
    LockTimeout,
    /// The TD exits with a misconfiguration of the shared EPT.
    Misconfiguration {
        /// The address.
        gpa: u64,
    },
}

/// An EPT violation of the module in the guest's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The address.
    pub gpa: u64,
    /// Exit qualification.
    pub qualification: u64,
    /// Extended exit qualification.
    pub extended: u64,
}

/// Why a leaf ended before it was done.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// With a completion status other than SUCCESS.
    Status(Status),
    /// In another way.
    Outcome(Outcome),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// What a leaf ends with.
pub type Completion = Result<(), Stop>;

/// Executes a TDCALL of the vCPU, which is in 64-bit mode; `regs` are the guest's registers.
///
/// TDX ABI: "TDCALL instruction".
pub fn tdcall<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>, regs: &mut Regs) -> Outcome {
    let status = match dispatch(cx, vcpu, regs) {
        Ok(()) => Status::SUCCESS,
        Err(Stop::Status(status)) => status,
        Err(Stop::Outcome(outcome)) => return outcome,
    };
    if !status.is(Status::OPERAND_BUSY_HOST_PRIORITY) {
        vcpu.tdvps.set(fields::HP_LOCK_BUSY, 0);
        regs.rax = status.raw();
        return Outcome::Completed;
    }
    // The guest does not learn that it was the host that came first.
    regs.rax = Status::OPERAND_BUSY.with_detail(status.detail()).raw();
    if is_kept_too_long(cx, vcpu) {
        Outcome::LockTimeout
    } else {
        Outcome::Completed
    }
}

/// Whether the host has been in the guest's way at each attempt for HP_LOCK_TIMEOUT.
fn is_kept_too_long<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>) -> bool {
    const MICROSECONDS: u64 = 1_000_000;

    let tdvps = &vcpu.tdvps;
    let now = cx.p.tsc();
    if tdvps.get(fields::HP_LOCK_BUSY) == 0 {
        tdvps.set(fields::HP_LOCK_BUSY, 1);
        tdvps.set(fields::HP_LOCK_BUSY_START, now);
        return false;
    }
    let waited = now.wrapping_sub(tdvps.get(fields::HP_LOCK_BUSY_START));
    let timeout = vcpu.td.tdcs.get(tdcs::fields::HP_LOCK_TIMEOUT);
    let limit = (cx.p.config().tsc_hz / MICROSECONDS).saturating_mul(timeout);
    if waited > limit {
        tdvps.set(fields::HP_LOCK_BUSY, 0);
        return true;
    }
    false
}

fn dispatch<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>, regs: &mut Regs) -> Completion {
    let invalid = Status::OPERAND_INVALID.with(Operand::RAX);
    let rax = Rax::from_raw(regs.rax);
    if rax.into_raw() & Rax::RESERVED != 0 {
        return Err(invalid.into());
    }
    let version = (rax.into_raw() >> Rax::VERSION_SHIFT) as u8;
    let leaf = GuestLeaf::from_raw(rax.into_raw() as u16)
        .filter(|leaf| version <= leaf.max_version())
        .ok_or(invalid)?;
    let cx = &Ctx {
        module: cx.module,
        p: cx.p,
        version,
    };
    let args = &mut regs.args;
    match leaf {
        GuestLeaf::VpVmcall => vmcall::leaf(vcpu, args),
        GuestLeaf::VpInfo => vp_info::leaf(vcpu, args),
        GuestLeaf::MrRtmrExtend => rtmr_extend::leaf(cx, vcpu, args),
        GuestLeaf::VpVeinfoGet => veinfo_get::leaf(vcpu, args),
        GuestLeaf::MrReport => report::leaf(cx, vcpu, args),
        GuestLeaf::VpCpuidveSet => cpuidve_set::leaf(vcpu, args),
        GuestLeaf::MemPageAccept => page_accept::leaf(cx, vcpu, args),
        GuestLeaf::VmRd => vm::read(cx, vcpu, args),
        GuestLeaf::VmWr => vm::write(cx, vcpu, args),
        GuestLeaf::VpRd => vp::read(vcpu, args),
        GuestLeaf::VpWr => vp::write(cx, vcpu, args),
        GuestLeaf::SysRd => sys_rd::leaf(cx, args),
        GuestLeaf::MemPageAttrRd => page_attr::read(cx, vcpu, args),
        GuestLeaf::MemPageAttrWr => page_attr::write(cx, vcpu, args),
    }
}
