// SPDX-License-Identifier: GPL-2.0

//! The physical address metadata table: what each page is used for, and its lock.
//!
//! An entry is two words. The first holds the lock in bits 15:0, the page type in bits 23:16 and
//! the owner's frame number in bits 63:24; the second is BEPOCH, the TD epoch in which the page was
//! blocked. A page of 2M or 1G is described by the entry of its size alone; an entry of such a size
//! that is NDA says that the next smaller size has to be asked.

use super::{
    lock::{
        Guard,
        Lock,
        Mem,
        Mode,
        Word, //
    },
    platform::Platform,
    Ctx, //
};
use crate::abi::{
    Level,
    Operand,
    PageType,
    Status, //
};

/// The lock, less the bit that asks for host priority.
const LOCKED: u64 = 0xFFFD;
const TYPE_SHIFT: u32 = 16;
const TYPE: u64 = 0xFF << TYPE_SHIFT;
const OWNER: u64 = !0 << 24;
/// From a physical address (bits 51:12) to the owner field (bits 63:24).
const OWNER_SHIFT: u32 = 12;

/// The number of the page type in the first word of an entry.
#[inline]
fn type_in(word: u64) -> u64 {
    (word & TYPE) >> TYPE_SHIFT
}

/// The physical address of the owner in the first word of an entry.
#[inline]
fn owner_in(word: u64) -> u64 {
    (word & OWNER) >> OWNER_SHIFT
}

/// The lock of a PAMT entry, which stands for the page.
pub type PageLock<'a, P> = Lock<Mem<'a, P>, 0, true>;

/// A page that is locked through its PAMT entry.
pub type PageGuard<'a, P> = Guard<Mem<'a, P>, 0, true>;

/// What the first word of an entry says, for those who only look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// The number of the page type; see [`PageType`].
    pub raw_type: u64,
    /// The physical address of the owner, a TDR.
    pub owner: u64,
    /// Whether the page is locked in either mode.
    pub locked: bool,
}

impl Info {
    /// Takes the word apart.
    #[inline]
    pub const fn decode(word: u64) -> Self {
        Self {
            raw_type: (word & TYPE) >> TYPE_SHIFT,
            owner: (word & OWNER) >> OWNER_SHIFT,
            locked: word & LOCKED != 0,
        }
    }
}

/// An entry of the PAMT.
pub struct Entry<'a, P> {
    p: &'a P,
    pa: u64,
}

impl<P> Clone for Entry<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Entry<'_, P> {}

impl<'a, P: Platform> Entry<'a, P> {
    /// The entry at physical address `pa`.
    pub fn new(p: &'a P, pa: u64) -> Self {
        Self { p, pa }
    }

    fn word(self) -> Mem<'a, P> {
        Mem::new(self.p, self.pa)
    }

    /// The lock of the page.
    pub fn lock(self) -> PageLock<'a, P> {
        Lock::new(self.word())
    }

    /// The number of the page type; see [`PageType`].
    #[inline]
    pub fn raw_type(self) -> u64 {
        type_in(self.word().load())
    }

    /// Whether the page has the given type.
    #[inline]
    pub fn is(self, page_type: PageType) -> bool {
        self.raw_type() == page_type.raw()
    }

    /// The physical address of the owner, a TDR.
    #[inline]
    pub fn owner(self) -> u64 {
        owner_in(self.word().load())
    }

    /// Gives the page to `owner`, the physical address of a TDR (0 for a TDR itself).
    #[inline]
    pub fn set(self, page_type: PageType, owner: u64) {
        self.word().replace(
            TYPE | OWNER,
            (page_type.raw() << TYPE_SHIFT) | (owner << OWNER_SHIFT),
        );
    }

    /// Changes the type and leaves the owner field as it is.
    #[inline]
    pub fn set_type(self, page_type: PageType) {
        self.word().replace(TYPE, page_type.raw() << TYPE_SHIFT);
    }

    /// The TD epoch in which the page was blocked.
    #[inline]
    pub fn bepoch(self) -> u64 {
        self.p.load(self.pa.wrapping_add(8))
    }

    /// Records the TD epoch in which the page was blocked.
    #[inline]
    pub fn set_bepoch(self, epoch: u64) {
        self.p.store(self.pa.wrapping_add(8), epoch);
    }

    /// Makes the entry what TDH.SYS.TDMR.INIT leaves.
    pub fn initialize(self, page_type: PageType) {
        self.p.store(self.pa, page_type.raw() << TYPE_SHIFT);
        self.set_bepoch(0);
    }
}

/// A locked page, with the entries of the larger sizes above it share-locked.
#[must_use = "the page is unlocked at once if this is dropped"]
pub struct Page<'a, P: Platform> {
    // Fields are dropped in this order: the page first, the largest size last.
    target: PageGuard<'a, P>,
    _m2: Option<PageGuard<'a, P>>,
    _g1: Option<PageGuard<'a, P>>,
    /// Where the page begins.
    pa: u64,
    level: Level,
}

impl<'a, P: Platform> Page<'a, P> {
    /// The PAMT entry of the page.
    #[inline]
    pub fn entry(&self) -> Entry<'a, P> {
        let word = *self.target.word();
        Entry {
            p: word.platform(),
            pa: word.pa(),
        }
    }

    /// Gives a page of the host to `owner`, the physical address of a TDR (0 for a TDR itself).
    #[inline]
    pub fn give(&self, page_type: PageType, owner: u64) {
        let entry = self.entry();
        entry.set(page_type, owner);
        entry.p.set_host_access(self.pa, self.level, false);
    }

    /// Gives the page back to the host.
    #[inline]
    pub fn give_back(&self) {
        let entry = self.entry();
        entry.p.set_host_access(self.pa, self.level, true);
        entry.set_type(PageType::Nda);
    }

    /// The number of the page type that the page had when it was locked.
    #[inline]
    pub fn raw_type(&self) -> u64 {
        type_in(self.target.seen())
    }

    /// Whether the page had the given type when it was locked.
    #[inline]
    pub fn is(&self, page_type: PageType) -> bool {
        self.raw_type() == page_type.raw()
    }

    /// The physical address of the owner, a TDR, that the page had when it was locked.
    #[inline]
    pub fn owner(&self) -> u64 {
        owner_in(self.target.seen())
    }

    /// The size of the page.
    pub fn level(&self) -> Level {
        self.level
    }
}

/// The PAMT entry of the page of `level` (4K, 2M or 1G) that covers `pa`; `None` if TDX does not
/// cover it. Takes no lock.
#[inline]
pub fn entry<'a, P: Platform>(cx: &Ctx<'a, P>, pa: u64, level: Level) -> Option<Entry<'a, P>> {
    let tdmr = cx.module.tdmrs.covering(pa)?;
    Some(Entry::new(cx.p, tdmr.pamt_entry(level, pa)))
}

/// Whether the 4K page at `pa` is of `page_type` and owned by `owner`. Takes no lock.
///
/// For addresses found in donated pages: the memory of a real TD is protected by encryption and
/// integrity, here the host may have damaged it, and the model must not follow the address then.
#[inline]
pub fn is_owned<P: Platform>(cx: &Ctx<'_, P>, pa: u64, page_type: PageType, owner: u64) -> bool {
    pa % Level::K4.size() == 0
        && entry(cx, pa, Level::K4).is_some_and(|e| e.is(page_type) && e.owner() == owner)
}

/// Walks the PAMT from the largest size down to the page that covers `pa`, and locks it.
///
/// The walk ends at the first size that is in use as a page, at the latest at `to`.
#[inline]
pub fn walk<'a, P: Platform>(
    cx: &Ctx<'a, P>,
    op: Operand,
    pa: u64,
    to: Level,
    mode: Mode,
) -> Result<Page<'a, P>, Status> {
    let busy = Status::OPERAND_BUSY.with(op);
    let tdmr = cx
        .module
        .tdmrs
        .covering(pa)
        .ok_or(Status::OPERAND_ADDR_RANGE_ERROR.with(op))?;
    let entry = |level| Entry::new(cx.p, tdmr.pamt_entry(level, pa));

    let is_leaf = |guard: &PageGuard<'_, P>| type_in(guard.seen()) != PageType::Nda.raw();

    let mut g1 = entry(Level::G1).lock().acquire(Mode::Shared).ok_or(busy)?;
    if to >= Level::G1 || is_leaf(&g1) {
        if mode == Mode::Exclusive && !g1.promote() {
            return Err(busy);
        }
        return Ok(Page {
            target: g1,
            _m2: None,
            _g1: None,
            pa: pa & !(Level::G1.size() - 1),
            level: Level::G1,
        });
    }

    let mut m2 = entry(Level::M2).lock().acquire(Mode::Shared).ok_or(busy)?;
    if to == Level::M2 || is_leaf(&m2) {
        if mode == Mode::Exclusive && !m2.promote() {
            return Err(busy);
        }
        return Ok(Page {
            target: m2,
            _m2: None,
            _g1: Some(g1),
            pa: pa & !(Level::M2.size() - 1),
            level: Level::M2,
        });
    }

    Ok(Page {
        target: entry(Level::K4).lock().acquire(mode).ok_or(busy)?,
        _m2: Some(m2),
        _g1: Some(g1),
        pa: pa & !(Level::K4.size() - 1),
        level: Level::K4,
    })
}

/// Locks the page of known size at `pa`, and nothing above it: how the module gets at pages that it
/// found by itself ("implicit" operands). Fails with `busy`.
#[inline]
pub fn lock_implicit<'a, P: Platform>(
    cx: &Ctx<'a, P>,
    pa: u64,
    level: Level,
    mode: Mode,
    busy: Status,
) -> Result<Page<'a, P>, Status> {
    // The address comes from the module's own records; if no TDMR covers it, the host has damaged
    // them.
    let entry = entry(cx, pa, level).ok_or(Status::TD_FATAL)?;
    Ok(Page {
        target: entry.lock().acquire(mode).ok_or(busy)?,
        _m2: None,
        _g1: None,
        pa,
        level,
    })
}

/// The check of a 4K page operand: address, then TDMR, then lock, then type and size.
///
/// TDX ABI: "Private page operand checks".
#[inline]
pub fn page<'a, P: Platform>(
    cx: &Ctx<'a, P>,
    op: Operand,
    pa: u64,
    page_type: PageType,
    mode: Mode,
) -> Result<Page<'a, P>, Status> {
    cx.check_hpa(op, pa, Level::K4.size())?;
    let page = walk(cx, op, pa, Level::K4, mode)?;
    if page.level == Level::K4 && page.is(page_type) {
        Ok(page)
    } else {
        Err(Status::PAGE_METADATA_INCORRECT.with(op))
    }
}

/// The check of a range that becomes one page of `level` (4K or 2M): as [`page`], and none of it
/// may be in use.
#[inline]
pub fn free_range<'a, P: Platform>(
    cx: &Ctx<'a, P>,
    op: Operand,
    pa: u64,
    level: Level,
) -> Result<Page<'a, P>, Status> {
    cx.check_hpa(op, pa, level.size())?;
    let page = walk(cx, op, pa, level, Mode::Exclusive)?;
    let mut free = page.level == level && page.is(PageType::Nda);
    if free && level > Level::K4 {
        let first = entry(cx, pa, Level::K4).map_or(0, |entry| entry.pa);
        let size = cx.p.config().module.pamt_entry_size(Level::K4);
        free = (0..level.pages().min(Level::M2.pages()))
            .map(|i| first.wrapping_add(i.wrapping_mul(size)))
            .all(|pa| Entry::new(cx.p, pa).is(PageType::Nda));
    }
    if free {
        Ok(page)
    } else {
        Err(Status::PAGE_METADATA_INCORRECT.with(op))
    }
}
