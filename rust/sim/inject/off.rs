// SPDX-License-Identifier: GPL-2.0

//! In the place of fault injection where the kernel is built without.

use crate::abi::Status;
use kernel::prelude::*;

pub mod rule;

/// Nothing is ever struck.
#[inline(always)]
pub(super) fn strikes(_kind: rule::Kind, _leaf: u16) -> Option<Status> {
    None
}

/// There is nothing to start.
pub(super) fn start() -> Result {
    Ok(())
}
