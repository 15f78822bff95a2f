// SPDX-License-Identifier: GPL-2.0

//! The machine that the kernel runs on, as the model's [`Platform`].

use super::{
    cpu, ffi,
    inject::{
        self,
        rule::Kind, //
    },
    model::{
        options::Options,
        platform::{
            Abilities,
            Config,
            KeyError,
            Lp,
            Platform,
            Range,
            MAX_CMRS,
            MAX_PACKAGES, //
        },
        profile::Shape,
        run::root,
        tdcs::Tdcs,
        tdvps::Tdvps, //
    },
    once::Once,
    run::{
        self,
        Runner, //
    },
    window::{
        Memory,
        View, //
    },
};
use crate::{
    abi::{
        Level,
        Status, //
    },
    tsc, //
};
use core::cell::Cell;
use kernel::{
    bindings,
    interrupt::local_interrupt_disable,
    prelude::*,
    types::NotThreadSafe, //
};

/// Physical memory below this is not reported as convertible, as on hardware.
const FIRST_CMR: u64 = 1 << 20;

/// Width of a physical address with its KeyID, as the TDX module counts.
const PA_BITS: u32 = 52;

/// Steps in which a package's caches are written back.
const CACHE_WB_BLOCKS: u32 = 8;

/// In the place of a leaf, for looking at TDX memory: no leaf has this number.
pub(super) const NO_LEAF: u16 = u16::MAX;

/// What is known of the machine once the simulator has started.
pub(super) struct Host {
    memory: Memory,
    config: Config,
    has_vmx: bool,
    backend_start: u64,
    backend_size: u64,
    runner: Option<Runner>,
}

static HOST: Once<Host> = Once::new();

/// The machine, once the simulator has started.
#[inline]
pub(super) fn host() -> Option<&'static Host> {
    HOST.get()
}

/// Looks at the machine and makes windows on its memory.
pub(super) fn start() -> Result {
    let mut facts = ffi::Facts::default();
    // SAFETY: `facts` is ours.
    unsafe { ffi::tdx_sim_get_facts(&mut facts) };
    let memory = Memory::new(facts.pte_flags)?;
    let runner = Runner::new(&facts)?;
    facts.xfeatures &= !runner.as_ref().map_or(0, Runner::not_switched);
    let config = config(&facts, &memory)?;
    let host = Host {
        memory,
        config,
        has_vmx: facts.has_vmx,
        backend_start: facts.backend_start,
        backend_size: facts.backend_size,
        runner,
    };
    if let Err(unable) = root::able(host.runner.as_ref().map(Runner::abilities)) {
        pr_info!("TDs can be built here, not run: {}\n", unable.reason());
    }
    HOST.set(host)
}

/// The TDX module that the boot parameters ask for.
fn module() -> Result<Shape> {
    // SAFETY: The parameters live for ever, and do not change.
    let given = unsafe { &*ffi::tdx_sim_get_options() };
    // SAFETY: So do the strings.
    let text = |string| unsafe { CStr::from_char_ptr(string) }.to_str();
    let options = Options {
        profile: text(given.profile)?,
        version: text(given.version)?,
        features: text(given.features)?,
        max_tdmrs: given.max_tdmrs,
        max_reserved_per_tdmr: given.max_reserved_per_tdmr,
        pamt_entry_size: given.pamt_entry_size,
        tdcs_pages: given.tdcs_pages,
        tdvps_pages: given.tdvps_pages,
    };
    let shape = options.shape().map_err(|refusal| {
        pr_err!("{}\n", core::format_args!("{refusal}"));
        EINVAL
    })?;
    pr_info!("{}\n", core::format_args!("{shape}"));
    if let Some(missing) = shape.missing_for_linux() {
        pr_warn!("Linux cannot use a TDX module without {missing}\n");
    }
    Ok(shape)
}

fn config(facts: &ffi::Facts, memory: &Memory) -> Result<Config> {
    if facts.nr_packages as usize > MAX_PACKAGES {
        pr_err!(
            "{} packages are more than the module takes\n",
            facts.nr_packages
        );
        return Err(EINVAL);
    }
    let mut cmrs = [Range::default(); MAX_CMRS];
    let convertible = memory.ram().iter().filter_map(|ram| {
        let end = ram.base.saturating_add(ram.size);
        let base = ram.base.max(FIRST_CMR);
        let size = end.checked_sub(base).filter(|&size| size != 0)?;
        Some(Range { base, size })
    });
    for (i, range) in convertible.enumerate() {
        let Some(cmr) = cmrs.get_mut(i) else {
            pr_warn!("only the first {MAX_CMRS} ranges of RAM are convertible\n");
            break;
        };
        *cmr = range;
    }
    let keyid_bits = PA_BITS.checked_sub(facts.phys_bits).ok_or(EINVAL)?;
    Ok(Config {
        module: module()?,
        keyid_shift: facts.phys_bits as u8,
        keyid_bits: keyid_bits as u8,
        first_private_keyid: facts.first_private_keyid.try_into()?,
        nr_private_keyids: facts.nr_private_keyids.try_into()?,
        nr_lps: facts.nr_cpus,
        nr_packages: facts.nr_packages,
        fms: facts.cpuid_fms,
        cmrs,
        // The simulator is part of the kernel: no memory is set aside for it.
        seamrr: Range::default(),
        xfam: facts.xfeatures,
        tsc_hz: facts.tsc_hz,
        ept5: facts.has_ept5,
        cache_wb_blocks: CACHE_WB_BLOCKS,
    })
}

impl Host {
    /// The facts that the model goes by.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// The package of logical processor `lp`, if there is one.
    pub(super) fn package(&self, lp: u32) -> Option<u32> {
        // SAFETY: A number below that of the present CPUs is one of theirs.
        (lp < self.config.nr_lps).then(|| unsafe { ffi::tdx_sim_package(lp) })
    }

    /// Whether the CPU lets SEAMCALL pass: one that has VMX and is not in VMX operation raises #UD. A CPU
    /// without VMX gets here on a simulated platform only.
    #[inline]
    pub(super) fn allows_seamcall(&self) -> bool {
        !self.has_vmx || cpu::in_vmx_operation()
    }

    /// Whether `address` is in the SEAMCALL entry that the TDX core has for S-EPT backends.
    #[inline]
    pub(super) fn is_backend_code(&self, address: u64) -> bool {
        address.wrapping_sub(self.backend_start) < self.backend_size
    }

    /// Returns the machine as seen from this CPU, number `cpu`, or `None` if too many contexts of this CPU use
    /// it already.
    ///
    /// `leaf` is that of the SEAMCALL, and `interrupts` says whether interrupts were on there.
    ///
    /// # Safety
    ///
    /// This CPU must have that number, and interrupts must be off until the result is dropped.
    #[inline]
    pub(super) unsafe fn machine(
        &self,
        cpu: u32,
        leaf: u16,
        interrupts: bool,
    ) -> Option<Machine<'_>> {
        Some(Machine {
            // SAFETY: By the requirements of this function, this stays the current CPU.
            view: unsafe { self.memory.view(cpu as usize) }?,
            config: &self.config,
            runner: self.runner.as_ref(),
            cpu,
            leaf,
            interrupts,
            injected: Cell::new(false),
            _not_send: NotThreadSafe,
        })
    }

    /// Runs `f`, which has to be short, on the machine with interrupts off.
    ///
    /// For looking at TDX memory from a task; returns `None` if that is not possible.
    pub(super) fn with_machine<R>(&self, f: impl FnOnce(&Machine<'_>) -> R) -> Option<R> {
        let _off = local_interrupt_disable();
        // SAFETY: Interrupts are off until this function returns, and so it stays on this CPU.
        unsafe { self.machine(cpu::this_cpu(), NO_LEAF, false) }.map(|machine| f(&machine))
    }
}

/// The machine as seen from a CPU in one context.
///
/// # Invariants
///
/// This CPU is number `cpu`, and has interrupts off.
pub(super) struct Machine<'a> {
    view: View<'a>,
    config: &'a Config,
    runner: Option<&'a Runner>,
    cpu: u32,
    leaf: u16,
    interrupts: bool,
    /// Whether an injected fault was met.
    injected: Cell<bool>,
    _not_send: NotThreadSafe,
}

impl Machine<'_> {
    /// The number of this CPU.
    pub(super) fn cpu(&self) -> u32 {
        self.cpu
    }

    /// Tells whether a rule of fault injection strikes this event, and with which status.
    #[inline]
    pub(super) fn strikes(&self, kind: Kind) -> Option<Status> {
        let status = inject::strikes(kind, self.leaf)?;
        self.injected.set(true);
        Some(status)
    }

    /// Whether a rule of fault injection has struck.
    #[inline]
    pub(super) fn is_injected(&self) -> bool {
        self.injected.get()
    }

    /// Copies words at `pa` that are in one page; `false` if it is not RAM.
    pub(super) fn read_words(&self, pa: u64, words: &mut [u64]) -> bool {
        self.view.read_words(pa, words)
    }

    /// Writes words at `pa` that are in one page, where there is RAM.
    pub(super) fn write_words(&self, pa: u64, words: &[u64]) {
        self.view.write_words(pa, words);
    }
}

impl Platform for Machine<'_> {
    #[inline]
    fn load(&self, pa: u64) -> u64 {
        self.view.load(pa)
    }

    #[inline]
    fn store(&self, pa: u64, value: u64) {
        self.view.store(pa, value);
    }

    #[inline]
    fn cmpxchg(&self, pa: u64, old: u64, new: u64) -> Result<u64, u64> {
        self.view.cmpxchg(pa, old, new)
    }

    fn copy_page(&self, dst: u64, src: u64) {
        self.view.copy_page(dst, src);
    }

    fn fill_page(&self, pa: u64, word: u64) {
        self.view.fill_page(pa, word);
    }

    fn sha512_block(&self, state: &mut [u64; 8], block: &[u8; 128]) {
        let mut ctx = bindings::__sha512_ctx::default();
        ctx.state.h = *state;
        // SAFETY: `ctx` is at a block boundary, and `block` has the length of one.
        let mut update = || unsafe {
            bindings::__sha512_update(&mut ctx, block.as_ptr(), block.len());
        };
        // The kernel hashes with vector registers where it may.
        match self.runner {
            Some(runner) => runner.with_host_state(self, update),
            None => update(),
        }
        *state = ctx.state.h;
    }

    fn random(&self) -> Option<u64> {
        if self.strikes(Kind::NoEntropy).is_some() {
            return None;
        }
        let mut value = 0;
        // SAFETY: `value` is ours.
        unsafe { ffi::tdx_sim_random(&mut value) }.then_some(value)
    }

    fn tsc(&self) -> u64 {
        tsc::now()
    }

    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4] {
        cpu::cpuid(leaf, subleaf)
    }

    fn lp(&self) -> Lp {
        Lp {
            index: self.cpu,
            // SAFETY: By the type invariants, there is a CPU of that number.
            package: unsafe { ffi::tdx_sim_package(self.cpu) },
        }
    }

    fn interrupt_pending(&self) -> bool {
        self.strikes(Kind::Interrupt).is_some()
            || self.interrupts && ffi::tdx_sim_interrupt_pending()
    }

    fn config_key(&self, _hkid: u16) -> Result<(), KeyError> {
        // Memory is not encrypted, so there is no key to make that could fail by itself.
        match self.strikes(Kind::NoEntropy) {
            Some(_) => Err(KeyError::Entropy),
            None => Ok(()),
        }
    }

    fn set_host_access(&self, pa: u64, level: Level, allowed: bool) {
        // SAFETY: The model says so when memory comes into TDX hands and when it leaves them. By the type
        // invariants, interrupts are off.
        unsafe { ffi::tdx_sim_set_host_access(pa, level.pages(), allowed) };
    }

    fn msr(&self, msr: u32) -> u64 {
        run::msr(msr)
    }

    fn host_xmm(&self, number: u32) -> [u64; 2] {
        cpu::xmm(number)
    }

    fn set_host_xmm(&self, number: u32, value: [u64; 2]) {
        // SAFETY: A host that enters a TD has saved what it needs.
        unsafe { cpu::set_xmm(number, value) };
    }

    fn abilities(&self) -> Option<Abilities> {
        self.runner.map(Runner::abilities)
    }

    fn load_guest(&self, tdcs: &Tdcs<'_, Self>, tdvps: &Tdvps<'_, Self>) {
        if let Some(runner) = self.runner {
            runner.load_guest(self, tdcs, tdvps);
        }
    }

    fn save_guest(&self, tdcs: &Tdcs<'_, Self>, tdvps: &Tdvps<'_, Self>) {
        if let Some(runner) = self.runner {
            runner.save_guest(self, tdcs, tdvps);
        }
    }

    fn run(&self, tdcs: &Tdcs<'_, Self>, tdvps: &Tdvps<'_, Self>, flush: bool) {
        if let Some(runner) = self.runner {
            runner.run(self, tdcs, tdvps, flush);
        }
    }

    fn config(&self) -> &Config {
        self.config
    }
}
