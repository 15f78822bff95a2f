// SPDX-License-Identifier: GPL-2.0

//! The secure EPT of a TD: its table pages, the walk through them, and the locks of entries.

pub mod find;
pub mod permission;
pub mod tracking;

use super::{
    lock::{
        Mem,
        Word, //
    },
    pamt,
    platform::Platform,
    td::Td,
    tdcs,
    Completion,
    Ctx, //
};
use crate::abi::{
    sept::{
        Entry,
        Info,
        State, //
    },
    Args,
    Level,
    PageType,
    Status, //
};

/// Index of the TDCX page that is the root of the tree.
const ROOT_PAGE: u32 = tdcs::fields::SEPT_ROOT.offset / Level::K4.size() as u32;

/// The secure EPT of a TD.
pub struct Sept {
    tdr: u64,
    root: u64,
    root_level: Level,
}

impl Sept {
    /// The tree of `td`.
    #[inline]
    pub fn of<P: Platform>(cx: &Ctx<'_, P>, td: &Td<'_, P>) -> Result<Self, Status> {
        let sept = Self {
            tdr: td.tdr.pa(),
            root: td.tdcs.page(ROOT_PAGE),
            root_level: root_level(td)?,
        };
        if !pamt::is_owned(cx, sept.root, PageType::Tdcx, sept.tdr) {
            return Err(Status::TD_FATAL);
        }
        Ok(sept)
    }

    /// Goes from the root down to the entry of `level` for `gpa`.
    ///
    /// Ends above `level` at an entry that maps a page, or that gives no access and therefore hides
    /// what is below.
    #[inline]
    pub fn walk<'a, P: Platform>(
        &self,
        cx: &Ctx<'a, P>,
        gpa: u64,
        level: Level,
    ) -> Result<Slot<'a, P>, Status> {
        let mut slot = Slot::new(cx.p, self.root, gpa, self.root_level);
        while slot.level > level {
            let entry = slot.load();
            if !entry.is_accessible() || entry.into_raw() & Entry::PS_MASK != 0 {
                break;
            }
            let Some(down) = slot.level.down() else { break };
            slot = Slot::new(cx.p, self.table(cx, entry)?, gpa, down);
        }
        Ok(slot)
    }

    /// The table page that `entry` points to.
    ///
    /// The tables of a real TD cannot be damaged; here the host may have, and then the TD is lost.
    #[inline]
    pub fn table<P: Platform>(&self, cx: &Ctx<'_, P>, entry: Entry) -> Result<u64, Status> {
        let table = entry.pfn().pa();
        if pamt::is_owned(cx, table, PageType::Ept, self.tdr) {
            Ok(table)
        } else {
            Err(Status::TD_FATAL)
        }
    }
}

/// The level of the entries in the root page of a TD's tree.
#[inline]
pub fn root_level<P: Platform>(td: &Td<'_, P>) -> Result<Level, Status> {
    // EPT pointer bits 5:3 are the number of levels below the root.
    match Level::from_raw((td.tdcs.get(tdcs::fields::EPTP) >> 3) & 7) {
        Some(level @ (Level::G512 | Level::T256)) => Ok(level),
        _ => Err(Status::TD_FATAL),
    }
}

/// The place of an entry in a table page.
pub struct Slot<'a, P> {
    word: Mem<'a, P>,
    /// Level of the entry.
    pub level: Level,
}

impl<P> Clone for Slot<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Slot<'_, P> {}

impl<'a, P: Platform> Slot<'a, P> {
    #[inline]
    fn new(p: &'a P, table: u64, gpa: u64, level: Level) -> Self {
        Self::nth(
            p,
            table,
            (gpa >> level.shift()) & (Level::ENTRIES - 1),
            level,
        )
    }

    /// Entry number `index` of the table page at `table`.
    #[inline]
    pub fn nth(p: &'a P, table: u64, index: u64, level: Level) -> Self {
        Self {
            word: Mem::new(p, table.wrapping_add(index.wrapping_mul(8))),
            level,
        }
    }

    /// Reads the entry.
    #[inline]
    pub fn load(&self) -> Entry {
        Entry::from_raw(self.word.load())
    }

    /// Writes an entry that nobody can have locked.
    #[inline]
    pub fn store(&self, entry: Entry) {
        self.word.platform().store(self.word.pa(), entry.into_raw());
    }

    /// Takes the lock of the entry for the host side, or leaves at once: a failed attempt sets the
    /// host-priority bit, a successful one clears it.
    #[inline]
    pub fn lock(self) -> Option<Locked<'a, P>> {
        let mut raw = self.word.load();
        loop {
            let taken = raw & Entry::LOCKED_MASK == 0;
            let new = if taken {
                (raw | Entry::LOCKED_MASK) & !Entry::HOST_PRIORITY_MASK
            } else {
                raw | Entry::HOST_PRIORITY_MASK
            };
            if new == raw {
                return None;
            }
            match self.word.cmpxchg(raw, new) {
                Ok(_) if taken => return Some(Locked { slot: self }),
                Ok(_) => return None,
                Err(found) => raw = found,
            }
        }
    }
}

impl<'a, P: Platform> Slot<'a, P> {
    /// Takes the lock of the entry for the guest side, or leaves at once: the host comes first where it has
    /// asked for the entry.
    pub fn lock_by_guest(self) -> Result<Locked<'a, P>, Status> {
        let mut raw = self.word.load();
        loop {
            if raw & Entry::HOST_PRIORITY_MASK != 0 {
                return Err(Status::OPERAND_BUSY_HOST_PRIORITY);
            }
            if raw & Entry::LOCKED_MASK != 0 {
                return Err(Status::OPERAND_BUSY);
            }
            match self.word.cmpxchg(raw, raw | Entry::LOCKED_MASK) {
                Ok(_) => return Ok(Locked { slot: self }),
                Err(found) => raw = found,
            }
        }
    }
}

/// Bits of an entry that belong to its lock.
pub const LOCK: u64 = Entry::LOCKED_MASK | Entry::HOST_PRIORITY_MASK;

/// An entry that is locked until this is dropped.
#[must_use = "the entry is unlocked at once if this is dropped"]
pub struct Locked<'a, P: Platform> {
    slot: Slot<'a, P>,
}

impl<'a, P: Platform> Locked<'a, P> {
    /// The entry in `slot`, whose lock is held already and was not dropped.
    #[inline]
    pub fn held(slot: Slot<'a, P>) -> Self {
        Self { slot }
    }

    /// The entry without the bits of its lock.
    #[inline]
    pub fn get(&self) -> Entry {
        Entry::from_raw(self.slot.load().into_raw() & !LOCK)
    }

    /// Changes the entry; it stays locked.
    #[inline]
    pub fn set(&self, entry: Entry) {
        self.slot.word.replace(!LOCK, entry.into_raw());
    }

    /// Where the entry is.
    #[inline]
    pub fn slot(&self) -> Slot<'a, P> {
        self.slot
    }
}

impl<P: Platform> Drop for Locked<'_, P> {
    #[inline]
    fn drop(&mut self) {
        self.slot.word.replace(Entry::LOCKED_MASK, 0);
    }
}

/// The state of an entry; only damage gives an entry another encoding.
#[inline]
pub fn state(entry: Entry) -> Result<State, Status> {
    entry.state().ok_or(Status::TD_FATAL)
}

/// Whether an entry maps a page and gives access to it.
pub fn is_present_leaf(entry: Entry) -> bool {
    entry.is_accessible() && entry.into_raw() & Entry::PS_MASK != 0
}

/// The state that blocking makes of `state`, one that TDH.MEM.RANGE.BLOCK accepts.
pub fn blocked(state: State) -> State {
    match state {
        State::NlMapped => State::NlBlocked,
        State::Mapped | State::BlockedW => State::Blocked,
        State::Pending | State::PendingBlockedW => State::PendingBlocked,
        other => other,
    }
}

/// The state that is left when `state` is not blocked any more.
pub fn unblocked(state: State) -> State {
    match state {
        State::NlBlocked => State::NlMapped,
        State::Blocked => State::Mapped,
        State::PendingBlocked => State::Pending,
        other => other,
    }
}

/// Reports an entry in RCX and RDX. TDX ABI: "Returned Secure EPT Entry Information".
#[inline]
pub fn report(args: &mut Args, entry: Entry, level: Level) -> Completion {
    args.rdx = Info::new(level, state(entry)?).into_raw();
    args.rcx = entry.reported();
    Ok(())
}

/// Reports an entry and ends the leaf with `status`.
pub fn fail<T>(args: &mut Args, entry: Entry, level: Level, status: Status) -> Result<T, Status> {
    report(args, entry, level)?;
    Err(status)
}
