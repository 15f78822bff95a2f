// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.PAGE.ADD: adds a page with content to a TD that is being built, and measures its
//! address.

use super::{
    super::{
        lock::Mode,
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
    },
    target::{
        check_gpa,
        free_page,
        take_operands,
        walk,
        Levels, //
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
    Status, //
};

/// RCX: GPA and level 0. RDX: TDR. R8: page. R9: source page.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let (word, tdr) = take_operands(args);
    let td = Td::open(cx, Leaf::MemPageAdd, Operand::RDX, tdr, Mode::Exclusive)?;
    let (gpa, level) = check_gpa(&td, word, Levels::new(Level::K4, Level::K4))?;
    // The TD is locked as a whole: no lock of the tree or the entry is needed.
    let slot = walk(cx, args, &Sept::of(cx, &td)?, gpa, level)?;
    let entry = slot.load();
    if !permission::allows(Leaf::MemPageAdd, sept::state(entry)?) {
        let status = Status::EPT_ENTRY_STATE_INCORRECT.with(Operand::RCX);
        return sept::fail(args, entry, level, status);
    }
    let source = cx.check_shared_hpa(Operand::R9, args.r9, Level::K4.size())?;
    let (page, pfn) = free_page(cx, args.r8, level)?;

    cx.p.copy_page(pfn.pa(), source);
    page.give(PageType::Reg, tdr);
    page.entry().set_bepoch(0);
    slot.store(Entry::new(State::Mapped, pfn));
    mrtd::add_page(cx.p, &td.tdcs, gpa);
    td.tdr.add_children(level.pages());
    Ok(())
}
