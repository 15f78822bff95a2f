// SPDX-License-Identifier: GPL-2.0

//! Sequences of calls, made of arbitrary bytes, with operands that mostly fit, and checks after each
//! call.
//!
//! The same bytes give the same sequence. Random numbers make good ones; a fuzzer, which changes bytes
//! and looks where that leads, better ones.

use crate::{
    abi::{
        state::Lifecycle,
        Args,
        Leaf,
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
        fixture::{
            self,
            page,
            SOURCE,
            TD_PARAMS, //
        },
    },
    layout,
    platform::Machine,
    sim::model::{
        platform::Profile,
        tdr,
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
        TDMR_ARRAY, //
    },
};
use arbitrary::{
    Arbitrary,
    Result,
    Unstructured, //
};
use std::{
    ops::AddAssign,
    sync::{
        atomic::Ordering::Relaxed,
        LazyLock, //
    },
    thread, //
};

/// Where the module writes structures.
const OUTPUT: u64 = 0x0300_0000;

/// 4K pages that calls use, from the first of the TDMR on; so few that they meet.
const PAGES: u64 = 72;
/// Pages of 2M that calls use, numbered from the first in the TDMR.
const LARGE: std::ops::Range<u64> = 1..3;
/// KeyIDs that calls use, the global one and one too many among them.
const KEYIDS: std::ops::Range<u64> = 32..37;

/// Places in a secure EPT, by level: GPAs.
const PLACES: [&[u64]; 4] = [
    &[0, 0x1000, 0x2000, 0x20_0000, 0x20_1000, 0x4000_0000],
    &[0, 0x20_0000, 0x40_0000, 0x4000_0000],
    &[0, 1 << 30],
    &[0, 1 << 39],
];

/// Identifiers of metadata fields: global, of a TD, of a vCPU, and of none.
const FIELDS: [u64; 10] = [
    0x8900_0001_0000_0000,
    0x0A00_0003_0000_0008,
    0x9010_0002_0000_0001,
    0x9110_0003_0000_0011,
    0x1110_0003_0000_0000,
    0xA020_0002_0000_0002,
    0x2020_0000_0000_000B,
    0x1020_0003_0000_0001,
    0x0024_0001_0000_0000,
    u64::MAX,
];

/// What an operand of a leaf is.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Nothing: 0.
    None,
    /// The TDR of a TD.
    Td,
    /// The TDVPR of a vCPU.
    Vcpu,
    /// A page that nobody uses.
    Free,
    /// The same of the size that level is, which is that in RCX.
    FreeAt(u64),
    /// A page that somebody uses.
    Used,
    /// A page with the KeyID that it belongs to.
    Keyed,
    /// A KeyID.
    Hkid,
    /// GPA and level; the level is between these.
    Place(usize, usize),
    /// A metadata field.
    Field,
    /// A small number.
    Small,
    /// Any number.
    Any,
    /// This address.
    At(u64),
}

/// The GPA of a page of 4K, without a level.
const GPA: Kind = Kind::Place(0, 0);

/// RCX, RDX, R8 and R9 of each leaf.
fn operands(leaf: Leaf) -> [Kind; 4] {
    use Kind::*;
    use Leaf::*;
    match leaf {
        MngCreate => [Free, Hkid, None, None],
        MngAddcx | VpCreate => [Free, Td, None, None],
        VpAddcx => [Free, Vcpu, None, None],
        MngInit => [Td, At(TD_PARAMS), None, None],
        VpInit => [Vcpu, Any, None, None],
        VpFlush | VpEnter => [Vcpu, None, None, None],
        VpRd => [Vcpu, Field, None, None],
        VpWr => [Vcpu, Field, Any, Any],
        MngRd => [Td, Field, None, None],
        MngWr => [Td, Field, Any, Any],
        MngKeyConfig | MngVpflushdone | MngKeyFreeid | MngKeyReclaimid | MemTrack | MrFinalize => {
            [Td, None, None, None]
        }
        MrExtend => [GPA, Td, None, None],
        MemPageAdd => [GPA, Td, Free, At(SOURCE)],
        MemPageAug => [Place(0, 1), Td, FreeAt(0), None],
        MemSeptAdd => [Place(1, 3), Td, Free, None],
        MemPageDemote => [Place(1, 2), Td, Free, None],
        MemPagePromote | MemPageRemove => [Place(0, 2), Td, None, None],
        MemPageRelocate => [GPA, Td, Free, None],
        MemRd => [GPA, Td, None, None],
        MemWr => [GPA, Td, Any, None],
        PhymemPageRdmd | PhymemPageReclaim => [Used, None, None, None],
        PhymemPageWbinvd => [Keyed, None, None, None],
        PhymemCacheWb => [Small, None, None, None],
        SysConfig => [At(TDMR_ARRAY), Small, At(KEYIDS.start), None],
        SysInfo => [At(OUTPUT), At(1024), At(OUTPUT + 2048), At(32)],
        SysRd => [None, Field, None, None],
        SysRdall => [At(OUTPUT), Field, None, None],
        SysTdmrInit => [At(layout::TDMR_BASE), None, None, None],
        _ => [Place(0, 3), Td, Free, None],
    }
}

/// A SEAMCALL before its operands are known.
#[derive(Clone, Copy, Debug)]
struct Call {
    leaf: Leaf,
    version: u8,
    lp: u8,
    /// Chooses among the objects that an operand may be.
    choices: [u8; 4],
    twist: Option<Twist>,
}

/// How a call is made wrong.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Twist {
    /// RAX is this.
    Rax(u64),
    /// A register is this.
    Register(u8, u64),
    /// A bit of a register is the other way round.
    Bit(u8, u8),
    /// A register names some page.
    Page(u8, u8),
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    Call(Call),
    /// Block, track, and the call at the same place.
    Blocked(Call),
    /// All that ends a TD, and back goes a page.
    End(Call),
    /// An interrupt comes, or is over.
    Interrupt(bool),
    /// There is no entropy, or there is again.
    NoEntropy(bool),
    /// PCONFIG fails with this code.
    Pconfig(u8),
    /// The host writes to a TD's page, which hardware would not let it read back.
    Damage {
        page: u8,
        word: u16,
        value: u64,
    },
}

/// Leaves that most sequences need more often than others.
const COMMON: [Leaf; 14] = [
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
    Leaf::MrFinalize,
];

/// Leaves that end a TD, in this order.
const ENDING: [Leaf; 5] = [
    Leaf::VpFlush,
    Leaf::MngVpflushdone,
    Leaf::PhymemCacheWb,
    Leaf::MngKeyFreeid,
    Leaf::PhymemPageReclaim,
];

/// Leaves that want a blocked entry.
const ON_BLOCKED: [Leaf; 6] = [
    Leaf::MemPageRemove,
    Leaf::MemPageDemote,
    Leaf::MemPagePromote,
    Leaf::MemPageRelocate,
    Leaf::MemRangeUnblock,
    Leaf::MemSeptRemove,
];

impl Call {
    fn arbitrary(u: &mut Unstructured<'_>, leaves: &[Leaf]) -> Result<Self> {
        Ok(Self {
            leaf: *u.choose(leaves)?,
            version: if u.ratio(1u8, 16)? {
                u.int_in_range(0..=2)?
            } else {
                0
            },
            lp: u.arbitrary()?,
            choices: u.arbitrary()?,
            twist: if u.ratio(1u8, 10)? {
                Some(u.arbitrary()?)
            } else {
                None
            },
        })
    }
}

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=63u8)? {
            0 => Self::Interrupt(u.arbitrary()?),
            1 => Self::NoEntropy(u.ratio(1u8, 4)?),
            2 => Self::Pconfig(if u.ratio(1u8, 4)? { u.arbitrary()? } else { 0 }),
            3 => Self::Damage {
                page: u.arbitrary()?,
                word: u.arbitrary()?,
                value: u.arbitrary()?,
            },
            4..=15 => Self::Blocked(Call::arbitrary(u, &ON_BLOCKED)?),
            16 => Self::End(Call::arbitrary(u, &[Leaf::PhymemPageReclaim])?),
            17..=47 => Self::Call(Call::arbitrary(u, &COMMON)?),
            _ => Self::Call(Call::arbitrary(u, Leaf::ALL)?),
        })
    }
}

/// How many calls were made, and how many of them succeeded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// All calls.
    pub calls: u64,
    /// Those that did not end in an error.
    pub good: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.good += other.good;
    }
}

/// Where sequences begin.
struct Starts {
    /// The module was just loaded.
    cold: World,
    /// The module is ready, and there is no TD.
    ready: World,
    /// A TD is being built and another can run.
    tds: World,
}

impl Starts {
    fn new(profile: Profile) -> Self {
        let cold = fixture::cold(profile);
        let ready = cold.copy();
        ready.bring_up();
        let tds = fixture::two_tds(profile);
        Self { cold, ready, tds }
    }
}

static STARTS: LazyLock<[Starts; 2]> =
    LazyLock::new(|| [Profile::Current, Profile::V1_5_01].map(Starts::new));

/// A sequence that is running.
struct Run<'w> {
    world: &'w World,
    /// As they were after the last call, or at the beginning if other processors call, too.
    books: Books,
    /// The processor that makes the calls, where each has a sequence of its own.
    lp: Option<u8>,
    /// The host has written to pages of TDs, so that the books need not hold any more.
    damaged: bool,
    watch: Watch,
    tally: Tally,
    /// The calls so far: processor, registers before, and status if it has come to an end.
    calls: Vec<(u8, Regs, Option<Status>)>,
}

/// Shows how it came to a panic.
impl Drop for Run<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        let skip = self.calls.len().saturating_sub(30);
        for (lp, Regs { rax, args, .. }, status) in self.calls.iter().skip(skip) {
            let leaf = Rax::from_raw(*rax).known_leaf().map_or("-", Leaf::name);
            let Args {
                rcx, rdx, r8, r9, ..
            } = args;
            println!("LP {lp}: {leaf} {rax:#x} ({rcx:#x}, {rdx:#x}, {r8:#x}, {r9:#x}): {status:?}");
        }
    }
}

/// Runs the sequence that `bytes` stand for.
///
/// # Panics
///
/// If the module does what it must not.
pub fn run(bytes: &[u8]) -> Tally {
    let mut u = Unstructured::new(bytes);
    let start: u8 = u.arbitrary().unwrap_or(0);
    let [current, v1_5_01] = &*STARTS;
    let starts = if start & 1 == 0 { current } else { v1_5_01 };
    let world = match start >> 1 & 15 {
        0 => &starts.cold,
        1 | 2 => &starts.ready,
        _ => &starts.tds,
    };
    // A sequence without damage has to keep the books for as long as it is.
    let may_damage = start >> 5 & 3 == 0;
    let world = world.copy();
    let mut run = Run::new(&world, None);
    run.steps(&mut u, may_damage);
    run.tally
}

/// Runs a sequence on each logical processor, all at the same time and on the same TDs. What single
/// calls do cannot be judged then; the books have to be in order at the end.
///
/// # Panics
///
/// If the module does what it must not.
pub fn run_together(sequences: &[Vec<u8>]) -> Tally {
    let world = &STARTS[0].tds.copy();
    let mut tally = Tally::default();
    // All have looked into the books before the first of them begins to change those.
    let runs: Vec<_> = (0..)
        .zip(sequences)
        .map(|(lp, bytes)| (Run::new(world, Some(lp)), bytes))
        .collect();
    thread::scope(|scope| {
        let threads: Vec<_> = runs
            .into_iter()
            .map(|(mut run, bytes)| {
                scope.spawn(move || {
                    run.steps(&mut Unstructured::new(bytes), false);
                    run.tally
                })
            })
            .collect();
        for thread in threads {
            tally += thread.join().expect("a sequence that comes to its end");
        }
    });
    books::check(&world.machine, &world.module);
    tally
}

impl<'w> Run<'w> {
    fn new(world: &'w World, lp: Option<u8>) -> Self {
        Self {
            world,
            books: books::check(&world.machine, &world.module),
            lp,
            damaged: false,
            watch: Watch::default(),
            tally: Tally::default(),
            calls: Vec::new(),
        }
    }

    fn steps(&mut self, u: &mut Unstructured<'_>, may_damage: bool) {
        while !u.is_empty() {
            match Step::arbitrary(u) {
                Ok(Step::Damage { .. }) if !may_damage => (),
                Ok(step) => self.step(step),
                Err(_) => break,
            }
        }
    }

    fn step(&mut self, step: Step) {
        let machine = &self.world.machine;
        match step {
            Step::Call(call) => self.call(&call, call.leaf),
            Step::Blocked(call) => {
                for leaf in [Leaf::MemRangeBlock, Leaf::MemTrack, call.leaf] {
                    self.call(&call, leaf);
                }
            }
            Step::End(call) => {
                for leaf in ENDING {
                    self.call(&call, leaf);
                }
            }
            Step::Interrupt(waits) => machine.interrupt.store(waits, Relaxed),
            Step::NoEntropy(none) => machine.no_entropy.store(none, Relaxed),
            Step::Pconfig(code) => machine.pconfig.store(code.into(), Relaxed),
            Step::Damage { page, word, value } => {
                if let Some((pa, _)) = pick(self.books.pages(), page) {
                    machine.poke(pa + u64::from(word % 512) * 8, value);
                    self.damaged = true;
                }
            }
        }
    }

    /// The TDR that `choice` says, mostly one of a TD that `leaf` works on.
    fn tdr(&self, leaf: Leaf, choice: u8) -> Option<u64> {
        let wanted = match leaf {
            Leaf::MngKeyConfig => Lifecycle::HkidAssigned,
            Leaf::MngKeyFreeid => Lifecycle::Blocked,
            _ => Lifecycle::KeysConfigured,
        };
        let all = self.books.of_type(PageType::Tdr);
        let state = |tdr| tdr::fields::LIFECYCLE_STATE.load(&self.world.machine.cpu(0, 0), tdr);
        let fitting = all.clone().filter(|tdr| state(*tdr) == wanted.raw());
        let any = choice % 16 == 0;
        pick(fitting, choice).filter(|_| !any).or(pick(all, choice))
    }

    /// An operand: of the objects that it may be, the one that `choice` says.
    fn operand(&self, leaf: Leaf, kind: Kind, choice: u8) -> u64 {
        let number = u64::from(choice);
        let some_page = page(number % PAGES);
        let free = || {
            let free = (0..PAGES).map(page);
            pick(free.filter(|pa| self.books.at(*pa).is_none()), choice)
        };
        match kind {
            Kind::None => 0,
            Kind::Td => self.tdr(leaf, choice).unwrap_or(some_page),
            Kind::Vcpu => pick(self.books.of_type(PageType::Tdvpr), choice).unwrap_or(some_page),
            Kind::Free => free().unwrap_or(some_page),
            Kind::FreeAt(1) => page((LARGE.start + number % (LARGE.end - LARGE.start)) * 512),
            Kind::FreeAt(_) => free().unwrap_or(some_page),
            Kind::Used => pick(self.books.pages(), choice).map_or(some_page, |(pa, _)| pa),
            Kind::Keyed => some_page | self.operand(leaf, Kind::Hkid, choice) << 46,
            Kind::Hkid => KEYIDS.start + number % (KEYIDS.end - KEYIDS.start),
            Kind::Place(min, max) => {
                let places = (min..=max).flat_map(|level| {
                    let gpas = PLACES[level].iter();
                    gpas.map(move |gpa| *gpa | level as u64)
                });
                pick(places, choice).unwrap_or(0)
            }
            Kind::Field => FIELDS[usize::from(choice) % FIELDS.len()],
            Kind::Small => number % 3,
            Kind::Any => number << (choice % 8 * 8),
            Kind::At(pa) => pa,
        }
    }

    fn registers(&self, call: &Call, leaf: Leaf) -> Regs {
        let mut inputs = [0; 4];
        for (i, kind) in operands(leaf).into_iter().enumerate() {
            let kind = match kind {
                Kind::FreeAt(_) => Kind::FreeAt(inputs[0] & 7),
                kind => kind,
            };
            inputs[i] = self.operand(leaf, kind, call.choices[i]);
        }
        let [rcx, rdx, r8, r9] = inputs;
        let mut regs = Regs {
            rax: Rax::new(leaf, call.version).into_raw(),
            args: Args {
                rcx,
                rdx,
                r8,
                r9,
                ..Args::default()
            },
            ..Regs::default()
        };
        let args = &mut regs.args;
        match call.twist {
            None => (),
            Some(Twist::Rax(rax)) => regs.rax = rax,
            Some(Twist::Register(n, value)) => *register(args, n) = value,
            Some(Twist::Bit(n, bit)) => *register(args, n) ^= 1 << (bit % 64),
            Some(Twist::Page(n, nr)) => {
                *register(args, n) = page(u64::from(nr) % PAGES);
            }
        }
        regs
    }

    fn call(&mut self, call: &Call, leaf: Leaf) {
        let World { machine, module } = self.world;
        let mut regs = self.registers(call, leaf);
        let rax = Rax::from_raw(regs.rax);
        // After these two nothing works any more, so they are rare.
        let ends = matches!(leaf, Leaf::SysShutdown | Leaf::SysDisable);
        if ends && (call.choices[3] > 7 || self.lp.is_some())
            || self.writes_to_a_td(rax, &regs.args)
        {
            return;
        }
        let before = regs;
        let mut allowed = Allowed::new(machine, module, &self.books, rax.known_leaf(), &regs.args);
        if self.damaged {
            allowed = allowed.donated();
        }
        let was = module.state();
        let lp = self.lp.unwrap_or(call.lp % 2);
        let mut cpu = self.world.cpu(lp.into());
        if self.lp.is_none() {
            cpu = cpu.observed(&self.watch);
        }
        self.calls.push((lp, regs, None));
        let exit = cpu.seamcall(module, &mut regs);
        if exit == Exit::VmFailInvalid {
            assert!(was == SysState::Disabled || before.rax & Rax::SEAMLDR_MASK != 0);
            assert_eq!(regs, before, "VMfailInvalid, but registers have changed");
            return;
        }
        let status = Status::from_raw(regs.rax);
        if let Some((_, _, end)) = self.calls.last_mut() {
            *end = Some(status);
        }
        let called = rax.known_leaf();
        assert!(conformance::knows(called, status), "{called:?}: {status:?}");
        check_registers(&before.args, &regs.args);
        self.tally.calls += 1;
        self.tally.good += u64::from(!status.is_error());
        if self.lp.is_none() {
            allowed.judge(&self.watch, status);
            self.books = if self.damaged {
                Books::read(machine, module)
            } else {
                books::check(machine, module)
            };
        }
    }

    /// Whether a call writes a structure where the host says, and that is a page of a TD: with real
    /// memory that, too, would damage the TD. While other processors give pages to TDs, any page may
    /// be one.
    fn writes_to_a_td(&self, rax: Rax, args: &Args) -> bool {
        let writes = matches!(rax.known_leaf(), Some(Leaf::SysInfo | Leaf::SysRdall));
        let together = self.lp.is_some();
        let in_use = |pa: u64| together || self.books.at(pa & self.memory_mask()).is_some();
        writes && [args.rcx, args.rdx, args.r8].into_iter().any(in_use)
    }

    fn memory_mask(&self) -> u64 {
        let machine: &Machine = &self.world.machine;
        machine.config.memory_mask()
    }
}

/// A register that leaves take something in.
fn register(args: &mut Args, n: u8) -> &mut u64 {
    match n % 8 {
        0 | 1 => &mut args.rcx,
        2 | 3 => &mut args.rdx,
        4 | 5 => &mut args.r8,
        6 => &mut args.r9,
        _ => &mut args.r10,
    }
}

/// No leaf but TDH.VP.ENTER, which enters no TD here, returns anything in these registers.
fn check_registers(before: &Args, after: &Args) {
    let callee = |args: &Args| {
        [
            args.r12, args.r13, args.r14, args.r15, args.rbx, args.rdi, args.rsi,
        ]
    };
    assert_eq!(callee(before), callee(after));
}

/// Of some things the one that `choice` says.
fn pick<T>(of: impl Iterator<Item = T> + Clone, choice: u8) -> Option<T> {
    let count = of.clone().count();
    of.cycle().nth(usize::from(choice) % count.max(1))
}
