// SPDX-License-Identifier: GPL-2.0

//! Fields of control structures: where they lie and how wide they are.

use super::{
    lock::{
        Mem,
        Word, //
    },
    platform::Platform, //
};

/// A field of 8, 16, 32 or 64 bits at a naturally aligned offset, or the first of an array of such
/// fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Byte offset in the structure.
    pub offset: u32,
    /// Width of one element in bits.
    pub bits: u32,
}

impl Field {
    /// A field of `bits` bits at `offset`.
    pub const fn new(offset: u32, bits: u32) -> Self {
        Self { offset, bits }
    }

    /// Element `index` of the array that starts here.
    pub const fn element(self, index: u32) -> Self {
        Self {
            offset: self.offset.wrapping_add(index.wrapping_mul(self.bits / 8)),
            bits: self.bits,
        }
    }

    /// The field's bits, as if it lay at bit 0.
    pub const fn mask(self) -> u64 {
        if self.bits >= 64 {
            u64::MAX
        } else {
            (1 << self.bits) - 1
        }
    }

    /// Offset of the 64-bit word that holds the field.
    pub const fn word_offset(self) -> u64 {
        (self.offset & !7) as u64
    }

    /// Position of the field in that word.
    pub const fn shift(self) -> u32 {
        (self.offset & 7) * 8
    }

    /// The word that holds the field, in the structure at `base`.
    #[inline]
    pub fn word<P: Platform>(self, p: &P, base: u64) -> Mem<'_, P> {
        Mem::new(p, base.wrapping_add(self.word_offset()))
    }

    /// Reads the field from the structure at `base`.
    #[inline]
    pub fn load<P: Platform>(self, p: &P, base: u64) -> u64 {
        (self.word(p, base).load() >> self.shift()) & self.mask()
    }

    /// Writes the field in the structure at `base`; its neighbours in the word may change
    /// meanwhile.
    #[inline]
    pub fn store<P: Platform>(self, p: &P, base: u64, value: u64) {
        let word = self.word(p, base);
        if self.bits >= 64 {
            p.store(word.pa(), value);
        } else {
            word.replace(
                self.mask() << self.shift(),
                (value & self.mask()) << self.shift(),
            );
        }
    }

    /// Replaces the field in `word`, the word that holds it, by what `change` makes of it; what
    /// `change` refuses stays.
    ///
    /// Returns the value before.
    pub fn try_update(
        self,
        word: &impl Word,
        change: impl Fn(u64) -> Option<u64>,
    ) -> Result<u64, u64> {
        let mut old = word.load();
        loop {
            let value = (old >> self.shift()) & self.mask();
            let new = change(value).ok_or(value)? & self.mask();
            match word.cmpxchg(
                old,
                (old & !(self.mask() << self.shift())) | (new << self.shift()),
            ) {
                Ok(_) => return Ok(value),
                Err(found) => old = found,
            }
        }
    }

    /// Adds `change`, which may be a negative number in two's complement, to the field in `word`.
    pub fn add(self, word: &impl Word, change: u64) {
        // Never refused.
        let _ = self.try_update(word, |value| Some(value.wrapping_add(change)));
    }
}
