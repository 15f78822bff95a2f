// SPDX-License-Identifier: GPL-2.0

//! A record of a ring: claimed by its number, or given up.
//!
//! These are Rust's own atomics, as in the model: each operation of the kernel's is a function call, and a
//! SEAMCALL makes a score of them here.

use core::sync::atomic::{
    fence,
    AtomicU64,
    Ordering::{
        Acquire,
        Relaxed,
        Release, //
    }, //
};

/// Sequence number of a record that is being written.
const WRITING: u64 = u64::MAX;

/// Words that belong to a number.
///
/// # Invariants
///
/// `words` only changes while `sequence` is [`WRITING`].
pub(in super::super) struct Record<const N: usize> {
    /// The number plus 1, 0 before the first.
    sequence: AtomicU64,
    words: [AtomicU64; N],
}

impl<const N: usize> Record<N> {
    /// An empty record.
    pub(in super::super) const fn new() -> Self {
        Self {
            sequence: AtomicU64::new(0),
            words: [const { AtomicU64::new(0) }; N],
        }
    }

    /// Stores the words of number `number`; `false` if the record is being written, or holds a later one.
    #[inline]
    pub(in super::super) fn write(
        &self,
        number: u64,
        words: impl IntoIterator<Item = u64>,
    ) -> bool {
        let old = self.sequence.load(Relaxed);
        if old > number {
            return false;
        }
        let claimed = self
            .sequence
            .compare_exchange(old, WRITING, Acquire, Relaxed);
        if claimed.is_err() {
            return false;
        }
        fence(Release);
        for (to, from) in self.words.iter().zip(words) {
            to.store(from, Relaxed);
        }
        self.sequence.store(number + 1, Release);
        true
    }

    /// The number that the record holds words of.
    pub(in super::super) fn number(&self) -> Option<u64> {
        match self.sequence.load(Acquire) {
            WRITING => None,
            sequence => sequence.checked_sub(1),
        }
    }

    /// Fetches the words of number `number`; `false` if the record does not hold them.
    pub(in super::super) fn fetch(&self, number: u64, words: &mut [u64; N]) -> bool {
        if self.number() != Some(number) {
            return false;
        }
        for (to, from) in words.iter_mut().zip(&self.words) {
            *to = from.load(Relaxed);
        }
        fence(Acquire);
        self.sequence.load(Relaxed) == number + 1
    }

    /// Returns the words of number `number`, if that is what the record holds.
    pub(in super::super) fn read(&self, number: u64) -> Option<[u64; N]> {
        let mut words = [0; N];
        self.fetch(number, &mut words).then_some(words)
    }
}
