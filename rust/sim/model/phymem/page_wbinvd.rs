// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.PHYMEM.PAGE.WBINVD.

use crate::{
    abi::{
        Args,
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

/// Writes back and invalidates the cache lines of a page with a KeyID: a check only, since memory
/// is the same through all KeyIDs here.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let pa = cx.without_keyid(args.rcx);
    pamt::page(cx, Operand::RCX, pa, PageType::Nda, Mode::Shared).map(drop)
}
