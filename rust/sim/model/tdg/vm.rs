// SPDX-License-Identifier: GPL-2.0

//! TDG.VM.RD and TDG.VM.WR: fields of the TD.

use core::mem::take;

use super::{
    super::{
        lock::Word,
        metadata::{
            self,
            td::{
                Element,
                TABLE, //
            },
            Who,
            NULL_ID, //
        },
        platform::Platform,
        tdcs::fields,
        vp::vcpu::Vcpu,
        Ctx, //
    },
    Completion, //
};
use crate::abi::{
    td_params::ConfigFlags,
    Args,
    Operand,
    Status, //
};

/// The check that a TD asks for itself.
pub fn check_own(args: &Args) -> Result<(), Status> {
    if args.rcx == 0 {
        Ok(())
    } else {
        Err(Status::OPERAND_INVALID.with(Operand::RCX))
    }
}

/// RDX: field. Returns the value in R8; version 1: the next field in RDX.
pub fn read<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>, args: &mut Args) -> Completion {
    let id = args.rdx;
    let lists = cx.version > 0;
    args.r8 = 0;
    if lists {
        args.rdx = NULL_ID;
    }
    check_own(args)?;
    if lists && id == NULL_ID {
        args.rdx = metadata::first_id(TABLE, Who::Guest);
        return Err(Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT.into());
    }
    let element = Element::find(&vcpu.td, id, Who::Guest)?;
    args.r8 = element.read(cx, &vcpu.td)?;
    if lists {
        args.rdx = metadata::next_id(TABLE, element.row, element.index, Who::Guest);
    }
    Ok(())
}

/// RDX: field. R8: value. R9: mask of the bits to write. Returns the value before in R8.
pub fn write<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>, args: &mut Args) -> Completion {
    let value = take(&mut args.r8);
    check_own(args)?;
    let element = Element::find(&vcpu.td, args.rdx, Who::Guest)?;
    let seen = element.read(cx, &vcpu.td)?;
    let field = element
        .tdcs_field()
        .ok_or(Status::METADATA_FIELD_NOT_WRITABLE)?;
    let new = metadata::written(element.access, seen, value, args.r9)?;
    let tdcs = &vcpu.td.tdcs;
    let flexible = tdcs.get(fields::CONFIG_FLAGS) & ConfigFlags::FLEXIBLE_PENDING_VE_MASK != 0;
    if field == fields::TD_CTLS && new != seen && !flexible {
        return Err(Status::METADATA_FIELD_VALUE_NOT_VALID.into());
    }
    // All fields that can be written take a whole word of the TDCS; bits that a guest does not see stay.
    let word = tdcs.word(field);
    let old = word.load();
    word.cmpxchg(
        old,
        old & !element.access.write | new & element.access.write,
    )
    .map_err(|_| Status::OPERAND_BUSY.with(Operand::METADATA_FIELD))?;
    args.r8 = seen;
    Ok(())
}
