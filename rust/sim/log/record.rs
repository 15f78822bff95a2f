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

    /// Claims the record for the words of number `number`, unless it is being written, or holds a later one.
    #[inline]
    pub(in super::super) fn claim(&self, number: u64) -> Option<Claim<'_, N>> {
        let old = self.sequence.load(Relaxed);
        if old > number {
            return None;
        }
        self.sequence
            .compare_exchange(old, WRITING, Acquire, Relaxed)
            .ok()?;
        fence(Release);
        Some(Claim {
            record: self,
            number,
        })
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

/// A record that is being written, until [`Claim::publish`].
#[must_use = "a record that is not published stays claimed"]
pub(in super::super) struct Claim<'a, const N: usize> {
    record: &'a Record<N>,
    number: u64,
}

impl<'a, const N: usize> Claim<'a, N> {
    /// The words, to be stored to.
    #[inline]
    pub(in super::super) fn words(&self) -> &'a [AtomicU64; N] {
        &self.record.words
    }

    /// Ends it: the words are complete.
    #[inline]
    pub(in super::super) fn publish(self) {
        self.record.sequence.store(self.number + 1, Release);
    }
}
