// SPDX-License-Identifier: GPL-2.0

//! Pages that the guest touches and that are not there, and hosts that do not map them.

use super::*;

/// The guest touches `gpa`.
fn touches(gpa: u64, qualification: u64) -> impl Fn(&State<'_, '_>) + Send + Sync {
    move |tdvps| {
        exit(tdvps, reason::EPT_VIOLATION);
        tdvps.set(vmcs::EXIT_QUALIFICATION, qualification);
        tdvps.set(vmcs::GUEST_PHYSICAL_ADDRESS, gpa);
        tdvps.set(vmcs::GUEST_LINEAR_ADDRESS, gpa + 1);
    }
}

#[test]
fn pages_that_are_not_there_are_the_hosts() {
    let played = Played::new();
    played.then(touches(FREE | 0x123, 0x1F82));
    assert_eq!(played.enter(), exited(48, 2, 0, FREE, 0));
    played.then(touches(SHARED | 0x1234, 0x182));
    assert_eq!(played.enter(), exited(48, 2, 0, SHARED | 0x1000, 0));
    // One that has been mapped since the CPU looked is none of them.
    played.then(touches(MAPPED, 0x182));
    played.enter_in_vain();
    // Bits above the SHARED bit are reserved.
    delivers(&played, touches(1 << 48, 0x182), PF);
    assert_eq!(played.get(fields::CR2), (1 << 48) + 1);
    assert_eq!(played.get(vmcs::VM_ENTRY_EXCEPTION_ERROR_CODE), 0);
}

#[test]
fn pages_that_were_not_accepted() {
    let played = Played::new();
    delivers(&played, touches(PENDING | 0x10, 0x182), VE);
    assert_eq!(played.get(fields::EXIT_REASON), 48);
    assert_eq!(played.get(fields::GPA), PENDING | 0x10);
    assert_eq!(played.get(fields::GLA), (PENDING | 0x10) + 1);
    // SEPT_VE_DISABLE.
    let played = Played::with(Profile::Current, 1 << 28, 4);
    played.then(touches(PENDING, 0x182));
    assert_eq!(played.enter(), exited(48, 2, 6, PENDING, 0));
}

#[test]
fn misconfigured_entries() {
    let misconfigured = |gpa: u64| {
        move |tdvps: &State<'_, '_>| {
            exit(tdvps, reason::EPT_MISCONFIGURATION);
            tdvps.set(vmcs::GUEST_PHYSICAL_ADDRESS, gpa);
        }
    };
    let played = Played::new();
    played.then(misconfigured(SHARED));
    assert_eq!(played.enter(), exited(49, 0, 0, SHARED, 0));
    played.then(misconfigured(MAPPED));
    let status = Status::NON_RECOVERABLE_TD_CORRUPTED_MD.with_detail(49);
    assert_eq!(played.enter().rax, status.raw());
}

#[test]
fn a_host_that_steps_has_to_map() {
    let played = Played::new();
    for _ in 0..6 {
        played.then(touches(FREE, 0x182));
        assert_eq!(played.enter().rax, 48);
    }
    let busy = Status::OPERAND_BUSY.with(Operand::SEPT_TREE).raw();
    let with_tree_locked = || {
        played.td.tdcs(|tdcs| {
            let _lock = tdcs.sept_tree_lock().acquire(Mode::Shared);
            played.enter().rax
        })
    };
    // Not armed yet.
    assert_eq!(with_tree_locked(), 1);
    played.then(touches(FREE, 0x182));
    assert_eq!(played.enter().rax, 48);
    assert_eq!(with_tree_locked(), busy);
    let entries = played.entries();
    assert_eq!(played.enter(), exited(48, 2, 0, FREE, 0));
    assert_eq!(played.entries(), entries);
    // Pending is not mapped: the guest could not get on.
    let td = &played.td;
    let page = crate::layout::TDMR_BASE + 40 * 4096;
    td.sim.ok(Leaf::MemPageAug, &[FREE, td.tdr, page]);
    assert_eq!(played.enter().rax, 48);
    td.ok(6, &[FREE]);
    played.enter_in_vain();
    assert_eq!(with_tree_locked(), 1);
    assert_eq!(played.td.tdcs(|tdcs| tdcs.get(tdcs_fields::REFCOUNT)), 0);
}

#[test]
fn a_loop_is_no_stepping() {
    let played = Played::new();
    for page in 0..20 {
        // The guest has been elsewhere, and is back at the same instruction for another page.
        played
            .then(|tdvps| {
                exit(tdvps, reason::CPUID);
                tdvps.set(fields::RAX, 0);
                tdvps.set(vmcs::GUEST_RIP, 0x1234);
            })
            .then(move |tdvps| {
                touches(FREE + page * 4096, 0x182)(tdvps);
                tdvps.set(vmcs::GUEST_RIP, MAPPED);
            });
        assert_eq!(played.enter().args.r8, FREE + page * 4096);
    }
    assert_eq!(played.get(fields::LAST_EPF_GPA_LIST_IDX), 0);
}

#[test]
fn a_guest_may_be_told_of_stepping() {
    let played = Played::new();
    played.td.ok(8, &[0, 0x9110_0003_0000_0010, 1, 1]);
    for _ in 0..7 {
        played.then(touches(FREE, 0x182));
        played.enter();
    }
    let td = &played.td;
    let page = crate::layout::TDMR_BASE + 40 * 4096;
    td.sim.ok(Leaf::MemPageAug, &[FREE, td.tdr, page]);
    td.ok(6, &[FREE]);
    played.then(|tdvps| {
        assert_eq!(tdvps.get(vmcs::VM_ENTRY_INTERRUPTION_INFORMATION), VE);
        assert_eq!(tdvps.get(fields::GPA), FREE);
        exit(tdvps, reason::EXTERNAL_INTERRUPT);
    });
    played.enter();
    assert_eq!(played.get(fields::EXIT_REASON), 48);
}
