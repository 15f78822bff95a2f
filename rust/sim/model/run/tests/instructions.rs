// SPDX-License-Identifier: GPL-2.0

//! Instructions that the module executes for the guest: CPUID, MSRs, XSETBV, control registers.

use super::*;

#[test]
fn cpuid_is_as_configured() {
    let played = Played::new();
    let cpuid = |leaf: u64, subleaf: u64| {
        move |tdvps: &State<'_, '_>| {
            exit(tdvps, reason::CPUID);
            tdvps.set(fields::RAX, leaf);
            tdvps.set(fields::RCX, subleaf);
        }
    };
    let values = || [0, 3, 1, 2].map(|number| played.get(registers::guest(number)));
    played.then(cpuid(0, 9));
    played.set(vmcs::INTERRUPTIBILITY_STATE, BLOCKING_BY_INSTRUCTION | 8);
    played.enter_in_vain();
    assert_eq!(values()[0], 0x23);
    assert_eq!(played.get(vmcs::GUEST_RIP), MAPPED + 2);
    // STI blocks for one instruction.
    assert_eq!(played.get(vmcs::INTERRUPTIBILITY_STATE), 8);

    // What TDs know themselves by.
    played.then(cpuid(0x21, 0));
    played.enter_in_vain();
    let [_, ebx, ecx, edx] = values().map(|value| (value as u32).to_le_bytes());
    assert_eq!(&[ebx, edx, ecx].concat(), b"IntelTDX    ");

    // OSXSAVE and the APIC ID are those of the moment.
    played.set(X2APIC_ID, 7);
    played.then(cpuid(1, 0));
    played.enter_in_vain();
    assert_eq!((values()[1] >> 24, values()[2] >> 27 & 1), (7, 0));
    played.set(vmcs::GUEST_CR4, 1 << 18);
    played.then(cpuid(1, 0));
    played.enter_in_vain();
    assert_eq!(values()[2] >> 27 & 1, 1);

    // A sub-leaf that there is not is empty; leaves of the hypervisor are its own.
    played.then(cpuid(4, 77));
    played.enter_in_vain();
    assert_eq!(values(), [0; 4]);
    delivers(&played, cpuid(0x4000_0000, 0), VE);
    assert_eq!(played.get(fields::EXIT_REASON), 10);
}

#[test]
fn cpuid_may_be_asked_for_as_ve() {
    let played = Played::new();
    // TDG.VP.CPUIDVE.SET, supervisor.
    played.td.ok(5, &[1]);
    delivers(
        &played,
        |tdvps| {
            exit(tdvps, reason::CPUID);
            tdvps.set(fields::RAX, 0);
        },
        VE,
    );
}

#[test]
fn msrs() {
    let access = |reason: u16, msr: u64, value: u64| {
        move |tdvps: &State<'_, '_>| {
            exit(tdvps, reason);
            tdvps.set(fields::RCX, msr);
            tdvps.set(fields::RAX, value & 0xFFFF_FFFF);
            tdvps.set(fields::RDX, value >> 32);
        }
    };
    let (read, write) = (reason::RDMSR, reason::WRMSR);
    // IA32_APIC_BASE is the host's.
    delivers(&Played::new(), access(read, 0x1B, 0), VE);
    delivers(&Played::new(), access(write, 0x830, 0), VE);
    // A TD has no VMX.
    let played = Played::new();
    delivers(&played, access(read, 0x480, 0), GP);
    delivers(&played, access(write, 0x48, 1 << 40), GP);
    // IA32_SPEC_CTRL.
    played.then(access(write, 0x48, 5));
    played.enter_in_vain();
    played.then(access(read, 0x48, 0));
    played.enter_in_vain();
    assert_eq!((played.get(fields::RAX), played.get(fields::RDX)), (5, 0));
    assert_eq!(played.get(vmcs::GUEST_RIP), MAPPED + 4);
    // IA32_XSS: XFAM has nothing for it.
    delivers(&played, access(write, 0xDA0, 1 << 8), GP);
    // IA32_PRED_CMD.
    played.then(access(write, 0x49, 1));
    played.enter_in_vain();
}

#[test]
fn features_that_the_guest_enables() {
    let played = Played::new();
    let xsetbv = |index: u64, value: u64| {
        move |tdvps: &State<'_, '_>| {
            exit(tdvps, reason::XSETBV);
            tdvps.set(fields::RCX, index);
            tdvps.set(fields::RAX, value);
            tdvps.set(fields::RDX, 0);
        }
    };
    // The TD has x87 and SSE.
    for (index, value) in [(1, 1), (0, 0), (0, 2), (0, 7), (0, 0x203)] {
        delivers(&played, xsetbv(index, value), GP);
    }
    assert_eq!(played.get(fields::XCR0), 1);
    played.then(xsetbv(0, 3));
    played.enter_in_vain();
    assert_eq!(played.get(fields::XCR0), 3);
}

#[test]
fn control_registers() {
    let moves = |number: u64, value: u64| {
        move |tdvps: &State<'_, '_>| {
            exit(tdvps, reason::CR_ACCESS);
            // MOV from RDX.
            tdvps.set(vmcs::EXIT_QUALIFICATION, number | 2 << 8);
            tdvps.set(fields::RDX, value);
        }
    };
    // No caching, and no machine checks.
    delivers(&Played::new(), moves(0, 0x4000_0021), VE);
    delivers(&Played::new(), moves(4, 0x20), VE);
    // NE clear, VMX, SMX.
    delivers(&Played::new(), moves(0, 0x1), GP);
    delivers(&Played::new(), moves(4, 0x2040), GP);
    delivers(&Played::new(), moves(4, 0x4040), GP);
}

#[test]
fn control_flow_enforcement() {
    const XFAM: u64 = 8;
    const CET: u64 = 3 << 11;
    /// Bits of MSR bitmaps before those for writes.
    const WRITES: u32 = 0x4000;
    let is_own = |td: &Td, bit: u32| {
        let word = tdcs_fields::MSR_BITMAPS.element(bit / 64);
        td.tdcs(|tdcs| tdcs.get(word)) >> (bit % 64) & 1 == 0
    };
    for cet in [0, CET] {
        let td = Td::with(Profile::Current, |poke| poke(XFAM, 3 | cet));
        // IA32_S_CET, IA32_INTERRUPT_SSP_TABLE_ADDR.
        for bit in [0x6A2, 0x6A8]
            .into_iter()
            .flat_map(|msr| [msr, WRITES + msr])
        {
            assert_eq!(is_own(&td, bit), cet != 0);
        }
        let get = |field| td.tdvps(|tdvps| tdvps.get(field));
        let expected = u64::from(cet != 0);
        assert_eq!(get(vmcs::VM_EXIT_CONTROLS) >> 28 & 1, expected);
        assert_eq!(get(vmcs::VM_ENTRY_CONTROLS) >> 20 & 1, expected);
        assert_eq!(get(vmcs::CR4_GUEST_HOST_MASK) >> 23 & 1, 1 - expected);
    }
}
