// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.MNG.ADDCX.

use crate::{
    abi::{
        sept,
        Args,
        Leaf,
        Operand,
        PageType,
        Status, //
    },
    sim::model::{
        lock::Mode,
        pamt,
        platform::Platform,
        td,
        tdcs,
        tdr::{
            self,
            Tdr, //
        },
        Completion,
        Ctx, //
    }, //
};

/// Index of the TDCX page that a random number is drawn with.
const RANDOM_PAGE: u64 = 5;

/// What a TDCX page is filled with, by its index.
fn fill(index: u64) -> u64 {
    const MSR_BITMAPS: u64 = (tdcs::fields::MSR_BITMAPS.offset >> 12) as u64;
    const SEPT_ROOT: u64 = (tdcs::fields::SEPT_ROOT.offset >> 12) as u64;
    match index {
        MSR_BITMAPS => u64::MAX,
        SEPT_ROOT => sept::Entry::FREE.into_raw(),
        _ => 0,
    }
}

/// Adds a page to the TDCS.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let pa = args.rcx;
    let tdr = Tdr::lock(cx, Operand::RDX, args.rdx, Mode::Exclusive)?;
    td::check_keys(&tdr)?;
    let index = tdr.get(tdr::fields::NUM_TDCX);
    if index >= tdr::MAX_TDCX {
        return Err(Status::TDCX_NUM_INCORRECT);
    }
    let page = pamt::page(cx, Operand::RCX, pa, PageType::Nda, Mode::Exclusive)?;
    cx.p.fill_page(pa, fill(index));
    if let Some(tdcs) = td::tdcs(cx, &tdr)? {
        if !td::op_state_allows(Leaf::MngAddcx, tdcs.get(tdcs::fields::OP_STATE)) {
            return Err(Status::OP_STATE_INCORRECT);
        }
    }
    if index == RANDOM_PAGE {
        cx.p.random().ok_or(Status::RND_NO_ENTROPY)?;
    }

    let keyed = cx.p.config().with_keyid(pa, tdr.hkid().into());
    tdr.set(tdr::fields::TDCX_PA.element(index as u32), keyed);
    tdr.set(tdr::fields::NUM_TDCX, index + 1);
    tdr.add_children(1);
    page.give(PageType::Tdcx, tdr.pa());
    Ok(())
}
