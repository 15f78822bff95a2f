// SPDX-License-Identifier: GPL-2.0

//! Sequences of calls with checks after each: see [`tdx::sequence`].

use std::{
    fs,
    path::Path, //
};
use tdx::{
    abi::{
        Args,
        Leaf,
        Rax, //
    },
    conformance::fixture::{
        two_tds,
        TDRS, //
    },
    layout,
    random::Random,
    sequence::{
        self,
        Tally, //
    },
    sim::model::platform::Profile,
};

/// What the fuzzer found worth to be kept: `host/fuzz/`.
#[test]
fn corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/sequence");
    let files = fs::read_dir(corpus).expect("the corpus");
    let mut tally = Tally::default();
    for file in files.map(|file| file.expect("a file of the corpus").path()) {
        // Shown if the sequence fails.
        println!("{}", file.display());
        tally += sequence::run(&fs::read(file).expect("a sequence"));
    }
    println!("{tally:?}");
    assert!(tally.good > 100);
}

#[test]
fn random() {
    let mut tally = Tally::default();
    for seed in 0..200 {
        println!("seed {seed}");
        tally += sequence::run(&Random(seed).bytes(4096));
    }
    println!("{tally:?}");
    assert!(tally.calls > 50_000 && tally.good * 10 > tally.calls);
}

#[test]
fn random_on_all_processors_at_once() {
    let mut random = Random(1);
    let mut tally = Tally::default();
    for _ in 0..100 {
        tally += sequence::run_together(&[random.bytes(2048), random.bytes(2048)]);
    }
    println!("{tally:?}");
    assert!(tally.good * 20 > tally.calls);
}

/// A number with a liking for powers of two and their neighbours.
fn word(random: &mut Random) -> u64 {
    let word = random.word();
    match word % 4 {
        0 => random.word(),
        1 => random.word() >> (word >> 2 & 63),
        2 => (1 << (word >> 2 & 63)) - (word >> 8 & 1),
        _ => !(1 << (word >> 2 & 63)),
    }
}

#[test]
fn any_register_value_gets_an_answer() {
    let mut random = Random(2);
    let world = two_tds(Profile::Current);
    for _ in 0..100_000 {
        let leaf = Leaf::ALL[random.word() as usize % Leaf::ALL.len()];
        if matches!(leaf, Leaf::SysShutdown | Leaf::SysDisable) {
            continue;
        }
        let [rcx, rdx, r8, r9] = [(); 4].map(|()| match random.word() % 3 {
            0 => TDRS[0],
            1 => (random.word() % layout::RAM_SIZE) & !0xFFF,
            _ => word(&mut random),
        });
        let args = Args {
            rcx,
            rdx,
            r8,
            r9,
            ..Args::default()
        };
        let version = random.word() as u8 % 4;
        // Fails if the answer is none that the leaf can give.
        let _ = world.call(0, Rax::new(leaf, version), args);
    }
}
