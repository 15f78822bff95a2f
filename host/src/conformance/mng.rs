// SPDX-License-Identifier: GPL-2.0

//! TDH.MNG. TDX ABI: chapters "MNG leaves" and "TD_PARAMS".

use super::{
    args,
    case::Case,
    common::{
        self,
        free_page,
        BUSY,
        INVALID, //
    },
    fixture::{
        created,
        given_up,
        initialized,
        ready,
        torn_down,
        with_tdcx,
        with_tdcx_by,
        FREE,
        FREE_HKID,
        HKID,
        TDR,
        TD_PARAMS, //
    },
    Check,
    Checks, //
};
use crate::{
    abi::{
        state::Lifecycle,
        Leaf,
        Operand,
        Status, //
    },
    sim::model::{
        lock::Mode,
        metadata::NULL_ID,
        platform::Profile,
        tdcs::{
            self,
            Tdcs, //
        },
        tdr, //
    },
    world::GLOBAL_HKID,
};
use std::sync::atomic::Ordering::Relaxed;

/// NUM_VCPUS, which can be read; HP_LOCK_TIMEOUT and VM_CTLS, which can be written too.
const NUM_VCPUS: u64 = 0x9010_0002_0000_0001;
const HP_LOCK_TIMEOUT: u64 = 0x9110_0003_0000_0011;
const VM_CTLS: u64 = 0x9110_0003_0000_0012;
/// TD_CTLS, for debugging only.
const TD_CTLS: u64 = 0x1110_0003_0000_0017;
/// The first field of a TD: FATAL.
const FIRST: u64 = 0x8010_0000_0000_0001;

pub(super) fn leaves() -> Vec<Checks> {
    vec![
        addcx(),
        key_config(),
        create(),
        rd(),
        wr(),
        vpflushdone(),
        key_freeid(),
        init(),
        init_1_5_01(),
        key_reclaimid(),
    ]
}

fn no_entropy() -> Check {
    Check::new("no_entropy", Status::RND_NO_ENTROPY, |c| {
        c.world.machine.no_entropy.store(true, Relaxed);
    })
}

fn kot_busy() -> Check {
    Check::new("kot_busy", BUSY.with(Operand::KOT), |c| {
        c.hold_kot(Mode::Exclusive)
    })
}

/// The check of the state in the TD's life, with one that the leaf is not for.
fn lifecycle(other: Lifecycle) -> Check {
    Check::new(
        "lifecycle_incorrect",
        Status::LIFECYCLE_STATE_INCORRECT,
        move |c| c.set_tdr(tdr::fields::LIFECYCLE_STATE, other.raw()),
    )
}

fn create() -> Checks {
    let good = || Case::new(ready(), Leaf::MngCreate, args(FREE, HKID, 0, 0));
    let invalid = INVALID.with(Operand::RDX);
    Checks::new(Leaf::MngCreate, good)
        .check("hkid_reserved_bits", invalid, |c| c.args.rdx |= 1 << 16)
        .check("hkid_shared", invalid, |c| c.args.rdx = 31)
        .check("hkid_beyond_the_last", invalid, |c| c.args.rdx = 64)
        .all(
            free_page(Operand::RCX)
                .into_iter()
                .map(|check| match check.name {
                    // There is no TD yet whose page could be in use.
                    "page_in_use" => Check::new("page_in_use", check.status, |c| {
                        c.set_page(FREE, crate::abi::Level::K4, crate::abi::PageType::Reg, TDR);
                    }),
                    _ => check,
                }),
        )
        .all([kot_busy()])
        .check("hkid_in_use", Status::HKID_NOT_FREE, |c| {
            c.args.rdx = GLOBAL_HKID
        })
        .all([no_entropy()])
}

fn key_config() -> Checks {
    let good = || Case::new(created(), Leaf::MngKeyConfig, args(TDR, 0, 0, 0));
    Checks::new(Leaf::MngKeyConfig, good)
        .all(common::tdr(Operand::RCX, Mode::Exclusive))
        .check("td_fatal", Status::TD_FATAL, |c| {
            c.set_tdr(tdr::fields::FATAL, 1)
        })
        .all([lifecycle(Lifecycle::KeysConfigured)])
        .check("key_configured", Status::KEY_CONFIGURED, |c| {
            c.set_tdr(tdr::fields::PKG_CONFIG_BITMAP, 1);
        })
        .check("key_table_busy", BUSY.with(Operand::KET), |c| {
            c.world.machine.pconfig.store(5, Relaxed);
        })
        .check("key_not_generated", Status::KEY_GENERATION_FAILED, |c| {
            c.world.machine.pconfig.store(2, Relaxed);
        })
}

fn addcx() -> Checks {
    let good = || Case::new(with_tdcx(5), Leaf::MngAddcx, args(FREE, TDR, 0, 0));
    Checks::new(Leaf::MngAddcx, good)
        .all(common::tdr(Operand::RDX, Mode::Exclusive))
        .all(common::keys())
        .check("too_many_pages", Status::TDCX_NUM_INCORRECT, |c| {
            c.set_tdr(tdr::fields::NUM_TDCX, 9);
        })
        .all(free_page(Operand::RCX))
        .check("op_state_incorrect", Status::OP_STATE_INCORRECT, |c| {
            c.world = initialized(0);
            c.spoils(FREE);
        })
        .check("no_entropy", Status::RND_NO_ENTROPY, |c| {
            c.world.machine.no_entropy.store(true, Relaxed);
            c.spoils(FREE);
        })
}

fn field_checks() -> Vec<Check> {
    let unknown = Status::METADATA_FIELD_ID_INCORRECT;
    vec![
        Check::new("field_unknown", unknown, |c| {
            c.args.rdx = NUM_VCPUS | 0xFF_0000
        }),
        Check::new("field_reserved_bits", unknown, |c| {
            c.args.rdx = NUM_VCPUS | 1 << 24
        }),
        Check::new("field_is_sequence", unknown, |c| {
            c.args.rdx = NUM_VCPUS | 1 << 38
        }),
        Check::new(
            "field_not_readable",
            Status::METADATA_FIELD_NOT_READABLE,
            |c| c.args.rdx = TD_CTLS,
        ),
    ]
}

fn rd() -> Checks {
    let good = || {
        let mut case = Case::new(initialized(0), Leaf::MngRd, args(TDR, NUM_VCPUS, 0, 0));
        case.returns(Operand::RDX, NULL_ID);
        case.version(1)
    };
    Checks::new(Leaf::MngRd, good)
        .zeroes(&[Operand::R8])
        .check("version", INVALID.with(Operand::RAX), |c| {
            c.rax = Leaf::MngRd as u64 | 2 << 16;
            let id = c.args.rdx;
            c.returns(Operand::RDX, id);
        })
        .all(common::tdr(Operand::RCX, Mode::Shared))
        .all(common::td(Leaf::MngRd, Mode::Shared))
        .check(
            "first_field_wanted",
            Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT,
            |c| {
                c.args.rdx = NULL_ID;
                c.returns(Operand::RDX, FIRST);
            },
        )
        .all(field_checks())
}

fn wr() -> Checks {
    let good = || {
        let world = initialized(0);
        Case::new(
            world,
            Leaf::MngWr,
            args(TDR, HP_LOCK_TIMEOUT, 20_000, u64::MAX),
        )
    };
    let value = Status::METADATA_FIELD_VALUE_NOT_VALID;
    Checks::new(Leaf::MngWr, good)
        .zeroes(&[Operand::R8])
        .all(common::tdr(Operand::RCX, Mode::Shared))
        .all(common::td(Leaf::MngWr, Mode::Shared))
        .all(field_checks())
        .check(
            "field_not_writable",
            Status::METADATA_FIELD_NOT_WRITABLE,
            |c| {
                c.args.rdx = NUM_VCPUS;
            },
        )
        .check("bits_not_writable", value, |c| {
            (c.args.rdx, c.args.r8, c.args.r9) = (VM_CTLS, 3, 3);
        })
        .check(
            "hp_lock_timeout_in_parts",
            Status::METADATA_WR_MASK_NOT_VALID,
            |c| (c.args.rdx, c.args.r9) = (HP_LOCK_TIMEOUT, 0xFFFF_FFFF),
        )
        .check("hp_lock_timeout_too_short", value, |c| {
            (c.args.rdx, c.args.r8, c.args.r9) = (HP_LOCK_TIMEOUT, 9_999, u64::MAX);
        })
        .check("hp_lock_timeout_too_long", value, |c| {
            (c.args.rdx, c.args.r8, c.args.r9) = (HP_LOCK_TIMEOUT, 100_000_001, u64::MAX);
        })
        .check(
            "field_changes_meanwhile",
            BUSY.with(Operand::METADATA_FIELD),
            |c| {
                (c.args.rdx, c.args.r8, c.args.r9) = (HP_LOCK_TIMEOUT, 20_000, u64::MAX);
                let field = tdcs::fields::HP_LOCK_TIMEOUT;
                let word = Tdcs::new(&c.world.cpu(1), TDR).word(field).pa();
                c.meddle(word, 30_000);
            },
        )
}

fn vpflushdone() -> Checks {
    let good = || Case::new(initialized(0), Leaf::MngVpflushdone, args(TDR, 0, 0, 0));
    Checks::new(Leaf::MngVpflushdone, good)
        .all(common::tdr(Operand::RCX, Mode::Exclusive))
        .all([kot_busy(), lifecycle(Lifecycle::Blocked)])
        .check("vcpus_associated", Status::FLUSHVP_NOT_DONE, |c| {
            c.set_tdcs(tdcs::fields::NUM_ASSOC_VCPUS, 1);
        })
}

fn key_freeid() -> Checks {
    let good = || {
        let world = given_up();
        world.ok(Leaf::PhymemCacheWb, &[]);
        Case::new(world, Leaf::MngKeyFreeid, args(TDR, 0, 0, 0))
    };
    Checks::new(Leaf::MngKeyFreeid, good)
        .all(common::tdr(Operand::RCX, Mode::Exclusive))
        .all([lifecycle(Lifecycle::KeysConfigured), kot_busy()])
        .check(
            "caches_not_written_back",
            Status::WBCACHE_NOT_COMPLETE,
            |c| {
                c.world.module.kot.set_flushed(HKID as u16, 1);
            },
        )
}

fn key_reclaimid() -> Checks {
    let good = || Case::new(torn_down(), Leaf::MngKeyReclaimid, args(FREE_HKID, 0, 0, 0));
    Checks::new(Leaf::MngKeyReclaimid, good)
}

/// A check of TD_PARAMS: a word of it that is not allowed.
fn param(name: &'static str, operand: Operand, offset: u64, word: u64) -> Check {
    Check::new(name, INVALID.with(operand), move |c| {
        c.world.poke(TD_PARAMS + offset, word);
        c.spoils_td();
    })
}

/// The same of a CPUID value: the leaf and the sub-leaf are returned in RCX.
fn cpuid(name: &'static str, offset: u64, word: u64, leaf: u64) -> Check {
    Check::new(name, INVALID.with(Operand::CPUID_CONFIG), move |c| {
        c.world.poke(TD_PARAMS + offset, word);
        c.returns(Operand::RCX, leaf);
        c.spoils_td();
    })
}

fn init() -> Checks {
    let good = || Case::new(with_tdcx(6), Leaf::MngInit, args(TDR, TD_PARAMS, 0, 0));
    let rdx = INVALID.with(Operand::RDX);
    use Operand as O;
    // MAX_VCPUS of the good call, in the word with NUM_L2_VMS and MSR_CONFIG_CTLS.
    const VCPUS: u64 = 2;
    Checks::new(Leaf::MngInit, good)
        .zeroes(&[Operand::RCX])
        .all(common::tdr(Operand::RCX, Mode::Exclusive))
        .all(common::td(Leaf::MngInit, Mode::Exclusive))
        .check("params_not_aligned", rdx, |c| c.args.rdx |= 0x200)
        .check("params_beyond_52_bits", rdx, |c| c.args.rdx |= 1 << 52)
        .check("params_in_seam_range", rdx, |c| c.args.rdx = 0x7000_0000)
        .check("params_with_private_keyid", rdx, |c| c.args.rdx |= 32 << 46)
        .all([
            param("attributes_migratable", O::ATTRIBUTES, 0, 1 << 29),
            param("attributes_unknown", O::ATTRIBUTES, 0, 1 << 31),
            param("xfam_unknown", O::XFAM, 8, 3 | 1 << 63),
            param("xfam_without_sse", O::XFAM, 8, 1),
            param("xfam_avx512_in_parts", O::XFAM, 8, 0x27),
            param("xfam_avx512_without_avx", O::XFAM, 8, 0xE3),
            param("xfam_cet_in_parts", O::XFAM, 8, 0x803),
            param("xfam_amx_in_parts", O::XFAM, 8, 0x2_0003),
            param("max_vcpus_zero", O::MAX_VCPUS, 16, 0),
            param("num_l2_vms", O::NUM_L2_VMS, 16, 1 << 16 | VCPUS),
        ])
        .all([
            param("reserved_at_20", O::RDX, 16, 1 << 32 | VCPUS),
            param("config_flags_unknown", O::EXEC_CONTROLS, 32, 8),
            param("eptp_memory_type", O::EPTP_CONTROLS, 24, 0x18),
            param("eptp_walk_length", O::EPTP_CONTROLS, 24, 0x16),
            param("eptp_accessed_dirty", O::EPTP_CONTROLS, 24, 0x5E),
            param("tsc_frequency_too_low", O::TSC_FREQUENCY, 40, 3),
            param("tsc_frequency_too_high", O::TSC_FREQUENCY, 40, 401),
            param("reserved_at_42", O::RDX, 40, 1 << 16 | 40),
            param("reserved_at_72", O::RDX, 72, 1),
            param("msr_config_ctls_unknown", O::RDX, 16, 2 << 24 | VCPUS),
            param("reserved_at_248", O::RDX, 248, 1),
            cpuid("cpuid_1_reserved", 256, 1 << 31, 0xFFFF_FFFF_0000_0001),
            cpuid("cpuid_7_hle_without_rtm", 256 + 5 * 16, 1 << (32 + 4), 7),
            param("reserved_after_cpuid", O::RDX, 256 + 12 * 16, 1),
            param("reserved_at_1016", O::RDX, 1016, 1),
            param(
                "arch_capabilities_not_given",
                O::IA32_ARCH_CAPABILITIES_CONFIG,
                224,
                1 << 4,
            ),
        ])
        .absent(Status::LIMIT_CPUID_MAXVAL_SET, "the platform is sound")
        .absent(Status::INCONSISTENT_MSR, "IA32_TSC_ADJUST never changes")
        .absent(Status::INCORRECT_MSR_VALUE, "TSX is there or it is not")
}

/// What module 1.5.01 has beyond it: migratable TDs, and L2 VMs.
fn init_1_5_01() -> Checks {
    const MIGRATABLE: u64 = 1 << 29;
    let good = || {
        let world = with_tdcx_by(Profile::V1_5_01, 7);
        world.poke(TD_PARAMS + 16, 1 << 16 | 2);
        Case::new(world, Leaf::MngInit, args(TDR, TD_PARAMS, 0, 0))
    };
    use Operand as O;
    Checks::new(Leaf::MngInit, good)
        .of("1_5_01")
        .zeroes(&[Operand::RCX])
        .all([
            param("migratable_debug", O::ATTRIBUTES, 0, MIGRATABLE | 1),
            param("migratable_perfmon", O::ATTRIBUTES, 0, MIGRATABLE | 1 << 63),
            param("num_l2_vms", O::NUM_L2_VMS, 16, 4 << 16 | 2),
        ])
        .check("tdcx_for_l2_vms_missing", Status::TDCS_NOT_ALLOCATED, |c| {
            c.world.poke(TD_PARAMS + 16, 2 << 16 | 2);
            c.spoils_td();
        })
        .all([
            param(
                "arch_capabilities_unknown",
                O::IA32_ARCH_CAPABILITIES_CONFIG,
                224,
                1,
            ),
            param("migratable_with_l2_vms", O::RDX, 0, MIGRATABLE),
        ])
}
