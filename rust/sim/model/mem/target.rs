// SPDX-License-Identifier: GPL-2.0

//! The S-EPT entry that a leaf works on.

use core::mem::take;

use super::super::{
    lock::{
        Guard,
        Mem,
        Mode, //
    },
    pamt::{
        self,
        Page, //
    },
    platform::Platform,
    sept::{
        self,
        permission,
        tracking,
        Locked,
        Sept,
        Slot, //
    },
    td::Td,
    tdcs::fields,
    Completion,
    Ctx, //
};
use crate::abi::{
    sept::{
        Entry,
        State, //
    },
    Args,
    GpaWord,
    Leaf,
    Level,
    Operand,
    PageType,
    Pfn,
    Status, //
};

/// The levels that a leaf takes.
#[derive(Clone, Copy)]
pub struct Levels {
    min: Level,
    max: Option<Level>,
}

impl Levels {
    /// From `min` to `max`.
    pub const fn new(min: Level, max: Level) -> Self {
        Self {
            min,
            max: Some(max),
        }
    }

    /// From `min` to the level of the entries in the root page.
    pub const fn to_root(min: Level) -> Self {
        Self { min, max: None }
    }
}

/// Takes the operands RCX and RDX, in which a leaf returns 0 unless it has something to report.
#[inline]
pub fn take_operands(args: &mut Args) -> (u64, u64) {
    (take(&mut args.rcx), take(&mut args.rdx))
}

/// The check of the operand that holds a private GPA and a level.
pub fn check_gpa<P: Platform>(
    td: &Td<'_, P>,
    word: u64,
    levels: Levels,
) -> Result<(u64, Level), Status> {
    let invalid = Status::OPERAND_INVALID.with(Operand::RCX);
    let word = GpaWord::from_raw(word);
    let level = Level::from_raw(word.into_raw() & GpaWord::LEVEL_MASK).ok_or(invalid)?;
    let max = match levels.max {
        Some(max) => max,
        None => sept::root_level(td)?,
    };
    let gpa = word.gpa();
    if level < levels.min
        || level > max
        || word.into_raw() & GpaWord::RESERVED != 0
        || !gpa.is_aligned_to(level)
    {
        return Err(invalid);
    }
    check_private(td, gpa.get())?;
    Ok((gpa.get(), level))
}

/// The check that an address is a private one: below the SHARED bit.
pub fn check_private<P: Platform>(td: &Td<'_, P>, gpa: u64) -> Completion {
    if td.tdcs.is_private(gpa) {
        Ok(())
    } else {
        Err(Status::OPERAND_INVALID.with(Operand::RCX))
    }
}

/// The lock of a tree.
pub type TreeGuard<'a, P> = Guard<Mem<'a, P>, { fields::SEPT_TREE_LOCK.shift() }, false>;

/// Takes the lock of the tree.
pub fn lock_tree<'a, P: Platform>(td: &Td<'a, P>, mode: Mode) -> Result<TreeGuard<'a, P>, Status> {
    td.tdcs
        .sept_tree_lock()
        .acquire(mode)
        .ok_or(Status::OPERAND_BUSY.with(Operand::SEPT_TREE))
}

/// Goes to the entry of `level` for `gpa`, or reports the entry that ends the walk above it.
pub fn walk<'a, P: Platform>(
    cx: &Ctx<'a, P>,
    args: &mut Args,
    sept: &Sept,
    gpa: u64,
    level: Level,
) -> Result<Slot<'a, P>, Status> {
    let slot = sept.walk(cx, gpa, level)?;
    if slot.level == level {
        Ok(slot)
    } else {
        sept::fail(
            args,
            slot.load(),
            slot.level,
            Status::EPT_WALK_FAILED.with(Operand::RCX),
        )
    }
}

/// Locks an entry, or reports it as it was before the attempt.
pub fn lock_entry<'a, P: Platform>(
    args: &mut Args,
    slot: Slot<'a, P>,
) -> Result<Locked<'a, P>, Status> {
    let before = slot.load();
    match slot.lock() {
        Some(locked) => Ok(locked),
        None => sept::fail(
            args,
            before,
            slot.level,
            Status::OPERAND_BUSY.with(Operand::RCX),
        ),
    }
}

/// A locked S-EPT entry, with the tree and the TD that it is in.
#[must_use = "the locks are released at once if this is dropped"]
pub struct Target<'a, P: Platform> {
    // Fields are dropped in this order.
    locked: Locked<'a, P>,
    _tree: TreeGuard<'a, P>,
    /// The TD.
    pub td: Td<'a, P>,
    sept: Sept,
}

impl<'a, P: Platform> Target<'a, P> {
    /// The checks that most leaves begin with. RCX: GPA and level. RDX: TDR.
    #[inline]
    pub fn open(
        cx: &Ctx<'a, P>,
        args: &mut Args,
        leaf: Leaf,
        levels: Levels,
        tree: Mode,
    ) -> Result<Self, Status> {
        let (word, tdr) = take_operands(args);
        // Leaves of one version only are not called with another.
        cx.check_version()?;
        let td = Td::open(cx, leaf, Operand::RDX, tdr, Mode::Shared)?;
        Self::find(cx, args, td, word, levels, tree)
    }

    /// The checks from that of the GPA operand to the lock of the entry.
    pub fn find(
        cx: &Ctx<'a, P>,
        args: &mut Args,
        td: Td<'a, P>,
        word: u64,
        levels: Levels,
        tree: Mode,
    ) -> Result<Self, Status> {
        let (gpa, level) = check_gpa(&td, word, levels)?;
        let tree = lock_tree(&td, tree)?;
        let sept = Sept::of(cx, &td)?;
        let slot = walk(cx, args, &sept, gpa, level)?;
        Ok(Self {
            locked: lock_entry(args, slot)?,
            _tree: tree,
            td,
            sept,
        })
    }

    /// The entry.
    #[inline]
    pub fn entry(&self) -> Entry {
        self.locked.get()
    }

    /// Changes the entry.
    #[inline]
    pub fn set(&self, entry: Entry) {
        self.locked.set(entry);
    }

    /// The level of the entry.
    #[inline]
    pub fn level(&self) -> Level {
        self.locked.slot().level
    }

    /// Reports the entry and ends the leaf with `status` and the operand RCX.
    pub fn fail<T>(&self, args: &mut Args, status: Status) -> Result<T, Status> {
        sept::fail(args, self.entry(), self.level(), status.with(Operand::RCX))
    }

    /// The check that `leaf` works on an entry in this state; returns the state.
    pub fn check_state(&self, args: &mut Args, leaf: Leaf) -> Result<State, Status> {
        let state = sept::state(self.entry())?;
        if permission::allows(leaf, state) {
            Ok(state)
        } else {
            self.fail(args, Status::EPT_ENTRY_STATE_INCORRECT)
        }
    }

    /// The check that no processor can have a translation of the entry, which was blocked in epoch
    /// `bepoch` if at all.
    pub fn check_tracking(&self, args: &mut Args, state: State, bepoch: u64) -> Completion {
        if !state.needs_tracking() || !tracking::is_needed(&self.td) {
            return Ok(());
        }
        if !state.is_blocked() {
            return self.fail(args, Status::GPA_RANGE_NOT_BLOCKED);
        }
        if tracking::is_done(&self.td, bepoch) {
            Ok(())
        } else {
            Err(Status::TLB_TRACKING_NOT_DONE.with(Operand::RCX))
        }
    }

    /// What the entry in `state` maps or points to, with its PAMT entry: that of a page has the
    /// size of the page. Takes no lock.
    pub fn mapped(
        &self,
        cx: &Ctx<'a, P>,
        state: State,
    ) -> Result<(Pfn, pamt::Entry<'a, P>), Status> {
        let (pa, entry) = if state.is_leaf() {
            (self.page(), Some(self.page_entry(cx)?))
        } else {
            let table = self.table(cx)?;
            (table, pamt::entry(cx, table, Level::K4))
        };
        Pfn::from_pa(pa).zip(entry).ok_or(Status::TD_FATAL)
    }

    /// Address of the page that the entry maps.
    #[inline]
    pub fn page(&self) -> u64 {
        page(self.entry(), self.level())
    }

    /// The PAMT entry of the page that the entry maps. Takes no lock.
    pub fn page_entry(&self, cx: &Ctx<'a, P>) -> Result<pamt::Entry<'a, P>, Status> {
        page_entry(cx, &self.td, self.page(), self.level())
    }

    /// Locks the page that the entry maps.
    pub fn lock_page(&self, cx: &Ctx<'a, P>) -> Result<Page<'a, P>, Status> {
        self.page_entry(cx)?;
        let busy = Status::OPERAND_BUSY.with(Operand::RCX);
        pamt::lock_implicit(cx, self.page(), self.level(), Mode::Exclusive, busy)
    }

    /// Address of the table page that the entry points to.
    pub fn table(&self, cx: &Ctx<'a, P>) -> Result<u64, Status> {
        self.sept.table(cx, self.entry())
    }

    /// Locks the table page at `table`, to which the entry points.
    pub fn lock_table(&self, cx: &Ctx<'a, P>, table: u64) -> Result<Page<'a, P>, Status> {
        let busy = Status::OPERAND_BUSY.with(Operand::RCX);
        pamt::lock_implicit(cx, table, Level::K4, Mode::Exclusive, busy)
    }
}

/// Address of the page that an entry of `level` maps, less the progress of TDG.MEM.PAGE.ACCEPT that
/// a pending entry keeps in the low bits of the address.
#[inline]
pub fn page(entry: Entry, level: Level) -> u64 {
    entry.pfn().pa() & !(level.size() - 1)
}

/// The check of the operand R8, a page of `level` that nobody uses; locks it.
#[inline]
pub fn free_page<'a, P: Platform>(
    cx: &Ctx<'a, P>,
    pa: u64,
    level: Level,
) -> Result<(Page<'a, P>, Pfn), Status> {
    let page = pamt::free_range(cx, Operand::R8, pa, level)?;
    let pfn = Pfn::from_pa(pa).ok_or(Status::OPERAND_INVALID.with(Operand::R8))?;
    Ok((page, pfn))
}

/// The PAMT entry of the page of `level` at `pa`, which an entry of the TD maps. Takes no lock.
///
/// Only damage makes an entry map what the TD does not own, and then the TD is lost.
pub fn page_entry<'a, P: Platform>(
    cx: &Ctx<'a, P>,
    td: &Td<'a, P>,
    pa: u64,
    level: Level,
) -> Result<pamt::Entry<'a, P>, Status> {
    pamt::entry(cx, pa, level)
        .filter(|page| page.is(PageType::Reg) && page.owner() == td.tdr.pa())
        .ok_or(Status::TD_FATAL)
}
