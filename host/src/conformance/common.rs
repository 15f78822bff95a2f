// SPDX-License-Identifier: GPL-2.0

//! Checks that many leaves make. TDX ABI: "Common checks".

use super::{
    case::Case,
    fixture::{
        self,
        FREE,
        GPA_MAPPED,
        TDR,
        TDVPR,
        UNCOVERED,
        UNUSED,
        USED_LARGE, //
    },
    Check, //
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
        kot::KeyIdState,
        lock::Mode,
        td::op_state_allows,
        tdcs,
        tdr, //
    }, //
};

pub(super) const INVALID: Status = Status::OPERAND_INVALID;
pub(super) const BUSY: Status = Status::OPERAND_BUSY;
pub(super) const RANGE: Status = Status::OPERAND_ADDR_RANGE_ERROR;
/// What a KeyID is that nobody uses.
pub(super) const KOT_FREE: KeyIdState = KeyIdState::Free;
pub(super) const METADATA: Status = Status::PAGE_METADATA_INCORRECT;

/// The lowest bit of a KeyID in a physical address.
const KEYID: u64 = 1 << 46;

/// The names of the checks of a page operand.
pub(super) struct Names {
    aligned: &'static str,
    keyid: &'static str,
    width: &'static str,
    covered: &'static str,
    busy: &'static str,
    page_type: &'static str,
    size: &'static str,
}

macro_rules! names {
    ($prefix:literal, $type:literal) => {
        Names {
            aligned: concat!($prefix, "_not_aligned"),
            keyid: concat!($prefix, "_with_keyid"),
            width: concat!($prefix, "_beyond_52_bits"),
            covered: concat!($prefix, "_not_covered"),
            busy: concat!($prefix, "_busy"),
            page_type: concat!($prefix, $type),
            size: concat!($prefix, "_in_large_page"),
        }
    };
}

/// The check of a page operand: `at` is the page of the good call, `other` one of another type.
fn page_operand(op: Operand, names: &Names, at: u64, other: u64, mode: Mode) -> Vec<Check> {
    let put = move |c: &mut Case, pa: u64| {
        let reg = c.reg(op);
        *reg = pa | *reg & 0xFFF;
    };
    vec![
        // Bit 11 is no flag of any leaf.
        Check::new(names.aligned, INVALID.with(op), move |c| {
            *c.reg(op) |= 0x800;
        }),
        Check::new(names.keyid, INVALID.with(op), move |c| *c.reg(op) |= KEYID),
        Check::new(names.width, INVALID.with(op), move |c| {
            *c.reg(op) |= 1 << 52;
        }),
        Check::new(names.covered, RANGE.with(op), move |c| put(c, UNCOVERED)),
        Check::new(names.busy, BUSY.with(op), move |c| {
            put(c, at);
            c.hold_page(at, Level::K4, mode);
        }),
        Check::new(names.page_type, METADATA.with(op), move |c| put(c, other)),
        Check::new(names.size, METADATA.with(op), move |c| {
            use_large_page(c);
            put(c, USED_LARGE);
        }),
    ]
}

/// Makes the page at [`USED_LARGE`] one of 2M.
pub(super) fn use_large_page(c: &mut Case) {
    c.set_page(USED_LARGE, Level::M2, PageType::Reg, TDR);
}

/// The check of the operand that is the TDR.
pub(super) fn tdr(op: Operand, mode: Mode) -> Vec<Check> {
    page_operand(op, &names!("tdr", "_of_other_type"), TDR, UNUSED, mode)
}

/// The check of the operand that is the TDVPR.
pub(super) fn tdvpr(op: Operand, mode: Mode) -> Vec<Check> {
    page_operand(op, &names!("tdvpr", "_of_other_type"), TDVPR, UNUSED, mode)
}

/// The check of the operand that is a page to take.
pub(super) fn free_page(op: Operand) -> Vec<Check> {
    let names = names!("page", "_in_use");
    page_operand(op, &names, FREE, fixture::SEPT_ROOT, Mode::Exclusive)
}

/// The check that a TD is usable and has its key.
pub(super) fn keys() -> Vec<Check> {
    vec![
        Check::new("td_fatal", Status::TD_FATAL, |c| {
            c.set_tdr(tdr::fields::FATAL, 1);
        }),
        Check::new("keys_not_configured", Status::TD_KEYS_NOT_CONFIGURED, |c| {
            c.set_tdr(tdr::fields::LIFECYCLE_STATE, 0)
        }),
    ]
}

/// The "TD build check" of `leaf`, which takes the lock of OP_STATE unless it has the TDR alone.
pub(super) fn td(leaf: Leaf, mode: Mode) -> Vec<Check> {
    let mut checks = keys();
    checks.push(Check::new(
        "tdcs_incomplete",
        Status::TDCS_NOT_ALLOCATED,
        |c| c.set_tdr(tdr::fields::NUM_TDCX, 5),
    ));
    if mode == Mode::Shared {
        checks.push(Check::new(
            "op_state_busy",
            BUSY.with(Operand::OP_STATE),
            Case::hold_op_state,
        ));
    }
    checks.push(Check::new(
        "op_state_incorrect",
        Status::OP_STATE_INCORRECT,
        move |c| {
            let other = (0..16).find(|state| !op_state_allows(leaf, *state));
            c.set_tdcs(tdcs::fields::OP_STATE, other.unwrap_or(16));
        },
    ));
    checks
}

/// The check of a vCPU: the operand, and the TD that owns it.
pub(super) fn vcpu(leaf: Leaf, op: Operand, mode: Mode) -> Vec<Check> {
    let mut checks = tdvpr(op, mode);
    checks.push(implicit_tdr());
    checks.extend(td(leaf, Mode::Shared));
    checks
}

/// The lock of the TDR that owns a page.
pub(super) fn implicit_tdr() -> Check {
    Check::new("owner_busy", BUSY.with(Operand::TDR), |c| {
        c.hold_page(TDR, Level::K4, Mode::Shared);
    })
}

/// The check of a GPA and a level that lies between `min` and `max`.
pub(super) fn gpa(min: Level, max: Level) -> Vec<Check> {
    let invalid = INVALID.with(Operand::RCX);
    let mut checks = Vec::new();
    if min > Level::K4 {
        checks.push(Check::new("level_too_low", invalid, |c| c.args.rcx &= !7));
    }
    checks.push(Check::new("level_too_high", invalid, move |c| {
        c.args.rcx = c.args.rcx & !7 | (max.raw() + 1);
    }));
    checks.push(Check::new("gpa_reserved_bits", invalid, |c| {
        c.args.rcx |= 1 << 11;
    }));
    checks.push(Check::new("gpa_beyond_52_bits", invalid, |c| {
        c.args.rcx |= 1 << 52;
    }));
    if max > Level::K4 {
        checks.push(Check::new("gpa_not_aligned", invalid, move |c| {
            c.args.rcx = GPA_MAPPED | 1 << 12 | max.raw();
        }));
    }
    checks.push(gpa_shared());
    checks
}

/// The check that an address has no SHARED bit.
pub(super) fn gpa_shared() -> Check {
    Check::new("gpa_shared", INVALID.with(Operand::RCX), |c| {
        c.args.rcx |= 1 << 47;
    })
}

/// The lock of the secure EPT.
pub(super) fn tree(mode: Mode) -> Check {
    Check::new("tree_busy", BUSY.with(Operand::SEPT_TREE), move |c| {
        c.hold_tree(mode);
    })
}

/// What a leaf reports of an entry that is free.
pub(super) const NOTHING: u64 = 1 << 63;

/// The walk to an entry: none of its levels is there.
pub(super) fn walk() -> Check {
    let status = Status::EPT_WALK_FAILED.with(Operand::RCX);
    Check::new("walk_ends_above", status, |c| {
        // The entry in the root is free. Where the leaf is asked for that very entry, the walk
        // cannot end above it.
        c.args.rcx = 5 << 39 | c.args.rcx & 7;
        c.reports(NOTHING, 3, 0);
    })
}

/// The lock of the entry of `level` for `gpa`, which the leaf is called for and reports as `entry`
/// in `state`.
pub(super) fn entry(gpa: u64, level: Level, entry: u64, state: u64) -> Check {
    Check::new("entry_busy", BUSY.with(Operand::RCX), move |c| {
        c.args.rcx = gpa | level.raw();
        c.hold_entry(gpa, level);
        c.reports(entry, level.raw(), state);
    })
}

/// The checks of a leaf of the secure EPT up to the lock of the entry that the good call is for.
pub(super) fn prologue(
    leaf: Leaf,
    levels: (Level, Level),
    mode: Mode,
    at: (u64, Level, u64, u64),
) -> Vec<Check> {
    let mut checks = tdr(Operand::RDX, Mode::Shared);
    checks.extend(td(leaf, Mode::Shared));
    checks.extend(gpa(levels.0, levels.1));
    checks.push(tree(mode));
    checks.push(walk());
    checks.push(entry(at.0, at.1, at.2, at.3));
    checks
}

/// The checks of TLB tracking in a TD that can run, of the entry of `level` for `gpa` that the leaf
/// is called for; `entry` and `state` are what the leaf reports when it is not blocked.
pub(super) fn tracking(gpa: u64, level: Level, raw: u64, report: (u64, u64)) -> Vec<Check> {
    vec![
        Check::new(
            "not_blocked",
            Status::GPA_RANGE_NOT_BLOCKED.with(Operand::RCX),
            move |c| {
                c.args.rcx = gpa | level.raw();
                c.set_entry(gpa, level, raw);
                c.reports(report.0, level.raw(), report.1);
            },
        ),
        not_tracked(Operand::RCX),
    ]
}

/// The check that the epoch is over in which the entry was blocked.
pub(super) fn not_tracked(op: Operand) -> Check {
    Check::new("not_tracked", Status::TLB_TRACKING_NOT_DONE.with(op), |c| {
        // A vCPU that entered in that epoch runs yet; counts are by odd and even epochs.
        for parity in 0..2 {
            c.set_tdcs(tdcs::fields::REFCOUNT.element(parity), 1);
        }
    })
}
