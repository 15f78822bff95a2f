// SPDX-License-Identifier: GPL-2.0

//! Memory whose owner goes on with it as if no TD had it.

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
        sept::State,
        Gpa,
        Level,
        PageType,
        Pfn, //
    },
    sept::{
        Flush,
        Memory,
        Range,
        Run, //
    },
    td::{
        state::Finalised,
        Lender,
        Td, //
    },
    tdh, //
};

/// A TD that could run.
type FinalTd<'a, 'l, B> = Td<&'a B, &'l mut Lender<&'a B>, Finalised>;

/// Gives 2 MiB pages to a TD: maps them as such, splits the first one, unmaps all; then the same
/// memory in small pages, at an address that allows no others. `undisturbed` is asked in between
/// whether the memory's owner still finds it as it has to be; it may change it, too.
///
/// # Errors
///
/// What was not as it should be. The TDX module may have the memory still.
pub fn backed_by<B: Bench>(
    bench: &B,
    memory: Memory,
    undisturbed: &mut dyn FnMut() -> bool,
) -> Result<(), Fault> {
    let mut lender = Lender::new(bench);
    let mut td = Td::plain(bench, &mut lender)?.complete()?;
    let outcome = through_all_sizes(bench, &mut td, memory, undisturbed);
    outcome.and(tear_down(td))
}

fn through_all_sizes<B: Bench>(
    bench: &B,
    td: &mut FinalTd<'_, '_, B>,
    memory: Memory,
    undisturbed: &mut dyn FnMut() -> bool,
) -> Result<(), Fault> {
    let gpa = Gpa::new(0x8000_0000).ok_or(Fault::Resources)?;
    ensure!(undisturbed());

    // SAFETY: The caller of the scenario has the memory to give.
    unsafe { td.map(gpa, &[memory], Level::M2) }?;
    is_mapped(bench, td, gpa, memory.first, Level::M2)?;
    ensure!(undisturbed());

    td.split(gpa, Level::M2)?;
    for n in [0, 1, 511] {
        let (gpa, page) = nth(gpa, memory.first, n)?;
        is_mapped(bench, td, gpa, page, Level::K4)?;
    }
    ensure!(undisturbed());
    unmap(bench, td, gpa, memory)?;
    ensure!(undisturbed());

    let (odd, _) = nth(gpa, memory.first, 1)?;
    // SAFETY: As above.
    unsafe { td.map(odd, &[memory], Level::M2) }?;
    let (last, page) = nth(odd, memory.first, memory.pages.saturating_sub(1))?;
    is_mapped(bench, td, odd, memory.first, Level::K4)?;
    is_mapped(bench, td, last, page, Level::K4)?;
    ensure!(undisturbed());
    unmap(bench, td, odd, memory)?;
    ensure!(undisturbed());
    Ok(())
}

/// Returns the `n`th small page from `first`, and where it is when that is at `gpa`.
fn nth(gpa: Gpa, first: Pfn, n: u64) -> Result<(Gpa, Pfn), Fault> {
    let gpa = gpa.checked_add(n << Level::K4.shift());
    gpa.zip(first.checked_add(n)).ok_or(Fault::Resources)
}

/// The TDX module says of entry and page what a mapping of `level` has to be.
fn is_mapped<B: Bench>(
    bench: &B,
    td: &FinalTd<'_, '_, B>,
    gpa: Gpa,
    page: Pfn,
    level: Level,
) -> Result<(), Fault> {
    let entry = td.entry(gpa, level)?;
    ensure!(entry.info.level() == Some(level));
    ensure!(entry.info.state() == Some(State::Pending));
    ensure!(entry.entry & ((1 << 52) - Level::K4.size()) == page.pa());
    let metadata = tdh::phymem::page_rdmd(bench, page)?;
    ensure!(metadata.page_type == Some(PageType::Reg));
    ensure!(metadata.level == Some(level) && metadata.owner == Some(td.id().tdr));
    Ok(())
}

fn unmap<B: Bench>(
    bench: &B,
    td: &mut FinalTd<'_, '_, B>,
    gpa: Gpa,
    memory: Memory,
) -> Result<(), Fault> {
    let run = Range::new(gpa, Level::K4, memory.pages).and_then(|r| Run::new(r, memory.first));
    td.unmap(&[run.ok_or(Fault::Resources)?], Flush::Pages)?;
    for n in 0..memory.pages {
        let (_, page) = nth(gpa, memory.first, n)?;
        ensure!(type_of(bench, page)? == Some(PageType::Nda));
    }
    Ok(())
}
