// SPDX-License-Identifier: GPL-2.0

//! Events that a guest gets: those of its own instructions, and those of its host.

use super::*;

#[test]
fn other_undefined_instructions_stay_undefined() {
    let played = Played::new();
    let undefined = |tdvps: &State<'_, '_>| {
        exit(tdvps, reason::EXCEPTION_NMI);
        tdvps.set(vmcs::VM_EXIT_INTERRUPTION_INFORMATION, UD);
    };
    delivers(&played, undefined, UD);
    // VMX instructions, and those of SEAM.
    for reason in [19, 27, 11, 50, 53, 59, 60, 76] {
        delivers(&played, move |tdvps| exit(tdvps, reason), UD);
    }
}

#[test]
fn the_guest_asks_its_host_by_way_of_ve() {
    for reason in [12, 13, 15, 18, 30, 36, 39, 54, 56, 65] {
        let played = Played::new();
        delivers(
            &played,
            move |tdvps| {
                exit(tdvps, reason);
                tdvps.set(vmcs::EXIT_QUALIFICATION, 0x77);
                tdvps.set(vmcs::VM_EXIT_INSTRUCTION_INFORMATION, 0x55);
            },
            VE,
        );
        assert_eq!(played.get(fields::EXIT_REASON), reason.into());
        assert_eq!(played.get(fields::EXIT_QUALIFICATION), 0x77);
        assert_eq!(played.get(fields::INSTRUCTION_LENGTH), 2);
        assert_eq!(played.get(fields::INSTRUCTION_INFORMATION), 0x55);
        assert_eq!(played.get(fields::VALID), 0xFFFF_FFFF);
        // It has not read of that one yet.
        delivers(&played, move |tdvps| exit(tdvps, reason), DF);
    }
}

#[test]
fn faults_while_faults_are_delivered() {
    let played = Played::new();
    let during = |event: u64| {
        move |tdvps: &State<'_, '_>| {
            exit(tdvps, 12);
            tdvps.set(vmcs::IDT_VECTORING_INFORMATION, event);
        }
    };
    // A page fault and #VE make a double fault, an interrupt and #VE do not.
    delivers(&played, during(PF), DF);
    let played = Played::new();
    delivers(&played, during(0x8000_0030), VE);
    // Three are too many.
    let played = Played::new();
    played.then(during(DF));
    let regs = played.enter();
    assert_eq!(regs.rax, Status::NON_RECOVERABLE_VCPU.with_detail(2).raw());
}

#[test]
fn events_that_an_exit_interrupts_are_delivered_again() {
    let played = Played::new();
    played.then(|tdvps| {
        exit(tdvps, reason::EPT_VIOLATION);
        tdvps.set(vmcs::GUEST_PHYSICAL_ADDRESS, SHARED);
        // An NMI, whose delivery has begun to block others; bit 12 is undefined.
        tdvps.set(vmcs::IDT_VECTORING_INFORMATION, 0x8000_1202);
        tdvps.set(vmcs::INTERRUPTIBILITY_STATE, 8);
    });
    assert_eq!(played.enter().rax, 48);
    assert_eq!(played.pending(), 0x8000_0202);
    assert_eq!(played.get(vmcs::INTERRUPTIBILITY_STATE), 0);
}

#[test]
fn an_nmi_of_the_host_waits_for_its_window() {
    let played = Played::new();
    let window =
        |tdvps: &State<'_, '_>| tdvps.get(vmcs::PRIMARY_PROCESSOR_BASED_CONTROLS) & (1 << 22) != 0;
    played.set(fields::PEND_NMI, 1);
    // Not while #VE information waits to be read.
    played.set(fields::VALID, 1);
    played.then(move |tdvps| {
        assert!(!window(tdvps));
        exit(tdvps, reason::EXTERNAL_INTERRUPT);
    });
    played.enter();
    played.set(fields::VALID, 0);
    played
        .then(move |tdvps| {
            assert!(window(tdvps));
            exit(tdvps, reason::NMI_WINDOW);
        })
        .then(move |tdvps| {
            assert!(!window(tdvps));
            let event = tdvps.get(vmcs::VM_ENTRY_INTERRUPTION_INFORMATION);
            assert_eq!(event, 0x8000_0202);
            exit(tdvps, reason::EXTERNAL_INTERRUPT);
        });
    played.enter();
    assert_eq!(played.get(fields::PEND_NMI), 0);
}
