// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.PAGE.AUG: maps a page that the guest has yet to accept.

use super::{
    super::{
        lock::Mode,
        pamt,
        platform::Platform,
        td::Td,
        Completion,
        Ctx, //
    },
    target::{
        Levels,
        Target, //
    },
};
use crate::abi::{
    sept::{
        Entry,
        State, //
    },
    Args,
    Leaf,
    Level,
    Operand,
    PageType,
    Pfn,
    Status, //
};

/// RCX: GPA and level. RDX: TDR. R8: page.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let (word, tdr) = (args.rcx, args.rdx);
    (args.rcx, args.rdx) = (0, 0);

    let td = Td::open(cx, Leaf::MemPageAug, Operand::RDX, tdr, Mode::Shared)?;
    let levels = Levels::new(Level::K4, Level::M2);
    let target = Target::find(cx, args, td, word, levels, Mode::Shared)?;
    target.check_state(args, Leaf::MemPageAug)?;
    let page = pamt::free_range(cx, Operand::R8, args.r8, target.level())?;
    let pfn = Pfn::from_pa(args.r8).ok_or(Status::OPERAND_INVALID.with(Operand::R8))?;

    page.entry().set(PageType::Reg, tdr);
    page.entry().set_bepoch(0);
    target.set(Entry::new(State::Pending, pfn));
    target.td.tdr.add_children(target.level().pages());
    Ok(())
}
