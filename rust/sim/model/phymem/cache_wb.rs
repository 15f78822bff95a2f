// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.PHYMEM.CACHE.WB.

use crate::{
    abi::{
        Args,
        Operand,
        Status, //
    },
    sim::model::{
        lock::Mode,
        platform::Platform,
        Completion,
        Ctx, //
    }, //
};

/// Writes back the caches of this package, for all KeyIDs that are FLUSHED when it begins.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let resume = match args.rcx {
        0 => false,
        1 => true,
        _ => return Err(Status::OPERAND_INVALID.with(Operand::RCX)),
    };
    let package = cx.p.lp().package;
    let wbt = cx
        .module
        .wbt
        .get(package as usize)
        .ok_or(Status::INVALID_PKG_ID)?;
    let _wbt = wbt
        .lock()
        .acquire(Mode::Exclusive)
        .ok_or(Status::OPERAND_BUSY.with(Operand::WBCACHE))?;
    let kot = &cx.module.kot;
    let _kot = kot
        .lock()
        .acquire(Mode::Shared)
        .ok_or(Status::OPERAND_BUSY.with(Operand::KOT))?;

    let config = cx.p.config();
    let start = if resume { wbt.done() } else { 0 };
    if resume && start == 0 {
        return Err(Status::WBCACHE_RESUME_ERROR);
    }
    if !resume && !kot.begin_writeback(config.private_keyids(), package) {
        return Err(Status::NO_HKID_READY_TO_WBCACHE);
    }
    for done in start.wrapping_add(1)..u64::from(config.cache_wb_blocks) {
        if cx.p.interrupt_pending() {
            wbt.set_done(done);
            return Err(Status::INTERRUPTED_RESUMABLE);
        }
    }
    wbt.set_done(0);
    kot.end_writeback(config.private_keyids(), package);
    Ok(())
}
