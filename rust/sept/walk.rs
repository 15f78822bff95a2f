// SPDX-License-Identifier: GPL-2.0

//! What there is in an S-EPT, asked of the TDX module.

use super::{
    Machine,
    Range,
    Td, //
};
use crate::{
    abi::{
        sept::{
            span::{
                Span,
                Spans, //
            },
            Entry,
            State, //
        },
        Level, //
    },
    seamcall,
    tdh, //
};

/// Tells `f` of all that the entries of `range` hold, and the tables below them, in the order of their
/// addresses: a table page before what is in it. Entries that are free, and what lies below a blocked table
/// page, are left out.
///
/// The TDX module does not tell the PFN of a table page: it is 0. One call for each entry makes this slow.
///
/// # Errors
///
/// Those of [`tdh::mem::sept_rd`].
pub fn walk<M: Machine>(
    machine: &M,
    td: &Td,
    range: &Range,
    mut f: impl FnMut(&Span),
) -> seamcall::Result {
    let mut spans = Spans::default();
    let result = table(machine, td, range, &mut |span| {
        if let Some(span) = spans.push(span) {
            f(&span);
        }
    });
    if let Some(span) = spans.finish() {
        f(&span);
    }
    result
}

fn table<M: Machine>(
    machine: &M,
    td: &Td,
    range: &Range,
    f: &mut dyn FnMut(Span),
) -> seamcall::Result {
    for at in range.entries() {
        let entry = tdh::mem::sept_rd(machine, td.tdr, at)?;
        let state = entry.info.state();
        if state.is_some_and(State::is_empty) {
            continue;
        }
        f(Span {
            gpa: at.gpa().get(),
            level: range.level(),
            state,
            pfn: Entry::from_raw(entry.entry).pfn().get(),
            entries: 1,
        });
        if state != Some(State::NlMapped) {
            continue;
        }
        let below = range.level().down();
        if let Some(below) = below.and_then(|level| Range::new(at.gpa(), level, Level::ENTRIES)) {
            table(machine, td, &below, f)?;
        }
    }
    Ok(())
}
