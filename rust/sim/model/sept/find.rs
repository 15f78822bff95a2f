// SPDX-License-Identifier: GPL-2.0

//! The way back from a page of memory to the place in a secure EPT that it is at.

use super::{
    super::{
        pamt,
        platform::Platform,
        td,
        tdcs,
        tdr,
        Ctx, //
    },
    Slot,
    ROOT_PAGE, //
};
use crate::abi::{
    sept::State,
    Level,
    PageType, //
};

/// What is looked for in whose tree, and how many table pages may still be looked at: more than the TD
/// has there are only if the host has damaged it.
struct Search<'a, 'c, P> {
    cx: &'a Ctx<'c, P>,
    tdr: u64,
    pa: u64,
    tables: u64,
}

/// The GPA and the level of the entry that maps the page at `pa`, or links it as a table, in the secure
/// EPT of the TD with its root page at `tdr`.
///
/// Takes no locks: what other processors change meanwhile may be seen or not.
pub fn find<P: Platform>(cx: &Ctx<'_, P>, tdr: u64, pa: u64) -> Option<(u64, Level)> {
    let tdcs = td::complete_tdcs(cx, tdr)?;
    // EPT pointer bits 5:3 are the number of levels below the root.
    let level = Level::from_raw((tdcs.get(tdcs::fields::EPTP) >> 3) & 7)?;
    let mut search = Search {
        cx,
        tdr,
        pa: pa & !(Level::K4.size() - 1),
        tables: tdr::fields::CHLDCNT.load(cx.p, tdr),
    };
    search.table(tdcs.page(ROOT_PAGE), level, 0)
}

impl<P: Platform> Search<'_, '_, P> {
    /// Looks at the entries of `level` in `table`, which is for GPAs from `gpa` up.
    fn table(&mut self, table: u64, level: Level, gpa: u64) -> Option<(u64, Level)> {
        self.tables = self.tables.checked_sub(1)?;
        for index in 0..Level::ENTRIES {
            let entry = Slot::nth(self.cx.p, table, index, level).load();
            let state = entry.state().filter(|state| *state != State::Free);
            let Some(state) = state else {
                continue;
            };
            let gpa = gpa | index.wrapping_shl(level.shift());
            let to = entry.pfn().pa();
            let below = match state {
                State::NlMapped | State::NlBlocked => level.down(),
                _ => None,
            };
            let Some(below) = below else {
                // How far the guest has got accepting a page is in bits that are 0 else.
                if self.pa & !(level.size() - 1) == to & !(level.size() - 1) {
                    return Some((gpa, level));
                }
                continue;
            };
            if to == self.pa {
                return Some((gpa, level));
            }
            if pamt::is_owned(self.cx, to, PageType::Ept, self.tdr) {
                let found = self.table(to, below, gpa);
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }
}
