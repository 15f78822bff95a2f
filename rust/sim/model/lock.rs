// SPDX-License-Identifier: GPL-2.0

//! The locks of the TDX module.
//!
//! Every lock is a 16-bit field of a 64-bit word that is changed by compare-and-exchange and may
//! hold other things: bit 0 says exclusive, and the bits from 1 up (or from 2 up where bit 1 says
//! that the host wants the lock first) count the sharers. No attempt ever waits: the first conflict
//! ends it, and the caller answers TDX_OPERAND_BUSY. A guard releases its lock when dropped; since
//! Rust drops locals in reverse order of declaration, locks are released in reverse order of
//! acquisition.

use core::sync::atomic::{
    AtomicU64,
    Ordering, //
};

use super::platform::Platform;
use crate::abi::Status;

/// A word that several processors change.
pub trait Word {
    /// Reads the word.
    fn load(&self) -> u64;

    /// Replaces the word if it still is `old`; fails with the word found.
    fn cmpxchg(&self, old: u64, new: u64) -> Result<u64, u64>;

    /// Replaces the bits of `mask` by those of `value`, whatever happens to the others meanwhile.
    ///
    /// Each repetition means that another processor made progress.
    fn replace(&self, mask: u64, value: u64) {
        let mut old = self.load();
        while let Err(found) = self.cmpxchg(old, (old & !mask) | (value & mask)) {
            old = found;
        }
    }

    /// Adds `value`, which may be a negative number in two's complement, to the whole word.
    fn add(&self, value: u64) {
        let mut old = self.load();
        while let Err(found) = self.cmpxchg(old, old.wrapping_add(value)) {
            old = found;
        }
    }
}

/// A word of physical memory.
pub struct Mem<'a, P> {
    p: &'a P,
    pa: u64,
}

impl<'a, P: Platform> Mem<'a, P> {
    /// The word at `pa`, which is 8-byte aligned.
    pub fn new(p: &'a P, pa: u64) -> Self {
        Self { p, pa }
    }

    /// The machine that the word is in.
    pub fn platform(&self) -> &'a P {
        self.p
    }

    /// Where the word is.
    pub fn pa(&self) -> u64 {
        self.pa
    }
}

impl<P> Clone for Mem<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Mem<'_, P> {}

impl<P: Platform> Word for Mem<'_, P> {
    #[inline]
    fn load(&self) -> u64 {
        self.p.load(self.pa)
    }

    #[inline]
    fn cmpxchg(&self, old: u64, new: u64) -> Result<u64, u64> {
        self.p.cmpxchg(self.pa, old, new)
    }
}

impl Word for &AtomicU64 {
    #[inline]
    fn load(&self) -> u64 {
        AtomicU64::load(self, Ordering::Acquire)
    }

    #[inline]
    fn cmpxchg(&self, old: u64, new: u64) -> Result<u64, u64> {
        self.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
    }
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Together with other sharers.
    Shared,
    /// Alone.
    Exclusive,
}

/// A lock at bit `SHIFT` of its word; `HP` says whether it has a host-priority bit.
///
/// A mutex of the TDX module is such a lock that is only ever taken exclusively.
pub struct Lock<W, const SHIFT: u32, const HP: bool> {
    word: W,
}

const EXCLUSIVE: u64 = 1;
const HOST_PRIORITY: u64 = 2;
const FIELD: u64 = 0xFFFF;

impl<W: Word, const SHIFT: u32, const HP: bool> Lock<W, SHIFT, HP> {
    /// Bit 1 where it means host priority, else nothing.
    const PRIORITY: u64 = if HP { HOST_PRIORITY } else { 0 };
    /// What one sharer adds.
    const SHARER: u64 = if HP { 4 } else { 2 };

    /// The lock in `word`.
    pub fn new(word: W) -> Self {
        Self { word }
    }

    /// What the lock's field is once its owners have been joined by one more; `None` if they do not let that be.
    fn joined(owners: u64, mode: Mode) -> Option<u64> {
        match mode {
            Mode::Exclusive if owners == 0 => Some(EXCLUSIVE),
            Mode::Shared if owners & EXCLUSIVE == 0 && owners + Self::SHARER <= FIELD => {
                Some(owners + Self::SHARER)
            }
            _ => None,
        }
    }

    /// Takes the lock for the guest side, or leaves at once: with OPERAND_BUSY_HOST_PRIORITY where the host has
    /// asked for it.
    pub fn acquire_by_guest(self, mode: Mode) -> Result<Guard<W, SHIFT, HP>, Status> {
        let mut word = self.word.load();
        loop {
            let lock = (word >> SHIFT) & FIELD;
            if lock & Self::PRIORITY != 0 {
                return Err(Status::OPERAND_BUSY_HOST_PRIORITY);
            }
            let next = Self::joined(lock, mode).ok_or(Status::OPERAND_BUSY)?;
            let new = (word & !(FIELD << SHIFT)) | (next << SHIFT);
            match self.word.cmpxchg(word, new) {
                Ok(_) => {
                    return Ok(Guard {
                        word: self.word,
                        seen: new,
                        mode,
                    })
                }
                Err(found) => word = found,
            }
        }
    }

    /// Takes the lock for the host side, or leaves at once: a failed attempt sets the host-priority
    /// bit, a successful one clears it.
    pub fn acquire(self, mode: Mode) -> Option<Guard<W, SHIFT, HP>> {
        let mut word = self.word.load();
        loop {
            let lock = (word >> SHIFT) & FIELD;
            let (taken, next) = match Self::joined(lock & !Self::PRIORITY, mode) {
                Some(next) => (true, next),
                None => (false, lock | Self::PRIORITY),
            };
            if next == lock {
                return None;
            }
            let new = (word & !(FIELD << SHIFT)) | (next << SHIFT);
            match self.word.cmpxchg(word, new) {
                Ok(_) if taken => {
                    return Some(Guard {
                        word: self.word,
                        seen: new,
                        mode,
                    })
                }
                Ok(_) => return None,
                Err(found) => word = found,
            }
        }
    }
}

/// A lock that is held until the guard is dropped.
#[must_use = "the lock is released at once if the guard is dropped"]
pub struct Guard<W: Word, const SHIFT: u32, const HP: bool> {
    word: W,
    /// The word as it was when the lock had been taken.
    seen: u64,
    mode: Mode,
}

impl<W: Word, const SHIFT: u32, const HP: bool> Guard<W, SHIFT, HP> {
    /// The word that the lock is in.
    pub fn word(&self) -> &W {
        &self.word
    }

    /// What the word held when the lock had been taken.
    #[inline]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Turns a shared lock into an exclusive one if nobody else shares it; else it stays shared,
    /// and the host-priority bit is set.
    #[must_use]
    pub fn promote(&mut self) -> bool {
        if self.mode == Mode::Exclusive {
            return true;
        }
        let (priority, sharer) = (Lock::<W, SHIFT, HP>::PRIORITY, Lock::<W, SHIFT, HP>::SHARER);
        let mut word = self.seen;
        loop {
            let lock = (word >> SHIFT) & FIELD;
            let alone = lock & !priority == sharer;
            let next = if alone { EXCLUSIVE } else { lock | priority };
            let new = (word & !(FIELD << SHIFT)) | (next << SHIFT);
            match self.word.cmpxchg(word, new) {
                Ok(_) => {
                    self.seen = new;
                    if alone {
                        self.mode = Mode::Exclusive;
                    }
                    return alone;
                }
                Err(found) => word = found,
            }
        }
    }
}

impl<W: Word, const SHIFT: u32, const HP: bool> Drop for Guard<W, SHIFT, HP> {
    #[inline]
    fn drop(&mut self) {
        let held = match self.mode {
            Mode::Exclusive => EXCLUSIVE,
            Mode::Shared => Lock::<W, SHIFT, HP>::SHARER,
        };
        // Mostly nobody has touched the word since; else the exchange tells what it is now.
        let mut word = self.seen;
        loop {
            // Only the lock's own bits may change, even if the host has damaged the word meanwhile.
            let lock = ((word >> SHIFT) & FIELD).wrapping_sub(held) & FIELD;
            let new = (word & !(FIELD << SHIFT)) | (lock << SHIFT);
            match self.word.cmpxchg(word, new) {
                Ok(_) => return,
                Err(found) => word = found,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Plain<'a> = Lock<&'a AtomicU64, 0, false>;
    type Priority<'a> = Lock<&'a AtomicU64, 32, true>;

    #[test]
    fn exclusive_excludes_all() {
        let word = AtomicU64::new(0);
        let guard = Plain::new(&word).acquire(Mode::Exclusive);
        assert_eq!(word.load(Ordering::Relaxed), 1);
        assert!(Plain::new(&word).acquire(Mode::Exclusive).is_none());
        assert!(Plain::new(&word).acquire(Mode::Shared).is_none());
        drop(guard);
        assert_eq!(word.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn sharers_count_and_exclude_exclusive() {
        let word = AtomicU64::new(0);
        let a = Plain::new(&word).acquire(Mode::Shared);
        let b = Plain::new(&word).acquire(Mode::Shared);
        assert_eq!(word.load(Ordering::Relaxed), 4);
        assert!(Plain::new(&word).acquire(Mode::Exclusive).is_none());
        drop(a);
        assert!(Plain::new(&word).acquire(Mode::Exclusive).is_none());
        drop(b);
        assert!(Plain::new(&word).acquire(Mode::Exclusive).is_some());
    }

    #[test]
    fn the_last_possible_sharer_is_refused_without_overflow() {
        let word = AtomicU64::new(0xFFFE);
        assert!(Plain::new(&word).acquire(Mode::Shared).is_none());
        assert_eq!(word.load(Ordering::Relaxed), 0xFFFE);
    }

    #[test]
    fn failure_asks_for_priority_and_success_clears_it() {
        let word = AtomicU64::new(0xAA00_0000_0000_00BB);
        let guard = Priority::new(&word).acquire(Mode::Shared);
        assert_eq!(word.load(Ordering::Relaxed), 0xAA00_0004_0000_00BB);
        assert!(Priority::new(&word).acquire(Mode::Exclusive).is_none());
        assert!(Priority::new(&word).acquire(Mode::Exclusive).is_none());
        assert_eq!(word.load(Ordering::Relaxed), 0xAA00_0006_0000_00BB);
        drop(guard);
        assert_eq!(word.load(Ordering::Relaxed), 0xAA00_0002_0000_00BB);
        let guard = Priority::new(&word).acquire(Mode::Exclusive);
        assert_eq!(word.load(Ordering::Relaxed), 0xAA00_0001_0000_00BB);
        drop(guard);
        assert_eq!(word.load(Ordering::Relaxed), 0xAA00_0000_0000_00BB);
    }

    #[test]
    fn the_guest_side_gives_way() {
        let word = AtomicU64::new(0);
        let guest = || Priority::new(&word).acquire_by_guest(Mode::Exclusive);
        let guard = guest().unwrap();
        assert_eq!(guest().err(), Some(Status::OPERAND_BUSY));
        assert_eq!(word.load(Ordering::Relaxed), 1 << 32);
        assert!(Priority::new(&word).acquire(Mode::Exclusive).is_none());
        drop(guard);
        assert_eq!(guest().err(), Some(Status::OPERAND_BUSY_HOST_PRIORITY));
        drop(Priority::new(&word).acquire(Mode::Exclusive));
        drop(guest().unwrap());
        assert_eq!(word.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn replace_keeps_the_other_bits() {
        let word = AtomicU64::new(0xFFFF_0000_FFFF_0001);
        (&word).replace(0xFF00, 0x1200);
        assert_eq!(word.load(Ordering::Relaxed), 0xFFFF_0000_FFFF_1201);
    }
}
