// SPDX-License-Identifier: GPL-2.0

//! The secure EPT of each TD as a tree.

use super::{
    super::model::{
        pamt as model_pamt,
        td::complete_tdcs,
        tdcs, //
    },
    look,
    tds, //
};
use crate::abi::{
    sept::{
        span::{
            Span,
            Spans, //
        },
        Entry,
        State, //
    },
    Level,
    PageType, //
};
use core::fmt;
use kernel::prelude::*;

const ENTRIES: usize = Level::ENTRIES as usize;

/// Levels of a tree.
const LEVELS: usize = 5;

struct Walk<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    td: u64,
    /// A copy of a table page for each level.
    tables: KVVec<[u64; ENTRIES]>,
    spans: Spans,
}

/// Prints the tables, and the pages that they map, of all TDs.
pub(super) fn show(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    tds::for_each(|td| {
        let root = look(|cx| {
            let tdcs = complete_tdcs(cx, td)?;
            // The EPT pointer holds the number of levels less 1.
            let level = (tdcs.get(tdcs::fields::EPTP) >> 3) & 7;
            Some((
                tdcs.word(tdcs::fields::SEPT_ROOT).pa(),
                Level::from_raw(level)?,
            ))
        })?;
        let Some((root, level)) = root else {
            return Ok(());
        };
        let tables = KVVec::from_elem([0; ENTRIES], LEVELS, GFP_KERNEL).map_err(|_| fmt::Error)?;
        let mut walk = Walk {
            f,
            td,
            tables,
            spans: Spans::default(),
        };
        walk.table(root, level, 0)?;
        walk.finish()
    })
}

impl Walk<'_, '_> {
    /// Walks the table page at `pa`, with entries of `level`, for GPAs from `gpa` up.
    fn table(&mut self, pa: u64, level: Level, gpa: u64) -> fmt::Result {
        let index = level as usize;
        let Some(table) = self.tables.get_mut(index) else {
            return Ok(());
        };
        if !look(|cx| cx.p.read_words(pa, table))? {
            return Ok(());
        }
        for i in 0..ENTRIES {
            let Some(&raw) = self.tables.get(index).and_then(|table| table.get(i)) else {
                break;
            };
            let entry = Entry::from_raw(raw);
            let state = entry.state();
            if state == Some(State::Free) {
                continue;
            }
            let gpa = gpa | ((i as u64) << level.shift());
            self.span(Span {
                gpa,
                level,
                state,
                pfn: entry.pfn().get(),
                entries: 1,
            })?;
            let below = match state {
                Some(State::NlMapped | State::NlBlocked) => level.down(),
                _ => None,
            };
            let (Some(below), table) = (below, entry.pfn().pa()) else {
                continue;
            };
            // The host may have damaged the entry: follow it to a table page of this TD only.
            if look(|cx| model_pamt::is_owned(cx, table, PageType::Ept, self.td))? {
                self.table(table, below, gpa)?;
            }
        }
        Ok(())
    }

    fn span(&mut self, next: Span) -> fmt::Result {
        match self.spans.push(next) {
            Some(span) => self.print(&span),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> fmt::Result {
        match self.spans.finish() {
            Some(span) => self.print(&span),
            None => Ok(()),
        }
    }

    fn print(&mut self, span: &Span) -> fmt::Result {
        writeln!(self.f, "td={:#x} {span}", self.td)
    }
}
