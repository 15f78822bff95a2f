// SPDX-License-Identifier: GPL-2.0

//! TDH.MR leaves: the measurement of a TD.

pub mod extend;
pub mod finalize;

#[cfg(test)]
mod tests;
