// SPDX-License-Identifier: GPL-2.0

//! A simulated TDX module: software that answers the SEAMCALL instruction.
//!
//! `sim/glue.c` starts it, since `module!` would be too late: the TDX core executes its first SEAMCALL in a
//! `subsys_initcall`.

pub mod abi;
pub mod sim;
mod tracepoint;
mod tsc;

/// What messages of the crate begin with.
const __LOG_PREFIX: &[u8] = b"tdx_sim\0";
