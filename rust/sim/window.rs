// SPDX-License-Identifier: GPL-2.0

//! Physical memory, seen through windows.
//!
//! The simulator reaches physical memory by kernel mappings of its own, never by the direct map: TD
//! memory may have none. A window is a page of kernel address space whose page-table entry is known
//! since init, so that moving it is a store and an INVLPG, which the #UD trap may do: no lock, no
//! allocation, no IPI.
//!
//! Windows belong to a CPU and are used with interrupts off. What can come between are NMIs and
//! machine checks, whose handlers do execute SEAMCALLs (`tdx_dump_mce_info()`): each level of nesting
//! has windows of its own. Other CPUs may load a translation of a window speculatively, but never use
//! it.

use super::{
    cpu,
    ffi, //
};
use crate::abi::Level;
use core::{
    cell::Cell,
    ptr,
    sync::atomic::{
        AtomicU32,
        AtomicU64,
        Ordering::{
            Acquire,
            Relaxed,
            Release,
            SeqCst, //
        }, //
    }, //
};
use kernel::{
    prelude::*,
    types::NotThreadSafe, //
};

/// Windows that pages are spread over, by their frame number. A SEAMCALL works with some fifteen
/// pages (PAMT of three sizes, TDR, TDCS, TDVPS, S-EPT): most find a window that they do not share.
const SPREAD: usize = 64;

/// One more window, for the source of a copy.
const SOURCE: usize = SPREAD;

/// Windows of a view.
const WINDOWS: usize = SPREAD + 1;

/// Views that a CPU can have at once: of a SEAMCALL or a debugfs reader, of an NMI on top of it, and
/// of a machine check on top of that.
const DEPTH: usize = 3;

/// Most ranges of RAM.
const MAX_RANGES: usize = 64;

const PAGE_SIZE: usize = Level::K4.size() as usize;
const PAGE_WORDS: usize = PAGE_SIZE / size_of::<u64>();
const PAGE_SHIFT: u32 = Level::K4.shift();

/// No page has this frame number.
const NONE: u64 = u64::MAX;

/// A window.
///
/// # Invariants
///
/// `pte` is the page-table entry of the page at `address`, and nothing else uses either. Unless `pfn`
/// is [`NONE`], the entry maps that page of RAM, and the CPU that the window belongs to holds no other
/// translation of `address`.
struct Window {
    pfn: Cell<u64>,
    pte: *mut u64,
    address: *mut u8,
}

/// The views that a CPU can have, by their depth.
struct Views {
    /// Number of those in use.
    depth: AtomicU32,
    windows: [KBox<[Window; WINDOWS]>; DEPTH],
}

/// Physical memory and the windows on it.
pub(super) struct Memory {
    cpus: KVec<Views>,
    ram: KVec<ffi::Range>,
    pte_flags: u64,
}

// SAFETY: Windows are reached through a `View` only, which has them for itself: it stays on one CPU,
// with interrupts off, and counts the views that it is on top of.
unsafe impl Send for Memory {}
// SAFETY: As above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Sets up the windows of all CPUs. `pte_flags` are those of a writable mapping of RAM.
    pub(super) fn new(pte_flags: u64) -> Result<Self> {
        let nr_cpus = kernel::cpu::nr_cpu_ids() as usize;
        let nr = nr_cpus * DEPTH * WINDOWS;
        let mut ptes = KVec::from_elem(ptr::null_mut::<u64>(), nr, GFP_KERNEL)?;
        // SAFETY: `ptes` has room for `nr` pointers.
        let base = unsafe { ffi::tdx_sim_map_windows(nr, ptes.as_mut_ptr()) }.cast::<u8>();
        if base.is_null() {
            return Err(ENOMEM);
        }
        let mut address = base;
        let mut chunks = ptes.chunks(WINDOWS);
        let mut windows = || -> Result<_> {
            let ptes = chunks.next().and_then(|chunk| chunk.first_chunk());
            let windows = ptes.ok_or(EINVAL)?.map(|pte| {
                // INVARIANT: The pointers to the entries come in the order of the pages.
                let window = Window {
                    pfn: Cell::new(NONE),
                    pte,
                    address,
                };
                address = address.wrapping_add(PAGE_SIZE);
                window
            });
            Ok(KBox::new(windows, GFP_KERNEL)?)
        };
        let mut cpus = KVec::with_capacity(nr_cpus, GFP_KERNEL)?;
        for _ in 0..nr_cpus {
            let views = Views {
                depth: AtomicU32::new(0),
                windows: [windows()?, windows()?, windows()?],
            };
            cpus.push(views, GFP_KERNEL)?;
        }
        let mut ram = KVec::from_elem(ffi::Range::default(), MAX_RANGES, GFP_KERNEL)?;
        // SAFETY: `ram` has room for `MAX_RANGES` ranges.
        let nr_ranges = unsafe { ffi::tdx_sim_get_ram(ram.as_mut_ptr(), MAX_RANGES as u32) };
        ram.truncate(nr_ranges as usize);
        Ok(Self {
            cpus,
            ram,
            pte_flags,
        })
    }

    /// The ranges of RAM, ascending.
    pub(super) fn ram(&self) -> &[ffi::Range] {
        &self.ram
    }

    fn is_ram(&self, pfn: u64) -> bool {
        // A range is whole pages.
        self.ram
            .iter()
            .any(|range| pfn.wrapping_sub(range.base >> PAGE_SHIFT) < range.size >> PAGE_SHIFT)
    }

    /// Returns a view on memory for CPU number `cpu`, or `None` if that has as many as it can have.
    ///
    /// # Safety
    ///
    /// This code must run on that CPU, with interrupts off, until the view is dropped.
    pub(super) unsafe fn view(&self, cpu: usize) -> Option<View<'_>> {
        let Views { depth, windows } = self.cpus.get(cpu)?;
        // Only this CPU changes the counter, and what interrupts it here puts back the value it found.
        let level = depth.load(Relaxed);
        let windows = windows.get(level as usize)?;
        depth.store(level + 1, Relaxed);
        Some(View {
            memory: self,
            depth,
            windows,
            _not_send: NotThreadSafe,
        })
    }
}

/// A view on physical memory.
///
/// # Invariants
///
/// The code runs on the CPU that owns `windows`, with interrupts off, and no other view uses them.
pub(super) struct View<'a> {
    memory: &'a Memory,
    depth: &'a AtomicU32,
    windows: &'a [Window; WINDOWS],
    _not_send: NotThreadSafe,
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        self.depth
            .store(self.depth.load(Relaxed).wrapping_sub(1), Relaxed);
    }
}

impl View<'_> {
    /// Returns where the page with `pa` in it can be seen until the window is moved, or `None` if there is
    /// no RAM.
    #[inline]
    fn page(&self, window: &Window, pa: u64) -> Option<*mut u8> {
        let pfn = pa >> PAGE_SHIFT;
        if window.pfn.get() != pfn {
            if !self.memory.is_ram(pfn) {
                return None;
            }
            // An NMI may come here, but uses other windows.
            // SAFETY: By the type invariants, this is a page-table entry that only we use.
            unsafe {
                window
                    .pte
                    .write_volatile(pfn << PAGE_SHIFT | self.memory.pte_flags)
            };
            // SAFETY: No reference to the memory that was in the window is ever kept.
            unsafe { cpu::invlpg(window.address) };
            // INVARIANT: The entry and the CPU agree now.
            window.pfn.set(pfn);
        }
        Some(window.address)
    }

    /// Returns where the page with `pa` in it can be seen, in the window that is its own.
    #[inline]
    fn own_page(&self, pa: u64) -> Option<*mut u8> {
        let pfn = (pa >> PAGE_SHIFT) as usize;
        self.page(&self.windows[(pfn ^ pfn / SPREAD) % SPREAD], pa)
    }

    /// Returns the word at `pa` as an atomic. The reference must not be kept: the window may be moved.
    #[inline]
    fn word(&self, pa: u64) -> Option<&AtomicU64> {
        let offset = pa as usize % PAGE_SIZE / size_of::<u64>();
        let word = self.own_page(pa)?.cast::<u64>().wrapping_add(offset);
        // SAFETY: The word is aligned and in a page that is mapped. All accesses of ours to it are atomic;
        // what the host does to memory that is in TDX hands is, at worst, as in hardware.
        Some(unsafe { AtomicU64::from_ptr(word) })
    }

    /// Reads the word at `pa`; 0 where there is no RAM.
    #[inline]
    pub(super) fn load(&self, pa: u64) -> u64 {
        self.word(pa).map_or(0, |word| word.load(Acquire))
    }

    /// Writes the word at `pa`, where there is RAM.
    #[inline]
    pub(super) fn store(&self, pa: u64, value: u64) {
        if let Some(word) = self.word(pa) {
            word.store(value, Release);
        }
    }

    /// Replaces the word at `pa` if it is `old`, else returns what it is.
    #[inline]
    pub(super) fn cmpxchg(&self, pa: u64, old: u64, new: u64) -> Result<u64, u64> {
        match self.word(pa) {
            Some(word) => word.compare_exchange(old, new, SeqCst, SeqCst),
            // Memory that reads as 0 and ignores writes.
            None if old == 0 => Ok(0),
            None => Err(0),
        }
    }

    /// Copies the page at `src` to the one at `dst`.
    pub(super) fn copy_page(&self, dst: u64, src: u64) {
        let Some(to) = self.own_page(dst) else {
            return;
        };
        match self.page(&self.windows[SOURCE], src) {
            // SAFETY: Both are pages that are mapped, in different windows. That they may be one and the
            // same page, or may change, is what the host asked for.
            Some(from) => unsafe { ptr::copy(from, to, PAGE_SIZE) },
            None => self.fill_page(dst, 0),
        }
    }

    /// Fills the page at `pa` with copies of `word`.
    pub(super) fn fill_page(&self, pa: u64, word: u64) {
        let Some(page) = self.own_page(pa) else {
            return;
        };
        for i in 0..PAGE_WORDS {
            // SAFETY: The word is in a page that is mapped.
            unsafe { page.cast::<u64>().add(i).write(word) };
        }
    }

    /// Copies the words at `pa`, as many as `to` has and in one page; `false` if it is not RAM.
    ///
    /// Word by word: an emulated CPU takes longer for the bytes of a `rep movsb`.
    pub(super) fn read_words(&self, pa: u64, to: &mut [u64]) -> bool {
        let Some(from) = self.words(pa, to.len()) else {
            return false;
        };
        for (i, to) in to.iter_mut().enumerate() {
            // SAFETY: The word is in a page that is mapped.
            *to = unsafe { from.add(i).read_volatile() };
        }
        true
    }

    /// Writes the words at `pa`, which are in one page, where there is RAM.
    pub(super) fn write_words(&self, pa: u64, from: &[u64]) {
        let Some(to) = self.words(pa, from.len()) else {
            return;
        };
        for (i, from) in from.iter().enumerate() {
            // SAFETY: The word is in a page that is mapped.
            unsafe { to.add(i).write_volatile(*from) };
        }
    }

    /// Where `length` words at `pa` can be seen, if they are in one page of RAM.
    fn words(&self, pa: u64, length: usize) -> Option<*mut u64> {
        let first = pa as usize % PAGE_SIZE / size_of::<u64>();
        if first + length > PAGE_WORDS {
            return None;
        }
        Some(self.own_page(pa)?.cast::<u64>().wrapping_add(first))
    }
}
