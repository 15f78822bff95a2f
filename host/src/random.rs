// SPDX-License-Identifier: GPL-2.0

//! Numbers that look random and are the same in every run.

/// SplitMix64: the state, which begins as the seed.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// What each number adds to the state.
    pub const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

    /// The next number.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(Self::GAMMA);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The next `len` bytes, rounded up to whole numbers.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let words = (0..len.div_ceil(8)).map(|_| self.word());
        words.flat_map(u64::to_le_bytes).collect()
    }
}
