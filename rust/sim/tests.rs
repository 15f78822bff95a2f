// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of what lies under and around the model in a kernel.

use super::{
    cpu,
    model::platform::Platform,
    platform::{
        self,
        Host,
        NO_LEAF, //
    },
};
use crate::abi::{
    Args,
    Leaf,
    Rax,
    Status, //
};
use core::{
    arch::asm,
    sync::atomic::Ordering::Relaxed, //
};
use kernel::{
    bindings,
    interrupt::local_interrupt_disable,
    prelude::*, //
};

unsafe extern "C" {
    fn __seamcall(leaf: u64, args: *mut bindings::tdx_module_args) -> u64;
    fn __seamcall_ret(leaf: u64, args: *mut bindings::tdx_module_args) -> u64;
    fn __seamcall_saved_ret(leaf: u64, args: *mut bindings::tdx_module_args) -> u64;
}

type Entry = unsafe extern "C" fn(u64, *mut bindings::tdx_module_args) -> u64;

/// Executes SEAMCALL by one of the kernel's functions for it.
fn seamcall(entry: Entry, rax: u64, args: &mut Args) -> Status {
    let args = core::ptr::from_mut(args).cast::<bindings::tdx_module_args>();
    // SAFETY: The layouts agree, and the leaves that are tested write to no memory.
    Status::from_raw(unsafe { entry(rax, args) })
}

/// Arguments that are all different.
fn some_args() -> Args {
    Args {
        rcx: 0x11,
        rdx: 0x22,
        r8: 0x33,
        r9: 0x44,
        r10: 0x55,
        r11: 0x66,
        r12: 0x77,
        r13: 0x88,
        r14: 0x99,
        r15: 0xaa,
        rbx: 0xbb,
        rdi: 0xcc,
        rsi: 0xdd,
    }
}

/// Returns the simulator's machine, or marks the test as skipped where there is no simulated TDX.
fn active() -> Option<&'static Host> {
    let host = platform::host();
    if host.is_none() {
        skip();
    }
    host
}

/// Marks the test as skipped.
fn skip() {
    // SAFETY: This is always safe to call.
    let test = unsafe { bindings::kunit_get_current_test() };
    if !test.is_null() {
        // SAFETY: The test is the one that is running, and only this task sets its status.
        unsafe { (*test).status = bindings::kunit_status_KUNIT_SKIPPED };
    }
}

/// Runs `f` with interrupts off and one waiting for this CPU, and tells what it returned.
fn with_waiting_interrupt<R>(host: &Host, f: impl FnOnce() -> R) -> Result<R> {
    extern "C" fn nothing(_work: *mut bindings::irq_work) {}
    let work = bindings::irq_work {
        func: Some(nothing),
        ..Default::default()
    };
    let mut work = KBox::new(work, GFP_KERNEL)?;

    let off = local_interrupt_disable();
    // SAFETY: The work is initialised, and lives until `irq_work_sync()` has returned.
    let queued = unsafe { bindings::irq_work_queue(&mut *work) };
    // The interrupt takes its time from the CPU to its own local APIC.
    let waits = (0..1000).any(|_| {
        // SAFETY: Interrupts are off.
        unsafe { host.machine(cpu::this_cpu(), NO_LEAF, true) }
            .is_some_and(|m| m.interrupt_pending())
    });
    let result = f();
    drop(off);
    // SAFETY: The work was queued.
    unsafe { bindings::irq_work_sync(&mut *work) };
    (queued && waits).then_some(result).ok_or(EIO)
}

/// Executes SEAMCALL where an interrupt that waits already is taken right after it, and not before: STI keeps
/// interrupts off for one more instruction.
fn seamcall_before_interrupt(leaf: Leaf, rcx: u64) -> Status {
    let mut rax = Rax::from(leaf).into_raw();
    // SAFETY: The leaves that are tested write to no memory and to no other register; the stack below is used by
    // the exception and the interrupt, as at any instruction.
    unsafe {
        asm!(
            "sti",
            ".byte 0x66, 0x0f, 0x01, 0xcf",
            "cli",
            inout("rax") rax,
            in("rcx") rcx,
        )
    };
    Status::from_raw(rax)
}

/// Memory of whole pages that has a mapping of its own, outside of the direct map.
struct Pages(VVec<[u64; 512]>);

impl Pages {
    fn new(nr: usize) -> Result<Self> {
        Ok(Self(VVec::from_elem([0; 512], nr, GFP_KERNEL)?))
    }

    /// The physical address of a page.
    fn pa(&self, page: usize) -> u64 {
        let address = self.0.as_ptr().wrapping_add(page);
        // SAFETY: The address is in the vmalloc area.
        let pfn = unsafe { bindings::vmalloc_to_pfn(address.cast()) };
        (pfn as u64) << 12
    }

    /// Reads a word by the mapping of its own.
    fn read(&self, page: usize, word: usize) -> Option<u64> {
        let word = self.0.get(page)?.get(word)?;
        // SAFETY: The reference is valid. The value may have been changed behind the compiler's back.
        Some(unsafe { core::ptr::from_ref(word).read_volatile() })
    }
}

#[kunit_tests(tdx_sim)]
mod cases {
    use super::{
        super::log,
        *, //
    };
    use crate::abi::Operand;

    /// More pages than there are windows.
    const MANY: usize = 100;

    /// Beyond the memory of any machine, and below 2^52.
    const NO_RAM: u64 = 1 << 51;

    #[test]
    fn windows_show_the_page_asked_for() -> Result {
        let Some(host) = active() else {
            return Ok(());
        };
        let pages = Pages::new(MANY)?;
        for page in 0..MANY {
            let pa = pages.pa(page) + 8 * page as u64;
            host.with_machine(|m| m.store(pa, 0x5e7 + page as u64))
                .ok_or(EBUSY)?;
        }
        for page in 0..MANY {
            let expected = 0x5e7 + page as u64;
            let pa = pages.pa(page) + 8 * page as u64;
            assert_eq!(pages.read(page, page), Some(expected));
            assert_eq!(host.with_machine(|m| m.load(pa)), Some(expected));
        }
        Ok(())
    }

    #[test]
    fn windows_compare_and_exchange() -> Result {
        let Some(host) = active() else {
            return Ok(());
        };
        let pages = Pages::new(1)?;
        let pa = pages.pa(0) + 0xff8;
        assert_eq!(host.with_machine(|m| m.cmpxchg(pa, 1, 2)), Some(Err(0)));
        assert_eq!(pages.read(0, 511), Some(0));
        assert_eq!(host.with_machine(|m| m.cmpxchg(pa, 0, 2)), Some(Ok(0)));
        assert_eq!(pages.read(0, 511), Some(2));
        Ok(())
    }

    #[test]
    fn windows_fill_and_copy_pages() -> Result {
        let Some(host) = active() else {
            return Ok(());
        };
        let pages = Pages::new(MANY)?;
        let source = pages.pa(0);
        host.with_machine(|m| m.fill_page(source, 0x0123_4567_89ab_cdef))
            .ok_or(EBUSY)?;
        host.with_machine(|m| m.store(source + 8, 42))
            .ok_or(EBUSY)?;
        for page in 1..MANY {
            let pa = pages.pa(page);
            host.with_machine(|m| m.copy_page(pa, source))
                .ok_or(EBUSY)?;
        }
        for page in 0..MANY {
            assert_eq!(pages.read(page, 0), Some(0x0123_4567_89ab_cdef));
            assert_eq!(pages.read(page, 1), Some(42));
            assert_eq!(pages.read(page, 511), Some(0x0123_4567_89ab_cdef));
        }
        let last = pages.pa(MANY - 1);
        host.with_machine(|m| m.copy_page(last, NO_RAM))
            .ok_or(EBUSY)?;
        assert_eq!(pages.read(MANY - 1, 1), Some(0));
        Ok(())
    }

    #[test]
    fn windows_stay_away_from_what_is_no_ram() -> Result {
        let Some(host) = active() else {
            return Ok(());
        };
        host.with_machine(|m| m.store(NO_RAM, 1)).ok_or(EBUSY)?;
        assert_eq!(host.with_machine(|m| m.load(NO_RAM)), Some(0));
        assert_eq!(host.with_machine(|m| m.cmpxchg(NO_RAM, 0, 1)), Some(Ok(0)));
        assert_eq!(host.with_machine(|m| m.cmpxchg(NO_RAM, 1, 0)), Some(Err(0)));
        Ok(())
    }

    #[test]
    fn windows_of_nested_contexts_are_apart() -> Result {
        let Some(host) = active() else {
            return Ok(());
        };
        // Some of the pages belong into the same window of a set.
        let pages = Pages::new(MANY)?;
        let outer = pages.pa(0);
        let values = host.with_machine(|m| {
            m.store(outer, 1);
            let mut apart = true;
            for page in 1..MANY {
                let pa = pages.pa(page);
                let inner = host.with_machine(|n| {
                    n.store(pa, 2);
                    let too_deep = host.with_machine(|o| {
                        o.store(pa + 8, 3);
                        host.with_machine(|_| ()).is_none()
                    });
                    too_deep == Some(true) && n.load(pa + 8) == 3
                });
                apart &= inner == Some(true);
            }
            (apart, m.load(outer))
        });
        assert_eq!(values, Some((true, 1)));
        assert_eq!(pages.read(0, 0), Some(1));
        Ok(())
    }

    #[test]
    fn sha512_block_of_a_padded_message() {
        let Some(host) = active() else {
            return;
        };
        // FIPS 180-4: initial value of SHA-384, and the only block of the message "abc".
        let mut state = [
            0xcbbb9d5dc1059ed8,
            0x629a292a367cd507,
            0x9159015a3070dd17,
            0x152fecd8f70e5939,
            0x67332667ffc00b31,
            0x8eb44a8768581511,
            0xdb0c2e0d64f98fa7,
            0x47b5481dbefa4fa4,
        ];
        let mut block = [0; 128];
        block[..4].copy_from_slice(b"abc\x80");
        block[127] = 24;
        assert!(host
            .with_machine(|m| m.sha512_block(&mut state, &block))
            .is_some());
        // NIST's example of SHA-384.
        assert_eq!(
            state[..6],
            [
                0xcb00753f45a35e8b,
                0xb5a03d699ac65007,
                0x272c32ab0eded163,
                0x1a8b605a43ff5bed,
                0x8086072ba1e7cc23,
                0x58baeca134c825a7,
            ]
        );
    }

    #[test]
    fn random_numbers_differ() {
        let Some(host) = active() else {
            return;
        };
        let pair = host.with_machine(|m| (m.random(), m.random()));
        assert!(matches!(pair, Some((Some(a), Some(b))) if a != b));
    }

    #[test]
    fn a_waiting_interrupt_is_seen_where_interrupts_are_on() -> Result {
        let Some(host) = active() else {
            return Ok(());
        };
        let masked = with_waiting_interrupt(host, || {
            // SAFETY: Interrupts are off.
            unsafe { host.machine(cpu::this_cpu(), NO_LEAF, false) }.map(|m| m.interrupt_pending())
        })?;
        assert_eq!(masked, Some(false));
        Ok(())
    }

    #[test]
    fn a_waiting_interrupt_ends_a_call_that_goes_on_later() -> Result {
        let Some(host) = active() else {
            return Ok(());
        };
        if host.config().nr_packages > 1 {
            // A KeyID becomes free when all of them have written back.
            skip();
            return Ok(());
        }
        // SAFETY: This can be called wherever the kernel may sleep.
        let hkid = unsafe { bindings::tdx_guest_keyid_alloc() };
        let keyid = u64::try_from(hkid).map_err(|_| EBUSY)?;
        let pages = Pages::new(1)?;
        let tdr = pages.pa(0);
        let call = |leaf: Leaf, rcx, rdx| {
            let mut args = Args {
                rcx,
                rdx,
                ..Args::default()
            };
            seamcall(__seamcall_ret, Rax::from(leaf).into_raw(), &mut args)
        };

        // A KeyID whose cache lines are to be written back.
        assert_eq!(call(Leaf::MngCreate, tdr, keyid), Status::SUCCESS);
        assert_eq!(call(Leaf::MngVpflushdone, tdr, 0), Status::SUCCESS);

        let interrupted =
            with_waiting_interrupt(host, || seamcall_before_interrupt(Leaf::PhymemCacheWb, 0))?;
        let not_done = call(Leaf::MngKeyFreeid, tdr, 0);
        let mut status = interrupted;
        while status == Status::INTERRUPTED_RESUMABLE {
            status = call(Leaf::PhymemCacheWb, 1, 0);
        }
        assert_eq!(call(Leaf::MngKeyFreeid, tdr, 0), Status::SUCCESS);
        assert_eq!(call(Leaf::PhymemPageReclaim, tdr, 0), Status::SUCCESS);
        // SAFETY: The KeyID was allocated above, and is free again.
        unsafe { bindings::tdx_guest_keyid_free(hkid as u32) };

        assert_eq!(interrupted, Status::INTERRUPTED_RESUMABLE);
        assert_eq!(not_done, Status::WBCACHE_NOT_COMPLETE);
        assert_eq!(status, Status::SUCCESS);
        Ok(())
    }

    #[test]
    fn the_platform_has_what_linux_found() {
        let Some(host) = active() else {
            return;
        };
        let config = host.config();
        // SAFETY: These are always safe to call.
        let (global, guests) = unsafe {
            (
                bindings::tdx_get_global_keyid(),
                bindings::tdx_get_nr_guest_keyids(),
            )
        };
        assert_eq!(u32::from(config.first_private_keyid), global);
        assert_eq!(u32::from(config.nr_private_keyids), guests + 1);
        assert!(config.nr_lps >= 1);
        assert!(config
            .cmrs
            .iter()
            .all(|cmr| cmr.size == 0 || cmr.base >= 1 << 20));
        let lp = host.with_machine(|m| m.lp());
        assert!(lp.is_some_and(|lp| lp.index < config.nr_lps && lp.package < config.nr_packages));
    }

    #[test]
    fn seamcall_reaches_the_model() {
        if active().is_none() {
            return;
        }
        // The null id asks for the first field there is.
        let mut args = Args {
            rdx: u64::MAX,
            ..some_args()
        };
        let status = seamcall(__seamcall_ret, Rax::from(Leaf::SysRd).into_raw(), &mut args);
        assert_eq!(status, Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT);
        assert!(args.rdx != u64::MAX);

        let first = args.rdx;
        let status = seamcall(__seamcall_ret, Rax::from(Leaf::SysRd).into_raw(), &mut args);
        assert_eq!(status, Status::SUCCESS);
        assert!(args.rdx != first);
    }

    #[test]
    fn registers_that_are_no_outputs_are_kept() {
        if active().is_none() {
            return;
        }
        // A reserved bit of RAX is refused before anything else, in any state of the module.
        let mut args = some_args();
        let status = seamcall(__seamcall_saved_ret, 1 << 24, &mut args);
        assert_eq!(status, Status::OPERAND_INVALID.with(Operand::RAX));
        assert_eq!(args, some_args());

        // TDH.SYS.RD has the outputs RDX and R8.
        let mut args = some_args();
        let rax = Rax::from(Leaf::SysRd).into_raw();
        let status = seamcall(__seamcall_saved_ret, rax, &mut args);
        assert_eq!(status, Status::METADATA_FIELD_ID_INCORRECT);
        let expected = Args {
            rdx: args.rdx,
            r8: args.r8,
            ..some_args()
        };
        assert_eq!(args, expected);
    }

    #[test]
    fn there_is_no_seam_loader() {
        if active().is_none() {
            return;
        }
        let mut args = some_args();
        assert_eq!(
            seamcall(__seamcall_ret, 1 << 63, &mut args),
            Status::VMFAILINVALID
        );
        assert_eq!(args, some_args());
    }

    #[test]
    fn callers_are_told_apart() {
        if active().is_none() {
            return;
        }
        let rdmd = Leaf::PhymemPageRdmd;
        let rax = Rax::from(rdmd).into_raw();
        let before = (
            log::calls(rdmd, log::Caller::Core),
            log::calls(rdmd, log::Caller::Backend),
        );
        seamcall(__seamcall, rax, &mut some_args());
        seamcall(__seamcall_ret, rax, &mut some_args());
        seamcall(__seamcall_saved_ret, rax, &mut some_args());
        seamcall(bindings::tdx_seamcall, rax, &mut some_args());
        let after = (
            log::calls(rdmd, log::Caller::Core),
            log::calls(rdmd, log::Caller::Backend),
        );
        assert_eq!(after, (before.0 + 3, before.1 + 1));
    }

    #[test]
    fn the_log_never_shows_half_a_record() {
        let record = log::Record::<4>::new();
        let write = |number, word| {
            let claim = record.claim(number)?;
            for to in claim.words() {
                to.store(word, Relaxed);
            }
            claim.publish();
            Some(())
        };
        assert_eq!(record.read(0), None);
        assert!(write(0, 7).is_some());
        assert_eq!(record.read(0), Some([7; 4]));
        assert_eq!(record.read(16384), None);
        assert!(write(16384, 8).is_some());
        assert_eq!(record.read(0), None);
        assert_eq!(record.read(16384), Some([8; 4]));
        // A writer that was held up does not undo a later one.
        assert!(write(0, 9).is_none());
        assert_eq!(record.read(16384), Some([8; 4]));
    }
}
