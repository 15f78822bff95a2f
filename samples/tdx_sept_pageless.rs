// SPDX-License-Identifier: GPL-2.0

//! A TD whose private memory has no `struct page` and is not in the direct map.
//!
//! With `tdx_pfn_memory=1G@4G` on the kernel command line, after `modprobe tdx_sept_pageless`, `dmesg` ends with
//!
//! ```text
//! 262144 pages from PFN 0x100000 that the kernel knows nothing of
//! a TD with KeyID 33, its S-EPT:
//! gpa=0x0 size=0x8000000000 level=3 state=NL_MAPPED pfn=0x0 n=1
//! gpa=0x80000000 size=0x40000000 level=2 state=NL_MAPPED pfn=0x0 n=1
//! gpa=0x80000000 size=0x400000 level=1 state=PENDING pfn=0x100000 n=2
//! gpa=0x80400000 size=0x200000 level=1 state=NL_MAPPED pfn=0x0 n=1
//! gpa=0x80400000 size=0x3000 level=0 state=PENDING pfn=0x100400 n=3
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
    Memory,
    Range, //
};
use td::{
    with_pfn_memory,
    with_plain_params,
    Lender,
    Td, //
};

module! {
    type: Pageless,
    name: "tdx_sept_pageless",
    authors: ["The tdx-sept authors"],
    description: "Sample: a TD whose private memory has no struct page",
    license: "GPL",
}

/// The TD is gone when the module is loaded.
struct Pageless;

impl kernel::Module for Pageless {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        with_pfn_memory(c"tdx_sept_pageless", Level::M2, show_td)?;
        pr_info!("the TD is gone, the TDX module keeps nothing of it\n");
        Ok(Self)
    }
}

/// Builds a TD on `memory`, and shows its secure EPT. The TD is torn down when it is dropped, here too if
/// something goes wrong.
fn show_td(lender: &mut Lender<TdxCore>, memory: Memory) -> Result {
    let Memory { first, pages } = memory;
    let pfn = first.get();
    pr_info!("{pages} pages from PFN {pfn:#x} that the kernel knows nothing of\n");

    // The TD's own pages and its tables are ordinary memory of the kernel, and come from the lender.
    let mut td = with_plain_params(&TdxCore, |params| {
        let td = Td::create(TdxCore, lender)?.configure_key()?;
        let td = td.initialise(params)?.create_vcpu()?;
        Ok::<_, td::Why>(td.add_pages()?.init(0, 0)?.finalise()?)
    })
    .map_err(say)?;

    // Two large pages and three small ones, as far as alignment goes.
    let gpa = Gpa::new(0x8000_0000).ok_or(EINVAL)?;
    let pages = 2 * Level::M2.pages() + 3;
    // SAFETY: Nobody else has the memory, and the kernel does not access it.
    unsafe { td.map(gpa, &[Memory { first, pages }], Level::M2) }.map_err(say)?;

    let hkid = td.id().hkid.get();
    pr_info!("a TD with KeyID {hkid}, its S-EPT:\n");
    // Private memory is where the upper half, with the SHARED bit, is not: 256 entries of 512 GiB.
    let all = Gpa::new(0).and_then(|gpa| Range::new(gpa, Level::G512, 256));
    td.walk(&all.ok_or(EINVAL)?, |span| {
        pr_info!("{}\n", core::format_args!("{span}"));
    })
    .map_err(say)
}
