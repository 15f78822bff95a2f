// SPDX-License-Identifier: GPL-2.0

//! Reading the guest's code as the CPU fetches it, to tell TDCALL from what else raises #UD.
//!
//! Intel SDM, volume 3, "Paging". The CPU has just fetched the instruction, so that all tables are
//! there; if another vCPU changes them meanwhile, the guest sees a #UD, as it may on hardware.

use super::super::{
    metadata::vmcs::fields as vmcs,
    platform::Platform,
    tdg::translate::{
        self,
        Access, //
    },
    tdvps::Tdvps,
    vmx::{
        cr0,
        cr4,
        efer,
        LONG_CODE, //
    },
    vp::vcpu::Vcpu,
    Ctx, //
};
use crate::abi::Level;

/// Whether `code` is what the guest executes.
pub fn is_at_rip<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>, code: &[u8]) -> bool {
    let tdvps = &vcpu.tdvps;
    let start = tdvps.get(vmcs::GUEST_RIP);
    // In 64-bit mode segments have no base.
    let start = if tdvps.get(vmcs::GUEST_CS_ACCESS_RIGHTS) & LONG_CODE == 0 {
        start.wrapping_add(tdvps.get(vmcs::GUEST_CS_BASE)) & u64::from(u32::MAX)
    } else {
        start
    };
    let mut at: Option<u64> = None;
    (0..).zip(code).all(|(offset, byte): (u64, _)| {
        let linear = start.wrapping_add(offset);
        // A byte is beside the one before, but for the first of a page.
        at = match at {
            Some(before) if linear % Level::K4.size() != 0 => Some(before.wrapping_add(1)),
            _ => pa(cx, vcpu, linear),
        };
        at.is_some_and(|pa| byte_at(cx.p, pa) == *byte)
    })
}

/// Where in memory a linear address is, if it is mapped.
fn pa<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>, linear: u64) -> Option<u64> {
    let gpa = gpa(cx, vcpu, linear)?;
    translate::any(cx, vcpu, gpa, Access::Read).ok()
}

fn byte_at<P: Platform>(p: &P, pa: u64) -> u8 {
    p.load(pa & !7).wrapping_shr((pa & 7) as u32 * 8) as u8
}

/// A way that the CPU translates linear addresses.
struct Paging {
    /// Bytes of an entry.
    size: u32,
    /// Bits of the linear address that select an entry.
    bits: u32,
    levels: u32,
}

const TWO_LEVELS: Paging = Paging {
    size: 4,
    bits: 10,
    levels: 2,
};
const PAE: Paging = Paging {
    size: 8,
    bits: 9,
    levels: 3,
};
const FOUR_LEVELS: Paging = Paging {
    size: 8,
    bits: 9,
    levels: 4,
};
const FIVE_LEVELS: Paging = Paging {
    size: 8,
    bits: 9,
    levels: 5,
};

fn paging<P: Platform>(tdvps: &Tdvps<'_, P>) -> Option<Paging> {
    let cr4 = tdvps.get(vmcs::GUEST_CR4);
    if tdvps.get(vmcs::GUEST_CR0) & cr0::PG == 0 {
        None
    } else if tdvps.get(vmcs::IA32_EFER) & efer::LMA != 0 {
        Some(if cr4 & cr4::LA57 == 0 {
            FOUR_LEVELS
        } else {
            FIVE_LEVELS
        })
    } else if cr4 & cr4::PAE != 0 {
        Some(PAE)
    } else {
        Some(TWO_LEVELS)
    }
}

/// The guest physical address of a linear one, if it is mapped.
fn gpa<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>, linear: u64) -> Option<u64> {
    const PRESENT: u64 = 1 << 0;
    const PAGE: u64 = 1 << 7;
    const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;

    let Some(paging) = paging(&vcpu.tdvps) else {
        return Some(linear);
    };
    let mut table = vcpu.tdvps.get(vmcs::GUEST_CR3) & ADDRESS;
    if paging.levels == PAE.levels {
        table |= vcpu.tdvps.get(vmcs::GUEST_CR3) & 0xFE0;
    }
    let mut shift = 12 + paging.bits * paging.levels;
    for level in (0..paging.levels).rev() {
        shift = shift.saturating_sub(paging.bits);
        let index = linear.wrapping_shr(shift) & (1u64.wrapping_shl(paging.bits) - 1);
        let at = table.wrapping_add(index * u64::from(paging.size));
        let pa = translate::any(cx, vcpu, at, Access::Read).ok()?;
        let word = cx.p.load(pa & !7).wrapping_shr((pa & 4) as u32 * 8);
        let entry = if paging.size == 4 {
            word & u64::from(u32::MAX)
        } else {
            word
        };
        if entry & PRESENT == 0 {
            return None;
        }
        let is_page = level == 0 || entry & PAGE != 0;
        if is_page {
            let offset = 1u64.wrapping_shl(shift).wrapping_sub(1);
            return Some(entry & ADDRESS & !offset | linear & offset);
        }
        table = entry & ADDRESS;
    }
    None
}
