// SPDX-License-Identifier: GPL-2.0

//! TDG.VP.INFO: what the vCPU and its TD are.

use super::{
    super::{
        platform::Platform,
        tdcs,
        tdvps,
        vp::vcpu::Vcpu, //
    },
    Completion, //
};
use crate::abi::Args;

/// Returns the width of GPAs in RCX, the attributes in RDX, the numbers of vCPUs in R8, the vCPU's own in R9, and
/// in R10 that there is TDG.SYS.RD.
pub fn leaf<P: Platform>(vcpu: &Vcpu<'_, P>, args: &mut Args) -> Completion {
    use tdcs::fields;

    let tdcs = &vcpu.td.tdcs;
    args.rcx = tdcs.gpa_width().into();
    args.rdx = tdcs.get(fields::ATTRIBUTES);
    args.r8 = tdcs.get(fields::NUM_VCPUS) | tdcs.get(fields::MAX_VCPUS) << 32;
    args.r9 = vcpu.tdvps.get(tdvps::fields::VCPU_INDEX);
    args.r10 = 1;
    args.r11 = 0;
    Ok(())
}
