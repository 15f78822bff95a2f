// SPDX-License-Identifier: GPL-2.0

//! The ABI between a host and the TDX module, as types and tables.
//!
//! Nothing here executes an instruction or touches memory: these are the numbers, layouts and names
//! that both sides of SEAMCALL agree on. The host side (`tdh`, `sept`) and the simulated TDX module
//! use the same definitions, and each table of facts exists once.
//!
//! References in comments of the form "TDX ABI: ..." name the section of Intel's "TDX Module ABI
//! Reference Specification" (for a leaf, the section with the name of the leaf).

pub mod addr;
pub mod args;
pub mod guest;
pub mod leaf;
pub mod level;
pub mod metadata;
pub mod operand;
pub mod pamt;
pub mod sept;
pub mod state;
pub mod status;
pub mod td_params;

pub use addr::{
    Gpa,
    GpaWord,
    Hkid,
    HostPa,
    KeyedPfn,
    Pfn, //
};
pub use args::{
    Args,
    Operands, //
};
pub use leaf::{
    Interrupted,
    Leaf,
    Rax, //
};
pub use level::Level;
pub use operand::Operand;
pub use pamt::PageType;
pub use status::Status;
