// SPDX-License-Identifier: GPL-2.0

//! A walk over all PAMT entries: which pages are in TDX hands.

use super::{
    super::model::{
        pamt::Info,
        tdmr::{
            Tdmr,
            PAMT_LEVELS, //
        }, //
    },
    super::trap::MODULE,
    look, //
};
use crate::abi::{
    Level,
    PageType, //
};
use core::fmt;
use kernel::prelude::*;

/// Pages that are listed; all are counted.
const MAX_LISTED: u64 = 4096;

const PAGE_SIZE: u64 = Level::K4.size();
const PAGE_WORDS: usize = PAGE_SIZE as usize / size_of::<u64>();

/// Calls `f` with address, size and PAMT entry of each page.
pub(super) fn for_each(mut f: impl FnMut(u64, Level, Info) -> fmt::Result) -> fmt::Result {
    let mut buffer = KBox::new([0; PAGE_WORDS], GFP_KERNEL).map_err(|_| fmt::Error)?;
    for tdmr in MODULE.tdmrs.iter() {
        for level in PAMT_LEVELS {
            walk(tdmr, level, &mut buffer, &mut f)?;
        }
    }
    Ok(())
}

/// Walks the PAMT of one page size, a page of the PAMT at a time.
fn walk(
    tdmr: &Tdmr,
    level: Level,
    buffer: &mut [u64; PAGE_WORDS],
    f: &mut impl FnMut(u64, Level, Info) -> fmt::Result,
) -> fmt::Result {
    let mut pa = tdmr.range().base;
    let entry_words = tdmr.pamt_entry_size(level) as usize / size_of::<u64>();
    // What TDH.SYS.TDMR.INIT has not reached holds anything.
    let end = tdmr.next();
    while pa < end {
        let entries = tdmr.pamt_entry(level, pa);
        if !look(|cx| cx.p.read_words(entries, buffer))? {
            return Err(fmt::Error);
        }
        let in_page = (entries % PAGE_SIZE) as usize / size_of::<u64>();
        for words in buffer.iter().skip(in_page).step_by(entry_words) {
            if pa >= end {
                break;
            }
            f(pa, level, Info::decode(*words))?;
            pa = pa.saturating_add(level.size());
        }
    }
    Ok(())
}

/// Prints the pages in TDX hands, and the number of 4K pages of each type.
pub(super) fn show(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // The last one is for numbers that are no page type.
    let mut counts = [0u64; PageType::ALL.len() + 1];
    let mut listed = 0;
    for_each(|pa, level, info| {
        let index = PageType::ALL.iter().position(|t| t.raw() == info.raw_type);
        let page_type = index.and_then(|i| PageType::ALL.get(i));
        let used = !matches!(page_type, Some(PageType::Nda | PageType::Rsvd));
        // A larger page that is not in use is described by the entries of its parts.
        if used || level == Level::K4 {
            if let Some(count) = counts.get_mut(index.unwrap_or(PageType::ALL.len())) {
                *count += level.pages();
            }
        }
        if used && listed < MAX_LISTED {
            listed += 1;
            writeln!(
                f,
                "page={pa:#x} level={} type={} owner={:#x} locked={}",
                level as u8,
                page_type.map_or("PT_UNKNOWN", |t| t.name()),
                info.owner,
                u8::from(info.locked),
            )?;
        }
        Ok(())
    })?;

    let mut in_use = 0;
    for (i, pages) in counts.into_iter().enumerate() {
        let page_type = PageType::ALL.get(i);
        if !matches!(page_type, Some(PageType::Nda | PageType::Rsvd)) {
            in_use += pages;
        }
        writeln!(
            f,
            "type={} pages={pages}",
            page_type.map_or("PT_UNKNOWN", |t| t.name())
        )?;
    }
    writeln!(f, "in_use={in_use}")
}
