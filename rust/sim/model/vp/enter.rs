// SPDX-License-Identifier: GPL-2.0

//! TDH.VP.ENTER: runs a vCPU.

use super::{
    super::{
        lock::Mode,
        platform::Platform,
        Completion,
        Ctx, //
    },
    vcpu::Vcpu, //
};
use crate::abi::{
    state::VcpuState,
    Args,
    Leaf,
    Operand,
    Status, //
};

/// RCX: the TDVPR.
const TDVPR: u64 = 0x000F_FFFF_FFFF_F000;
/// RCX: hints of how to resume, which need an exit of a kind that never happened.
const HINTS: u64 = 0x3 << 52;

/// RCX: TDVPR, and hints in bits 53:52.
///
/// The checks are those of the TDX module, up to the entry itself: the model cannot run a guest. It
/// answers like a module that does not have the function.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let invalid = Status::OPERAND_INVALID.with(Operand::RCX);
    if args.rcx & !(TDVPR | HINTS) != 0 {
        return Err(invalid);
    }
    let tdvpr = args.rcx & TDVPR;
    let vcpu = Vcpu::open(cx, Leaf::VpEnter, Operand::RCX, tdvpr, Mode::Shared)?;
    vcpu.map(cx)?;
    vcpu.check_state(&[VcpuState::Ready])?;
    vcpu.associate(cx)?;
    if args.rcx & HINTS != 0 {
        return Err(invalid);
    }
    let busy = Status::OPERAND_BUSY.with(Operand::TD_EPOCH);
    let _epoch = vcpu
        .td
        .tdcs
        .epoch_lock()
        .acquire(Mode::Shared)
        .ok_or(busy)?;
    Err(Status::OPERAND_INVALID.with(Operand::RAX))
}
