// SPDX-License-Identifier: GPL-2.0

//! TDH.MNG.

use super::*;
use crate::abi::{
    metadata,
    PageType, //
};
use crate::sim::model::metadata::NULL_ID;

#[test]
fn mng_create_takes_the_page_and_the_keyid() {
    let sim = Sim::new(Profile::Current);
    let page = Sim::page(1);
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
fn mng_addcx_takes_nine_pages() {
    let sim = Sim::new(Profile::Current);
    let tdr = Sim::page(1);
    sim.ok(Leaf::MngCreate, &[tdr, 33]);
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
fn mng_wr_writes_the_bits_of_the_mask() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    let write = |id, value, mask| sim.ok(Leaf::MngWr, &[tdr, id, value, mask]).r8;
    assert_eq!(write(0x9110_0003_0000_0011, 20_000, u64::MAX), 1_000_000);
    assert_eq!(write(0x9110_0003_0000_0012, 1, 1), 0);
    assert_eq!(write(0x9110_0003_0000_0012, 0, 1), 1);
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
