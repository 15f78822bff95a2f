// SPDX-License-Identifier: GPL-2.0

//! The kernel's bitmap.

use crate::alloc::{
    AllocError,
    Flags, //
};

pub struct BitmapVec(Vec<bool>);

impl BitmapVec {
    /// As the kernel has it.
    pub const MAX_LEN: usize = i32::MAX as usize;

    pub fn new(nbits: usize, _flags: Flags) -> Result<Self, AllocError> {
        if nbits > Self::MAX_LEN {
            return Err(AllocError);
        }
        Ok(Self(vec![false; nbits]))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn set_bit(&mut self, index: usize) {
        self.0[index] = true;
    }

    pub fn next_bit(&self, start: usize) -> Option<usize> {
        self.next(start, true)
    }

    pub fn next_zero_bit(&self, start: usize) -> Option<usize> {
        self.next(start, false)
    }

    fn next(&self, start: usize, bit: bool) -> Option<usize> {
        (start..self.len()).find(|index| self.0[*index] == bit)
    }
}
