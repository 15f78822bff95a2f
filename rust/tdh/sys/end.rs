// SPDX-License-Identifier: GPL-2.0

//! Shutting the TDX module down.

use crate::{
    abi::{
        Leaf, //
        Operands,
    },
    seamcall::{
        Call,
        Result,
        Seamcall, //
    },
};

/// TDH.SYS.SHUTDOWN: shuts the module down and prepares the handoff to the next, in version `handoff`
/// of its format.
///
/// # Errors
///
/// OPERAND_INVALID with RCX if the module does not know that version; SYS_BUSY if another CPU is in
/// the module.
pub fn shutdown<S: Seamcall>(seam: &S, handoff: u16) -> Result {
    let args = Operands {
        rcx: u64::from(handoff),
        ..Operands::default()
    };
    // SAFETY: The call gives no page away and writes no memory of the host.
    unsafe { Call::new(seam, Leaf::SysShutdown).run(args) }.map(|_| ())
}

/// TDH.SYS.LP.SHUTDOWN: what modules of version 1.0 had in place of [`shutdown`], kept by later ones.
///
/// # Errors
///
/// None but those common to all leaves.
pub fn lp_shutdown<S: Seamcall>(seam: &S) -> Result {
    // SAFETY: The call gives no page away and writes no memory of the host.
    unsafe { Call::new(seam, Leaf::SysLpShutdown).run(Operands::default()) }.map(|_| ())
}

/// TDH.SYS.DISABLE: disables the module for good; every later SEAMCALL fails.
///
/// # Errors
///
/// OPERAND_INVALID with RAX if the module does not have the leaf. SYS_BUSY if other CPUs are in the
/// module: it lets no new calls in, so that the same call succeeds in the end.
///
/// # Safety
///
/// No memory that the module has may be used afterwards before it was cleared.
pub unsafe fn disable<S: Seamcall>(seam: &S) -> Result {
    // SAFETY: The caller deals with the memory.
    unsafe { Call::new(seam, Leaf::SysDisable).run(Operands::default()) }.map(|_| ())
}
