// SPDX-License-Identifier: GPL-2.0

//! TDH.MR.EXTEND: measures 256 bytes of the initial content of a TD.

use super::super::{
    lock::Mode,
    mem::target::{
        check_private,
        page,
        page_entry,
        take_operands, //
    },
    mrtd,
    platform::Platform,
    sept::{
        self,
        permission,
        Sept, //
    },
    td::Td,
    Completion,
    Ctx, //
};
use crate::abi::{
    Args,
    Leaf,
    Level,
    Operand,
    Status, //
};

/// RCX: GPA. RDX: TDR.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let (gpa, tdr) = take_operands(args);
    let td = Td::open(cx, Leaf::MrExtend, Operand::RDX, tdr, Mode::Exclusive)?;
    if gpa % mrtd::CONTENT_SIZE as u64 != 0 {
        return Err(Status::OPERAND_INVALID.with(Operand::RCX));
    }
    check_private(&td, gpa)?;
    // The TD is locked as a whole: no lock of the tree or the entry is needed.
    let slot = Sept::of(cx, &td)?.walk(cx, gpa, Level::K4)?;
    let entry = slot.load();
    if !sept::is_present_leaf(entry) {
        let status = Status::EPT_ENTRY_NOT_PRESENT.with(Operand::RCX);
        return sept::fail(args, entry, slot.level, status);
    }
    if !permission::allows(Leaf::MrExtend, sept::state(entry)?) {
        return Err(Status::EPT_ENTRY_NOT_PRESENT);
    }

    let pa = page(entry, slot.level);
    page_entry(cx, &td, pa, slot.level)?;
    mrtd::add_content(cx.p, &td.tdcs, gpa, pa | gpa & (slot.level.size() - 1));
    Ok(())
}
