// SPDX-License-Identifier: GPL-2.0

//! TDH.MNG.

use super::*;
use crate::abi::{
    metadata,
    PageType, //
};
use crate::sim::model::{
    lock::Mode,
    metadata::NULL_ID, //
};
use std::sync::atomic::Ordering::Relaxed;

#[test]
fn mng_create() {
    let sim = Sim::new(Profile::Current);
    let page = Sim::page(1);
    sim.fails(Leaf::MngCreate, &[page, 31], invalid(Operand::RDX));
    sim.fails(
        Leaf::MngCreate,
        &[page, (1 << 16) | 33],
        invalid(Operand::RDX),
    );
    sim.fails(Leaf::MngCreate, &[page + 8, 33], invalid(Operand::RCX));
    sim.fails(
        Leaf::MngCreate,
        &[page | (33 << 46), 33],
        invalid(Operand::RCX),
    );
    let outside = Status::OPERAND_ADDR_RANGE_ERROR.with(Operand::RCX);
    sim.fails(Leaf::MngCreate, &[0x1000, 33], outside);
    sim.fails(Leaf::MngCreate, &[page, 32], Status::HKID_NOT_FREE);
    let guard = sim.module.kot.lock().acquire(Mode::Shared);
    let busy = Status::OPERAND_BUSY.with(Operand::KOT);
    sim.fails(Leaf::MngCreate, &[page, 33], busy);
    drop(guard);
    sim.machine.no_entropy.store(true, Relaxed);
    sim.fails(Leaf::MngCreate, &[page, 33], Status::RND_NO_ENTROPY);
    sim.machine.no_entropy.store(false, Relaxed);
    assert_eq!(
        sim.ok(Leaf::PhymemPageRdmd, &[page]).rcx,
        PageType::Nda.raw()
    );

    sim.ok(Leaf::MngCreate, &[page, 33]);
    assert_eq!(
        sim.ok(Leaf::PhymemPageRdmd, &[page]).rcx,
        PageType::Tdr.raw()
    );
    let taken = Status::PAGE_METADATA_INCORRECT.with(Operand::RCX);
    sim.fails(Leaf::MngCreate, &[page, 34], taken);
    sim.fails(Leaf::MngCreate, &[Sim::page(2), 33], Status::HKID_NOT_FREE);
}

#[test]
fn mng_key_config() {
    let sim = Sim::new(Profile::Current);
    let tdr = Sim::page(1);
    let wrong = Status::PAGE_METADATA_INCORRECT.with(Operand::RCX);
    sim.fails(Leaf::MngKeyConfig, &[tdr], wrong);
    sim.ok(Leaf::MngCreate, &[tdr, 33]);
    sim.machine.pconfig.store(5, Relaxed);
    sim.fails(
        Leaf::MngKeyConfig,
        &[tdr],
        Status::OPERAND_BUSY.with(Operand::KET),
    );
    sim.machine.pconfig.store(2, Relaxed);
    sim.fails(Leaf::MngKeyConfig, &[tdr], Status::KEY_GENERATION_FAILED);
    sim.machine.pconfig.store(0, Relaxed);
    sim.ok(Leaf::MngKeyConfig, &[tdr]);
    sim.fails(
        Leaf::MngKeyConfig,
        &[tdr],
        Status::LIFECYCLE_STATE_INCORRECT,
    );
}

#[test]
fn mng_addcx_takes_nine_pages() {
    let sim = Sim::new(Profile::Current);
    let tdr = Sim::page(1);
    sim.ok(Leaf::MngCreate, &[tdr, 33]);
    sim.fails(
        Leaf::MngAddcx,
        &[Sim::page(2), tdr],
        Status::TD_KEYS_NOT_CONFIGURED,
    );
    sim.ok(Leaf::MngKeyConfig, &[tdr]);
    let wrong = Status::PAGE_METADATA_INCORRECT.with(Operand::RCX);
    sim.fails(
        Leaf::MngAddcx,
        &[tdr, tdr],
        Status::OPERAND_BUSY.with(Operand::RCX),
    );
    sim.ok(Leaf::MngAddcx, &[Sim::page(2), tdr]);
    sim.fails(Leaf::MngAddcx, &[Sim::page(2), tdr], wrong);
    for n in 3..=10 {
        sim.ok(Leaf::MngAddcx, &[Sim::page(n), tdr]);
    }
    sim.fails(
        Leaf::MngAddcx,
        &[Sim::page(11), tdr],
        Status::TDCX_NUM_INCORRECT,
    );
    // MSR bitmaps exit always; the root of the S-EPT is FREE.
    assert_eq!(sim.peek(Sim::page(4)), u64::MAX);
    assert_eq!(sim.peek(Sim::page(5) + 4088), 0x80E0_0000_0000_0000);
}

#[test]
fn mng_addcx_after_init_is_too_late() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    sim.fails(
        Leaf::MngAddcx,
        &[Sim::page(20), tdr],
        Status::OP_STATE_INCORRECT,
    );
    sim.fails(Leaf::MngInit, &[tdr, TD_PARAMS], Status::OP_STATE_INCORRECT);
}

#[test]
fn mng_init_checks_td_params_in_order() {
    // Word of TD_PARAMS, its value and the operand at fault. Each is put on top of those after it.
    let cases = [
        (0, 1 << 29, Operand::ATTRIBUTES),
        (1, 1, Operand::XFAM),
        (2, 0, Operand::MAX_VCPUS),
        (2, (1 << 16) | 2, Operand::NUM_L2_VMS),
        (2, (1 << 32) | 2, Operand::RDX),
        (4, 8, Operand::EXEC_CONTROLS),
        (3, 0x18, Operand::EPTP_CONTROLS),
        (5, 3, Operand::TSC_FREQUENCY),
        (5, (1 << 16) | 40, Operand::RDX),
        (9, 1, Operand::RDX),
        (2, (2 << 24) | 2, Operand::RDX),
        (31, 1, Operand::RDX),
        (32, 1 << 31, Operand::CPUID_CONFIG),
        (32 + 12 * 2, 1, Operand::RDX),
        (127, 1, Operand::RDX),
        (28, 1 << 4, Operand::IA32_ARCH_CAPABILITIES_CONFIG),
    ];
    let sim = Sim::new(Profile::Current);
    let tdr = sim.create(1, 33);
    let params = [tdr, TD_PARAMS];
    for i in 1..=tdcs::BASE_PAGES {
        sim.fails(Leaf::MngInit, &params, Status::TDCS_NOT_ALLOCATED);
        sim.ok(Leaf::MngAddcx, &[Sim::page(1 + i), tdr]);
    }
    sim.fails(
        Leaf::MngInit,
        &[tdr, TD_PARAMS + 512],
        invalid(Operand::RDX),
    );
    for (word, value, operand) in cases {
        let pa = TD_PARAMS + word * 8;
        let sound = sim.peek(pa);
        sim.poke(pa, value);
        let out = sim.fails(Leaf::MngInit, &params, invalid(operand));
        let cpuid = operand == Operand::CPUID_CONFIG;
        assert_eq!(out.rcx, if cpuid { 0xFFFF_FFFF_0000_0001 } else { 0 });
        sim.poke(pa, sound);
    }
    sim.ok(Leaf::MngInit, &params);
}

#[test]
fn mng_init_sets_up_time_and_epoch() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    assert_eq!(sim.read_td(tdr, metadata::td::TD_EPOCH), 1);
    assert_eq!(sim.read_td(tdr, metadata::td::OP_STATE), 1);
    assert_eq!(sim.read_td(tdr, metadata::td::HKID), 33);
    assert_eq!(sim.read_td(tdr, metadata::td::CHLDCNT), 6);
    // 1 GHz for the guest, 2 GHz native.
    let multiplier = FieldId::from_raw(0x1100_0000_0000_000B);
    assert_eq!(sim.read_td(tdr, multiplier), 1 << 47);
}

#[test]
fn mng_wr_obeys_masks_and_limits() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    let timeout = 0x9110_0003_0000_0011;
    let all = u64::MAX;
    let write =
        |id, value, mask, status| sim.fails(Leaf::MngWr, &[tdr, id, value, mask], status).r8;
    assert_eq!(write(timeout, 20_000, all, Status::SUCCESS), 1_000_000);
    assert_eq!(
        write(timeout, 9_999, all, Status::METADATA_FIELD_VALUE_NOT_VALID),
        0
    );
    assert_eq!(
        write(timeout, 20_000, 0xFFFF, Status::METADATA_WR_MASK_NOT_VALID),
        0
    );
    write(timeout, 20_000, 0, Status::METADATA_FIELD_NOT_WRITABLE);
    let vm_ctls = 0x9110_0003_0000_0012;
    write(vm_ctls, 2, all, Status::METADATA_FIELD_VALUE_NOT_VALID);
    write(vm_ctls, 1, 1, Status::SUCCESS);
    write(
        metadata::td::HKID.into_raw(),
        1,
        all,
        Status::METADATA_FIELD_NOT_WRITABLE,
    );
    let cpu = sim.machine.cpu(0, 0);
    let tdcs = tdcs::Tdcs::new(&cpu, tdr);
    assert_eq!(tdcs.get(tdcs::fields::HP_LOCK_TIMEOUT), 20_000);
}

#[test]
fn mng_rd_lists_the_fields_of_a_td() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    let v1 = Rax::new(Leaf::MngRd, 1);
    let (status, first) = sim.call(0, v1, &[tdr, NULL_ID]);
    assert_eq!(status, Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT);
    assert_eq!(first.rdx, 0x8010_0000_0000_0001);
    let next = |id| {
        let (status, out) = sim.call(0, v1, &[tdr, id]);
        (status, out.rdx)
    };
    assert_eq!(next(first.rdx), (Status::SUCCESS, 0x8010_0002_0000_0002));
    // SEAMDB_NONCE, which follows, cannot be read.
    assert_eq!(
        next(0x8210_0003_0000_0001),
        (Status::SUCCESS, 0x9010_0002_0000_0001)
    );
    let unknown = (Status::METADATA_FIELD_ID_INCORRECT, NULL_ID);
    assert_eq!(next(0x8210_0003_0000_0101), unknown);
    // Version 0 knows no first field.
    sim.fails(Leaf::MngRd, &[tdr, NULL_ID], unknown.0);
}

#[test]
fn guests_see_the_cpuid_that_the_host_chose() {
    let sim = Sim::new(Profile::Current);
    // Leaf 1: family, model and stepping in EAX, number of processors in EBX.
    sim.poke(TD_PARAMS + 256, 0x000A_06F1 | 0x0008_0000_0000_0000);
    let tdr = sim.init(1, 33);
    let cpuid = |leaf: u64, subleaf: u64, element: u64| {
        let code = ((leaf >> 31) << 16) | ((leaf & 0x7F) << 9) | (subleaf << 1) | element;
        sim.ok(Leaf::MngRd, &[tdr, 0x9410_0003_0000_0000 | code]).r8
    };
    const NONE: u64 = 0xFF;
    assert_eq!(cpuid(0, NONE, 0) & 0xFFFF_FFFF, 0x23);
    assert_eq!(cpuid(1, NONE, 0) & 0xFFFF_FFFF, 0xA_06F1);
    assert_eq!((cpuid(1, NONE, 0) >> 48) & 0xFF, 8);
    // A hypervisor and x2APIC, but no VMX.
    assert_eq!(
        cpuid(1, NONE, 1) & ((1 << 31) | (1 << 21) | (1 << 5)),
        (1 << 31) | (1 << 21)
    );
    assert_eq!(cpuid(0x8000_0000, NONE, 0) & 0xFFFF_FFFF, 0x8000_0008);
    let beyond = 0x9410_0003_0000_0000 | (4 << 9) | (9 << 1);
    sim.fails(
        Leaf::MngRd,
        &[tdr, beyond],
        Status::METADATA_FIELD_ID_INCORRECT,
    );
}
