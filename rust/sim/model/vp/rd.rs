// SPDX-License-Identifier: GPL-2.0

//! TDH.VP.RD: reads a field of a vCPU.

use super::{
    super::{
        lock::Mode,
        metadata::{
            vcpu,
            NULL_ID, //
        },
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
    Operand,
    Status, //
};

/// RCX: TDVPR. RDX: field. Returns the value in R8; version 1: the next field in RDX.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let id = args.rdx;
    args.r8 = 0;
    cx.check_version()?;
    if cx.version > 0 {
        args.rdx = NULL_ID;
    }

    let vcpu = Vcpu::open(cx, Leaf::VpRd, Operand::RCX, args.rcx, Mode::Shared)?;
    vcpu.map(cx)?;
    vcpu.check_state(&[VcpuState::Ready, VcpuState::Disabled])?;
    vcpu.associate(cx)?;
    let host = vcpu.td.host();
    if cx.version > 0 && id == NULL_ID {
        args.rdx = vcpu::first_id(host);
        return Err(Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT);
    }
    let l2_vms = vcpu.td.tdcs.get(NUM_L2_VMS);
    let field = vcpu::find(FieldId::from_raw(id), l2_vms)?;
    args.r8 = field.read(&vcpu.tdvps, host)?;
    if cx.version > 0 {
        args.rdx = field.next_id(host);
    }
    Ok(())
}
