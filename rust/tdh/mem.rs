// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM: private memory of a TD.

mod data;
mod page;
mod range;
mod resize;
mod sept;

pub use data::{
    rd,
    wr,
    Word, //
};
pub use page::{
    page_add,
    page_aug,
    page_relocate,
    page_remove, //
};
pub use range::{
    range_block,
    range_unblock,
    track,
    Blocked, //
};
pub use resize::{
    page_demote,
    page_promote, //
};
pub use sept::{
    sept_add,
    sept_rd,
    sept_remove,
    SeptEntry, //
};
