// SPDX-License-Identifier: GPL-2.0

//! What a call may do to memory: it is watched, and then judged.
//!
//! A call may access the PAMT, the pages that its operands name, and the pages of the TDs that these
//! belong to; nothing else, in particular nothing of another TD. A call that fails must have changed
//! nothing but what the ABI says that it keeps.

use crate::{
    abi::{
        sept::Entry,
        Args,
        Leaf,
        PageType,
        Status, //
    },
    books::Books,
    platform::{
        Access,
        Machine,
        Observer, //
    },
    sim::model::{
        field::Field,
        tdcs,
        tdmr::PAMT_LEVELS,
        tdvps,
        Module, //
    },
};
use std::{
    collections::{
        BTreeMap,
        BTreeSet, //
    },
    sync::{
        Mutex,
        PoisonError, //
    },
};

const PAGE: u64 = 4096;

/// The bit of a PAMT entry's lock that asks for host priority.
const HOST_PRIORITY: u64 = 2;

/// Accesses of one call to memory that no call comes near: the longest go through the 512 entries of
/// a few pages.
const MANY: usize = 1 << 15;

/// The accesses of a call: address, whether the word may have changed, and what it held before.
#[derive(Default)]
pub struct Watch(Mutex<Vec<(u64, Access, u64)>>);

impl Observer for Watch {
    fn access(&self, machine: &Machine, pa: u64, access: Access) {
        let mut accesses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(accesses.len() < MANY, "a call does not come to an end");
        accesses.push((pa, access, machine.peek(pa)));
    }
}

impl Watch {
    fn take(&self) -> Vec<(u64, Access, u64)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a call may access, found out before it is made.
pub struct Allowed<'w> {
    machine: &'w Machine,
    module: &'w Module,
    /// The books before the call.
    books: &'w Books,
    leaf: Option<Leaf>,
    /// Pages that the operands name.
    operands: BTreeSet<u64>,
    /// The TDRs of the TDs that these belong to; `None` stands for all TDs.
    tds: Option<BTreeSet<u64>>,
}

impl<'w> Allowed<'w> {
    /// What a call of `leaf` with these registers may access.
    pub fn new(
        machine: &'w Machine,
        module: &'w Module,
        books: &'w Books,
        leaf: Option<Leaf>,
        args: &Args,
    ) -> Self {
        let page_of = |word: u64| word & machine.config.memory_mask() & !(PAGE - 1);
        let mut operands: BTreeSet<u64> = registers(args).map(page_of).into();
        if leaf == Some(Leaf::SysConfig) {
            // The operand is a list of addresses of TDMR_INFO structures.
            let list = page_of(args.rcx);
            let words = (list..list + PAGE).step_by(8).map(|pa| machine.peek(pa));
            operands.extend(words.map(page_of));
        }
        let tds = operands
            .iter()
            .filter_map(|pa| books.at(*pa))
            .map(|(first, page)| if page.owner == 0 { first } else { page.owner })
            .collect();
        Self {
            machine,
            module,
            books,
            leaf,
            operands,
            tds: Some(tds),
        }
    }

    /// The same for a machine on which the host has damaged pages of TDs, so that nothing keeps them
    /// apart: all that was donated.
    pub fn donated(self) -> Self {
        Self { tds: None, ..self }
    }

    fn contains(&self, pa: u64) -> bool {
        let is_mine = |tdr: u64| self.tds.as_ref().is_none_or(|tds| tds.contains(&tdr));
        self.operands.contains(&(pa & !(PAGE - 1)))
            || self.is_pamt(pa)
            || self
                .books
                .at(pa)
                .is_some_and(|(first, page)| is_mine(first) || is_mine(page.owner))
    }

    fn is_pamt(&self, pa: u64) -> bool {
        self.module.tdmrs.iter().any(|tdmr| {
            let mut pamts = PAMT_LEVELS.iter().map(|level| tdmr.pamt(*level));
            pamts.any(|pamt| (pamt.base..pamt.end()).contains(&pa))
        })
    }

    /// Bits of a word that a call may change though it fails.
    ///
    /// A failed attempt to lock a page, OP_STATE or an entry of a secure EPT asks for priority, and a
    /// successful one takes that back. A vCPU that was associated with the processor stays so (TDX
    /// ABI: "associate"). TDH.MNG.ADDCX fills the page before its last checks.
    fn kept(&self, pa: u64) -> u64 {
        if self.is_pamt(pa) {
            return HOST_PRIORITY;
        }
        let associates = matches!(self.leaf, Some(Leaf::VpRd | Leaf::VpWr | Leaf::VpEnter));
        let field = |field: Field, bits: u64| {
            if pa % PAGE == field.word_offset() {
                (bits & field.mask()) << field.shift()
            } else {
                0
            }
        };
        let associated = |of: Field| if associates { field(of, u64::MAX) } else { 0 };
        match self.books.at(pa).map(|(_, page)| page.page_type) {
            Some(PageType::Tdvpr) => associated(tdvps::fields::ASSOC_LPID),
            // Nobody looks at it before OP_STATE says that all of it is sound.
            Some(PageType::Tdcx) if self.leaf == Some(Leaf::MngInit) => u64::MAX,
            Some(PageType::Tdcx) => {
                associated(tdcs::fields::NUM_ASSOC_VCPUS)
                    | field(tdcs::fields::OP_STATE_LOCK, HOST_PRIORITY)
                    | Entry::HOST_PRIORITY_MASK
            }
            Some(PageType::Ept) => Entry::HOST_PRIORITY_MASK,
            None if self.leaf == Some(Leaf::MngAddcx) => u64::MAX,
            _ => 0,
        }
    }

    /// Judges what a call did.
    ///
    /// # Panics
    ///
    /// If it did what it must not.
    pub fn judge(&self, watch: &Watch, status: Status) {
        let mut before = BTreeMap::new();
        for (pa, access, old) in watch.take() {
            assert!(self.contains(pa), "{status:?}: {access:?} at {pa:#x}");
            if access == Access::Write {
                before.entry(pa).or_insert(old);
            }
        }
        if status.is_error() {
            for (pa, old) in before {
                let changed = (old ^ self.machine.peek(pa)) & !self.kept(pa);
                assert_eq!(changed, 0, "{status:?}, but changed {pa:#x}");
            }
        }
    }
}

/// All registers that a call can name something in.
fn registers(args: &Args) -> [u64; 13] {
    [
        args.rcx, args.rdx, args.r8, args.r9, args.r10, args.r11, args.r12, args.r13, args.r14,
        args.r15, args.rbx, args.rdi, args.rsi,
    ]
}
