// SPDX-License-Identifier: GPL-2.0

use super::*;
use std::cell::RefCell;

/// Answers with the given statuses one after the other, the last one for ever, and notes the calls.
struct Script {
    answers: Vec<Status>,
    calls: RefCell<Vec<(Rax, Args)>>,
}

impl Script {
    fn new(answers: &[Status]) -> Self {
        Self {
            answers: answers.to_vec(),
            calls: RefCell::new(Vec::new()),
        }
    }

    fn count(&self) -> usize {
        self.calls.borrow().len()
    }
}

impl Seamcall for Script {
    unsafe fn call(&self, rax: Rax, args: &mut Args) -> Status {
        let mut calls = self.calls.borrow_mut();
        calls.push((rax, *args));
        // Leaves clear registers when they fail.
        args.rcx = 0;
        args.rdx = 0;
        *self
            .answers
            .get(calls.len() - 1)
            .or(self.answers.last())
            .unwrap()
    }
}

const INPUTS: Operands = Operands {
    rcx: 0x1000,
    rdx: 0x2000,
    r8: 0,
    r9: 0,
    r10: 0,
    r11: 0,
};

fn run(script: &Script) -> Result<Operands> {
    // SAFETY: A script takes no pages.
    unsafe { Call::new(script, Leaf::MngCreate).run(INPUTS) }
}

#[test]
fn no_entropy_is_retried_with_the_same_inputs() {
    let script = Script::new(&[
        Status::RND_NO_ENTROPY,
        Status::RND_NO_ENTROPY,
        Status::SUCCESS,
    ]);
    assert!(run(&script).is_ok());
    let calls = script.calls.borrow();
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|(_, args)| *args == Args::from(INPUTS)));
}

#[test]
fn no_entropy_is_bounded() {
    let script = Script::new(&[Status::RND_NO_ENTROPY]);
    let error = run(&script).unwrap_err();
    assert!(error.status == Status::RND_NO_ENTROPY && !error.is_busy());
    assert_eq!(script.count(), NO_ENTROPY_TRIES as usize);
}

#[test]
fn busy_is_returned_at_once() {
    let script = Script::new(&[Status::OPERAND_BUSY.with(Operand::TDR)]);
    assert!(run(&script).unwrap_err().is_busy());
    assert_eq!(script.count(), 1);
}

#[test]
fn unexpected_information_is_no_success() {
    let script = Script::new(&[Status::GPA_RANGE_ALREADY_BLOCKED]);
    assert!(run(&script).is_err());
    // SAFETY: A script takes no pages.
    let done = unsafe {
        Call::new(&script, Leaf::MemRangeBlock).run_or(INPUTS, Status::GPA_RANGE_ALREADY_BLOCKED)
    };
    assert!(matches!(done, Ok(Answer::Other(_))));
}

#[test]
fn interrupted_calls_are_resumed() {
    let interrupted = Status::INTERRUPTED_RESUMABLE;
    let script = Script::new(&[
        interrupted,
        Status::RND_NO_ENTROPY,
        interrupted,
        Status::NO_HKID_READY_TO_WBCACHE,
    ]);
    // SAFETY: A script takes no pages.
    let done = unsafe {
        Call::new(&script, Leaf::PhymemCacheWb).run_or(INPUTS, Status::NO_HKID_READY_TO_WBCACHE)
    };
    assert!(matches!(done, Ok(Answer::Other(_))));
    let rcx: Vec<u64> = script.calls.borrow().iter().map(|(_, a)| a.rcx).collect();
    assert_eq!(rcx, [INPUTS.rcx, 1, 1, 1]);
}

#[test]
fn what_is_left_is_in_the_outputs() {
    let script = Script::new(&[Status::INTERRUPTED_RESUMABLE, Status::SUCCESS]);
    // SAFETY: A script takes no pages.
    let done = unsafe { Call::versioned(&script, Leaf::MemSeptAdd, 1).run(INPUTS) };
    assert!(done.is_ok());
    let rcx: Vec<u64> = script.calls.borrow().iter().map(|(_, a)| a.rcx).collect();
    // The script clears RCX.
    assert_eq!(rcx, [INPUTS.rcx, 0]);
}

#[test]
fn repetitions_are_bounded() {
    for (leaf, status, limit) in [
        (
            Leaf::MemPageDemote,
            Status::INTERRUPTED_RESTARTABLE,
            RESTART_LIMIT,
        ),
        (
            Leaf::PhymemCacheWb,
            Status::INTERRUPTED_RESUMABLE,
            RESUME_LIMIT,
        ),
        // A leaf that is never interrupted, by the table.
        (Leaf::MemPageAug, Status::INTERRUPTED_RESTARTABLE, 1),
    ] {
        let script = Script::new(&[status]);
        // SAFETY: A script takes no pages.
        let error = unsafe { Call::new(&script, leaf).run(INPUTS) }.unwrap_err();
        assert_eq!((error.leaf, error.status), (leaf, status));
        assert_eq!(script.count(), limit as usize);
    }
}

fn failed(leaf: Leaf, status: Status, rcx: u64, rdx: u64) -> Error {
    Error {
        leaf,
        status,
        rcx,
        rdx,
    }
}

#[test]
fn errors_in_words() {
    let walk = Status::EPT_WALK_FAILED.with(Operand::RCX);
    assert_eq!(
        failed(Leaf::MemPageAug, walk, 1 << 63, 1).to_string(),
        "TDH.MEM.PAGE.AUG: TDX_EPT_WALK_FAILED|RCX 0xc0000b0000000001, \
         entry FREE at level 2M (0x8000000000000000)"
    );
    let busy = Status::OPERAND_BUSY.with(Operand::RCX);
    // The lock of a page, not that of an entry.
    assert_eq!(failed(Leaf::MemPageAug, busy, 0, 0).entry(), None);
    // RCX is the TDR, as it was on entry.
    assert_eq!(failed(Leaf::MemTrack, busy, 0x1000, 0).entry(), None);
    assert_eq!(
        failed(Leaf::MemTrack, busy, 0x1000, 0).to_string(),
        "TDH.MEM.TRACK: TDX_OPERAND_BUSY|RCX 0x8000020000000001, RCX 0x1000, RDX 0x0"
    );
}
