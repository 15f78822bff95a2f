// SPDX-License-Identifier: GPL-2.0

//! TDG.SYS.RD: reads a field of the module.

use super::{
    super::{
        metadata::{
            global,
            Who,
            NULL_ID, //
        },
        platform::Platform,
        Ctx, //
    },
    Completion, //
};
use crate::abi::{
    metadata::FieldId,
    Args,
    Status, //
};

/// RDX: field. Returns the next field that a guest may read in RDX, and the value in R8.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let id = args.rdx;
    (args.rdx, args.r8) = (NULL_ID, 0);
    if id == NULL_ID {
        args.rdx = global::first_id(cx, Who::Guest);
        return Err(Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT.into());
    }
    let (field, index) = global::find(cx, FieldId::from_raw(id))?;
    if !field.guest {
        return Err(Status::METADATA_FIELD_NOT_READABLE.into());
    }
    args.rdx = global::next_id(cx, Who::Guest, field, index);
    args.r8 = global::value(cx, field, index);
    Ok(())
}
