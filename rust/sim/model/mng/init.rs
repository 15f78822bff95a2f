// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.MNG.INIT.

use super::td_params::TdParams;
use crate::{
    abi::{
        state::OpState,
        td_params::{
            Attributes,
            SIZE, //
        },
        Args,
        Leaf,
        Operand, //
    },
    sim::model::{
        lock::Mode,
        mrtd,
        platform::Platform,
        run::msr,
        td::Td,
        tdcs::fields,
        Completion,
        Ctx, //
    }, //
};

/// How long a guest waits for the host's locks at first, in microseconds.
const HP_LOCK_TIMEOUT: u64 = 1_000_000;

/// Initialises a TD with the parameters that the host gives.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let tdr = args.rcx;
    args.rcx = 0;

    let td = Td::open(cx, Leaf::MngInit, Operand::RCX, tdr, Mode::Exclusive)?;
    let params = cx.check_shared_hpa(Operand::RDX, args.rdx, SIZE as u64)?;
    TdParams::new(cx, params).apply(&td, &mut args.rcx)?;

    let tdcs = &td.tdcs;
    tdcs.set(fields::NUM_VCPUS, 0);
    tdcs.set(fields::NUM_ASSOC_VCPUS, 0);
    tdcs.set(fields::TD_EPOCH, 1);
    tdcs.set(fields::REFCOUNT, 0);
    tdcs.set(fields::REFCOUNT.element(1), 0);
    tdcs.set(fields::HP_LOCK_TIMEOUT, HP_LOCK_TIMEOUT);
    let ve_disable = tdcs.get(fields::ATTRIBUTES) & Attributes::SEPT_VE_DISABLE_MASK != 0;
    tdcs.set(fields::TD_CTLS, u64::from(ve_disable));
    msr::init_bitmaps(cx.p, tdcs);
    mrtd::begin(tdcs);
    tdcs.set(fields::OP_STATE, OpState::Initialized.raw());
    Ok(())
}
