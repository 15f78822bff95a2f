// SPDX-License-Identifier: GPL-2.0

//! The simulated TDX module.
//!
//! - `model`: the TDX module's rules, which need nothing of a kernel.
//! - `trace`: SEAMCALLs as text that can be replayed.
//! - `trap`: SEAMCALL, from the #UD that it raises to its completion.
//! - `platform`, `window`: the machine under the model: CPUs, and physical memory seen through windows.
//! - `run`: the VM entries and exits of a TD that runs.
//! - `protect`: the host, caught where it reaches for memory in TDX hands.
//! - `inject`: SEAMCALLs that fail because somebody wants to see what happens then.
//! - `log`, `debugfs`: what it did, and the state it is in.

pub mod model;
pub mod trace;

// The rest is for a kernel; the host build has these alone.
#[cfg(CONFIG_TDX_SIM)]
mod cpu;
#[cfg(CONFIG_TDX_SIM)]
mod debugfs;
#[cfg(CONFIG_TDX_SIM)]
mod ffi;
#[cfg(CONFIG_TDX_SIM_FAULT_INJECTION)]
pub mod inject;
#[cfg(all(CONFIG_TDX_SIM, not(CONFIG_TDX_SIM_FAULT_INJECTION)))]
#[path = "sim/inject/off.rs"]
pub mod inject;
#[cfg(CONFIG_TDX_SIM)]
mod log;
#[cfg(CONFIG_TDX_SIM)]
mod once;
#[cfg(CONFIG_TDX_SIM)]
mod platform;
#[cfg(CONFIG_TDX_SIM)]
mod protect;
#[cfg(CONFIG_TDX_SIM)]
mod run;
#[cfg(CONFIG_TDX_SIM_KUNIT_TEST)]
mod tests;
#[cfg(CONFIG_TDX_SIM)]
mod trap;
#[cfg(CONFIG_TDX_SIM)]
mod window;
