// SPDX-License-Identifier: GPL-2.0

//! Properties of the model that hold after any sequence of calls: a page has one owner and one
//! place, PAMT and secure EPT agree, child counts balance, no lock is left behind, and a failing
//! call has changed nothing.

use proptest::{
    prelude::*,
    sample::select, //
};
use std::{
    collections::BTreeMap,
    sync::{
        atomic::Ordering::Relaxed,
        LazyLock, //
    },
};
use tdx::{
    abi::{
        sept::{
            Entry,
            State, //
        },
        Args,
        Leaf,
        Level,
        PageType,
        Rax, //
    },
    layout,
    platform::Cpu,
    sim::model::{
        pamt,
        platform::{
            Platform,
            Profile, //
        },
        tdcs::Tdcs,
        tdr,
        Ctx, //
    },
    world::World,
};

const TD_PARAMS: u64 = 0x0200_0000;
const SOURCE: u64 = 0x0201_0000;

/// Pages of the two TDs, before those that the calls use.
const BUILT: u64 = 48;
/// 4K pages that the calls use; so few that they meet.
const PAGES: u64 = 16;
/// First of the 4K pages in each 2M range that the calls use.
const LARGE: [u64; 2] = [512, 1024];

fn page(n: u64) -> u64 {
    layout::TDMR_BASE + n * 4096
}

/// TDR pages of a TD that can run, and of one that is being built.
const TDRS: [u64; 2] = [0, 24];

/// Builds a TD with table pages for the GPAs from 0 to 2M.
fn build(world: &World, first: u64, hkid: u64) -> u64 {
    let mut free = (first..).map(page);
    let mut next = || free.next().expect("pages");
    let tdr = next();
    world.ok(Leaf::MngCreate, &[tdr, hkid]);
    world.ok(Leaf::MngKeyConfig, &[tdr]);
    for _ in 0..6 {
        world.ok(Leaf::MngAddcx, &[next(), tdr]);
    }
    world.ok(Leaf::MngInit, &[tdr, TD_PARAMS]);
    let vcpu = next();
    world.ok(Leaf::VpCreate, &[vcpu, tdr]);
    for _ in 1..6 {
        world.ok(Leaf::VpAddcx, &[next(), vcpu]);
    }
    world.ok(Leaf::VpInit, &[vcpu]);
    for level in [3, 2, 1] {
        world.ok(Leaf::MemSeptAdd, &[level, tdr, next()]);
    }
    tdr
}

static START: LazyLock<World> = LazyLock::new(|| {
    let world = World::new(Profile::Current, 1);
    world.bring_up();
    // XFAM, MAX_VCPUS, EPTP_CONTROLS and TSC_FREQUENCY.
    for (offset, value) in [(8, 3u64), (16, 1), (24, 0x1E), (40, 40)] {
        world
            .machine
            .write(TD_PARAMS + offset, &value.to_le_bytes());
    }
    let runs = build(&world, TDRS[0], 33);
    world.ok(Leaf::MemPageAdd, &[0, runs, page(BUILT), SOURCE]);
    world.ok(Leaf::MrFinalize, &[runs]);
    build(&world, TDRS[1], 34);
    world
});

#[derive(Clone, Debug)]
struct Call {
    leaf: Leaf,
    td: usize,
    gpa: u64,
    level: u64,
    page: u64,
    lp: u32,
    interrupted: bool,
}

impl Call {
    fn args(&self) -> Args {
        let tdr = page(TDRS[self.td]);
        let word = self.gpa | self.level;
        let rcx = match self.leaf {
            Leaf::MemTrack => tdr,
            Leaf::PhymemPageReclaim | Leaf::PhymemPageRdmd => page(self.page),
            Leaf::MrExtend => word & !7,
            _ => word,
        };
        Args {
            rcx,
            rdx: tdr,
            r8: page(self.page),
            r9: SOURCE,
            ..Args::default()
        }
    }
}

/// Places in the secure EPTs, few enough that calls meet.
const PLACES: [(u64, u64); 9] = [
    (0, 0),
    (0x1000, 0),
    (0x20_0000, 0),
    (0x20_1000, 0),
    (0, 1),
    (0x20_0000, 1),
    (0x40_0000, 1),
    (1 << 30, 2),
    (1 << 39, 3),
];

fn call(leaf: Leaf) -> impl Strategy<Value = Call> {
    let small = || BUILT..BUILT + PAGES;
    let large = || select(vec![LARGE[0], LARGE[1], LARGE[0] + 3]);
    let place = select(PLACES.to_vec());
    (
        0..2usize,
        place,
        small(),
        large(),
        0..2u32,
        prop::bool::weighted(0.05),
    )
        .prop_map(
            move |(td, (gpa, level), small, large, lp, interrupted)| Call {
                leaf,
                td,
                gpa,
                level,
                page: if leaf == Leaf::MemPageAug && level == 1 {
                    large
                } else {
                    small
                },
                lp,
                interrupted,
            },
        )
}

/// A call, or a few that belong together: made for the same place of the same TD.
fn calls() -> impl Strategy<Value = Vec<Call>> {
    use Leaf::*;
    let change = select(vec![
        MemPageRemove,
        MemPageDemote,
        MemPagePromote,
        MemPageRelocate,
        MemRangeUnblock,
        MemSeptRemove,
    ]);
    let others = select(vec![
        MemPageDemote,
        MemPagePromote,
        MemPageRelocate,
        MemPageRemove,
        MemRangeBlock,
        MemRd,
        MemSeptRd,
        MemSeptRemove,
        MemTrack,
        MemWr,
        MrExtend,
        PhymemPageRdmd,
        PhymemPageReclaim,
    ]);
    let at_one_place = |leaves: Vec<Leaf>| {
        let call = call(MemTrack);
        call.prop_map(move |call| {
            leaves
                .iter()
                .map(|&leaf| Call {
                    leaf,
                    ..call.clone()
                })
                .collect()
        })
    };
    let there_and_back = vec![
        MemRangeBlock,
        MemTrack,
        MemPageDemote,
        MemRangeBlock,
        MemTrack,
        MemPagePromote,
    ];
    prop_oneof![
        1 => at_one_place(there_and_back),
        4 => select(vec![MemSeptAdd, MemPageAug, MemPageAdd]).prop_flat_map(call).prop_map(|call| vec![call]),
        3 => change.prop_flat_map(move |leaf| at_one_place(vec![MemRangeBlock, MemTrack, leaf])),
        3 => others.prop_flat_map(call).prop_map(|call| vec![call]),
    ]
}

/// What a page is used for: type, owner, and level of the PAMT entry that says so.
type Uses = BTreeMap<u64, (PageType, u64, Level)>;

/// What the table page at `table` and those below it use.
fn walk(cpu: &Cpu<'_>, tdr: u64, table: u64, level: Level, uses: &mut Uses) {
    for index in 0..512 {
        let raw = cpu.load(table + index * 8);
        assert_eq!(
            raw & Entry::LOCKED_MASK,
            0,
            "entry {index} of {table:#x} is still locked"
        );
        let entry = Entry::from_raw(raw);
        let state = entry.state().expect("a state");
        if state.is_empty() {
            continue;
        }
        let pa = entry.pfn().pa();
        let (page_type, at) = if state.is_leaf() {
            (PageType::Reg, level)
        } else {
            (PageType::Ept, Level::K4)
        };
        let other = uses.insert(pa, (page_type, tdr, at));
        assert_eq!(other, None, "{pa:#x} has two places");
        if let (Some(below), State::NlMapped | State::NlBlocked) = (level.down(), state) {
            walk(cpu, tdr, pa, below, uses);
        }
    }
}

/// What the PAMT says is in use by a secure EPT, of the pages that calls can reach.
fn from_pamt(world: &World, cpu: &Cpu<'_>) -> Uses {
    let cx = Ctx {
        module: &world.module,
        p: cpu,
        version: 0,
    };
    let small = (0..BUILT + PAGES).chain(LARGE.into_iter().flat_map(|n| n..n + 512));
    let entries = small
        .map(|n| (page(n), Level::K4))
        .chain(LARGE.into_iter().map(|n| (page(n), Level::M2)))
        .chain([(page(0), Level::G1)]);
    let mut uses = Uses::new();
    for (pa, level) in entries {
        let at = pamt::entry(&cx, pa, level).expect("covered by a TDMR");
        assert!(
            at.lock()
                .acquire(tdx::sim::model::lock::Mode::Exclusive)
                .is_some(),
            "{pa:#x}"
        );
        let Some(page_type @ (PageType::Reg | PageType::Ept)) = PageType::from_raw(at.raw_type())
        else {
            continue;
        };
        let other = uses.insert(pa, (page_type, at.owner(), level));
        assert_eq!(other, None, "{pa:#x} is in use at two sizes");
    }
    uses
}

fn check(world: &World) {
    let cpu = world.machine.cpu(0, 0);
    let mut from_sept = Uses::new();
    for tdr in TDRS.map(page) {
        let before: u64 = from_sept.values().map(|(_, _, level)| level.pages()).sum();
        walk(
            &cpu,
            tdr,
            Tdcs::new(&cpu, tdr).page(3),
            Level::G512,
            &mut from_sept,
        );
        let after: u64 = from_sept.values().map(|(_, _, level)| level.pages()).sum();
        // Six TDCX pages and six of a vCPU.
        let children = tdr::fields::CHLDCNT.load(&cpu, tdr);
        assert_eq!(children, after - before + 12, "children of TD {tdr:#x}");
    }
    assert_eq!(from_pamt(world, &cpu), from_sept);
    assert_eq!(world.machine.ram.outside(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn secure_ept_and_pamt_agree(calls in prop::collection::vec(calls(), 1..120)) {
        let world = START.copy();
        check(&world);
        for call in calls.into_iter().flatten() {
            world.machine.interrupt.store(call.interrupted, Relaxed);
            let before = world.machine.ram.clone();
            let (status, args) = world.call(call.lp, Rax::from(call.leaf), call.args());
            if status.is_error() {
                let difference = world.machine.ram.first_difference(&before);
                prop_assert_eq!(difference, None, "{:?} {:?}", status, args);
            }
            check(&world);
        }
    }
}
