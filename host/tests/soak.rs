// SPDX-License-Identifier: GPL-2.0

//! Random calls without end, with checks of what must hold: see [`tdx::soak`].
//!
//! By itself a short run of fixed rounds. `make soak` runs for `SECONDS=` or so many `CALLS=`, from
//! a seed that it prints and that `SEED=` repeats; `ROUND=` runs one round alone.

use std::{
    collections::BTreeSet,
    env,
    panic::{
        self,
        AssertUnwindSafe, //
    },
    sync::{
        atomic::{
            AtomicBool,
            AtomicU64,
            Ordering::Relaxed, //
        },
        Mutex, //
    },
    thread,
    time::{
        Duration,
        Instant,
        SystemTime,
        UNIX_EPOCH, //
    },
};
use tdx::{
    conformance::{
        self,
        TABLE, //
    },
    soak::{
        Round,
        Tally, //
    },
};

/// Calls of a round.
const CALLS: u64 = 20_000;
/// Calls of the short run, and seconds of a long one.
const SHORT: u64 = 60_000;
const SECONDS: u64 = 600;

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text}: no number")),
    )
}

/// Makes a round; `None` if something is wrong, which is said then.
fn round(seed: u64, number: u64) -> Option<Tally> {
    let mut round = Round::new(seed.wrapping_add(number));
    let result = panic::catch_unwind(AssertUnwindSafe(|| round.run(CALLS)));
    if result.is_err() {
        println!("SEED={seed} ROUND={number}, after\n{}", round.last_calls());
        return None;
    }
    Some(round.into_tally())
}

#[test]
fn soak() {
    // What `make soak` gives is empty where it was not given.
    let long = env::var_os("SOAK_SECONDS").is_some();
    let calls = number("CALLS");
    let seconds = number("SOAK_SECONDS").or((long && calls.is_none()).then_some(SECONDS));
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let wanted = calls.unwrap_or(if long { u64::MAX } else { SHORT });
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let seed = number("SEED").unwrap_or(if long { now } else { 0 });
    println!("SEED={seed}");

    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let tally = Mutex::new(Tally::default());
    let only = self::number("ROUND");
    let work = || loop {
        let number = only.unwrap_or_else(|| next.fetch_add(1, Relaxed));
        match round(seed, number) {
            Some(more) => tally.lock().unwrap().add(more),
            None => failed.store(true, Relaxed),
        }
        let enough = tally.lock().unwrap().calls >= wanted;
        let late = end.is_some_and(|end| Instant::now() >= end);
        if failed.load(Relaxed) || enough || late || only.is_some() {
            return;
        }
    };
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, |n| n.get());
        let workers = if only.is_some() { 1 } else { workers };
        (0..workers).for_each(|_| {
            scope.spawn(work);
        });
    });
    assert!(!failed.load(Relaxed), "see above");
    let tally = tally.into_inner().unwrap();
    let percent = tally.good * 100 / tally.calls;
    println!(
        "{} rounds, {} calls, {percent} % did their job",
        next.load(Relaxed),
        tally.calls
    );
    assert!(percent >= 30 || only.is_some());
    if only.is_none() {
        complete(&tally);
    }
}

/// Makes the rest of the answers of the table come, those that no random call got.
fn complete(tally: &Tally) {
    let mut answers = BTreeSet::new();
    let (mut random, mut directed) = (0, 0);
    for checks in TABLE.iter() {
        let Some(leaf) = checks.leaf else { continue };
        for status in checks.statuses() {
            let answer = (u64::from(leaf.raw()), conformance::kind(status).raw());
            if !answers.insert(answer) {
                continue;
            }
            if tally.seen.contains_key(&answer) {
                random += 1;
                continue;
            }
            directed += 1;
            println!("no random call: {} {status}", leaf.name());
            let check = checks.checks.iter().find(|check| check.status == status);
            let proof = check.map_or_else(|| checks.prove_good(), |check| checks.prove(check));
            proof.unwrap_or_else(|error| panic!("{error}"));
        }
    }
    println!("answers in the table: {random} to random calls, {directed} to directed ones");
}
