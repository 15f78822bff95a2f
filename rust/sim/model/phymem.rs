// SPDX-License-Identifier: GPL-2.0

//! TDH.PHYMEM: physical pages, whatever TD they belong to.

pub mod cache_wb;
pub mod page_rdmd;
pub mod page_reclaim;
pub mod page_wbinvd;

use super::{
    pamt::Page,
    platform::Platform, //
};
use crate::abi::Args;

/// Makes all registers that describe a page 0.
fn clear_outputs(args: &mut Args) {
    (args.rcx, args.rdx, args.r8, args.r9, args.r10, args.r11) = (0, 0, 0, 0, 0, 0);
}

/// Describes a page in the registers: type, owner and size.
fn report<P: Platform>(args: &mut Args, page: &Page<'_, P>) {
    args.rcx = page.raw_type();
    args.rdx = page.owner();
    args.r8 = page.level().raw();
}
