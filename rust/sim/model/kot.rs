// SPDX-License-Identifier: GPL-2.0

//! The key ownership table: what each KeyID is used for.
//!
//! TDX ABI: "Key Management", KOT. A KeyID that a TD gave up is FLUSHED until each package has
//! written back its caches; the entry says which packages still have to.

use super::lock::{
    Lock,
    Word, //
};
use core::{
    ops::Range,
    sync::atomic::AtomicU64, //
};

/// KeyIDs that the table has room for.
pub const MAX_KEYIDS: usize = 2048;

/// The table's lock.
pub type KotLock<'a> = Lock<&'a AtomicU64, 0, false>;

/// What a KeyID is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyIdState {
    /// Nothing.
    Free = 0,
    /// The private memory of a TD.
    Assigned = 1,
    /// Nothing any more, but caches may hold lines with its key.
    Flushed = 2,
    /// The TDX module itself: the global private KeyID.
    Reserved = 3,
}

impl KeyIdState {
    /// The state with this number.
    pub const fn from_raw(raw: u64) -> Option<Self> {
        match raw {
            0 => Some(Self::Free),
            1 => Some(Self::Assigned),
            2 => Some(Self::Flushed),
            3 => Some(Self::Reserved),
            _ => None,
        }
    }

    /// The number of the state.
    pub const fn raw(self) -> u64 {
        self as u64
    }

    /// The name of the state.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "HKID_FREE",
            Self::Assigned => "HKID_ASSIGNED",
            Self::Flushed => "HKID_FLUSHED",
            Self::Reserved => "HKID_RESERVED",
        }
    }
}

// Layout of an entry: the state, packages that have not written back, and packages that have begun
// to.
const STATE: u64 = 0xFF;
const PENDING_SHIFT: u32 = 8;
const BEGUN_SHIFT: u32 = 16;

/// The table.
pub struct Kot {
    lock: AtomicU64,
    entries: [AtomicU64; MAX_KEYIDS],
}

impl Kot {
    /// A table with all KeyIDs free.
    pub const fn new() -> Self {
        Self {
            lock: AtomicU64::new(0),
            entries: [const { AtomicU64::new(0) }; MAX_KEYIDS],
        }
    }

    /// The lock of the whole table.
    pub fn lock(&self) -> KotLock<'_> {
        Lock::new(&self.lock)
    }

    fn load(&self, hkid: u16) -> Option<u64> {
        self.entries
            .get(usize::from(hkid))
            .map(|entry| Word::load(&entry))
    }

    /// The state of a KeyID; `None` above the table.
    pub fn state(&self, hkid: u16) -> Option<KeyIdState> {
        KeyIdState::from_raw(self.load(hkid)? & STATE)
    }

    /// Sets the state of a KeyID, with no package left to write back.
    pub fn set(&self, hkid: u16, state: KeyIdState) {
        if let Some(entry) = self.entries.get(usize::from(hkid)) {
            entry.replace(u64::MAX, state.raw());
        }
    }

    /// Makes a KeyID FLUSHED: each of `packages` has to write back its caches.
    pub fn set_flushed(&self, hkid: u16, packages: u64) {
        if let Some(entry) = self.entries.get(usize::from(hkid)) {
            entry.replace(
                u64::MAX,
                KeyIdState::Flushed.raw() | (packages << PENDING_SHIFT),
            );
        }
    }

    /// The packages that still have to write back for a KeyID.
    pub fn pending(&self, hkid: u16) -> u64 {
        (self.load(hkid).unwrap_or(0) >> PENDING_SHIFT) & 0xFF
    }

    /// Begins writing back the caches of `package`: of `keyids`, those that are FLUSHED now will be
    /// done when it ends. Returns whether there are any.
    pub fn begin_writeback(&self, keyids: Range<u16>, package: u32) -> bool {
        let bit = 1u64 << (BEGUN_SHIFT + (package & 7));
        let mut any = false;
        for entry in self.range(keyids) {
            let flushed = Word::load(&entry) & STATE == KeyIdState::Flushed.raw();
            any |= flushed;
            entry.replace(bit, if flushed { bit } else { 0 });
        }
        any
    }

    /// Ends writing back the caches of `package`.
    pub fn end_writeback(&self, keyids: Range<u16>, package: u32) {
        let begun = 1u64 << (BEGUN_SHIFT + (package & 7));
        let pending = 1u64 << (PENDING_SHIFT + (package & 7));
        for entry in self.range(keyids) {
            if Word::load(&entry) & begun != 0 {
                entry.replace(begun | pending, 0);
            }
        }
    }

    fn range(&self, keyids: Range<u16>) -> impl Iterator<Item = &AtomicU64> {
        let len = usize::from(keyids.end.saturating_sub(keyids.start));
        self.entries
            .iter()
            .skip(usize::from(keyids.start))
            .take(len)
    }
}

impl Default for Kot {
    fn default() -> Self {
        Self::new()
    }
}
