// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.SYS.SHUTDOWN.

use crate::{
    abi::{
        Args,
        Operand,
        Status, //
    },
    sim::model::{
        lock::Mode,
        platform::Platform,
        profile::HANDOFF_VERSION,
        Completion,
        Ctx,
        SysState, //
    }, //
};

/// Shuts the module down so that an updated one can take over.
///
/// Only the newest handoff version is on offer, which is also the oldest.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    if args.rcx != u64::from(HANDOFF_VERSION) {
        return Err(Status::OPERAND_INVALID.with(Operand::RCX));
    }
    let _global = cx.module.lock(Mode::Exclusive)?;
    cx.module.set_state(SysState::Shutdown);
    Ok(())
}
