// SPDX-License-Identifier: GPL-2.0

//! Replays SEAMCALL traces of a TDX module against the model, which has to give every answer that
//! the module gave.
//!
//! Arguments are files with traces. Without any, the environment variable `TDX_VECTORS` names a directory of
//! reference traces, `*.jsonl.xz`; `TDX_VECTORS_TOTALS=1` also prints how often each leaf gave each status.

mod deliberate;
mod header;
mod own;
mod player;
mod trace;

use player::{
    cpus,
    Player, //
};
use std::{
    collections::{
        BTreeMap,
        VecDeque, //
    },
    path::{
        Path,
        PathBuf, //
    },
    process::ExitCode,
    sync::{
        atomic::{
            AtomicUsize,
            Ordering, //
        },
        Mutex, //
    },
    thread,
    time::Instant, //
};
use tdx::{
    abi::{
        Leaf,
        Status, //
    },
    sim::model::platform::Profile,
    world::World, //
};
use trace::Record;

/// The packages of the logical processors of the reference traces.
const PACKAGES: [u32; 2] = [0, 0];

/// Events before a difference that are shown with it.
const CONTEXT: usize = 8;

/// How often each leaf gave each status.
type Totals = BTreeMap<(String, u64), u64>;

/// What came of one file.
#[derive(Default)]
struct Report {
    calls: u64,
    sequences: u64,
    /// Sequences with a difference; each ends at its first.
    different: u64,
    first: Option<String>,
    deliberate: BTreeMap<&'static str, u64>,
    totals: Totals,
}

/// The traces that bring the machine up, by what the names of the files begin with that start from
/// there.
fn bring_up(directory: &Path, file: &str) -> (PathBuf, u64) {
    let (name, gib) = if file.contains("layoutB") {
        ("00b_bringup_layoutB.jsonl.xz", 2)
    } else {
        ("00_bringup.jsonl.xz", 1)
    };
    (directory.join(name), gib)
}

/// Whether a sequence starts before TDH.SYS.INIT.
fn is_cold(file: &str, seq: &str) -> bool {
    seq.starts_with("cold/")
        || ["00_", "00b_", "00d_"]
            .iter()
            .any(|name| file.starts_with(name))
}

/// Replays a trace. One that says what machine it was recorded on starts there, others where the reference
/// traces of the same directory do.
fn replay(path: &Path) -> Result<Report, String> {
    let records = trace::read(path)?;
    let mut report = Report::default();
    if let Some(cold) = header::machine(&records)? {
        run(&cold.world, &cold.packages, &records, &mut report);
        return Ok(report);
    }

    let (Some(directory), Some(file)) = (path.parent(), path.file_name()) else {
        return Err(format!("{}: no file", path.display()));
    };
    let file = file.to_string_lossy();
    let (bring_up, gib) = bring_up(directory, &file);
    let cold = World::new(Profile::V1_5_01, gib);
    let warm = cold.copy();
    let mut started = Report::default();
    run(&warm, &PACKAGES, &trace::read(&bring_up)?, &mut started);
    if started.different != 0 && !file.starts_with("00") {
        return Err("bring-up fails: see its own trace".to_string());
    }

    for sequence in records.chunk_by(|(_, a), (_, b)| a.seq == b.seq) {
        let start = if is_cold(&file, &sequence[0].1.seq) {
            &cold
        } else {
            &warm
        };
        run(&start.copy(), &PACKAGES, sequence, &mut report);
    }
    Ok(report)
}

/// Replays one sequence up to its first difference.
fn run(world: &World, packages: &[u32], sequence: &[(String, Record)], report: &mut Report) {
    report.sequences += 1;
    let mut past = VecDeque::new();
    let cpus = cpus(world, packages);
    let mut player = Player::new(world, &cpus);
    for (line, record) in sequence {
        if past.len() > CONTEXT {
            past.pop_front();
        }
        past.push_back(shorten(line));
        if let Some(leaf) = &record.leaf {
            report.calls += 1;
            if let Some(rax) = record.rax {
                *report.totals.entry((leaf.clone(), rax.0)).or_default() += 1;
            }
        }
        if let Err(difference) = player.play(record, &mut report.deliberate) {
            report.different += 1;
            report.first.get_or_insert_with(|| {
                let past: Vec<_> = past.into_iter().collect();
                format!(
                    "  the first difference is at the last of\n    {}\n  model: {difference}",
                    past.join("\n    ")
                )
            });
            return;
        }
    }
}

/// A line of a trace without long memory contents.
fn shorten(line: &str) -> String {
    match line.char_indices().nth(400) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_string(),
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory)
        .unwrap_or_else(|e| panic!("TDX_VECTORS: {}: {e}", directory.display()));
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(".jsonl.xz"))
        .collect();
    files.sort();
    files
}

fn status_name(raw: u64) -> String {
    let status = Status::from_raw(raw);
    match (status.class().name(), status.detail()) {
        (Some(name), 0) => name.to_string(),
        (Some(name), detail) => format!("{name}|{detail:#x}"),
        (None, _) => format!("{raw:#x}"),
    }
}

fn main() -> ExitCode {
    // Files that are named are all that is asked for. What cargo gives to all tests, options and filters, is
    // not meant for this one.
    let mut named: Vec<_> = std::env::args().skip(1).map(PathBuf::from).collect();
    named.retain(|path| path.is_file());
    let totals_wanted = !named.is_empty() || std::env::var_os("TDX_VECTORS_TOTALS").is_some();
    let files = if !named.is_empty() {
        named.clone()
    } else if let Some(directory) = std::env::var_os("TDX_VECTORS").map(PathBuf::from) {
        files(&directory)
    } else {
        println!("test reference traces ... ignored, TDX_VECTORS does not name their directory");
        Vec::new()
    };
    let (own_passed, mut failed) = if named.is_empty() {
        own::test()
    } else {
        (0, 0)
    };
    let ignored = usize::from(files.is_empty());
    let start = Instant::now();
    let next = AtomicUsize::new(0);
    let reports = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let report = replay(file).unwrap_or_else(|error| Report {
                        different: 1,
                        first: Some(error),
                        ..Report::default()
                    });
                    reports
                        .lock()
                        .expect("no other file panicked")
                        .insert(file.clone(), report);
                }
            });
        }
    });

    let reports = reports.into_inner().expect("no file panicked");
    let mut calls = 0;
    let mut totals = Totals::new();
    let mut deliberate = BTreeMap::new();
    for (file, report) in &reports {
        let Report {
            sequences,
            different,
            ..
        } = report;
        let verdict = if *different == 0 { "ok" } else { "FAILED" };
        println!(
            "test {} ... {verdict} ({} calls, {different} of {sequences} sequences differ)",
            file.file_name().unwrap_or_default().to_string_lossy(),
            report.calls
        );
        if let Some(first) = &report.first {
            println!("{first}");
            failed += 1;
        }
        calls += report.calls;
        for (key, count) in &report.totals {
            *totals.entry(key.clone()).or_default() += count;
        }
        for (reason, count) in &report.deliberate {
            *deliberate.entry(*reason).or_insert(0) += count;
        }
    }
    for (reason, count) in deliberate {
        println!("not compared, {count} times: {reason}");
    }
    if totals_wanted {
        for ((leaf, status), count) in &totals {
            println!("{leaf:26} {:50} {count}", status_name(*status));
        }
    }
    let known = |(leaf, _): &&(String, u64)| Leaf::ALL.iter().any(|l| l.name() == leaf);
    println!(
        "{calls} calls, {} pairs of leaf and status of {} leaves, in {:.3} s",
        totals.len(),
        totals
            .keys()
            .filter(known)
            .map(|(leaf, _)| leaf)
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        start.elapsed().as_secs_f64()
    );
    let passed = own_passed + reports.values().filter(|r| r.different == 0).count();
    let ok = failed == 0 && passed > 0;
    println!(
        "test result: {}. {passed} passed; {failed} failed; {ignored} ignored",
        if ok { "ok" } else { "FAILED" }
    );
    if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
