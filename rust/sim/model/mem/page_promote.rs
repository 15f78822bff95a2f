// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.PAGE.PROMOTE: replaces 512 pages of equal state by one large page.

use super::{
    super::{
        lock::Mode,
        pamt,
        platform::Platform,
        sept::{
            self,
            Locked,
            Slot, //
        },
        Completion,
        Ctx, //
    },
    target::{
        page,
        Levels,
        Target, //
    },
};
use crate::abi::{
    sept::{
        Entry,
        State, //
    },
    Args,
    Leaf,
    Level,
    Operand,
    PageType,
    Pfn,
    Status, //
};

/// RCX: GPA and level of the large page. RDX: TDR. Returns the table page in RCX; version 1: those
/// of L2 VMs in R9 to R11.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let operands = (args.rcx, args.rdx);
    if cx.version == 1 {
        super::no_l2_pages(args);
    }
    let levels = Levels::new(Level::M2, Level::G1);
    let target = Target::open(cx, args, Leaf::MemPagePromote, levels, Mode::Shared)?;
    let state = target.check_state(args, Leaf::MemPagePromote)?;
    let table = target.table(cx)?;
    let table_page = target.lock_table(cx, table)?;
    target.check_tracking(args, state, table_page.entry().bepoch())?;
    let level = target.level().down().ok_or(Status::TD_FATAL)?;
    let Some(_children) = Children::lock(cx.p, table, level) else {
        return target.fail(args, Status::OPERAND_BUSY);
    };
    let Some((state, pfn)) = uniform(cx.p, table, level, target.level()) else {
        return target.fail(args, Status::EPT_INVALID_PROMOTE_CONDITIONS);
    };
    if cx.p.interrupt_pending() {
        (args.rcx, args.rdx) = operands;
        return Err(Status::INTERRUPTED_RESTARTABLE);
    }
    let large = pamt::walk(cx, Operand::RCX, pfn.pa(), target.level(), Mode::Exclusive)?;

    for index in 0..Level::ENTRIES {
        if let Some(small) = pamt::entry(cx, nth(pfn.pa(), index, level), level) {
            small.set_type(PageType::Nda);
        }
    }
    large.entry().set(PageType::Reg, target.td.tdr.pa());
    target.set(Entry::new(state, pfn));
    table_page.give_back();
    target.td.tdr.remove_children(1);
    args.rcx = table;
    Ok(())
}

/// The state of the entries of `table`, and the first page, if they map 512 consecutive pages in
/// the same way so that one page of level `large` can take their place.
fn uniform<P: Platform>(p: &P, table: u64, level: Level, large: Level) -> Option<(State, Pfn)> {
    let entry = |index| {
        let entry = Slot::nth(p, table, index, level).load().into_raw() & !sept::LOCK;
        Entry::from_raw(entry)
    };
    let first = entry(0);
    let state = first
        .state()
        .filter(|state| matches!(state, State::Mapped | State::Pending))?;
    let pfn = Pfn::from_pa(page(first, level)).filter(|pfn| pfn.is_aligned_to(large))?;
    // What tells the entries apart, with the progress of TDG.MEM.PAGE.ACCEPT out of the way.
    let rest = |entry: Entry| (entry.into_raw() & !Entry::PFN_MASK, page(entry, level));
    let (bits, pa) = rest(first);
    (1..Level::ENTRIES)
        .all(|index| rest(entry(index)) == (bits, nth(pa, index, level)))
        .then_some((state, pfn))
}

/// Address of page `index` of those that follow one another from `pa` on.
fn nth(pa: u64, index: u64, level: Level) -> u64 {
    pa.wrapping_add(index.wrapping_mul(level.size()))
}

/// The entries of a table page, all locked until this is dropped.
struct Children<'a, P: Platform> {
    p: &'a P,
    table: u64,
    level: Level,
    locked: u64,
}

impl<'a, P: Platform> Children<'a, P> {
    fn lock(p: &'a P, table: u64, level: Level) -> Option<Self> {
        let mut children = Self {
            p,
            table,
            level,
            locked: 0,
        };
        while children.locked < Level::ENTRIES {
            // The lock is dropped with all the others, not here.
            core::mem::forget(Slot::nth(p, table, children.locked, level).lock()?);
            children.locked += 1;
        }
        Some(children)
    }
}

impl<P: Platform> Drop for Children<'_, P> {
    fn drop(&mut self) {
        for index in (0..self.locked).rev() {
            drop(Locked::held(Slot::nth(
                self.p, self.table, index, self.level,
            )));
        }
    }
}
