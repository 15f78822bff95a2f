// SPDX-License-Identifier: GPL-2.0

//! TDG.VP.VMCALL: asks the host.

use super::{
    super::{
        platform::Platform,
        run::registers::keeps_rbp,
        vp::vcpu::Vcpu, //
    },
    Completion,
    Outcome,
    Stop, //
};
use crate::abi::{
    guest::VmcallMask,
    Args,
    Operand,
    Status, //
};

/// RCX: the registers that the host gets to see and may change.
pub fn leaf<P: Platform>(vcpu: &Vcpu<'_, P>, args: &mut Args) -> Completion {
    let rbp = if keeps_rbp(vcpu) { VmcallMask::RBP } else { 0 };
    if args.rcx & (VmcallMask::RESERVED | rbp) != 0 {
        return Err(Status::OPERAND_INVALID.with(Operand::RCX).into());
    }
    Err(Stop::Outcome(Outcome::Vmcall))
}
