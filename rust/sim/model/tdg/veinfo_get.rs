// SPDX-License-Identifier: GPL-2.0

//! TDG.VP.VEINFO.GET: what the last #VE was for.

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
    Status, //
};

/// Returns what the VM exit told that the #VE stands for, in RCX, RDX and R8 to R10; the next #VE may come.
pub fn leaf<P: Platform>(vcpu: &Vcpu<'_, P>, args: &mut Args) -> Completion {
    let tdvps = &vcpu.tdvps;
    (args.rcx, args.rdx, args.r8, args.r9, args.r10) = (0, 0, 0, 0, 0);
    if tdvps.get(fields::VALID) == 0 {
        return Err(Status::NO_VALID_VE_INFO.into());
    }
    args.rcx = tdvps.get(fields::EXIT_REASON);
    args.rdx = tdvps.get(fields::EXIT_QUALIFICATION);
    args.r8 = tdvps.get(fields::GLA);
    args.r9 = tdvps.get(fields::GPA);
    args.r10 =
        tdvps.get(fields::INSTRUCTION_LENGTH) | tdvps.get(fields::INSTRUCTION_INFORMATION) << 32;
    tdvps.set(fields::VALID, 0);
    Ok(())
}
