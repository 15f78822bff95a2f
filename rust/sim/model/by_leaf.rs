// SPDX-License-Identifier: GPL-2.0

//! Tables of what each leaf allows.

use crate::abi::Leaf;

/// For each leaf, the set of the states that it allows, numbers below 16.
pub struct ByLeaf([u16; Leaf::TABLE_SIZE]);

impl ByLeaf {
    /// The table with the given rows; a leaf without a row allows nothing.
    #[inline]
    pub const fn new(rows: &[(Leaf, &[u8])]) -> Self {
        let mut masks = [0; Leaf::TABLE_SIZE];
        let mut row = 0;
        while row < rows.len() {
            let (leaf, states) = rows[row];
            let mut i = 0;
            while i < states.len() {
                masks[leaf as usize] |= 1 << states[i];
                i += 1;
            }
            row += 1;
        }
        Self(masks)
    }

    /// Whether `leaf` allows `state`, which may be any number.
    #[inline]
    pub fn allows(&self, leaf: Leaf, state: u64) -> bool {
        let mask = self.0.get(usize::from(leaf.raw())).copied().unwrap_or(0);
        state < 16 && (mask >> state) & 1 != 0
    }
}
