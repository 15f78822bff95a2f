// SPDX-License-Identifier: GPL-2.0

//! The model on a machine of the build host, with a host's resources.

use crate::{
    abi::{
        metadata::Features0,
        Args,
        Hkid,
        HostPa,
        Leaf,
        Level,
        PageType,
        Pfn,
        Rax,
        Status, //
    },
    layout,
    platform::Machine as Computer,
    seamcall::{
        EnterTd,
        Seamcall, //
    },
    sept::Machine,
    sim::model::{
        profile::Shape,
        sept::find::find,
        Ctx,
        Exit,
        Module,
        Regs, //
    },
    td::{
        Leak,
        Resources, //
    },
    tdh::{
        self,
        mng::KeyConfigured,
        sys::{
            self,
            TdmrInit,
            TdmrList, //
        }, //
    },
};
use std::{
    cell::{
        Cell,
        RefCell, //
    },
    collections::{
        BTreeMap,
        BTreeSet, //
    },
    ops::ControlFlow, //
};

const GIB: u64 = 1 << 30;
/// Number of logical processors of the layout.
const LPS: u32 = 2;
/// Where TDMR_INFO and the array that points to it are built.
const TDMR_INFO: u64 = 0x0100_0000;
const TDMR_ARRAY: u64 = 0x0100_1000;
/// Page numbers of the memory that TDX covers.
const FIRST: u64 = layout::TDMR_BASE >> 12;
const PAGES_PER_GIB: u64 = GIB >> 12;
/// Pages that are handed out one by one; the memory after them is for large pages.
const SMALL_PAGES: u64 = PAGES_PER_GIB / 2;
/// KeyIDs of the layout: the first is the module's own.
const GLOBAL_KEYID: u16 = 32;
const LAST_KEYID: u16 = 63;

/// A machine whose TDX module is up.
pub struct ModelBench {
    /// The machine.
    pub computer: Computer,
    module: Module,
    /// Pages that TDX covers.
    pages: u64,
    /// Calls by leaf.
    counts: RefCell<BTreeMap<Leaf, u64>>,
    /// The last two calls, the later one last.
    last: Cell<[Option<(Leaf, Status)>; 2]>,
    /// The logical processor that calls are made on.
    lp: Cell<u32>,
    pages_in_use: RefCell<BTreeSet<Pfn>>,
    keyids_in_use: RefCell<BTreeSet<u16>>,
}

impl Default for ModelBench {
    fn default() -> Self {
        Self::new()
    }
}

impl ModelBench {
    /// A machine with 1 GiB of memory for TDs.
    pub fn new() -> Self {
        Self::with_memory(1)
    }

    /// A machine with `gib` GiB of memory for TDs.
    pub fn with_memory(gib: u64) -> Self {
        Self::with_module(Shape::default(), gib)
    }

    /// The same with a TDX module of that shape.
    pub fn with_module(shape: Shape, gib: u64) -> Self {
        let mut config = layout::config(shape.profile, gib);
        config.module = shape;
        let bench = Self {
            computer: Computer::new(config, layout::RAM_SIZE),
            pages: gib * PAGES_PER_GIB,
            counts: Default::default(),
            last: Default::default(),
            module: Module::new(),
            lp: Cell::new(0),
            pages_in_use: RefCell::default(),
            keyids_in_use: RefCell::default(),
        };
        // Base and size of the TDMR, then of its PAMT for 1 GiB, 2 MiB and 4 KiB pages.
        let pamt_size = |level: Level| {
            let size = (gib * GIB >> level.shift()) * shape.pamt_entry_size(level);
            size.next_multiple_of(Level::K4.size())
        };
        let info = [
            layout::TDMR_BASE,
            gib * GIB,
            0x8000_0000,
            pamt_size(Level::G1),
            0x8010_0000,
            pamt_size(Level::M2),
            0x8040_0000,
            pamt_size(Level::K4),
        ];
        bench.write_words(TDMR_INFO, &info);
        bench.write_words(TDMR_ARRAY, &[TDMR_INFO]);
        sys::init(&bench).unwrap();
        bench.on_each_lp(|| sys::lp_init(&bench).unwrap());
        let tdmrs = TdmrList::new(HostPa::new(TDMR_ARRAY).unwrap(), 1).unwrap();
        // SAFETY: The memory of this machine is nobody else's.
        unsafe { sys::config(&bench, tdmrs, Hkid::new(GLOBAL_KEYID)) }.unwrap();
        assert_eq!(sys::key_config(&bench).unwrap(), KeyConfigured::Now);
        let base = Pfn::new(FIRST).unwrap();
        let end = layout::TDMR_BASE + gib * GIB;
        while sys::tdmr_init(&bench, base).unwrap().unwrap() != TdmrInit::UpTo(end) {}
        bench
    }

    /// Does `f` on each logical processor.
    fn on_each_lp(&self, mut f: impl FnMut()) {
        for lp in 0..LPS {
            self.lp.set(lp);
            f();
        }
        self.lp.set(0);
    }

    fn write_words(&self, pa: u64, words: &[u64]) {
        for (pa, word) in (pa..).step_by(8).zip(words) {
            self.computer.write(pa, &word.to_le_bytes());
        }
    }

    /// The first page of memory that is not handed out otherwise, aligned to 2 MiB.
    pub fn large_page(&self) -> Pfn {
        Pfn::new(FIRST + SMALL_PAGES).unwrap()
    }

    /// The first page that is handed out.
    pub fn first_page(&self) -> Pfn {
        Pfn::new(FIRST).unwrap()
    }

    /// Where a page is in the secure EPT of a TD.
    pub fn place(&self, tdr: Pfn, page: Pfn) -> Option<(u64, Level)> {
        let cx = Ctx {
            module: &self.module,
            p: &self.computer.cpu(0, 0),
            version: 0,
        };
        find(&cx, tdr.pa(), page.pa())
    }

    /// Page `n` of the memory that begins at the second GiB, where nothing is handed out.
    pub fn gib_page(&self, n: u64) -> Pfn {
        Pfn::new(FIRST + PAGES_PER_GIB + n).unwrap()
    }

    /// Calls of a leaf so far.
    pub fn count(&self, leaf: Leaf) -> u64 {
        self.counts.borrow().get(&leaf).copied().unwrap_or(0)
    }

    /// The last two calls, the later one last.
    pub fn last_calls(&self) -> [Option<(Leaf, Status)>; 2] {
        self.last.get()
    }

    /// All calls of leaves on the S-EPT so far.
    pub fn sept_calls(&self) -> u64 {
        let counts = self.counts.borrow();
        let sept = counts
            .iter()
            .filter(|(leaf, _)| leaf.name().starts_with("TDH.MEM."));
        sept.map(|(_, count)| count).sum()
    }

    /// All resources are the host's again, and the TDX module agrees.
    pub fn assert_all_given_back(&self) {
        assert_eq!(*self.pages_in_use.borrow(), BTreeSet::new());
        assert_eq!(*self.keyids_in_use.borrow(), BTreeSet::new());
        for pfn in FIRST..FIRST + self.pages {
            let page = tdh::phymem::page_rdmd(self, Pfn::new(pfn).unwrap()).unwrap();
            assert_eq!(page.page_type, Some(PageType::Nda), "page {pfn:#x}");
        }
    }
}

impl Seamcall for ModelBench {
    unsafe fn call(&self, rax: Rax, args: &mut Args) -> Status {
        let mut regs = Regs {
            rax: rax.into_raw(),
            args: *args,
            ..Regs::default()
        };
        if let Some(leaf) = rax.known_leaf() {
            *self.counts.borrow_mut().entry(leaf).or_default() += 1;
        }
        let cpu = self.computer.cpu(self.lp.get(), 0);
        let status = match cpu.seamcall(&self.module, &mut regs) {
            Exit::Completed => {
                *args = regs.args;
                Status::from_raw(regs.rax)
            }
            Exit::VmFailInvalid => Status::VMFAILINVALID,
        };
        let [_, before] = self.last.get();
        let call = rax.known_leaf().map(|leaf| (leaf, status));
        self.last.set([before, call]);
        status
    }
}

impl EnterTd for ModelBench {
    unsafe fn enter(&self, args: &mut Args) -> Status {
        // SAFETY: As for this function. The model returns all registers.
        unsafe { self.call(Leaf::VpEnter.into(), args) }
    }
}

impl Machine for ModelBench {
    fn convertible(&self, first: Pfn, pages: u64) -> bool {
        let first = first.get();
        first >= FIRST
            && first
                .checked_add(pages)
                .is_some_and(|end| end <= FIRST + self.pages)
    }

    fn keyid_shift(&self) -> u32 {
        46
    }

    fn reset(&self, _first: Pfn, _level: Level) {}

    fn clflush_before_alloc(&self) -> bool {
        let module = &self.computer.config.module;
        module.has(Features0::CLFLUSH_BEFORE_ALLOC_MASK)
    }

    fn flush_caches(&self) -> u64 {
        LPS.into()
    }
}

impl Resources for ModelBench {
    fn alloc(&self) -> Option<Pfn> {
        let mut in_use = self.pages_in_use.borrow_mut();
        let page = (FIRST..FIRST + SMALL_PAGES)
            .filter_map(Pfn::new)
            .find(|page| !in_use.contains(page))?;
        in_use.insert(page);
        self.write_words(page.pa(), &[0; 512]);
        Some(page)
    }

    fn free(&self, page: Pfn) {
        assert!(self.pages_in_use.borrow_mut().remove(&page));
        let metadata = tdh::phymem::page_rdmd(self, page).unwrap();
        assert_eq!(metadata.page_type, Some(PageType::Nda));
    }

    fn write(&self, page: Pfn, words: &[u64]) {
        self.write_words(page.pa(), words);
    }

    fn alloc_keyid(&self) -> Option<Hkid> {
        let mut in_use = self.keyids_in_use.borrow_mut();
        let hkid = (GLOBAL_KEYID + 1..=LAST_KEYID).find(|hkid| !in_use.contains(hkid))?;
        in_use.insert(hkid);
        Some(Hkid::new(hkid))
    }

    fn free_keyid(&self, hkid: Hkid) {
        assert!(self.keyids_in_use.borrow_mut().remove(&hkid.get()));
    }

    fn global_keyid(&self) -> Hkid {
        Hkid::new(GLOBAL_KEYID)
    }

    fn on_each_cpu(&self, f: &mut dyn FnMut() -> ControlFlow<()>) {
        let _ = (0..LPS).try_for_each(|lp| {
            self.lp.set(lp);
            f()
        });
        self.lp.set(0);
    }

    fn complain(&self, _leak: &Leak) {
        // Whoever tests asks the host for it.
    }
}
