// SPDX-License-Identifier: GPL-2.0

//! SEAMCALLs a second on one core: the leaves that map and unmap memory of a TD.

use criterion::{
    criterion_group,
    criterion_main,
    Criterion,
    Throughput, //
};
use std::time::Duration;
use tdx::{
    abi::{
        Args,
        Leaf,
        Rax,
        Status, //
    },
    conformance::fixture::{
        page,
        two_tds,
        BUILT,
        TDRS, //
    },
    sim::model::{
        platform::Profile,
        Exit,
        Regs, //
    },
    world::World,
};

/// A SEAMCALL that succeeds.
fn call(world: &World, leaf: Leaf, rcx: u64, rdx: u64, r8: u64) {
    let mut regs = Regs {
        rax: Rax::from(leaf).into_raw(),
        args: Args {
            rcx,
            rdx,
            r8,
            ..Args::default()
        },
        ..Regs::default()
    };
    let exit = world.cpu(0).seamcall(&world.module, &mut regs);
    assert_eq!((exit, regs.rax), (Exit::Completed, Status::SUCCESS.raw()));
}

fn sept(criterion: &mut Criterion) {
    let world = &two_tds(Profile::Current);
    let [tdr, _] = TDRS;
    let mut group = criterion.benchmark_group("SEAMCALLs");
    group.warm_up_time(Duration::from_secs(1));
    group.measurement_time(Duration::from_secs(3));

    group.throughput(Throughput::Elements(4));
    let gpa = 0x1000;
    group.bench_function("PAGE.AUG, RANGE.BLOCK, TRACK, PAGE.REMOVE", |bencher| {
        bencher.iter(|| {
            call(world, Leaf::MemPageAug, gpa, tdr, page(BUILT));
            call(world, Leaf::MemRangeBlock, gpa, tdr, 0);
            call(world, Leaf::MemTrack, tdr, 0, 0);
            call(world, Leaf::MemPageRemove, gpa, tdr, 0);
        });
    });

    let table = 0x20_0000 | 1;
    group.bench_function("SEPT.ADD, RANGE.BLOCK, TRACK, SEPT.REMOVE", |bencher| {
        bencher.iter(|| {
            call(world, Leaf::MemSeptAdd, table, tdr, page(BUILT));
            call(world, Leaf::MemRangeBlock, table, tdr, 0);
            call(world, Leaf::MemTrack, tdr, 0, 0);
            call(world, Leaf::MemSeptRemove, table, tdr, 0);
        });
    });

    group.throughput(Throughput::Elements(1));
    group.bench_function("SEPT.RD", |bencher| {
        bencher.iter(|| call(world, Leaf::MemSeptRd, 0, tdr, 0));
    });
    group.finish();
}

criterion_group!(benches, sept);
criterion_main!(benches);
