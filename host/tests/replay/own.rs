// SPDX-License-Identifier: GPL-2.0

//! Runs that are recorded here as the simulator records them (`rust/sim/trace.rs`), and replayed.

use crate::{
    header,
    run,
    trace::parse,
    Report, //
};
use std::fmt::Write;
use tdx::{
    abi::{
        metadata::td,
        Args,
        Leaf,
        Rax,
        Status, //
    },
    cpuid, layout,
    platform::Machine,
    sim::{
        model::{
            platform::{
                Config,
                Platform,
                Profile, //
            },
            tdcs,
            tdvps,
            Exit,
            Module,
            Regs, //
        },
        trace::{
            call,
            header,
            memory_operands,
            note,
            poke,
            BUSY, //
        },
    },
    world::World,
};

const TDMR_INFO: u64 = 0x0100_0000;
const TDMR_ARRAY: u64 = 0x0100_1000;
const TD_PARAMS: u64 = 0x0200_0000;
const SOURCE: u64 = 0x0201_0000;
const GLOBAL_KEYID: u64 = 32;
const KEYID: u64 = 33;
/// Two processors in the first package, and one in the second.
const PACKAGES: [u32; 3] = [0, 0, 1];
/// A CPU with fewer CPUID leaves than that of the reference traces.
const CPUID: [(u32, u32); 3] = [(1, 0), (7, 0), (0xD, 0)];

struct Recorder {
    world: World,
    text: String,
}

impl Recorder {
    /// A machine unlike that of the reference traces.
    fn new() -> Self {
        let config = Config {
            nr_lps: PACKAGES.len() as u32,
            nr_packages: 2,
            tsc_hz: 2_100_000_000,
            xfam: 0x2E7,
            ept5: false,
            ..layout::config(Profile::Current, 1)
        };
        let mut machine = Machine::new(config, layout::RAM_SIZE);
        let leaves = CPUID.map(|(leaf, subleaf)| (leaf, subleaf, cpuid::read(leaf, subleaf)));
        machine.cpuid = Some(leaves.into());
        let mut text = String::new();
        let cpu = machine.cpu(0, 0);
        let package = |lp| PACKAGES[lp as usize];
        let cpuid = |leaf, subleaf| cpu.cpuid(leaf, subleaf);
        header(&mut text, &machine.config, cpuid, package).unwrap();
        let world = World {
            machine,
            module: Box::new(Module::new()),
        };
        Self { world, text }
    }

    fn write(&self, pa: u64, words: &[u64]) {
        for (word, pa) in words.iter().zip((pa..).step_by(8)) {
            self.world.machine.write(pa, &word.to_le_bytes());
        }
    }

    /// A call on a logical processor, with inputs in RCX, RDX, R8 and R9.
    fn call(&mut self, lp: u32, rax: Rax, inputs: &[u64]) -> (Status, Args) {
        let input = |i| inputs.get(i).copied().unwrap_or(0);
        let before = Args {
            rcx: input(0),
            rdx: input(1),
            r8: input(2),
            r9: input(3),
            ..Args::default()
        };
        let rax = rax.into_raw();
        let cpu = self.world.machine.cpu(lp, PACKAGES[lp as usize]);
        memory_operands(&cpu, rax, &before, |pa, len| {
            let words: Vec<_> = (0..len / 8).map(|i| cpu.load(pa + i * 8)).collect();
            poke(&mut self.text, pa, &words).unwrap();
        });
        let mut regs = Regs {
            rax,
            args: before,
            ..Regs::default()
        };
        let exit = self.world.module.seamcall(&cpu, &mut regs);
        assert_eq!(exit, Exit::Completed);
        let status = Status::from_raw(regs.rax);
        let (inputs, outputs) = (before.operands(), regs.args.operands());
        call(&mut self.text, lp, rax, &inputs, status, &outputs).unwrap();
        (status, regs.args)
    }

    fn ok(&mut self, leaf: Leaf, inputs: &[u64]) -> Args {
        let (status, args) = self.call(0, leaf.into(), inputs);
        assert_eq!(status, Status::SUCCESS, "{}", leaf.name());
        args
    }

    fn on_each_lp(&mut self, leaf: Leaf, inputs: &[u64]) {
        for lp in 0..PACKAGES.len() as u32 {
            self.call(lp, leaf.into(), inputs);
        }
    }

    fn bring_up(&mut self) {
        const TDMR_SIZE: u64 = 1 << 30;
        let pamts = [
            0x8000_0000,
            0x1000,
            0x8000_1000,
            0x2000,
            0x8040_0000,
            0x40_0000,
        ];
        self.write(TDMR_INFO, &[layout::TDMR_BASE, TDMR_SIZE]);
        self.write(TDMR_INFO + 16, &pamts);
        self.write(TDMR_ARRAY, &[TDMR_INFO]);
        self.ok(Leaf::SysInit, &[]);
        self.on_each_lp(Leaf::SysLpInit, &[]);
        self.ok(Leaf::SysConfig, &[TDMR_ARRAY, 1, GLOBAL_KEYID]);
        self.on_each_lp(Leaf::SysKeyConfig, &[]);
        let end = layout::TDMR_BASE + TDMR_SIZE;
        while self.ok(Leaf::SysTdmrInit, &[layout::TDMR_BASE]).rdx < end {}
    }

    /// A TD with a page that is measured and one that the guest would accept.
    fn td(&mut self) {
        let page = |n: u64| layout::TDMR_BASE + (0x1000 + n) * 0x1000;
        let tdr = page(0);
        self.ok(Leaf::MngCreate, &[tdr, KEYID]);
        self.on_each_lp(Leaf::MngKeyConfig, &[tdr]);
        for n in 1..=tdcs::BASE_PAGES {
            self.ok(Leaf::MngAddcx, &[page(n), tdr]);
        }
        // MAX_VCPUS, EPTP_CONTROLS, TSC_FREQUENCY and XFAM.
        for (word, value) in [(2, 2), (3, 0x1E), (5, 40), (1, 0xE7)] {
            self.write(TD_PARAMS + word * 8, &[value]);
        }
        self.ok(Leaf::MngInit, &[tdr, TD_PARAMS]);
        for level in (1..=3u64).rev() {
            self.ok(Leaf::MemSeptAdd, &[level, tdr, page(0x10 + level)]);
        }
        self.write(SOURCE + 8, &[0x1234_5678_9abc_def0]);
        self.ok(Leaf::MemPageAdd, &[0, tdr, page(0x20), SOURCE]);
        self.ok(Leaf::MrExtend, &[0, tdr]);
        let tdvpr = page(0x30);
        self.ok(Leaf::VpCreate, &[tdvpr, tdr]);
        for n in 1..tdvps::BASE_PAGES {
            self.ok(Leaf::VpAddcx, &[page(0x30 + n), tdvpr]);
        }
        self.ok(Leaf::VpInit, &[tdvpr]);
        self.ok(Leaf::MrFinalize, &[tdr]);
        self.ok(Leaf::MemPageAug, &[0x1000, tdr, page(0x21)]);
        // Refused: the entry is not free, and shown.
        let (status, _) = self.call(1, Leaf::MemPageAug.into(), &[0x1000, tdr, page(0x22)]);
        assert!(status.is(Status::EPT_ENTRY_STATE_INCORRECT));
        // The measurement tells whether the page's content came along.
        for i in 0..6 {
            let field = td::MRTD.element(i).into_raw();
            self.ok(Leaf::MngRd, &[tdr, field]);
        }
        self.ok(Leaf::PhymemPageRdmd, &[page(0x21)]);
        let (status, _) = self.call(0, Rax::from_raw(0x1234), &[]);
        assert!(status.is(Status::OPERAND_INVALID));
    }

    fn report(&self) -> Result<Report, String> {
        let records = parse(&self.text)?;
        let cold = header::machine(&records)?.ok_or("no header")?;
        let mut report = Report::default();
        run(&cold.world, &cold.packages, &records, &mut report);
        Ok(report)
    }
}

/// Runs a test: what it came to, for the line that cargo's other tests print, too.
type Test = fn() -> Result<(), String>;

fn a_recorded_run_replays() -> Result<(), String> {
    let mut recorder = Recorder::new();
    recorder.bring_up();
    recorder.td();
    let report = recorder.report()?;
    match report.first {
        None if report.calls == recorder.text.matches("\"leaf\"").count() as u64 => Ok(()),
        None => Err(format!("{} calls", report.calls)),
        Some(first) => Err(first),
    }
}

/// Whether a run with a change in its text has its first difference at the call that is changed.
fn change(from: &str, to: &str, difference: &str) -> Result<(), String> {
    let mut recorder = Recorder::new();
    recorder.bring_up();
    recorder.td();
    if !recorder.text.contains(from) {
        return Err(format!("the trace has no {from}"));
    }
    recorder.text = recorder.text.replacen(from, to, 1);
    match recorder.report()?.first {
        Some(first) if first.contains(difference) => Ok(()),
        Some(first) => Err(first),
        None => Err("no difference".to_string()),
    }
}

fn another_answer_is_a_difference() -> Result<(), String> {
    change(
        "\"rax\":\"0x8000000",
        "\"rax\":\"0x9000000",
        "not 0x9000000",
    )
    .or_else(|_| change("\"rax\":\"0xc000", "\"rax\":\"0xd000", "not 0xd000"))
}

fn another_page_is_another_measurement() -> Result<(), String> {
    change("f0debc9a78563412", "00debc9a78563412", "TDH.MNG.RD")
}

fn another_machine_is_a_difference() -> Result<(), String> {
    change("xfam=0x2e7", "xfam=0x2e3", "TDH.MNG.INIT")
}

fn a_header_with_a_fact_that_nobody_knows_is_refused() -> Result<(), String> {
    match change("xfam=", "yfam=", "") {
        Err(error) if error.contains("unknown fact yfam") => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// A call that a lock kept from its work at the time is not made: there is nobody who holds the lock.
fn calls_that_were_busy_are_passed_over() -> Result<(), String> {
    let mut recorder = Recorder::new();
    recorder.bring_up();
    let (inputs, busy) = (Args::default().operands(), Status::SYS_BUSY);
    let rax = Rax::from(Leaf::SysLpInit).into_raw();
    call(&mut recorder.text, 1, rax, &inputs, busy, &inputs).unwrap();
    if recorder.report()?.different != 1 {
        return Err("the call was not compared".to_string());
    }
    let busy_call = recorder.text.lines().last().unwrap().to_string() + "\n";
    recorder
        .text
        .truncate(recorder.text.len() - busy_call.len());
    note(&mut recorder.text, format_args!("{BUSY}")).unwrap();
    recorder.text.write_str(&busy_call).unwrap();
    recorder.td();
    let report = recorder.report()?;
    match (report.first, report.deliberate.values().sum()) {
        (None, 1u64) => Ok(()),
        (first, passed) => Err(format!("{first:?}, {passed} passed over")),
    }
}

const TESTS: [(&str, Test); 6] = [
    ("a_recorded_run_replays", a_recorded_run_replays),
    (
        "another_answer_is_a_difference",
        another_answer_is_a_difference,
    ),
    (
        "another_page_is_another_measurement",
        another_page_is_another_measurement,
    ),
    (
        "another_machine_is_a_difference",
        another_machine_is_a_difference,
    ),
    (
        "a_header_with_a_fact_that_nobody_knows_is_refused",
        a_header_with_a_fact_that_nobody_knows_is_refused,
    ),
    (
        "calls_that_were_busy_are_passed_over",
        calls_that_were_busy_are_passed_over,
    ),
];

/// Runs the tests; how many passed and failed.
pub fn test() -> (usize, usize) {
    let mut failed = 0;
    for (name, test) in TESTS {
        match test() {
            Ok(()) => println!("test own::{name} ... ok"),
            Err(error) => {
                println!("test own::{name} ... FAILED\n{error}");
                failed += 1;
            }
        }
    }
    (TESTS.len() - failed, failed)
}
