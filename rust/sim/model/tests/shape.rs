// SPDX-License-Identifier: GPL-2.0

//! What depends on the shape of the module, and that all that tells it says the same.

use super::*;
use crate::{
    abi::metadata::{
        global as g,
        Features0, //
    },
    sim::model::{
        profile::{
            Shape,
            Version, //
        },
        tdvps, //
    },
};

/// A module just loaded of another shape than the default.
fn cold(change: impl FnOnce(&mut Shape)) -> Sim {
    let mut sim = Sim::cold(Profile::Current);
    change(&mut sim.machine.config.module);
    sim
}

/// Up to where TDH.SYS.CONFIG comes.
fn before_config(change: impl FnOnce(&mut Shape)) -> Sim {
    let sim = cold(change);
    sim.ok(Leaf::SysInit, &[]);
    for lp in 0..2 {
        assert_eq!(sim.call(lp, Leaf::SysLpInit, &[]).0, Status::SUCCESS);
    }
    sim
}

/// Up to READY, with memory for TDs.
fn ready(change: impl FnOnce(&mut Shape)) -> Sim {
    let sim = before_config(change);
    sim.ok(Leaf::SysConfig, &[TDMR_ARRAY, 1, GLOBAL_KEYID]);
    sim.ok(Leaf::SysKeyConfig, &[]);
    while sim.ok(Leaf::SysTdmrInit, &[TDMR.base]).rdx < TDMR.end() {}
    sim
}

fn switch_off(feature: u64) -> impl FnOnce(&mut Shape) {
    move |shape| shape.features0 &= !feature
}

#[test]
fn sys_rd_and_sys_info_tell_the_same() {
    let sim = before_config(|shape| {
        shape.version = Version {
            major: 2,
            minor: 7,
            update: 9,
        };
        shape.max_tdmrs = 3;
        shape.max_reserved_per_tdmr = 4;
        shape.pamt_entry_sizes = [32, 48, 64];
        shape.tdcs_pages = 8;
        shape.tdvps_pages = 10;
    });
    let read = |id: FieldId| sim.ok(Leaf::SysRd, &[0, id.into_raw()]).r8;
    let (info, cmrs) = (0x0300_0000, 0x0301_0000);
    sim.ok(Leaf::SysInfo, &[info, 1024, cmrs, 32]);
    let word = |offset: u64| sim.peek(info + offset / 8 * 8) >> (offset % 8 * 8) & 0xFFFF;
    for (id, offset, expected) in [
        (g::MINOR_VERSION, 14, 7),
        (g::MAJOR_VERSION, 16, 2),
        (g::MAX_TDMRS, 32, 3),
        (g::MAX_RESERVED_PER_TDMR, 34, 4),
        (g::PAMT_4K_ENTRY_SIZE, 36, 32),
        (g::TDCS_BASE_SIZE, 48, 8 * 4096),
        (g::TDVPS_BASE_SIZE, 52, 10 * 4096),
    ] {
        assert_eq!((read(id), word(offset)), (expected, expected), "{id:?}");
    }
    assert_eq!(read(g::UPDATE_VERSION), 9);
    assert_eq!(
        (read(g::PAMT_2M_ENTRY_SIZE), read(g::PAMT_1G_ENTRY_SIZE)),
        (48, 64)
    );
}

#[test]
fn max_tdmrs() {
    let sim = before_config(|shape| shape.max_tdmrs = 1);
    let two = [TDMR_ARRAY, 2, GLOBAL_KEYID];
    sim.fails(Leaf::SysConfig, &two, invalid(Operand::RDX));
    sim.ok(Leaf::SysConfig, &[TDMR_ARRAY, 1, GLOBAL_KEYID]);
}

#[test]
fn max_reserved_per_tdmr() {
    // What would be the second area is beyond TDMR_INFO, whatever it holds.
    for (most, status) in [
        (1, Status::SUCCESS),
        (2, Status::INVALID_RESERVED_IN_TDMR.with_detail(1 << 8)),
    ] {
        let sim = before_config(|shape| shape.max_reserved_per_tdmr = most);
        for (i, word) in [0, 0x1000, 0x1800, 0x1000].into_iter().enumerate() {
            sim.poke(TDMR_INFO + 64 + i as u64 * 8, word);
        }
        sim.fails(Leaf::SysConfig, &[TDMR_ARRAY, 1, GLOBAL_KEYID], status);
    }
}

#[test]
fn pamt_entry_size() {
    // The PAMT for 4K pages has size id 0.
    for (size, status) in [(16, Status::SUCCESS), (32, Status::INVALID_PAMT)] {
        let sim = before_config(|shape| shape.pamt_entry_sizes[0] = size);
        sim.fails(Leaf::SysConfig, &[TDMR_ARRAY, 1, GLOBAL_KEYID], status);
    }
}

#[test]
fn tdcs_pages() {
    let sim = ready(|shape| shape.tdcs_pages = 8);
    let tdr = sim.create(0, 33);
    for n in 1..=8 {
        let init = [tdr, TD_PARAMS];
        sim.fails(Leaf::MngInit, &init, Status::TDCS_NOT_ALLOCATED);
        sim.ok(Leaf::MngAddcx, &[Sim::page(n), tdr]);
    }
    sim.ok(Leaf::MngInit, &[tdr, TD_PARAMS]);
}

#[test]
fn tdvps_pages() {
    let sim = ready(|shape| shape.tdvps_pages = 8);
    let tdr = sim.init(0, 33);
    let tdvpr = Sim::page(10);
    sim.ok(Leaf::VpCreate, &[tdvpr, tdr]);
    for n in 1..8 {
        sim.fails(Leaf::VpInit, &[tdvpr, 0], Status::TDCX_NUM_INCORRECT);
        sim.ok(Leaf::VpAddcx, &[Sim::page(10 + n), tdvpr]);
    }
    sim.ok(Leaf::VpInit, &[tdvpr, 0]);
    const { assert!(tdvps::BASE_PAGES < 8) };
}

#[test]
fn topology_enum_brings_version_1_of_vp_init() {
    let version_1 = Rax::new(Leaf::VpInit, 1);
    let sim = ready(switch_off(Features0::TOPOLOGY_ENUM_MASK));
    assert_eq!(sim.call(0, version_1, &[0]).0, invalid(Operand::RAX));
    let sim = ready(|_| ());
    assert_eq!(
        sim.call(0, version_1, &[0]).0,
        Status::OPERAND_ADDR_RANGE_ERROR.with(Operand::RCX)
    );
}

#[test]
fn features_are_what_td_params_allow() {
    for (feature, field, offset, word, operand) in [
        (
            Features0::NO_RBP_MOD_MASK,
            g::CONFIG_FLAGS_FIXED0,
            32,
            4,
            Operand::EXEC_CONTROLS,
        ),
        (
            Features0::ARCH_CAPABILITIES_CONFIG_MASK,
            g::IA32_ARCH_CAPABILITIES_CONFIG_MASK,
            224,
            1 << 4,
            Operand::IA32_ARCH_CAPABILITIES_CONFIG,
        ),
    ] {
        for has in [true, false] {
            let sim = ready(|shape| {
                if !has {
                    switch_off(feature)(shape);
                }
            });
            let value = sim.ok(Leaf::SysRd, &[0, field.into_raw()]).r8;
            assert_eq!(value & word != 0, has);

            let tdr = sim.create(0, 33);
            for n in 1..=tdcs::BASE_PAGES {
                sim.ok(Leaf::MngAddcx, &[Sim::page(n), tdr]);
            }
            // MSR_CONFIG_CTLS: IA32_ARCH_CAPABILITIES_CONFIG is given.
            sim.poke(TD_PARAMS + 16, 2 | 1 << 24);
            sim.poke(TD_PARAMS + offset, word);
            let expected = if has {
                Status::SUCCESS
            } else {
                invalid(operand)
            };
            sim.fails(Leaf::MngInit, &[tdr, TD_PARAMS], expected);
        }
    }
}

#[test]
fn what_linux_misses_is_told() {
    let missing = |change: &dyn Fn(&mut Shape)| {
        let mut shape = Shape::default();
        change(&mut shape);
        shape.missing_for_linux()
    };
    assert_eq!(missing(&|_| ()), None);
    assert_eq!(
        Shape::from(Profile::V1_5_01).missing_for_linux(),
        Some("the field MAX_VCPUS_PER_TD")
    );
    assert_eq!(
        missing(&|s| s.features0 &= !Features0::NO_RBP_MOD_MASK),
        Some("the feature NO_RBP_MOD")
    );
    assert_eq!(
        missing(&|s| s.features0 &= !Features0::TOPOLOGY_ENUM_MASK),
        Some("the feature TOPOLOGY_ENUM")
    );
}

#[test]
fn the_shape_in_words() {
    assert_eq!(
        Shape::default().to_string(),
        "TDX module 1.5.00, TDX_FEATURES0 0x80000001f0f38, 64 TDMRs with 16 reserved areas, \
         PAMT entries of 16, 16, 16 bytes, TDCS of 6 pages, TDVPS of 6"
    );
}
