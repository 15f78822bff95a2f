// SPDX-License-Identifier: GPL-2.0

//! Keeps the secure EPT of TDX guests.
//!
//! While the module is loaded, KVM lets it keep the secure EPT of the TDs that it creates. A TD holds
//! the module until its last page is reclaimed. Layers, from KVM down:
//!
//! - `kvm`: KVM's operations, and what the log says of those that fail;
//! - [`sept`]: operations on a secure EPT, by page frame number;
//! - [`tdh`]: one function per leaf of the TDX module;
//! - [`seamcall`]: the call itself, and when it is repeated;
//! - [`abi`]: the numbers and layouts of the TDX module's ABI.

use crate::{
    seamcall::kernel::TdxCore,
    sept::Machine, //
};
use kernel::prelude::*;

pub mod abi;
pub mod errno;
mod kvm;
#[cfg(CONFIG_TDX_SEPT_KUNIT_TEST)]
pub mod scenario;
pub mod seamcall;
pub mod sept;
pub mod td;
pub mod tdh;
#[cfg(CONFIG_TDX_SEPT_KUNIT_TEST)]
mod tests;
mod tracepoint;
mod tsc;

module! {
    type: TdxSept,
    name: "tdx_sept",
    authors: ["The tdx-sept authors"],
    description: "Keeps the secure EPT of the TDX guests that KVM creates while this is loaded, until the last of them is gone",
    license: "GPL",
    params: {
        log_busy: bool {
            default: false,
            description: "Log operations that found a lock of the TDX module held, and are repeated, too",
        },
    },
}

/// The loaded module.
struct TdxSept {
    /// KVM can call while this exists.
    _registration: kvm::Registration,
}

impl kernel::Module for TdxSept {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let version = TdxCore::version()?;
        // KVM's own code flushes the cache lines of each page that it gives away, whether the TDX
        // module asks for it or not, and needs the page in the direct map for that.
        if TdxCore.clflush_before_alloc() {
            pr_info!("flushes cache lines before the TDX module takes a page\n");
        }

        let registration = kvm::Registration::new().inspect_err(|_| {
            pr_err!("another backend is registered\n");
        })?;
        pr_info!(
            "keeps the S-EPT of new TDs, TDX module {}\n",
            core::format_args!("{version}")
        );
        Ok(Self {
            _registration: registration,
        })
    }
}
