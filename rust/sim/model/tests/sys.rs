// SPDX-License-Identifier: GPL-2.0

//! TDH.SYS.

use super::*;
use crate::sim::model::{
    kot::KeyIdState,
    metadata::NULL_ID, //
};

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
fn reserved_areas_may_touch() {
    let sim = before_config();
    for (i, word) in (0..).zip([0x1000, 0x1000, 0x2000, 0x1000]) {
        sim.poke(TDMR_INFO + 64 + i * 8, word);
    }
    sim.ok(Leaf::SysConfig, &[TDMR_ARRAY, 1, GLOBAL_KEYID]);
    assert_eq!(sim.module.kot.state(32), Some(KeyIdState::Reserved));
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
fn sys_info_describes_the_module_and_the_memory() {
    let (info, cmrs) = (0x0300_0000, 0x0300_1000);
    let sim = Sim::new(Profile::V1_5_01);
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
