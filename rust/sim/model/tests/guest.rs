// SPDX-License-Identifier: GPL-2.0

//! A TD that can run, for the tests of what its guest does.

use super::{
    super::{
        platform::{
            Platform,
            Profile, //
        },
        sept::{
            Sept,
            Slot, //
        },
        tdcs::Tdcs,
        tdg::{
            self,
            Outcome, //
        },
        tdvps::Tdvps,
        vp::vcpu::Vcpu,
        Ctx,
        Regs, //
    },
    registers,
    Sim,
    TD_PARAMS, //
};
use crate::{
    abi::{
        sept::{
            Entry,
            State, //
        },
        Args,
        Leaf,
        Level,
        Operand,
        Pfn,
        Status, //
    },
    platform::Cpu, //
};

const SOURCE: u64 = 0x0201_0000;

/// A page that the guest may use, and where it is.
pub const MAPPED: u64 = 0;
pub const MAPPED_PA: u64 = super::TDMR.base + 30 * 4096;
/// One that it has to accept.
pub const PENDING: u64 = 0x1000;
pub const PENDING_PA: u64 = super::TDMR.base + 31 * 4096;
/// Nothing is there.
pub const FREE: u64 = 0x2000;
/// A 2M page that the guest has to accept.
pub const LARGE: u64 = 0x20_0000;
pub const LARGE_PA: u64 = super::TDMR.base + 512 * 4096;
/// The SHARED bit, and the host's table pages for it.
pub const SHARED: u64 = 1 << 47;
pub const SHARED_TABLES: u64 = 0x0300_0000;
/// Where the host has the shared page at [`SHARED`].
pub const SHARED_PA: u64 = 0x0310_0000;

/// A TD with a vCPU.
pub struct Td {
    pub sim: Sim,
    pub tdr: u64,
    pub vcpu: u64,
}

impl Td {
    pub fn new() -> Self {
        Self::with(Profile::Current, |_| ())
    }

    /// With something else in TD_PARAMS.
    pub fn with(profile: Profile, params: impl FnOnce(&dyn Fn(u64, u64))) -> Self {
        let sim = Sim::new(profile);
        params(&|offset, word| sim.poke(TD_PARAMS + offset, word));
        let tdr = sim.init(1, 33);
        let vcpu = Sim::page(11);
        sim.ok(Leaf::VpCreate, &[vcpu, tdr]);
        for n in 12..17 {
            sim.ok(Leaf::VpAddcx, &[Sim::page(n), vcpu]);
        }
        sim.ok(Leaf::VpInit, &[vcpu, 0x1234]);
        for (level, page) in [(3, 20), (2, 21), (1, 22)] {
            sim.ok(Leaf::MemSeptAdd, &[level, tdr, Sim::page(page)]);
        }
        sim.ok(Leaf::MemPageAdd, &[MAPPED, tdr, MAPPED_PA, SOURCE]);
        sim.ok(Leaf::MrFinalize, &[tdr]);
        sim.ok(Leaf::MemPageAug, &[PENDING, tdr, PENDING_PA]);
        sim.ok(Leaf::MemPageAug, &[LARGE | 1, tdr, LARGE_PA]);
        // The host's tables: one shared page, right above the first half of the root.
        let shared_eptp = 0x0024_0003_0000_203C;
        sim.ok(Leaf::VpWr, &[vcpu, shared_eptp, SHARED_TABLES, u64::MAX]);
        sim.poke(SHARED_TABLES + 256 * 8, SHARED_TABLES + 0x1000 | 7);
        sim.poke(SHARED_TABLES + 0x1000, SHARED_TABLES + 0x2000 | 7);
        sim.poke(SHARED_TABLES + 0x2000, SHARED_TABLES + 0x3000 | 7);
        sim.poke(SHARED_TABLES + 0x3000, SHARED_PA | 6 << 3 | 7);
        // Present, but with a memory type that there is not, and one that cannot be written.
        sim.poke(SHARED_TABLES + 0x3008, SHARED_PA | 7 << 3 | 7);
        sim.poke(SHARED_TABLES + 0x3010, SHARED_PA | 6 << 3 | 1);
        Self { sim, tdr, vcpu }
    }

    /// Runs `f` on the vCPU, as if it was in the guest.
    pub fn inside<R>(&self, f: impl FnOnce(&Ctx<'_, Cpu<'_>>, &Vcpu<'_, Cpu<'_>>) -> R) -> R {
        let cpu = self.sim.machine.cpu(0, 0);
        let cx = Ctx {
            module: &self.sim.module,
            p: &cpu,
            version: 0,
        };
        let mode = super::super::lock::Mode::Shared;
        let vcpu = Vcpu::open(&cx, Leaf::VpEnter, Operand::RCX, self.vcpu, mode)
            .expect("nobody else has it");
        f(&cx, &vcpu)
    }

    pub fn tdvps<R>(&self, f: impl FnOnce(&Tdvps<'_, Cpu<'_>>) -> R) -> R {
        f(&Tdvps::new(&self.sim.machine.cpu(0, 0), self.vcpu))
    }

    pub fn tdcs<R>(&self, f: impl FnOnce(&Tdcs<'_, Cpu<'_>>) -> R) -> R {
        f(&Tdcs::new(&self.sim.machine.cpu(0, 0), self.tdr))
    }

    /// A TDCALL with RCX, RDX, R8 and R9 from `inputs`.
    pub fn tdcall(&self, rax: u64, inputs: &[u64]) -> (Outcome, Regs) {
        let mut regs = registers(rax, inputs);
        let outcome = self.inside(|cx, vcpu| tdg::tdcall(cx, vcpu, &mut regs));
        (outcome, regs)
    }

    /// A TDCALL that comes to its end; returns the status and the registers.
    #[track_caller]
    pub fn done(&self, rax: u64, inputs: &[u64]) -> (Status, Args) {
        let (outcome, regs) = self.tdcall(rax, inputs);
        assert_eq!(outcome, Outcome::Completed);
        (Status::from_raw(regs.rax), regs.args)
    }

    /// A TDCALL that must succeed.
    #[track_caller]
    pub fn ok(&self, rax: u64, inputs: &[u64]) -> Args {
        let (status, args) = self.done(rax, inputs);
        assert_eq!(status, Status::SUCCESS);
        args
    }

    /// A TDCALL that must end with `status`.
    #[track_caller]
    pub fn fails(&self, rax: u64, inputs: &[u64], status: Status) -> Args {
        let (found, args) = self.done(rax, inputs);
        assert_eq!(found, status);
        args
    }

    /// Runs `f` on the entry of `level` for `gpa`.
    pub fn entry<R>(&self, gpa: u64, level: Level, f: impl FnOnce(Slot<'_, Cpu<'_>>) -> R) -> R {
        self.inside(|cx, vcpu| {
            let sept = Sept::of(cx, &vcpu.td).expect("a sound TD");
            f(sept.walk(cx, gpa, level).expect("sound tables"))
        })
    }

    pub fn state(&self, gpa: u64, level: Level) -> Option<State> {
        self.entry(gpa, level, |slot| slot.load().state())
    }

    pub fn set_state(&self, gpa: u64, level: Level, state: State, pa: u64) {
        let pfn = Pfn::from_pa(pa).expect("an address");
        self.entry(gpa, level, |slot| slot.store(Entry::new(state, pfn)));
    }

    /// Reads a word of the machine's memory.
    pub fn peek(&self, pa: u64) -> u64 {
        self.sim.machine.cpu(0, 0).load(pa)
    }
}

/// The lock in the PAMT entry of the 4K page at `pa`.
pub fn pamt_lock(p: &impl Platform, pa: u64) -> u64 {
    let index = (pa - super::TDMR.base) / 4096;
    p.load(super::PAMT_4K + index * 16) & 0xFFFF
}
