// SPDX-License-Identifier: GPL-2.0

//! Fault injection: rules that debugfs or the command line gives, asked at each SEAMCALL.
//!
//! A rule says what goes wrong in which leaf ([`rule`]); the kernel's fault-injection framework, with a
//! `struct fault_attr` for each rule, says when (`inject/attr.c`). Without rules a SEAMCALL costs one load.

pub mod rule;

use super::{
    ffi,
    platform, //
};
use crate::abi::Status;
use core::fmt;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        rcu, //
    },
    uaccess::UserSliceReader, //
};
use rule::{
    Kind,
    Rule,
    Target, //
};

/// Rules that there can be at a time.
const RULES: usize = ffi::FAULT_RULES;

/// First word of a slot that has no rule.
const FREE: u64 = 0;
/// First word of a slot whose rule is being made or unmade.
const CLAIMED: u64 = u64::MAX;

/// A rule, or room for one.
///
/// # Invariants
///
/// All but `target` is only changed while that is [`CLAIMED`]; the exceptions are what counts.
struct Slot {
    /// [`FREE`], [`CLAIMED`], or the first word of an encoded [`Target`].
    target: Atomic<u64>,
    /// Its second word.
    status: Atomic<u64>,
    /// For how long after its first event the rule strikes, in cycles; 0 for ever.
    cycles: Atomic<u64>,
    /// When that event was, 0 before.
    first: Atomic<u64>,
    /// The same as the user gave it.
    ns: Atomic<u64>,
    /// Events that the rule is about.
    met: Atomic<u64>,
    /// Those of them that it struck.
    struck: Atomic<u64>,
}

static SLOTS: [Slot; RULES] = [const {
    Slot {
        target: Atomic::new(FREE),
        status: Atomic::new(0),
        cycles: Atomic::new(0),
        first: Atomic::new(0),
        ns: Atomic::new(0),
        met: Atomic::new(0),
        struck: Atomic::new(0),
    }
}; RULES];

/// Rules that there are.
static IN_USE: Atomic<u32> = Atomic::new(0);

/// Tells whether a rule strikes this event in `leaf`, and with which status.
///
/// Interrupts must be off, as they are in an RCU read-side critical section of a trap.
#[inline]
pub(super) fn strikes(kind: Kind, leaf: u16) -> Option<Status> {
    if IN_USE.load(Relaxed) == 0 {
        return None;
    }
    ask_rules(kind, leaf)
}

/// Asks one rule after the other, until one strikes.
#[cold]
fn ask_rules(kind: Kind, leaf: u16) -> Option<Status> {
    let mut rules = (0..).zip(&SLOTS);
    rules.find_map(|(index, slot)| slot.strikes(index, kind, leaf))
}

impl Slot {
    fn target(&self) -> Option<Target> {
        match self.target.load(Acquire) {
            FREE | CLAIMED => None,
            target => Target::decode([target, self.status.load(Relaxed)]),
        }
    }

    fn strikes(&self, index: u32, kind: Kind, leaf: u16) -> Option<Status> {
        let target = self.target().filter(|target| target.covers(kind, leaf))?;
        self.met.add(1, Relaxed);
        // SAFETY: There are so many rules.
        if !self.is_in_time() || !unsafe { ffi::tdx_sim_should_fail(index) } {
            return None;
        }
        self.struck.add(1, Relaxed);
        Some(target.status)
    }

    fn is_in_time(&self) -> bool {
        let cycles = self.cycles.load(Relaxed);
        if cycles == 0 {
            return true;
        }
        let now = crate::tsc::now();
        let first = match self.first.cmpxchg(0, now, Relaxed) {
            Ok(_) => now,
            Err(first) => first,
        };
        now.saturating_sub(first) < cycles
    }

    /// Takes the slot, if no rule has it.
    fn claim(&self) -> bool {
        self.target.cmpxchg(FREE, CLAIMED, Full).is_ok()
    }

    /// Makes a rule of a slot that is claimed.
    fn make(&self, target: &Target, ns: u64, tsc_hz: u64) {
        let [first, status] = target.encode();
        self.status.store(status, Relaxed);
        self.cycles.store(rule::cycles(ns, tsc_hz), Relaxed);
        self.ns.store(ns, Relaxed);
        for count in [&self.first, &self.met, &self.struck] {
            count.store(0, Relaxed);
        }
        self.target.store(first, Release);
        IN_USE.add(1, Relaxed);
    }

    /// Ends the rule, if there is one; the slot is claimed then.
    fn unmake(&self) -> bool {
        let target = self.target.load(Relaxed);
        let ended = target != FREE
            && target != CLAIMED
            && self.target.cmpxchg(target, CLAIMED, Full).is_ok();
        if ended {
            IN_USE.add(u32::MAX, Relaxed);
        }
        ended
    }
}

/// Adds a rule.
fn add(rule: &Rule) -> Result {
    let Some(host) = platform::host() else {
        return Err(ENODEV);
    };
    let mut slots = (0..).zip(&SLOTS);
    let Some((index, slot)) = slots.find(|(_, slot)| slot.claim()) else {
        pr_warn!("fault injection: no more than {RULES} rules\n");
        return Err(ENOSPC);
    };
    let when = ffi::FaultWhen {
        interval: rule.when.interval,
        probability: rule.when.probability,
        space: rule.when.call as i32,
        times: rule.when.times,
    };
    // SAFETY: There are so many rules, and this one is not asked yet.
    unsafe { ffi::tdx_sim_set_fault(index, &when) };
    slot.make(&rule.target, rule.when.ns, host.config().tsc_hz);
    pr_info!(
        "fault injection: rule {index}: {}\n",
        core::format_args!("{}", rule.target)
    );
    Ok(())
}

/// Ends all rules.
fn clear() {
    let mut ended = [false; RULES];
    for (ended, slot) in ended.iter_mut().zip(&SLOTS) {
        *ended = slot.unmake();
    }
    // A trap is a notifier, so in an RCU read-side critical section: none has an old rule in hand after this.
    rcu::synchronize_rcu();
    for (_, slot) in ended.iter().zip(&SLOTS).filter(|(ended, _)| **ended) {
        slot.target.store(FREE, Release);
    }
}

/// Longest text that is taken from user space.
const TEXT: usize = 256;

/// Reads a text from user space, parses it, and says in the log why that failed.
pub(super) fn parse<T>(
    reader: &mut UserSliceReader,
    parse: impl for<'a> FnOnce(&'a str) -> Result<T, rule::Error<'a>>,
) -> Result<T> {
    let mut buffer = [0; TEXT];
    let bytes = buffer.get_mut(..reader.len()).ok_or(EINVAL)?;
    reader.read_slice(bytes)?;
    let text = core::str::from_utf8(bytes).map_err(|_| EINVAL)?;
    parse(text).map_err(refuse)
}

fn refuse(error: rule::Error<'_>) -> Error {
    pr_warn!("fault injection: {}\n", core::format_args!("{error}"));
    EINVAL
}

/// Takes a write to the file: a rule, or an empty line that ends all rules.
pub(super) fn write(reader: &mut UserSliceReader) -> Result {
    let rule = parse(reader, |text| {
        let empty = text.trim().is_empty();
        (!empty).then(|| Rule::parse(text)).transpose()
    })?;
    match rule {
        Some(rule) => add(&rule),
        None => {
            clear();
            Ok(())
        }
    }
}

/// Prints the rules.
pub(super) fn show(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, slot) in (0..).zip(&SLOTS) {
        let Some(target) = slot.target() else {
            continue;
        };
        let mut when = ffi::FaultWhen::default();
        // SAFETY: There are so many rules, and `when` is ours.
        unsafe { ffi::tdx_sim_get_fault(index, &mut when) };
        writeln!(
            f,
            "rule={index} {target} call={} interval={} probability={} times={} ns={} met={} struck={}",
            when.space,
            when.interval,
            when.probability,
            when.times,
            slot.ns.load(Relaxed),
            slot.met.load(Relaxed),
            slot.struck.load(Relaxed),
        )?;
    }
    Ok(())
}

/// Makes the framework's directories, and the rule of the boot parameter.
pub(super) fn start() -> Result {
    let mut when = ffi::FaultWhen::default();
    // SAFETY: `when` is ours.
    let text = unsafe { ffi::tdx_sim_start_faults(&mut when) };
    if text.is_null() {
        return Ok(());
    }
    // SAFETY: The string lives for ever.
    let text = unsafe { CStr::from_char_ptr(text) };
    let text = text.to_str().map_err(|_| EINVAL)?;
    let mut rule = Rule::parse(text).map_err(refuse)?;
    rule.when.interval = when.interval;
    rule.when.probability = when.probability;
    rule.when.call = when.space as u32;
    rule.when.times = when.times;
    add(&rule)
}
