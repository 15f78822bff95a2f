// SPDX-License-Identifier: GPL-2.0

//! TDH.SYS.

use super::*;
use crate::sim::model::{
    kot::KeyIdState,
    lock::Mode,
    metadata::NULL_ID,
    SysState, //
};
use std::sync::atomic::Ordering::Relaxed;

#[test]
fn sys_init() {
    let sim = Sim::cold(Profile::Current);
    let guard = sim.module.global_lock().acquire(Mode::Shared);
    sim.fails(Leaf::SysInit, &[1], Status::SYS_BUSY);
    drop(guard);
    sim.fails(Leaf::SysInit, &[1], invalid(Operand::RCX));
    sim.machine.no_entropy.store(true, Relaxed);
    sim.fails(Leaf::SysInit, &[], Status::RND_NO_ENTROPY);
    sim.machine.no_entropy.store(false, Relaxed);
    sim.ok(Leaf::SysInit, &[]);
    sim.fails(Leaf::SysInit, &[], Status::SYS_INIT_NOT_PENDING);
    assert_eq!(sim.module.state(), SysState::InitDone);
}

#[test]
fn sys_lp_init() {
    let sim = Sim::cold(Profile::Current);
    sim.fails(Leaf::SysLpInit, &[], Status::SYS_LP_INIT_NOT_PENDING);
    sim.ok(Leaf::SysInit, &[]);
    let guard = sim.module.global_lock().acquire(Mode::Exclusive);
    sim.fails(Leaf::SysLpInit, &[], Status::SYS_BUSY);
    drop(guard);
    sim.ok(Leaf::SysLpInit, &[]);
    sim.fails(Leaf::SysLpInit, &[], Status::SYS_LP_INIT_DONE);
    let array = [TDMR_ARRAY, 1, GLOBAL_KEYID];
    sim.fails(Leaf::SysConfig, &array, Status::SYS_CONFIG_NOT_PENDING);
    assert_eq!(sim.call(1, Leaf::SysLpInit, &[]).0, Status::SUCCESS);
    sim.ok(Leaf::SysConfig, &array);
}

/// A module that waits for TDH.SYS.CONFIG.
fn before_config() -> Sim {
    let sim = Sim::cold(Profile::Current);
    sim.ok(Leaf::SysInit, &[]);
    for lp in 0..2 {
        assert_eq!(sim.call(lp, Leaf::SysLpInit, &[]).0, Status::SUCCESS);
    }
    sim
}

#[test]
fn sys_config_checks_operands() {
    let sim = before_config();
    for (inputs, operand) in [
        ([TDMR_ARRAY + 8, 1, GLOBAL_KEYID], Operand::RCX),
        ([TDMR_ARRAY | (1 << 52), 1, GLOBAL_KEYID], Operand::RCX),
        ([TDMR_ARRAY | (32 << 46), 1, GLOBAL_KEYID], Operand::RCX),
        ([0x7000_0000, 1, GLOBAL_KEYID], Operand::RCX),
        ([TDMR_ARRAY, 0, GLOBAL_KEYID], Operand::RDX),
        ([TDMR_ARRAY, 65, GLOBAL_KEYID], Operand::RDX),
        ([TDMR_ARRAY, 1, 31], Operand::R8),
        ([TDMR_ARRAY, 1, 64], Operand::R8),
        ([TDMR_ARRAY, 1, (1 << 16) | 33], Operand::R8),
    ] {
        sim.fails(Leaf::SysConfig, &inputs, invalid(operand));
    }
    assert_eq!(sim.module.kot.state(32), Some(KeyIdState::Free));
}

#[test]
fn sys_config_checks_tdmr_info() {
    // Word of TDMR_INFO, its value, and what SYS.CONFIG says to it.
    let cases = [
        (0, u64::MAX << 30, Status::INVALID_TDMR),
        (0, TDMR.base + 4096, Status::INVALID_TDMR),
        (0, TDMR.base | (1 << 46), Status::INVALID_TDMR),
        (1, 0, Status::INVALID_TDMR),
        (1, 2 * GIB, Status::INVALID_PAMT.with_detail(0x200)),
        (2, PAMT_1G + 8, Status::INVALID_PAMT.with_detail(0x200)),
        (3, 0, Status::INVALID_PAMT.with_detail(0x200)),
        (5, 0x1000, Status::INVALID_PAMT.with_detail(0x100)),
        (6, TDMR.base, Status::PAMT_OVERLAP),
        (6, PAMT_2M, Status::PAMT_OVERLAP),
        (6, 0x100_0000, Status::PAMT_OUTSIDE_CMRS),
        (0, 2 * TDMR.base, Status::TDMR_OUTSIDE_CMRS),
    ];
    for (word, value, status) in cases {
        let sim = before_config();
        let pa = TDMR_INFO + word * 8;
        let sound = sim.peek(pa);
        sim.poke(pa, value);
        if word == 1 && value == 2 * GIB {
            // The larger PAMT of 1G pages is the first to be too small.
            sim.poke(TDMR_INFO + 3 * 8, 0);
        }
        let inputs = [TDMR_ARRAY, 1, GLOBAL_KEYID];
        sim.fails(Leaf::SysConfig, &inputs, status);
        sim.poke(pa, sound);
        sim.poke(TDMR_INFO + 3 * 8, 0x1000);
        sim.ok(Leaf::SysConfig, &inputs);
    }
}

#[test]
fn sys_config_checks_reserved_areas() {
    let cases: [(&[u64], Status); 7] = [
        // The area that is missing is at fault, not the one after it.
        (
            &[0, 0, 0x1000, 0x1000],
            Status::NON_ORDERED_RESERVED_IN_TDMR,
        ),
        (&[0x800, 0x1000], Status::INVALID_RESERVED_IN_TDMR),
        (&[0, 0x800], Status::INVALID_RESERVED_IN_TDMR),
        (&[GIB, 0x1000], Status::INVALID_RESERVED_IN_TDMR),
        (&[u64::MAX, 0x1000], Status::INVALID_RESERVED_IN_TDMR),
        (
            &[0x1000, 0x2000, 0x2000, 0x1000],
            Status::NON_ORDERED_RESERVED_IN_TDMR.with_detail(0x100),
        ),
        (&[0x1000, 0x1000, 0x2000, 0x1000], Status::SUCCESS),
    ];
    for (areas, status) in cases {
        let sim = before_config();
        for (i, word) in areas.iter().enumerate() {
            sim.poke(TDMR_INFO + 64 + i as u64 * 8, *word);
        }
        sim.fails(Leaf::SysConfig, &[TDMR_ARRAY, 1, GLOBAL_KEYID], status);
    }
}

#[test]
fn tdmr_init_goes_gigabyte_by_gigabyte_and_marks_reserved_areas() {
    let sim = before_config();
    sim.poke(TDMR_INFO + 64, 0x3000);
    sim.poke(TDMR_INFO + 72, 0x2000);
    sim.ok(Leaf::SysConfig, &[TDMR_ARRAY, 1, GLOBAL_KEYID]);
    sim.fails(Leaf::SysTdmrInit, &[TDMR.base], Status::SYS_NOT_READY);
    sim.ok(Leaf::SysKeyConfig, &[]);
    sim.fails(Leaf::SysTdmrInit, &[TDMR.base + 1], invalid(Operand::RCX));
    sim.fails(Leaf::SysTdmrInit, &[0], invalid(Operand::RCX));
    for step in 1..=256 {
        let next = sim.ok(Leaf::SysTdmrInit, &[TDMR.base]).rdx;
        assert_eq!(next, if step == 256 { TDMR.end() } else { TDMR.base });
        let page = Sim::page(0);
        if step < 256 {
            let outside = Status::OPERAND_ADDR_RANGE_ERROR.with(Operand::RCX);
            sim.fails(Leaf::PhymemPageRdmd, &[page], outside);
        }
    }
    sim.fails(
        Leaf::SysTdmrInit,
        &[TDMR.base],
        Status::TDMR_ALREADY_INITIALIZED,
    );
    let page_type = |n| sim.ok(Leaf::PhymemPageRdmd, &[Sim::page(n)]).rcx;
    let types: Vec<_> = (0..8).map(page_type).collect();
    assert_eq!(types, [0, 0, 0, 1, 1, 0, 0, 0]);
    let reserved = Status::PAGE_METADATA_INCORRECT.with(Operand::RCX);
    sim.fails(Leaf::MngCreate, &[Sim::page(3), 33], reserved);
    sim.fails(Leaf::PhymemPageReclaim, &[Sim::page(3)], reserved);
}

#[test]
fn sys_info_checks_its_buffers_in_order() {
    let sim = Sim::cold(Profile::V1_5_01);
    let (info, cmrs) = (0x0300_0000, 0x0300_1000);
    sim.fails(
        Leaf::SysInfo,
        &[info, 1024, cmrs, 32],
        Status::SYS_LP_INIT_NOT_DONE,
    );
    let sim = Sim::new(Profile::V1_5_01);
    for (inputs, operand) in [
        ([info + 512, 0, 1, 0], Operand::RCX),
        ([info, 1023, 1, 0], Operand::RDX),
        ([info, 1024, cmrs + 256, 0], Operand::R8),
        ([info, 1024, cmrs, 31], Operand::R9),
    ] {
        let out = sim.fails(Leaf::SysInfo, &inputs, invalid(operand));
        assert_eq!((out.rdx, out.r9), (0, 0));
    }
    let out = sim.ok(Leaf::SysInfo, &[info, 4096, cmrs, 40]);
    assert_eq!((out.rdx, out.r9), (1024, 32));
    // Vendor; version 1.5; TDMRs, reserved areas and size of PAMT entries; sizes of TDCS and TDVPS.
    assert_eq!(sim.peek(info) >> 32, 0x8086);
    assert_eq!(sim.peek(info + 8) >> 48, 5);
    assert_eq!(sim.peek(info + 16), 0x1_0001);
    assert_eq!(sim.peek(info + 32), 64 | (16 << 16) | (16 << 32));
    assert_eq!(sim.peek(info + 48), 24576 | (24576 << 32));
    assert_eq!(
        (sim.peek(cmrs + 16), sim.peek(cmrs + 24)),
        (TDMR.base, TDMR.size)
    );
    assert_eq!(sim.peek(cmrs + 32), 0);
}

#[test]
fn a_module_that_was_shut_down_does_nothing_more() {
    let sim = Sim::new(Profile::V1_5_01);
    sim.fails(Leaf::SysShutdown, &[1], invalid(Operand::RCX));
    let guard = sim.module.global_lock().acquire(Mode::Shared);
    sim.fails(Leaf::SysShutdown, &[0], Status::SYS_BUSY);
    drop(guard);
    sim.ok(Leaf::SysShutdown, &[0]);
    sim.fails(Leaf::SysRd, &[0, NULL_ID], Status::SYS_SHUTDOWN);
    sim.fails(Leaf::SysInit, &[], Status::SYS_SHUTDOWN);
    sim.ok(Leaf::SysLpShutdown, &[]);
}

#[test]
fn there_is_no_module_to_take_over_from() {
    let sim = Sim::cold(Profile::Current);
    sim.fails(Leaf::SysUpdate, &[], Status::SYS_STATE_INCORRECT);
    before_config().fails(Leaf::SysUpdate, &[], Status::SYS_INVALID_HANDOFF);
}
