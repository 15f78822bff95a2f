// SPDX-License-Identifier: GPL-2.0

//! TDH.VP.CREATE: adds a vCPU to a TD, as yet without most of its pages.

use super::super::{
    lock::Mode,
    pamt,
    platform::Platform,
    td::Td,
    tdr::fields::HKID,
    tdvps::{
        self,
        fields,
        Tdvps, //
    },
    Completion,
    Ctx, //
};
use crate::abi::{
    Args,
    Leaf,
    Operand,
    PageType, //
};

/// RCX: page. RDX: TDR.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let td = Td::open(cx, Leaf::VpCreate, Operand::RDX, args.rdx, Mode::Shared)?;
    let page = pamt::page(cx, Operand::RCX, args.rcx, PageType::Nda, Mode::Exclusive)?;

    cx.p.fill_page(args.rcx, 0);
    let tdvps = Tdvps::new(cx.p, args.rcx);
    tdvps.set(fields::ASSOC_LPID, tdvps::NO_LP);
    tdvps.add_page(args.rcx, td.tdr.get(HKID));
    page.give(PageType::Tdvpr, td.tdr.pa());
    td.tdr.add_children(1);
    Ok(())
}
