// SPDX-License-Identifier: GPL-2.0

//! The time-stamp counter.

use core::arch::asm;

/// Reads the counter, after all earlier loads.
#[inline]
pub(crate) fn now() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: Both instructions only write to the registers that are named.
    unsafe {
        asm!("lfence", "rdtsc", out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags))
    };
    u64::from(high) << 32 | u64::from(low)
}
