// SPDX-License-Identifier: GPL-2.0

//! TDG.VP.RD and TDG.VP.WR: fields of the vCPU.

use core::mem::take;

use super::{
    super::{
        metadata::{
            vcpu,
            Who,
            NULL_ID, //
        },
        platform::Platform,
        tdcs::fields::NUM_L2_VMS,
        vp::vcpu::Vcpu,
        Ctx, //
    },
    vm::check_own,
    Completion, //
};
use crate::abi::{
    metadata::FieldId,
    Args,
    Status, //
};

/// RDX: field. Returns the value in R8 and the next field in RDX.
pub fn read<P: Platform>(vcpu: &Vcpu<'_, P>, args: &mut Args) -> Completion {
    let id = args.rdx;
    (args.rdx, args.r8) = (NULL_ID, 0);
    check_own(args)?;
    if id == NULL_ID {
        args.rdx = vcpu::first_id(Who::Guest);
        return Err(Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT.into());
    }
    let field = vcpu::find(FieldId::from_raw(id), vcpu.td.tdcs.get(NUM_L2_VMS))?;
    args.r8 = field.read(&vcpu.tdvps, Who::Guest)?;
    args.rdx = field.next_id(Who::Guest);
    Ok(())
}

/// RDX: field. R8: value. R9: mask of the bits to write. Returns the value before in R8.
pub fn write<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>, args: &mut Args) -> Completion {
    let value = take(&mut args.r8);
    check_own(args)?;
    let field = vcpu::find(FieldId::from_raw(args.rdx), vcpu.td.tdcs.get(NUM_L2_VMS))?;
    args.r8 = field.write(cx, &vcpu.tdvps, Who::Guest, value, args.r9)?;
    Ok(())
}
