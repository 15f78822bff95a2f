// SPDX-License-Identifier: GPL-2.0

//! TDH.VP.WR: writes a field of a vCPU.

use super::{
    super::{
        lock::Mode,
        metadata::vcpu,
        platform::Platform,
        tdcs::fields::NUM_L2_VMS,
        Completion,
        Ctx, //
    },
    vcpu::Vcpu, //
};
use crate::abi::{
    metadata::FieldId,
    state::VcpuState,
    Args,
    Leaf,
    Operand, //
};

/// RCX: TDVPR. RDX: field. R8: value. R9: mask of the bits to write. Returns the value before in
/// R8.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let value = args.r8;
    args.r8 = 0;

    let vcpu = Vcpu::open(cx, Leaf::VpWr, Operand::RCX, args.rcx, Mode::Shared)?;
    vcpu.map(cx)?;
    vcpu.check_state(&[VcpuState::Ready])?;
    vcpu.associate(cx)?;
    let l2_vms = vcpu.td.tdcs.get(NUM_L2_VMS);
    let field = vcpu::find(FieldId::from_raw(args.rdx), l2_vms)?;
    args.r8 = field.write(cx, &vcpu.tdvps, vcpu.td.host(), value, args.r9)?;
    Ok(())
}
