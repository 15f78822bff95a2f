// SPDX-License-Identifier: GPL-2.0

//! A TD from its creation to its end.

use super::{
    ensure,
    fixture::{
        tear_down,
        type_of, //
    },
    Bench,
    Fault, //
};
use crate::{
    abi::{
        metadata::td,
        sept::State,
        state::{
            Lifecycle,
            OpState, //
        },
        Gpa,
        Level,
        PageType, //
    },
    sept::{
        Flush,
        Host,
        Memory,
        Range,
        Run, //
    },
    td::{
        Lender,
        Td, //
    },
    tdh, //
};

/// Builds a TD with an initial page, makes it final, gives it two pages and takes one away again.
///
/// # Errors
///
/// What was not as it should be.
pub fn life<B: Bench>(bench: &B) -> Result<(), Fault> {
    let mut lender = Lender::new(bench);
    let mut td = Td::plain(bench, &mut lender)?;
    let tdr = td.id().tdr;
    let field = |field| tdh::mng::rd(bench, tdr, field);
    ensure!(type_of(bench, tdr)? == Some(PageType::Tdr));
    ensure!(field(td::LIFECYCLE_STATE)? == Lifecycle::KeysConfigured.raw());
    ensure!(field(td::OP_STATE)? == OpState::Initialized.raw());

    // Initial memory is there for the guest without being accepted.
    let gpa = Gpa::new(0x8000_0000).ok_or(Fault::Resources)?;
    let one = Range::new(gpa, Level::K4, 1).ok_or(Fault::Resources)?;
    let initial = td.host_mut().take_page().ok_or(Fault::Resources)?;
    let source = bench.alloc().ok_or(Fault::Resources)?;
    // SAFETY: The page was just allocated, and is freed when it is back.
    let added = unsafe { td.add(&one, initial, source) };
    bench.free(source);
    // One call asks which tables are missing, three link them, one adds the page.
    ensure!(added?.sept_calls == 5);
    ensure!(td.entry(gpa, Level::M2)?.info.state() == Some(State::NlMapped));
    ensure!(td.entry(gpa, Level::K4)?.info.state() == Some(State::Mapped));
    ensure!(type_of(bench, initial)? == Some(PageType::Reg));
    ensure!(tdh::phymem::page_rdmd(bench, initial)?.owner == Some(tdr));

    let mut td = td.complete()?;
    ensure!(field(td::OP_STATE)? == OpState::Runnable.raw());

    // Memory that comes later has to be accepted.
    let next = gpa.checked_add(Level::K4.size()).ok_or(Fault::Resources)?;
    let mut memory = [Memory {
        first: initial,
        pages: 1,
    }; 2];
    for piece in &mut memory {
        piece.first = td.host_mut().take_page().ok_or(Fault::Resources)?;
    }
    let [Memory { first: page, .. }, Memory { first: kept, .. }] = memory;
    // SAFETY: As above.
    unsafe { td.map(next, &memory, Level::M2) }?;
    let entry = td.entry(next, Level::K4)?;
    ensure!(entry.info.state() == Some(State::Pending));
    ensure!(entry.entry & ((1 << 52) - Level::K4.size()) == page.pa());

    let epoch = field(td::TD_EPOCH)?;
    let run = Range::new(next, Level::K4, 1).and_then(|range| Run::new(range, page));
    let cost = td.unmap(&[run.ok_or(Fault::Resources)?], Flush::Pages)?;
    ensure!((cost.sept_calls, cost.kicks, cost.cache_calls) == (3, 1, 1));
    ensure!(td.host().kicks() == 1);
    ensure!(epoch.checked_add(1) == Some(field(td::TD_EPOCH)?));
    ensure!(td.entry(next, Level::K4)?.info.state() == Some(State::Free));
    ensure!(type_of(bench, page)? == Some(PageType::Nda));

    ensure!(type_of(bench, kept)? == Some(PageType::Reg));
    tear_down(td)?;
    for page in [tdr, initial, kept] {
        ensure!(type_of(bench, page)? == Some(PageType::Nda));
    }
    Ok(())
}
