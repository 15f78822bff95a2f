// SPDX-License-Identifier: GPL-2.0

//! 1 GiB of a TD in pages of all sizes: mapped, merged, split, unmapped.
//!
//! With `tdx_pfn_memory=1G@4G` on the kernel command line, after `modprobe tdx_sept_huge`, `dmesg` ends with
//!
//! ```text
//! mapped 1 GiB with 515 calls on the S-EPT:
//! gpa=0x40000000 size=0x40000000 level=2 state=NL_MAPPED pfn=0x0 n=1
//! gpa=0x40000000 size=0x40000000 level=1 state=PENDING pfn=0x100000 n=512
//! merged:
//! gpa=0x40000000 size=0x40000000 level=2 state=PENDING pfn=0x100000 n=1
//! split:
//! gpa=0x40000000 size=0x40000000 level=2 state=NL_MAPPED pfn=0x0 n=1
//! gpa=0x40000000 size=0x40000000 level=1 state=PENDING pfn=0x100000 n=512
//! split further:
//! gpa=0x40000000 size=0x40000000 level=2 state=NL_MAPPED pfn=0x0 n=1
//! gpa=0x40000000 size=0x200000 level=1 state=NL_MAPPED pfn=0x0 n=1
//! gpa=0x40000000 size=0x200000 level=0 state=PENDING pfn=0x100000 n=512
//! gpa=0x40200000 size=0x3fe00000 level=1 state=PENDING pfn=0x100200 n=511
//! merged again, to 2 MiB:
//! gpa=0x40000000 size=0x40000000 level=2 state=NL_MAPPED pfn=0x0 n=1
//! gpa=0x40000000 size=0x40000000 level=1 state=PENDING pfn=0x100000 n=512
//! unmapped with 6 calls on the S-EPT and 2 kicks
//! the TD is gone, the TDX module keeps nothing of it
//! ```

use kernel::prelude::*;

#[path = "../rust/library.rs"]
pub mod library;
use library::*;

use abi::{
    Gpa,
    Level, //
};
use errno::say;
use seamcall::kernel::TdxCore;
use sept::{
    Flush,
    Memory,
    Range,
    Run, //
};
use td::{
    state::Finalised,
    with_pfn_memory,
    Lender,
    Td, //
};

module! {
    type: Huge,
    name: "tdx_sept_huge",
    authors: ["The tdx-sept authors"],
    description: "Sample: 1 GiB of a TD is mapped, merged, split and unmapped",
    license: "GPL",
}

/// The TD is gone when the module is loaded.
struct Huge;

impl kernel::Module for Huge {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        with_pfn_memory(c"tdx_sept_huge", Level::G1, all_sizes)?;
        pr_info!("the TD is gone, the TDX module keeps nothing of it\n");
        Ok(Self)
    }
}

/// A TD that could run.
type FinalTd<'a> = Td<TdxCore, &'a mut Lender<TdxCore>, Finalised>;

/// Merges what is below an entry, or splits what it maps.
type Resize<'a> = fn(&mut FinalTd<'a>, Gpa, Level) -> sept::Result;

fn all_sizes(lender: &mut Lender<TdxCore>, memory: Memory) -> Result {
    let mut td = Td::plain(TdxCore, lender)
        .and_then(Td::complete)
        .map_err(say)?;
    let gpa = Gpa::new(0x4000_0000).ok_or(EINVAL)?;
    let range = Range::new(gpa, Level::G1, 1).ok_or(EINVAL)?;
    let show = |td: &FinalTd<'_>| {
        td.walk(&range, |span| {
            pr_info!("{}\n", core::format_args!("{span}"));
        })
        .map_err(say)
    };

    let Memory { first, .. } = memory;
    let pages = range.pages();
    // SAFETY: Nobody else has the memory, and the kernel does not access it.
    let cost = unsafe { td.map(gpa, &[Memory { first, pages }], Level::M2) }.map_err(say)?;
    pr_info!(
        "mapped 1 GiB with {} calls on the S-EPT:\n",
        cost.sept_calls
    );
    show(&td)?;

    let steps: [(&str, Resize<'_>, Level); 4] = [
        ("merged", Td::merge, Level::G1),
        ("split", Td::split, Level::G1),
        ("split further", Td::split, Level::M2),
        ("merged again, to 2 MiB", Td::merge, Level::M2),
    ];
    for (done, resize, level) in steps {
        resize(&mut td, gpa, level).map_err(say)?;
        pr_info!("{done}:\n");
        show(&td)?;
    }

    // It says what is mapped now: 2 MiB pages, of which unmap() makes one first.
    let run = Range::new(gpa, Level::M2, Level::ENTRIES).and_then(|range| Run::new(range, first));
    let cost = td.unmap(&[run.ok_or(EINVAL)?], Flush::Pages).map_err(say)?;
    let (calls, kicks) = (cost.sept_calls, cost.kicks);
    pr_info!("unmapped with {calls} calls on the S-EPT and {kicks} kicks\n");
    Ok(())
}
