// SPDX-License-Identifier: GPL-2.0

//! TDH.VP leaves: the vCPUs of a TD.

pub mod addcx;
pub mod create;
pub mod enter;
pub mod flush;
pub mod init;
pub mod rd;
pub mod vcpu;
pub mod wr;

#[cfg(test)]
mod tests;
