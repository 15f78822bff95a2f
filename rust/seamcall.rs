// SPDX-License-Identifier: GPL-2.0

//! SEAMCALL: the one way down to the TDX module, and the rules for calling again.
//!
//! A call can end without having done its job although nothing is wrong. The rules are, for all leaves:
//!
//! | status | rule |
//! |---|---|
//! | RND_NO_ENTROPY | same call again, at most [`NO_ENTROPY_TRIES`] times |
//! | INTERRUPTED_RESUMABLE | resumed as [`Leaf::interrupted`] says, at most [`RESUME_LIMIT`] times |
//! | INTERRUPTED_RESTARTABLE | same call again, at most [`RESTART_LIMIT`] times |
//! | OPERAND_BUSY and other locks | returned: only the caller knows who holds the lock |
//!
//! What the TDX module gives up on is returned as an [`Error`] with everything it said.

// The build host has no TDX core.
#[cfg(CONFIG_INTEL_TDX_HOST)]
pub mod kernel;

use crate::abi::{
    sept::Info,
    Args,
    Interrupted,
    Leaf,
    Level,
    Operand,
    Operands,
    Rax,
    Status, //
};
use core::fmt;

/// Attempts at a call that finds no entropy, as many as the kernel makes at RDRAND
/// (arch/x86/include/asm/archrandom.h: RDRAND_RETRY_LOOPS).
pub const NO_ENTROPY_TRIES: u32 = 10;

/// Attempts at a call that keeps its progress when interrupted.
///
/// Each makes progress, so the limit only ends a loop with a module that is broken. The longest such
/// call writes back the caches of a package, in blocks.
pub const RESUME_LIMIT: u32 = 1 << 20;

/// Attempts at a call that loses its progress when interrupted.
///
/// The call needs a stretch without interrupt; a CPU that grants none in so many attempts is busier
/// than the caller should wait for.
pub const RESTART_LIMIT: u32 = 1000;

/// A TDX module that can be called.
///
/// Everything above this trait runs unchanged on hardware, on the simulated module in the kernel
/// and on the model on a build host.
pub trait Seamcall {
    /// Calls the TDX module once, with the registers of `args` as input and output.
    ///
    /// Nothing is retried here.
    ///
    /// # Safety
    ///
    /// Pages that the call gives to the TDX module must be the caller's to give, and nobody may
    /// access them until the module has given them back. Memory that the call lets the module write
    /// must be the caller's to have written.
    unsafe fn call(&self, rax: Rax, args: &mut Args) -> Status;
}

/// A TDX module whose vCPUs can be entered.
///
/// TDH.VP.ENTER differs from all other leaves in that registers which no other leaf touches come
/// back with what the guest left in them. A way down that does not save them must not offer it.
pub trait EnterTd: Seamcall {
    /// Calls TDH.VP.ENTER once, with all registers of `args` as input and output.
    ///
    /// # Safety
    ///
    /// As for [`Seamcall::call`].
    unsafe fn enter(&self, args: &mut Args) -> Status;
}

impl<T: Seamcall + ?Sized> Seamcall for &T {
    #[inline]
    unsafe fn call(&self, rax: Rax, args: &mut Args) -> Status {
        // SAFETY: The caller keeps the promises of this very function.
        unsafe { (**self).call(rax, args) }
    }
}

/// A call that did not do its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error {
    /// The leaf that was called.
    pub leaf: Leaf,
    /// Completion status.
    pub status: Status,
    /// RCX on return: what more the leaf has to say, by leaf and status.
    pub rcx: u64,
    /// RDX on return, likewise.
    pub rdx: u64,
}

/// Result of a leaf function.
pub type Result<T = ()> = core::result::Result<T, Error>;

impl Error {
    /// Returns whether a lock of the TDX module was held, so that the same call may succeed later.
    pub fn is_busy(&self) -> bool {
        matches!(
            self.status.class(),
            Status::OPERAND_BUSY
                | Status::OPERAND_BUSY_HOST_PRIORITY
                | Status::PREVIOUS_TLB_EPOCH_BUSY
                | Status::SYS_BUSY
        )
    }

    /// Returns the S-EPT entry that the call stumbled over, as far as the TDX module shows it, with
    /// its level and state.
    ///
    /// TDX ABI: TDH.MEM leaves, "extended error information". The module clears both registers where
    /// it has no entry to show; an entry never reads as 0 together with level and state 0.
    pub fn entry(&self) -> Option<(u64, Info)> {
        let shows_entry = match self.status.class() {
            Status::EPT_WALK_FAILED
            | Status::EPT_ENTRY_STATE_INCORRECT
            | Status::EPT_ENTRY_NOT_PRESENT
            | Status::EPT_INVALID_PROMOTE_CONDITIONS
            | Status::EPT_PAGE_NOT_FREE
            | Status::GPA_RANGE_NOT_BLOCKED
            | Status::GPA_RANGE_ALREADY_BLOCKED => true,
            Status::OPERAND_BUSY => self.status.operand() == Some(Operand::RCX),
            _ => false,
        };
        (shows_entry && self.leaf.reports_entry() && (self.rcx, self.rdx) != (0, 0))
            .then(|| (self.rcx, Info::from_raw(self.rdx)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.leaf.name(), self.status)?;
        if let Some((entry, info)) = self.entry() {
            let level = info.level().map_or("?", Level::name);
            f.write_str(", entry ")?;
            match info.state() {
                Some(state) => f.write_str(state.name())?,
                None => write!(f, "state {}", info.public_state().get())?,
            }
            write!(f, " at level {level} ({entry:#x})")?;
        } else if (self.rcx, self.rdx) != (0, 0) {
            write!(f, ", RCX {:#x}, RDX {:#x}", self.rcx, self.rdx)?;
        }
        Ok(())
    }
}

/// What a call that has another answer than success came to, with the registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Plain success.
    Success(Operands),
    /// The other answer.
    Other(Operands),
}

/// A leaf function in one of its interface versions, on one TDX module.
///
/// The methods differ in which of the module's answers they take for success.
pub(crate) struct Call<'a, S: ?Sized> {
    seam: &'a S,
    leaf: Leaf,
    version: u8,
}

impl<'a, S: Seamcall + ?Sized> Call<'a, S> {
    /// Prepares a call of version 0 of `leaf`.
    #[inline]
    pub(crate) fn new(seam: &'a S, leaf: Leaf) -> Self {
        Self::versioned(seam, leaf, 0)
    }

    /// Prepares a call of version `version` of `leaf`.
    #[inline]
    pub(crate) fn versioned(seam: &'a S, leaf: Leaf, version: u8) -> Self {
        Self {
            seam,
            leaf,
            version,
        }
    }

    /// Calls once, and repeats nothing.
    ///
    /// # Safety
    ///
    /// As for [`Seamcall::call`].
    #[inline(always)]
    unsafe fn once(&self, inputs: Operands) -> (Status, Operands) {
        let mut args = Args::from(inputs);
        // SAFETY: The caller keeps the promises of `Seamcall::call`.
        let status = unsafe { self.seam.call(Rax::new(self.leaf, self.version), &mut args) };
        (status, args.operands())
    }

    /// Calls until the status is none that asks for another call.
    ///
    /// # Safety
    ///
    /// As for [`Seamcall::call`].
    #[inline(always)]
    unsafe fn settle(&self, inputs: Operands) -> (Status, Operands) {
        // SAFETY: As for this function.
        let (status, outputs) = unsafe { self.once(inputs) };
        if status.is_success() {
            (status, outputs)
        } else {
            // Copies: what the function takes by reference would be in memory, and not in registers, for
            // calls that succeed, too.
            let (call, inputs, outputs) = (
                Self { ..*self },
                Operands { ..inputs },
                Operands { ..outputs },
            );
            // SAFETY: As for this function.
            unsafe { call.again(inputs, status, outputs) }
        }
    }

    /// Goes on after a call that did not succeed at once.
    ///
    /// # Safety
    ///
    /// As for [`Seamcall::call`].
    #[cold]
    unsafe fn again(
        &self,
        inputs: Operands,
        status: Status,
        outputs: Operands,
    ) -> (Status, Operands) {
        let interrupted = self.leaf.interrupted();
        let (mut inputs, mut status, mut outputs) = (inputs, status, outputs);
        let (mut no_entropy, mut restarts, mut resumes) = (1, 1, 1);
        loop {
            // A failed attempt may have changed the registers: each begins with its inputs.
            let (tries, limit) = match (status, interrupted) {
                (Status::RND_NO_ENTROPY, _) => (&mut no_entropy, NO_ENTROPY_TRIES),
                (Status::INTERRUPTED_RESTARTABLE, Interrupted::Restart) => {
                    (&mut restarts, RESTART_LIMIT)
                }
                (Status::INTERRUPTED_RESUMABLE, Interrupted::ResumeFlag) => {
                    inputs.rcx = 1;
                    (&mut resumes, RESUME_LIMIT)
                }
                (Status::INTERRUPTED_RESUMABLE, Interrupted::ResumeOutputs) => {
                    inputs = outputs;
                    (&mut resumes, RESUME_LIMIT)
                }
                _ => return (status, outputs),
            };
            if *tries >= limit {
                return (status, outputs);
            }
            *tries += 1;
            // SAFETY: As for this function. What a call has taken is not given again: its outputs
            // name the rest.
            let next = unsafe { self.once(inputs) };
            (status, outputs) = next;
        }
    }

    /// Calls, and takes nothing but plain success.
    ///
    /// # Errors
    ///
    /// Every other status, those of interrupts and of missing entropy if the tries are used up.
    ///
    /// # Safety
    ///
    /// As for [`Seamcall::call`].
    #[inline(always)]
    pub(crate) unsafe fn run(&self, inputs: Operands) -> Result<Operands> {
        // SAFETY: As for this function.
        let (status, outputs) = unsafe { self.settle(inputs) };
        if status.is_success() {
            Ok(outputs)
        } else {
            Err(self.error(status, outputs.rcx, outputs.rdx))
        }
    }

    /// Calls, and takes `other` for an answer too.
    ///
    /// # Errors
    ///
    /// Every status that is neither success nor `other`.
    ///
    /// # Safety
    ///
    /// As for [`Seamcall::call`].
    #[inline(always)]
    pub(crate) unsafe fn run_or(&self, inputs: Operands, other: Status) -> Result<Answer> {
        // SAFETY: As for this function.
        let settled = unsafe { self.settle(inputs) };
        match settled {
            (Status::SUCCESS, outputs) => Ok(Answer::Success(outputs)),
            (status, outputs) if status.is(other) => Ok(Answer::Other(outputs)),
            (status, outputs) => Err(self.error(status, outputs.rcx, outputs.rdx)),
        }
    }

    #[inline]
    fn error(&self, status: Status, rcx: u64, rdx: u64) -> Error {
        Error {
            leaf: self.leaf,
            status,
            rcx,
            rdx,
        }
    }
}

#[cfg(test)]
mod tests;
