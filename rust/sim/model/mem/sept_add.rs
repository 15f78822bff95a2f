// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.SEPT.ADD: adds a table page to the secure EPT.

use super::{
    super::{
        lock::Mode,
        platform::Platform,
        Completion,
        Ctx, //
    },
    take_flag,
    target::{
        free_page,
        Levels,
        Target, //
    },
    NO_PAGE,
    UNUSED, //
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

/// RCX: GPA and level of the entry that will point to the page. RDX: TDR; bit 0: use what exists.
/// R8: page; version 1, R9 to R11: pages for the secure EPTs of L2 VMs.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let allow_existing = take_flag(args);
    let levels = Levels::to_root(Level::M2);
    let target = Target::open(cx, args, Leaf::MemSeptAdd, levels, Mode::Shared)?;
    let state = target.check_state(args, Leaf::MemSeptAdd)?;
    let given = args.r8 != NO_PAGE;
    if !given && cx.version == 0 {
        return Err(Status::OPERAND_INVALID.with(Operand::R8));
    }
    let exists = state == State::NlMapped;
    if given == exists && !(exists && allow_existing) {
        return target.fail(args, Status::EPT_ENTRY_STATE_INCORRECT);
    }
    let page = if exists {
        None
    } else {
        Some(free_page(cx, args.r8 & !UNUSED, Level::K4)?)
    };
    if cx.version > 0 {
        check_no_l2_pages(args)?;
    }

    if let Some((page, pfn)) = page {
        cx.p.fill_page(pfn.pa(), Entry::FREE.into_raw());
        page.give(PageType::Ept, target.td.tdr.pa());
        page.entry().set_bepoch(0);
        target.set(Entry::new(State::NlMapped, pfn));
        target.td.tdr.add_children(1);
        if cx.version > 0 {
            args.r8 = NO_PAGE;
        }
    } else if given && cx.version > 0 {
        args.r8 |= UNUSED;
    }
    Ok(())
}

/// No TD of the model has L2 VMs that run, so none has a secure EPT to add a page to.
fn check_no_l2_pages(args: &Args) -> Completion {
    let pages = [
        (args.r9, Operand::R9),
        (args.r10, Operand::R10),
        (args.r11, Operand::R11),
    ];
    for (page, operand) in pages {
        if page != NO_PAGE {
            return Err(Status::OPERAND_INVALID.with(operand));
        }
    }
    Ok(())
}
