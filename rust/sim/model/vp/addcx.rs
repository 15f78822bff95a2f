// SPDX-License-Identifier: GPL-2.0

//! TDH.VP.ADDCX: adds a page to a vCPU.

use super::{
    super::{
        lock::Mode,
        pamt,
        platform::Platform,
        tdr::fields::HKID,
        tdvps::{
            fields,
            MAX_PAGES, //
        },
        Completion,
        Ctx, //
    },
    vcpu::Vcpu, //
};
use crate::abi::{
    state::VcpuState,
    Args,
    Leaf,
    Operand,
    PageType,
    Status, //
};

/// RCX: page. RDX: TDVPR.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let vcpu = Vcpu::open(cx, Leaf::VpAddcx, Operand::RDX, args.rdx, Mode::Exclusive)?;
    vcpu.check_state(&[VcpuState::Uninitialized])?;
    if vcpu.tdvps.get(fields::NUM_TDVPS_PAGES) >= MAX_PAGES {
        return Err(Status::TDCX_NUM_INCORRECT);
    }
    let page = pamt::page(cx, Operand::RCX, args.rcx, PageType::Nda, Mode::Exclusive)?;

    cx.p.fill_page(args.rcx, 0);
    vcpu.tdvps.add_page(args.rcx, vcpu.td.tdr.get(HKID));
    page.give(PageType::Tdcx, vcpu.td.tdr.pa());
    vcpu.td.tdr.add_children(1);
    Ok(())
}
