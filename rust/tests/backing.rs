// SPDX-License-Identifier: GPL-2.0

//! Memory of every kind that the kernel has, in a TD. What kind it is, and that the kernel finds it as
//! it has to be, is for `selftests/kunit/backing.c` to know: here it is frame numbers.

use crate::{
    abi::{
        Args,
        Gpa,
        Level,
        Pfn,
        Rax,
        Status, //
    },
    scenario::{
        self,
        ensure,
        Fault,
        TestTd, //
    },
    seamcall::{
        self,
        kernel::TdxCore,
        Seamcall, //
    },
    sept::{
        self,
        Host,
        Machine,
        Memory,
        Range,
        Why, //
    },
};
use core::cell::Cell;
use kernel::{
    bindings,
    error::to_result,
    prelude::*, //
};

/// `enum tdx_backing`.
#[derive(Clone, Copy)]
#[repr(C)]
enum Kind {
    /// References are counted, for all of it.
    Counted,
    /// References are counted, for all of it until it is split, then for each page.
    File,
    /// References are not counted.
    Tails,
    /// References are counted, for each page.
    Many,
    /// The kernel knows nothing of it.
    Pfns,
}

// `selftests/kunit/backing.h`.
extern "C" {
    fn tdx_backing_take(kind: Kind, pfn: *mut u64, nr: *mut u64) -> c_int;
    fn tdx_backing_intact(kind: Kind) -> bool;
    fn tdx_backing_give(kind: Kind);
    fn tdx_backing_split() -> c_int;
    fn tdx_backing_words(word: u64, write: bool) -> bool;
    fn tdx_backing_is_reset() -> bool;
    fn tdx_backing_pamt() -> u64;
    fn tdx_backing_skip();
}

/// Most pages of one kind that a test maps.
const MOST: u64 = 1024;

/// Maps memory of a kind. `between` is called each time that the kernel has found the memory as it has
/// to be, with the number of times before.
fn backed_by(
    machine: &TdxCore,
    kind: Kind,
    between: &mut dyn FnMut(u32) -> bool,
) -> Result<(), Fault> {
    let (mut pfn, mut nr) = (0, 0);
    // SAFETY: The tests run one after the other, and each gives back what it takes.
    let taken = to_result(unsafe { tdx_backing_take(kind, &raw mut pfn, &raw mut nr) });
    ensure!(taken.is_ok());
    let first = Pfn::new(pfn).ok_or(Fault::Resources)?;
    let memory = Memory {
        first,
        pages: nr.min(MOST),
    };

    let mut asked = 0;
    let mut undisturbed = || {
        // SAFETY: The memory was taken.
        let intact = unsafe { tdx_backing_intact(kind) } && between(asked);
        asked = asked.saturating_add(1);
        intact
    };
    // What the TD may still have is not given back to the kernel.
    scenario::backed_by(machine, memory, &mut undisturbed)?;
    // SAFETY: The memory was taken.
    unsafe { tdx_backing_give(kind) };
    Ok(())
}

/// S1: ordinary memory. Nobody takes a reference.
pub(super) fn counted(machine: &TdxCore) -> Result<(), Fault> {
    backed_by(machine, Kind::Counted, &mut |_| true)
}

/// S2: what backs a large page is split while that is mapped.
pub(super) fn split_while_mapped(machine: &TdxCore) -> Result<(), Fault> {
    backed_by(machine, Kind::File, &mut |asked| {
        // The second question comes when the large page is mapped.
        // SAFETY: The memory was taken.
        asked != 1 || to_result(unsafe { tdx_backing_split() }).is_ok()
    })
}

/// S3: memory that the kernel has no metadata for, and no mapping.
pub(super) fn unknown(machine: &TdxCore) -> Result<(), Fault> {
    /// What the memory has in it before the TD gets it.
    const WORD: u64 = 0x7061_6765_6c65_7373;

    let (mut pfn, mut nr) = (0, 0);
    // SAFETY: The function only writes the two numbers.
    if !unsafe { bindings::tdx_pfn_memory(&raw mut pfn, &raw mut nr) } {
        // SAFETY: This runs in a test.
        unsafe { tdx_backing_skip() };
        return Ok(());
    }
    // SAFETY: The function can be called at any time.
    let left = if unsafe { tdx_backing_is_reset() } {
        0
    } else {
        WORD
    };
    backed_by(machine, Kind::Pfns, &mut |asked| match asked {
        // SAFETY: The memory was taken, and no TD has it yet.
        0 => unsafe { tdx_backing_words(WORD, true) },
        // SAFETY: The memory was taken, and the TD does not have it any more.
        3 | 5 => unsafe { tdx_backing_words(left, false) && tdx_backing_words(WORD, true) },
        _ => true,
    })
}

/// S4: pages whose references nobody counts.
pub(super) fn not_counted(machine: &TdxCore) -> Result<(), Fault> {
    backed_by(machine, Kind::Tails, &mut |_| true)
}

/// S6: one mapping of memory that is many things to the kernel.
pub(super) fn many(machine: &TdxCore) -> Result<(), Fault> {
    backed_by(machine, Kind::Many, &mut |_| true)
}

/// Has no table pages.
struct NoTables;

impl Host for NoTables {
    fn take_page(&mut self) -> Option<Pfn> {
        None
    }

    fn return_page(&mut self, _page: Pfn) {}

    fn table_back(&mut self, _gpa: Gpa, _level: Level, _table: Pfn) {}

    fn kick(&mut self) {}
}

/// The machine, and the number of SEAMCALLs that were made on it.
#[derive(Default)]
struct Counting {
    calls: Cell<u64>,
}

impl Seamcall for Counting {
    unsafe fn call(&self, rax: Rax, args: &mut Args) -> Status {
        self.calls.set(self.calls.get().wrapping_add(1));
        // SAFETY: As for this function.
        unsafe { TdxCore.call(rax, args) }
    }
}

impl Machine for Counting {
    fn convertible(&self, first: Pfn, pages: u64) -> bool {
        TdxCore.convertible(first, pages)
    }

    fn keyid_shift(&self) -> u32 {
        TdxCore.keyid_shift()
    }

    fn reset(&self, first: Pfn, level: Level) {
        TdxCore.reset(first, level)
    }

    fn clflush_before_alloc(&self) -> bool {
        TdxCore.clflush_before_alloc()
    }

    fn flush_caches(&self) -> u64 {
        TdxCore.flush_caches()
    }
}

/// Whether each operation refuses memory, all but the last without a table page to give.
fn refused(t: &TestTd<'_, TdxCore>, first: Pfn, pages: u64) -> Result<(), Fault> {
    let machine = &Counting::default();
    let gpa = Gpa::new(0x8000_0000).ok_or(Fault::Resources)?;
    let range = Range::new(gpa, Level::K4, pages).ok_or(Fault::Resources)?;
    let memory = [Memory { first, pages }];
    let td = &t.td;
    let not = |result: sept::Result| {
        result.err().map(|s| (s.done, s.why)) == Some((0, Why::NotConvertible))
    };
    // SAFETY: Nothing of it must be given to the TDX module.
    unsafe {
        ensure!(not(sept::aug(machine, td, &range, first)));
        ensure!(not(sept::add(machine, td, &range, first, first)));
        let whole = sept::map(machine, td, gpa, &memory, Level::M2, &mut NoTables);
        ensure!(whole.is_err_and(|partial| partial.why == Why::NotConvertible));
        if pages == 1 {
            ensure!(not(sept::link(machine, td, gpa, Level::M2, first)));
            ensure!(not(sept::split(machine, td, gpa, Level::M2, first)));
        }
    }
    ensure!(machine.calls.get() == 0);
    Ok(())
}

/// S5: every kind of memory that TDX cannot convert.
pub(super) fn not_convertible(machine: &TdxCore) -> Result<(), Fault> {
    scenario::with_td(machine, |t| {
        let pfn = |pfn| Pfn::new(pfn).ok_or(Fault::Resources);
        // SAFETY: The function can be called at any time.
        let pamt = unsafe { tdx_backing_pamt() };
        ensure!(pamt != 0);
        let above = 1 << machine.keyid_shift().saturating_sub(Level::K4.shift());

        // In a TDMR, but reserved: what the firmware has below 1 MiB.
        refused(t, pfn(0xa0)?, 1)?;
        // The local APIC: in no TDMR, or reserved.
        refused(t, pfn(0xfee00)?, 1)?;
        // The TDX module's own.
        refused(t, pfn(pamt)?, 1)?;
        // Above the addresses that memory has, where KeyIDs are.
        refused(t, pfn(above)?, 1)?;
        // The last page of all, and beyond it.
        refused(t, pfn((1 << 40) - 1)?, 1)?;
        refused(t, pfn((1 << 40) - 1)?, 2)?;
        // Only in part.
        ensure!(machine.convertible(pfn(0x100)?, 1));
        refused(t, pfn(0xff)?, 2)?;
        ensure!(machine.convertible(pfn(pamt.saturating_sub(1))?, 1));
        refused(t, pfn(pamt.saturating_sub(1))?, 2)?;

        // What a TD has already is the TDX module's to refuse, which takes an instruction.
        let gpa = Gpa::new(0x8000_0000).ok_or(Fault::Resources)?;
        let range = Range::new(gpa, Level::K4, 1).ok_or(Fault::Resources)?;
        let next = gpa.checked_add(Level::K4.size()).ok_or(Fault::Resources)?;
        let next = Range::new(next, Level::K4, 1).ok_or(Fault::Resources)?;
        t.link_tables(gpa)?;
        let page = t.alloc_private()?;
        // SAFETY: The page was just allocated, and is freed after it was reclaimed.
        unsafe { sept::aug(machine, &t.td, &range, page) }?;
        // SAFETY: The page is the TD's; the call must not change that.
        let twice = unsafe { sept::aug(machine, &t.td, &next, page) };
        let Some(Why::Refused(error)) = twice.err().map(|stop| stop.why) else {
            return Err(Fault::Resources);
        };
        ensure!(error.status.is(Status::PAGE_METADATA_INCORRECT));
        ensure!(errno(error) == EBUSY.to_errno());
        Ok(())
    })
}

fn errno(error: seamcall::Error) -> c_int {
    Error::from(error).to_errno()
}
