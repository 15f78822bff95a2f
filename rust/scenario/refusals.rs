// SPDX-License-Identifier: GPL-2.0

//! What is refused, by whom, and that nothing changes then.

use super::{
    ensure,
    fixture::{
        tear_down,
        with_td, //
    },
    Bench,
    Fault, //
};
use crate::{
    abi::{
        sept::State,
        Gpa,
        Level,
        Operand,
        PageType,
        Pfn,
        Status, //
    },
    sept::{
        self,
        Range,
        Result,
        Why, //
    },
    td::{
        Lender,
        Td, //
    },
    tdh, //
};

/// Returns the completion status that an operation stopped with before its first mapping.
fn refused<T>(result: Result<T>) -> Option<Status> {
    match result.err()? {
        sept::Stop {
            done: 0,
            why: Why::Refused(error),
        } => Some(error.status),
        _ => None,
    }
}

/// Steps out of order, and a step twice.
///
/// # Errors
///
/// What was not as it should be.
pub fn refused_calls<B: Bench>(bench: &B) -> core::result::Result<(), Fault> {
    // A TD without vCPU is not complete.
    let mut lender = Lender::new(bench);
    let td = Td::plain(bench, &mut lender)?;
    let error = tdh::mr::finalize(bench, td.id().tdr).err();
    ensure!(error.is_some_and(|error| error.status == Status::NO_VCPUS));
    tear_down(td)?;

    with_td(bench, |t| {
        let gpa = Gpa::new(0x8000_0000).ok_or(Fault::Resources)?;
        let range = Range::new(gpa, Level::K4, 1).ok_or(Fault::Resources)?;
        let td = t.td;

        // Without tables there is nothing to map at; the entry that is missing is the root's.
        let page = t.alloc_private()?;
        // SAFETY: The page was just allocated, and is freed after it was reclaimed.
        let result = unsafe { sept::aug(bench, &td, &range, page) };
        let entry = match result.err().map(|stop| stop.why) {
            Some(Why::Refused(error)) if error.status.is(Status::EPT_WALK_FAILED) => error.entry(),
            _ => None,
        };
        ensure!(entry.is_some_and(
            |(_, info)| info.level() == Some(Level::G512) && info.state() == Some(State::Free)
        ));
        ensure!(t.type_of(page)? == Some(PageType::Nda));

        t.link_tables(gpa)?;
        // SAFETY: As above. The page may be refused, and stays the host's then.
        let twice = unsafe {
            sept::aug(bench, &td, &range, page)?;
            sept::aug(bench, &td, &range, page)
        };
        ensure!(refused(twice) == Some(Status::EPT_ENTRY_STATE_INCORRECT.with(Operand::RCX)));

        // Memory that the TDX module has is not taken a second time.
        let next = gpa.checked_add(Level::K4.size()).ok_or(Fault::Resources)?;
        let next = Range::new(next, Level::K4, 1).ok_or(Fault::Resources)?;
        // SAFETY: The page is the TD's; the call must not change that.
        let alias = unsafe { sept::aug(bench, &td, &next, page) };
        ensure!(refused(alias) == Some(Status::PAGE_METADATA_INCORRECT.with(Operand::R8)));

        tdh::mr::finalize(bench, td.tdr)?;
        let early = sept::remove(bench, &td, &range, page);
        ensure!(refused(early) == Some(Status::GPA_RANGE_NOT_BLOCKED.with(Operand::RCX)));
        sept::block(bench, &td, &range)?;
        let untracked = sept::remove(bench, &td, &range, page);
        ensure!(refused(untracked) == Some(Status::TLB_TRACKING_NOT_DONE.with(Operand::RCX)));
        sept::track(bench, &td)?;

        // No page is reclaimed while the TD has its KeyID.
        let early = sept::free_table(bench, td.tdr);
        ensure!(refused(early) == Some(Status::LIFECYCLE_STATE_INCORRECT));

        sept::remove(bench, &td, &range, page)?;
        let twice = sept::remove(bench, &td, &range, page);
        ensure!(refused(twice) == Some(Status::EPT_ENTRY_STATE_INCORRECT.with(Operand::RCX)));
        t.free_private(page);

        // Initial memory comes before the TD is final.
        let late = t.alloc_private()?;
        // SAFETY: The page was just allocated, and is freed after it was reclaimed.
        let result = unsafe { sept::add(bench, &td, &range, late, late) };
        ensure!(refused(result) == Some(Status::OP_STATE_INCORRECT));
        Ok(())
    })
}

/// Memory and levels that are refused before the TDX module is called.
///
/// # Errors
///
/// What was not as it should be.
pub fn refused_memory<B: Bench>(bench: &B) -> core::result::Result<(), Fault> {
    with_td(bench, |t| {
        let gpa = Gpa::new(0x8000_0000).ok_or(Fault::Resources)?;
        let range = Range::new(gpa, Level::K4, 1).ok_or(Fault::Resources)?;
        let large = Range::new(gpa, Level::M2, 1).ok_or(Fault::Resources)?;
        let td = t.td;
        t.link_tables(gpa)?;

        // The last page of all addresses is on no machine, and memory cannot go beyond it.
        let last = Pfn::new((1 << 40) - 1).ok_or(Fault::Resources)?;
        let why = |result: Result| result.err().map(|stop| stop.why);
        // SAFETY: There is no such page; the operations must not call the TDX module.
        unsafe {
            let result = sept::aug(bench, &td, &range, last);
            ensure!(why(result) == Some(Why::NotConvertible));
            let result = sept::link(bench, &td, gpa, Level::M2, last);
            ensure!(why(result) == Some(Why::NotConvertible));
            let result = sept::add(bench, &td, &range, last, last);
            ensure!(why(result) == Some(Why::NotConvertible));
            let result = sept::aug(bench, &td, &large, last);
            ensure!(why(result) == Some(Why::Invalid));
            let result = sept::add(bench, &td, &large, last, last);
            ensure!(why(result) == Some(Why::Invalid));
            let result = sept::link(bench, &td, gpa, Level::K4, last);
            ensure!(why(result) == Some(Why::Invalid));
            let result = sept::split(bench, &td, gpa, Level::K4, last);
            ensure!(why(result) == Some(Why::Invalid));
        }
        ensure!(t.entry(gpa, Level::K4)?.info.state() == Some(State::Free));

        // Ranges that do not exist.
        ensure!(Range::new(gpa, Level::K4, 0).is_none());
        ensure!(Range::new(gpa, Level::G512, 1).is_none());
        ensure!(Range::new(gpa, Level::K4, u64::MAX).is_none());
        Ok(())
    })
}
