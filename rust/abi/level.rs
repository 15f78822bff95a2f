// SPDX-License-Identifier: GPL-2.0

//! Levels of the secure EPT.

use super::addr::PAGE_SHIFT;

/// Level of an S-EPT entry, which fixes the size of what the entry maps.
///
/// TDX counts from 0; the kernel's `enum pg_level` counts from 1 (`PG_LEVEL_4K`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// 4 KiB, an entry of a page table.
    K4 = 0,
    /// 2 MiB, an entry of a page directory.
    M2 = 1,
    /// 1 GiB, an entry of a page-directory-pointer table.
    G1 = 2,
    /// 512 GiB, a PML4 entry.
    G512 = 3,
    /// 256 TiB, a PML5 entry.
    T256 = 4,
}

impl Level {
    /// All levels, leaf first.
    pub const ALL: [Self; 5] = [Self::K4, Self::M2, Self::G1, Self::G512, Self::T256];

    /// Bits of index that one level of the tree adds.
    pub const INDEX_BITS: u32 = 9;

    /// Entries of a table page.
    pub const ENTRIES: u64 = 1 << Self::INDEX_BITS;

    /// Creates a level from the number that the ABI uses.
    #[inline]
    pub const fn from_raw(raw: u64) -> Option<Self> {
        if raw > Self::T256 as u64 {
            return None;
        }
        // A match would be compiled to a chain of comparisons, on the path of every page mapped.
        // SAFETY: The discriminants are the numbers from 0 to that of `T256`.
        Some(unsafe { core::mem::transmute::<u8, Self>(raw as u8) })
    }

    /// Returns the number that the ABI uses.
    #[inline]
    pub const fn raw(self) -> u64 {
        self as u64
    }

    /// Returns the log2 of the size in bytes.
    #[inline]
    pub const fn shift(self) -> u32 {
        PAGE_SHIFT + self as u32 * Self::INDEX_BITS
    }

    /// Returns the size of what an entry of this level covers, in bytes.
    #[inline]
    pub const fn size(self) -> u64 {
        1 << self.shift()
    }

    /// Returns the size of what an entry of this level covers, in 4 KiB pages.
    #[inline]
    pub const fn pages(self) -> u64 {
        1 << (self as u32 * Self::INDEX_BITS)
    }

    /// Returns the next level towards the root.
    #[inline]
    pub const fn up(self) -> Option<Self> {
        Self::from_raw(self.raw() + 1)
    }

    /// Returns the next level towards the leaves.
    #[inline]
    pub const fn down(self) -> Option<Self> {
        match self {
            Self::K4 => None,
            Self::M2 => Some(Self::K4),
            Self::G1 => Some(Self::M2),
            Self::G512 => Some(Self::G1),
            Self::T256 => Some(Self::G512),
        }
    }

    /// Returns the name by size.
    pub const fn name(self) -> &'static str {
        match self {
            Self::K4 => "4K",
            Self::M2 => "2M",
            Self::G1 => "1G",
            Self::G512 => "512G",
            Self::T256 => "256T",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let sizes: Vec<u64> = Level::ALL.iter().map(|l| l.size()).collect();
        assert_eq!(sizes, [1 << 12, 1 << 21, 1 << 30, 1 << 39, 1 << 48]);
        for (raw, level) in Level::ALL.into_iter().enumerate() {
            assert_eq!(Level::from_raw(raw as u64), Some(level));
            assert_eq!(level.size(), level.pages() * 4096);
            assert_eq!(level.up().and_then(Level::down), level.up().map(|_| level));
        }
        assert_eq!(Level::from_raw(5), None);
    }
}
