// SPDX-License-Identifier: GPL-2.0

//! What the simulated TDX module looks like from outside: `/sys/kernel/debug/tdx_sim/`.
//!
//! One record a line, `key=value` words. All files are snapshots taken without the module's locks: SEAMCALLs
//! that run meanwhile are seen half done, but TDX memory is only followed where the PAMT vouches for it.

mod pamt;
mod sept;
mod tds;

use super::{
    log,
    model::{
        kot::KeyIdState,
        Ctx, //
    },
    platform::{
        self,
        Machine, //
    },
    trap::MODULE, //
};
use core::fmt;
use kernel::{
    debugfs::Scope,
    prelude::*, //
};

/// Creates the files.
pub(super) fn start() -> Result {
    let files = Scope::dir((), c"tdx_sim", |(), dir| {
        dir.read_callback_file(c"calls", &(), &|(), f| log::show_calls(f));
        dir.read_callback_file(c"failures", &(), &|(), f| log::show_failures(f));
        dir.read_callback_file(c"log", &(), &|(), f| log::show_ring(f));
        dir.read_callback_file(c"tsc", &(), &|(), f| log::show_cost(f));
        dir.read_callback_file(c"pamt", &(), &|(), f| pamt::show(f));
        dir.read_callback_file(c"keyids", &(), &|(), f| show_keyids(f));
        dir.read_callback_file(c"tds", &(), &|(), f| tds::show(f));
        dir.read_callback_file(c"sept", &(), &|(), f| sept::show(f));
    });
    // The simulator never goes away, and neither do its files.
    core::mem::forget(KBox::pin_init(files, GFP_KERNEL)?);
    Ok(())
}

/// Looks at TDX memory, with interrupts off: `f` has to be short.
fn look<R>(f: impl FnOnce(&Ctx<'_, Machine<'_>>) -> R) -> Result<R, fmt::Error> {
    let looked = platform::host().and_then(|host| {
        host.with_machine(|machine| {
            f(&Ctx {
                module: &MODULE,
                p: machine,
                version: 0,
            })
        })
    });
    looked.ok_or(fmt::Error)
}

/// Prints the KeyIDs that are in use.
fn show_keyids(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(host) = platform::host() else {
        return Ok(());
    };
    let config = host.config();
    for n in 0..config.nr_private_keyids {
        let hkid = config.first_private_keyid.wrapping_add(n);
        match MODULE.kot.state(hkid) {
            Some(KeyIdState::Free) | None => {}
            Some(state) => writeln!(f, "hkid={hkid} state={}", state.name())?,
        }
    }
    Ok(())
}
