// SPDX-License-Identifier: GPL-2.0

//! What other modules than `tdx_sept` can drive TDX with: as a part of themselves, for Rust modules export
//! nothing to each other.
//!
//! ```ignore
//! #[path = "../rust/library.rs"]
//! pub mod library;
//! use library::*;
//! ```
//!
//! Their names begin with `tdx_sept_`, by which the kernel lets them call the TDX module.

pub mod abi;
pub mod errno;
pub mod seamcall;
pub mod sept;
pub mod td;
pub mod tdh;
#[path = "tracepoint/none.rs"]
pub(crate) mod tracepoint;
pub(crate) mod tsc;
