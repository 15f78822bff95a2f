// SPDX-License-Identifier: GPL-2.0

//! TDG.VP.CPUIDVE.SET: has CPUID raise #VE.

use super::{
    super::{
        platform::Platform,
        tdvps::fields,
        vp::vcpu::Vcpu, //
    },
    Completion, //
};
use crate::abi::{
    Args,
    Operand,
    Status, //
};

/// RCX: bit 0 for supervisor mode, bit 1 for user mode.
pub fn leaf<P: Platform>(vcpu: &Vcpu<'_, P>, args: &mut Args) -> Completion {
    if args.rcx & !3 != 0 {
        return Err(Status::OPERAND_INVALID.with(Operand::RCX).into());
    }
    vcpu.tdvps.set(fields::CPUID_SUPERVISOR_VE, args.rcx & 1);
    vcpu.tdvps.set(fields::CPUID_USER_VE, args.rcx >> 1);
    Ok(())
}
