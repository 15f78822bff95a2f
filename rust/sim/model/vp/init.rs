// SPDX-License-Identifier: GPL-2.0

//! TDH.VP.INIT: gives a vCPU its initial state.

use super::{
    super::{
        field::Field,
        lock::Mode,
        metadata::{
            vcpu::{
                NO_DESCRIPTOR,
                NO_VECTOR, //
            },
            vmcs::fields as vmcs, //
        },
        platform::Platform,
        run::state,
        tdcs::fields as tdcs_fields,
        tdr::fields::HKID,
        tdvps::{
            fields,
            X2APIC_ID, //
        },
        vmx,
        Completion,
        Ctx, //
    },
    vcpu::Vcpu, //
};
use crate::abi::{
    state::VcpuState,
    Args,
    Leaf,
    Level,
    Operand,
    Status, //
};

const FLAT_LIMIT: u64 = 0xFFFF_FFFF;
const CODE_RIGHTS: u64 = 0xC09B;
const DATA_RIGHTS: u64 = 0xC093;
const UNUSABLE_LDT_RIGHTS: u64 = 0x1_0082;
const BUSY_TSS_RIGHTS: u64 = 0x8B;
/// #UD, which TDCALL raises on a CPU without SEAM, and machine checks.
const EXCEPTIONS: u64 = 1 << 6 | 1 << 18;

/// VMCS fields that do not begin as 0. TDX ABI: "Initial State of Guest VCPUs".
const VMCS: &[(Field, u64)] = &[
    (vmcs::GUEST_RIP, 0xFFFF_FFF0),
    (vmcs::GUEST_RFLAGS, 0x2),
    (vmcs::GUEST_CR0, 0x21),
    (vmcs::GUEST_CR4, 0x2040),
    (vmcs::GUEST_DR7, 0x400),
    (vmcs::IA32_EFER, 0x901),
    (vmcs::IA32_PAT, 0x0007_0406_0007_0406),
    (vmcs::IA32_PERF_GLOBAL_CTRL, 0xFF),
    (vmcs::GUEST_CS_LIMIT, FLAT_LIMIT),
    (vmcs::GUEST_DS_LIMIT, FLAT_LIMIT),
    (vmcs::GUEST_ES_LIMIT, FLAT_LIMIT),
    (vmcs::GUEST_FS_LIMIT, FLAT_LIMIT),
    (vmcs::GUEST_GS_LIMIT, FLAT_LIMIT),
    (vmcs::GUEST_SS_LIMIT, FLAT_LIMIT),
    (vmcs::GUEST_LDTR_LIMIT, 0xFFFF),
    (vmcs::GUEST_TR_LIMIT, 0xFFFF),
    (vmcs::GUEST_GDTR_LIMIT, 0xFFFF),
    (vmcs::GUEST_CS_ACCESS_RIGHTS, CODE_RIGHTS),
    (vmcs::GUEST_DS_ACCESS_RIGHTS, DATA_RIGHTS),
    (vmcs::GUEST_ES_ACCESS_RIGHTS, DATA_RIGHTS),
    (vmcs::GUEST_FS_ACCESS_RIGHTS, DATA_RIGHTS),
    (vmcs::GUEST_GS_ACCESS_RIGHTS, DATA_RIGHTS),
    (vmcs::GUEST_SS_ACCESS_RIGHTS, DATA_RIGHTS),
    (vmcs::GUEST_LDTR_ACCESS_RIGHTS, UNUSABLE_LDT_RIGHTS),
    (vmcs::GUEST_TR_ACCESS_RIGHTS, BUSY_TSS_RIGHTS),
    (vmcs::POSTED_INTERRUPT_NOTIFICATION_VECTOR, NO_VECTOR),
    (vmcs::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, NO_DESCRIPTOR),
    (vmcs::EXCEPTION_BITMAP, EXCEPTIONS),
    (vmcs::PIN_BASED_CONTROLS, vmx::PIN_BASED),
    (vmcs::PRIMARY_PROCESSOR_BASED_CONTROLS, vmx::PRIMARY),
    (vmcs::SECONDARY_PROCESSOR_BASED_CONTROLS, vmx::SECONDARY),
    (vmcs::VM_EXIT_CONTROLS, vmx::EXIT),
    (vmcs::VM_ENTRY_CONTROLS, vmx::ENTRY),
    (vmcs::CR0_GUEST_HOST_MASK, vmx::CR0_OWNED),
    (vmcs::CR0_READ_SHADOW, vmx::CR0_SEEN),
    (vmcs::CR4_GUEST_HOST_MASK, vmx::CR4_OWNED),
    (vmcs::CR4_READ_SHADOW, vmx::CR4_SEEN),
    (vmcs::VMCS_LINK_POINTER, u64::MAX),
];

/// Those that begin in another way in a TD with CET.
const CET: &[(Field, u64)] = &[
    (vmcs::VM_EXIT_CONTROLS, vmx::EXIT | vmx::EXIT_CET),
    (vmcs::VM_ENTRY_CONTROLS, vmx::ENTRY | vmx::ENTRY_CET),
    (vmcs::CR4_GUEST_HOST_MASK, vmx::CR4_OWNED & !vmx::cr4::CET),
];

/// RCX: TDVPR. RDX: what the guest finds in RCX and R8. Version 1, R8: x2APIC ID.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let vcpu = Vcpu::open(cx, Leaf::VpInit, Operand::RCX, args.rcx, Mode::Exclusive)?;
    vcpu.map(cx)?;
    vcpu.check_state(&[VcpuState::Uninitialized])?;
    let tdcs = &vcpu.td.tdcs;
    let max = tdcs.get(tdcs_fields::MAX_VCPUS);
    let index = tdcs_fields::NUM_VCPUS
        .try_update(&tdcs.word(tdcs_fields::NUM_VCPUS), |n| {
            (n < max).then_some(n + 1)
        })
        .map_err(|_| Status::MAX_VCPUS_EXCEEDED)?;

    init_vmcs(cx, &vcpu);
    let tdvps = &vcpu.tdvps;
    tdvps.set(fields::VCPU_INDEX, index);
    tdvps.set(fields::XFAM, tdcs.get(tdcs_fields::XFAM));
    tdvps.set(fields::RBX, tdcs.gpa_width().into());
    tdvps.set(fields::RCX, args.rdx);
    tdvps.set(fields::R8, args.rdx);
    tdvps.set(fields::RDX, u64::from(cx.p.config().fms));
    tdvps.set(fields::RSI, index);
    tdvps.set(fields::XCR0, state::X87);
    tdvps.set(fields::DR6, state::DR6);
    tdvps.set(fields::IA32_FMASK, state::FMASK);
    if cx.version > 0 {
        tdvps.set(X2APIC_ID, args.r8);
    }
    tdvps.set(fields::VCPU_STATE, VcpuState::Ready.raw());
    vcpu.associate(cx)
}

fn init_vmcs<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>) {
    let tdcs = &vcpu.td.tdcs;
    let hkid = vcpu.td.tdr.get(HKID);
    let keyed = |field: u32| {
        cx.p.config()
            .with_keyid(tdcs.page(field / Level::K4.size() as u32), hkid)
    };
    let of_td = [
        (
            vmcs::MSR_BITMAP_ADDRESS,
            keyed(tdcs_fields::MSR_BITMAPS.offset),
        ),
        (vmcs::SHARED_EPTP, keyed(tdcs_fields::ZERO_PAGE.offset)),
        (
            vmcs::VIRTUAL_APIC_ADDRESS,
            cx.p.config()
                .with_keyid(vcpu.tdvps.page(fields::VAPIC.offset >> 12), hkid),
        ),
        (vmcs::EPTP, tdcs.get(tdcs_fields::EPTP)),
        (
            vmcs::TIME_STAMP_COUNTER_OFFSET,
            tdcs.get(tdcs_fields::TSC_OFFSET),
        ),
        (
            vmcs::TIME_STAMP_COUNTER_MULTIPLIER,
            tdcs.get(tdcs_fields::TSC_MULTIPLIER),
        ),
        (vmcs::TD_HKID, hkid),
    ];
    let of_cet: &[(Field, u64)] = if state::has_cet(tdcs) { CET } else { &[] };
    for &(field, value) in VMCS.iter().chain(&of_td).chain(of_cet) {
        vcpu.tdvps.set(field, value);
    }
}
