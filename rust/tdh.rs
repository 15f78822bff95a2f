// SPDX-License-Identifier: GPL-2.0

//! TDH: the host-side leaf functions of the TDX module, one Rust function each.
//!
//! Pages are named by [`Pfn`](crate::abi::Pfn) only. A TD is named by the frame of its TDR, a vCPU by
//! that of its TDVPR. Every function may fail with
//!
//! - OPERAND_INVALID, OPERAND_ADDR_RANGE_ERROR or PAGE_METADATA_INCORRECT with an operand, if that is
//!   no page that TDX covers, or not one of the type that the leaf needs;
//! - OPERAND_BUSY with an operand, if another call holds the lock of the object;
//! - TD_FATAL, TD_KEYS_NOT_CONFIGURED, LIFECYCLE_STATE_INCORRECT or OP_STATE_INCORRECT, if the TD is
//!   not where the leaf needs it in its life;
//! - a software status, if the call did not reach a TDX module;
//!
//! and the functions name the errors that they add. What is retried, and how often, is written in
//! [`seamcall`](crate::seamcall). A function that gives a page to the TDX module is unsafe: nobody
//! may access the page until it has come back.

mod field;
pub mod mem;
pub mod mng;
pub mod mr;
pub mod phymem;
pub mod sys;
pub mod vp;

pub use field::Field;
