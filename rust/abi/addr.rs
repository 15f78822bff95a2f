// SPDX-License-Identifier: GPL-2.0

//! Addresses and page frame numbers.
//!
//! They are types of their own so that a guest-physical address cannot be passed where a page frame
//! number is meant, and so that a page frame number that carries a KeyID is no physical address.

// `bitfield!` defines constants without documentation.
#![allow(missing_docs)]

use super::level::Level;
use kernel::{
    bitfield,
    num::Bounded, //
};

/// log2 of the smallest page size.
pub const PAGE_SHIFT: u32 = 12;

/// Size of the smallest page, in bytes.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;

/// Width of a physical address as the TDX module sees it, KeyID bits included.
pub const PA_WIDTH: u32 = 52;

/// Bits of a page frame number.
const PFN_BITS: u32 = PA_WIDTH - PAGE_SHIFT;

/// Frame number of a 4 KiB page of physical memory, with no KeyID in it.
///
/// # Invariants
///
/// The number is below 2^40.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pfn(u64);

impl Pfn {
    /// Creates a frame number, if it is below 2^40.
    #[inline]
    pub const fn new(pfn: u64) -> Option<Self> {
        if pfn >> PFN_BITS == 0 {
            // INVARIANT: Just checked.
            Some(Self(pfn))
        } else {
            None
        }
    }

    /// Creates a frame number from the address of a page, if that is 4 KiB-aligned and below 2^52.
    #[inline]
    pub const fn from_pa(pa: u64) -> Option<Self> {
        if pa & (PAGE_SIZE - 1) == 0 {
            Self::new(pa >> PAGE_SHIFT)
        } else {
            None
        }
    }

    /// Returns the frame named in bits 51:12 of a word.
    #[inline]
    pub const fn containing(word: u64) -> Self {
        // INVARIANT: The mask leaves 40 bits.
        Self((word >> PAGE_SHIFT) & ((1 << PFN_BITS) - 1))
    }

    /// Returns the frame number.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the physical address of the page.
    #[inline]
    pub const fn pa(self) -> u64 {
        self.0 << PAGE_SHIFT
    }

    /// Returns the frame `pages` further up, if there is one.
    #[inline]
    pub const fn checked_add(self, pages: u64) -> Option<Self> {
        match self.0.checked_add(pages) {
            Some(pfn) => Self::new(pfn),
            None => None,
        }
    }

    /// Returns whether a page of this level may begin here.
    #[inline]
    pub const fn is_aligned_to(self, level: Level) -> bool {
        self.0 & (level.pages() - 1) == 0
    }
}

/// Physical address of memory of the host that the TDX module reads or writes, in units of `ALIGN`
/// bytes, a power of two.
///
/// # Invariants
///
/// The address is aligned to `ALIGN` and below 2^52.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostPa<const ALIGN: u64>(u64);

impl<const ALIGN: u64> HostPa<ALIGN> {
    /// Creates an address, if it is aligned and below 2^52.
    #[inline]
    pub const fn new(pa: u64) -> Option<Self> {
        if pa & (ALIGN - 1) == 0 && pa >> PA_WIDTH == 0 {
            // INVARIANT: Just checked.
            Some(Self(pa))
        } else {
            None
        }
    }

    /// Returns the address where a page begins.
    #[inline]
    pub const fn page(page: Pfn) -> Self {
        const { assert!(ALIGN <= PAGE_SIZE) };
        // INVARIANT: The address of a page is aligned to 4 KiB and below 2^52.
        Self(page.pa())
    }

    /// Returns the address.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<Bounded<u64, PFN_BITS>> for Pfn {
    #[inline]
    fn from(bits: Bounded<u64, PFN_BITS>) -> Self {
        // INVARIANT: A `Bounded` of 40 bits is below 2^40.
        Self(bits.get())
    }
}

impl From<Pfn> for Bounded<u64, PFN_BITS> {
    #[inline]
    fn from(pfn: Pfn) -> Self {
        // The mask changes nothing, by the invariant; it is there for the compiler to see it.
        Bounded::from_expr(pfn.0 & ((1 << PFN_BITS) - 1))
    }
}

/// Guest-physical address of a page of a TD's private memory.
///
/// Whether the address is private depends on the TD's GPAW; the TDX module checks it.
///
/// # Invariants
///
/// The address is 4 KiB-aligned and below 2^52.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gpa(u64);

impl Gpa {
    /// Creates an address, if it is 4 KiB-aligned and below 2^52.
    #[inline]
    pub const fn new(gpa: u64) -> Option<Self> {
        if gpa & (PAGE_SIZE - 1) == 0 && gpa >> PA_WIDTH == 0 {
            // INVARIANT: Just checked.
            Some(Self(gpa))
        } else {
            None
        }
    }

    /// Returns the address.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns whether an entry of this level may begin here.
    #[inline]
    pub const fn is_aligned_to(self, level: Level) -> bool {
        self.0 & (level.size() - 1) == 0
    }

    /// Returns the address `bytes` further up, if there is one.
    #[inline]
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(gpa) => Self::new(gpa),
            None => None,
        }
    }

    /// Returns the number of bytes from the address to the end of all addresses, 2^52.
    #[inline]
    pub const fn room_above(self) -> u64 {
        // Does not wrap, by the invariant.
        (1u64 << PA_WIDTH).wrapping_sub(self.0)
    }

    /// Returns the start of the entry of this level that covers the address.
    #[inline]
    pub const fn align_down(self, level: Level) -> Self {
        // INVARIANT: Clearing low bits keeps both properties.
        Self(self.0 & !(level.size() - 1))
    }

    /// Returns the operand word that names the entry of this level that begins here.
    ///
    /// `None` if no entry of this level begins here.
    #[inline]
    pub const fn at(self, level: Level) -> Option<GpaWord> {
        if self.is_aligned_to(level) {
            Some(GpaWord::from_raw(self.0 | level.raw()))
        } else {
            None
        }
    }
}

bitfield! {
    /// Operand that names an S-EPT entry: guest-physical address and level.
    ///
    /// TDX ABI: "GPA and level" operand, RCX of the TDH.MEM leaves.
    pub struct GpaWord(u64) {
        /// GPA of what the entry maps, as a frame number.
        51:12 gfn;
        /// Level of the entry.
        2:0 level;
    }
}

impl GpaWord {
    /// Bits that have to be 0.
    pub const RESERVED: u64 = !(Self::GFN_MASK | Self::LEVEL_MASK);

    /// Returns the guest-physical address.
    #[inline]
    pub const fn gpa(self) -> Gpa {
        // INVARIANT: `GFN_MASK` covers bits 51:12 only.
        Gpa(self.into_raw() & Self::GFN_MASK)
    }
}

/// Host key identifier: names the key that memory is encrypted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hkid(u16);

impl Hkid {
    /// The KeyID of memory that has none: the host's own, and all that is shared with it.
    pub const HOST: Self = Self(0);

    /// Creates a KeyID.
    #[inline]
    pub const fn new(hkid: u16) -> Self {
        Self(hkid)
    }

    /// Returns the number.
    #[inline]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// A page frame number with a KeyID in its upper bits.
///
/// This is an operand of TDH.PHYMEM.PAGE.WBINVD: it names cache lines, not memory, and is therefore
/// no [`Pfn`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyedPfn(u64);

impl KeyedPfn {
    /// Combines a page and a KeyID. `keyid_shift` is the position of the KeyID in a physical
    /// address: the number of address bits that the platform leaves to memory.
    ///
    /// `None` if the page lies above the KeyID's position or the KeyID does not fit above it.
    #[inline]
    pub const fn new(pfn: Pfn, hkid: Hkid, keyid_shift: u32) -> Option<Self> {
        if keyid_shift < PAGE_SHIFT || keyid_shift > PA_WIDTH {
            return None;
        }
        let key = hkid.get() as u64;
        if pfn.pa() >> keyid_shift != 0 || key >> (PA_WIDTH - keyid_shift) != 0 {
            return None;
        }
        Some(Self(pfn.pa() | (key << keyid_shift)))
    }

    /// Returns 4 KiB page `n` of a larger page that begins here. `n` must be one of its pages.
    #[inline]
    pub const fn page(self, n: u64) -> Self {
        // A larger page begins where the bits of `n` are 0, so that nothing carries into the KeyID.
        Self(self.0 | (n << PAGE_SHIFT))
    }

    /// Returns the operand word.
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pfn_limits() {
        assert_eq!(Pfn::new((1 << 40) - 1).map(Pfn::pa), Some((1 << 52) - 4096));
        assert_eq!(Pfn::new(1 << 40), None);
        assert_eq!(Pfn::from_pa(0x1234_5000).map(Pfn::get), Some(0x1_2345));
        assert_eq!(Pfn::from_pa(0x1234_5008), None);
        assert_eq!(Pfn::from_pa(1 << 52), None);
        let top = Pfn::new((1 << 40) - 1).unwrap();
        assert_eq!(top.checked_add(1), None);
        assert_eq!(top.checked_add(u64::MAX), None);
    }

    #[test]
    fn gpa_words() {
        let gpa = Gpa::new(0x4000_0000).unwrap();
        assert_eq!(gpa.at(Level::G1).map(GpaWord::into_raw), Some(0x4000_0002));
        assert_eq!(gpa.at(Level::G512), None);
        assert_eq!(gpa.at(Level::M2).map(GpaWord::gpa), Some(gpa));
        assert_eq!(Gpa::new(0x4000_0800), None);
        assert_eq!(Gpa::new(1 << 52), None);
        assert_eq!(GpaWord::RESERVED, 0xfff0_0000_0000_0ff8);
    }

    #[test]
    fn keyed_pfn() {
        let pfn = Pfn::new(0x1234).unwrap();
        let keyed = KeyedPfn::new(pfn, Hkid::new(0x21), 46).unwrap();
        assert_eq!(keyed.raw(), 0x123_4000 | (0x21 << 46));
        assert_eq!(KeyedPfn::new(pfn, Hkid::new(64), 46), None);
        assert_eq!(
            KeyedPfn::new(Pfn::new(1 << 34).unwrap(), Hkid::new(1), 46),
            None
        );
        assert_eq!(KeyedPfn::new(pfn, Hkid::new(1), 52), None);
        assert!(KeyedPfn::new(pfn, Hkid::new(0), 52).is_some());
        assert_eq!(KeyedPfn::new(pfn, Hkid::new(1), 64), None);
    }
}
