// SPDX-License-Identifier: GPL-2.0

//! Random calls: whatever the registers hold, the model answers, keeps its books and lets go of its
//! locks.

use super::{
    Sim,
    GIB,
    TDMR,
    TD_PARAMS, //
};
use crate::{
    abi::{
        Leaf,
        Level,
        PageType,
        Rax,
        Status, //
    },
    sim::model::{
        pamt::Entry,
        platform::Profile,
        tdr, //
    }, //
};
use std::{
    collections::BTreeMap,
    thread, //
};

/// 4K pages that the calls use; so few that they meet. The other pages are reserved, but for a 2M
/// range.
const PAGES: u64 = 48;
const LARGE: u64 = TDMR.base + LARGE_OFFSET;
const LARGE_OFFSET: u64 = 0x80_0000;
const LARGE_END: u64 = LARGE_OFFSET + 0x20_0000;
const RESERVED: [(u64, u64); 2] = [
    (PAGES * 4096, LARGE_OFFSET - PAGES * 4096),
    (LARGE_END, TDMR.size - LARGE_END),
];
const SOURCE: u64 = 0x0201_0000;
const KEYIDS: u64 = 3;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// Any number at all, with a liking for powers of two and their neighbours.
    fn word(&mut self) -> u64 {
        match self.below(4) {
            0 => self.next(),
            1 => self.next() >> self.below(64),
            2 => (1 << self.below(64)) - self.below(2),
            _ => !(1 << self.below(64)),
        }
    }
}

/// Leaves that make a TD, several times so that TDs come into being.
const LEAVES: &[Leaf] = &[
    Leaf::MngCreate,
    Leaf::MngKeyConfig,
    Leaf::MngAddcx,
    Leaf::MngAddcx,
    Leaf::MngInit,
    Leaf::VpCreate,
    Leaf::VpAddcx,
    Leaf::VpInit,
    Leaf::MemSeptAdd,
    Leaf::MemSeptAdd,
    Leaf::MemPageAdd,
    Leaf::MemPageAug,
    Leaf::MemPageAug,
];

struct Calls<'a> {
    sim: &'a Sim,
    random: Random,
    tdrs: Vec<u64>,
}

impl Calls<'_> {
    fn page(&mut self) -> u64 {
        Sim::page(self.random.below(PAGES))
    }

    fn tdr(&mut self) -> u64 {
        if self.tdrs.is_empty() || self.random.below(16) == 0 {
            self.page()
        } else {
            let n = self.random.below(self.tdrs.len() as u64);
            self.tdrs[n as usize]
        }
    }

    fn gpa(&mut self) -> u64 {
        let level = self.random.below(4);
        let shift = 12 + 9 * level;
        (self.random.below(3) << shift) | level
    }

    /// Inputs that a leaf may well accept.
    fn inputs(&mut self, leaf: Leaf) -> [u64; 4] {
        use Leaf::*;
        let (page, tdr, gpa) = (self.page(), self.tdr(), self.gpa());
        let (other, r) = (self.page(), self.random.below(4));
        match leaf {
            MngCreate => [
                if r == 0 { tdr } else { page },
                32 + self.random.below(KEYIDS + 1),
                0,
                0,
            ],
            MngInit => [tdr, TD_PARAMS, 0, 0],
            MngAddcx | VpCreate => [page, tdr, 0, 0],
            VpAddcx => [page, other, 0, 0],
            VpInit | VpFlush | VpEnter | PhymemPageRdmd | PhymemPageReclaim => [page, 0, 0, 0],
            PhymemPageWbinvd => [page | ((32 + r) << 46), 0, 0, 0],
            PhymemCacheWb => [r / 3, 0, 0, 0],
            VpRd => [page, 0xA020_0002_0000_0002, 0, 0],
            VpWr => [page, 0x2020_0000_0000_000B, r, 0xFF],
            MngRd => [tdr, 0x9010_0002_0000_0001, 0, 0],
            MngWr => [tdr, 0x9110_0003_0000_0011, 20_000, u64::MAX],
            MrExtend => [gpa & !7, tdr, 0, 0],
            MemPageAdd => [gpa & !7, tdr, page, SOURCE],
            MemPageAug if gpa & 7 == 1 => [gpa, tdr, LARGE, 0],
            MngKeyConfig | MngVpflushdone | MngKeyFreeid | MemTrack | MrFinalize => [tdr, 0, 0, 0],
            _ => [gpa, tdr, page, 0],
        }
    }

    fn call(&mut self, lp: u32) -> Status {
        let leaf = if self.random.below(2) == 0 {
            self.random.pick(LEAVES)
        } else {
            self.random.pick(Leaf::ALL)
        };
        // The first two end the module. The others write where the host says, which may be a page
        // of a TD: with real memory that, too, would damage the TD.
        use Leaf::{
            SysDisable,
            SysInfo,
            SysRdall,
            SysShutdown, //
        };
        if matches!(leaf, SysShutdown | SysDisable | SysInfo | SysRdall) {
            return Status::SUCCESS;
        }
        let mut inputs = self.inputs(leaf);
        if self.random.below(8) == 0 {
            let i = self.random.below(4) as usize;
            inputs[i] = match self.random.below(3) {
                0 => self.random.word(),
                1 => inputs[i] ^ (1 << self.random.below(64)),
                _ => self.page(),
            };
        }
        let version = (self.random.below(32) == 0).into();
        self.sim.call(lp, Rax::new(leaf, version), &inputs).0
    }

    fn entries(&self) -> Vec<(u64, Level, u64, u64)> {
        let cpu = self.sim.machine.cpu(0, 0);
        let tdmr = self.sim.module.tdmrs.covering(TDMR.base).unwrap();
        let small = (0..512).map(|n| LARGE + n * 4096);
        let pages = (0..PAGES)
            .map(Sim::page)
            .chain(small)
            .map(|pa| (pa, Level::K4));
        let large = [
            (TDMR.base, Level::M2),
            (LARGE, Level::M2),
            (TDMR.base, Level::G1),
        ];
        let entry = |(pa, level)| {
            let pa_of_entry = tdmr.pamt_entry(level, pa);
            let entry = Entry::new(&cpu, pa_of_entry);
            // All but the host-priority bit, which a failed attempt leaves.
            let lock = self.sim.peek(pa_of_entry) & 0xFFFD;
            assert_eq!(lock, 0, "page {pa:#x} is still locked");
            (pa, level, entry.raw_type(), entry.owner())
        };
        pages.chain(large).map(entry).collect()
    }

    /// Checks that each TD has as many pages as its TDR counts, and finds the TDs.
    fn check(&mut self) {
        let mut owned = BTreeMap::new();
        let mut tdrs = Vec::new();
        for (pa, level, page_type, owner) in self.entries() {
            match PageType::from_raw(page_type) {
                Some(PageType::Nda) => {}
                Some(PageType::Tdr) => tdrs.push(pa),
                Some(_) => *owned.entry(owner).or_insert(0) += level.pages(),
                None => panic!("page {pa:#x} has type {page_type}"),
            }
        }
        for tdr in &tdrs {
            let children = tdr::fields::CHLDCNT.load(&self.sim.machine.cpu(0, 0), *tdr);
            assert_eq!(children, owned.remove(tdr).unwrap_or(0), "TDR {tdr:#x}");
        }
        assert!(owned.is_empty(), "pages of no TD: {owned:x?}");
        assert_eq!(self.sim.machine.ram.outside(), 0);
        self.tdrs = tdrs;
    }
}

#[test]
fn books_balance_after_any_call() {
    for seed in 0..6 {
        let profile = [Profile::Current, Profile::V1_5_01][seed as usize % 2];
        let sim = Sim::with_reserved(profile, &RESERVED);
        let mut calls = Calls {
            sim: &sim,
            random: Random(seed),
            tdrs: Vec::new(),
        };
        let (mut good, total) = (0, 4_000);
        for _ in 0..total {
            let before = calls.entries();
            let lp = calls.random.below(2) as u32;
            let status = calls.call(lp);
            calls.check();
            if status.is_error() {
                assert_eq!(calls.entries(), before, "seed {seed}: {status}");
            } else {
                good += 1;
            }
        }
        assert!(
            good > total / 20,
            "seed {seed}: only {good} calls succeeded"
        );
    }
}

#[test]
fn books_balance_after_calls_on_all_processors_at_once() {
    let sim = Sim::with_reserved(Profile::Current, &RESERVED);
    let calls = |seed| Calls {
        sim: &sim,
        random: Random(seed),
        tdrs: (0..3).map(Sim::page).collect(),
    };
    for round in 0..20 {
        thread::scope(|scope| {
            for lp in 0..2 {
                let mut calls = calls(100 + 2 * round + u64::from(lp));
                scope.spawn(move || {
                    for _ in 0..2_000 {
                        let _ = calls.call(lp);
                    }
                });
            }
        });
        calls(0).check();
    }
}

#[test]
fn any_register_value_gets_an_answer() {
    let mut random = Random(1);
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    for _ in 0..100_000 {
        let leaf = random.pick(Leaf::ALL);
        if matches!(leaf, Leaf::SysShutdown | Leaf::SysDisable) {
            continue;
        }
        let inputs = [(); 4].map(|()| match random.below(3) {
            0 => tdr,
            1 => random.below(5 * GIB) & !0xFFF,
            _ => random.word(),
        });
        let rax = Rax::from_raw(u64::from(leaf.raw()) | (random.below(4) << 16));
        let _ = sim.call(0, rax, &inputs);
    }
}
