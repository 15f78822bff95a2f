// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.SYS.RDALL.

use crate::{
    abi::{
        metadata::FieldId,
        Args,
        Level,
        Operand,
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

/// Writes the fields of the global context, from the one in R8 on, to a page of the host: a header,
/// then for each field a sequence header and the elements.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    if !cx.module.is_lp_initialized(cx.p.lp().index) {
        return Err(Status::SYS_LP_INIT_NOT_DONE);
    }
    let size = Level::K4.size();
    let buffer = cx.check_shared_hpa(Operand::RDX, args.rdx, size)?;
    let first = if args.r8 == NULL_ID {
        global::first_id(cx, Who::Host)
    } else {
        let (field, _) = global::find(cx, FieldId::from_raw(args.r8))?;
        field.id.into_raw()
    };

    let put = |offset, word| cx.p.store(buffer.wrapping_add(offset), word);
    let mut used = 8u64;
    let mut sequences = 0u64;
    args.r8 = NULL_ID;
    for field in global::fields(cx, Who::Host).skip_while(|field| field.id.into_raw() != first) {
        let elements = global::elements(field);
        let length = u64::from(elements).wrapping_add(1).wrapping_mul(8);
        if length > size.saturating_sub(used) {
            args.r8 = field.id.into_raw();
            break;
        }
        let header = field.id.into_raw()
            | (u64::from(field.fields.wrapping_sub(1)) << FieldId::LAST_FIELD_SHIFT)
            | (u64::from(field.elements.wrapping_sub(1)) << FieldId::LAST_ELEMENT_SHIFT);
        put(used, header);
        for index in 0..elements {
            used = used.wrapping_add(8);
            put(used, global::value(cx, field, index));
        }
        used = used.wrapping_add(8);
        sequences = sequences.wrapping_add(1);
    }
    put(0, used | (sequences << 16));
    if args.r8 == NULL_ID {
        Ok(())
    } else {
        Err(Status::METADATA_LIST_OVERFLOW)
    }
}
