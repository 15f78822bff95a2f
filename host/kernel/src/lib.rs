// SPDX-License-Identifier: GPL-2.0

//! As much of the kernel crate as the pure parts of this project use, for the build host.
//!
//! [`bitfield`] and [`num`] are the kernel's own source files. The rest of this crate is what those
//! two files and the pure parts need: the items have the names and the behaviour of the kernel's, and
//! no more.

#![feature(generic_arg_infer)]
// The kernel's files are checked in the kernel's own build.
// Not every compiler calls the feature stable yet.
#![allow(clippy::all, missing_docs, stable_features)]

// The files name the crate, and the crate of `Zeroable`, from outside.
extern crate self as kernel;
extern crate self as pin_init;

include!(concat!(env!("OUT_DIR"), "/modules.rs"));

pub use core::fmt;

pub mod alloc;
pub mod bitmap;

pub mod macros {
    pub use paste::paste;
}

pub mod prelude {
    pub use crate::{
        alloc::{
            flags::*,
            KVec, //
        },
        build_assert::{
            const_assert,
            static_assert, //
        },
        error::{
            code::*,
            Error,
            Result, //
        },
        Zeroable, //
    };
    pub use core::format_args as fmt;
    pub use core::mem::size_of;
}

pub mod error {
    /// An errno. [`bitfield`](crate::bitfield) setters return the one below.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Error(i32);

    pub type Result<T = (), E = Error> = core::result::Result<T, E>;

    pub mod code {
        pub const ENOMEM: super::Error = super::Error(12);
        pub const EINVAL: super::Error = super::Error(22);
        pub const EOVERFLOW: super::Error = super::Error(75);
    }

    impl From<crate::alloc::AllocError> for Error {
        fn from(_: crate::alloc::AllocError) -> Self {
            code::ENOMEM
        }
    }

    impl From<core::num::TryFromIntError> for Error {
        fn from(_: core::num::TryFromIntError) -> Self {
            code::EINVAL
        }
    }
}

/// Types for which all bits 0 is a value.
///
/// # Safety
///
/// All bits 0 must be a value of the type.
pub unsafe trait Zeroable: Sized {
    fn zeroed() -> Self {
        // SAFETY: All bits 0 is a value of the type, as the trait promises.
        unsafe { core::mem::zeroed() }
    }
}

macro_rules! impl_zeroable {
    ($($type:ty)*) => {
        // SAFETY: 0 is a value of an integer type.
        $(unsafe impl Zeroable for $type {})*
    };
}

impl_zeroable!(u8 u16 u32 u64 u128 usize);

pub mod build_assert {
    pub use crate::{
        build_assert,
        const_assert,
        static_assert, //
    };
}

/// The kernel lets the linker refuse a condition that the compiler did not prove; here it is
/// checked when it is reached.
#[macro_export]
macro_rules! build_assert {
    ($($arg:tt)*) => { ::core::assert!($($arg)*) };
}

#[macro_export]
macro_rules! static_assert {
    ($($arg:tt)*) => { const _: () = ::core::assert!($($arg)*); };
}

#[macro_export]
macro_rules! const_assert {
    ($($arg:tt)*) => { const { ::core::assert!($($arg)*) } };
}
