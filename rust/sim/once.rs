// SPDX-License-Identifier: GPL-2.0

//! What is made once at boot and stays.
//!
//! As the kernel's `SetOnce`, but without a function call at each look: a SEAMCALL makes several.

use core::{
    ptr,
    sync::atomic::{
        AtomicPtr,
        Ordering::{
            Acquire,
            Relaxed,
            Release, //
        }, //
    }, //
};
use kernel::prelude::*;

/// A value that is there for ever, once it has been made.
///
/// # Invariants
///
/// The pointer is null, or one to a value that is never dropped.
pub(super) struct Once<T>(AtomicPtr<T>);

impl<T: Send + Sync + 'static> Once<T> {
    /// Without a value.
    pub(super) const fn new() -> Self {
        // INVARIANT: It is null.
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// The value, if it has been made.
    #[inline]
    pub(super) fn get(&self) -> Option<&'static T> {
        // SAFETY: By the type invariants.
        unsafe { self.0.load(Acquire).as_ref() }
    }

    /// Sets the value.
    ///
    /// # Errors
    ///
    /// `EBUSY` if there is one, `ENOMEM` if there is no memory for it.
    pub(super) fn set(&self, value: T) -> Result {
        let value = KBox::into_raw(KBox::new(value, GFP_KERNEL)?);
        // INVARIANT: What the box held is dropped only if it did not become the value.
        match self
            .0
            .compare_exchange(ptr::null_mut(), value, Release, Relaxed)
        {
            Ok(_) => Ok(()),
            Err(_) => {
                // SAFETY: It came from a box, and nothing else has seen it.
                drop(unsafe { KBox::from_raw(value) });
                Err(EBUSY)
            }
        }
    }
}
