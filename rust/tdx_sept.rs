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
    abi::metadata::Features0,
    seamcall::kernel::TdxCore, //
};
use kernel::{
    bindings,
    prelude::*, //
};

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
        // SAFETY: The function can be called at any time.
        let info = unsafe { bindings::tdx_get_sysinfo() };
        if info.is_null() {
            pr_err!("no TDX module is initialized\n");
            return Err(ENODEV);
        }
        // SAFETY: The structure is static. An update of the TDX module writes the version while all
        // else stands still (tdx_module_run_update()), so it is copied and not borrowed.
        let (features, version) = unsafe { ((*info).features, (*info).version) };

        // KVM's own code flushes the cache lines of each page that it gives away, whether the TDX
        // module asks for it or not, and needs the page in the direct map for that.
        let features = Features0::from_raw(features.tdx_features0);
        TdxCore::learn(features);
        if features.clflush_before_alloc().into_bool() {
            pr_info!("flushes cache lines before the TDX module takes a page\n");
        }

        let registration = kvm::Registration::new().inspect_err(|_| {
            pr_err!("another backend is registered\n");
        })?;
        pr_info!(
            "keeps the S-EPT of new TDs, TDX module {}.{}.{:02}\n",
            version.major_version,
            version.minor_version,
            version.update_version
        );
        Ok(Self {
            _registration: registration,
        })
    }
}
