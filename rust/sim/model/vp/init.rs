// SPDX-License-Identifier: GPL-2.0

//! TDH.VP.INIT: gives a vCPU its initial state.

use super::{
    super::{
        lock::Mode,
        metadata::{
            vcpu::{
                vmcs_field,
                NO_DESCRIPTOR,
                NO_VECTOR, //
            },
            vmcs::id, //
        },
        platform::Platform,
        tdcs::fields as tdcs_fields,
        tdr::fields::HKID,
        tdvps::{
            fields,
            X2APIC_ID, //
        },
        Completion,
        Ctx, //
    },
    vcpu::Vcpu, //
};
use crate::abi::{
    metadata::FieldId,
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
const MACHINE_CHECK: u64 = 1 << 18;

/// VMCS fields that do not begin as 0. TDX ABI: "Initial State of Guest VCPUs".
const VMCS: &[(FieldId, u64)] = &[
    (id::GUEST_RIP, 0xFFFF_FFF0),
    (id::GUEST_RFLAGS, 0x2),
    (id::GUEST_CR0, 0x21),
    (id::GUEST_CR4, 0x2040),
    (id::GUEST_DR7, 0x400),
    (id::IA32_EFER, 0x901),
    (id::IA32_PAT, 0x0007_0406_0007_0406),
    (id::IA32_PERF_GLOBAL_CTRL, 0xFF),
    (id::GUEST_CS_LIMIT, FLAT_LIMIT),
    (id::GUEST_DS_LIMIT, FLAT_LIMIT),
    (id::GUEST_ES_LIMIT, FLAT_LIMIT),
    (id::GUEST_FS_LIMIT, FLAT_LIMIT),
    (id::GUEST_GS_LIMIT, FLAT_LIMIT),
    (id::GUEST_SS_LIMIT, FLAT_LIMIT),
    (id::GUEST_LDTR_LIMIT, 0xFFFF),
    (id::GUEST_TR_LIMIT, 0xFFFF),
    (id::GUEST_GDTR_LIMIT, 0xFFFF),
    (id::GUEST_CS_ACCESS_RIGHTS, CODE_RIGHTS),
    (id::GUEST_DS_ACCESS_RIGHTS, DATA_RIGHTS),
    (id::GUEST_ES_ACCESS_RIGHTS, DATA_RIGHTS),
    (id::GUEST_FS_ACCESS_RIGHTS, DATA_RIGHTS),
    (id::GUEST_GS_ACCESS_RIGHTS, DATA_RIGHTS),
    (id::GUEST_SS_ACCESS_RIGHTS, DATA_RIGHTS),
    (id::GUEST_LDTR_ACCESS_RIGHTS, UNUSABLE_LDT_RIGHTS),
    (id::GUEST_TR_ACCESS_RIGHTS, BUSY_TSS_RIGHTS),
    (id::POSTED_INTERRUPT_NOTIFICATION_VECTOR, NO_VECTOR),
    (id::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, NO_DESCRIPTOR),
    (id::EXCEPTION_BITMAP, MACHINE_CHECK),
    (id::VMCS_LINK_POINTER, u64::MAX),
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
    tdvps.set(
        fields::RBX,
        if tdcs.get(tdcs_fields::GPAW) != 0 {
            52
        } else {
            48
        },
    );
    tdvps.set(fields::RCX, args.rdx);
    tdvps.set(fields::R8, args.rdx);
    tdvps.set(fields::RDX, u64::from(cx.p.config().fms));
    tdvps.set(fields::RSI, index);
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
            id::MSR_BITMAP_ADDRESS,
            keyed(tdcs_fields::MSR_BITMAPS.offset),
        ),
        (id::SHARED_EPTP, keyed(tdcs_fields::ZERO_PAGE.offset)),
        (id::EPTP, tdcs.get(tdcs_fields::EPTP)),
        (
            id::TIME_STAMP_COUNTER_OFFSET,
            tdcs.get(tdcs_fields::TSC_OFFSET),
        ),
        (
            id::TIME_STAMP_COUNTER_MULTIPLIER,
            tdcs.get(tdcs_fields::TSC_MULTIPLIER),
        ),
        (id::TD_HKID, hkid),
    ];
    for &(id, value) in VMCS.iter().chain(&of_td) {
        if let Some(field) = vmcs_field(id) {
            vcpu.tdvps.set(field, value);
        }
    }
}
