// SPDX-License-Identifier: GPL-2.0

//! Write-back tracking: how far a package got with writing back its caches.
//!
//! TDX ABI: TDH.PHYMEM.CACHE.WB.

use super::lock::Lock;
use core::sync::atomic::{
    AtomicU64,
    Ordering::Relaxed, //
};

/// The state of one package; all but the lock belongs to the holder of the lock.
pub struct Wbt {
    lock: AtomicU64,
    /// Steps that an interrupted call had done; 0 if none was interrupted.
    done: AtomicU64,
}

impl Wbt {
    /// A package that writes back nothing.
    pub const fn new() -> Self {
        Self {
            lock: AtomicU64::new(0),
            done: AtomicU64::new(0),
        }
    }

    /// The package's mutex.
    pub fn lock(&self) -> Lock<&AtomicU64, 0, false> {
        Lock::new(&self.lock)
    }

    /// Steps that an interrupted call had done.
    pub fn done(&self) -> u64 {
        self.done.load(Relaxed)
    }

    /// Records the steps done by a call that ends early.
    pub fn set_done(&self, done: u64) {
        self.done.store(done, Relaxed);
    }
}

impl Default for Wbt {
    fn default() -> Self {
        Self::new()
    }
}
