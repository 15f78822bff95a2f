// SPDX-License-Identifier: GPL-2.0

//! A vCPU that a leaf works on.

use super::super::{
    lock::Mode,
    pamt::{
        self,
        Page, //
    },
    platform::Platform,
    td::Td,
    tdcs::{
        self,
        Tdcs, //
    },
    tdvps::{
        self,
        fields,
        Tdvps, //
    },
    Completion,
    Ctx, //
};
use crate::abi::{
    state::VcpuState,
    Leaf,
    Operand,
    PageType,
    Status, //
};

/// A locked vCPU of a TD that is built far enough for a leaf to work on it.
#[must_use = "the vCPU is unlocked at once if this is dropped"]
pub struct Vcpu<'a, P: Platform> {
    // Fields are dropped in this order.
    /// The TD.
    pub td: Td<'a, P>,
    _tdvpr: Page<'a, P>,
    /// The vCPU's state.
    pub tdvps: Tdvps<'a, P>,
}

/// The check of a TDVPR operand.
pub fn lock<'a, P: Platform>(
    cx: &Ctx<'a, P>,
    op: Operand,
    pa: u64,
    mode: Mode,
) -> Result<Page<'a, P>, Status> {
    pamt::page(cx, op, pa, PageType::Tdvpr, mode)
}

/// The check that all pages of the vCPU were added.
pub fn map<'a, P: Platform>(
    cx: &Ctx<'a, P>,
    tdvps: &Tdvps<'a, P>,
    owner: u64,
    l2_vms: u64,
) -> Completion {
    let base = u64::from(cx.p.config().module.tdvps_pages);
    let pages = base + tdvps::PAGES_PER_L2_VM * l2_vms.min(3);
    tdvps.map(cx, owner, pages)
}

impl<'a, P: Platform> Vcpu<'a, P> {
    /// The check of a TDVPR operand of `leaf`, and of the TD behind it.
    pub fn open(
        cx: &Ctx<'a, P>,
        leaf: Leaf,
        op: Operand,
        pa: u64,
        mode: Mode,
    ) -> Result<Self, Status> {
        let page = lock(cx, op, pa, mode)?;
        Ok(Self {
            td: Td::open_implicit(cx, leaf, page.owner())?,
            _tdvpr: page,
            tdvps: Tdvps::new(cx.p, pa),
        })
    }

    /// The check that all pages of the vCPU were added.
    pub fn map(&self, cx: &Ctx<'a, P>) -> Completion {
        let l2_vms = self.td.tdcs.get(tdcs::fields::NUM_L2_VMS);
        map(cx, &self.tdvps, self.td.tdr.pa(), l2_vms)
    }

    /// The check that the vCPU is in one of the given states.
    pub fn check_state(&self, states: &[VcpuState]) -> Completion {
        match VcpuState::from_raw(self.tdvps.get(fields::VCPU_STATE)) {
            Some(state) if states.contains(&state) => Ok(()),
            _ => Err(Status::VCPU_STATE_INCORRECT),
        }
    }

    /// The check that no other logical processor has state of the vCPU; this one has from now on,
    /// until TDH.VP.FLUSH.
    pub fn associate(&self, cx: &Ctx<'a, P>) -> Completion {
        let this = u64::from(cx.p.lp().index);
        let lp = fields::ASSOC_LPID.try_update(&self.tdvps.word(fields::ASSOC_LPID), |lp| {
            (lp == tdvps::NO_LP).then_some(this)
        });
        match lp {
            Ok(_) => {
                count_associated(&self.td.tdcs, 1);
                Ok(())
            }
            Err(lp) if lp == this => Ok(()),
            Err(_) => Err(Status::VCPU_ASSOCIATED),
        }
    }
}

/// Counts `change` more vCPUs of the TD that a logical processor has state of; a negative number is
/// in two's complement.
pub fn count_associated<P: Platform>(tdcs: &Tdcs<'_, P>, change: u64) {
    let field = tdcs::fields::NUM_ASSOC_VCPUS;
    field.add(&tdcs.word(field), change);
}
