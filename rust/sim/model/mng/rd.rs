// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.MNG.RD.

use crate::{
    abi::{
        Args,
        Leaf,
        Operand,
        Status, //
    },
    sim::model::{
        lock::Mode,
        metadata::{
            self,
            td::{
                Element,
                TABLE, //
            },
            NULL_ID, //
        },
        platform::Platform,
        td::Td,
        Completion,
        Ctx, //
    }, //
};

/// Reads a field of the TD context. Version 1 returns the identifier of the next field, too.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let id = args.rdx;
    let lists = cx.version > 0;
    args.r8 = 0;

    cx.check_version()?;
    if lists {
        args.rdx = NULL_ID;
    }
    let td = Td::open(cx, Leaf::MngRd, Operand::RCX, args.rcx, Mode::Shared)?;
    let host = td.host();
    if lists && id == NULL_ID {
        args.rdx = metadata::first_id(TABLE, host);
        return Err(Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT);
    }
    let element = Element::find(&td, id, host)?;
    args.r8 = element.read(cx, &td)?;
    if lists {
        args.rdx = metadata::next_id(TABLE, element.row, element.index, host);
    }
    Ok(())
}
