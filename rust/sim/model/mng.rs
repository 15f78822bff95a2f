// SPDX-License-Identifier: GPL-2.0

//! TDH.MNG: a TD as a whole.

pub mod addcx;
pub mod create;
pub mod init;
pub mod key_config;
pub mod key_freeid;
pub mod rd;
pub mod td_params;
pub mod vpflushdone;
pub mod wr;
