// SPDX-License-Identifier: GPL-2.0

//! Random calls without end: a host that knows its way about and makes mistakes.
//!
//! A [`Round`] is a machine of its own and a stream of random numbers, and runs the same way each
//! time. Most calls are what a host would do next: it looks at a TD and takes a step of its life.
//! Others are any leaf with operands that fit it, or with one that does not; and now and then another
//! processor holds a lock, an interrupt waits, there is no entropy, or a vCPU is in the guest.

use crate::{
    abi::{
        sept::{
            Entry,
            State, //
        },
        state::{
            Lifecycle,
            OpState, //
        },
        Args,
        Leaf,
        Level,
        Operand,
        PageType,
        Rax,
        Status, //
    },
    books::{
        self,
        Books, //
    },
    conformance::{
        self,
        case,
        fixture::{
            self,
            page,
            SOURCE,
            TD_PARAMS, //
        },
        kind, //
    },
    platform::Cpu,
    random::Random,
    sim::model::{
        field::Field,
        lock::{
            Guard,
            Lock,
            Mode, //
        },
        pamt::Info,
        platform::Profile,
        tdcs::{
            self,
            Tdcs, //
        },
        tdr,
        tdvps::{
            self,
            Tdvps, //
        },
        Exit,
        Regs,
        SysState, //
    },
    watch::{
        Allowed,
        Watch, //
    },
    world::{
        World,
        GLOBAL_HKID,
        TDMR_ARRAY, //
    },
};
use std::{
    collections::BTreeMap,
    sync::atomic::{
        AtomicU64,
        Ordering::Relaxed, //
    },
};

/// Pages of 4K that calls use, so few that they meet, and those of 2M.
const PAGES: u64 = 120;
const LARGE: [u64; 2] = [512, 1024];
/// Most TDs at a time.
const TDS: usize = 3;
/// KeyIDs that calls use.
const KEYIDS: u64 = 5;
/// All ones: no page for an L2 VM.
const NONE: u64 = u64::MAX;
/// A look at all of the books comes after so many calls, and one at what a call has written.
const CHECK_EVERY: u64 = 64;
const WATCH_EVERY: u64 = 16;

/// How often calls of each leaf, by its number, ended how.
pub type Seen = BTreeMap<(u64, u64), u64>;

/// What came of some rounds.
#[derive(Default)]
pub struct Tally {
    /// Calls that reached the module.
    pub calls: u64,
    /// Those of them that did their job.
    pub good: u64,
    /// The answers.
    pub seen: Seen,
}

impl Tally {
    /// Adds what came of others.
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.good += other.good;
        for (pair, count) in other.seen {
            *self.seen.entry(pair).or_default() += count;
        }
    }
}

/// What the host knows of a TD.
struct Td {
    tdr: u64,
    lifecycle: Option<Lifecycle>,
    tdcx: u64,
    op_state: Option<OpState>,
    fatal: bool,
    vcpus: Vec<u64>,
}

/// A call that is to be made.
#[derive(Clone, Copy, Debug)]
struct Call {
    rax: Rax,
    args: Args,
    lp: u32,
}

/// A machine, and a host that calls its module.
pub struct Round {
    world: World,
    random: Random,
    tally: Tally,
    /// What the PAMT says of the pages that calls use.
    pages: Vec<(u64, Info)>,
    /// The last calls, for when something is wrong.
    last: Vec<(Call, Status)>,
}

fn args(rcx: u64, rdx: u64, r8: u64, r9: u64) -> Args {
    Args {
        rcx,
        rdx,
        r8,
        r9,
        r10: NONE,
        r11: NONE,
        ..Args::default()
    }
}

impl Round {
    /// The round of this number; some begin before TDH.SYS.INIT, and some have two packages.
    pub fn new(seed: u64) -> Self {
        // Streams whose states are a multiple of one another would overlap.
        let mut random = Random(Random(seed).word());
        let profile = if random.word() % 3 == 0 {
            Profile::V1_5_01
        } else {
            Profile::Current
        };
        let mut world = fixture::cold(profile);
        world.machine.config.nr_packages = 1 + (random.word() % 2) as u32;
        let round = Self {
            world,
            random,
            tally: Tally::default(),
            pages: Vec::new(),
            last: Vec::new(),
        };
        if seed % 8 != 0 {
            round.world.bring_up();
        }
        round
    }

    /// Makes so many calls.
    ///
    /// # Panics
    ///
    /// If something is wrong; [`last_calls`](Self::last_calls) tells what was called.
    pub fn run(&mut self, calls: u64) {
        for n in 0..calls {
            self.look();
            let mut call = self.choose();
            if self.below(9) == 0 {
                self.spoil(&mut call);
            }
            if !self.may_be_made(&call) {
                continue;
            }
            self.call(call, n % WATCH_EVERY == 0);
            if n % CHECK_EVERY == 0 {
                books::check(&self.world.machine, &self.world.module);
            }
        }
        books::check(&self.world.machine, &self.world.module);
    }

    /// What came of it.
    pub fn into_tally(self) -> Tally {
        self.tally
    }

    /// The last calls and how they ended.
    pub fn last_calls(&self) -> String {
        let calls = self.last.iter().rev().take(12).rev();
        calls
            .map(|(call, status)| format!("{call:x?}: {status}"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn below(&mut self, n: u64) -> u64 {
        self.random.word() % n
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let n = self.below(of.len().max(1) as u64) as usize;
        of.get(n).copied()
    }

    fn peek(&self, pa: u64) -> u64 {
        self.world.machine.ram.load(pa)
    }

    /// Looks at what the PAMT says.
    fn look(&mut self) {
        let Some(tdmr) = self.world.module.tdmrs.iter().next() else {
            return;
        };
        self.pages.clear();
        let pages = (0..PAGES).map(page).map(|pa| (pa, Level::K4));
        for (pa, level) in pages.chain(LARGE.map(page).map(|pa| (pa, Level::M2))) {
            let word = self.world.machine.ram.load(tdmr.pamt_entry(level, pa));
            self.pages.push((pa, Info::decode(word)));
        }
    }

    fn of_type(&self, page_type: PageType) -> Vec<u64> {
        let pages = self.pages.iter();
        pages
            .filter(|(_, info)| info.raw_type == page_type.raw())
            .map(|(pa, _)| *pa)
            .collect()
    }

    /// A page of 4K that nobody has, mostly.
    fn free(&mut self) -> u64 {
        let start = self.below(PAGES) as usize;
        let pages = self.pages.iter().take(PAGES as usize);
        let free = pages
            .cycle()
            .skip(start)
            .take(PAGES as usize)
            .find(|(_, info)| info.raw_type == PageType::Nda.raw());
        free.map_or(page(0), |(pa, _)| *pa)
    }

    fn any_page(&mut self) -> u64 {
        page(self.below(PAGES))
    }

    fn field(&self, tdr: u64, field: Field) -> u64 {
        field.load(&self.cpu(), tdr)
    }

    fn cpu(&self) -> Cpu<'_> {
        self.world.cpu(0)
    }

    /// A TD, if there is one.
    fn td(&mut self) -> Option<Td> {
        let tdrs = self.of_type(PageType::Tdr);
        let tdr = self.pick(&tdrs)?;
        let tdcx = self.field(tdr, tdr::fields::NUM_TDCX);
        let lifecycle = Lifecycle::from_raw(self.field(tdr, tdr::fields::LIFECYCLE_STATE));
        let alive = lifecycle == Some(Lifecycle::KeysConfigured) && tdcx >= tdcs::BASE_PAGES;
        let op_state = alive.then(|| {
            let cpu = self.cpu();
            Tdcs::new(&cpu, tdr).get(tdcs::fields::OP_STATE)
        });
        let vcpus = self
            .pages
            .iter()
            .filter(|(_, info)| info.raw_type == PageType::Tdvpr.raw() && info.owner == tdr);
        Some(Td {
            tdr,
            lifecycle,
            tdcx,
            op_state: op_state.and_then(OpState::from_raw),
            fatal: self.field(tdr, tdr::fields::FATAL) != 0,
            vcpus: vcpus.map(|(pa, _)| *pa).collect(),
        })
    }

    /// A GPA of few, so that calls meet.
    fn gpa(&mut self) -> u64 {
        const GPAS: [u64; 9] = [
            0,
            0x1000,
            0x2000,
            0x20_0000,
            0x20_1000,
            0x40_0000,
            0x60_0000,
            1 << 30,
            1 << 39,
        ];
        self.pick(&GPAS).unwrap_or(0)
    }

    /// What is at a place of a secure EPT: where and at which level the walk ends, and the entry.
    fn entry(&self, tdr: u64, gpa: u64, level: Level) -> (u64, Level, Entry) {
        let cpu = self.cpu();
        let tdcs = Tdcs::new(&cpu, tdr);
        let mut table = tdcs.page(tdcs::fields::SEPT_ROOT.offset / 4096);
        let eptp = tdcs.get(tdcs::fields::EPTP);
        let mut at = Level::from_raw((eptp >> 3) & 7).unwrap_or(Level::G512);
        loop {
            let index = (gpa >> at.shift()) % 512;
            let entry = Entry::from_raw(self.peek(table + index * 8));
            let ends = !entry.is_accessible() || entry.into_raw() & Entry::PS_MASK != 0;
            match at.down() {
                Some(down) if at > level && !ends => {
                    table = entry.pfn().pa();
                    at = down;
                }
                _ => return (table + index * 8, at, entry),
            }
        }
    }

    /// A leaf and its operands.
    fn call_of(&mut self, leaf: Leaf, args: Args) -> Call {
        Call {
            rax: leaf.into(),
            args,
            lp: self.below(2) as u32,
        }
    }

    /// The next call.
    fn choose(&mut self) -> Call {
        if self.world.module.state() != SysState::Ready {
            return self.bring_up();
        }
        if self.below(4) == 0 {
            return self.any();
        }
        let tds = self.of_type(PageType::Tdr).len();
        if tds == 0 || tds < TDS && self.below(40) == 0 {
            let hkid = GLOBAL_HKID + 1 + self.below(KEYIDS);
            let page = self.free();
            return self.call_of(Leaf::MngCreate, args(page, hkid, 0, 0));
        }
        match self.td() {
            Some(td) => self.step(&td),
            None => self.any(),
        }
    }

    /// A step of bringing the module up.
    fn bring_up(&mut self) -> Call {
        const LEAVES: [Leaf; 9] = [
            Leaf::SysInit,
            Leaf::SysLpInit,
            Leaf::SysLpInit,
            Leaf::SysConfig,
            Leaf::SysKeyConfig,
            Leaf::SysKeyConfig,
            Leaf::SysRd,
            Leaf::SysUpdate,
            Leaf::SysTdmrInit,
        ];
        let leaf = self.pick(&LEAVES).unwrap_or(Leaf::SysInit);
        let operands = self.operands(leaf);
        self.call_of(leaf, operands)
    }

    /// A step of a TD's life.
    fn step(&mut self, td: &Td) -> Call {
        let tdr = args(td.tdr, 0, 0, 0);
        let r = self.below(64);
        match (td.lifecycle, td.op_state) {
            (Some(Lifecycle::HkidAssigned), _) if r > 0 => self.call_of(Leaf::MngKeyConfig, tdr),
            (Some(Lifecycle::HkidAssigned), _) => self.call_of(Leaf::MngVpflushdone, tdr),
            (Some(Lifecycle::Blocked), _) if r < 32 => {
                self.call_of(Leaf::PhymemCacheWb, args(r / 24, 0, 0, 0))
            }
            (Some(Lifecycle::Blocked), _) => self.call_of(Leaf::MngKeyFreeid, tdr),
            (Some(Lifecycle::Teardown), _) => self.reclaim(td),
            (Some(Lifecycle::KeysConfigured), Some(_)) if td.fatal => self.end(td),
            (_, None) => {
                let page = self.free();
                self.call_of(Leaf::MngAddcx, args(page, td.tdr, 0, 0))
            }
            (_, Some(OpState::Uninitialized)) if r < 4 && td.tdcx < tdr::MAX_TDCX => {
                let page = self.free();
                self.call_of(Leaf::MngAddcx, args(page, td.tdr, 0, 0))
            }
            (_, Some(OpState::Uninitialized)) => {
                self.params();
                self.call_of(Leaf::MngInit, args(td.tdr, TD_PARAMS, 0, 0))
            }
            (_, Some(OpState::Initialized)) if r == 0 => self.call_of(Leaf::MrFinalize, tdr),
            (_, Some(OpState::Initialized)) if r < 12 => self.vcpu(td),
            (_, Some(_)) if r == 1 && self.below(6) == 0 => self.end(td),
            (_, Some(_)) if r < 8 => {
                let vcpu = self.pick(&td.vcpus).unwrap_or(td.tdr);
                let leaf = self.pick(&[Leaf::VpRd, Leaf::VpWr, Leaf::VpFlush]);
                let leaf = leaf.unwrap_or(Leaf::VpRd);
                let mut operands = self.operands(leaf);
                operands.rcx = vcpu;
                self.call_of(leaf, operands)
            }
            (_, Some(state)) => self.memory(td, state == OpState::Initialized),
        }
    }

    /// Writes TD_PARAMS, mostly sound ones.
    fn params(&mut self) {
        let attributes = u64::from(self.below(3) == 0);
        let words = [
            (0, attributes),
            (8, 3),
            (16, 2),
            (24, 0x1E),
            (32, 0),
            (40, 40),
            (224, 0),
        ];
        for (offset, word) in words {
            self.world.poke(TD_PARAMS + offset, word);
        }
        if self.below(4) == 0 {
            const WORDS: [(u64, u64); 9] = [
                (0, 1 << 31),
                (8, 1),
                (16, 0),
                (16, 4 << 16 | 2),
                (16, 1 << 16 | 2),
                (24, 0x18),
                (32, 8),
                (40, 3),
                (224, 1 << 4),
            ];
            let (offset, word) = self.pick(&WORDS).unwrap_or_default();
            self.world.poke(TD_PARAMS + offset, word);
        }
    }

    /// A step of a vCPU's life.
    fn vcpu(&mut self, td: &Td) -> Call {
        let page = self.free();
        let Some(vcpu) = self.pick(&td.vcpus) else {
            return self.call_of(Leaf::VpCreate, args(page, td.tdr, 0, 0));
        };
        let pages = Tdvps::new(&self.cpu(), vcpu).get(tdvps::fields::NUM_TDVPS_PAGES);
        if pages < tdvps::BASE_PAGES {
            self.call_of(Leaf::VpAddcx, args(page, vcpu, 0, 0))
        } else if td.vcpus.len() < 2 && self.below(8) == 0 {
            self.call_of(Leaf::VpCreate, args(page, td.tdr, 0, 0))
        } else {
            self.call_of(Leaf::VpInit, args(vcpu, 7, 0, 0))
        }
    }

    /// A step towards the end of a TD that has its key.
    fn end(&mut self, td: &Td) -> Call {
        match self.pick(&td.vcpus) {
            Some(vcpu) if self.below(4) != 0 => {
                let lp = Tdvps::new(&self.cpu(), vcpu).get(tdvps::fields::ASSOC_LPID);
                let mut call = self.call_of(Leaf::VpFlush, args(vcpu, 0, 0, 0));
                call.lp = (lp % 2) as u32;
                call
            }
            _ => self.call_of(Leaf::MngVpflushdone, args(td.tdr, 0, 0, 0)),
        }
    }

    /// Gives a page of a TD back that is torn down.
    fn reclaim(&mut self, td: &Td) -> Call {
        let pages = self.pages.iter();
        let owned: Vec<u64> = pages
            .filter(|(_, info)| info.raw_type > PageType::Rsvd.raw() && info.owner == td.tdr)
            .map(|(pa, _)| *pa)
            .collect();
        // Pages of 2M that were demoted lie beyond those that the host looks at.
        let tdmr = self.world.module.tdmrs.iter().next();
        let small = LARGE.into_iter().flat_map(|n| n..n + 512).map(page);
        let piece = small.filter(|pa| {
            let entry = tdmr.map_or(0, |tdmr| tdmr.pamt_entry(Level::K4, *pa));
            let info = Info::decode(self.peek(entry));
            info.raw_type != PageType::Nda.raw() && info.owner == td.tdr
        });
        let piece = if owned.is_empty() {
            piece.take(1).next()
        } else {
            None
        };
        let page = self.pick(&owned).or(piece).unwrap_or(td.tdr);
        self.call_of(Leaf::PhymemPageReclaim, args(page, 0, 0, 0))
    }

    /// A step of the memory of a TD that is being built, or can run.
    fn memory(&mut self, td: &Td, is_built: bool) -> Call {
        let (gpa, level) = (self.gpa(), self.below(3));
        let level = Level::from_raw(level).unwrap_or(Level::K4);
        let gpa = gpa & !(level.size() - 1);
        let (_, at, entry) = self.entry(td.tdr, gpa, level);
        let word = (gpa & !(at.size() - 1)) | at.raw();
        let page = self.free();
        let large = self.pick(&LARGE.map(fixture::page)).unwrap_or(page);
        let of = |leaves: &[Leaf]| leaves.to_vec();
        let leaves = match entry.state() {
            Some(State::Free) if at == Level::K4 && is_built => {
                of(&[Leaf::MemPageAdd, Leaf::MemPageAug])
            }
            Some(State::Free) if at == Level::K4 => of(&[Leaf::MemPageAug]),
            Some(State::Free) if at == Level::M2 => of(&[Leaf::MemSeptAdd, Leaf::MemPageAug]),
            Some(State::Free) => of(&[Leaf::MemSeptAdd]),
            Some(State::NlMapped) if is_built => {
                of(&[Leaf::MemRangeBlock, Leaf::MemSeptRd, Leaf::MemSeptRemove])
            }
            Some(State::NlMapped) => of(&[Leaf::MemRangeBlock, Leaf::MemSeptRd]),
            Some(State::NlBlocked) => of(&[
                Leaf::MemTrack,
                Leaf::MemTrack,
                Leaf::MemRangeUnblock,
                Leaf::MemRangeUnblock,
                Leaf::MemSeptRemove,
                Leaf::MemPagePromote,
            ]),
            Some(State::Mapped | State::Pending) if is_built => of(&[
                Leaf::MemRangeBlock,
                Leaf::MemPageRemove,
                Leaf::MemPageRelocate,
                Leaf::MemPageDemote,
                Leaf::MrExtend,
                Leaf::MemRd,
                Leaf::MemWr,
            ]),
            Some(State::Mapped | State::Pending) => {
                of(&[Leaf::MemRangeBlock, Leaf::MemRangeBlock, Leaf::MemRd])
            }
            _ => of(&[
                Leaf::MemTrack,
                Leaf::MemTrack,
                Leaf::MemRangeUnblock,
                Leaf::MemPageRemove,
                Leaf::MemPageRemove,
                Leaf::MemPageRelocate,
                Leaf::MemPageDemote,
            ]),
        };
        let leaf = self.pick(&leaves).unwrap_or(Leaf::MemSeptRd);
        match leaf {
            Leaf::MemTrack => self.call_of(leaf, args(td.tdr, 0, 0, 0)),
            Leaf::MemPageAug if at == Level::M2 => self.call_of(leaf, args(word, td.tdr, large, 0)),
            Leaf::MemPageDemote => self.call_of(leaf, args(word, td.tdr, page, NONE)),
            Leaf::MrExtend | Leaf::MemRd | Leaf::MemWr => {
                self.call_of(leaf, args(word & !7, td.tdr, 0, 0))
            }
            _ => self.call_of(leaf, args(word, td.tdr, page, SOURCE)),
        }
    }

    /// Any leaf, with operands that fit it.
    fn any(&mut self) -> Call {
        let leaf = self.pick(Leaf::ALL).unwrap_or(Leaf::SysRd);
        let operands = self.operands(leaf);
        let mut call = self.call_of(leaf, operands);
        call.rax = Rax::new(leaf, u8::from(self.below(8) == 0));
        call
    }

    /// Operands that a leaf may well accept.
    fn operands(&mut self, leaf: Leaf) -> Args {
        use Leaf::*;
        let (free, other) = (self.free(), self.any_page());
        let td = self.td();
        let tdr = td.as_ref().map_or(other, |td| td.tdr);
        let vcpus = self.of_type(PageType::Tdvpr);
        let vcpu = self.pick(&vcpus).unwrap_or(other);
        let level = self.below(4);
        let gpa = self.gpa() & !((1 << (12 + 9 * level)) - 1);
        let r = self.below(8);
        let ids = if matches!(leaf, SysRd | SysRdall) {
            vec![
                0x0A00_0003_0000_0008,
                NONE,
                0x9900_0003_0000_0400,
                0x9100_0001_0000_00FF,
            ]
        } else if matches!(leaf, MngRd | MngWr) {
            vec![
                0x9010_0002_0000_0001,
                0x9110_0003_0000_0011,
                0x9110_0003_0000_0012,
                0x1110_0003_0000_0017,
                0x9110_0003_0000_0FFF,
                NONE,
            ]
        } else {
            vec![
                0xA020_0002_0000_0002,
                0x2020_0000_0000_000B,
                0x0024_0002_0000_4000,
                0x0024_0001_0000_0002,
                0x0024_0003_0000_2016,
                0x0024_0003_0000_203C,
                0x1020_0003_0000_0000,
                0xA020_0003_0000_0FFF,
                NONE,
            ]
        };
        let id = self.pick(&ids).unwrap_or(NONE);
        let value = self
            .pick(&[0, 1, 0x80, 20_000, 1 << 30, u64::MAX])
            .unwrap_or(0);
        let mask = self.pick(&[0xFF, 0x80, 1, u64::MAX, 0]).unwrap_or(0);
        match leaf {
            SysInit => args(0, 0, 0, 0),
            SysConfig => args(TDMR_ARRAY, 1, GLOBAL_HKID, 0),
            SysTdmrInit => args(page(0), 0, 0, 0),
            SysInfo => args(SOURCE, 1024, SOURCE + 0x400, 32),
            SysRd => args(0, id, 0, 0),
            SysRdall => args(0, SOURCE, id, 0),
            SysShutdown => args(r, 0, 0, 0),
            MngCreate => args(free, GLOBAL_HKID + self.below(KEYIDS + 1), 0, 0),
            MngInit => args(tdr, TD_PARAMS, 0, 0),
            MngAddcx | VpCreate => args(free, tdr, 0, 0),
            VpAddcx => args(free, vcpu, 0, 0),
            VpInit | VpFlush | VpEnter => args(vcpu, 0, 0, 0),
            VpRd | VpWr => args(vcpu, id, value, mask),
            MngRd | MngWr => args(tdr, id, value, mask),
            PhymemPageRdmd | PhymemPageReclaim => args(other, 0, 0, 0),
            PhymemPageWbinvd => args(free | (GLOBAL_HKID + r) << 46, 0, 0, 0),
            PhymemCacheWb => args(r / 6, 0, 0, 0),
            MngKeyConfig | MngVpflushdone | MngKeyFreeid | MemTrack | MrFinalize => {
                args(tdr, 0, 0, 0)
            }
            MemRd | MemWr | MrExtend => args(gpa, tdr, value, 0),
            MemSeptRd => args(gpa | level, tdr | u64::from(r == 0), 0, 0),
            MemPageAug => args(gpa | level, tdr, page(LARGE[1]), 0),
            MemSeptAdd => args(
                gpa | level,
                tdr | u64::from(r < 4),
                if r == 0 { NONE } else { free },
                NONE,
            ),
            _ => args(gpa | level, tdr, free, SOURCE),
        }
    }

    /// Puts something wrong into a call.
    fn spoil(&mut self, call: &mut Call) {
        let operands = [Operand::RCX, Operand::RDX, Operand::R8, Operand::R9];
        let Some(operand) = self.pick(&operands) else {
            return;
        };
        match self.below(40) {
            0 => call.rax = Rax::from_raw(call.rax.into_raw() | 1 << (16 + self.below(46))),
            1 => call.rax = Rax::from_raw(self.below(100)),
            _ => {}
        }
        let bit = 1 << self.below(64);
        let (word, other) = (self.random.word(), self.any_page());
        let register = case::register(&mut call.args, operand);
        match word % 6 {
            0 => *register = word >> 8,
            1 => *register = other,
            2 => *register = 0x1000,
            3 => *register = page(LARGE[0]),
            4 => *register = NONE,
            _ => *register ^= bit,
        }
    }

    /// Whether the module goes on after a call, and whether it leaves the pages of TDs alone: with
    /// real memory a host that had the module write a structure there would damage a TD, too.
    fn may_be_made(&self, call: &Call) -> bool {
        let tdx = |pa: u64| {
            let pa = pa & self.world.machine.config.memory_mask();
            (0x8000_0000..1 << 33).contains(&pa)
        };
        match call.rax.known_leaf() {
            Some(Leaf::SysShutdown) => call.args.rcx != 0,
            Some(Leaf::SysDisable) => false,
            Some(Leaf::SysInfo) => !tdx(call.args.rcx) && !tdx(call.args.r8),
            Some(Leaf::SysRdall) => !tdx(call.args.rdx),
            _ => true,
        }
    }

    /// What happens to a TD without a call: a vCPU enters the guest, all leave it, or it does what it
    /// must not.
    fn happen(&mut self) {
        let (what, parity) = (self.below(40), self.below(2));
        let tdrs = self.of_type(PageType::Tdr);
        let Some(tdr) = self.pick(&tdrs).filter(|tdr| self.is_td(*tdr)) else {
            return;
        };
        let cpu = self.cpu();
        let tdcs = Tdcs::new(&cpu, tdr);
        for n in 0..2 {
            let inside = what > 30 && u64::from(n) == parity;
            tdcs.set(tdcs::fields::REFCOUNT.element(n), u64::from(inside));
        }
        if what == 0 {
            tdr::fields::FATAL.store(&cpu, tdr, 1);
        }
    }

    /// Makes a call, perhaps at a bad time.
    fn call(&mut self, call: Call, watched: bool) {
        if self.below(50) == 0 {
            self.happen();
        }
        let (trouble, choice) = (self.below(12), self.below(12));
        let mode = if self.below(2) == 0 {
            Mode::Shared
        } else {
            Mode::Exclusive
        };
        let level = if self.below(4) == 0 {
            Level::M2
        } else {
            Level::K4
        };

        let world = &self.world;
        let machine = &world.machine;
        machine.interrupt.store(trouble == 0 && choice < 4, Relaxed);
        machine
            .no_entropy
            .store(trouble == 0 && choice >= 8, Relaxed);
        let pconfig = if trouble == 0 {
            [0, 2, 5][choice as usize % 3]
        } else {
            0
        };
        machine.pconfig.store(pconfig, Relaxed);
        let books = watched.then(|| Books::read(machine, &world.module));
        let held = if trouble == 1 {
            self.hold(&call, choice, mode, level)
        } else {
            None
        };

        let known = call.rax.known_leaf();
        let allowed = books
            .as_ref()
            .filter(|_| held.is_none())
            .map(|books| Allowed::new(machine, &world.module, books, known, &call.args));
        let watch = Watch::default();
        let mut cpu = world.cpu(call.lp);
        if allowed.is_some() {
            cpu = cpu.observed(&watch);
        }
        let mut regs = Regs {
            rax: call.rax.into_raw(),
            args: call.args,
            ..Regs::default()
        };
        let exit = cpu.seamcall(&world.module, &mut regs);
        drop(held);
        if exit == Exit::VmFailInvalid {
            return;
        }
        let status = Status::from_raw(regs.rax);
        self.last.push((call, status));
        if self.last.len() > 1000 {
            self.last.drain(..500);
        }
        if let Some(allowed) = allowed {
            allowed.judge(&watch, status);
        }
        assert!(
            conformance::knows(known, status),
            "{known:?} ends with {status}, which the table of its checks lacks"
        );
        self.tally.calls += 1;
        self.tally.good += u64::from(!status.is_error());
        let pair = (call.rax.into_raw() & 0xFFFF, kind(status).raw());
        *self.tally.seen.entry(pair).or_default() += 1;
    }

    /// Another processor takes a lock that the call may want, and holds it.
    fn hold<'s>(&'s self, call: &Call, choice: u64, mode: Mode, level: Level) -> Option<Held<'s>> {
        let module = &self.world.module;
        let own = |lock: Lock<&'s AtomicU64, 0, false>| lock.acquire(mode).map(Held::Own);
        let Args { rcx, rdx, r8, .. } = call.args;
        let cpu = self.cpu();
        let tdcs = |field: Field| {
            let named = [rcx, rdx].map(|pa| pa & !0xFFF);
            let owners = named.map(|pa| self.owner(pa).unwrap_or(0));
            let tdrs = named.into_iter().chain(owners);
            let tdr = tdrs.into_iter().find(|pa| self.is_td(*pa))?;
            Some(Tdcs::new(&cpu, tdr).word(field).pa())
        };
        let word = |pa, shift: u32, sharer: u64| {
            let bit = if mode == Mode::Shared { sharer } else { 1 };
            self.take(pa, 0xFFFF_u64 << shift, bit << shift)
        };
        match choice {
            0 => own(module.global_lock()),
            1 => own(module.kot.lock()),
            2 => own(module.wbt[0].lock()),
            3 => own(module.tdmrs.iter().next()?.lock()),
            4..=6 => {
                let pa = [rcx, rdx, r8][choice as usize - 4] & !0xFFF;
                let pa = module.tdmrs.covering(pa)?.pamt_entry(level, pa);
                word(pa, 0, 4)
            }
            7 => {
                // The owner of a page that the call names.
                let owner = self.owner(rcx & !0xFFF).or(self.owner(rdx & !0xFFF))?;
                word(
                    module.tdmrs.covering(owner)?.pamt_entry(Level::K4, owner),
                    0,
                    4,
                )
            }
            // Who holds one of these has the TDR shared, so that nobody has it alone.
            _ if call.rax.known_leaf().is_some_and(has_td_alone) => None,
            8 => word(tdcs(tdcs::fields::OP_STATE)?, 32, 4),
            9 => word(tdcs(tdcs::fields::SEPT_TREE_LOCK)?, 0, 2),
            10 => word(tdcs(tdcs::fields::EPOCH_LOCK)?, 0, 2),
            _ => {
                let tdr = rdx & !0xFFF;
                if !self.is_td(tdr) {
                    return None;
                }
                let level = Level::from_raw(rcx & 7).unwrap_or(Level::K4);
                let (pa, ..) = self.entry(tdr, rcx & !0xFFF, level);
                // An entry is held together with the tree.
                let tree = Tdcs::new(&cpu, tdr).word(tdcs::fields::SEPT_TREE_LOCK).pa();
                let tree = self.take(tree, 0xFFFF, 2)?;
                let entry = self.take(pa, Entry::LOCKED_MASK, Entry::LOCKED_MASK)?;
                Some(Held::Both(Box::new([entry, tree])))
            }
        }
    }

    /// The TD that a page belongs to.
    fn owner(&self, pa: u64) -> Option<u64> {
        let page = self.pages.iter().find(|(at, _)| *at == pa)?;
        (page.1.raw_type > PageType::Rsvd.raw()).then_some(page.1.owner)
    }

    /// Sets `bits` of a word if nothing else is in `field` but a wish for priority.
    fn take(&self, pa: u64, field: u64, bits: u64) -> Option<Held<'_>> {
        let word = self.peek(pa);
        let priority = (field & field.wrapping_neg()) << 1;
        (word & field & !priority == 0).then(|| {
            self.world.poke(pa, word | bits);
            Held::Word(&self.world, pa, bits)
        })
    }

    /// Whether the page at `pa` is the TDR of a TD that has a TDCS.
    fn is_td(&self, pa: u64) -> bool {
        let is_tdr = |(at, info): &(u64, Info)| *at == pa && info.raw_type == PageType::Tdr.raw();
        self.pages.iter().any(is_tdr)
            && self.field(pa, tdr::fields::NUM_TDCX) >= tdcs::BASE_PAGES
            && self.field(pa, tdr::fields::LIFECYCLE_STATE) < Lifecycle::Teardown.raw()
            && Tdcs::new(&self.cpu(), pa).get(tdcs::fields::OP_STATE) > 0
    }
}

/// Whether a leaf has the TDR to itself.
fn has_td_alone(leaf: Leaf) -> bool {
    matches!(
        leaf,
        Leaf::MemPageAdd
            | Leaf::MngAddcx
            | Leaf::MngInit
            | Leaf::MngKeyConfig
            | Leaf::MngKeyFreeid
            | Leaf::MngVpflushdone
            | Leaf::MrExtend
            | Leaf::MrFinalize
    )
}

/// A lock that another processor holds until this is dropped.
enum Held<'w> {
    /// One of the module's own.
    Own(#[allow(dead_code)] Guard<&'w AtomicU64, 0, false>),
    /// Bits of a word of memory.
    Word(&'w World, u64, u64),
    /// Two that belong together.
    Both(#[allow(dead_code)] Box<[Self; 2]>),
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Self::Word(world, pa, bits) = self {
            world.poke(*pa, world.machine.ram.load(*pa) - *bits);
        }
    }
}
