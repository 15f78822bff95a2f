// SPDX-License-Identifier: GPL-2.0

//! Memory that comes back from a TD that has its KeyID still.

use super::{
    Machine,
    Td,
    Why, //
};
use crate::{
    abi::{
        KeyedPfn,
        Level,
        Pfn, //
    },
    seamcall,
    tdh, //
};

/// Returns the page with the TD's KeyID, if there is such memory below the KeyID bits.
#[inline(always)]
pub(super) fn keyed<M: Machine>(machine: &M, td: &Td, page: Pfn) -> Option<KeyedPfn> {
    KeyedPfn::new(page, td.hkid, machine.keyid_shift())
}

/// Writes the cache lines of a page of `level` back, and makes it fit for use.
///
/// # Errors
///
/// Those of [`tdh::phymem::page_wbinvd`].
#[inline(always)]
pub(super) fn make_usable<M: Machine>(
    machine: &M,
    page: Pfn,
    keyed: KeyedPfn,
    level: Level,
) -> Result<(), seamcall::Error> {
    for small in 0..level.pages() {
        tdh::phymem::page_wbinvd(machine, keyed.page(small))?;
    }
    machine.reset(page, level);
    Ok(())
}

/// Makes a table page fit for use that the TDX module has just given back, and returns it.
///
/// # Errors
///
/// [`Why::Mismatch`] if no KeyID goes with the page, which is then none that was given;
/// [`Why::Lost`].
pub(super) fn table<M: Machine>(machine: &M, td: &Td, table: Pfn) -> Result<Pfn, Why> {
    let keyed = keyed(machine, td, table).ok_or(Why::Mismatch(table))?;
    make_usable(machine, table, keyed, Level::K4).map_err(Why::Lost)?;
    Ok(table)
}
