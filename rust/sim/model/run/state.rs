// SPDX-License-Identifier: GPL-2.0

//! State of a vCPU that VMX does not switch, and what of it a host finds when the vCPU has exited.
//!
//! TDX ABI: "Host CPU state after a TD exit".

use super::{
    super::{
        field::Field,
        metadata::{
            code,
            vmcs::{
                fields as vmcs,
                id, //
            }, //
        },
        platform::Platform,
        tdcs::{
            self,
            Tdcs, //
        },
        tdvps::fields,
        vp::vcpu::Vcpu, //
    },
    event,
    exits::Next, //
};

/// A field of the VMCS and its place in the TD VMCS.
pub struct Vmcs {
    /// How VMREAD and VMWRITE name the field.
    pub encoding: u32,
    /// Where the module keeps it.
    pub place: Field,
}

macro_rules! vmcs_fields {
    ($($(#[$doc:meta])* $list:ident = $($name:ident)*;)*) => {
        $($(#[$doc])* pub const $list: &[Vmcs] = &[$(Vmcs {
            encoding: code(id::$name),
            place: vmcs::$name,
        },)*];)*
    };
}

vmcs_fields! {
    /// State of the guest: loaded by a VM entry, saved by a VM exit.
    GUEST_STATE =
        GUEST_ES_SELECTOR GUEST_CS_SELECTOR GUEST_SS_SELECTOR GUEST_DS_SELECTOR GUEST_FS_SELECTOR
        GUEST_GS_SELECTOR GUEST_LDTR_SELECTOR GUEST_TR_SELECTOR
        GUEST_ES_LIMIT GUEST_CS_LIMIT GUEST_SS_LIMIT GUEST_DS_LIMIT GUEST_FS_LIMIT GUEST_GS_LIMIT
        GUEST_LDTR_LIMIT GUEST_TR_LIMIT GUEST_GDTR_LIMIT GUEST_IDTR_LIMIT
        GUEST_ES_ACCESS_RIGHTS GUEST_CS_ACCESS_RIGHTS GUEST_SS_ACCESS_RIGHTS GUEST_DS_ACCESS_RIGHTS
        GUEST_FS_ACCESS_RIGHTS GUEST_GS_ACCESS_RIGHTS GUEST_LDTR_ACCESS_RIGHTS GUEST_TR_ACCESS_RIGHTS
        GUEST_ES_BASE GUEST_CS_BASE GUEST_SS_BASE GUEST_DS_BASE GUEST_FS_BASE GUEST_GS_BASE
        GUEST_LDTR_BASE GUEST_TR_BASE GUEST_GDTR_BASE GUEST_IDTR_BASE
        GUEST_CR0 GUEST_CR3 GUEST_CR4 PDPTE_0 PDPTE_1 PDPTE_2 PDPTE_3
        GUEST_RIP GUEST_RSP GUEST_RFLAGS GUEST_DR7 PENDING_DEBUG_EXCEPTIONS
        INTERRUPTIBILITY_STATE ACTIVITY_STATE GUEST_INTERRUPT_STATUS
        IA32_EFER IA32_PAT IA32_DEBUGCTL IA32_SYSENTER_CS IA32_SYSENTER_ESP IA32_SYSENTER_EIP;
    /// State of a guest with CET.
    GUEST_CET = GUEST_IA32_S_CET GUEST_SSP GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR;
    /// What a VM entry is told besides: no saved state, and no set of controls.
    ENTRY =
        EXCEPTION_BITMAP PAGE_FAULT_ERROR_CODE_MASK PAGE_FAULT_ERROR_CODE_MATCH CR3_TARGET_COUNT
        TIME_STAMP_COUNTER_OFFSET TIME_STAMP_COUNTER_MULTIPLIER TPR_THRESHOLD
        CR0_GUEST_HOST_MASK CR0_READ_SHADOW CR4_GUEST_HOST_MASK CR4_READ_SHADOW
        EOI_EXIT_BITMAP_0 EOI_EXIT_BITMAP_1 EOI_EXIT_BITMAP_2 EOI_EXIT_BITMAP_3
        POSTED_INTERRUPT_NOTIFICATION_VECTOR XSS_EXITING_BITMAP VMCS_LINK_POINTER
        VM_EXIT_MSR_STORE_COUNT VM_EXIT_MSR_LOAD_COUNT VM_ENTRY_MSR_LOAD_COUNT
        VM_ENTRY_INTERRUPTION_INFORMATION VM_ENTRY_EXCEPTION_ERROR_CODE VM_ENTRY_INSTRUCTION_LENGTH;
    /// Physical addresses, which have a KeyID in the TD VMCS.
    ADDRESSES =
        MSR_BITMAP_ADDRESS VIRTUAL_APIC_ADDRESS POSTED_INTERRUPT_DESCRIPTOR_ADDRESS;
    /// What a VM exit tells.
    EXIT =
        EXIT_REASON EXIT_QUALIFICATION GUEST_LINEAR_ADDRESS GUEST_PHYSICAL_ADDRESS
        VM_EXIT_INTERRUPTION_INFORMATION VM_EXIT_INTERRUPTION_ERROR_CODE
        IDT_VECTORING_INFORMATION IDT_VECTORING_ERROR_CODE
        VM_EXIT_INSTRUCTION_LENGTH VM_EXIT_INSTRUCTION_INFORMATION;
}

/// An MSR that the guest has to itself.
pub struct Msr {
    /// Its number.
    pub msr: u32,
    /// Where the guest's value is while the guest does not run.
    pub field: Field,
    /// What the host finds in it.
    pub host: u64,
}

/// What IA32_FMASK holds at the start of a vCPU and after an exit.
pub const FMASK: u64 = 0x2_0200;

/// The MSRs.
pub const MSRS: &[Msr] = &[
    Msr {
        msr: 0xC000_0081,
        field: fields::IA32_STAR,
        host: 0,
    },
    Msr {
        msr: 0xC000_0082,
        field: fields::IA32_LSTAR,
        host: 0,
    },
    Msr {
        msr: 0xC000_0084,
        field: fields::IA32_FMASK,
        host: FMASK,
    },
    Msr {
        msr: 0xC000_0102,
        field: fields::IA32_KERNEL_GS_BASE,
        host: 0,
    },
    Msr {
        msr: 0xC000_0103,
        field: fields::IA32_TSC_AUX,
        host: 0,
    },
];

/// DR6 when nothing has happened.
pub const DR6: u64 = 0xFFFF_0FF0;

/// The part of XFAM that XCR0 selects.
pub const XCR0_MASK: u64 = 0x6_02FF;
/// The part of XFAM that IA32_XSS selects.
pub const XSS_MASK: u64 = 0x1_DD00;

/// The part of XFAM that is for control-flow enforcement, of users and of the supervisor.
pub const CET: u64 = 3 << 11;

/// Whether a TD has control-flow enforcement.
pub fn has_cet<P: Platform>(tdcs: &Tdcs<'_, P>) -> bool {
    tdcs.get(tdcs::fields::XFAM) & CET != 0
}

/// x87, which XCR0 always has.
pub const X87: u64 = 1 << 0;

/// XSETBV: the guest chooses among the features that the TD has.
pub fn xsetbv<P: Platform>(vcpu: &Vcpu<'_, P>) -> Next {
    const SSE: u64 = 1 << 1;
    const AVX: u64 = 1 << 2;
    const AVX512: u64 = 7 << 5;
    const AMX: u64 = 3 << 17;

    let tdvps = &vcpu.tdvps;
    let low = tdvps.get(fields::RAX) & u64::from(u32::MAX);
    let value = low | tdvps.get(fields::RDX) << 32;
    let all_or_none = |mask: u64| value & mask == 0 || value & mask == mask;
    let needs = |mask: u64, other: u64| value & mask == 0 || value & other != 0;
    let sound = tdvps.get(fields::RCX) as u32 == 0
        && value & X87 != 0
        && value & !(vcpu.td.tdcs.get(tdcs::fields::XFAM) & XCR0_MASK) == 0
        && [AVX512, AMX].into_iter().all(all_or_none)
        && needs(AVX, SSE)
        && needs(AVX512, AVX);
    if !sound {
        return event::gp(tdvps).into();
    }
    tdvps.set(fields::XCR0, value);
    event::skip(tdvps, tdvps.get(vmcs::VM_EXIT_INSTRUCTION_LENGTH));
    Next::Resume
}
