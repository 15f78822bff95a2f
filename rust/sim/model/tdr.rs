// SPDX-License-Identifier: GPL-2.0

//! The TDR: root page of a TD.

use super::{
    field::Field,
    lock::{
        Mode,
        Word, //
    },
    pamt::{
        self,
        Page, //
    },
    platform::Platform,
    Ctx, //
};
use crate::abi::{
    state::Lifecycle,
    Level,
    Operand,
    PageType,
    Status, //
};

/// Fields of the TDR. TDX ABI: "TD Root (TDR)".
pub mod fields {
    use super::Field;

    /// The TD cannot be used any more.
    pub const FATAL: Field = Field::new(0x0, 8);
    /// Number of TDCX pages.
    pub const NUM_TDCX: Field = Field::new(0x4, 32);
    /// Number of 4K pages that the TD has, the TDR not counted.
    pub const CHLDCNT: Field = Field::new(0x8, 64);
    /// See [`Lifecycle`](crate::abi::state::Lifecycle).
    pub const LIFECYCLE_STATE: Field = Field::new(0x10, 32);
    /// Physical addresses of the TDCX pages.
    pub const TDCX_PA: Field = Field::new(0x18, 64);
    /// Random identity, four elements.
    pub const TD_UUID: Field = Field::new(0x60, 64);
    /// The KeyID of the TD's private memory.
    pub const HKID: Field = Field::new(0x100, 16);
    /// Packages whose key is configured.
    pub const PKG_CONFIG_BITMAP: Field = Field::new(0x108, 64);
    /// Version of the module's handoff data that knows this TD.
    pub const HANDOFF_VERSION: Field = Field::new(0x140, 16);
    /// Index into the database of SEAM modules.
    pub const SEAMDB_INDEX: Field = Field::new(0x148, 64);
    /// Nonce of that database, four elements.
    pub const SEAMDB_NONCE: Field = Field::new(0x150, 64);
}

/// Most TDCX pages that a TD can have.
pub const MAX_TDCX: u64 = 9;

/// A locked TDR.
#[must_use = "the TDR is unlocked at once if this is dropped"]
pub struct Tdr<'a, P: Platform> {
    page: Page<'a, P>,
    p: &'a P,
    pa: u64,
}

impl<'a, P: Platform> Tdr<'a, P> {
    /// The check of a TDR operand.
    #[inline]
    pub fn lock(cx: &Ctx<'a, P>, op: Operand, pa: u64, mode: Mode) -> Result<Self, Status> {
        Ok(Self {
            page: pamt::page(cx, op, pa, PageType::Tdr, mode)?,
            p: cx.p,
            pa,
        })
    }

    /// Locks the TDR that owns a page, found in the page's PAMT entry.
    #[inline]
    pub fn lock_implicit(cx: &Ctx<'a, P>, pa: u64, mode: Mode) -> Result<Self, Status> {
        let busy = Status::OPERAND_BUSY.with(Operand::TDR);
        let page = pamt::lock_implicit(cx, pa, Level::K4, mode, busy)?;
        if !page.is(PageType::Tdr) {
            // Only damage to the PAMT makes something else an owner.
            return Err(Status::TD_FATAL);
        }
        Ok(Self { page, p: cx.p, pa })
    }

    /// The physical address of the TDR.
    pub fn pa(&self) -> u64 {
        self.pa
    }

    /// The locked page.
    pub fn page(&self) -> &Page<'a, P> {
        &self.page
    }

    /// Reads a field.
    #[inline]
    pub fn get(&self, field: Field) -> u64 {
        field.load(self.p, self.pa)
    }

    /// Writes a field.
    #[inline]
    pub fn set(&self, field: Field, value: u64) {
        field.store(self.p, self.pa, value);
    }

    /// The KeyID of the TD's private memory.
    pub fn hkid(&self) -> u16 {
        self.get(fields::HKID) as u16
    }

    /// The life cycle state; `None` for a number that is no state.
    pub fn lifecycle(&self) -> Option<Lifecycle> {
        Lifecycle::from_raw(self.get(fields::LIFECYCLE_STATE))
    }

    /// Whether the TD cannot be used any more.
    pub fn is_fatal(&self) -> bool {
        self.get(fields::FATAL) != 0
    }

    /// Counts `pages` more pages of the TD. Several processors may do so at a time.
    #[inline]
    pub fn add_children(&self, pages: u64) {
        fields::CHLDCNT.word(self.p, self.pa).add(pages);
    }

    /// Counts `pages` fewer pages of the TD.
    #[inline]
    pub fn remove_children(&self, pages: u64) {
        fields::CHLDCNT
            .word(self.p, self.pa)
            .add(pages.wrapping_neg());
    }
}
