// SPDX-License-Identifier: GPL-2.0

//! TDH.SYS: the TDX module itself.
//!
//! The kernel's TDX core brings the module up and shuts it down; other users of the module only read.

mod bring_up;
mod end;
mod read;

pub use bring_up::{
    config,
    init,
    key_config,
    lp_init,
    tdmr_init,
    update,
    TdmrInit,
    TdmrList, //
};
pub use end::{
    disable,
    lp_shutdown,
    shutdown, //
};
pub use read::{
    first_field,
    info,
    rd,
    rd_next,
    rdall,
    InfoBuffers, //
};
