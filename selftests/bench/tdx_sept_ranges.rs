// SPDX-License-Identifier: GPL-2.0

//! What it takes to unmap 1 GiB of a TD, by how it is mapped: counted when the module is loaded, and written to
//! the log as lines of `name=value`.
//!
//! The memory is that of `tdx_pfn_memory=`, of which it takes 1 GiB that is aligned.

use kernel::prelude::*;

#[path = "../../rust/library.rs"]
pub mod library;
use library::*;

use abi::{
    Gpa,
    Level,
    Pfn, //
};
use errno::say;
use seamcall::kernel::TdxCore;
use sept::{
    Cost,
    Flush,
    Memory,
    Range,
    Run, //
};
use td::{
    state::Initialised,
    with_pfn_memory,
    Lender,
    Resources,
    Td, //
};

module! {
    type: Ranges,
    name: "tdx_sept_ranges",
    authors: ["The tdx-sept authors"],
    description: "Counts what it takes to unmap 1 GiB of a TD",
    license: "GPL",
}

/// Everything is counted when the module is loaded.
struct Ranges;

impl kernel::Module for Ranges {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        with_pfn_memory(c"tdx_sept_ranges", Level::G1, |lender, memory| {
            LAYOUTS.iter().try_for_each(|layout| {
                measure(lender, layout, memory.first, "pages", Flush::Pages)?;
                measure(lender, layout, memory.first, "caches", Flush::Caches)
            })
        })?;
        Ok(Self)
    }
}

/// Where the 1 GiB is.
const GPA: u64 = 0x4000_0000;
/// Its size in small pages.
const PAGES: u64 = Level::G1.pages();

/// How the 1 GiB is mapped.
struct Layout {
    name: &'static str,
    /// Number of pages that are contiguous and aligned to their number. The pieces come in the reverse order of
    /// their addresses, so that no two of them are contiguous.
    piece: u64,
    largest: Level,
    /// Whether the first page of each 2 MiB was there before the TD was final, and needs no acceptance.
    mixed: bool,
}

const LAYOUTS: [Layout; 5] = [
    Layout {
        name: "2 MiB pages",
        piece: PAGES,
        largest: Level::M2,
        mixed: false,
    },
    Layout {
        name: "4 KiB pages, contiguous 1 GiB",
        piece: PAGES,
        largest: Level::K4,
        mixed: false,
    },
    Layout {
        name: "4 KiB pages, contiguous 2 MiB",
        piece: Level::M2.pages(),
        largest: Level::K4,
        mixed: false,
    },
    Layout {
        name: "4 KiB pages, scattered",
        piece: 1,
        largest: Level::K4,
        mixed: false,
    },
    Layout {
        name: "4 KiB pages, mixed states",
        piece: PAGES,
        largest: Level::K4,
        mixed: true,
    },
];

impl Layout {
    /// The pieces as runs, in the order of their guest addresses.
    fn runs(&self, first: Pfn) -> Result<KVVec<Run>> {
        let gpa = Gpa::new(GPA).ok_or(EINVAL)?;
        let mut runs = KVVec::new();
        for n in 0..PAGES / self.piece {
            let gpa = gpa.checked_add(n * self.piece * Level::K4.size());
            let nr = self.piece / self.largest.pages();
            let range = gpa.and_then(|gpa| Range::new(gpa, self.largest, nr));
            let first = first.checked_add(PAGES - (n + 1) * self.piece);
            let run = range.zip(first);
            let run = run.and_then(|(range, first)| Run::new(range, first));
            runs.push(run.ok_or(EINVAL)?, GFP_KERNEL)?;
        }
        Ok(runs)
    }
}

/// The memory of runs.
fn memory_of(runs: &[Run]) -> Result<KVVec<Memory>> {
    let mut memory = KVVec::with_capacity(runs.len(), GFP_KERNEL)?;
    for run in runs {
        let (first, pages) = (run.first(), run.range().pages());
        memory.push(Memory { first, pages }, GFP_KERNEL)?;
    }
    Ok(memory)
}

/// Maps and unmaps 1 GiB, and tells what it took.
///
/// The lender keeps no account of the memory, of which there are too many pieces. Should some of it stay mapped, the
/// TDX module keeps the root page of the TD, and that is noticed.
fn measure(
    lender: &mut Lender<TdxCore>,
    layout: &Layout,
    first: Pfn,
    name: &str,
    flush: Flush,
) -> Result {
    let runs = layout.runs(first)?;
    let mut td = Td::plain(TdxCore, lender).map_err(say)?;
    if layout.mixed {
        add_firsts(&mut td, &runs)?;
    }
    let mut td = td.complete().map_err(say)?;

    let id = *td.id();
    let map = |host: &mut Lender<TdxCore>, gpa, memory: &[Memory]| {
        // SAFETY: Nobody else has the memory, and the kernel does not access it.
        unsafe { sept::map(&TdxCore, &id, gpa, memory, layout.largest, host) }.map_err(say)
    };
    let mapped = if layout.mixed {
        let mut calls = 0;
        for run in others(&runs)? {
            let memory = memory_of(&[run])?;
            calls += map(td.host_mut(), run.range().gpa(), &memory)?.sept_calls;
        }
        calls
    } else {
        let gpa = Gpa::new(GPA).ok_or(EINVAL)?;
        map(td.host_mut(), gpa, &memory_of(&runs)?)?.sept_calls
    };
    let cost = sept::unmap(&TdxCore, &id, &runs, flush, td.host_mut()).map_err(say)?;
    let Cost {
        sept_calls,
        kicks,
        cache_calls,
        cache_ipis,
        not_merged,
    } = cost;
    pr_info!(
        "mapped={} flush={name} map_calls={mapped} sept_calls={sept_calls} kicks={kicks} cache_calls={cache_calls} ipis={cache_ipis} not_merged={not_merged}\n",
        layout.name
    );
    Ok(())
}

/// The first page of each 2 MiB of `runs`, which are one.
fn firsts(runs: &[Run]) -> impl Iterator<Item = (Option<Range>, Option<Pfn>)> + '_ {
    let step = Level::M2.pages();
    runs.iter().flat_map(move |run| {
        (0..run.range().pages() / step).map(move |n| {
            let gpa = run.range().gpa().checked_add(n * Level::M2.size());
            let range = gpa.and_then(|gpa| Range::new(gpa, Level::K4, 1));
            (range, run.first().checked_add(n * step))
        })
    })
}

/// All pages but the first of each 2 MiB.
fn others(runs: &[Run]) -> Result<KVVec<Run>> {
    let mut others = KVVec::new();
    for (range, first) in firsts(runs) {
        let gpa = range.and_then(|range| range.gpa().checked_add(Level::K4.size()));
        let range = gpa.and_then(|gpa| Range::new(gpa, Level::K4, Level::M2.pages() - 1));
        let first = first.and_then(|first| first.checked_add(1));
        let run = range.zip(first);
        let run = run.and_then(|(range, first)| Run::new(range, first));
        others.push(run.ok_or(EINVAL)?, GFP_KERNEL)?;
    }
    Ok(others)
}

/// Maps the first page of each 2 MiB before the TD is final.
fn add_firsts(td: &mut Td<TdxCore, &mut Lender<TdxCore>, Initialised>, runs: &[Run]) -> Result {
    let id = *td.id();
    let source = TdxCore.alloc().ok_or(ENOMEM)?;
    let result = firsts(runs).try_for_each(|(range, first)| {
        let (range, first) = range.zip(first).ok_or(EINVAL)?;
        // SAFETY: Nobody else has the memory, and the kernel does not access it; the source is ours.
        let added =
            unsafe { sept::map_initial(&TdxCore, &id, &range, first, source, td.host_mut()) };
        added.map(|_| ()).map_err(say)
    });
    TdxCore.free(source);
    result
}
