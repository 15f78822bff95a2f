// SPDX-License-Identifier: GPL-2.0

//! The word of a debug TD's memory that TDH.MEM.RD and TDH.MEM.WR access.

use super::{
    super::{
        lock::Mode,
        platform::Platform,
        sept::{
            self,
            permission,
            Locked,
            Sept, //
        },
        td::Td,
        Ctx, //
    },
    target::{
        check_private,
        lock_entry,
        lock_tree,
        page,
        page_entry,
        take_operands,
        TreeGuard, //
    },
};
use crate::abi::{
    Args,
    Leaf,
    Level,
    Operand,
    Status, //
};

/// A word of private memory, with the S-EPT entry of its page locked.
#[must_use = "the locks are released at once if this is dropped"]
pub struct Word<'a, P: Platform> {
    // Fields are dropped in this order.
    _locked: Locked<'a, P>,
    _tree: TreeGuard<'a, P>,
    _td: Td<'a, P>,
    pa: u64,
}

impl<'a, P: Platform> Word<'a, P> {
    /// The checks of both leaves.
    pub fn find(cx: &Ctx<'a, P>, args: &mut Args, leaf: Leaf) -> Result<Self, Status> {
        let (gpa, tdr) = take_operands(args);
        let td = Td::open(cx, leaf, Operand::RDX, tdr, Mode::Shared)?;
        if !td.is_debug() {
            return Err(Status::TD_NON_DEBUG);
        }
        if gpa % 8 != 0 {
            return Err(Status::OPERAND_INVALID.with(Operand::RCX));
        }
        let tree = lock_tree(&td, Mode::Shared)?;
        check_private(&td, gpa)?;
        let slot = Sept::of(cx, &td)?.walk(cx, gpa, Level::K4)?;
        let entry = slot.load();
        if !sept::is_present_leaf(entry) {
            let status = Status::EPT_ENTRY_NOT_PRESENT.with(Operand::RCX);
            return sept::fail(args, entry, slot.level, status);
        }
        let locked = lock_entry(args, slot)?;
        let entry = locked.get();
        if !permission::allows(leaf, sept::state(entry)?) {
            let status = Status::EPT_ENTRY_STATE_INCORRECT.with(Operand::RCX);
            return sept::fail(args, entry, slot.level, status);
        }
        let page = page(entry, slot.level);
        page_entry(cx, &td, page, slot.level)?;
        Ok(Self {
            _locked: locked,
            _tree: tree,
            _td: td,
            pa: page | gpa & (slot.level.size() - 1),
        })
    }

    /// The physical address of the word.
    pub fn pa(&self) -> u64 {
        self.pa
    }
}
