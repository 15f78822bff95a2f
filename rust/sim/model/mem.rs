// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM leaves: the private memory of a TD and its secure EPT.

pub mod debug;
pub mod page_add;
pub mod page_aug;
pub mod page_demote;
pub mod page_promote;
pub mod page_relocate;
pub mod page_remove;
pub mod range_block;
pub mod range_unblock;
pub mod rd;
pub mod sept_add;
pub mod sept_rd;
pub mod sept_remove;
pub mod target;
pub mod track;
pub mod wr;

#[cfg(test)]
mod tests;

use crate::abi::Args;

/// R8 to R11 where they hold pages of secure EPTs of L2 VMs: there is none.
const NO_PAGE: u64 = u64::MAX;

/// R8 to R11 in the output, where they held pages to use: this one was not used.
const UNUSED: u64 = 1 << 63;

/// Takes the flag out of bit 0 of RDX, which leaves the TDR.
fn take_flag(args: &mut Args) -> bool {
    let flag = args.rdx & 1 != 0;
    args.rdx &= !1;
    flag
}

/// Returns no pages of L2 VMs in R9 to R11: no TD of the model has any.
fn no_l2_pages(args: &mut Args) {
    (args.r9, args.r10, args.r11) = (NO_PAGE, NO_PAGE, NO_PAGE);
}
