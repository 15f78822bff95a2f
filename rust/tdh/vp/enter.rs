// SPDX-License-Identifier: GPL-2.0

//! TDH.VP.ENTER: running a vCPU.

use crate::{
    abi::{
        Args,
        Leaf,
        Pfn,
        Status, //
    },
    seamcall::{
        EnterTd,
        Error,
        Result, //
    },
};

/// How to resume after the exit before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hints {
    /// The host could not mend what a trap-like exit (HOST_RECOVERABILITY_HINT) was about.
    pub not_recovered: bool,
    /// Resume the L1 VM, not the L2 VM that ran last.
    pub resume_l1: bool,
}

impl Hints {
    const NOT_RECOVERED: u64 = 1 << 52;
    const RESUME_L1: u64 = 1 << 53;

    fn bits(self) -> u64 {
        (u64::from(self.not_recovered) * Self::NOT_RECOVERED)
            | (u64::from(self.resume_l1) * Self::RESUME_L1)
    }
}

/// An exit from a TD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Whether the vCPU or the TD can go on, and the VMX exit reason in bits 31:0.
    pub status: Status,
    /// What the guest, or the exit, left in the registers. TDX ABI: "TDH.VP.ENTER, output".
    pub regs: Args,
}

impl Exit {
    /// Returns the VMX exit reason.
    pub fn reason(&self) -> u32 {
        self.status.detail()
    }
}

/// TDH.VP.ENTER: runs the vCPU until the guest exits. `regs` are for the guest if the exit before was
/// a TDVMCALL; RCX in them is not used. Nothing is repeated.
///
/// # Errors
///
/// VCPU_STATE_INCORRECT, VCPU_ASSOCIATED, TSC_ROLLBACK; OPERAND_BUSY with TD_EPOCH while another call
/// tracks TLBs, or with SEPT_TREE.
///
/// # Safety
///
/// The guest writes the memory that the host shares with it, which must be the caller's to have
/// written.
pub unsafe fn enter<S: EnterTd>(seam: &S, tdvpr: Pfn, hints: Hints, regs: Args) -> Result<Exit> {
    let mut args = Args {
        rcx: tdvpr.pa() | hints.bits(),
        ..regs
    };
    // SAFETY: As for this function.
    let status = unsafe { seam.enter(&mut args) };
    if status.has_exit_reason() {
        Ok(Exit { status, regs: args })
    } else {
        Err(Error {
            leaf: Leaf::VpEnter,
            status,
            rcx: args.rcx,
            rdx: args.rdx,
        })
    }
}
