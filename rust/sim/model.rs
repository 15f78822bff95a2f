// SPDX-License-Identifier: GPL-2.0

//! The TDX module's rules.
//!
//! The model keeps its state where the TDX module keeps it: in the pages that the host donated,
//! plus [`Module`]. It needs no heap, never waits, and reaches memory through [`Platform`] only.
//! One small file for each leaf function makes the leaf's checks in the documented order.

pub mod by_leaf;
pub mod check;
pub mod field;
pub mod kot;
pub mod lock;
pub mod mem;
pub mod metadata;
pub mod mng;
pub mod mr;
pub mod mrtd;
pub mod options;
pub mod pages;
pub mod pamt;
pub mod phymem;
pub mod platform;
pub mod profile;
pub mod run;
pub mod sept;
pub mod sha384;
pub mod sys;
pub mod td;
pub mod tdcs;
pub mod tdg;
pub mod tdmr;
pub mod tdr;
pub mod tdvps;
pub mod vmx;
pub mod vp;
pub mod wbt;

#[cfg(test)]
mod tests;

use crate::abi::{
    Args,
    Leaf,
    Operand,
    Rax,
    Status, //
};
use core::sync::atomic::{
    AtomicU64,
    Ordering::{
        Acquire,
        Relaxed,
        Release, //
    }, //
};
use kot::Kot;
use lock::{
    Guard,
    Lock,
    Mode,
    Word, //
};
use platform::{
    KeyError,
    Platform,
    MAX_PACKAGES, //
};
use sha384::{
    Digest,
    DIGEST_WORDS, //
};
use tdmr::Tdmrs;
use wbt::Wbt;

/// What the module is ready for. TDX ABI: "TDX Module Lifecycle".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SysState {
    /// Waits for TDH.SYS.INIT.
    InitPending = 0,
    /// Waits for TDH.SYS.LP.INIT on all logical processors, and TDH.SYS.CONFIG.
    InitDone = 1,
    /// Waits for TDH.SYS.KEY.CONFIG on all packages.
    ConfigDone = 2,
    /// Up and running.
    Ready = 3,
    /// Shut down; an updated module may take over.
    Shutdown = 4,
    /// Disabled by TDH.SYS.DISABLE: SEAMCALL fails.
    Disabled = 5,
}

/// Logical processors that the module has room for.
pub const MAX_LPS: u32 = 4096;

/// The module's own memory.
pub struct Module {
    global: AtomicU64,
    state: AtomicU64,
    /// Logical processors that ran TDH.SYS.LP.INIT: a bit for each, and their number.
    lps: [AtomicU64; MAX_LPS as usize / 64],
    nr_lps: AtomicU64,
    /// Packages that ran TDH.SYS.KEY.CONFIG, a bit for each.
    packages: AtomicU64,
    /// The global private KeyID.
    hkid: AtomicU64,
    /// IA32_TSC_ADJUST when the module was initialised.
    tsc_adjust: AtomicU64,
    /// The key of the MAC in TDREPORTs, made at TDH.SYS.INIT.
    report_key: [AtomicU64; DIGEST_WORDS],
    /// The key ownership table.
    pub kot: Kot,
    /// Interrupted write-backs of caches, by package.
    pub wbt: [Wbt; MAX_PACKAGES],
    /// The memory that TDX covers.
    pub tdmrs: Tdmrs,
}

/// All registers that a SEAMCALL of a host takes and returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Regs {
    /// RAX: leaf and version on entry, completion status on exit.
    pub rax: u64,
    /// The registers that take and return operands, and most of the others.
    pub args: Args,
    /// RBP, which belongs to the guest only if its TD was made so.
    pub rbp: u64,
}

/// How a SEAMCALL ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The module has run; RAX holds the completion status.
    Completed,
    /// There is no module to run: CF is 1, and no register has changed.
    VmFailInvalid,
}

/// What a leaf works with.
pub struct Ctx<'a, P> {
    /// The module's memory.
    pub module: &'a Module,
    /// The machine.
    pub p: &'a P,
    /// Version of the leaf's interface that the host asks for.
    pub version: u8,
}

/// What a leaf ends with: any completion status other than SUCCESS, informational ones too, ends it
/// at once.
pub type Completion = Result<(), Status>;

impl Module {
    /// A module that was just loaded.
    pub const fn new() -> Self {
        Self {
            global: AtomicU64::new(0),
            state: AtomicU64::new(SysState::InitPending as u64),
            lps: [const { AtomicU64::new(0) }; MAX_LPS as usize / 64],
            nr_lps: AtomicU64::new(0),
            packages: AtomicU64::new(0),
            hkid: AtomicU64::new(0),
            tsc_adjust: AtomicU64::new(0),
            report_key: [const { AtomicU64::new(0) }; DIGEST_WORDS],
            kot: Kot::new(),
            wbt: [const { Wbt::new() }; MAX_PACKAGES],
            tdmrs: Tdmrs::new(),
        }
    }

    /// The lock of the module as a whole.
    pub fn global_lock(&self) -> Lock<&AtomicU64, 0, false> {
        Lock::new(&self.global)
    }

    /// Takes the lock of the module as a whole for a leaf.
    fn lock(&self, mode: Mode) -> Result<Guard<&AtomicU64, 0, false>, Status> {
        self.global_lock().acquire(mode).ok_or(Status::SYS_BUSY)
    }

    /// What the module is ready for.
    #[inline]
    pub fn state(&self) -> SysState {
        match self.state.load(Acquire) {
            0 => SysState::InitPending,
            1 => SysState::InitDone,
            2 => SysState::ConfigDone,
            3 => SysState::Ready,
            4 => SysState::Shutdown,
            _ => SysState::Disabled,
        }
    }

    fn set_state(&self, state: SysState) {
        self.state.store(state as u64, Release);
    }

    /// The global private KeyID, valid once TDH.SYS.CONFIG has succeeded.
    pub fn hkid(&self) -> u16 {
        self.hkid.load(Relaxed) as u16
    }

    /// IA32_TSC_ADJUST when the module was initialised, which all processors have to keep.
    pub fn tsc_adjust(&self) -> u64 {
        self.tsc_adjust.load(Relaxed)
    }

    /// The key of the MAC in TDREPORTs.
    pub fn report_key(&self) -> Digest {
        self.report_key.each_ref().map(|word| word.load(Relaxed))
    }

    fn set_report_key(&self, key: Digest) {
        for (to, word) in self.report_key.iter().zip(key) {
            to.store(word, Relaxed);
        }
    }

    fn set_tsc_adjust(&self, value: u64) {
        self.tsc_adjust.store(value, Relaxed);
    }

    /// Number of logical processors that ran TDH.SYS.LP.INIT.
    pub fn nr_lps(&self) -> u64 {
        self.nr_lps.load(Acquire)
    }

    fn lp_bit(&self, lp: u32) -> (Option<&AtomicU64>, u64) {
        (self.lps.get(lp as usize / 64), 1 << (lp % 64))
    }

    /// Whether a logical processor ran TDH.SYS.LP.INIT.
    pub fn is_lp_initialized(&self, lp: u32) -> bool {
        let (word, bit) = self.lp_bit(lp);
        word.is_some_and(|word| word.load(Acquire) & bit != 0)
    }

    /// Records that a logical processor ran TDH.SYS.LP.INIT.
    fn set_lp_initialized(&self, lp: u32) {
        let (word, bit) = self.lp_bit(lp);
        if word.is_some_and(|word| word.fetch_or(bit, Release) & bit == 0) {
            (&self.nr_lps).add(1);
        }
    }

    /// Executes a SEAMCALL.
    pub fn seamcall<P: Platform>(&self, p: &P, regs: &mut Regs) -> Exit {
        let rax = Rax::from_raw(regs.rax);
        let state = self.state();
        if rax.into_raw() & Rax::SEAMLDR_MASK != 0 || state == SysState::Disabled {
            return Exit::VmFailInvalid;
        }
        let status = match self.dispatch(p, rax, state, regs) {
            Ok(()) => Status::SUCCESS,
            Err(status) => status,
        };
        regs.rax = status.raw();
        Exit::Completed
    }

    /// TDX ABI: "SEAMCALL instruction, interface function leaf number and version".
    fn dispatch<P: Platform>(
        &self,
        p: &P,
        rax: Rax,
        state: SysState,
        regs: &mut Regs,
    ) -> Completion {
        let invalid = Status::OPERAND_INVALID.with(Operand::RAX);
        if rax.into_raw() & Rax::RESERVED != 0 {
            return Err(invalid);
        }
        let version = (rax.into_raw() >> Rax::VERSION_SHIFT) as u8;
        let module = &p.config().module;
        let leaf = rax.known_leaf();
        if version > 0 && leaf.and_then(|leaf| module.max_version(leaf)).unwrap_or(0) == 0 {
            return Err(invalid);
        }
        if state == SysState::Shutdown && leaf != Some(Leaf::SysLpShutdown) {
            return Err(Status::SYS_SHUTDOWN);
        }
        if state != SysState::Ready && !leaf.is_some_and(works_before_ready) {
            return Err(Status::SYS_NOT_READY);
        }
        let leaf = leaf
            .filter(|leaf| module.max_version(*leaf).is_some())
            .ok_or(invalid)?;
        let cx = &Ctx {
            module: self,
            p,
            version,
        };
        let args = &mut regs.args;
        match leaf {
            Leaf::MemPageAdd => mem::page_add::leaf(cx, args),
            Leaf::MemPageAug => mem::page_aug::leaf(cx, args),
            Leaf::MemPageDemote => mem::page_demote::leaf(cx, args),
            Leaf::MemPagePromote => mem::page_promote::leaf(cx, args),
            Leaf::MemPageRelocate => mem::page_relocate::leaf(cx, args),
            Leaf::MemPageRemove => mem::page_remove::leaf(cx, args),
            Leaf::MemRangeBlock => mem::range_block::leaf(cx, args),
            Leaf::MemRangeUnblock => mem::range_unblock::leaf(cx, args),
            Leaf::MemRd => mem::rd::leaf(cx, args),
            Leaf::MemSeptAdd => mem::sept_add::leaf(cx, args),
            Leaf::MemSeptRd => mem::sept_rd::leaf(cx, args),
            Leaf::MemSeptRemove => mem::sept_remove::leaf(cx, args),
            Leaf::MemTrack => mem::track::leaf(cx, args),
            Leaf::MemWr => mem::wr::leaf(cx, args),
            Leaf::MngAddcx => mng::addcx::leaf(cx, args),
            Leaf::MngCreate => mng::create::leaf(cx, args),
            Leaf::MngInit => mng::init::leaf(cx, args),
            Leaf::MngKeyConfig => mng::key_config::leaf(cx, args),
            Leaf::MngKeyFreeid => mng::key_freeid::leaf(cx, args),
            // TDX ABI: TDH.MNG.KEY.RECLAIMID does nothing and is kept for compatibility.
            Leaf::MngKeyReclaimid => Ok(()),
            Leaf::MngRd => mng::rd::leaf(cx, args),
            Leaf::MngVpflushdone => mng::vpflushdone::leaf(cx, args),
            Leaf::MngWr => mng::wr::leaf(cx, args),
            Leaf::MrExtend => mr::extend::leaf(cx, args),
            Leaf::MrFinalize => mr::finalize::leaf(cx, args),
            Leaf::PhymemCacheWb => phymem::cache_wb::leaf(cx, args),
            Leaf::PhymemPageRdmd => phymem::page_rdmd::leaf(cx, args),
            Leaf::PhymemPageReclaim => phymem::page_reclaim::leaf(cx, args),
            Leaf::PhymemPageWbinvd => phymem::page_wbinvd::leaf(cx, args),
            Leaf::SysConfig => sys::config::leaf(cx, args),
            Leaf::SysDisable => sys::disable::leaf(cx),
            Leaf::SysInfo => sys::info::leaf(cx, args),
            Leaf::SysInit => sys::init::leaf(cx, args),
            Leaf::SysKeyConfig => sys::key_config::leaf(cx),
            Leaf::SysLpInit => sys::lp_init::leaf(cx, args),
            // TDX ABI: TDH.SYS.LP.SHUTDOWN. Module 1.5.01 accepts it at any time and goes on as
            // before.
            Leaf::SysLpShutdown => Ok(()),
            Leaf::SysRd => sys::rd::leaf(cx, args),
            Leaf::SysRdall => sys::rdall::leaf(cx, args),
            Leaf::SysShutdown => sys::shutdown::leaf(cx, args),
            Leaf::SysTdmrInit => sys::tdmr_init::leaf(cx, args),
            Leaf::SysUpdate => sys::update::leaf(cx),
            Leaf::VpAddcx => vp::addcx::leaf(cx, args),
            Leaf::VpCreate => vp::create::leaf(cx, args),
            Leaf::VpEnter => vp::enter::leaf(cx, regs),
            Leaf::VpFlush => vp::flush::leaf(cx, args),
            Leaf::VpInit => vp::init::leaf(cx, args),
            Leaf::VpRd => vp::rd::leaf(cx, args),
            Leaf::VpWr => vp::wr::leaf(cx, args),
            // Migration and service TDs, which the model does not have.
            _ => Err(invalid),
        }
    }
}

impl Default for Module {
    fn default() -> Self {
        Self::new()
    }
}

/// The leaves that work before the module is READY.
fn works_before_ready(leaf: Leaf) -> bool {
    matches!(
        leaf,
        Leaf::SysKeyConfig
            | Leaf::SysInfo
            | Leaf::SysInit
            | Leaf::SysRd
            | Leaf::SysLpInit
            | Leaf::SysRdall
            | Leaf::SysLpShutdown
            | Leaf::SysConfig
            | Leaf::SysUpdate
            | Leaf::SysDisable
    )
}

impl<P: Platform> Ctx<'_, P> {
    /// A bit for the package that this processor is in.
    pub fn package_bit(&self) -> u64 {
        1u64.checked_shl(self.p.lp().package).unwrap_or(0)
    }

    /// Configures a new key for a KeyID on this package.
    pub fn config_key(&self, hkid: u16) -> Completion {
        self.p.config_key(hkid).map_err(|error| match error {
            KeyError::Busy => Status::OPERAND_BUSY.with(Operand::KET),
            KeyError::Entropy => Status::KEY_GENERATION_FAILED,
        })
    }

    /// The check that leaves of several versions make: there are versions 0 and 1.
    pub fn check_version(&self) -> Completion {
        if self.version <= 1 {
            Ok(())
        } else {
            Err(Status::OPERAND_INVALID.with(Operand::RAX))
        }
    }
}
