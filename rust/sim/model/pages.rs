// SPDX-License-Identifier: GPL-2.0

//! Control structures that are made of several pages.

use super::{
    field::Field,
    lock::Mem,
    platform::Platform, //
};
use crate::abi::Level;

/// The pages of a control structure; a field at offset 0x1000·n + m is at m in page n.
pub struct Pages<'a, P> {
    first: u64,
    list: Mem<'a, P>,
}

impl<'a, P: Platform> Pages<'a, P> {
    /// The structure whose page 0 is at `first`. Where the others are is in `list`, the first word
    /// of an array of physical addresses with KeyIDs.
    #[inline]
    pub fn new(first: u64, list: Mem<'a, P>) -> Self {
        Self { first, list }
    }

    /// Loads a page's physical address from an array such as [`new`](Self::new) takes.
    #[inline]
    pub fn listed(list: Mem<'a, P>, index: u32) -> u64 {
        let p = list.platform();
        let pa = list.pa().wrapping_add(u64::from(index).wrapping_mul(8));
        p.load(pa) & p.config().memory_mask()
    }

    /// The machine that the pages are in.
    #[inline]
    pub fn platform(&self) -> &'a P {
        self.list.platform()
    }

    /// The physical address of page `index`.
    #[inline]
    pub fn page(&self, index: u32) -> u64 {
        if index == 0 {
            self.first
        } else {
            Self::listed(self.list, index)
        }
    }

    /// A field, split into its page's address and its place in the page.
    #[inline]
    fn place(&self, field: Field) -> (u64, Field) {
        let page_size = Level::K4.size() as u32;
        let base = self.page(field.offset / page_size);
        (base, Field::new(field.offset % page_size, field.bits))
    }

    /// Reads a field.
    #[inline]
    pub fn get(&self, field: Field) -> u64 {
        let (base, field) = self.place(field);
        field.load(self.platform(), base)
    }

    /// Writes a field.
    #[inline]
    pub fn set(&self, field: Field, value: u64) {
        let (base, field) = self.place(field);
        field.store(self.platform(), base, value);
    }

    /// The word that holds a field.
    #[inline]
    pub fn word(&self, field: Field) -> Mem<'a, P> {
        let (base, field) = self.place(field);
        field.word(self.platform(), base)
    }
}
