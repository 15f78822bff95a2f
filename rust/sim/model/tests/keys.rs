// SPDX-License-Identifier: GPL-2.0

//! KeyIDs, caches and the pages that they hold on to.

use super::*;
use crate::abi::{
    state::Lifecycle,
    PageType, //
};
use crate::sim::model::{
    kot::KeyIdState,
    tdr,
    SysState, //
};
use std::sync::atomic::Ordering::Relaxed;

#[test]
fn keyid_lives_through_assigned_flushed_and_free() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.create(1, 33);
    let lifecycle = || tdr::fields::LIFECYCLE_STATE.load(&sim.machine.cpu(0, 0), tdr);
    sim.fails(Leaf::PhymemCacheWb, &[0], Status::NO_HKID_READY_TO_WBCACHE);
    sim.fails(
        Leaf::MngKeyFreeid,
        &[tdr],
        Status::LIFECYCLE_STATE_INCORRECT,
    );
    sim.ok(Leaf::MngVpflushdone, &[tdr]);
    assert_eq!(lifecycle(), Lifecycle::Blocked.raw());
    sim.fails(
        Leaf::MngVpflushdone,
        &[tdr],
        Status::LIFECYCLE_STATE_INCORRECT,
    );
    sim.fails(Leaf::MngKeyFreeid, &[tdr], Status::WBCACHE_NOT_COMPLETE);
    sim.fails(Leaf::MngCreate, &[Sim::page(9), 33], Status::HKID_NOT_FREE);
    sim.fails(
        Leaf::PhymemPageReclaim,
        &[tdr],
        Status::LIFECYCLE_STATE_INCORRECT,
    );
    sim.ok(Leaf::PhymemCacheWb, &[0]);
    sim.ok(Leaf::MngKeyFreeid, &[tdr]);
    assert_eq!(sim.module.kot.state(33), Some(KeyIdState::Free));
    sim.create(9, 33);
}

#[test]
fn cache_wb_resumes_after_an_interrupt() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.create(1, 33);
    sim.fails(Leaf::PhymemCacheWb, &[2], invalid(Operand::RCX));
    sim.fails(Leaf::PhymemCacheWb, &[1], Status::WBCACHE_RESUME_ERROR);
    sim.ok(Leaf::MngVpflushdone, &[tdr]);
    sim.machine.interrupt.store(true, Relaxed);
    sim.fails(Leaf::PhymemCacheWb, &[0], Status::INTERRUPTED_RESUMABLE);
    sim.fails(Leaf::PhymemCacheWb, &[1], Status::INTERRUPTED_RESUMABLE);
    sim.fails(Leaf::MngKeyFreeid, &[tdr], Status::WBCACHE_NOT_COMPLETE);
    sim.fails(Leaf::PhymemCacheWb, &[1], Status::INTERRUPTED_RESUMABLE);
    // The last block is not followed by a test for interrupts.
    sim.ok(Leaf::PhymemCacheWb, &[1]);
    sim.fails(Leaf::PhymemCacheWb, &[1], Status::WBCACHE_RESUME_ERROR);
    sim.ok(Leaf::MngKeyFreeid, &[tdr]);
}

#[test]
fn keys_and_caches_are_a_matter_of_each_package() {
    let mut sim = Sim::cold(Profile::Current);
    sim.machine.config.nr_packages = 2;
    let on = |lp, leaf, inputs: &[u64]| sim.call(lp, leaf, inputs).0;
    sim.ok(Leaf::SysInit, &[]);
    for lp in 0..2 {
        assert_eq!(on(lp, Leaf::SysLpInit, &[]), Status::SUCCESS);
    }
    sim.ok(Leaf::SysConfig, &[TDMR_ARRAY, 1, GLOBAL_KEYID]);
    sim.ok(Leaf::SysKeyConfig, &[]);
    sim.fails(Leaf::SysKeyConfig, &[], Status::KEY_CONFIGURED);
    assert_eq!(sim.module.state(), SysState::ConfigDone);
    assert_eq!(on(1, Leaf::SysKeyConfig, &[]), Status::SUCCESS);
    assert_eq!(sim.module.state(), SysState::Ready);
    while sim.ok(Leaf::SysTdmrInit, &[TDMR.base]).rdx < TDMR.end() {}

    let tdr = Sim::page(1);
    sim.ok(Leaf::MngCreate, &[tdr, 33]);
    sim.ok(Leaf::MngKeyConfig, &[tdr]);
    sim.fails(Leaf::MngKeyConfig, &[tdr], Status::KEY_CONFIGURED);
    let page = [Sim::page(2), tdr];
    sim.fails(Leaf::MngAddcx, &page, Status::TD_KEYS_NOT_CONFIGURED);
    assert_eq!(on(1, Leaf::MngKeyConfig, &[tdr]), Status::SUCCESS);
    sim.ok(Leaf::MngAddcx, &page);

    sim.ok(Leaf::MngVpflushdone, &[tdr]);
    sim.ok(Leaf::PhymemCacheWb, &[0]);
    sim.fails(Leaf::MngKeyFreeid, &[tdr], Status::WBCACHE_NOT_COMPLETE);
    assert_eq!(on(1, Leaf::PhymemCacheWb, &[0]), Status::SUCCESS);
    sim.ok(Leaf::MngKeyFreeid, &[tdr]);
}

#[test]
fn pages_are_reclaimed_children_first() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    let child = Sim::page(2);
    let out = sim.fails(
        Leaf::PhymemPageReclaim,
        &[child],
        Status::LIFECYCLE_STATE_INCORRECT,
    );
    assert_eq!((out.rcx, out.rdx, out.r8), (PageType::Tdcx.raw(), tdr, 0));
    sim.free_keyid(tdr);
    sim.fails(
        Leaf::PhymemPageReclaim,
        &[tdr],
        Status::TD_ASSOCIATED_PAGES_EXIST,
    );
    for i in 1..=tdcs::BASE_PAGES {
        let out = sim.ok(Leaf::PhymemPageReclaim, &[Sim::page(1 + i)]);
        assert_eq!((out.rcx, out.rdx), (PageType::Tdcx.raw(), tdr));
    }
    sim.ok(Leaf::PhymemPageReclaim, &[tdr]);
    for n in 1..=7 {
        assert_eq!(
            sim.ok(Leaf::PhymemPageRdmd, &[Sim::page(n)]).rcx,
            PageType::Nda.raw()
        );
        sim.ok(Leaf::PhymemPageWbinvd, &[Sim::page(n) | (33 << 46)]);
    }
}
