// SPDX-License-Identifier: GPL-2.0

//! TDCALL: which instruction it is, what passes to the host and what comes back.

use super::*;

/// The guest executes TDCALL with these registers: RAX, RCX and the others by their number.
fn tdcall(played: &Played, rax: u64, rcx: u64) {
    played
        .td
        .sim
        .machine
        .write(MAPPED_PA, &[0x66, 0x0F, 0x01, 0xCC]);
    played.then(move |tdvps| {
        exit(tdvps, reason::EXCEPTION_NMI);
        tdvps.set(vmcs::VM_EXIT_INTERRUPTION_INFORMATION, UD);
        for number in 2..16 {
            tdvps.set(registers::guest(number), 0x100 + u64::from(number));
        }
        tdvps.set(fields::RAX, rax);
        tdvps.set(fields::RCX, rcx);
        tdvps.set(vmcs::GUEST_RIP, MAPPED);
    });
}

#[test]
fn vmcall_shares_what_the_guest_selects() {
    let played = Played::new();
    // RDX, R10 to R15, XMM1.
    let mask = 0xFC04 | 1 << 17;
    tdcall(&played, 0, mask);
    let regs = played.enter();
    let expected = Regs {
        rax: 77,
        args: Args {
            rcx: mask,
            rdx: 0x102,
            r10: 0x10A,
            r11: 0x10B,
            r12: 0x10C,
            r13: 0x10D,
            r14: 0x10E,
            r15: 0x10F,
            ..Args::default()
        },
        rbp: 5,
    };
    assert_eq!(regs, expected);
    assert_eq!(played.get(vmcs::GUEST_RIP), MAPPED + 4);

    // The answer.
    played.td.sim.machine.xmms.lock().unwrap()[1] = [0xAA, 0xBB];
    played.then(|tdvps| {
        let gpr = |number| tdvps.get(registers::guest(number));
        assert_eq!((gpr(0), gpr(1)), (0, 0xFC04 | 1 << 17));
        assert_eq!((gpr(2), gpr(10), gpr(15)), (2, 10, 15));
        // Not selected.
        assert_eq!((gpr(3), gpr(5), gpr(8)), (0x103, 0x105, 0x108));
        // SSE is there now, XMM1 at its place in the XSAVE area.
        assert_eq!(tdvps.get(fields::XBUFF.element(64)), 2);
        assert_eq!(tdvps.get(fields::XBUFF.element(22)), 0xAA);
        assert_eq!(tdvps.get(fields::XBUFF.element(23)), 0xBB);
        exit(tdvps, reason::EXTERNAL_INTERRUPT);
    });
    played.enter();

    // It goes to the host in the same way.
    tdcall(&played, 0, mask);
    played.enter();
    let xmms = played.td.sim.machine.xmms.lock().unwrap();
    assert_eq!((xmms[1], xmms[2]), ([0xAA, 0xBB], [0; 2]));
}

#[test]
fn leaves_that_the_module_answers_come_back_to_the_guest() {
    let played = Played::new();
    tdcall(&played, 1, 0);
    played.then(|tdvps| {
        assert_eq!(tdvps.get(fields::RAX), 0);
        assert_eq!(tdvps.get(fields::RCX), 48);
        assert_eq!(tdvps.get(fields::RBX), 0x103);
        assert_eq!(tdvps.get(vmcs::GUEST_RIP), MAPPED + 4);
        exit(tdvps, reason::EXTERNAL_INTERRUPT);
        tdvps.set(vmcs::VM_EXIT_INTERRUPTION_INFORMATION, INTERRUPT);
    });
    played.enter_in_vain();
    assert_eq!(played.entries(), 2);
}

#[test]
fn tdcall_across_pages() {
    let played = Played::new();
    let td = &played.td;
    // The next page, which is elsewhere in memory.
    td.ok(6, &[PENDING]);
    let machine = &td.sim.machine;
    machine.write(MAPPED_PA + 0xFFE, &[0x66, 0x0F]);
    machine.write(PENDING_PA, &[0x01, 0xCC]);
    tdcall(&played, 1, 0);
    played.then(|tdvps| {
        exit(tdvps, reason::EXCEPTION_NMI);
        tdvps.set(vmcs::VM_EXIT_INTERRUPTION_INFORMATION, UD);
        tdvps.set(fields::RAX, 1);
        tdvps.set(vmcs::GUEST_RIP, MAPPED + 0xFFE);
    });
    played.enter_in_vain();
    assert_eq!(played.get(vmcs::GUEST_RIP), PENDING + 2);
    // One byte is another.
    machine.write(PENDING_PA + 1, &[0xCD]);
    let undefined = |tdvps: &State<'_, '_>| {
        exit(tdvps, reason::EXCEPTION_NMI);
        tdvps.set(vmcs::VM_EXIT_INTERRUPTION_INFORMATION, UD);
        tdvps.set(vmcs::GUEST_RIP, MAPPED + 0xFFE);
    };
    delivers(&played, undefined, UD);
}

#[test]
fn tdcall_is_for_64_bit_supervisors() {
    for (cs, ss) in [(0x809B, 0x8093), (LONG_CODE | 0x80FB, 0x80F3)] {
        let played = Played::new();
        tdcall(&played, 1, 0);
        played.set(vmcs::GUEST_CS_ACCESS_RIGHTS, cs);
        played.set(vmcs::GUEST_SS_ACCESS_RIGHTS, ss);
        played.enter_in_vain();
        // Delivered by the entry that the interrupt ended.
        assert_eq!(played.pending(), 0);
        let played = Played::new();
        tdcall(&played, 1, 0);
        played.set(vmcs::GUEST_CS_ACCESS_RIGHTS, cs);
        played.set(vmcs::GUEST_SS_ACCESS_RIGHTS, ss);
        played.then(|tdvps| {
            assert_eq!(tdvps.get(vmcs::VM_ENTRY_INTERRUPTION_INFORMATION), GP);
            assert_eq!(tdvps.get(vmcs::GUEST_RIP), MAPPED);
            exit(tdvps, reason::EXTERNAL_INTERRUPT);
        });
        played.enter();
    }
}

#[test]
fn the_host_may_have_something_to_say_to_a_trap() {
    let played = Played::new();
    played
        .td
        .tdcs(|tdcs| tdcs.set(tdcs_fields::HP_LOCK_TIMEOUT, 0));
    // The host wants the entry of the page that the guest accepts.
    let want = || {
        played.td.entry(PENDING, Level::K4, |slot| {
            let _guard = slot.lock().expect("free");
            assert!(slot.lock().is_none());
        });
    };
    want();
    tdcall(&played, 6, PENDING);
    played.enter_in_vain();
    tdcall(&played, 6, PENDING);
    let regs = played.enter();
    assert_eq!(regs.rax, Status::HOST_PRIORITY_BUSY_TIMEOUT.raw());
    assert_eq!(played.get(fields::LAST_TD_EXIT), LastExit::AsyncTrap as u64);
    let mut regs = hosts();
    regs.args.rcx = 1 << 52;
    played.enter_with(regs);
    let busy = Status::OPERAND_BUSY.with(Operand::RCX).raw();
    assert_eq!(played.get(fields::RAX), busy | 1 << 60);
    // The hint is for such exits alone.
    let mut regs = hosts();
    regs.args.rcx = 1 << 52;
    let refused = Status::from_raw(played.enter_with(regs).rax);
    assert_eq!(refused, Status::OPERAND_INVALID.with(Operand::RCX));
}
