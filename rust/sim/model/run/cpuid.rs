// SPDX-License-Identifier: GPL-2.0

//! CPUID in a TD. TDX ABI: "CPUID Virtualization".

use super::{
    super::{
        metadata::{
            cpuid::{
                self,
                Registers,
                NO_SUBLEAF,
                VALUES, //
            },
            vmcs::fields as vmcs, //
        },
        platform::Platform,
        tdcs::{
            self,
            Tdcs, //
        },
        tdvps::{
            fields,
            Tdvps,
            X2APIC_ID, //
        },
        vmx::cr4,
        vp::vcpu::Vcpu,
        Ctx, //
    },
    event,
    exits::Next, //
};

/// The leaf that tells a TD that it is one.
const TDX: u32 = 0x21;
/// What it says: EAX, EBX, ECX and EDX.
const INTEL_TDX: Registers = [
    0,
    u32::from_le_bytes(*b"Inte"),
    u32::from_le_bytes(*b"    "),
    u32::from_le_bytes(*b"lTDX"),
];

/// Leaves of the hypervisor, and others that a TD asks its host for.
const HYPERVISOR: core::ops::RangeInclusive<u32> = 0x4000_0000..=0x4FFF_FFFF;

/// Executes CPUID for the guest, or has the guest ask the host.
pub fn emulate<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>) -> Next {
    let tdvps = &vcpu.tdvps;
    let wants_ve = if event::is_supervisor(tdvps) {
        fields::CPUID_SUPERVISOR_VE
    } else {
        fields::CPUID_USER_VE
    };
    if tdvps.get(wants_ve) != 0 {
        return event::ve(tdvps, 0).into();
    }
    let leaf = tdvps.get(fields::RAX) as u32;
    let subleaf = tdvps.get(fields::RCX) as u32;
    let Some(values) = values(cx, vcpu, leaf, subleaf) else {
        return event::ve(tdvps, 0).into();
    };
    let registers = [fields::RAX, fields::RBX, fields::RCX, fields::RDX];
    for (register, value) in registers.into_iter().zip(values) {
        tdvps.set(register, value.into());
    }
    event::skip(tdvps, tdvps.get(vmcs::VM_EXIT_INSTRUCTION_LENGTH));
    Next::Resume
}

/// What the guest sees in a leaf; `None` if its host has to say.
fn values<P: Platform>(
    cx: &Ctx<'_, P>,
    vcpu: &Vcpu<'_, P>,
    leaf: u32,
    subleaf: u32,
) -> Option<Registers> {
    if HYPERVISOR.contains(&leaf) {
        return None;
    }
    if (leaf, subleaf) == (TDX, 0) {
        return Some(INTEL_TDX);
    }
    let Some(mut values) = configured(&vcpu.td.tdcs, leaf, subleaf) else {
        // A sub-leaf that a leaf does not have is empty; other leaves are the host's.
        return VALUES.iter().any(|v| v.leaf == leaf).then_some([0; 4]);
    };
    make_current(cx, &vcpu.tdvps, leaf, subleaf, &mut values);
    Some(values)
}

/// A leaf as TDH.MNG.INIT made it for the TD.
pub fn configured<P: Platform>(tdcs: &Tdcs<'_, P>, leaf: u32, subleaf: u32) -> Option<Registers> {
    let index = VALUES
        .iter()
        .position(|v| v.leaf == leaf && (v.subleaf == subleaf || v.subleaf == NO_SUBLEAF))?;
    let [low, high] = [0, 1]
        .map(|element| tdcs.get(tdcs::fields::CPUID_VALUES.element(index as u32 * 2 + element)));
    Some([
        low as u32,
        (low >> 32) as u32,
        high as u32,
        (high >> 32) as u32,
    ])
}

/// Fills in what depends on the vCPU and on what state it is in.
fn make_current<P: Platform>(
    cx: &Ctx<'_, P>,
    tdvps: &Tdvps<'_, P>,
    leaf: u32,
    subleaf: u32,
    values: &mut Registers,
) {
    const OSXSAVE: u32 = 1 << 27;
    const OSPKE: u32 = 1 << 4;

    let [_, ebx, ecx, _] = values;
    let cr4 = tdvps.get(vmcs::GUEST_CR4);
    let copy = |to: &mut u32, bit: u32, set: bool| *to = *to & !bit | if set { bit } else { 0 };
    match (leaf, subleaf) {
        (0x1, _) => {
            *ebx = *ebx & 0x00FF_FFFF | (tdvps.get(X2APIC_ID) as u32) << 24;
            copy(ecx, OSXSAVE, cr4 & cr4::OSXSAVE != 0);
        }
        (0x7, 0) => copy(ecx, OSPKE, cr4 & cr4::PKE != 0),
        (cpuid::XSAVE, 0) => *ebx = xsave_size(cx, tdvps.get(fields::XCR0), false),
        (cpuid::XSAVE, 1) => {
            let enabled = tdvps.get(fields::XCR0) | tdvps.get(fields::IA32_XSS);
            *ebx = xsave_size(cx, enabled, true);
        }
        _ => (),
    }
}

/// Size of the XSAVE area for a set of features, in the compacted or in the standard format.
fn xsave_size<P: Platform>(cx: &Ctx<'_, P>, features: u64, compacted: bool) -> u32 {
    /// Legacy region and header.
    const START: u32 = 576;
    (2..cpuid::XSAVE_COMPONENTS)
        .filter(|component| features & 1u64.wrapping_shl(*component) != 0)
        .fold(START, |end, component| {
            let [size, offset, flags, _] = cx.cpuid(cpuid::XSAVE, component);
            let start = match (compacted, flags & 2 != 0) {
                (false, _) => offset,
                (true, true) => end.saturating_add(63) & !63,
                (true, false) => end,
            };
            end.max(start.saturating_add(size))
        })
}
