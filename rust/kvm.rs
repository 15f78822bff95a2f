// SPDX-License-Identifier: GPL-2.0

//! The backend that KVM calls: C operations on one side, [`sept`](crate::sept) on the other.
//!
//! C header: [`arch/x86/include/asm/tdx_sept.h`](srctree/arch/x86/include/asm/tdx_sept.h)

use crate::{
    abi::{
        Gpa,
        Hkid,
        Level,
        Pfn,
        Status, //
    },
    seamcall::kernel::TdxCore,
    sept::{
        self,
        Range,
        Stop,
        Td,
        Why, //
    },
};
use kernel::{
    bindings,
    error::to_result,
    module::this_module,
    prelude::*,
    str::as_char_ptr_in_const_context,
    ModuleMetadata, //
};

/// The operations while they are registered.
pub(crate) struct Registration(());

impl Registration {
    /// Registers the operations: TDs that are created from now on have their S-EPT kept by them.
    ///
    /// # Errors
    ///
    /// `EBUSY` if another backend is registered.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: The operations keep the contract of `struct tdx_sept_ops`, and are static.
        to_result(unsafe { bindings::tdx_register_sept_ops(&OPS.0) })?;
        Ok(Self(()))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: They are registered.
        unsafe { bindings::tdx_unregister_sept_ops(&OPS.0) }
    }
}

#[repr(transparent)]
pub(crate) struct Ops(pub(crate) bindings::tdx_sept_ops);

// SAFETY: The table is never written, and what it points to is good for all threads.
unsafe impl Sync for Ops {}

pub(crate) static OPS: Ops = Ops(bindings::tdx_sept_ops {
    name: as_char_ptr_in_const_context(<crate::TdxSept as ModuleMetadata>::NAME),
    owner: this_module::<crate::LocalModule>().as_ptr(),
    link: Some(link),
    add: Some(add),
    aug: Some(aug),
    block: Some(block),
    track: Some(track),
    remove: Some(remove),
    split: Some(split),
    free_table: Some(free_table),
});

/// An argument from C that no typed value corresponds to.
const INVALID: Stop = Stop {
    done: 0,
    why: Why::Invalid,
};

impl TryFrom<&bindings::tdx_sept_td> for Td {
    type Error = Stop;

    #[inline]
    fn try_from(td: &bindings::tdx_sept_td) -> Result<Self, Stop> {
        Ok(Self {
            tdr: pfn(td.tdr_pfn)?,
            hkid: Hkid::new(td.hkid),
        })
    }
}

impl TryFrom<&bindings::tdx_sept_range> for Range {
    type Error = Stop;

    #[inline]
    fn try_from(range: &bindings::tdx_sept_range) -> Result<Self, Stop> {
        Self::new(gpa(range.gpa)?, level(range.level)?, range.nr).ok_or(INVALID)
    }
}

#[inline]
fn pfn(pfn: u64) -> Result<Pfn, Stop> {
    Pfn::new(pfn).ok_or(INVALID)
}

#[inline]
fn gpa(gpa: u64) -> Result<Gpa, Stop> {
    Gpa::new(gpa).ok_or(INVALID)
}

#[inline]
fn level(level: c_int) -> Result<Level, Stop> {
    // A negative number becomes one that is no level either.
    Level::from_raw(level as u64).ok_or(INVALID)
}

/// What an operation was about, for the log.
struct Subject {
    op: &'static str,
    tdr_pfn: u64,
    /// GPA, and level by the number that C uses.
    at: Option<(u64, c_int)>,
    pfn: Option<u64>,
}

impl core::fmt::Display for Subject {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.op)?;
        if let Some((gpa, number)) = self.at {
            let name = level(number).map_or("?", Level::name);
            write!(f, " at GPA {gpa:#x}, level {name}")?;
        }
        if let Some(pfn) = self.pfn {
            write!(f, ", PFN {pfn:#x}")?;
        }
        write!(f, ", TD {:#x}", self.tdr_pfn)
    }
}

/// Returns the result of an operation to KVM. `subject` is only called for one that failed.
///
/// # Safety
///
/// `res` must be valid for writes.
#[inline(always)]
unsafe fn finish(
    result: Result<(), Stop>,
    res: *mut bindings::tdx_sept_result,
    subject: impl FnOnce() -> Subject,
) -> c_int {
    match result {
        Ok(()) => 0,
        Err(stop) => {
            // SAFETY: `res` is valid for writes.
            unsafe { res.write(report(&stop)) };
            let errno = errno(&stop.why);
            log(&subject(), &stop, errno);
            errno.to_errno()
        }
    }
}

/// What KVM does next depends on this alone: after `EBUSY` it may call again, anything else is the
/// end of the TD.
#[cold]
fn errno(why: &Why) -> Error {
    match why {
        Why::Invalid | Why::NotConvertible => EINVAL,
        Why::NoMemory => ENOMEM,
        Why::Refused(error) if error.status.is(Status::OPERAND_BUSY) => EBUSY,
        // Whatever the module says of memory that is lost: KVM must not repeat the removal of a mapping
        // that is gone.
        Why::Refused(_) | Why::Mismatch(_) | Why::Lost(_) => EIO,
    }
}

#[cold]
fn report(stop: &Stop) -> bindings::tdx_sept_result {
    let (status, entry, level_state) = match stop.why {
        Why::Invalid | Why::NotConvertible | Why::NoMemory => (0, 0, 0),
        Why::Mismatch(removed) => (0, removed.pa(), 0),
        Why::Refused(error) | Why::Lost(error) => (error.status.raw(), error.rcx, error.rdx),
    };
    bindings::tdx_sept_result {
        status,
        entry,
        level_state,
        nr_done: stop.done,
    }
}

extern "C" {
    /// Returns whether one more message may be written now (`kvm/ratelimit.c`).
    fn tdx_sept_may_log() -> bool;
}

/// Logs why an operation stopped; what KVM may simply repeat, only on request.
#[cold]
fn log(subject: &Subject, stop: &Stop, errno: Error) {
    if errno == EBUSY && !crate::module_parameters::log_busy.value() {
        return;
    }
    // SAFETY: The function can be called at any time.
    if !unsafe { tdx_sept_may_log() } {
        return;
    }
    // `format_args!` of the core library: the types formatted here are not bound to the kernel.
    pr_err!("{}\n", core::format_args!("{subject}: {stop}"));
}

/// Executes `op`, which works on a range, for KVM.
///
/// # Safety
///
/// `td` and `range` must be valid for reads, and `res` for writes.
#[inline(always)]
unsafe fn on_range(
    name: &'static str,
    td: *const bindings::tdx_sept_td,
    range: *const bindings::tdx_sept_range,
    pfn: Option<u64>,
    res: *mut bindings::tdx_sept_result,
    op: impl FnOnce(&Td, &Range) -> Result<(), Stop>,
) -> c_int {
    // SAFETY: `td` and `range` are valid for reads.
    let (td, range) = unsafe { (&*td, &*range) };
    let result = (|| op(&td.try_into()?, &range.try_into()?))();
    // SAFETY: `res` is valid for writes.
    unsafe {
        finish(result, res, || Subject {
            op: name,
            tdr_pfn: td.tdr_pfn,
            at: Some((range.gpa, range.level)),
            pfn,
        })
    }
}

/// Executes `op`, which makes an entry point to a new table page, for KVM.
///
/// # Safety
///
/// `td` must be valid for reads, and `res` for writes.
#[inline(always)]
unsafe fn on_entry(
    name: &'static str,
    td: *const bindings::tdx_sept_td,
    gpa: u64,
    level: c_int,
    table_pfn: u64,
    res: *mut bindings::tdx_sept_result,
    op: impl FnOnce(&Td, Gpa, Level, Pfn) -> Result<(), Stop>,
) -> c_int {
    // SAFETY: `td` is valid for reads.
    let td = unsafe { &*td };
    let result = (|| {
        let (gpa, level, table) = (self::gpa(gpa)?, self::level(level)?, pfn(table_pfn)?);
        op(&td.try_into()?, gpa, level, table)
    })();
    // SAFETY: `res` is valid for writes.
    unsafe {
        finish(result, res, || Subject {
            op: name,
            tdr_pfn: td.tdr_pfn,
            at: Some((gpa, level)),
            pfn: Some(table_pfn),
        })
    }
}

/// `link` of `struct tdx_sept_ops`.
///
/// # Safety
///
/// As `struct tdx_sept_ops` demands of callers.
unsafe extern "C" fn link(
    td: *const bindings::tdx_sept_td,
    gpa: u64,
    level: c_int,
    table_pfn: u64,
    res: *mut bindings::tdx_sept_result,
) -> c_int {
    let link = |td: &_, gpa, level, table| {
        // SAFETY: The caller gives the page to the TDX module.
        unsafe { sept::link(&TdxCore, td, gpa, level, table) }
    };
    // SAFETY: The pointers are valid for the call.
    unsafe { on_entry("link", td, gpa, level, table_pfn, res, link) }
}

/// `add` of `struct tdx_sept_ops`.
///
/// # Safety
///
/// As `struct tdx_sept_ops` demands of callers.
unsafe extern "C" fn add(
    td: *const bindings::tdx_sept_td,
    range: *const bindings::tdx_sept_range,
    pfn: u64,
    source_pfn: u64,
    res: *mut bindings::tdx_sept_result,
) -> c_int {
    let add = |td: &_, range: &_| {
        let (first, source) = (self::pfn(pfn)?, self::pfn(source_pfn)?);
        // SAFETY: The caller gives the pages to the TDX module, and holds the source pages.
        unsafe { sept::add(&TdxCore, td, range, first, source) }
    };
    // SAFETY: The pointers are valid for the call.
    unsafe { on_range("add", td, range, Some(pfn), res, add) }
}

/// `aug` of `struct tdx_sept_ops`.
///
/// # Safety
///
/// As `struct tdx_sept_ops` demands of callers.
unsafe extern "C" fn aug(
    td: *const bindings::tdx_sept_td,
    range: *const bindings::tdx_sept_range,
    pfn: u64,
    res: *mut bindings::tdx_sept_result,
) -> c_int {
    let aug = |td: &_, range: &_| {
        let first = self::pfn(pfn)?;
        // SAFETY: The caller gives the memory to the TDX module.
        unsafe { sept::aug(&TdxCore, td, range, first) }
    };
    // SAFETY: The pointers are valid for the call.
    unsafe { on_range("aug", td, range, Some(pfn), res, aug) }
}

/// `block` of `struct tdx_sept_ops`.
///
/// # Safety
///
/// As `struct tdx_sept_ops` demands of callers.
unsafe extern "C" fn block(
    td: *const bindings::tdx_sept_td,
    range: *const bindings::tdx_sept_range,
    res: *mut bindings::tdx_sept_result,
) -> c_int {
    let block = |td: &_, range: &_| sept::block(&TdxCore, td, range);
    // SAFETY: The pointers are valid for the call.
    unsafe { on_range("block", td, range, None, res, block) }
}

/// `track` of `struct tdx_sept_ops`.
///
/// # Safety
///
/// As `struct tdx_sept_ops` demands of callers.
unsafe extern "C" fn track(
    td: *const bindings::tdx_sept_td,
    res: *mut bindings::tdx_sept_result,
) -> c_int {
    // SAFETY: `td` is valid for the call.
    let td = unsafe { &*td };
    let result = (|| sept::track(&TdxCore, &td.try_into()?))();
    // SAFETY: `res` is valid for the call.
    unsafe {
        finish(result, res, || Subject {
            op: "track",
            tdr_pfn: td.tdr_pfn,
            at: None,
            pfn: None,
        })
    }
}

/// `remove` of `struct tdx_sept_ops`.
///
/// # Safety
///
/// As `struct tdx_sept_ops` demands of callers.
unsafe extern "C" fn remove(
    td: *const bindings::tdx_sept_td,
    range: *const bindings::tdx_sept_range,
    pfn: u64,
    res: *mut bindings::tdx_sept_result,
) -> c_int {
    let remove = |td: &_, range: &_| sept::remove(&TdxCore, td, range, self::pfn(pfn)?);
    // SAFETY: The pointers are valid for the call.
    unsafe { on_range("remove", td, range, Some(pfn), res, remove) }
}

/// `split` of `struct tdx_sept_ops`.
///
/// # Safety
///
/// As `struct tdx_sept_ops` demands of callers.
unsafe extern "C" fn split(
    td: *const bindings::tdx_sept_td,
    gpa: u64,
    level: c_int,
    table_pfn: u64,
    res: *mut bindings::tdx_sept_result,
) -> c_int {
    let split = |td: &_, gpa, level, table| {
        // SAFETY: The caller gives the page to the TDX module.
        unsafe { sept::split(&TdxCore, td, gpa, level, table) }
    };
    // SAFETY: The pointers are valid for the call.
    unsafe { on_entry("split", td, gpa, level, table_pfn, res, split) }
}

/// `free_table` of `struct tdx_sept_ops`.
///
/// # Safety
///
/// As `struct tdx_sept_ops` demands of callers.
unsafe extern "C" fn free_table(
    td: *const bindings::tdx_sept_td,
    table_pfn: u64,
    res: *mut bindings::tdx_sept_result,
) -> c_int {
    // SAFETY: `td` is valid for the call.
    let td = unsafe { &*td };
    let result = pfn(table_pfn).and_then(|table| sept::free_table(&TdxCore, table));
    // SAFETY: `res` is valid for the call.
    unsafe {
        finish(result, res, || Subject {
            op: "free_table",
            tdr_pfn: td.tdr_pfn,
            at: None,
            pfn: Some(table_pfn),
        })
    }
}
