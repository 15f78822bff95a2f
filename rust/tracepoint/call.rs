// SPDX-License-Identifier: GPL-2.0

//! What a tracepoint is told.

use crate::abi::{
    args::Operands,
    Status, //
};

/// A SEAMCALL that has returned.
pub(crate) struct Call<'a> {
    /// RAX before.
    pub(crate) rax: u64,
    /// The other registers before.
    pub(crate) before: &'a Operands,
    /// RAX after.
    pub(crate) status: Status,
    /// The other registers after.
    pub(crate) after: &'a Operands,
    /// TSC cycles that it took.
    pub(crate) cycles: u64,
    /// Whether a backend made it.
    pub(crate) backend: bool,
    /// An address in the function that made it.
    pub(crate) function: usize,
}
