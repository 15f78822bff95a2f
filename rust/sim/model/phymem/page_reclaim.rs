// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.PHYMEM.PAGE.RECLAIM.

use crate::{
    abi::{
        state::Lifecycle,
        Args,
        Level,
        Operand,
        PageType,
        Status, //
    },
    sim::model::{
        lock::Mode,
        pamt,
        platform::Platform,
        tdr::{
            fields,
            Tdr, //
        },
        Completion,
        Ctx, //
    }, //
};

/// Gives a page of a TD in teardown back to the host.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let pa = args.rcx;
    super::clear_outputs(args);

    cx.check_hpa(Operand::RCX, pa, Level::K4.size())?;
    let page = pamt::walk(cx, Operand::RCX, pa, Level::K4, Mode::Exclusive)?;
    if page.is(PageType::Nda) || page.is(PageType::Rsvd) {
        return Err(Status::PAGE_METADATA_INCORRECT.with(Operand::RCX));
    }
    super::report(args, &page);
    if pa % page.level().size() != 0 {
        return Err(Status::OPERAND_INVALID.with(Operand::RCX));
    }

    if page.is(PageType::Tdr) {
        let lifecycle = Lifecycle::from_raw(fields::LIFECYCLE_STATE.load(cx.p, pa));
        if lifecycle != Some(Lifecycle::Teardown) {
            return Err(Status::LIFECYCLE_STATE_INCORRECT);
        }
        if fields::CHLDCNT.load(cx.p, pa) != 0 {
            return Err(Status::TD_ASSOCIATED_PAGES_EXIST);
        }
    } else {
        let tdr = Tdr::lock_implicit(cx, page.owner(), Mode::Shared)?;
        if tdr.lifecycle() != Some(Lifecycle::Teardown) {
            return Err(Status::LIFECYCLE_STATE_INCORRECT);
        }
        tdr.remove_children(page.level().pages());
    }
    page.give_back();
    Ok(())
}
