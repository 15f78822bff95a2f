// SPDX-License-Identifier: GPL-2.0

//! TDH.PHYMEM. TDX ABI: chapter "PHYMEM leaves".

use super::{
    args,
    case::Case,
    common::{
        self,
        BUSY,
        INVALID,
        METADATA,
        RANGE, //
    },
    fixture::{
        given_up,
        torn_down,
        FREE,
        HKID,
        LARGE,
        MAPPED,
        SEPT_ROOT,
        TDR,
        UNCOVERED, //
    },
    Check,
    Checks, //
};
use crate::{
    abi::{
        Leaf,
        Level,
        Operand,
        PageType,
        Status, //
    },
    sim::model::{
        lock::Mode,
        tdr, //
    },
};
use std::sync::atomic::Ordering::Relaxed;

const OUTPUTS: &[Operand] = &[
    Operand::RCX,
    Operand::RDX,
    Operand::R8,
    Operand::R9,
    Operand::R10,
    Operand::R11,
];

pub(super) fn leaves() -> Vec<Checks> {
    vec![page_rdmd(), page_reclaim(), cache_wb(), page_wbinvd()]
}

/// The check of the address of a page.
fn address() -> Vec<Check> {
    let invalid = INVALID.with(Operand::RCX);
    vec![
        Check::new("page_not_aligned", invalid, |c| c.args.rcx |= 0x800),
        Check::new("page_with_keyid", invalid, |c| c.args.rcx |= HKID << 46),
        Check::new("page_beyond_52_bits", invalid, |c| c.args.rcx |= 1 << 52),
        Check::new("page_not_covered", RANGE.with(Operand::RCX), |c| {
            c.args.rcx = UNCOVERED;
        }),
    ]
}

/// The lock of the page at `pa`.
fn page_busy(pa: u64, mode: Mode) -> Check {
    Check::new("page_busy", BUSY.with(Operand::RCX), move |c| {
        c.args.rcx = pa | c.args.rcx & !((1 << 46) - 1);
        c.hold_page(pa, Level::K4, mode);
    })
}

fn page_rdmd() -> Checks {
    let good = || Case::new(given_up(), Leaf::PhymemPageRdmd, args(MAPPED, 0, 0, 0));
    Checks::new(Leaf::PhymemPageRdmd, good)
        .zeroes(OUTPUTS)
        .all(address())
        .all([page_busy(MAPPED, Mode::Shared)])
}

/// What is returned of a page that is allocated, also when it cannot be reclaimed.
fn returns(c: &mut Case, page_type: PageType, owner: u64, level: Level) {
    c.returns(Operand::RCX, page_type.raw());
    c.returns(Operand::RDX, owner);
    c.returns(Operand::R8, level.raw());
}

fn page_reclaim() -> Checks {
    let good = || Case::new(torn_down(), Leaf::PhymemPageReclaim, args(MAPPED, 0, 0, 0));
    Checks::new(Leaf::PhymemPageReclaim, good)
        .zeroes(OUTPUTS)
        .all(address())
        .all([page_busy(MAPPED, Mode::Exclusive)])
        .check("page_free", METADATA.with(Operand::RCX), |c| {
            c.args.rcx = FREE
        })
        .check("page_reserved", METADATA.with(Operand::RCX), |c| {
            c.args.rcx = FREE;
            c.set_page(FREE, Level::K4, PageType::Rsvd, 0);
        })
        .check("not_first_of_large_page", INVALID.with(Operand::RCX), |c| {
            c.args.rcx = LARGE + 0x1000;
            returns(c, PageType::Reg, TDR, Level::M2);
        })
        .check("owner_busy", BUSY.with(Operand::TDR), |c| {
            c.args.rcx = MAPPED;
            c.hold_page(TDR, Level::K4, Mode::Shared);
            returns(c, PageType::Reg, TDR, Level::K4);
        })
        .check(
            "lifecycle_not_teardown",
            Status::LIFECYCLE_STATE_INCORRECT,
            |c| {
                c.set_tdr(tdr::fields::LIFECYCLE_STATE, 2);
                returns(c, PageType::Reg, TDR, Level::K4);
            },
        )
        .check("pages_of_td_left", Status::TD_ASSOCIATED_PAGES_EXIST, |c| {
            c.args.rcx = TDR;
            returns(c, PageType::Tdr, 0, Level::K4);
        })
}

fn cache_wb() -> Checks {
    let good = || Case::new(given_up(), Leaf::PhymemCacheWb, args(0, 0, 0, 0));
    Checks::new(Leaf::PhymemCacheWb, good)
        .check("operand_no_flag", INVALID.with(Operand::RCX), |c| {
            c.args.rcx = 2
        })
        .check("package_busy", BUSY.with(Operand::WBCACHE), |c| {
            c.hold_wbt();
        })
        .check("kot_busy", BUSY.with(Operand::KOT), |c| {
            c.hold_kot(Mode::Shared)
        })
        .check(
            "nothing_to_write_back",
            Status::NO_HKID_READY_TO_WBCACHE,
            |c| {
                c.args.rcx = 0;
                c.world.module.kot.set(HKID as u16, common::KOT_FREE);
            },
        )
        .check("nothing_to_resume", Status::WBCACHE_RESUME_ERROR, |c| {
            c.args.rcx = 1;
        })
        .check("interrupted", Status::INTERRUPTED_RESUMABLE, |c| {
            c.world.machine.interrupt.store(true, Relaxed);
            c.keeps_progress();
        })
}

fn page_wbinvd() -> Checks {
    let good = || {
        Case::new(
            given_up(),
            Leaf::PhymemPageWbinvd,
            args(FREE | HKID << 46, 0, 0, 0),
        )
    };
    let invalid = INVALID.with(Operand::RCX);
    Checks::new(Leaf::PhymemPageWbinvd, good)
        .check("page_not_aligned", invalid, |c| c.args.rcx |= 0x800)
        .check("page_beyond_52_bits", invalid, |c| c.args.rcx |= 1 << 52)
        .check("page_not_covered", RANGE.with(Operand::RCX), |c| {
            c.args.rcx = UNCOVERED
        })
        .all([page_busy(FREE, Mode::Shared)])
        .check("page_in_use", METADATA.with(Operand::RCX), |c| {
            c.args.rcx = SEPT_ROOT
        })
        .check("page_in_large_page", METADATA.with(Operand::RCX), |c| {
            c.args.rcx = LARGE
        })
}
