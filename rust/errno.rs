// SPDX-License-Identifier: GPL-2.0

//! What errno a failure is to the rest of the kernel.

use crate::{
    abi::Status,
    seamcall,
    sept::{
        self,
        Partial,
        Stop, //
    },
    td::{
        self,
        Failed, //
    }, //
};
use core::fmt::Display;
use kernel::prelude::*;

/// Says in the log what went wrong, and returns the errno for it.
pub fn say<E: Display + Into<Error>>(error: E) -> Error {
    pr_err!("{}\n", core::format_args!("{error}"));
    error.into()
}

/// As the kernel's own wrappers have it (arch/x86/virt/vmx/tdx/seamcall_internal.h: sc_retry_prerr()), with
/// `EBUSY` for a lock held.
impl From<seamcall::Error> for Error {
    fn from(error: seamcall::Error) -> Self {
        match error.status {
            Status::VMFAILINVALID => ENODEV,
            Status::GP => EOPNOTSUPP,
            Status::UD => EACCES,
            status if status.is(Status::OPERAND_BUSY) => EBUSY,
            // The TDX module has the page already, for this TD or for another.
            status if status.is(Status::PAGE_METADATA_INCORRECT) => EBUSY,
            _ => EIO,
        }
    }
}

impl From<sept::Why> for Error {
    fn from(why: sept::Why) -> Self {
        match why {
            sept::Why::Invalid | sept::Why::NotConvertible => EINVAL,
            sept::Why::NoMemory => ENOMEM,
            sept::Why::Refused(error) => error.into(),
            sept::Why::Mismatch(_) | sept::Why::Lost(_) => EIO,
        }
    }
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        stop.why.into()
    }
}

impl From<Partial> for Error {
    fn from(partial: Partial) -> Self {
        partial.why.into()
    }
}

impl From<td::Why> for Error {
    fn from(why: td::Why) -> Self {
        match why {
            td::Why::NoKeyid => ENOSPC,
            td::Why::NoMemory => ENOMEM,
            td::Why::NotConvertible(_) => EINVAL,
            td::Why::Refused(error) => error.into(),
        }
    }
}

impl<T> From<Failed<T>> for Error {
    fn from(failed: Failed<T>) -> Self {
        failed.why.into()
    }
}
