// SPDX-License-Identifier: GPL-2.0

//! The pure parts of `tdx_sept` and `tdx_sim` as one crate for the build host.
//!
//! The modules are the very files that the kernel builds, under the same paths; their unit tests
//! run here. The environment variable `KERNEL_SRC` names the kernel source tree that the build takes
//! the kernel crate's `bitfield.rs` and `num.rs` from.

// `bitfield!` expands to paths that begin with this name.
#[allow(unused_extern_crates)]
extern crate kernel as pin_init;

/// What lies in the directory `rust/`.
#[path = "../../rust"]
mod pure {
    pub mod abi;
    pub mod scenario;
    pub mod seamcall;
    pub mod sept;
    /// The simulated TDX module, without what needs a kernel.
    pub mod sim {
        /// The rules of fault injection.
        pub mod inject {
            pub mod rule;
        }
        pub mod model;
        pub mod trace;
    }
    pub mod td;
    pub mod tdh;
}

pub mod bench;
pub mod books;
pub mod conformance;
pub mod cpuid;
pub mod layout;
pub mod out_of_order;
pub mod platform;
pub mod random;
pub mod sequence;
pub mod soak;
pub mod watch;
pub mod world;

pub use pure::{
    abi,
    scenario,
    seamcall,
    sept,
    sim,
    td,
    tdh, //
};
