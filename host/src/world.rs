// SPDX-License-Identifier: GPL-2.0

//! A machine together with its TDX module, which tests can copy.

use crate::{
    abi::{
        Args,
        Leaf,
        Rax,
        Status, //
    },
    conformance, layout,
    platform::{
        Cpu,
        Machine, //
    },
    sim::model::{
        platform::Profile,
        Exit,
        Module,
        Regs, //
    },
};
use std::sync::atomic::{
    AtomicU64,
    Ordering::Relaxed, //
};

/// Where TDMR_INFO is, and the array that points to it.
pub const TDMR_INFO: u64 = 0x0100_0000;
/// See [`TDMR_INFO`].
pub const TDMR_ARRAY: u64 = 0x0100_1000;
/// The global private KeyID.
pub const GLOBAL_HKID: u64 = 32;
const TDMR_SIZE: u64 = 1 << 30;

/// A machine with a TDX module.
pub struct World {
    /// The machine.
    pub machine: Machine,
    /// The module.
    pub module: Box<Module>,
}

impl World {
    /// A machine that was just booted, with `gib` GiB of memory for TDs.
    pub fn new(profile: Profile, gib: u64) -> Self {
        Self {
            machine: Machine::new(layout::config(profile, gib), layout::RAM_SIZE),
            module: Box::new(Module::new()),
        }
    }

    /// Another machine in the same state. Nobody may be inside the module.
    pub fn copy(&self) -> Self {
        // SAFETY: The module is plain words without pointers, and it drops nothing: reading them all
        // gives a valid value of it.
        let module = unsafe { std::ptr::read(&*self.module) };
        let mut machine = Machine::with_ram(self.machine.config.clone(), self.machine.ram.clone());
        machine.cpuid.clone_from(&self.machine.cpuid);
        Self {
            machine,
            module: Box::new(module),
        }
    }

    /// The words that the module's own memory holds.
    pub fn module_words(&self) -> Vec<u64> {
        let module: *const Module = &*self.module;
        (0..size_of::<Module>() / 8)
            // SAFETY: The module is nothing but words, aligned as such.
            .map(|i| unsafe { module.cast::<AtomicU64>().add(i).as_ref() })
            .map(|word| word.map_or(0, |word| word.load(Relaxed)))
            .collect()
    }

    /// Writes a word of memory as a host program does.
    pub fn poke(&self, pa: u64, word: u64) {
        self.machine.poke(pa, word);
    }

    /// Logical processor `lp`; they take turns with the packages.
    pub fn cpu(&self, lp: u32) -> Cpu<'_> {
        self.machine.cpu(lp, lp % self.machine.config.nr_packages)
    }

    /// A SEAMCALL on logical processor `lp`: completion status and registers.
    ///
    /// # Panics
    ///
    /// If there is no module to call any more, or if it gives an answer that is not in the table of
    /// the leaf's checks.
    pub fn call(&self, lp: u32, rax: Rax, args: Args) -> (Status, Args) {
        let mut regs = Regs {
            rax: rax.into_raw(),
            args,
            ..Regs::default()
        };
        let exit = self.cpu(lp).seamcall(&self.module, &mut regs);
        assert_eq!(exit, Exit::Completed);
        let status = Status::from_raw(regs.rax);
        assert!(
            conformance::knows(rax.known_leaf(), status),
            "{:?} ends with {status}, which the table of its checks lacks",
            rax.known_leaf()
        );
        (status, regs.args)
    }

    /// A SEAMCALL on logical processor 0, with RCX, RDX, R8 and R9 from `inputs`.
    ///
    /// # Panics
    ///
    /// If it does not succeed.
    pub fn ok(&self, leaf: Leaf, inputs: &[u64]) -> Args {
        let input = |i| inputs.get(i).copied().unwrap_or(0);
        let args = Args {
            rcx: input(0),
            rdx: input(1),
            r8: input(2),
            r9: input(3),
            ..Args::default()
        };
        let (status, args) = self.call(0, Rax::from(leaf), args);
        assert_eq!(status, Status::SUCCESS, "{}", leaf.name());
        args
    }

    /// Writes what TDH.SYS.CONFIG needs: one TDMR from [`layout::TDMR_BASE`], 1 GiB, its PAMT in the
    /// first CMR, as the reference traces have it.
    pub fn describe_memory(&self) {
        let info = [
            layout::TDMR_BASE,
            TDMR_SIZE,
            0x8000_0000,
            0x1000,
            0x8000_1000,
            0x2000,
            0x8040_0000,
            0x40_0000,
        ];
        for (word, pa) in info.iter().zip((TDMR_INFO..).step_by(8)) {
            self.poke(pa, *word);
        }
        self.poke(TDMR_ARRAY, TDMR_INFO);
    }

    /// Brings the module up with the memory of [`describe_memory`](Self::describe_memory).
    ///
    /// # Panics
    ///
    /// If the module is up already.
    pub fn bring_up(&self) {
        self.describe_memory();
        self.ok(Leaf::SysInit, &[]);
        for lp in 0..self.machine.config.nr_lps {
            let (status, _) = self.call(lp, Rax::from(Leaf::SysLpInit), Args::default());
            assert_eq!(status, Status::SUCCESS);
        }
        self.ok(Leaf::SysConfig, &[TDMR_ARRAY, 1, GLOBAL_HKID]);
        for lp in 0..self.machine.config.nr_packages {
            let (status, _) = self.call(lp, Rax::from(Leaf::SysKeyConfig), Args::default());
            assert_eq!(status, Status::SUCCESS);
        }
        let end = layout::TDMR_BASE + TDMR_SIZE;
        while self.ok(Leaf::SysTdmrInit, &[layout::TDMR_BASE]).rdx < end {}
    }
}
