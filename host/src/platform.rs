// SPDX-License-Identifier: GPL-2.0

//! A machine for the simulated TDX module on the build host.
//!
//! [`Machine`] is the hardware that all logical processors share: physical memory, the clock, the
//! random source and the key engine. [`Machine::cpu`] gives one logical processor of it, which is
//! what the model runs on. Memory is sparse, so that gigabytes of it cost nothing until they are
//! written; addresses beyond its end read zero, drop writes and are counted, because only a wrong
//! address takes the model there.

use crate::{
    abi::Level,
    cpuid,
    random::Random,
    sim::model::{
        platform::{
            Abilities,
            Config,
            KeyError,
            Lp,
            Platform, //
        },
        tdcs::Tdcs,
        tdvps::Tdvps,
        Exit,
        Module,
        Regs, //
    },
};
use std::{
    collections::{
        BTreeMap,
        BTreeSet, //
    },
    sync::{
        atomic::{
            AtomicBool,
            AtomicU64,
            Ordering, //
        },
        Mutex,
        OnceLock, //
    }, //
};

const PAGE_SIZE: u64 = 4096;
const PAGE_WORDS: usize = 512;
const CHUNK_PAGES: usize = 512;
const CHUNK_SIZE: u64 = PAGE_SIZE * CHUNK_PAGES as u64;

type Page = [AtomicU64; PAGE_WORDS];
type Chunk = [OnceLock<Box<Page>>; CHUNK_PAGES];

fn new_page() -> Box<Page> {
    Box::new([const { AtomicU64::new(0) }; PAGE_WORDS])
}

fn new_chunk() -> Box<Chunk> {
    Box::new([const { OnceLock::new() }; CHUNK_PAGES])
}

/// Sparse physical memory, from address 0 to its size.
pub struct Ram {
    chunks: Box<[OnceLock<Box<Chunk>>]>,
    outside: AtomicU64,
}

impl Ram {
    /// `size` in bytes, rounded up to 2 MiB.
    pub fn new(size: u64) -> Self {
        let chunks = size.div_ceil(CHUNK_SIZE);
        Self {
            chunks: (0..chunks).map(|_| OnceLock::new()).collect(),
            outside: AtomicU64::new(0),
        }
    }

    /// Number of accesses beyond the end of memory so far.
    pub fn outside(&self) -> u64 {
        self.outside.load(Ordering::Relaxed)
    }

    /// The address of the first word that differs from the one in `other`, of the same size.
    pub fn first_difference(&self, other: &Self) -> Option<u64> {
        self.differences(other).next()
    }

    /// The addresses of the words that differ from those in `other`, of the same size.
    pub fn differences<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u64> + 'a {
        let size = self.chunks.len() as u64 * CHUNK_SIZE;
        (0..size)
            .step_by(CHUNK_SIZE as usize)
            .filter(move |pa| {
                [self, other]
                    .iter()
                    .any(|ram| ram.chunk(*pa).is_some_and(is_set))
            })
            .flat_map(|chunk| (chunk..chunk + CHUNK_SIZE).step_by(PAGE_SIZE as usize))
            .filter(move |pa| self.written(*pa).is_some() || other.written(*pa).is_some())
            .flat_map(|page| (page..page + PAGE_SIZE).step_by(8))
            .filter(move |pa| self.load(*pa) != other.load(*pa))
    }

    /// Whether anything was ever written to the page of `pa`.
    pub fn is_written(&self, pa: u64) -> bool {
        self.written(pa).is_some()
    }

    fn chunk(&self, pa: u64) -> Option<&OnceLock<Box<Chunk>>> {
        let chunk = self.chunks.get((pa / CHUNK_SIZE) as usize);
        if chunk.is_none() {
            self.outside.fetch_add(1, Ordering::Relaxed);
        }
        chunk
    }

    /// The page of `pa` if anything was ever written to it.
    fn written(&self, pa: u64) -> Option<&Page> {
        let page = &self.chunk(pa)?.get()?[(pa / PAGE_SIZE) as usize % CHUNK_PAGES];
        page.get().map(|page| &**page)
    }

    /// Whether the page of `pa` reads zero because nobody ever wrote to it.
    pub fn is_untouched(&self, pa: u64) -> bool {
        self.written(pa).is_none()
    }

    fn page(&self, pa: u64) -> Option<&Page> {
        let chunk = self.chunk(pa)?.get_or_init(new_chunk);
        let page = &chunk[(pa / PAGE_SIZE) as usize % CHUNK_PAGES];
        Some(page.get_or_init(new_page))
    }

    /// The page of `pa` that `value` is to be written to. Memory that nobody wrote reads zero, so that clearing it
    /// need not allocate it.
    fn page_for(&self, pa: u64, value: u64) -> Option<&Page> {
        if value == 0 {
            self.written(pa)
        } else {
            self.page(pa)
        }
    }

    fn index(pa: u64) -> usize {
        assert_eq!(pa % 8, 0, "unaligned access to {pa:#x}");
        (pa % PAGE_SIZE / 8) as usize
    }

    /// Reads the word at `pa`, which is a multiple of 8.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn load(&self, pa: u64) -> u64 {
        let index = Self::index(pa);
        self.written(pa)
            .map_or(0, |page| page[index].load(Ordering::Acquire))
    }

    fn store(&self, pa: u64, value: u64) {
        let index = Self::index(pa);
        if let Some(page) = self.page_for(pa, value) {
            page[index].store(value, Ordering::Release);
        }
    }

    /// Writes `word` to all of the page of `pa`.
    fn fill(&self, pa: u64, word: u64) {
        for to in self.page_for(pa, word).into_iter().flatten() {
            to.store(word, Ordering::Release);
        }
    }
}

fn is_set<T>(cell: &OnceLock<T>) -> bool {
    cell.get().is_some()
}

impl Clone for Ram {
    fn clone(&self) -> Self {
        let copy = Self::new(self.chunks.len() as u64 * CHUNK_SIZE);
        for (chunk, to) in self.chunks.iter().zip(&*copy.chunks) {
            let Some(chunk) = chunk.get() else { continue };
            let to = to.get_or_init(new_chunk);
            for (page, to) in chunk.iter().zip(&**to) {
                let Some(page) = page.get() else { continue };
                for (word, to) in page.iter().zip(&**to.get_or_init(new_page)) {
                    to.store(word.load(Ordering::Acquire), Ordering::Relaxed);
                }
            }
        }
        copy
    }
}

/// What a guest does when it is run: it changes the vCPU's state and leaves a VM exit in it.
pub type Guest = dyn for<'a, 'm> Fn(&Tdcs<'a, Cpu<'m>>, &Tdvps<'a, Cpu<'m>>, bool) + Send + Sync;

/// The hardware that the logical processors share.
pub struct Machine {
    /// The platform as the BIOS and the CPU describe it.
    pub config: Config,
    /// Physical memory.
    pub ram: Ram,
    clock: AtomicU64,
    random: AtomicU64,
    /// A host interrupt (NMI) waits for every logical processor.
    pub interrupt: AtomicBool,
    /// RDRAND and RDSEED give nothing.
    pub no_entropy: AtomicBool,
    /// If this is asked for: the pages, by address, that the module has taken from the host.
    pub closed: Option<Mutex<BTreeSet<u64>>>,
    /// What PCONFIG answers: 0 is success, else its error code.
    pub pconfig: AtomicU64,
    /// A word that another processor writes whenever somebody is about to exchange it, and what it
    /// writes.
    pub meddler: OnceLock<(u64, u64)>,
    /// CPUID, where it is another CPU's than [`cpuid`]'s: leaf, sub-leaf, and EAX, EBX, ECX, EDX.
    pub cpuid: Option<Vec<(u32, u32, [u32; 4])>>,
    /// MSRs of every logical processor; those that are not here are 0.
    pub msrs: Mutex<BTreeMap<u32, u64>>,
    /// XMM registers of the host.
    pub xmms: Mutex<[[u64; 2]; 16]>,
    /// The guest of all vCPUs. Without one the CPU has no VMX.
    pub guest: Option<Box<Guest>>,
    /// What a CPU with VMX has of it.
    pub abilities: Abilities,
}

/// PCONFIG's code for a key table that another logical processor is using (SDM, PCONFIG:
/// DEVICE_BUSY).
const PCONFIG_DEVICE_BUSY: u64 = 5;

impl Machine {
    /// A machine of `ram_size` bytes of memory.
    pub fn new(config: Config, ram_size: u64) -> Self {
        Self::with_ram(config, Ram::new(ram_size))
    }

    /// A machine whose memory has content already.
    pub fn with_ram(config: Config, ram: Ram) -> Self {
        Self {
            config,
            ram,
            clock: AtomicU64::new(0),
            random: AtomicU64::new(0),
            interrupt: AtomicBool::new(false),
            no_entropy: AtomicBool::new(false),
            closed: None,
            pconfig: AtomicU64::new(0),
            meddler: OnceLock::new(),
            cpuid: None,
            msrs: Mutex::new(BTreeMap::new()),
            xmms: Mutex::new([[0; 2]; 16]),
            guest: None,
            abilities: Abilities {
                pa_width: 52,
                ept5: true,
            },
        }
    }

    /// Logical processor `index` of package `package`.
    pub fn cpu(&self, index: u32, package: u32) -> Cpu<'_> {
        Cpu {
            machine: self,
            lp: Lp { index, package },
            observer: None,
        }
    }

    /// Reads a word as a host program does.
    pub fn peek(&self, pa: u64) -> u64 {
        self.ram.load(pa)
    }

    /// Writes a word as a host program does.
    pub fn poke(&self, pa: u64, value: u64) {
        self.ram.store(pa, value);
    }

    /// Writes bytes as a host program does.
    pub fn write(&self, pa: u64, bytes: &[u8]) {
        for (at, byte) in (pa..).zip(bytes) {
            let shift = at % 8 * 8;
            let word = self.ram.load(at & !7) & !(0xff << shift);
            self.ram.store(at & !7, word | (u64::from(*byte) << shift));
        }
    }

    /// Reads bytes as a host program does.
    pub fn read(&self, pa: u64, bytes: &mut [u8]) {
        for (at, byte) in (pa..).zip(bytes) {
            *byte = (self.ram.load(at & !7) >> (at % 8 * 8)) as u8;
        }
    }
}

/// What a processor does with a word of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It reads.
    Read,
    /// It writes, or would write if the word had another value.
    Write,
}

/// Who is told of each access of the model to memory, before it is made.
pub trait Observer: Sync {
    /// A processor is about to access the word at `pa`.
    fn access(&self, machine: &Machine, pa: u64, access: Access);
}

/// One logical processor of a [`Machine`].
pub struct Cpu<'m> {
    machine: &'m Machine,
    lp: Lp,
    observer: Option<&'m dyn Observer>,
}

impl<'m> Cpu<'m> {
    /// The same processor, with somebody who looks at what it does.
    pub fn observed(self, observer: &'m dyn Observer) -> Self {
        Self {
            observer: Some(observer),
            ..self
        }
    }

    #[inline]
    fn tell(&self, pa: u64, access: Access) {
        if let Some(observer) = self.observer {
            observer.access(self.machine, pa, access);
        }
    }

    /// Executes a SEAMCALL on this processor.
    ///
    /// The one place where the model is made for this platform: who calls it by another way makes
    /// the compiler translate the whole model once more.
    #[inline(never)]
    pub fn seamcall(&self, module: &Module, regs: &mut Regs) -> Exit {
        module.seamcall(self, regs)
    }
}

impl Platform for Cpu<'_> {
    fn load(&self, pa: u64) -> u64 {
        self.tell(pa, Access::Read);
        self.machine.ram.load(pa)
    }

    fn store(&self, pa: u64, value: u64) {
        self.tell(pa, Access::Write);
        self.machine.ram.store(pa, value);
    }

    fn cmpxchg(&self, pa: u64, old: u64, new: u64) -> Result<u64, u64> {
        self.tell(pa, Access::Write);
        let index = Ram::index(pa);
        if let Some((_, value)) = self.machine.meddler.get().filter(|(word, _)| *word == pa) {
            self.machine.ram.store(pa, *value);
        }
        match self.machine.ram.page(pa) {
            Some(page) => {
                page[index].compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
            }
            None if old == 0 => Ok(0),
            None => Err(0),
        }
    }

    fn copy_page(&self, dst: u64, src: u64) {
        for offset in (0..PAGE_SIZE).step_by(8) {
            self.store(dst + offset, self.load(src + offset));
        }
    }

    fn fill_page(&self, pa: u64, word: u64) {
        for offset in (0..PAGE_SIZE).step_by(8) {
            self.tell(pa + offset, Access::Write);
        }
        self.machine.ram.fill(pa, word);
    }

    fn sha512_block(&self, state: &mut [u64; 8], block: &[u8; 128]) {
        sha2::compress512(state, &[(*block).into()]);
    }

    fn random(&self) -> Option<u64> {
        if self.machine.no_entropy.load(Ordering::Relaxed) {
            return None;
        }
        let state = self
            .machine
            .random
            .fetch_add(Random::GAMMA, Ordering::Relaxed);
        Some(Random(state).word())
    }

    fn tsc(&self) -> u64 {
        self.machine.clock.fetch_add(1, Ordering::Relaxed)
    }

    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4] {
        match &self.machine.cpuid {
            Some(leaves) => leaves
                .iter()
                .find(|(l, s, _)| (*l, *s) == (leaf, subleaf))
                .map_or([0; 4], |(_, _, registers)| *registers),
            None => cpuid::read(leaf, subleaf),
        }
    }

    fn lp(&self) -> Lp {
        self.lp
    }

    fn interrupt_pending(&self) -> bool {
        self.machine.interrupt.load(Ordering::Relaxed)
    }

    fn config_key(&self, _hkid: u16) -> Result<(), KeyError> {
        match self.machine.pconfig.load(Ordering::Relaxed) {
            0 => Ok(()),
            PCONFIG_DEVICE_BUSY => Err(KeyError::Busy),
            _ => Err(KeyError::Entropy),
        }
    }

    fn set_host_access(&self, pa: u64, level: Level, allowed: bool) {
        let Some(closed) = &self.machine.closed else {
            return;
        };
        let mut closed = closed.lock().expect("no panic in here");
        for page in (pa..pa + level.size()).step_by(PAGE_SIZE as usize) {
            let changed = if allowed {
                closed.remove(&page)
            } else {
                closed.insert(page)
            };
            assert!(changed, "page {page:#x} changes hands twice");
        }
    }

    fn msr(&self, msr: u32) -> u64 {
        let msrs = self.machine.msrs.lock().expect("no panic in here");
        msrs.get(&msr).copied().unwrap_or(0)
    }

    fn host_xmm(&self, number: u32) -> [u64; 2] {
        self.machine.xmms.lock().expect("no panic in here")[number as usize]
    }

    fn set_host_xmm(&self, number: u32, value: [u64; 2]) {
        self.machine.xmms.lock().expect("no panic in here")[number as usize] = value;
    }

    fn abilities(&self) -> Option<Abilities> {
        self.machine.guest.as_ref().map(|_| self.machine.abilities)
    }

    fn run(&self, tdcs: &Tdcs<'_, Self>, tdvps: &Tdvps<'_, Self>, flush: bool) {
        if let Some(guest) = &self.machine.guest {
            guest(tdcs, tdvps, flush);
        }
    }

    fn config(&self) -> &Config {
        &self.machine.config
    }
}
