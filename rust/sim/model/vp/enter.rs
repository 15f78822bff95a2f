// SPDX-License-Identifier: GPL-2.0

//! TDH.VP.ENTER: runs a vCPU.

use super::{
    super::{
        field::Field,
        lock::{
            Mem,
            Mode, //
        },
        platform::{
            Platform,
            Unable, //
        },
        run::{
            self,
            cpuid,
            registers::{
                self,
                HINT, //
            },
            root::Root,
            zero_step::{
                self,
                Refusal, //
            },
            LastExit, //
        },
        tdcs::fields::{
            REFCOUNT,
            TD_EPOCH, //
        },
        tdvps::fields,
        vmx::TSC_ADJUST,
        Completion,
        Ctx,
        Regs, //
    },
    vcpu::Vcpu, //
};
use crate::abi::{
    state::VcpuState,
    Leaf,
    Operand,
    Status, //
};

/// RCX: the TDVPR.
const TDVPR: u64 = 0x000F_FFFF_FFFF_F000;
/// RCX: the host wants L1 to run, not the L2 VM.
const RESUME_L1: u64 = 1 << 53;

/// RCX: TDVPR, and hints in bits 53:52. The other registers are for the guest, if that has asked for
/// them with TDG.VP.VMCALL.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, regs: &mut Regs) -> Completion {
    let invalid = Status::OPERAND_INVALID.with(Operand::RCX);
    let rcx = regs.args.rcx;
    if rcx & !(TDVPR | HINT | RESUME_L1) != 0 {
        return Err(invalid);
    }
    let mut vcpu = Vcpu::open(cx, Leaf::VpEnter, Operand::RCX, rcx & TDVPR, Mode::Shared)?;
    vcpu.map(cx)?;
    vcpu.check_state(&[VcpuState::Ready])?;
    vcpu.associate(cx)?;
    let trapped = registers::last_exit(&vcpu.tdvps) == LastExit::AsyncTrap;
    if rcx & HINT != 0 && !trapped || rcx & RESUME_L1 != 0 {
        return Err(invalid);
    }
    check_msrs(cx, &vcpu)?;

    let epoch = Epoch::enter(&vcpu)?;
    match zero_step::check(cx, &vcpu) {
        Ok(()) => (),
        Err(Refusal::Busy(status)) => return Err(status),
        Err(Refusal::NotMapped(exit)) => return Err(run::refuse(&vcpu, regs, &exit)),
    }
    Root::new(cx.p.abilities(), &vcpu.td.tdcs).map_err(Unable::status)?;
    vcpu.td.release_op_state();
    // A vCPU that has run in an epoch before may have translations that must be forgotten.
    let is_new = vcpu.tdvps.get(fields::VCPU_EPOCH) != epoch.number;
    vcpu.tdvps.set(fields::VCPU_EPOCH, epoch.number);
    Err(run::run(cx, &vcpu, regs, is_new))
}

/// The checks of MSRs that the host is not to play with.
fn check_msrs<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>) -> Completion {
    const MISC_ENABLE: u32 = 0x1A0;
    const ENABLE_MONITOR: u64 = 1 << 18;
    /// CPUID.1:ECX.
    const MONITOR: u32 = 1 << 3;

    if cx.p.msr(TSC_ADJUST) != cx.module.tsc_adjust() {
        return Err(Status::INCONSISTENT_MSR.with_detail(TSC_ADJUST));
    }
    let since =
        cx.p.tsc()
            .wrapping_sub(vcpu.tdvps.get(fields::LAST_EXIT_TSC));
    if (since as i64) < 0 {
        return Err(Status::TSC_ROLLBACK);
    }
    let has_monitor =
        cpuid::configured(&vcpu.td.tdcs, 1, 0).is_some_and(|[_, _, ecx, _]| ecx & MONITOR != 0);
    if has_monitor && cx.p.msr(MISC_ENABLE) & ENABLE_MONITOR == 0 {
        return Err(Status::INCORRECT_MSR_VALUE.with_detail(MISC_ENABLE));
    }
    Ok(())
}

/// The TD epoch that a vCPU has entered in, and is counted for while it runs.
///
/// TDX ABI: "TLB tracking".
#[must_use = "the vCPU is not counted any more once this is dropped"]
struct Epoch<'a, P: Platform> {
    count: Field,
    word: Mem<'a, P>,
    number: u64,
}

impl<'a, P: Platform> Epoch<'a, P> {
    fn enter(vcpu: &Vcpu<'a, P>) -> Result<Self, Status> {
        let tdcs = &vcpu.td.tdcs;
        let busy = Status::OPERAND_BUSY.with(Operand::TD_EPOCH);
        let _lock = tdcs.epoch_lock().acquire(Mode::Shared).ok_or(busy)?;
        let number = tdcs.get(TD_EPOCH);
        let count = REFCOUNT.element((number & 1) as u32);
        let word = tdcs.word(count);
        count.add(&word, 1);
        Ok(Self {
            count,
            word,
            number,
        })
    }
}

impl<P: Platform> Drop for Epoch<'_, P> {
    fn drop(&mut self) {
        self.count.add(&self.word, u64::MAX);
    }
}
