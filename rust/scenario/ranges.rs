// SPDX-License-Identifier: GPL-2.0

//! Operations on ranges, and how far they get.

use super::{
    ensure,
    fixture::with_td,
    Bench,
    Fault, //
};
use crate::{
    abi::{
        sept::State,
        Gpa,
        Level,
        PageType,
        Status, //
    },
    sept::{
        self,
        Range,
        Why, //
    },
    tdh, //
};

/// Blocks and removes ranges of pages; a range with a hole stops at the hole and says so.
///
/// # Errors
///
/// What was not as it should be.
pub fn ranges<B: Bench>(bench: &B) -> Result<(), Fault> {
    with_td(bench, |t| {
        let gpa = Gpa::new(0x1_0000_0000).ok_or(Fault::Resources)?;
        let range = |first: u64, nr| {
            let gpa = gpa.checked_add(first.checked_mul(Level::K4.size())?)?;
            Range::new(gpa, Level::K4, nr)
        };
        t.link_tables(gpa)?;
        tdh::mr::finalize(bench, t.td.tdr)?;

        // Pages 0 to 7, one by one: they need not be contiguous.
        let mut pages = [t.td.tdr; 8];
        for (page, n) in pages.iter_mut().zip(0..) {
            *page = t.alloc_private()?;
            let one = range(n, 1).ok_or(Fault::Resources)?;
            // SAFETY: The page was just allocated, and is freed after it was reclaimed.
            unsafe { sept::aug(bench, &t.td, &one, *page) }?;
        }

        // Pages 4 to 9 are asked for, but 8 is not mapped.
        let long = range(4, 6).ok_or(Fault::Resources)?;
        let stop = sept::block(bench, &t.td, &long).err();
        ensure!(stop.is_some_and(|stop| stop.done == 4));
        let why = stop.map(|stop| stop.why);
        ensure!(matches!(why, Some(Why::Refused(error))
            if error.status.is(Status::EPT_ENTRY_STATE_INCORRECT)
                && error.entry().is_some_and(|(_, info)| info.state() == Some(State::Free))));

        // The rest of the range, and what was blocked once more.
        let all = range(0, 8).ok_or(Fault::Resources)?;
        sept::block(bench, &t.td, &all)?;
        sept::track(bench, &t.td)?;
        for (&page, n) in pages.iter().zip(0..) {
            let one = range(n, 1).ok_or(Fault::Resources)?;
            sept::remove(bench, &t.td, &one, page)?;
            ensure!(t.type_of(page)? == Some(PageType::Nda));
        }
        for page in pages {
            t.free_private(page);
        }

        // A second round over the same addresses.
        let page = t.alloc_private()?;
        let one = range(3, 1).ok_or(Fault::Resources)?;
        // SAFETY: The page was just allocated, and is freed after it was reclaimed.
        unsafe { sept::aug(bench, &t.td, &one, page) }?;
        Ok(())
    })
}
