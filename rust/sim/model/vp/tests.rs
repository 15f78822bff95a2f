// SPDX-License-Identifier: GPL-2.0

//! The checks of the TDH.VP leaves in their order, and what the leaves do.

use super::super::{
    platform::{
        Profile,
        Unable, //
    },
    tdcs::{
        fields as tdcs_fields,
        Tdcs, //
    },
    tdvps::{
        self,
        fields,
        Tdvps, //
    },
    tests::Sim, //
};
use crate::abi::{
    state::VcpuState,
    Leaf,
    Operand,
    PageType,
    Rax,
    Status, //
};

const VCPU_INDEX: u64 = 0xA020_0002_0000_0002;
const PEND_NMI: u64 = 0x2020_0000_0000_000B;
const NOTIFICATION_VECTOR: u64 = 0x0024_0001_0000_0002;
const DESCRIPTOR: u64 = 0x0024_0003_0000_2016;
const SHARED_EPTP: u64 = 0x0024_0003_0000_203C;
const PIN_BASED: u64 = 0x0024_0002_0000_4000;

fn vcpu_page(n: u64) -> u64 {
    Sim::page(20 + 8 * n)
}

/// A vCPU with all its pages.
fn complete(sim: &Sim, tdr: u64, n: u64) -> u64 {
    let vcpu = vcpu_page(n);
    sim.ok(Leaf::VpCreate, &[vcpu, tdr]);
    for i in 1..6 {
        sim.ok(Leaf::VpAddcx, &[vcpu + i * 4096, vcpu]);
    }
    vcpu
}

fn ready(profile: Profile) -> (Sim, u64, u64) {
    let sim = Sim::new(profile);
    let tdr = sim.init(1, 33);
    let vcpu = complete(&sim, tdr, 0);
    sim.ok(Leaf::VpInit, &[vcpu, 0x1234]);
    (sim, tdr, vcpu)
}

fn invalid(operand: Operand) -> Status {
    Status::OPERAND_INVALID.with(operand)
}

#[test]
fn vp_create_takes_the_page() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    let page = vcpu_page(0);
    sim.poke(page, 0xDEAD);
    sim.fails(
        Leaf::VpCreate,
        &[page, page],
        Status::PAGE_METADATA_INCORRECT.with(Operand::RDX),
    );
    sim.fails(
        Leaf::VpCreate,
        &[tdr, tdr],
        Status::OPERAND_BUSY.with(Operand::RCX),
    );
    sim.fails(Leaf::VpCreate, &[page + 1, tdr], invalid(Operand::RCX));
    sim.ok(Leaf::VpCreate, &[page, tdr]);
    assert_eq!(sim.peek(page), 0);
    let usage = sim.ok(Leaf::PhymemPageRdmd, &[page]);
    assert_eq!((usage.rcx, usage.rdx), (PageType::Tdvpr.raw(), tdr));
}

#[test]
fn vp_addcx_counts_pages() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    let vcpu = vcpu_page(0);
    sim.ok(Leaf::VpCreate, &[vcpu, tdr]);
    sim.fails(Leaf::VpInit, &[vcpu], Status::TDCX_NUM_INCORRECT);
    sim.fails(Leaf::VpRd, &[vcpu, VCPU_INDEX], Status::TDCX_NUM_INCORRECT);
    sim.fails(Leaf::VpFlush, &[vcpu], Status::TDCX_NUM_INCORRECT);
    for i in 1..tdvps::MAX_PAGES {
        sim.ok(Leaf::VpAddcx, &[vcpu + i * 4096, vcpu]);
    }
    let page = vcpu + tdvps::MAX_PAGES * 4096;
    sim.fails(Leaf::VpAddcx, &[page, vcpu], Status::TDCX_NUM_INCORRECT);
    sim.ok(Leaf::VpInit, &[vcpu]);
    sim.fails(Leaf::VpAddcx, &[page, vcpu], Status::VCPU_STATE_INCORRECT);
}

#[test]
fn vp_init_numbers_vcpus_up_to_the_limit() {
    let (sim, tdr, first) = ready(Profile::Current);
    let second = complete(&sim, tdr, 1);
    let third = complete(&sim, tdr, 2);
    sim.fails(Leaf::VpInit, &[first], Status::VCPU_STATE_INCORRECT);
    sim.fails(
        Leaf::VpRd,
        &[second, VCPU_INDEX],
        Status::VCPU_STATE_INCORRECT,
    );
    sim.ok(Leaf::VpInit, &[second]);
    assert_eq!(sim.ok(Leaf::VpRd, &[second, VCPU_INDEX]).r8, 1);
    // TD_PARAMS says two.
    sim.fails(Leaf::VpInit, &[third], Status::MAX_VCPUS_EXCEEDED);
    sim.fails(Leaf::VpInit, &[third], Status::MAX_VCPUS_EXCEEDED);
}

#[test]
fn vp_init_sets_the_guests_registers() {
    let (sim, _, vcpu) = ready(Profile::Current);
    let cpu = sim.machine.cpu(0, 0);
    let get = |field| Tdvps::new(&cpu, vcpu).get(field);
    assert_eq!(get(fields::VCPU_STATE), VcpuState::Ready.raw());
    assert_eq!((get(fields::RCX), get(fields::R8)), (0x1234, 0x1234));
    assert_eq!((get(fields::RBX), get(fields::RSI)), (48, 0));
    assert_eq!(get(fields::RDX), u64::from(crate::cpuid::FMS));
    assert_eq!(get(fields::ASSOC_LPID), 0);
}

#[test]
fn vp_init_version_1_takes_an_x2apic_id() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    let vcpu = complete(&sim, tdr, 0);
    let (status, _) = sim.call(0, Rax::new(Leaf::VpInit, 1), &[vcpu, 0, 0x42]);
    assert_eq!(status, Status::SUCCESS);
    assert_eq!(
        Tdvps::new(&sim.machine.cpu(0, 0), vcpu).get(tdvps::X2APIC_ID),
        0x42
    );

    let sim = Sim::new(Profile::V1_5_01);
    let tdr = sim.init(1, 33);
    let vcpu = complete(&sim, tdr, 0);
    let (status, _) = sim.call(0, Rax::new(Leaf::VpInit, 1), &[vcpu, 0, 0x42]);
    assert_eq!(status, invalid(Operand::RAX));
}

#[test]
fn a_vcpu_belongs_to_one_processor_until_it_is_flushed() {
    let (sim, tdr, vcpu) = ready(Profile::Current);
    let read = |lp| sim.call(lp, Leaf::VpRd, &[vcpu, VCPU_INDEX]).0;
    let flush = |lp| sim.call(lp, Leaf::VpFlush, &[vcpu]).0;
    let associated = || Tdcs::new(&sim.machine.cpu(0, 0), tdr).get(tdcs_fields::NUM_ASSOC_VCPUS);
    assert_eq!(
        (read(0), read(1)),
        (Status::SUCCESS, Status::VCPU_ASSOCIATED)
    );
    assert_eq!(flush(1), Status::VCPU_NOT_ASSOCIATED);
    assert_eq!(associated(), 1);
    sim.fails(Leaf::MngVpflushdone, &[tdr], Status::FLUSHVP_NOT_DONE);
    assert_eq!(flush(0), Status::SUCCESS);
    assert_eq!((flush(0), associated()), (Status::VCPU_NOT_ASSOCIATED, 0));
    // A failing read associates, too.
    let (status, _) = sim.call(1, Leaf::VpRd, &[vcpu, 0x7F]);
    assert_eq!(status, Status::METADATA_FIELD_ID_INCORRECT);
    assert_eq!((read(0), associated()), (Status::VCPU_ASSOCIATED, 1));
    assert_eq!(flush(1), Status::SUCCESS);
    sim.ok(Leaf::MngVpflushdone, &[tdr]);
    assert_eq!(flush(1), Status::TD_KEYS_NOT_CONFIGURED);
}

#[test]
fn vp_wr_returns_what_was_there() {
    let (sim, _, vcpu) = ready(Profile::Current);
    let write = |id, value, mask| {
        let (status, args) = sim.call(0, Leaf::VpWr, &[vcpu, id, value, mask]);
        (status, args.r8)
    };
    assert_eq!(write(PEND_NMI, 1, 1), (Status::SUCCESS, 0));
    assert_eq!(write(PEND_NMI, 0, u64::MAX), (Status::SUCCESS, 1));
    assert_eq!(
        write(VCPU_INDEX, 1, 1),
        (Status::METADATA_FIELD_NOT_WRITABLE, 0)
    );
    assert_eq!(
        write(PEND_NMI, 1, 0),
        (Status::METADATA_FIELD_NOT_WRITABLE, 0)
    );
    assert_eq!(
        write(u64::MAX, 1, 1),
        (Status::METADATA_FIELD_ID_INCORRECT, 0)
    );
}

#[test]
fn posted_interrupts_need_vector_and_descriptor() {
    let (sim, _, vcpu) = ready(Profile::Current);
    let write = |id, value, mask| sim.call(0, Leaf::VpWr, &[vcpu, id, value, mask]).0;
    let enable = || write(PIN_BASED, 0x80, 0x80);
    let missing = |encoding| Status::TD_VMCS_FIELD_NOT_INITIALIZED.with_detail(encoding);
    assert_eq!(sim.ok(Leaf::VpRd, &[vcpu, NOTIFICATION_VECTOR]).r8, 0xFFFF);
    assert_eq!(enable(), missing(0x0002));
    let not_valid = Status::METADATA_FIELD_VALUE_NOT_VALID;
    assert_eq!(write(NOTIFICATION_VECTOR, 0x100, 0xFFFF), not_valid);
    assert_eq!(write(NOTIFICATION_VECTOR, 0xF2, 0xFFFF), Status::SUCCESS);
    assert_eq!(enable(), missing(0x2016));
    let all = u64::MAX;
    // Misaligned, above 2^52, with a private KeyID.
    for bad in [0x1020, 1 << 52, 0x1000 | (33 << 46)] {
        assert_eq!(write(DESCRIPTOR, bad, all), not_valid);
    }
    assert_eq!(write(DESCRIPTOR, 0x1040, all), Status::SUCCESS);
    assert_eq!(enable(), Status::SUCCESS);
    assert_eq!(write(SHARED_EPTP, 0x5008, all), not_valid);
    assert_eq!(
        write(SHARED_EPTP, 0x5000, 0x000F_FFFF_FFFF_F000),
        Status::SUCCESS
    );
    assert_eq!(sim.ok(Leaf::VpRd, &[vcpu, SHARED_EPTP]).r8, 0x5000);
}

#[test]
fn lists_go_through_all_fields() {
    let (sim, _, vcpu) = ready(Profile::Current);
    let read = |id| sim.call(0, Rax::new(Leaf::VpRd, 1), &[vcpu, id]);
    let (status, args) = read(u64::MAX);
    assert_eq!(status, Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT);
    let (mut id, mut fields) = (args.rdx, 0);
    while id != u64::MAX {
        let (status, args) = read(id);
        assert_eq!(status, Status::SUCCESS, "{id:#x}");
        id = args.rdx;
        fields += 1;
    }
    assert_eq!(fields, 16 + 9 + 15);
}

#[test]
fn vp_enter_checks_and_then_says_that_it_cannot() {
    let (sim, tdr, vcpu) = ready(Profile::Current);
    let enter = |lp, rcx| sim.call(lp, Leaf::VpEnter, &[rcx]).0;
    assert_eq!(enter(0, vcpu), Status::OP_STATE_INCORRECT);
    sim.ok(Leaf::MrFinalize, &[tdr]);
    assert_eq!(enter(0, vcpu | 1), invalid(Operand::RCX));
    assert_eq!(enter(0, vcpu | (1 << 54)), invalid(Operand::RCX));
    assert_eq!(enter(0, vcpu | (1 << 52)), invalid(Operand::RCX));
    assert_eq!(
        enter(0, tdr),
        Status::PAGE_METADATA_INCORRECT.with(Operand::RCX)
    );
    assert_eq!(enter(1, vcpu), Status::VCPU_ASSOCIATED);
    assert_eq!(enter(0, vcpu), Unable::Vmx.status());
}
