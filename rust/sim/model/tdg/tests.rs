// SPDX-License-Identifier: GPL-2.0

//! The checks of the guest-side leaves in their order, and what the leaves do.

use super::{
    super::{
        lock::Mode,
        platform::Profile,
        tdcs::fields as tdcs_fields,
        tdvps::fields,
        tests::guest::{
            Td,
            FREE,
            LARGE,
            LARGE_PA,
            MAPPED,
            MAPPED_PA,
            PENDING,
            PENDING_PA,
            SHARED,
            SHARED_PA,
            SHARED_TABLES, //
        }, //
    },
    Outcome,
    Violation, //
};
use crate::abi::{
    guest::{
        ExtendedQualification,
        GuestLeaf, //
    },
    sept::State,
    Level,
    Operand,
    Status, //
};
use sha2::{
    Digest,
    Sha384, //
};
use std::sync::atomic::Ordering::Relaxed;

fn rax(leaf: GuestLeaf) -> u64 {
    leaf as u64
}

fn invalid(operand: Operand) -> Status {
    Status::OPERAND_INVALID.with(operand)
}

/// The exit of a leaf with a write access to an entry.
fn violation(gpa: u64, kind: u64, requested: u64, found: (u64, State), rights: u64) -> Outcome {
    let (level, state) = found;
    Outcome::Violation(Violation {
        gpa,
        qualification: 2 | rights << 3,
        extended: kind
            | requested << 32
            | level << 35
            | u64::from(state.public()) << 38
            | u64::from(state.is_leaf()) << 46,
    })
}

#[test]
fn rax_selects_leaf_and_version() {
    let td = Td::new();
    let refused = invalid(Operand::RAX);
    // SYS.RDALL, a number that no leaf has, versions that there are not, reserved bits.
    for rax in [12, 13, 1 << 16, 2 << 16 | 7, 1 << 24 | 1, 1 << 63 | 1] {
        td.fails(rax, &[], refused);
    }
    td.ok(rax(GuestLeaf::VpInfo), &[]);
}

#[test]
fn vmcall_checks_its_mask() {
    let td = Td::with(Profile::V1_5_01, |_| ());
    let vmcall = rax(GuestLeaf::VpVmcall);
    for mask in [1, 2, 1 << 4, 1 << 32] {
        td.fails(vmcall, &[0xFC00 | mask], invalid(Operand::RCX));
    }
    assert_eq!(td.tdcall(vmcall, &[0xFFFF_FFEC]).0, Outcome::Vmcall);
    // NO_RBP_MOD: RBP is not the guest's to share.
    let td = Td::with(Profile::Current, |poke| poke(32, 4));
    td.fails(vmcall, &[0xFC20], invalid(Operand::RCX));
    assert_eq!(td.tdcall(vmcall, &[0xFFCC]).0, Outcome::Vmcall);
}

#[test]
fn vp_info() {
    let td = Td::new();
    let args = td.ok(rax(GuestLeaf::VpInfo), &[]);
    assert_eq!((args.rcx, args.rdx), (48, 0));
    assert_eq!((args.r8, args.r9), (2 << 32 | 1, 0));
    assert_eq!((args.r10, args.r11), (1, 0));
}

#[test]
fn veinfo_is_given_once() {
    let td = Td::new();
    let get = rax(GuestLeaf::VpVeinfoGet);
    let args = td.fails(get, &[9, 9, 9, 9], Status::NO_VALID_VE_INFO);
    assert_eq!((args.rcx, args.rdx, args.r8, args.r9), (0, 0, 0, 0));
    td.tdvps(|tdvps| {
        tdvps.set(fields::VALID, 0xFFFF_FFFF);
        tdvps.set(fields::EXIT_REASON, 48);
        tdvps.set(fields::EXIT_QUALIFICATION, 0x181);
        tdvps.set(fields::GLA, 0x1234);
        tdvps.set(fields::GPA, 0x5678);
        tdvps.set(fields::INSTRUCTION_LENGTH, 3);
        tdvps.set(fields::INSTRUCTION_INFORMATION, 7);
    });
    let args = td.ok(get, &[]);
    assert_eq!((args.rcx, args.rdx), (48, 0x181));
    assert_eq!((args.r8, args.r9, args.r10), (0x1234, 0x5678, 7 << 32 | 3));
    td.fails(get, &[], Status::NO_VALID_VE_INFO);
}

#[test]
fn cpuidve_set() {
    let td = Td::new();
    let set = rax(GuestLeaf::VpCpuidveSet);
    td.fails(set, &[4], invalid(Operand::RCX));
    td.ok(set, &[2]);
    td.tdvps(|tdvps| {
        assert_eq!(tdvps.get(fields::CPUID_SUPERVISOR_VE), 0);
        assert_eq!(tdvps.get(fields::CPUID_USER_VE), 1);
    });
}

#[test]
fn accept_checks_its_operand() {
    let td = Td::new();
    let accept = rax(GuestLeaf::MemPageAccept);
    for word in [2, 8, LARGE | 0x1000 | 1, SHARED, 1 << 52] {
        td.fails(accept, &[word], invalid(Operand::RCX));
    }
}

#[test]
fn accept_zeroes_and_maps() {
    let td = Td::new();
    let accept = rax(GuestLeaf::MemPageAccept);
    td.sim.poke(PENDING_PA + 8, 0xDEAD);
    td.ok(accept, &[PENDING]);
    assert_eq!(td.state(PENDING, Level::K4), Some(State::Mapped));
    assert_eq!(td.peek(PENDING_PA + 8), 0);
    td.fails(accept, &[PENDING], Status::PAGE_ALREADY_ACCEPTED);
    td.fails(accept, &[MAPPED], Status::PAGE_ALREADY_ACCEPTED);
}

#[test]
fn accept_of_a_large_page_gives_way_to_interrupts() {
    let td = Td::new();
    let accept = rax(GuestLeaf::MemPageAccept);
    td.sim.poke(LARGE_PA + 0x1000, 0xDEAD);
    td.sim.machine.interrupt.store(true, Relaxed);
    assert_eq!(td.tdcall(accept, &[LARGE | 1]).0, Outcome::Again);
    let progress = td.entry(LARGE, Level::M2, |slot| slot.load().pfn().pa());
    assert_eq!(progress, LARGE_PA + 0x1000);
    assert_eq!(td.peek(LARGE_PA + 0x1000), 0xDEAD);
    assert_eq!(td.tdcall(accept, &[LARGE | 1]).0, Outcome::Again);
    assert_eq!(td.peek(LARGE_PA + 0x1000), 0);
    td.sim.machine.interrupt.store(false, Relaxed);
    td.ok(accept, &[LARGE | 1]);
    assert_eq!(td.state(LARGE, Level::M2), Some(State::Mapped));
    let level = Status::PAGE_ALREADY_ACCEPTED.with_detail(1);
    td.fails(accept, &[LARGE | 1], level);
    // A part of it, too.
    td.fails(accept, &[LARGE | 0x3000], level);
}

#[test]
fn accept_meets_the_wrong_size() {
    let td = Td::new();
    let accept = rax(GuestLeaf::MemPageAccept);
    // The host has mapped small pages.
    td.fails(accept, &[1], Status::PAGE_SIZE_MISMATCH.with_detail(1));
    // It has mapped a large one: it may split that.
    assert_eq!(
        td.tdcall(accept, &[LARGE | 0x3000]).0,
        violation(
            LARGE | 0x3000,
            ExtendedQualification::ACCEPT,
            0,
            (1, State::Pending),
            0
        )
    );
}

#[test]
fn accept_asks_the_host_for_pages() {
    let td = Td::new();
    let accept = rax(GuestLeaf::MemPageAccept);
    let kind = ExtendedQualification::ACCEPT;
    assert_eq!(
        td.tdcall(accept, &[FREE]).0,
        violation(FREE, kind, 0, (0, State::Free), 0)
    );
    assert_eq!(
        td.tdcall(accept, &[0x40_0001]).0,
        violation(0x40_0000, kind, 1, (1, State::Free), 0)
    );
    assert_eq!(
        td.tdcall(accept, &[1 << 40]).0,
        violation(1 << 40, kind, 0, (3, State::Free), 0)
    );
    td.set_state(PENDING, Level::K4, State::PendingBlocked, PENDING_PA);
    assert_eq!(
        td.tdcall(accept, &[PENDING]).0,
        violation(PENDING, kind, 0, (0, State::PendingBlocked), 0)
    );
}

#[test]
fn the_host_comes_first() {
    let td = Td::new();
    let accept = rax(GuestLeaf::MemPageAccept);
    let busy = Status::OPERAND_BUSY.with(Operand::RCX);
    td.entry(PENDING, Level::K4, |slot| {
        let guard = slot.lock().expect("nobody has it");
        assert!(slot.lock_by_guest().is_err());
        // The host wants it, too.
        assert!(slot.lock().is_none());
        drop(guard);
    });
    td.fails(accept, &[PENDING], busy);
    // The timeout is in microseconds of the machine's clock, which counts at each look.
    td.tdcs(|tdcs| tdcs.set(tdcs_fields::HP_LOCK_TIMEOUT, 0));
    let (outcome, regs) = td.tdcall(accept, &[PENDING]);
    assert_eq!((outcome, regs.rax), (Outcome::LockTimeout, busy.raw()));
    td.entry(PENDING, Level::K4, |slot| drop(slot.lock().expect("free")));
    td.ok(accept, &[PENDING]);
}

#[test]
fn attributes_are_read() {
    let td = Td::new();
    let read = rax(GuestLeaf::MemPageAttrRd);
    let args = td.fails(read, &[SHARED], invalid(Operand::RCX));
    assert_eq!((args.rcx, args.rdx), (0, 0));
    let args = td.ok(read, &[MAPPED | 0x123]);
    assert_eq!((args.rcx, args.rdx), (MAPPED, 0x8007));
    let args = td.ok(read, &[LARGE | 0x5000]);
    assert_eq!((args.rcx, args.rdx), (1 << 62 | LARGE | 1, 0x8000));
    let nothing = Violation {
        gpa: FREE,
        qualification: 0,
        extended: 0,
    };
    assert_eq!(td.tdcall(read, &[FREE]).0, Outcome::Violation(nothing));
    let write = rax(GuestLeaf::MemPageAttrWr);
    td.entry(MAPPED, Level::K4, |slot| {
        let _guard = slot.lock();
        td.fails(read, &[MAPPED], Status::OPERAND_BUSY.with(Operand::RCX));
        td.fails(write, &[MAPPED], Status::OPERAND_BUSY.with(Operand::RCX));
    });
}

#[test]
fn attributes_of_the_td_itself_stay() {
    let td = Td::new();
    let write = rax(GuestLeaf::MemPageAttrWr);
    td.fails(write, &[MAPPED, 1], invalid(Operand::RDX));
    td.fails(write, &[MAPPED, 0, 1], invalid(Operand::R8));
    // Without an L2 VM, those of VM 1 are nobody's.
    td.fails(write, &[MAPPED, 0x8007 << 16], invalid(Operand::RDX));
    td.fails(write, &[3], invalid(Operand::RCX));
    td.fails(write, &[1], Status::PAGE_SIZE_MISMATCH.with_detail(1));
    let args = td.ok(write, &[MAPPED]);
    assert_eq!((args.rcx, args.rdx), (MAPPED, 0x8007));
    let args = td.ok(write, &[LARGE | 1]);
    assert_eq!((args.rcx, args.rdx), (1 << 62 | LARGE | 1, 0x8000));
    let kind = ExtendedQualification::ATTR_WR;
    assert_eq!(
        td.tdcall(write, &[FREE]).0,
        violation(FREE, kind, 0, (0, State::Free), 0)
    );
    // The model has no entries for L2 VMs.
    let td = Td::with(Profile::V1_5_01, |_| ());
    td.tdcs(|tdcs| tdcs.set(tdcs_fields::NUM_L2_VMS, 1));
    td.fails(write, &[MAPPED, 7 << 16], invalid(Operand::RDX));
    td.fails(
        write,
        &[MAPPED, 0x8007 << 16],
        Status::L2_SEPT_WALK_FAILED.with_detail(1 << 16),
    );
}

fn words(td: &Td, pa: u64, count: u64) -> Vec<u8> {
    (0..count)
        .flat_map(|n| td.peek(pa + n * 8).to_le_bytes())
        .collect()
}

fn rtmr(td: &Td, index: u32) -> Vec<u8> {
    let word = |n| td.tdcs(|tdcs| tdcs.get(tdcs_fields::RTMR.element(index * 6 + n)));
    (0..6).flat_map(|n| word(n).to_le_bytes()).collect()
}

#[test]
fn rtmr_extend() {
    let td = Td::new();
    let extend = rax(GuestLeaf::MrRtmrExtend);
    td.fails(extend, &[MAPPED | 8], invalid(Operand::RCX));
    td.fails(extend, &[SHARED], invalid(Operand::RCX));
    let missing = Violation {
        gpa: FREE,
        qualification: 1,
        extended: 0,
    };
    assert_eq!(td.tdcall(extend, &[FREE, 9]).0, Outcome::Violation(missing));
    td.fails(extend, &[MAPPED, 4], invalid(Operand::RDX));
    td.tdcs(|tdcs| {
        let _lock = tdcs.rtmr_lock().acquire(Mode::Shared);
        let busy = Status::OPERAND_BUSY.with(Operand::RTMR);
        td.fails(extend, &[MAPPED], busy);
    });

    for n in 0..6 {
        td.sim.poke(MAPPED_PA + 0x40 + n * 8, 0x0101 * (n + 1));
    }
    let data = words(&td, MAPPED_PA + 0x40, 6);
    let mut expected = vec![0; 48];
    for _ in 0..2 {
        td.ok(extend, &[MAPPED | 0x40, 2]);
        expected = Sha384::digest([expected, data.clone()].concat()).to_vec();
    }
    assert_eq!(rtmr(&td, 2), expected);
    assert_eq!(rtmr(&td, 1), [0; 48]);
}

#[test]
fn report_checks_its_operands() {
    let td = Td::new();
    let report = rax(GuestLeaf::MrReport);
    td.fails(report, &[0x200, 0], invalid(Operand::RCX));
    td.fails(report, &[1 << 48, 0], invalid(Operand::RCX));
    td.fails(report, &[0, 8], invalid(Operand::RDX));
    let at = |gpa, qualification| {
        Outcome::Violation(Violation {
            gpa,
            qualification,
            extended: 0,
        })
    };
    assert_eq!(td.tdcall(report, &[0, FREE, 1]).0, at(FREE, 1));
    td.fails(report, &[0, 0, 1], invalid(Operand::R8));
    td.tdcs(|tdcs| {
        let _lock = tdcs.rtmr_lock().acquire(Mode::Exclusive);
        let busy = Status::OPERAND_BUSY.with(Operand::RTMR);
        td.fails(report, &[0, 0], busy);
    });
    // That attempt of the host's is over, but one more was refused meanwhile: the next one clears it.
    td.sim.machine.interrupt.store(true, Relaxed);
    assert_eq!(td.tdcall(report, &[0, 0]).0, Outcome::Again);
    td.sim.machine.interrupt.store(false, Relaxed);
    assert_eq!(td.tdcall(report, &[FREE, 0]).0, at(FREE, 2));
    // Where there is no #VE for it, pages that were not accepted are told from those that are not there.
    assert_eq!(td.tdcall(report, &[PENDING, 0]).0, at(PENDING, 2));
    td.tdcs(|tdcs| tdcs.set(tdcs_fields::TD_CTLS, 1));
    let pending = Violation {
        gpa: PENDING,
        qualification: 2,
        extended: ExtendedQualification::PENDING,
    };
    assert_eq!(
        td.tdcall(report, &[PENDING, 0]).0,
        Outcome::Violation(pending)
    );
    // Of the shared pages one is not there, one is ill-formed, and one can only be read.
    assert_eq!(
        td.tdcall(report, &[SHARED | 0x3000, 0]).0,
        at(SHARED | 0x3000, 2)
    );
    let gpa = SHARED | 0x1000;
    assert_eq!(
        td.tdcall(report, &[gpa, 0]).0,
        Outcome::Misconfiguration { gpa }
    );
    assert_eq!(
        td.tdcall(report, &[SHARED | 0x2000, 0]).0,
        at(SHARED | 0x2000, 2 | 1 << 3)
    );
}

#[test]
fn entries_of_the_shared_ept_that_the_cpu_refuses() {
    let td = Td::new();
    let report = rax(GuestLeaf::MrReport);
    let misconfigured = Outcome::Misconfiguration { gpa: SHARED };
    for (table, index, entry) in [
        // A page of 512G; a memory type in an entry that points to a table; a 2M page that begins elsewhere; write-only.
        (0, 256, 0xB7),
        (1, 0, SHARED_TABLES + 0x2000 | 0x37),
        (2, 0, SHARED_PA | 0x1000 | 0xB7),
        (3, 0, SHARED_PA | 0x32),
    ] {
        let at = SHARED_TABLES + table * 0x1000 + index * 8;
        let before = td.peek(at);
        td.sim.poke(at, entry);
        assert_eq!(
            td.tdcall(report, &[SHARED, 0]).0,
            misconfigured,
            "{entry:#x}"
        );
        td.sim.poke(at, before);
    }
    // What one entry allows and another one does not.
    td.sim
        .poke(SHARED_TABLES + 0x1000, SHARED_TABLES + 0x2000 | 3);
    td.sim
        .poke(SHARED_TABLES + 0x2000, SHARED_TABLES + 0x3000 | 5);
    let violation = Violation {
        gpa: SHARED,
        qualification: 2 | 1 << 3,
        extended: 0,
    };
    assert_eq!(
        td.tdcall(report, &[SHARED, 0]).0,
        Outcome::Violation(violation)
    );
}

#[test]
fn report_is_what_the_td_is() {
    let td = Td::with(Profile::Current, |poke| {
        for n in 0..6 {
            poke(80 + n * 8, 0x1111 * (n + 1));
        }
    });
    td.ok(rax(GuestLeaf::MrRtmrExtend), &[MAPPED, 3]);
    for n in 0..8 {
        td.sim.poke(SHARED_PA + n * 8, 0xABC0 + n);
    }
    td.ok(rax(GuestLeaf::MrReport), &[MAPPED | 0x400, SHARED]);
    let report = words(&td, MAPPED_PA + 0x400, 128);
    assert_eq!(report[..4], [0x81, 0, 0, 0]);
    assert_eq!(report[32..80], Sha384::digest(&report[256..256 + 239])[..]);
    assert_eq!(report[80..128], Sha384::digest(&report[512..])[..]);
    assert_eq!(report[128..192], words(&td, SHARED_PA, 8));
    let field = |field, words| {
        td.tdcs(|tdcs| {
            (0..words)
                .map(|n| tdcs.get(super::super::field::Field::element(field, n)))
                .flat_map(u64::to_le_bytes)
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(report[528..576], field(tdcs_fields::MRTD, 6));
    assert_eq!(report[576..624], field(tdcs_fields::MRCONFIGID, 6));
    assert_eq!(report[720 + 3 * 48..912], rtmr(&td, 3));
    assert_ne!(rtmr(&td, 3), [0; 48]);

    // RFC 2104, with the module's key.
    let key = td.sim.module.report_key().map(u64::to_le_bytes).concat();
    let pad = |with: u8| -> Vec<u8> {
        let mut block = vec![with; 128];
        block.iter_mut().zip(&key).for_each(|(to, key)| *to ^= key);
        block
    };
    let inner = Sha384::digest([pad(0x36), report[..224].to_vec()].concat());
    let outer = Sha384::digest([pad(0x5C), inner.to_vec()].concat());
    assert_eq!(report[224..256], outer[..32]);
}

const NUM_VCPUS: u64 = 0x9010_0002_0000_0001;
const HKID: u64 = 0x8110_0001_0000_0001;
const TD_CTLS: u64 = 0x1110_0003_0000_0017;
const NOTIFY_ENABLES: u64 = 0x9110_0003_0000_0010;
const VCPU_INDEX: u64 = 0xA020_0002_0000_0002;
const CPUID_CONTROL: u64 = 0xA120_0000_0000_0000;

#[test]
fn fields_of_the_td() {
    let td = Td::new();
    let (read, write) = (rax(GuestLeaf::VmRd), rax(GuestLeaf::VmWr));
    td.fails(read, &[1, NUM_VCPUS], invalid(Operand::RCX));
    td.fails(read, &[0, 0x99_0000], Status::METADATA_FIELD_ID_INCORRECT);
    // The host's affairs.
    td.fails(read, &[0, HKID], Status::METADATA_FIELD_NOT_READABLE);
    assert_eq!(td.ok(read, &[0, NUM_VCPUS]).r8, 1);
    // Version 1 goes through all that there is for a guest.
    let lists = read | 1 << 16;
    let first = Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT;
    let mut id = td.fails(lists, &[0, u64::MAX], first).rdx;
    let mut seen = Vec::new();
    while id != u64::MAX {
        seen.push(id);
        id = td.ok(lists, &[0, id]).rdx;
    }
    assert!(seen.contains(&NUM_VCPUS) && seen.contains(&TD_CTLS) && !seen.contains(&HKID));

    td.fails(write, &[1, NOTIFY_ENABLES, 1, 1], invalid(Operand::RCX));
    td.fails(
        write,
        &[0, NUM_VCPUS, 1, 1],
        Status::METADATA_FIELD_NOT_WRITABLE,
    );
    assert_eq!(td.ok(write, &[0, NOTIFY_ENABLES, 1, u64::MAX]).r8, 0);
    assert_eq!(td.ok(write, &[0, NOTIFY_ENABLES, 0, u64::MAX]).r8, 1);
    // A change of PENDING_VE_DISABLE needs FLEXIBLE_PENDING_VE.
    let not_valid = Status::METADATA_FIELD_VALUE_NOT_VALID;
    td.fails(write, &[0, TD_CTLS, 1, 1], not_valid);
    td.ok(write, &[0, TD_CTLS, 0, 1]);
    let td = Td::with(Profile::Current, |poke| poke(32, 2));
    td.ok(write, &[0, TD_CTLS, 1, 1]);
    assert_eq!(td.ok(read, &[0, TD_CTLS]).r8, 1);
}

#[test]
fn fields_of_the_vcpu() {
    let td = Td::new();
    let (read, write) = (rax(GuestLeaf::VpRd), rax(GuestLeaf::VpWr));
    td.fails(read, &[1, VCPU_INDEX], invalid(Operand::RCX));
    // RAX of the guest is for the host's debugger.
    let not_readable = Status::METADATA_FIELD_NOT_READABLE;
    td.fails(read, &[0, 0x1020_0003_0000_0000], not_readable);
    let first = Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT;
    let id = td.fails(read, &[0, u64::MAX], first).rdx;
    assert_eq!(id, VCPU_INDEX);
    let args = td.ok(read, &[0, VCPU_INDEX]);
    assert_eq!((args.rdx, args.r8), (0xA020_0000_0000_0007, 0));
    td.fails(write, &[1, CPUID_CONTROL, 3, 3], invalid(Operand::RCX));
    td.fails(
        write,
        &[0, VCPU_INDEX, 3, 3],
        Status::METADATA_FIELD_NOT_WRITABLE,
    );
    td.ok(write, &[0, CPUID_CONTROL + 5, 3, 3]);
    assert_eq!(td.ok(read, &[0, CPUID_CONTROL + 5]).r8, 3);
}

#[test]
fn fields_of_the_module() {
    const MAJOR_VERSION: u64 = 0x0800_0001_0000_0004;
    const NUM_PKGS: u64 = 0x0000_0002_0000_0000;

    let td = Td::new();
    let read = rax(GuestLeaf::SysRd);
    let not_readable = Status::METADATA_FIELD_NOT_READABLE;
    assert_eq!(td.fails(read, &[0, NUM_PKGS], not_readable).rdx, u64::MAX);
    td.fails(read, &[0, 0x77], Status::METADATA_FIELD_ID_INCORRECT);
    let first = Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT;
    let mut id = td.fails(read, &[0, u64::MAX], first).rdx;
    let mut fields = 0;
    while id != u64::MAX {
        let args = td.ok(read, &[0, id]);
        assert!(id != MAJOR_VERSION || args.r8 == 1);
        (id, fields) = (args.rdx, fields + 1);
    }
    assert_eq!(fields, 12);
}
