// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.MNG.WR.

use crate::{
    abi::{
        Args,
        Leaf,
        Operand,
        Status, //
    },
    sim::model::{
        lock::{
            Mode,
            Word, //
        },
        metadata::{
            self,
            td::Element, //
        },
        platform::Platform,
        td::Td,
        Completion,
        Ctx, //
    }, //
};
use core::ops::RangeInclusive;

/// Values that HP_LOCK_TIMEOUT can have, in microseconds.
const HP_LOCK_TIMEOUT: RangeInclusive<u64> = 10_000..=100_000_000;

/// Writes bits of a field of the TD context.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let (id, value, mask) = (args.rdx, args.r8, args.r9);
    args.r8 = 0;

    let td = Td::open(cx, Leaf::MngWr, Operand::RCX, args.rcx, Mode::Shared)?;
    let element = Element::find(&td, id, td.host())?;
    let old = element.read(cx, &td)?;
    let new = metadata::written(element.access, old, value, mask)?;
    if element.is_hp_lock_timeout() {
        if mask != u64::MAX {
            return Err(Status::METADATA_WR_MASK_NOT_VALID);
        }
        if !HP_LOCK_TIMEOUT.contains(&new) {
            return Err(Status::METADATA_FIELD_VALUE_NOT_VALID);
        }
    }
    // All fields that can be written take a whole word of the TDCS.
    let field = element
        .tdcs_field()
        .ok_or(Status::METADATA_FIELD_NOT_WRITABLE)?;
    td.tdcs
        .word(field)
        .cmpxchg(old, new)
        .map_err(|_| Status::OPERAND_BUSY.with(Operand::METADATA_FIELD))?;
    args.r8 = old;
    Ok(())
}
