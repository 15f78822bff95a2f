// SPDX-License-Identifier: GPL-2.0

//! A module on a machine of the build host, and tests of the leaves' checks in their order.

mod damage;
mod dispatch;
mod fields;
pub(super) mod guest;
mod keys;
mod mng;
mod shape;
mod sys;

use super::{
    platform::{
        Profile,
        Range, //
    },
    tdcs,
    Exit,
    Module,
    Regs, //
};
use crate::{
    abi::{
        metadata::FieldId,
        Args,
        Leaf,
        Operand,
        Rax,
        Status, //
    },
    conformance,
    layout,
    platform::Machine, //
};

const GIB: u64 = 1 << 30;
const TDMR: Range = Range {
    base: layout::TDMR_BASE,
    size: GIB,
};
const PAMT_1G: u64 = 0x8000_0000;
const PAMT_2M: u64 = 0x8000_1000;
const PAMT_4K: u64 = 0x8040_0000;
const TDMR_ARRAY: u64 = 0x0100_1000;
const TDMR_INFO: u64 = 0x0100_0000;
const TD_PARAMS: u64 = 0x0200_0000;
const GLOBAL_KEYID: u64 = 32;

/// A machine with two logical processors and a module on it.
pub(super) struct Sim {
    pub(super) machine: Machine,
    pub(super) module: Module,
}

/// RAX, and RCX, RDX, R8 and R9 from `inputs`; the rest 0.
pub fn registers(rax: u64, inputs: &[u64]) -> Regs {
    let input = |i| inputs.get(i).copied().unwrap_or(0);
    Regs {
        rax,
        args: Args {
            rcx: input(0),
            rdx: input(1),
            r8: input(2),
            r9: input(3),
            ..Args::default()
        },
        ..Regs::default()
    }
}

impl Sim {
    /// A module that was just loaded.
    pub(super) fn cold(profile: Profile) -> Self {
        let sim = Self {
            machine: Machine::new(layout::config(profile, 1), layout::RAM_SIZE),
            module: Module::new(),
        };
        let words = [
            TDMR.base, TDMR.size, PAMT_1G, 0x1000, PAMT_2M, 0x2000, PAMT_4K, 0x40_0000,
        ];
        for (i, word) in words.into_iter().enumerate() {
            sim.poke(TDMR_INFO + i as u64 * 8, word);
        }
        sim.poke(TDMR_ARRAY, TDMR_INFO);
        for (offset, word) in [(8, 3), (16, 2), (24, 0x1E), (40, 40)] {
            sim.poke(TD_PARAMS + offset, word);
        }
        sim
    }

    /// A module that is READY and has all of its TDMR.
    pub(super) fn new(profile: Profile) -> Self {
        let sim = Self::cold(profile);
        sim.ok(Leaf::SysInit, &[]);
        for lp in 0..2 {
            assert_eq!(sim.call(lp, Leaf::SysLpInit, &[]).0, Status::SUCCESS);
        }
        sim.ok(Leaf::SysConfig, &[TDMR_ARRAY, 1, GLOBAL_KEYID]);
        sim.ok(Leaf::SysKeyConfig, &[]);
        while sim.ok(Leaf::SysTdmrInit, &[TDMR.base]).rdx < TDMR.end() {}
        sim
    }

    pub(super) fn poke(&self, pa: u64, word: u64) {
        self.machine.write(pa, &word.to_le_bytes());
    }

    pub(super) fn peek(&self, pa: u64) -> u64 {
        let mut bytes = [0; 8];
        self.machine.read(pa, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A SEAMCALL with RCX, RDX, R8 and R9 from `inputs`, the rest 0.
    pub(super) fn call(&self, lp: u32, leaf: impl Into<Rax>, inputs: &[u64]) -> (Status, Args) {
        let mut regs = registers(leaf.into().into_raw(), inputs);
        // The processors take turns with the packages.
        let cpu = self.machine.cpu(lp, lp % self.machine.config.nr_packages);
        let called = Rax::from_raw(regs.rax).known_leaf();
        assert_eq!(cpu.seamcall(&self.module, &mut regs), Exit::Completed);
        let status = Status::from_raw(regs.rax);
        assert!(conformance::knows(called, status), "{called:?}: {status}");
        (status, regs.args)
    }

    /// A SEAMCALL on processor 0 that must succeed.
    #[track_caller]
    pub(super) fn ok(&self, leaf: Leaf, inputs: &[u64]) -> Args {
        let (status, args) = self.call(0, leaf, inputs);
        assert_eq!(status, Status::SUCCESS, "{}", leaf.name());
        args
    }

    /// A SEAMCALL on processor 0 that must end with `status`.
    #[track_caller]
    pub(super) fn fails(&self, leaf: Leaf, inputs: &[u64], status: Status) -> Args {
        let (found, args) = self.call(0, leaf, inputs);
        assert_eq!(found, status, "{}", leaf.name());
        args
    }

    /// Page `n` of the memory that TDX covers.
    pub(super) fn page(n: u64) -> u64 {
        TDMR.base + n * 4096
    }

    /// Makes a TD with its key configured: TDR page `n`.
    pub(super) fn create(&self, n: u64, hkid: u64) -> u64 {
        let tdr = Self::page(n);
        self.ok(Leaf::MngCreate, &[tdr, hkid]);
        self.ok(Leaf::MngKeyConfig, &[tdr]);
        tdr
    }

    /// Makes a TD up to TDH.MNG.INIT: TDR page `n`, TDCX in the pages after it.
    pub(super) fn init(&self, n: u64, hkid: u64) -> u64 {
        let tdr = self.create(n, hkid);
        for i in 1..=tdcs::BASE_PAGES {
            self.ok(Leaf::MngAddcx, &[Self::page(n + i), tdr]);
        }
        self.ok(Leaf::MngInit, &[tdr, TD_PARAMS]);
        tdr
    }

    /// Frees the KeyID of a TD.
    pub(super) fn free_keyid(&self, tdr: u64) {
        self.ok(Leaf::MngVpflushdone, &[tdr]);
        self.ok(Leaf::PhymemCacheWb, &[0]);
        self.ok(Leaf::MngKeyFreeid, &[tdr]);
    }

    fn read_td(&self, tdr: u64, id: FieldId) -> u64 {
        self.ok(Leaf::MngRd, &[tdr, id.into_raw()]).r8
    }
}

fn invalid(operand: Operand) -> Status {
    Status::OPERAND_INVALID.with(operand)
}
