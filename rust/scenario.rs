// SPDX-License-Identifier: GPL-2.0

//! Scenarios in the life of a TD, as tests.
//!
//! They drive `tdh` and `sept` on a TDX module, whichever: KUnit runs them in the kernel, `cargo
//! test` on the model on the build host. What differs between the two is a [`Bench`]. A scenario
//! ends in a [`Fault`] where an assertion of a unit test would panic, and tears its TDs down also
//! then.

mod backing;
mod fixture;
mod initial;
mod life;
mod ranges;
mod refusals;

pub use backing::backed_by;
pub use fixture::{
    tear_down,
    type_of,
    with_td,
    Bench,
    Fault,
    TestTd, //
};
pub use initial::measurement;
pub use life::life;
pub use ranges::ranges;
pub use refusals::{
    refused_calls,
    refused_memory, //
};

/// Ends the scenario unless the condition holds.
macro_rules! ensure {
    ($condition:expr) => {
        if !$condition {
            return Err($crate::scenario::Fault::Check {
                file: file!(),
                line: line!(),
                what: stringify!($condition),
            });
        }
    };
}
pub(crate) use ensure;
