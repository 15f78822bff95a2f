// SPDX-License-Identifier: GPL-2.0

//! TDG.MEM.PAGE.ATTR.RD and TDG.MEM.PAGE.ATTR.WR: what the VMs of the TD may do with a page.
//!
//! VM 0 is the TD itself, whose attributes are not to be changed; the model has no L2 VMs to run, and so no
//! entries in their secure EPTs.

use core::mem::take;

use super::{
    super::{
        platform::Platform,
        sept::{
            self,
            Sept, //
        },
        tdcs::fields::NUM_L2_VMS,
        vp::vcpu::Vcpu,
        Ctx, //
    },
    target::Request,
    Completion,
    Outcome,
    Stop,
    Violation, //
};
use crate::abi::{
    guest::ExtendedQualification,
    sept::{
        Entry,
        State, //
    },
    Args,
    Level,
    Operand,
    Status, //
};

/// The page is pending.
const PENDING: u64 = 1 << 62;
/// Attributes of a VM: they are valid.
const VALID: u64 = 1 << 15;
/// VMs of a TD, and bits of the attributes of each.
const VMS: u64 = 4;
const VM_BITS: u64 = 16;

fn pending_bit(state: State) -> u64 {
    if state.is_pending() {
        PENDING
    } else {
        0
    }
}

/// The attributes of the TD itself: R, W and X are where an EPT entry has them.
fn attributes(entry: Entry) -> u64 {
    VALID | entry.into_raw() & Entry::RWX
}

/// RCX: GPA. Returns GPA and level of the page in RCX, its attributes in RDX.
pub fn read<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>, args: &mut Args) -> Completion {
    let gpa = take(&mut args.rcx);
    args.rdx = 0;
    if !vcpu.td.tdcs.is_private(gpa) {
        return Err(Status::OPERAND_INVALID.with(Operand::RCX).into());
    }
    let slot = Sept::of(cx, &vcpu.td)?.walk(cx, gpa, Level::K4)?;
    let locked = slot
        .lock_by_guest()
        .map_err(|status| status.with(Operand::RCX))?;
    let state = sept::state(locked.get())?;
    if !state.is_leaf() || state.is_blocked() {
        return Err(Stop::Outcome(Outcome::Violation(Violation {
            gpa,
            qualification: 0,
            extended: 0,
        })));
    }
    args.rcx = gpa & !(slot.level.size() - 1) | slot.level.raw() | pending_bit(state);
    args.rdx = attributes(locked.get());
    Ok(())
}

/// RCX: GPA and level. RDX: attributes. R8: which of them to change. Returns RCX with the page's state, and the
/// attributes in RDX.
pub fn write<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>, args: &mut Args) -> Completion {
    let word = take(&mut args.rcx);
    let wanted = take(&mut args.rdx);
    let part = |of: u64, vm: u64| of.wrapping_shr((vm * VM_BITS) as u32) & 0xFFFF;
    let l2_vms = vcpu.td.tdcs.get(NUM_L2_VMS);
    let others = || (0..VMS).filter(|vm| *vm == 0 || *vm > l2_vms);
    let invalid = |operand| Stop::from(Status::OPERAND_INVALID.with(operand));
    if others().any(|vm| part(wanted, vm) != 0) {
        return Err(invalid(Operand::RDX));
    }
    if others().any(|vm| part(args.r8, vm) != 0) {
        return Err(invalid(Operand::R8));
    }
    let mut l2 = (1..VMS).filter(|vm| part(wanted, *vm) != 0);
    if l2.clone().any(|vm| part(wanted, vm) & VALID == 0) {
        return Err(invalid(Operand::RDX));
    }
    let request = Request::check(vcpu, word, Level::G1, ExtendedQualification::ATTR_WR)?;
    let target = request.open(cx, vcpu, |_, _| None)?;
    if !matches!(target.state, State::Mapped | State::Pending) {
        return Err(target.violation());
    }
    if let Some(vm) = l2.next() {
        let detail = request.level.raw() | vm << 16;
        return Err(Status::L2_SEPT_WALK_FAILED
            .with_detail(detail as u32)
            .into());
    }
    args.rcx = word | pending_bit(target.state);
    args.rdx = attributes(target.locked.get());
    Ok(())
}
