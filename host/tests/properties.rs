// SPDX-License-Identifier: GPL-2.0

//! Properties of the model that hold after any sequence of calls: a page has one owner and one
//! place, PAMT and secure EPT agree, child counts balance, no lock is left behind, and a failing
//! call has changed nothing.

use proptest::{
    prelude::*,
    sample::select, //
};
use std::sync::{
    atomic::Ordering::Relaxed,
    LazyLock, //
};
use tdx::{
    abi::{
        Args,
        Leaf,
        Rax,
        Status, //
    },
    books,
    conformance::fixture::{
        page,
        two_tds,
        BUILT,
        SOURCE,
        TDRS, //
    },
    sim::model::{
        platform::Profile,
        Exit,
        Regs, //
    },
    watch::{
        Allowed,
        Watch, //
    },
    world::World,
};

/// 4K pages that the calls use; so few that they meet.
const PAGES: u64 = 16;
/// First of the 4K pages in each 2M range that the calls use.
const LARGE: [u64; 2] = [512, 1024];

static START: LazyLock<World> = LazyLock::new(|| two_tds(Profile::Current));

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
        let tdr = TDRS[self.td];
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn secure_ept_and_pamt_agree(calls in prop::collection::vec(calls(), 1..120)) {
        let world = START.copy();
        let World { machine, module } = &world;
        let watch = Watch::default();
        let mut books = books::check(machine, module);
        for call in calls.into_iter().flatten() {
            machine.interrupt.store(call.interrupted, Relaxed);
            let mut regs = Regs {
                rax: Rax::from(call.leaf).into_raw(),
                args: call.args(), ..Regs::default() };
            let allowed = Allowed::new(machine, module, &books, Some(call.leaf), &regs.args);
            let cpu = world.cpu(call.lp).observed(&watch);
            prop_assert_eq!(cpu.seamcall(module, &mut regs), Exit::Completed);
            allowed.judge(&watch, Status::from_raw(regs.rax));
            books = books::check(machine, module);
        }
        prop_assert_eq!(machine.ram.outside(), 0);
    }
}
