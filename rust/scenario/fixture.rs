// SPDX-License-Identifier: GPL-2.0

//! A TD and the machine it is made on.

use crate::{
    abi::{
        metadata::{
            global,
            FieldId, //
        },
        td_params::{
            Attributes,
            ConfigFlags,
            EptpControls,
            TdParams, //
        },
        Gpa,
        GpaWord,
        Hkid,
        HostPa,
        KeyedPfn,
        Level,
        PageType,
        Pfn,
        Status, //
    },
    seamcall,
    sept::{
        self,
        Machine,
        Stop,
        Td, //
    },
    tdh, //
};
use core::fmt;

/// A machine to run scenarios on, with the host's resources that a TD takes.
pub trait Bench: Machine {
    /// Takes a page of zeroes from the host.
    fn alloc(&self) -> Option<Pfn>;

    /// Gives a page back to the host.
    fn free(&self, page: Pfn);

    /// Writes words to the beginning of a page of the host.
    fn write(&self, page: Pfn, words: &[u64]);

    /// Takes a KeyID for a TD.
    fn alloc_keyid(&self) -> Option<Hkid>;

    /// Gives a KeyID back.
    fn free_keyid(&self, hkid: Hkid);

    /// Returns the KeyID of the TDX module's own memory.
    fn global_keyid(&self) -> Hkid;

    /// Runs `f` on each CPU, one after the other, until one fails.
    fn on_each_cpu(&self, f: &mut dyn FnMut() -> Result<(), Fault>) -> Result<(), Fault>;
}

/// Why a scenario failed.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// No page, or no KeyID, to be had.
    Resources,
    /// A leaf that should have done its job.
    Call(seamcall::Error),
    /// An S-EPT operation that should have done its job.
    Sept(Stop),
    /// Something is not as it should be.
    Check {
        /// Source file of the check.
        file: &'static str,
        /// Line of the check.
        line: u32,
        /// The condition that does not hold.
        what: &'static str,
    },
}

impl From<seamcall::Error> for Fault {
    fn from(error: seamcall::Error) -> Self {
        Self::Call(error)
    }
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Self {
        Self::Sept(stop)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resources => f.write_str("no page or KeyID to be had"),
            Self::Call(error) => write!(f, "{error}"),
            Self::Sept(stop) => write!(f, "{stop}"),
            Self::Check { file, line, what } => write!(f, "{file}:{line}: {what}"),
        }
    }
}

/// Most pages of one kind that a scenario uses.
const MAX_PAGES: usize = 24;

/// Pages that the TD has, of one kind. There is no heap on all machines.
struct Pages {
    pages: [Option<Pfn>; MAX_PAGES],
}

impl Pages {
    const fn new() -> Self {
        Self {
            pages: [None; MAX_PAGES],
        }
    }

    fn push(&mut self, page: Pfn) -> Result<(), Fault> {
        let slot = self.pages.iter_mut().find(|slot| slot.is_none());
        *slot.ok_or(Fault::Resources)? = Some(page);
        Ok(())
    }

    fn forget(&mut self, page: Pfn) {
        for slot in self.pages.iter_mut().filter(|slot| **slot == Some(page)) {
            *slot = None;
        }
    }

    fn iter(&self) -> impl Iterator<Item = Pfn> + '_ {
        self.pages.iter().flatten().copied()
    }
}

/// A TD under test, with one vCPU if [`TestTd::add_vcpu`] was called.
pub struct TestTd<'a, B: Bench> {
    /// The machine that the TD is on.
    pub bench: &'a B,
    /// The TD.
    pub td: Td,
    vcpu: Option<Pfn>,
    control: Pages,
    tables: Pages,
    private: Pages,
}

/// Runs `body` on a new TD, and tears the TD down whatever comes out.
///
/// # Errors
///
/// What was not as it should be, in `body` or around it.
pub fn with_td<B: Bench>(
    bench: &B,
    body: impl FnOnce(&mut TestTd<'_, B>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut td = TestTd::new(bench)?;
    let outcome = body(&mut td);
    let torn_down = td.tear_down();
    outcome.and(torn_down)
}

impl<'a, B: Bench> TestTd<'a, B> {
    /// Makes a TD that is initialised: pages can be added.
    fn new(bench: &'a B) -> Result<Self, Fault> {
        let hkid = bench.alloc_keyid().ok_or(Fault::Resources)?;
        let tdr = bench.alloc().ok_or(Fault::Resources)?;
        let mut td = Self {
            bench,
            td: Td { tdr, hkid },
            vcpu: None,
            control: Pages::new(),
            tables: Pages::new(),
            private: Pages::new(),
        };

        // SAFETY: The page was just allocated, and is freed after it was reclaimed.
        unsafe { tdh::mng::create(bench, tdr, hkid) }?;
        bench.on_each_cpu(&mut || match tdh::mng::key_config(bench, tdr) {
            // The CPUs before have configured the key on all packages.
            Err(error) if error.status.is(Status::LIFECYCLE_STATE_INCORRECT) => Ok(()),
            result => Ok(result.map(|_| ())?),
        })?;
        for _ in 0..td.pages_of(global::TDCS_BASE_SIZE)? {
            let page = td.alloc_control()?;
            // SAFETY: As above.
            unsafe { tdh::mng::addcx(bench, tdr, page) }?;
        }

        let params = TdParams::new(
            Attributes::from_raw(tdh::sys::rd(bench, global::ATTRIBUTES_FIXED1)?),
            tdh::sys::rd(bench, global::XFAM_FIXED1)?,
            1,
            EptpControls::from_raw(EptpControls::MT_WB).with_const_walk_length::<3>(),
            ConfigFlags::from_raw(0),
            100,
        );
        let page = bench.alloc().ok_or(Fault::Resources)?;
        bench.write(page, params.words());
        let initialised = tdh::mng::init(bench, tdr, HostPa::page(page));
        bench.free(page);
        initialised?;
        Ok(td)
    }

    /// Number of pages of a control structure whose size is a field of the module.
    fn pages_of(&self, size: FieldId) -> Result<u64, Fault> {
        Ok(tdh::sys::rd(self.bench, size)? / Level::K4.size())
    }

    fn alloc_control(&mut self) -> Result<Pfn, Fault> {
        let page = self.bench.alloc().ok_or(Fault::Resources)?;
        self.control.push(page)?;
        Ok(page)
    }

    /// Creates and initialises a vCPU.
    ///
    /// # Errors
    ///
    /// A leaf that did not do its job.
    pub fn add_vcpu(&mut self) -> Result<(), Fault> {
        let tdvpr = self.alloc_control()?;
        // SAFETY: The page was just allocated, and is freed after it was reclaimed.
        unsafe { tdh::vp::create(self.bench, self.td.tdr, tdvpr) }?;
        // The TDVPR is one of the pages.
        for _ in 1..self.pages_of(global::TDVPS_BASE_SIZE)? {
            let page = self.alloc_control()?;
            // SAFETY: As above.
            unsafe { tdh::vp::addcx(self.bench, tdvpr, page) }?;
        }
        tdh::vp::init(self.bench, tdvpr, 0, 0)?;
        self.vcpu = Some(tdvpr);
        Ok(())
    }

    /// Returns the root page of the vCPU.
    pub fn vcpu(&self) -> Option<Pfn> {
        self.vcpu
    }

    /// Links table pages from the root down to the one that maps 4 KiB pages at `gpa`.
    ///
    /// # Errors
    ///
    /// An operation that did not do its job.
    pub fn link_tables(&mut self, gpa: Gpa) -> Result<(), Fault> {
        for level in [Level::G512, Level::G1, Level::M2] {
            self.link_table(gpa.align_down(level), level)?;
        }
        Ok(())
    }

    /// Links a table page below the entry of `level` at `gpa`.
    ///
    /// # Errors
    ///
    /// An operation that did not do its job.
    pub fn link_table(&mut self, gpa: Gpa, level: Level) -> Result<(), Fault> {
        let table = self.alloc_table()?;
        // SAFETY: The page was just allocated, and is freed after it was reclaimed.
        Ok(unsafe { sept::link(self.bench, &self.td, gpa, level, table) }?)
    }

    /// Allocates a page that is going to be a table page of the TD.
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn alloc_table(&mut self) -> Result<Pfn, Fault> {
        let table = self.bench.alloc().ok_or(Fault::Resources)?;
        self.tables.push(table)?;
        Ok(table)
    }

    /// Allocates a page that is going to be private memory of the TD.
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn alloc_private(&mut self) -> Result<Pfn, Fault> {
        let page = self.bench.alloc().ok_or(Fault::Resources)?;
        self.private.push(page)?;
        Ok(page)
    }

    /// Frees a page that was private memory and was removed, or never became so.
    pub fn free_private(&mut self, page: Pfn) {
        self.private.forget(page);
        self.bench.free(page);
    }

    /// Reads the entry of `level` at `gpa`.
    ///
    /// # Errors
    ///
    /// EPT_WALK_FAILED if a table above it is missing or blocked.
    pub fn entry(&self, gpa: Gpa, level: Level) -> Result<tdh::mem::SeptEntry, seamcall::Error> {
        let at = GpaWord::from_raw(gpa.get() | level.raw());
        tdh::mem::sept_rd(self.bench, self.td.tdr, at)
    }

    /// Returns what the TDX module uses a page for.
    ///
    /// # Errors
    ///
    /// A leaf that did not do its job.
    pub fn type_of(&self, page: Pfn) -> Result<Option<PageType>, Fault> {
        Ok(tdh::phymem::page_rdmd(self.bench, page)?.page_type)
    }

    /// Takes a page back that the TD may or may not have, and gives it to the host.
    fn take_back(&self, page: Pfn) -> Result<(), Fault> {
        if self.type_of(page)? != Some(PageType::Nda) {
            tdh::phymem::page_reclaim(self.bench, page)?;
            self.bench.reset(page, Level::K4);
        }
        self.bench.free(page);
        Ok(())
    }

    /// Ends the TD, and gives all pages and the KeyID back. What the TDX module keeps is leaked.
    fn tear_down(self) -> Result<(), Fault> {
        let Td { tdr, hkid } = self.td;
        let bench = self.bench;
        if let Some(tdvpr) = self.vcpu {
            bench.on_each_cpu(&mut || Ok(tdh::vp::flush(bench, tdvpr).map(|_| ())?))?;
        }
        tdh::mng::vpflushdone(bench, tdr)?;
        bench.on_each_cpu(&mut || Ok(tdh::phymem::cache_wb(bench).map(|_| ())?))?;
        tdh::mng::key_freeid(bench, tdr)?;

        for page in self.private.iter().chain(self.control.iter()) {
            self.take_back(page)?;
        }
        for table in self.tables.iter() {
            // A table that was refused is still the host's.
            if self.type_of(table)? == Some(PageType::Ept) {
                sept::free_table(bench, table)?;
            }
            bench.free(table);
        }
        tdh::phymem::page_reclaim(bench, tdr)?;
        // The TDR is not encrypted with the TD's own key.
        let keyed = KeyedPfn::new(tdr, bench.global_keyid(), bench.keyid_shift());
        tdh::phymem::page_wbinvd(bench, keyed.ok_or(Fault::Resources)?)?;
        bench.reset(tdr, Level::K4);
        bench.free(tdr);
        bench.free_keyid(hkid);
        Ok(())
    }
}
