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
    with_plain_params,
    Lender,
    PfnMemory,
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
        let memory = PfnMemory::take(c"tdx_sept_huge").inspect_err(|_| {
            pr_err!("there is no memory for it: boot with tdx_pfn_memory=1G@4G\n");
        })?;
        let Memory { first, pages } = memory.memory();
        if pages < Level::G1.pages() || !first.is_aligned_to(Level::G1) {
            pr_err!("the memory of tdx_pfn_memory= is not 1G, or not aligned to it\n");
            return Err(EINVAL);
        }
        let mut lender = Lender::new(TdxCore);
        let result = all_sizes(&mut lender, memory.memory());
        match lender.leak() {
            // The host has complained already.
            Some(_) => memory.leak(),
            None => pr_info!("the TD is gone, the TDX module keeps nothing of it\n"),
        }
        result.map(|()| Self)
    }
}

/// A TD that could run.
type FinalTd<'a> = Td<TdxCore, &'a mut Lender<TdxCore>, Finalised>;

/// Builds a TD with one vCPU.
fn build(lender: &mut Lender<TdxCore>) -> Result<FinalTd<'_>, td::Why> {
    with_plain_params(&TdxCore, |params| {
        let td = Td::create(TdxCore, lender)?.configure_key()?;
        let td = td.initialise(params)?.create_vcpu()?;
        Ok(td.add_pages()?.init(0, 0)?.finalise()?)
    })
}

fn all_sizes(lender: &mut Lender<TdxCore>, memory: Memory) -> Result {
    let mut td = build(lender).map_err(say)?;
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

    td.merge(gpa, Level::G1).map_err(say)?;
    pr_info!("merged:\n");
    show(&td)?;

    td.split(gpa, Level::G1).map_err(say)?;
    pr_info!("split:\n");
    show(&td)?;

    td.split(gpa, Level::M2).map_err(say)?;
    pr_info!("split further:\n");
    show(&td)?;

    td.merge(gpa, Level::M2).map_err(say)?;
    pr_info!("merged again, to 2 MiB:\n");
    show(&td)?;

    // It says what is mapped now: 2 MiB pages, of which unmap() makes one first.
    let run = Range::new(gpa, Level::M2, 512).and_then(|range| Run::new(range, first));
    let cost = td.unmap(&[run.ok_or(EINVAL)?], Flush::Pages).map_err(say)?;
    let (calls, kicks) = (cost.sept_calls, cost.kicks);
    pr_info!("unmapped with {calls} calls on the S-EPT and {kicks} kicks\n");
    Ok(())
}
