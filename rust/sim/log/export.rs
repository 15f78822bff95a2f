// SPDX-License-Identifier: GPL-2.0

//! The run as a trace that a build host can replay against the model: `trace.rs` says in which format.

use super::{
    recording,
    ring::{
        self,
        Entry, //
    },
};
use crate::{
    abi::Status,
    sim::{
        cpu,
        platform,
        trace, //
    },
};
use core::fmt;

/// Calls before and after one that may have run at the same time.
const NEIGHBOURS: u64 = 16;

/// Number of pieces that a trace has now: the machine, the calls that brought the module up, the last calls.
pub(in super::super) fn pieces() -> u64 {
    let numbers = ring::numbers();
    1 + recording::bring_up_calls() + numbers.end.saturating_sub(numbers.start)
}

/// Prints a piece. A trace is too long to be made at once.
pub(in super::super) fn show(piece: u64) -> impl fmt::Display {
    struct Piece(u64);

    impl fmt::Display for Piece {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            show_piece(f, self.0)
        }
    }

    Piece(piece)
}

fn show_piece(f: &mut fmt::Formatter<'_>, piece: u64) -> fmt::Result {
    let numbers = ring::numbers();
    let Some(call) = piece.checked_sub(1) else {
        return show_header(f, numbers.start);
    };
    let number = match call.checked_sub(recording::bring_up_calls()) {
        Some(offset) => numbers.start.saturating_add(offset),
        None => {
            // The ring has the later ones.
            return match recording::bring_up_call(call) {
                Some((number, words)) if number < numbers.start => {
                    show_call(f, number, &Entry::decode(&words))
                }
                _ => Ok(()),
            };
        }
    };
    match ring::get(number) {
        Some(call) => show_call(f, number, &call),
        None => trace::note(f, format_args!("call number {number} is lost")),
    }
}

fn show_header(f: &mut fmt::Formatter<'_>, first: u64) -> fmt::Result {
    let host = platform::host().ok_or(fmt::Error)?;
    trace::header(f, host.config(), cpu::cpuid, |lp| {
        host.package(lp).unwrap_or(0)
    })?;
    if first == 0 {
        return Ok(());
    }
    trace::note(
        f,
        format_args!(
            "of the calls before number {first}, those are left out that do not bring the module up"
        ),
    )
}

fn show_call(f: &mut fmt::Formatter<'_>, number: u64, call: &Entry) -> fmt::Result {
    recording::for_each_operand(call.memory, |operand| match operand {
        Some((pa, content)) => trace::poke(f, pa, content),
        None => trace::note(f, format_args!("memory that the next call reads is lost")),
    })?;
    if was_contended(number, call) {
        trace::note(f, format_args!("{}", trace::BUSY))?;
    }
    let hardware = trace::hardware_of(call.status);
    if call.origin.injected && hardware.is_none() {
        trace::note(f, format_args!("{}", trace::INJECTED))?;
    }
    if let Some(event) = hardware {
        trace::hardware(f, event, 1)?;
    }
    trace::call(
        f,
        call.cpu,
        call.rax,
        &call.before,
        call.status,
        &call.after,
    )?;
    match hardware {
        Some(event) => trace::hardware(f, event, 0),
        None => Ok(()),
    }
}

/// Whether a call found a lock held while another CPU was in the model.
fn was_contended(number: u64, call: &Entry) -> bool {
    let busy = matches!(call.status.class(), Status::OPERAND_BUSY | Status::SYS_BUSY);
    let (start, end) = (call.start, call.start.saturating_add(call.cycles));
    let nearby = number.saturating_sub(NEIGHBOURS)..number.saturating_add(NEIGHBOURS);
    busy && nearby.filter_map(ring::get).any(|other| {
        let other_end = other.start.saturating_add(other.cycles);
        other.cpu != call.cpu && other.start <= end && start <= other_end
    })
}
