// SPDX-License-Identifier: GPL-2.0

//! What the simulated TDX module looks like from outside: `/sys/kernel/debug/tdx_sim/`.
//!
//! | file | one line for | words |
//! |---|---|---|
//! | `calls` | each leaf and caller | `leaf caller calls failed injected cycles` |
//! | `statuses` | each leaf, caller and status | `leaf caller status name operand injected count cycles` |
//! | `log` | the ring | `records first next dropped` (a write forgets all calls so far; there with `tdx_sim.trace=1`) |
//! | | each of the last calls | `seq tsc cpu caller leaf rax rcx rdx r8 r9 r10 r11 status rcx_out rdx_out r8_out r9_out r10_out r11_out cycles injected` |
//! | `trace` | a JSON record of the run, to be replayed | (there with `tdx_sim.trace=1`) |
//! | `pamt` | each page in TDX hands | `page level type owner locked` |
//! | | each page type | `type pages` (of 4K) |
//! | | all pages in TDX hands | `in_use` |
//! | `keyids` | each KeyID in use | `hkid state` |
//! | `tds` | each TD | `td hkid state chldcnt fatal op_state vcpus mrtd` (the last three while there is a TDCS) |
//! | `vcpus` | each vCPU | `vcpu td index state epoch lp` (`lp` that it is associated with, or `-`) |
//! | `sept` | each table page, and each run of pages | `td gpa size level state pfn n` |
//! | `inject` | each rule of fault injection | `rule leaf status event call interval probability times ns met struck` |
//! | `epochs` | each TD that has a TDCS | `td epoch current previous` (the last two are vCPUs in the guest) |
//! | `seamcall` | (only written: registers of a call that the simulator then makes, its answer is in `log`) | |
//!
//! A word is `key=value`. Cycles are those of the time-stamp counter within the model, instructions where that counts
//! them (Bochs with one CPU). TDs, pages and owners are physical addresses; `level` is that of the entry. All files are
//! snapshots taken without the module's locks: SEAMCALLs that run meanwhile are seen half done, but TDX memory is
//! only followed where the PAMT vouches for it.

#[cfg(CONFIG_TDX_SIM_FAULT_INJECTION)]
mod epochs;
mod pamt;
#[cfg(CONFIG_TDX_SIM_FAULT_INJECTION)]
mod seamcall;
mod sept;
mod tds;
mod vcpus;

#[cfg(CONFIG_TDX_SIM_FAULT_INJECTION)]
use super::inject;
use super::{
    ffi,
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
    prelude::*,
    sync::SetOnce, //
};

/// The files stay: the simulator never goes away.
static FILES: SetOnce<Pin<KBox<Scope<()>>>> = SetOnce::new();

/// Creates the files.
pub(super) fn start() -> Result {
    let files = Scope::dir((), c"tdx_sim", |(), dir| {
        dir.read_callback_file(c"calls", &(), &|(), f| log::show_calls(f));
        dir.read_callback_file(c"statuses", &(), &|(), f| log::show_statuses(f));
        if log::is_recording() {
            dir.read_write_callback_file(c"log", &(), &|(), f| log::show_ring(f), &|(), _| {
                log::clear_ring();
                Ok(())
            });
        }
        dir.read_callback_file(c"pamt", &(), &|(), f| pamt::show(f));
        dir.read_callback_file(c"keyids", &(), &|(), f| show_keyids(f));
        dir.read_callback_file(c"tds", &(), &|(), f| tds::show(f));
        dir.read_callback_file(c"vcpus", &(), &|(), f| vcpus::show(f));
        dir.read_callback_file(c"sept", &(), &|(), f| sept::show(f));
        #[cfg(CONFIG_TDX_SIM_FAULT_INJECTION)]
        {
            dir.read_write_callback_file(c"inject", &(), &|(), f| inject::show(f), &|(), r| {
                inject::write(r)
            });
            dir.read_write_callback_file(c"epochs", &(), &|(), f| epochs::show(f), &|(), r| {
                epochs::write(r)
            });
            dir.write_only_callback_file(c"seamcall", &(), &|(), r| seamcall::write(r));
        }
    });
    let files = KBox::pin_init(files, GFP_KERNEL)?;
    FILES.populate(files).then_some(()).ok_or(EBUSY)?;
    if log::is_recording() {
        ffi::tdx_sim_create_trace_file();
    }
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
