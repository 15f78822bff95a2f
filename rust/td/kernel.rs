// SPDX-License-Identifier: GPL-2.0

//! What the machine that the kernel runs on has for TDs.
//!
//! C headers: [`include/linux/gfp.h`](srctree/include/linux/gfp.h),
//! [`arch/x86/include/asm/tdx.h`](srctree/arch/x86/include/asm/tdx.h)

use super::{
    Leak,
    Resources, //
};
use crate::{
    abi::{
        Hkid,
        Level,
        Pfn, //
    },
    seamcall::kernel::TdxCore, //
};
use core::{
    ops::ControlFlow,
    ptr, //
};
use kernel::{
    bindings,
    cpu::nr_cpu_ids,
    page::PAGE_SIZE,
    prelude::*, //
};

/// Returns where the kernel finds a page of the page allocator.
fn address(page: Pfn) -> *mut c_void {
    // SAFETY: The address is computed from that of the page, which is in the direct map.
    unsafe { bindings::phys_to_virt(page.pa()) }
}

/// What a CPU is asked to do, and what came out of it.
struct Work<'a> {
    f: &'a mut dyn FnMut() -> ControlFlow<()>,
    outcome: ControlFlow<()>,
}

/// # Safety
///
/// `work` must be a [`Work`] that nobody else uses.
unsafe extern "C" fn run(work: *mut c_void) -> c_int {
    // SAFETY: As for this function.
    let work = unsafe { &mut *work.cast::<Work<'_>>() };
    work.outcome = (work.f)();
    0
}

impl Resources for TdxCore {
    fn alloc(&self) -> Option<Pfn> {
        // SAFETY: This is called where the kernel may sleep.
        let address = unsafe { bindings::get_zeroed_page_noprof(bindings::GFP_KERNEL) };
        if address == 0 {
            return None;
        }
        // SAFETY: The address is in the direct map.
        let pa = unsafe { bindings::virt_to_phys(address as *mut c_void) };
        Pfn::new(pa >> Level::K4.shift())
    }

    fn free(&self, page: Pfn) {
        // SAFETY: The page comes from `alloc`, and the TDX module does not have it any more.
        unsafe { bindings::free_pages(address(page) as usize, 0) }
    }

    fn write(&self, page: Pfn, words: &[u64]) {
        let count = words.len().min(PAGE_SIZE / size_of::<u64>());
        // SAFETY: The page comes from `alloc`, nobody else uses it, and `count` words fit.
        unsafe { ptr::copy_nonoverlapping(words.as_ptr(), address(page).cast(), count) }
    }

    fn alloc_keyid(&self) -> Option<Hkid> {
        // SAFETY: This is called where the kernel may sleep.
        let hkid = unsafe { bindings::tdx_guest_keyid_alloc() };
        u16::try_from(hkid).ok().map(Hkid::new)
    }

    fn free_keyid(&self, hkid: Hkid) {
        // SAFETY: The KeyID comes from `alloc_keyid`.
        unsafe { bindings::tdx_guest_keyid_free(hkid.get().into()) }
    }

    fn global_keyid(&self) -> Hkid {
        // SAFETY: The number does not change after boot.
        let hkid = unsafe { bindings::tdx_get_global_keyid() };
        // KeyIDs have 16 bits by the ABI.
        Hkid::new(hkid as u16)
    }

    fn on_each_cpu(&self, f: &mut dyn FnMut() -> ControlFlow<()>) {
        for cpu in 0..nr_cpu_ids() {
            let mut work = Work {
                f: &mut *f,
                outcome: ControlFlow::Continue(()),
            };
            let arg = ptr::from_mut(&mut work).cast();
            // A CPU that is not online does not run it: there is nothing to do there either.
            // SAFETY: `run` gets the `Work` it expects, and has ended when the call returns.
            unsafe { bindings::smp_call_on_cpu(cpu, Some(run), arg, false) };
            if work.outcome.is_break() {
                break;
            }
        }
    }

    fn complain(&self, leak: &Leak) {
        pr_err!("{}\n", core::format_args!("{leak}"));
    }
}
