// SPDX-License-Identifier: GPL-2.0

//! A TD that a leaf works on: the checks that it is in a state for that, and the table behind them.

use super::{
    by_leaf::ByLeaf,
    lock::{
        Guard,
        Mem,
        Mode, //
    },
    metadata::Who,
    pamt,
    platform::Platform,
    tdcs::{
        self,
        Tdcs, //
    },
    tdr::{
        self,
        Tdr, //
    },
    Ctx, //
};
use crate::abi::{
    state::{
        Lifecycle,
        OpState, //
    },
    td_params::Attributes,
    Leaf,
    Operand,
    PageType,
    Status, //
};

/// The leaves that check OP_STATE, and the states in which they are allowed.
///
/// TDX ABI: "OP_STATE Transitions and Allowed Operations". MNG.ADDCX looks at it from the 7th page
/// on only.
static OP_STATES: ByLeaf = ByLeaf::new(&[
    (Leaf::VpEnter, &[2, 3, 9]),
    (Leaf::MngAddcx, &[0]),
    (Leaf::MemPageAdd, &[1]),
    (Leaf::MemSeptAdd, &[1, 2, 3, 6, 7, 8, 9]),
    (Leaf::VpAddcx, &[1, 7]),
    (Leaf::MemPageRelocate, &[1, 2, 3, 4, 5, 8, 9]),
    (Leaf::MemPageAug, &[1, 2, 3, 9]),
    (Leaf::MemRangeBlock, &[1, 2, 3, 4, 5, 8, 9]),
    (Leaf::VpCreate, &[1, 7]),
    (Leaf::MngRd, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    (Leaf::MemRd, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    (Leaf::MngWr, &[1, 2, 3, 6, 7, 8, 9, 10]),
    (Leaf::MemWr, &[1, 2, 3, 6, 7, 8, 9, 10]),
    (Leaf::MemPageDemote, &[1, 2, 3, 4, 5, 8, 9]),
    (Leaf::MrExtend, &[1]),
    (Leaf::MrFinalize, &[1]),
    (Leaf::MngInit, &[0]),
    (Leaf::VpInit, &[1]),
    (Leaf::MemPagePromote, &[1, 2, 3, 4, 5, 8, 9]),
    (Leaf::MemSeptRd, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    (Leaf::VpRd, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    (Leaf::MemPageRemove, &[1, 2, 3, 4, 5, 8, 9, 10]),
    (Leaf::MemSeptRemove, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    (Leaf::MemTrack, &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
    (Leaf::MemRangeUnblock, &[1, 2, 3, 4, 5, 8, 9]),
    (Leaf::VpWr, &[1, 2, 3, 6, 7, 8, 9, 10]),
]);

/// Whether `leaf` may be used on a TD whose OP_STATE field holds `op_state`.
#[inline]
pub fn op_state_allows(leaf: Leaf, op_state: u64) -> bool {
    OP_STATES.allows(leaf, op_state)
}

/// Whether a leaf locks OP_STATE; one that has the TDR to itself need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpStateLock {
    /// It does not.
    None,
    /// It does, shared.
    Shared,
}

/// A TD that is built far enough for a leaf to work on it.
#[must_use = "the TD is unlocked at once if this is dropped"]
pub struct Td<'a, P: Platform> {
    // Fields are dropped in this order.
    op_state: Option<Guard<Mem<'a, P>, { tdcs::fields::OP_STATE_LOCK.shift() }, true>>,
    /// The control structure.
    pub tdcs: Tdcs<'a, P>,
    /// The root.
    pub tdr: Tdr<'a, P>,
}

impl<'a, P: Platform> Td<'a, P> {
    /// The check of a TDR operand of `leaf`, and of the TD behind it.
    #[inline]
    pub fn open(
        cx: &Ctx<'a, P>,
        leaf: Leaf,
        op: Operand,
        pa: u64,
        mode: Mode,
    ) -> Result<Self, Status> {
        let lock = match mode {
            Mode::Exclusive => OpStateLock::None,
            Mode::Shared => OpStateLock::Shared,
        };
        Self::check(cx, Tdr::lock(cx, op, pa, mode)?, leaf, lock)
    }

    /// As [`open`](Self::open) for the TD that owns a vCPU's page, found in the page's PAMT entry.
    #[inline]
    pub fn open_implicit(cx: &Ctx<'a, P>, leaf: Leaf, owner: u64) -> Result<Self, Status> {
        let tdr = Tdr::lock_implicit(cx, owner, Mode::Shared)?;
        Self::check(cx, tdr, leaf, OpStateLock::Shared)
    }

    /// The checks that the TD is built and in an OP_STATE in which `leaf` is allowed.
    #[inline]
    pub fn check(
        cx: &Ctx<'a, P>,
        tdr: Tdr<'a, P>,
        leaf: Leaf,
        lock: OpStateLock,
    ) -> Result<Self, Status> {
        check_keys(&tdr)?;
        let tdcs = tdcs(cx, &tdr)?.ok_or(Status::TDCS_NOT_ALLOCATED)?;
        let op_state = match lock {
            OpStateLock::None => None,
            OpStateLock::Shared => Some(
                tdcs.op_state_lock()
                    .acquire(Mode::Shared)
                    .ok_or(Status::OPERAND_BUSY.with(Operand::OP_STATE))?,
            ),
        };
        let td = Self {
            op_state,
            tdcs,
            tdr,
        };
        if op_state_allows(leaf, td.tdcs.get(tdcs::fields::OP_STATE)) {
            Ok(td)
        } else {
            Err(Status::OP_STATE_INCORRECT)
        }
    }

    /// Unlocks OP_STATE: while a guest runs, the state may change.
    pub fn release_op_state(&mut self) {
        self.op_state = None;
    }

    /// Whether the host may debug the TD.
    pub fn is_debug(&self) -> bool {
        self.tdcs.get(tdcs::fields::ATTRIBUTES) & Attributes::DEBUG_MASK != 0
    }

    /// The host, as metadata fields know it.
    pub fn host(&self) -> Who {
        if self.is_debug() {
            Who::Debugger
        } else {
            Who::Host
        }
    }

    /// The operation state; `None` for a number that is no state.
    pub fn op_state(&self) -> Option<OpState> {
        OpState::from_raw(self.tdcs.get(tdcs::fields::OP_STATE))
    }
}

/// TD_CTLS.PENDING_VE_DISABLE, which begins as ATTRIBUTES.SEPT_VE_DISABLE: touching a page that was not accepted is an
/// exit to the host, not #VE.
pub fn is_pending_ve_disabled<P: Platform>(tdcs: &Tdcs<'_, P>) -> bool {
    tdcs.get(tdcs::fields::TD_CTLS) & 1 != 0
}

/// The checks that a TD is usable and has its key.
#[inline]
pub fn check_keys<P: Platform>(tdr: &Tdr<'_, P>) -> Result<(), Status> {
    if tdr.is_fatal() {
        return Err(Status::TD_FATAL);
    }
    if tdr.lifecycle() != Some(Lifecycle::KeysConfigured) {
        return Err(Status::TD_KEYS_NOT_CONFIGURED);
    }
    Ok(())
}

/// The TDCS of a TD; `None` while pages of it are missing.
#[inline]
pub fn tdcs<'a, P: Platform>(
    cx: &Ctx<'a, P>,
    tdr: &Tdr<'a, P>,
) -> Result<Option<Tdcs<'a, P>>, Status> {
    if tdr.get(tdr::fields::NUM_TDCX) < u64::from(cx.p.config().module.tdcs_pages) {
        return Ok(None);
    }
    let tdcs = Tdcs::new(cx.p, tdr.pa());
    if !pamt::is_owned(cx, tdcs.page(0), PageType::Tdcx, tdr.pa()) {
        return Err(Status::TD_FATAL);
    }
    Ok(Some(tdcs))
}

/// The TDCS of the TD with its root page at `tdr`, if all its pages are there, for those who only look:
/// they are reclaimed one by one when the TD is torn down. Takes no lock.
pub fn complete_tdcs<'a, P: Platform>(cx: &Ctx<'a, P>, tdr: u64) -> Option<Tdcs<'a, P>> {
    let tdcs = Tdcs::new(cx.p, tdr);
    let base = u32::from(cx.p.config().module.tdcs_pages);
    let complete = tdr::fields::NUM_TDCX.load(cx.p, tdr) >= u64::from(base)
        && (0..base).all(|i| pamt::is_owned(cx, tdcs.page(i), PageType::Tdcx, tdr));
    complete.then_some(tdcs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn op_states_by_leaf() {
        assert!(op_state_allows(Leaf::MngInit, 0) && !op_state_allows(Leaf::MngInit, 1));
        assert!(op_state_allows(Leaf::MemPageAug, 1) && !op_state_allows(Leaf::MemPageAug, 4));
        assert!(!op_state_allows(Leaf::MemPageAug, 0x102));
        // A leaf without a row is allowed nowhere: it must not ask.
        assert!((0..16).all(|state| !op_state_allows(Leaf::MngCreate, state)));
    }
}
