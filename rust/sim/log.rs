// SPDX-License-Identifier: GPL-2.0

//! A record of the SEAMCALLs: counters that never forget and, if the boot parameter `tdx_sim.trace` asks for
//! it, a ring of the last calls in detail.
//!
//! Writers are #UD traps on all CPUs, and NMIs on top of them, so nothing here waits.

mod counters;
mod export;
mod record;
mod recording;
mod ring;
mod statuses;

#[cfg(CONFIG_TDX_SIM_KUNIT_TEST)]
pub(super) use counters::calls;
pub(super) use counters::show as show_calls;
pub(super) use export::{
    pieces as trace_pieces,
    show as show_trace, //
};
#[cfg(CONFIG_TDX_SIM_KUNIT_TEST)]
pub(super) use record::Record;
pub(super) use recording::{
    keep_operands,
    Operands, //
};
pub(super) use ring::{
    clear as clear_ring,
    show as show_ring, //
};
pub(super) use statuses::show as show_statuses;

use super::{
    ffi,
    model::Regs,
    trap, //
};
use crate::abi::{
    args,
    Leaf,
    Rax,
    Status, //
};
use core::fmt;
use kernel::{
    bindings::pt_regs,
    prelude::*, //
};

/// Gets ready for calls.
pub(super) fn start() -> Result {
    if is_recording() {
        ring::start()?;
        recording::start()?;
    }
    Ok(())
}

/// Whether calls are recorded in detail.
pub(super) fn is_recording() -> bool {
    ffi::tdx_sim_get_trace()
}

/// Who executed a SEAMCALL.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Caller {
    /// The TDX core, or KVM's own code through its functions.
    Core = 0,
    /// A backend, through `tdx_seamcall()`.
    Backend = 1,
    /// A user, through debugfs.
    User = 2,
}

impl Caller {
    const ALL: [Self; 3] = [Self::Core, Self::Backend, Self::User];

    const fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Backend => "backend",
            Self::User => "user",
        }
    }
}

/// Who executed a SEAMCALL, and whether fault injection had a hand in it, in a byte.
#[derive(Clone, Copy)]
struct Origin {
    caller: Caller,
    injected: bool,
}

impl Origin {
    const CALLER: u64 = 0x3;
    const INJECTED: u64 = 1 << 2;

    const fn of(call: &Call<'_>) -> Self {
        Self {
            caller: call.caller,
            injected: call.injected,
        }
    }

    const fn encode(self) -> u64 {
        let injected = if self.injected { Self::INJECTED } else { 0 };
        self.caller as u64 | injected
    }

    fn decode(bits: u64) -> Self {
        let raw = bits & Self::CALLER;
        let mut callers = Caller::ALL.into_iter();
        Self {
            caller: callers
                .find(|caller| *caller as u64 == raw)
                .unwrap_or(Caller::Core),
            injected: bits & Self::INJECTED != 0,
        }
    }
}

/// A completed SEAMCALL.
///
/// The registers stay where they are until somebody asks for them.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    /// Time-stamp counter when the model began.
    pub(super) start: u64,
    /// TSC cycles within the model.
    pub(super) cycles: u64,
    /// CPU that it ran on.
    pub(super) cpu: u32,
    /// Who executed it.
    pub(super) caller: Caller,
    /// The registers before.
    pub(super) regs: &'a pt_regs,
    /// The registers after.
    pub(super) after: &'a Regs,
    /// The memory that it read as operands.
    pub(super) memory: Operands,
    /// Whether fault injection had a hand in it.
    pub(super) injected: bool,
}

impl Call<'_> {
    /// RAX before.
    #[inline]
    pub(super) fn rax(&self) -> u64 {
        self.regs.ax as u64
    }

    /// The other registers before.
    #[inline]
    pub(super) fn before(&self) -> args::Operands {
        trap::operands(self.regs)
    }

    /// RAX after.
    #[inline]
    pub(super) fn status(&self) -> Status {
        Status::from_raw(self.after.rax)
    }

    #[inline]
    fn leaf(&self) -> u64 {
        Rax::from_raw(self.rax()).leaf().get()
    }
}

/// Records a call. Interrupts must be off.
///
/// This and what it calls is one function with the trap, apart from what is rare: nobody takes a reference to a
/// call that is not inlined, and so the call never has to be in memory.
#[inline(always)]
pub(super) fn record(call: &Call<'_>) {
    counters::count(call);
    if !call.status().is_success() || call.injected {
        count_more(
            counters::row(call.leaf()),
            Origin::of(call),
            call.status(),
            call.cycles,
        );
    }
    ring::push(call);
}

/// Counts what is rare of a call.
#[cold]
fn count_more(row: u64, origin: Origin, status: Status, cycles: u64) {
    counters::count_more(row, origin, status);
    if !status.is_success() {
        statuses::count(row, origin, status, cycles);
    }
}

/// Prints a leaf by name, or by number if the ABI does not know it.
struct Name(u64);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u16::try_from(self.0).ok().and_then(Leaf::from_raw) {
            Some(leaf) => f.write_str(leaf.name()),
            None => write!(f, "{}", self.0),
        }
    }
}
