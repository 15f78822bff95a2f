// SPDX-License-Identifier: GPL-2.0

//! Exits to the host, and what holds while a vCPU is inside.

use super::*;

#[test]
fn interrupts_of_the_host_exit() {
    let played = Played::new();
    assert_eq!(played.enter(), exited(1, 0, 0, 0, INTERRUPT));
    assert_eq!(
        played.get(fields::LAST_TD_EXIT),
        LastExit::AsyncFault as u64
    );
    assert_eq!(played.td.sim.machine.xmms.lock().unwrap()[3], [0; 2]);
    // An NMI.
    played.then(|tdvps| {
        exit(tdvps, reason::EXCEPTION_NMI);
        tdvps.set(vmcs::VM_EXIT_INTERRUPTION_INFORMATION, 0x8000_0202);
    });
    assert_eq!(played.enter(), exited(0, 0, 0, 0, 0x8000_0202));
}

#[test]
fn rbp_is_lost_where_the_td_may_have_it() {
    let played = Played::with(Profile::Current, 0, 0);
    assert_eq!(played.enter().rbp, 0);
    // Module 1.5.01 does not ask.
    let played = Played::with(Profile::V1_5_01, 0, 4);
    assert_eq!(played.enter().rbp, 0);
}

#[test]
fn ends_of_a_vcpu_and_of_a_td() {
    let played = Played::new();
    played.exits(reason::TRIPLE_FAULT);
    let status = Status::NON_RECOVERABLE_VCPU.with_detail(2).raw();
    assert_eq!(played.enter(), exited(status, 0, 0, 0, 0));
    let again = Status::from_raw(played.enter().rax);
    assert_eq!(again, Status::VCPU_STATE_INCORRECT);

    // An exit that must not be.
    let played = Played::new();
    played.exits(reason::INVALID_GUEST_STATE);
    let status = Status::NON_RECOVERABLE_TD.with_detail(33).raw();
    assert_eq!(played.enter().rax, status);
    let fatal = tdr::fields::FATAL.load(&played.td.sim.machine.cpu(0, 0), played.td.tdr);
    assert_eq!(fatal, 1);
    assert_eq!(Status::from_raw(played.enter().rax), Status::TD_FATAL);

    // The host's debugger gets to see it.
    let played = Played::with(Profile::Current, 1, 4);
    played.exits(reason::INVALID_GUEST_STATE);
    assert_eq!(played.enter().rax, 33);

    let played = Played::new();
    played.then(|tdvps| {
        exit(tdvps, reason::EXCEPTION_NMI);
        tdvps.set(vmcs::VM_EXIT_INTERRUPTION_INFORMATION, 0x8000_0312);
    });
    let status = Status::NON_RECOVERABLE_TD_NON_ACCESSIBLE.raw();
    assert_eq!(played.enter().rax, status);
}

#[test]
fn an_epoch_ends_when_its_vcpus_have_left() {
    let played = Played::new();
    let (td, tdr) = (&played.td, played.td.tdr);
    td.sim.ok(Leaf::MemTrack, &[tdr]);
    played.enter_in_vain();
    played.enter_in_vain();
    td.sim.ok(Leaf::MemTrack, &[tdr]);
    played.enter_in_vain();
    // Only the first entry in an epoch forgets what the vCPU has translated before.
    assert_eq!(*played.entries.lock().unwrap(), [true, false, true]);
    // One that is inside.
    td.tdcs(|tdcs| tdcs.set(tdcs_fields::REFCOUNT.element(1), 1));
    td.sim.ok(Leaf::MemTrack, &[tdr]);
    td.sim
        .fails(Leaf::MemTrack, &[tdr], Status::PREVIOUS_TLB_EPOCH_BUSY);
}

#[test]
fn nothing_of_the_td_is_free_while_it_runs() {
    let played = Played::new();
    let vcpu = played.td.vcpu;
    let tdr = played.td.tdr;
    // The played guest looks at the locks from inside.
    played.then(move |tdvps| {
        let p = tdvps.platform();
        // Where the PAMT entry of a page has its lock: see pamt.rs.
        for pa in [vcpu, tdr] {
            assert_eq!(guest::pamt_lock(p, pa), 4, "{pa:#x} is shared once");
        }
        assert_eq!(tdvps.get(fields::VCPU_STATE), 4);
        exit(tdvps, reason::EXTERNAL_INTERRUPT);
    });
    played.enter();
    assert_eq!(played.get(fields::VCPU_STATE), 2);
}
