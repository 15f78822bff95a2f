// SPDX-License-Identifier: GPL-2.0

//! What each VM exit means. TDX ABI: TDH.VP.ENTER, "Exit reasons that reach the host", and the list of
//! those that do not.

use super::{
    super::{
        metadata::vmcs::fields as vmcs,
        platform::Platform,
        sept::{
            self,
            Sept, //
        },
        td::is_pending_ve_disabled,
        tdg::{
            self,
            Outcome, //
        },
        tdvps::Tdvps,
        vmx::{
            cr0,
            cr4,
            kind,
            reason,
            vector,
            EptViolation,
            Event,
            ENTRY_FAILURE,
            LONG_CODE, //
        },
        vp::vcpu::Vcpu,
        Ctx, //
    },
    cpuid,
    event,
    fetch,
    msr,
    registers,
    state,
    zero_step,
    TdExit, //
};
use crate::abi::{
    guest::ExtendedQualification,
    Level,
    Status, //
};

/// What is to happen after a VM exit.
pub enum Next {
    /// The guest goes on.
    Resume,
    /// The host gets a TDG.VP.VMCALL.
    Vmcall,
    /// The host gets another exit.
    Exit(TdExit),
}

impl From<Option<TdExit>> for Next {
    fn from(exit: Option<TdExit>) -> Self {
        exit.map_or(Self::Resume, Self::Exit)
    }
}

/// TDCALL.
const TDCALL: [u8; 4] = [0x66, 0x0F, 0x01, 0xCC];

/// Decides what the VM exit means that the TD VMCS tells of.
pub fn handle<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>) -> Next {
    let tdvps = &vcpu.tdvps;
    zero_step::look(tdvps);
    let full = tdvps.get(vmcs::EXIT_REASON);
    let basic = full as u16;
    if full & ENTRY_FAILURE != 0 {
        return lost(vcpu, full);
    }
    match basic {
        reason::EXCEPTION_NMI => exception(cx, vcpu),
        reason::EXTERNAL_INTERRUPT => Next::Exit(TdExit {
            interruption: tdvps.get(vmcs::VM_EXIT_INTERRUPTION_INFORMATION) as u32,
            ..TdExit::fault(Status::SUCCESS, basic)
        }),
        reason::TRIPLE_FAULT => Next::Exit(TdExit::fault(Status::NON_RECOVERABLE_VCPU, basic)),
        reason::INIT
        | reason::OTHER_SMI
        | reason::TASK_SWITCH
        | reason::C_STATE_SMI
        | reason::PML_FULL
        | reason::BUS_LOCK => Next::Exit(qualified(tdvps, Status::SUCCESS, full)),
        reason::NMI_WINDOW => {
            event::nmi(tdvps);
            Next::Resume
        }
        reason::CPUID => cpuid::emulate(cx, vcpu),
        reason::RDMSR => msr::read(vcpu),
        reason::WRMSR => msr::write(vcpu),
        reason::XSETBV => state::xsetbv(vcpu),
        reason::CR_ACCESS => cr_access(tdvps),
        reason::HLT
        | reason::INVD
        | reason::RDPMC
        | reason::VMCALL
        | reason::IO
        | reason::MWAIT
        | reason::MONITOR
        | reason::WBINVD
        | reason::APIC_WRITE
        | reason::PCONFIG => event::ve(tdvps, 0).into(),
        reason::GETSEC
        | reason::VMCLEAR..=reason::VMXON
        | reason::INVEPT
        | reason::INVVPID
        | reason::VMFUNC
        | reason::ENCLS
        | reason::SEAMCALL => event::ud(tdvps).into(),
        reason::EPT_VIOLATION => ept_violation(cx, vcpu),
        reason::EPT_MISCONFIGURATION => ept_misconfiguration(vcpu),
        _ => lost(vcpu, full),
    }
}

/// An exit with the exit qualification as VMX gives it.
fn qualified<P: Platform>(tdvps: &Tdvps<'_, P>, status: Status, reason: u64) -> TdExit {
    TdExit {
        qualification: tdvps.get(vmcs::EXIT_QUALIFICATION) as u32,
        reason: reason as u32,
        ..TdExit::fault(status, 0)
    }
}

/// An exit that must not happen: the host's debugger gets to see it, else it ends the TD.
fn lost<P: Platform>(vcpu: &Vcpu<'_, P>, reason: u64) -> Next {
    let status = if reason as u16 == reason::MACHINE_CHECK_ON_ENTRY {
        Status::NON_RECOVERABLE_TD_NON_ACCESSIBLE
    } else if vcpu.td.is_debug() {
        Status::SUCCESS
    } else {
        Status::NON_RECOVERABLE_TD
    };
    Next::Exit(qualified(&vcpu.tdvps, status, reason))
}

fn exception<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>) -> Next {
    let tdvps = &vcpu.tdvps;
    let event = Event::from_raw(tdvps.get(vmcs::VM_EXIT_INTERRUPTION_INFORMATION) as u32);
    if event.is(kind::HARDWARE_EXCEPTION, vector::UD) {
        return undefined(cx, vcpu);
    }
    let status = if event.is(kind::HARDWARE_EXCEPTION, vector::MC) {
        Status::NON_RECOVERABLE_TD_NON_ACCESSIBLE
    } else {
        Status::SUCCESS
    };
    Next::Exit(TdExit {
        interruption: event.into_raw(),
        ..qualified(tdvps, status, reason::EXCEPTION_NMI.into())
    })
}

/// #UD: TDCALL, which this CPU does not have, or what is undefined everywhere.
fn undefined<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>) -> Next {
    let tdvps = &vcpu.tdvps;
    match fetch::is_at_rip(cx, vcpu, &TDCALL) {
        true => tdcall(cx, vcpu),
        false => event::ud(tdvps).into(),
    }
}

fn tdcall<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>) -> Next {
    let tdvps = &vcpu.tdvps;
    let long = tdvps.get(vmcs::GUEST_CS_ACCESS_RIGHTS) & LONG_CODE != 0;
    if !long || !event::is_supervisor(tdvps) {
        return event::gp(tdvps).into();
    }
    let mut regs = registers::load(tdvps);
    let outcome = tdg::tdcall(cx, vcpu, &mut regs);
    let done = matches!(outcome, Outcome::Completed | Outcome::LockTimeout);
    if done {
        registers::store(tdvps, &mut regs);
    }
    if done || outcome == Outcome::Vmcall {
        event::skip(tdvps, TDCALL.len() as u64);
    }
    match outcome {
        Outcome::Completed => Next::Resume,
        Outcome::Vmcall => Next::Vmcall,
        Outcome::LockTimeout => Next::Exit(TdExit::fault(Status::HOST_PRIORITY_BUSY_TIMEOUT, 0)),
        // What waits is a host's interrupt, which ends the next VM entry at once.
        Outcome::Again => Next::Resume,
        Outcome::Violation(violation) => Next::Exit(TdExit {
            qualification: violation.qualification as u32,
            extended: violation.extended,
            gpa: violation.gpa,
            ..TdExit::fault(Status::SUCCESS, reason::EPT_VIOLATION)
        }),
        Outcome::Misconfiguration { gpa } => Next::Exit(TdExit {
            gpa,
            ..TdExit::fault(Status::SUCCESS, reason::EPT_MISCONFIGURATION)
        }),
    }
}

/// The guest wants to change a bit of CR0 or CR4 that it does not have to itself.
fn cr_access<P: Platform>(tdvps: &Tdvps<'_, P>) -> Next {
    const CR4: u64 = 4;
    const RSP: u32 = 4;

    let qualification = tdvps.get(vmcs::EXIT_QUALIFICATION);
    let value = match ((qualification >> 8) & 0xF) as u32 {
        RSP => tdvps.get(vmcs::GUEST_RSP),
        number => tdvps.get(registers::guest(number)),
    };
    // A TD that turns machine checks or caching off is told by #VE; what it cannot have at all is #GP.
    let (owned, seen, told) = match qualification & 0xF {
        CR4 => (vmcs::CR4_GUEST_HOST_MASK, vmcs::CR4_READ_SHADOW, cr4::MCE),
        _ => (
            vmcs::CR0_GUEST_HOST_MASK,
            vmcs::CR0_READ_SHADOW,
            cr0::CD | cr0::NW,
        ),
    };
    let changed = (value ^ tdvps.get(seen)) & tdvps.get(owned);
    if changed & !told == 0 {
        event::ve(tdvps, 0).into()
    } else {
        event::gp(tdvps).into()
    }
}

/// TDX ABI: TDH.VP.ENTER, "EPT violation decisions", in their order.
fn ept_violation<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>) -> Next {
    /// #PF: a reserved bit is set in a page-table entry that is present.
    const RESERVED: u64 = 1 << 3 | 1 << 0;
    /// Bits of the qualification that the host does not get to see.
    const HIDDEN: u32 = 0x3F << 7;

    let tdvps = &vcpu.tdvps;
    let qualification = EptViolation::from_raw(tdvps.get(vmcs::EXIT_QUALIFICATION));
    if qualification.into_raw() & EptViolation::NMI_UNBLOCKING_MASK != 0 {
        event::block_nmis_again(tdvps);
    }
    let gpa = tdvps.get(vmcs::GUEST_PHYSICAL_ADDRESS);
    let tdcs = &vcpu.td.tdcs;
    if gpa.wrapping_shr(tdcs.gpa_width()) != 0
        && qualification.into_raw() & EptViolation::GLA_VALID_MASK != 0
    {
        let write = qualification.into_raw() & EptViolation::WRITE_MASK;
        return event::pf(tdvps, RESERVED | write).into();
    }
    let exit = TdExit {
        gpa,
        qualification: qualification.into_raw() as u32 & !HIDDEN,
        ..TdExit::fault(Status::SUCCESS, reason::EPT_VIOLATION)
    };
    if !tdcs.is_private(gpa) {
        return Next::Exit(exit);
    }

    let Ok(slot) = Sept::of(cx, &vcpu.td).and_then(|sept| sept.walk(cx, gpa, Level::K4)) else {
        return Next::Exit(TdExit::fault(
            Status::NON_RECOVERABLE_TD_CORRUPTED_MD,
            reason::EPT_VIOLATION,
        ));
    };
    let entry = slot.load();
    if sept::is_present_leaf(entry) {
        // The CPU has walked an older copy of the root: another processor has mapped it since.
        return Next::Resume;
    }
    let mut extended = 0;
    if entry
        .state()
        .is_some_and(|state| state.is_pending() && !state.is_blocked())
    {
        if !is_pending_ve_disabled(&vcpu.td.tdcs) {
            return event::ve(tdvps, gpa).into();
        }
        extended = ExtendedQualification::PENDING;
    }
    zero_step::count(tdvps, gpa);
    Next::Exit(TdExit { extended, ..exit })
}

fn ept_misconfiguration<P: Platform>(vcpu: &Vcpu<'_, P>) -> Next {
    let gpa = vcpu.tdvps.get(vmcs::GUEST_PHYSICAL_ADDRESS);
    let status = if vcpu.td.tdcs.is_private(gpa) {
        // Only damage makes an entry of the secure EPT one.
        Status::NON_RECOVERABLE_TD_CORRUPTED_MD
    } else {
        Status::SUCCESS
    };
    Next::Exit(TdExit {
        gpa,
        ..TdExit::fault(status, reason::EPT_MISCONFIGURATION)
    })
}
