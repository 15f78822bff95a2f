// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.PHYMEM.PAGE.RDMD.

use crate::{
    abi::{
        Args,
        Level,
        Operand,
        PageType, //
    },
    sim::model::{
        lock::Mode,
        pamt,
        platform::Platform,
        Completion,
        Ctx, //
    }, //
};

/// Reads the metadata of a page.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let pa = args.rcx;
    super::clear_outputs(args);

    cx.check_hpa(Operand::RCX, pa, Level::K4.size())?;
    let page = pamt::walk(cx, Operand::RCX, pa, Level::K4, Mode::Shared)?;
    super::report(args, &page);
    if page.is(PageType::Reg) || page.is(PageType::Ept) {
        args.r9 = page.entry().bepoch();
    }
    Ok(())
}
