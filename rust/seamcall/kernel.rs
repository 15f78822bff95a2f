// SPDX-License-Identifier: GPL-2.0

//! The TDX module of this machine, called through the kernel's TDX core.
//!
//! C headers: [`arch/x86/include/asm/tdx.h`](srctree/arch/x86/include/asm/tdx.h)

use super::Seamcall;
use crate::{
    abi::{
        metadata::Features0,
        Args,
        Level,
        Pfn,
        Rax,
        Status, //
    },
    sept::Machine,
    tracepoint,
    tsc, //
};
use core::{
    arch::asm,
    fmt,
    mem::offset_of,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    num::casts::arch::u64_as_usize,
    prelude::*, //
};

/// The machine that the kernel runs on.
#[derive(Clone, Copy)]
pub struct TdxCore;

/// Version of a TDX module.
pub struct Version {
    /// Major number.
    pub major: u16,
    /// Minor number.
    pub minor: u16,
    /// Number of the update.
    pub update: u16,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{:02}", self.major, self.minor, self.update)
    }
}

impl TdxCore {
    /// Returns what the kernel knows of the TDX module; `None` while none is initialized. It is static, but an
    /// update of the module changes it.
    #[inline]
    fn info() -> Option<NonNull<bindings::tdx_sys_info>> {
        // SAFETY: The function can be called at any time.
        NonNull::new(unsafe { bindings::tdx_get_sysinfo() }.cast_mut())
    }

    /// Returns the version of the TDX module.
    ///
    /// # Errors
    ///
    /// `ENODEV` if none is initialized, which is said in the log.
    pub fn version() -> Result<Version> {
        let Some(info) = Self::info() else {
            pr_err!("no TDX module is initialized\n");
            return Err(ENODEV);
        };
        // SAFETY: The structure is static. An update of the TDX module writes the version while all
        // else stands still (tdx_module_run_update()), so it is copied and not borrowed.
        let version = unsafe { (*info.as_ptr()).version };
        Ok(Version {
            major: version.major_version,
            minor: version.minor_version,
            update: version.update_version,
        })
    }
}

// `Args` is passed on as a `struct tdx_module_args`.
static_assert!(size_of::<Args>() == size_of::<bindings::tdx_module_args>());
static_assert!(align_of::<Args>() == align_of::<bindings::tdx_module_args>());
static_assert!(offset_of!(Args, r11) == offset_of!(bindings::tdx_module_args, r11));
static_assert!(offset_of!(Args, rsi) == offset_of!(bindings::tdx_module_args, rsi));

impl Seamcall for TdxCore {
    #[inline]
    unsafe fn call(&self, rax: Rax, args: &mut Args) -> Status {
        if tracepoint::enabled() {
            // SAFETY: As for this function.
            return unsafe { call_and_tell(rax, args, here()) };
        }
        // SAFETY: As for this function.
        unsafe { call(rax, args) }
    }
}

/// # Safety
///
/// As for [`Seamcall::call`].
#[inline(always)]
unsafe fn call(rax: Rax, args: &mut Args) -> Status {
    // SAFETY: `args` has the layout of `struct tdx_module_args`. What the call does with pages is what the
    // caller answers for.
    let raw = unsafe { bindings::tdx_seamcall(rax.into_raw(), core::ptr::from_mut(args).cast()) };
    Status::from_raw(raw)
}

/// An address in the function that this is written in.
#[inline(always)]
fn here() -> usize {
    let here;
    // SAFETY: The instruction only writes to the register that is named.
    unsafe { asm!("lea {}, [rip]", out(reg) here, options(nomem, nostack, preserves_flags)) };
    here
}

/// Calls, and tells those who listen to the tracepoint.
///
/// # Safety
///
/// As for [`Seamcall::call`].
#[cold]
#[inline(never)]
unsafe fn call_and_tell(rax: Rax, args: &mut Args, function: usize) -> Status {
    let before = args.operands();
    let start = tsc::now();
    // SAFETY: As for this function.
    let status = unsafe { call(rax, args) };
    tracepoint::seamcall(&tracepoint::Call {
        rax: rax.into_raw(),
        before: &before,
        status,
        after: &args.operands(),
        cycles: tsc::now().wrapping_sub(start),
        backend: true,
        function,
    });
    status
}

impl Machine for TdxCore {
    #[inline]
    fn convertible(&self, first: Pfn, pages: u64) -> bool {
        // SAFETY: The function takes any number.
        unsafe { bindings::tdx_pfns_convertible(first.get(), pages) }
    }

    #[inline]
    fn keyid_shift(&self) -> u32 {
        // SAFETY: The field does not change once modules can be loaded.
        u32::from(unsafe { bindings::boot_cpu_data.x86_phys_bits })
    }

    #[inline]
    fn clflush_before_alloc(&self) -> bool {
        Self::info().is_some_and(|info| {
            // SAFETY: As for `version`.
            let features = unsafe { (*info.as_ptr()).features.tdx_features0 };
            Features0::from_raw(features)
                .clflush_before_alloc()
                .into_bool()
        })
    }

    fn flush_caches(&self) -> u64 {
        // SAFETY: The function may be called wherever interrupts are on.
        unsafe { bindings::wbinvd_on_all_cpus() };
        // SAFETY: The counter is always there. Where it changes meanwhile, any value will do.
        let online = unsafe { (&raw const bindings::__num_online_cpus).read_volatile() };
        // This CPU interrupts all others.
        u64::try_from(online.counter).map_or(0, |online| online.saturating_sub(1))
    }

    #[inline]
    fn reset(&self, first: Pfn, level: Level) {
        // SAFETY: The memory came back from the TDX module, and its user has not got it yet.
        unsafe {
            bindings::tdx_quirk_reset_paddr(u64_as_usize(first.pa()), u64_as_usize(level.size()))
        }
    }
}
