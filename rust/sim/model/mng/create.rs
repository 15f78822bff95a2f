// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.MNG.CREATE.

use crate::{
    abi::{
        state::Lifecycle,
        Args,
        Operand,
        PageType,
        Status, //
    },
    sim::model::{
        kot::KeyIdState,
        lock::Mode,
        pamt,
        platform::Platform,
        profile::HANDOFF_VERSION,
        tdr::fields,
        Completion,
        Ctx, //
    }, //
};

/// Index of the module in the database of SEAM modules: the first after the loader.
const SEAMDB_INDEX: u64 = 1;

/// Makes a page the TDR of a new TD and gives the TD a KeyID.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let pa = args.rcx;
    let hkid = u16::try_from(args.rdx)
        .ok()
        .filter(|hkid| cx.p.config().is_private_keyid(*hkid))
        .ok_or(Status::OPERAND_INVALID.with(Operand::RDX))?;
    let page = pamt::page(cx, Operand::RCX, pa, PageType::Nda, Mode::Exclusive)?;
    let kot = &cx.module.kot;
    let _kot = kot
        .lock()
        .acquire(Mode::Exclusive)
        .ok_or(Status::OPERAND_BUSY.with(Operand::KOT))?;
    if kot.state(hkid) != Some(KeyIdState::Free) {
        return Err(Status::HKID_NOT_FREE);
    }
    let mut uuid = [0; 4];
    for word in &mut uuid {
        *word = cx.p.random().ok_or(Status::RND_NO_ENTROPY)?;
    }

    cx.p.fill_page(pa, 0);
    for (i, word) in (0..4).zip(uuid) {
        fields::TD_UUID.element(i).store(cx.p, pa, word);
    }
    fields::LIFECYCLE_STATE.store(cx.p, pa, Lifecycle::HkidAssigned.raw());
    fields::HKID.store(cx.p, pa, u64::from(hkid));
    fields::SEAMDB_INDEX.store(cx.p, pa, SEAMDB_INDEX);
    fields::HANDOFF_VERSION.store(cx.p, pa, u64::from(HANDOFF_VERSION));
    kot.set(hkid, KeyIdState::Assigned);
    page.give(PageType::Tdr, 0);
    Ok(())
}
