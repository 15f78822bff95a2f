// SPDX-License-Identifier: GPL-2.0

//! The tracepoint of a SEAMCALL: `tdx_sim:seamcall` in the simulator, `tdx_sept:seamcall` in the backend.
//!
//! `tracepoint/seamcall.h` says what is recorded and how it reads. While nobody listens, all that is left of it
//! in the code is a no-op.

// A kernel without tracepoints only asks whether somebody listens.
#![cfg_attr(not(CONFIG_TRACEPOINTS), allow(dead_code, unused_imports))]

use crate::abi::{
    args::Operands,
    Rax, //
};
use kernel::{
    bindings,
    jump_label::static_branch_unlikely, //
};

mod call;

pub(crate) use call::Call;

// `tracepoint/tdx_sim.c` or `tracepoint/tdx_sept.c`. As `kernel::tracepoint::declare_trace!` has it, but for headers
// that the kernel crate does not know, and that does not say either that lock classes may be empty.
#[allow(improper_ctypes)]
unsafe extern "C" {
    static __tracepoint_seamcall: bindings::tracepoint;

    fn rust_do_trace_seamcall(
        rax: u64,
        before: *const Operands,
        status: u64,
        operand: u16,
        after: *const Operands,
        outputs: u8,
        cycles: u64,
        backend: bool,
        function: usize,
    );
}

/// Stands for "none" among the numbers of operands.
const NO_OPERAND: u16 = u16::MAX;

/// Whether somebody listens.
#[inline(always)]
pub(crate) fn enabled() -> bool {
    #[cfg(CONFIG_TRACEPOINTS)]
    {
        // SAFETY: This is the static key of a tracepoint.
        unsafe { static_branch_unlikely!(__tracepoint_seamcall, bindings::tracepoint, key) }
    }
    #[cfg(not(CONFIG_TRACEPOINTS))]
    {
        false
    }
}

/// Tells those who listen.
#[cold]
pub(crate) fn seamcall(call: &Call<'_>) {
    let operand = call
        .status
        .operand()
        .and_then(|operand| operand.raw().try_into().ok())
        .unwrap_or(NO_OPERAND);
    let rax = Rax::from_raw(call.rax);
    let outputs = rax
        .known_leaf()
        .map_or(0, |leaf| leaf.outputs(rax.version().get() as u8));
    #[cfg(not(CONFIG_TRACEPOINTS))]
    let _ = (operand, outputs);
    #[cfg(CONFIG_TRACEPOINTS)]
    // SAFETY: Both pointers are to the arrays that the tracepoint takes, and it only reads them.
    unsafe {
        rust_do_trace_seamcall(
            call.rax,
            call.before,
            call.status.raw(),
            operand,
            call.after,
            outputs,
            call.cycles,
            call.backend,
            call.function,
        )
    };
}
