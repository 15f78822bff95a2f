// SPDX-License-Identifier: GPL-2.0

//! TDH.SYS: bring-up, configuration and end of the module.

pub mod config;
pub mod disable;
pub mod info;
pub mod init;
pub mod key_config;
pub mod lp_init;
pub mod rd;
pub mod rdall;
pub mod shutdown;
pub mod tdmr_init;
pub mod update;
