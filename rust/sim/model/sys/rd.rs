// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.SYS.RD.

use crate::{
    abi::{
        metadata::FieldId,
        Args,
        Status, //
    },
    sim::model::{
        metadata::{
            global,
            Who,
            NULL_ID, //
        },
        platform::Platform,
        Completion,
        Ctx, //
    }, //
};

/// Reads a field of the global context.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let id = args.rdx;
    (args.rdx, args.r8) = (NULL_ID, 0);

    if !cx.module.is_lp_initialized(cx.p.lp().index) {
        return Err(Status::SYS_LP_INIT_NOT_DONE);
    }
    if id == NULL_ID {
        args.rdx = global::first_id(cx, Who::Host);
        return Err(Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT);
    }
    let (field, index) = global::find(cx, FieldId::from_raw(id))?;
    args.rdx = global::next_id(cx, Who::Host, field, index);
    args.r8 = global::value(cx, field, index);
    Ok(())
}
