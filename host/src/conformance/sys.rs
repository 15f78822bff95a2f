// SPDX-License-Identifier: GPL-2.0

//! The dispatcher and TDH.SYS. TDX ABI: chapters "Calling convention" and "SYS leaves".

use super::{
    args,
    case::Case,
    common::{
        BUSY,
        INVALID, //
    },
    fixture::{
        cold,
        ready,
        SOURCE, //
    },
    Check,
    Checks, //
};
use crate::{
    abi::{
        Args,
        Leaf,
        Level,
        Operand,
        Rax,
        Status, //
    },
    layout,
    sim::model::{
        lock::Mode,
        metadata::NULL_ID,
        platform::Profile, //
    },
    world::{
        World,
        GLOBAL_HKID,
        TDMR_ARRAY,
        TDMR_INFO, //
    },
};
use std::sync::atomic::Ordering::Relaxed;

/// The dispatcher's checks, which come before those of any leaf.
pub(super) fn all() -> Checks {
    let good = || Case::new(ready(), Leaf::MngKeyReclaimid, Args::default());
    let invalid = INVALID.with(Operand::RAX);
    Checks::new(None, good)
        .check("rax_reserved_bits", invalid, |c| c.rax |= 1 << 24)
        .check("rax_upper_half", invalid, |c| c.rax |= 1 << 62)
        .check("version_of_leaf_with_one", invalid, |c| c.rax |= 1 << 16)
        .check("shut_down", Status::SYS_SHUTDOWN, |c| {
            c.world = ready();
            c.world.ok(Leaf::SysShutdown, &[]);
        })
        .check("not_ready", Status::SYS_NOT_READY, |c| {
            c.world = cold(Profile::Current);
        })
        .check("leaf_unknown", invalid, |c| c.rax = 46)
}

pub(super) fn leaves() -> Vec<Checks> {
    vec![
        key_config(),
        info(),
        init(),
        rd(),
        lp_init(),
        tdmr_init(),
        rdall(),
        Checks::new(Leaf::SysLpShutdown, || {
            Case::new(ready(), Leaf::SysLpShutdown, Args::default())
        }),
        config(),
        shutdown(),
        update(),
        disable(),
    ]
}

/// A module that SYS.INIT has seen.
fn begun() -> World {
    let world = cold(Profile::Current);
    world.ok(Leaf::SysInit, &[]);
    world
}

/// A module that knows all processors.
fn with_lps() -> World {
    let world = begun();
    for lp in 0..world.machine.config.nr_lps {
        let _ = world.call(lp, Rax::from(Leaf::SysLpInit), Args::default());
    }
    world
}

/// A module that has its TDMRs.
fn configured() -> World {
    let world = with_lps();
    world.ok(Leaf::SysConfig, &[TDMR_ARRAY, 1, GLOBAL_HKID]);
    world
}

fn global_busy(mode: Mode) -> Check {
    Check::new("module_busy", Status::SYS_BUSY, move |c| {
        c.hold_global(mode)
    })
}

fn no_entropy() -> Check {
    Check::new("no_entropy", Status::RND_NO_ENTROPY, |c| {
        c.world.machine.no_entropy.store(true, Relaxed);
    })
}

/// The check that SYS.LP.INIT was done here.
fn lp_not_initialized() -> Check {
    Check::new("lp_not_initialized", Status::SYS_LP_INIT_NOT_DONE, |c| {
        c.world = cold(Profile::Current);
        c.world.ok(Leaf::SysInit, &[]);
    })
}

const SOUND: &str = "the platform is sound";

fn init() -> Checks {
    let good = || Case::new(cold(Profile::Current), Leaf::SysInit, Args::default());
    Checks::new(Leaf::SysInit, good)
        .zeroes(&[
            Operand::RCX,
            Operand::RDX,
            Operand::R8,
            Operand::R9,
            Operand::R10,
        ])
        .all([global_busy(Mode::Exclusive)])
        .check("attributes", INVALID.with(Operand::RCX), |c| c.args.rcx = 1)
        .check("done", Status::SYS_INIT_NOT_PENDING, |c| {
            c.world = begun();
        })
        .check(
            "too_many_keyids",
            Status::NUM_ACTIVATED_HKIDS_NOT_SUPPORTED.with_detail(2048),
            |c| c.world.machine.config.nr_private_keyids = 2048,
        )
        .all([no_entropy()])
        .absent(Status::INCORRECT_MSR_VALUE, SOUND)
        .absent(Status::LIMIT_CPUID_MAXVAL_SET, SOUND)
        .absent(Status::CPUID_LEAF_NOT_SUPPORTED, SOUND)
        .absent(Status::INCORRECT_CPUID_VALUE, SOUND)
        .absent(Status::CPUID_LEAF_1F_FORMAT_UNRECOGNIZED, SOUND)
        .absent(Status::INVALID_WBINVD_SCOPE, SOUND)
        .absent(Status::CMR_LIST_INVALID, SOUND)
        .absent(Status::SMRR_NOT_SUPPORTED, SOUND)
        .absent(Status::SMRR_LOCK_NOT_SUPPORTED, SOUND)
        .absent(Status::SMRR_NOT_LOCKED, SOUND)
        .absent(Status::INVALID_SMRR_CONFIGURATION, SOUND)
        .absent(Status::SMRR_OVERLAPS_CMR, SOUND)
        .absent(Status::INCOMPATIBLE_SEAM_CAPABILITIES, SOUND)
        .absent(
            Status::SYS_INCOMPATIBLE_SIGSTRUCT,
            "there is no P-SEAM loader that could load another module",
        )
}

fn lp_init() -> Checks {
    let good = || Case::new(begun(), Leaf::SysLpInit, Args::default());
    Checks::new(Leaf::SysLpInit, good)
        .zeroes(&[Operand::RCX, Operand::RDX, Operand::R8])
        .all([global_busy(Mode::Shared)])
        .check("not_due", Status::SYS_LP_INIT_NOT_PENDING, |c| {
            c.world = ready();
        })
        .check("done", Status::SYS_LP_INIT_DONE, |c| {
            (c.world, c.lp) = (with_lps(), 0);
        })
        .all([no_entropy()])
        .check(
            "package_beyond_the_last",
            Status::INVALID_PKG_ID.with_detail(8),
            |c| {
                c.world.machine.config.nr_packages = 16;
                c.lp = 8;
            },
        )
        .absent(Status::INCOMPATIBLE_SEAM_CAPABILITIES, SOUND)
        .absent(Status::INCONSISTENT_MSR, SOUND)
        .absent(Status::LIMIT_CPUID_MAXVAL_SET, SOUND)
        .absent(Status::INCONSISTENT_CPUID_FIELD, SOUND)
}

fn key_config() -> Checks {
    let good = || Case::new(configured(), Leaf::SysKeyConfig, Args::default());
    Checks::new(Leaf::SysKeyConfig, good)
        .all([global_busy(Mode::Exclusive)])
        .check("not_due", Status::SYS_KEY_CONFIG_NOT_PENDING, |c| {
            c.world = with_lps();
        })
        .check("key_configured", Status::KEY_CONFIGURED, |c| {
            // The other package has yet to do it.
            c.world = configured();
            c.world.machine.config.nr_packages = 2;
            c.world.ok(Leaf::SysKeyConfig, &[]);
        })
        .check("key_table_busy", BUSY.with(Operand::KET), |c| {
            c.world.machine.pconfig.store(5, Relaxed);
        })
        .check("key_not_generated", Status::KEY_GENERATION_FAILED, |c| {
            c.world.machine.pconfig.store(2, Relaxed);
        })
}

fn rd() -> Checks {
    /// TDX_FEATURES0.
    const FEATURES0: u64 = 0x0A00_0003_0000_0008;
    let good = || {
        let mut case = Case::new(ready(), Leaf::SysRd, args(0, FEATURES0, 0, 0));
        case.returns(Operand::RDX, NULL_ID);
        case
    };
    let unknown = Status::METADATA_FIELD_ID_INCORRECT;
    Checks::new(Leaf::SysRd, good)
        .zeroes(&[Operand::R8])
        .all([lp_not_initialized()])
        .check(
            "first_field_wanted",
            Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT,
            |c| {
                c.args.rdx = NULL_ID;
                c.returns(Operand::RDX, 0x0000_0002_0000_0000);
            },
        )
        .check("field_unknown", unknown, |c| {
            c.args.rdx = FEATURES0 | 0xFF_0000
        })
        .check("field_reserved_bits", unknown, |c| {
            c.args.rdx = FEATURES0 | 1 << 24
        })
        .check("field_is_sequence", unknown, |c| {
            c.args.rdx = FEATURES0 | 1 << 38
        })
        .absent(
            Status::METADATA_FIELD_NOT_READABLE,
            "the host can read all global fields",
        )
}

fn rdall() -> Checks {
    let good = || {
        // From the last field on.
        Case::new(ready(), Leaf::SysRdall, args(0, SOURCE, LAST_GLOBAL, 0))
    };
    /// VCPU_L2_DEBUG_CTLS_FIXED1.
    const LAST_GLOBAL: u64 = 0xA200_0003_0000_0006;
    let invalid = INVALID.with(Operand::RDX);
    Checks::new(Leaf::SysRdall, good)
        .all([lp_not_initialized()])
        .check("buffer_not_aligned", invalid, |c| c.args.rdx |= 0x800)
        .check("buffer_beyond_52_bits", invalid, |c| c.args.rdx |= 1 << 52)
        .check("buffer_in_seam_range", invalid, |c| {
            c.args.rdx = 0x7000_0000
        })
        .check("buffer_with_private_keyid", invalid, |c| {
            c.args.rdx |= 32 << 46
        })
        .check("field_unknown", Status::METADATA_FIELD_ID_INCORRECT, |c| {
            c.args.r8 = LAST_GLOBAL | 0xFF_0000;
        })
        .absent(
            Status::METADATA_LIST_OVERFLOW,
            "all fields fit into the page",
        )
}

fn info() -> Checks {
    let good = || {
        Case::new(
            ready(),
            Leaf::SysInfo,
            args(SOURCE, 1024, SOURCE + 0x400, 32),
        )
    };
    let (rcx, r8) = (INVALID.with(Operand::RCX), INVALID.with(Operand::R8));
    Checks::new(Leaf::SysInfo, good)
        .zeroes(&[Operand::RDX, Operand::R9])
        .all([lp_not_initialized()])
        .check("buffer_not_aligned", rcx, |c| c.args.rcx |= 0x200)
        .check("buffer_beyond_52_bits", rcx, |c| c.args.rcx |= 1 << 52)
        .check("buffer_in_seam_range", rcx, |c| c.args.rcx = 0x7000_0000)
        .check("buffer_with_private_keyid", rcx, |c| c.args.rcx |= 32 << 46)
        .check("buffer_too_small", INVALID.with(Operand::RDX), |c| {
            c.args.rdx = 1023
        })
        .check("cmrs_not_aligned", r8, |c| c.args.r8 |= 0x100)
        .check("cmrs_beyond_52_bits", r8, |c| c.args.r8 |= 1 << 52)
        .check("cmrs_in_seam_range", r8, |c| c.args.r8 = 0x7000_0000)
        .check("cmrs_with_private_keyid", r8, |c| c.args.r8 |= 32 << 46)
        .check("too_few_cmrs", INVALID.with(Operand::R9), |c| {
            c.args.r9 = 31
        })
}

/// A check of TDMR_INFO: words of it that are not allowed, and the indexes in the status.
fn tdmr(name: &'static str, status: Status, indexes: u32, words: &'static [(u64, u64)]) -> Check {
    Check::new(name, status.with_detail(indexes), move |c| {
        for (offset, word) in words {
            c.world.poke(TDMR_INFO + offset, *word);
        }
    })
}

fn config() -> Checks {
    const GIB: u64 = 1 << 30;
    const BASE: u64 = layout::TDMR_BASE;
    let good = || {
        Case::new(
            with_lps(),
            Leaf::SysConfig,
            args(TDMR_ARRAY, 1, GLOBAL_HKID, 0),
        )
    };
    let (rcx, r8) = (INVALID.with(Operand::RCX), INVALID.with(Operand::R8));
    Checks::new(Leaf::SysConfig, good)
        .all([global_busy(Mode::Exclusive)])
        .check("not_due", Status::SYS_CONFIG_NOT_PENDING, |c| {
            c.world = configured();
        })
        .check("lps_missing", Status::SYS_CONFIG_NOT_PENDING, |c| {
            c.world.machine.config.nr_lps = 3;
        })
        .check("array_not_aligned", rcx, |c| c.args.rcx |= 0x100)
        .check("array_beyond_52_bits", rcx, |c| c.args.rcx |= 1 << 52)
        .check("array_in_seam_range", rcx, |c| c.args.rcx = 0x7000_0000)
        .check("array_with_private_keyid", rcx, |c| c.args.rcx |= 32 << 46)
        .check("no_tdmr", INVALID.with(Operand::RDX), |c| c.args.rdx = 0)
        .check("too_many_tdmrs", INVALID.with(Operand::RDX), |c| {
            c.args.rdx = 65
        })
        .check("hkid_reserved_bits", r8, |c| c.args.r8 |= 1 << 16)
        .check("hkid_shared", r8, |c| c.args.r8 = 31)
        .check("hkid_beyond_the_last", r8, |c| c.args.r8 = 64)
        .check("tdmr_info_not_aligned", rcx, |c| {
            c.world.poke(TDMR_ARRAY, TDMR_INFO | 0x100);
        })
        .check("tdmr_info_not_shared", rcx, |c| {
            c.world.poke(TDMR_ARRAY, TDMR_INFO | 32 << 46);
        })
        .all([tdmr(
            "tdmr_wraps",
            Status::INVALID_TDMR,
            0,
            &[(0, !0 << 30), (8, 2 * GIB)],
        )])
        .all([
            tdmr(
                "tdmr_not_aligned",
                Status::INVALID_TDMR,
                0,
                &[(0, BASE | 0x1000)],
            ),
            tdmr(
                "tdmr_size_not_aligned",
                Status::INVALID_TDMR,
                0,
                &[(8, GIB / 2)],
            ),
            tdmr("tdmr_empty", Status::INVALID_TDMR, 0, &[(8, 0)]),
            tdmr(
                "tdmr_with_keyid",
                Status::INVALID_TDMR,
                0,
                &[(0, BASE | 1 << 46)],
            ),
            tdmr(
                "reserved_after_none",
                Status::NON_ORDERED_RESERVED_IN_TDMR,
                0,
                &[(72, 0), (80, 0x1000), (88, 0x1000)],
            ),
            tdmr(
                "reserved_wraps",
                Status::INVALID_RESERVED_IN_TDMR,
                0,
                &[(64, !0xFFF), (72, 0x2000)],
            ),
            tdmr(
                "reserved_not_aligned",
                Status::INVALID_RESERVED_IN_TDMR,
                0,
                &[(64, 0x800), (72, 0x1000)],
            ),
            tdmr(
                "reserved_beyond_tdmr",
                Status::INVALID_RESERVED_IN_TDMR,
                0,
                &[(64, 4 * GIB), (72, 0x1000)],
            ),
            tdmr(
                "reserved_not_ordered",
                Status::NON_ORDERED_RESERVED_IN_TDMR,
                1 << 8,
                &[(64, 0x2000), (72, 0x1000), (80, 0x1000), (88, 0x1000)],
            ),
            // One PAMT after the other, largest page size first.
            tdmr(
                "pamt_1g_not_aligned",
                Status::INVALID_PAMT,
                2 << 8,
                &[(16, 0x8000_0800)],
            ),
            tdmr(
                "pamt_1g_too_small",
                Status::INVALID_PAMT,
                2 << 8,
                &[(24, 0)],
            ),
            tdmr(
                "pamt_2m_with_keyid",
                Status::INVALID_PAMT,
                1 << 8,
                &[(32, 1 << 46)],
            ),
            tdmr(
                "pamt_2m_too_small",
                Status::INVALID_PAMT,
                1 << 8,
                &[(40, 0x1000)],
            ),
            tdmr(
                "pamt_overlaps_pamt",
                Status::PAMT_OVERLAP,
                1 << 8,
                &[(32, 0x8000_0000)],
            ),
            tdmr(
                "pamt_4k_too_small",
                Status::INVALID_PAMT,
                0,
                &[(56, 0x3F_F000)],
            ),
            tdmr(
                "pamt_4k_overlaps_pamt_2m",
                Status::PAMT_OVERLAP,
                0,
                &[(48, 0x8000_1000)],
            ),
            tdmr("pamt_overlaps_tdmr", Status::PAMT_OVERLAP, 0, &[(48, BASE)]),
            tdmr(
                "pamt_outside_cmrs",
                Status::PAMT_OUTSIDE_CMRS,
                0,
                &[(48, 0x1000_0000)],
            ),
            tdmr(
                "tdmr_outside_cmrs",
                Status::TDMR_OUTSIDE_CMRS,
                0,
                &[
                    (8, 2 * GIB),
                    (56, 0x80_0000),
                    (40, 0x4000),
                    (48, 0x8100_0000),
                    (32, 0x8080_0000),
                ],
            ),
        ])
        // The second TDMR is looked at when all is right with the first.
        .check(
            "tdmrs_not_ordered",
            Status::NON_ORDERED_TDMR.with_detail(1),
            |c| {
                c.world.poke(TDMR_ARRAY + 8, TDMR_INFO);
                c.args.rdx = 2;
                // The table has no length any more, but the words of the first are still there.
                c.keeps_progress();
            },
        )
}

fn tdmr_init() -> Checks {
    let good = || {
        let world = configured();
        world.ok(Leaf::SysKeyConfig, &[]);
        let mut case = Case::new(world, Leaf::SysTdmrInit, args(layout::TDMR_BASE, 0, 0, 0));
        case.returns(Operand::RDX, 0);
        case
    };
    let invalid = INVALID.with(Operand::RCX);
    Checks::new(Leaf::SysTdmrInit, good)
        .check("base_not_aligned", invalid, |c| {
            c.args.rcx |= Level::M2.size()
        })
        .check("base_with_keyid", invalid, |c| c.args.rcx |= 1 << 46)
        .check("base_beyond_52_bits", invalid, |c| c.args.rcx |= 1 << 52)
        .check("base_of_no_tdmr", invalid, |c| c.args.rcx += 1 << 30)
        .check("tdmr_busy", BUSY.with(Operand::RCX), Case::hold_tdmr)
        .check("tdmr_initialized", Status::TDMR_ALREADY_INITIALIZED, |c| {
            c.world = ready();
        })
}

fn shutdown() -> Checks {
    let good = || Case::new(ready(), Leaf::SysShutdown, Args::default());
    Checks::new(Leaf::SysShutdown, good)
        .check("handoff_version", INVALID.with(Operand::RCX), |c| {
            c.args.rcx = 1
        })
        .all([global_busy(Mode::Exclusive)])
}

/// A new module finds nothing that one before it has left: a call that passes the checks fails.
fn update() -> Checks {
    let good = || Case::new(with_lps(), Leaf::SysUpdate, Args::default());
    Checks::new(Leaf::SysUpdate, good)
        .ends_with(Status::SYS_INVALID_HANDOFF)
        .all([global_busy(Mode::Exclusive)])
        .check("state_incorrect", Status::SYS_STATE_INCORRECT, |c| {
            c.world = ready();
        })
        .check("lps_missing", Status::SYS_STATE_INCORRECT, |c| {
            c.world.machine.config.nr_lps = 3;
        })
}

fn disable() -> Checks {
    let good = || Case::new(ready(), Leaf::SysDisable, Args::default());
    Checks::new(Leaf::SysDisable, good).all([global_busy(Mode::Exclusive)])
}
