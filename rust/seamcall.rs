// SPDX-License-Identifier: GPL-2.0

//! SEAMCALL: the one way down to the TDX module, and the rules for calling again.
//!
//! A call can end without having done its job although nothing is wrong. The rules are, for all leaves:
//!
//! | status | rule |
//! |---|---|
//! | RND_NO_ENTROPY | same call again, at most [`NO_ENTROPY_TRIES`] times |
//! | INTERRUPTED_RESUMABLE | resumed until done, at most [`RESUME_LIMIT`] times |
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
    Leaf,
    Level,
    Operand,
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

    /// Returns whether the same call may succeed later without anybody having done wrong.
    pub fn is_transient(&self) -> bool {
        self.is_busy()
            || matches!(
                self.status.class(),
                Status::RND_NO_ENTROPY
                    | Status::INTERRUPTED_RESUMABLE
                    | Status::INTERRUPTED_RESTARTABLE
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

/// A leaf function in one of its interface versions, on one TDX module.
///
/// The methods differ in which of the module's answers they take for an end of the call.
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

    /// Calls until the status is none that asks for the same call again.
    ///
    /// # Safety
    ///
    /// As for [`Seamcall::call`].
    #[inline(always)]
    unsafe fn repeat(&self, inputs: Args, again: Status, limit: u32) -> (Status, Args) {
        let mut tries = 1;
        loop {
            // A failed attempt may have changed the registers.
            let mut args = inputs;
            // SAFETY: The caller keeps the promises of `Seamcall::call`.
            let status = unsafe { self.seam.call(Rax::new(self.leaf, self.version), &mut args) };
            if status != again || tries >= limit {
                return (status, args);
            }
            tries += 1;
        }
    }

    /// Calls, and takes nothing but plain success.
    ///
    /// # Errors
    ///
    /// Every other status.
    ///
    /// # Safety
    ///
    /// As for [`Seamcall::call`].
    #[inline(always)]
    pub(crate) unsafe fn run(&self, inputs: Args) -> Result<Args> {
        // SAFETY: As for this function.
        let (status, args) =
            unsafe { self.repeat(inputs, Status::RND_NO_ENTROPY, NO_ENTROPY_TRIES) };
        if status.is_success() {
            Ok(args)
        } else {
            Err(self.error(status, &args))
        }
    }

    /// Calls, and takes `other` for an answer too. Returns whether it was plain success.
    ///
    /// # Errors
    ///
    /// Every status that is neither success nor `other`.
    ///
    /// # Safety
    ///
    /// As for [`Seamcall::call`].
    #[inline(always)]
    pub(crate) unsafe fn run_or(&self, inputs: Args, other: Status) -> Result<bool> {
        // SAFETY: As for this function.
        match unsafe { self.run(inputs) } {
            Ok(_) => Ok(true),
            Err(error) if error.status.is(other) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Calls a leaf that starts over when it is interrupted.
    ///
    /// # Errors
    ///
    /// Every status but success. INTERRUPTED_RESTARTABLE if every attempt was interrupted.
    ///
    /// # Safety
    ///
    /// As for [`Seamcall::call`].
    pub(crate) unsafe fn run_restarting(&self, inputs: Args) -> Result<Args> {
        // SAFETY: As for this function.
        let (status, args) =
            unsafe { self.repeat(inputs, Status::INTERRUPTED_RESTARTABLE, RESTART_LIMIT) };
        if status.is_success() {
            Ok(args)
        } else {
            Err(self.error(status, &args))
        }
    }

    /// Calls a leaf that keeps its progress when it is interrupted: first with `start`, then with
    /// `resume`. Takes `other` for an answer too, and returns whether it was plain success.
    ///
    /// # Errors
    ///
    /// Every status that is neither success nor `other`.
    ///
    /// # Safety
    ///
    /// As for [`Seamcall::call`], with both inputs.
    pub(crate) unsafe fn run_resuming(
        &self,
        start: Args,
        resume: Args,
        other: Status,
    ) -> Result<bool> {
        let mut inputs = start;
        let mut tries = 1;
        loop {
            // SAFETY: As for this function.
            match unsafe { self.run_or(inputs, other) } {
                Err(error)
                    if error.status.is(Status::INTERRUPTED_RESUMABLE) && tries < RESUME_LIMIT =>
                {
                    inputs = resume;
                    tries += 1;
                }
                result => return result,
            }
        }
    }

    /// Kept out of the way of the calls that succeed.
    #[cold]
    fn error(&self, status: Status, args: &Args) -> Error {
        Error {
            leaf: self.leaf,
            status,
            rcx: args.rcx,
            rdx: args.rdx,
        }
    }
}

#[cfg(test)]
mod tests;
