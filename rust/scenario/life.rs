// SPDX-License-Identifier: GPL-2.0

//! A TD from its creation to its end.

use super::{
    ensure,
    fixture::with_td,
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
        self,
        Range, //
    },
    tdh, //
};

/// Builds a TD with an initial page, makes it final, gives it a page and takes that away again.
///
/// # Errors
///
/// What was not as it should be.
pub fn life<B: Bench>(bench: &B) -> Result<(), Fault> {
    with_td(bench, |t| {
        let tdr = t.td.tdr;
        ensure!(t.type_of(tdr)? == Some(PageType::Tdr));
        let lifecycle = tdh::mng::rd(bench, tdr, td::LIFECYCLE_STATE)?;
        ensure!(lifecycle == Lifecycle::KeysConfigured.raw());
        ensure!(tdh::mng::rd(bench, tdr, td::OP_STATE)? == OpState::Initialized.raw());

        let gpa = Gpa::new(0x8000_0000).ok_or(Fault::Resources)?;
        let one = Range::new(gpa, Level::K4, 1).ok_or(Fault::Resources)?;
        t.add_vcpu()?;
        t.link_tables(gpa)?;
        ensure!(t.entry(gpa, Level::M2)?.info.state() == Some(State::NlMapped));
        ensure!(t.entry(gpa, Level::K4)?.info.state() == Some(State::Free));

        // Initial memory is there for the guest without being accepted.
        let initial = t.alloc_private()?;
        let source = bench.alloc().ok_or(Fault::Resources)?;
        // SAFETY: The page was just allocated, and is freed after it was reclaimed.
        let added = unsafe { sept::add(bench, &t.td, &one, initial, source) };
        bench.free(source);
        added?;
        ensure!(t.entry(gpa, Level::K4)?.info.state() == Some(State::Mapped));
        ensure!(t.type_of(initial)? == Some(PageType::Reg));
        ensure!(tdh::phymem::page_rdmd(bench, initial)?.owner == Some(tdr));
        tdh::mr::finalize(bench, tdr)?;
        ensure!(tdh::mng::rd(bench, tdr, td::OP_STATE)? == OpState::Runnable.raw());

        // Memory that comes later has to be accepted.
        let next = gpa.checked_add(Level::K4.size()).ok_or(Fault::Resources)?;
        let later = Range::new(next, Level::K4, 1).ok_or(Fault::Resources)?;
        let page = t.alloc_private()?;
        // SAFETY: As above.
        unsafe { sept::aug(bench, &t.td, &later, page) }?;
        let entry = t.entry(next, Level::K4)?;
        ensure!(entry.info.state() == Some(State::Pending));
        ensure!(entry.entry & ((1 << 52) - Level::K4.size()) == page.pa());

        let epoch = tdh::mng::rd(bench, tdr, td::TD_EPOCH)?;
        sept::block(bench, &t.td, &later)?;
        sept::block(bench, &t.td, &later)?;
        ensure!(t.entry(next, Level::K4)?.info.state() == Some(State::PendingBlocked));
        sept::track(bench, &t.td)?;
        let next_epoch = tdh::mng::rd(bench, tdr, td::TD_EPOCH)?;
        ensure!(epoch.checked_add(1) == Some(next_epoch));
        sept::remove(bench, &t.td, &later, page)?;
        ensure!(t.entry(next, Level::K4)?.info.state() == Some(State::Free));
        ensure!(t.type_of(page)? == Some(PageType::Nda));
        t.free_private(page);
        Ok(())
    })
}
