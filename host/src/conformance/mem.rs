// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM. TDX ABI: chapter "MEM leaves".

use super::{
    args,
    case::Case,
    common::{
        self,
        free_page,
        not_tracked,
        prologue,
        tracking,
        BUSY,
        INVALID,
        NOTHING, //
    },
    fixture::{
        blocked, runnable, with_memory, FREE, FREE_LARGE, GPA_FREE, GPA_FREE_LARGE, GPA_LARGE,
        GPA_MAPPED, LARGE, MAPPED, SOURCE, TDR,
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
        platform::Profile,
        tdcs, //
    },
};

const RCX_RDX: &[Operand] = &[Operand::RCX, Operand::RDX];
const NOTHING_FREE: u64 = 0x80E0_0000_0000_0000;
const DEBUG: u64 = 1;
/// All ones: no page for an L2 VM.
const NONE: u64 = u64::MAX;

/// Numbers of states. TDX ABI: "Secure EPT Entry State".
mod state {
    pub(super) const FREE: u64 = 0;
    pub(super) const BLOCKED: u64 = 1;
    pub(super) const PENDING: u64 = 2;
    pub(super) const MAPPED: u64 = 4;
    pub(super) const BLOCKEDW: u64 = 8;
    pub(super) const NL_BLOCKED: u64 = 129;
    pub(super) const NL_MAPPED: u64 = 132;
}

/// Entries as they are in memory, less the address, and all of them that leaves report.
mod raw {
    pub(super) const MAPPED: u64 = 0x8000_0000_0000_00F7;
    pub(super) const BLOCKED: u64 = 0x8080_0000_0000_00F0;
    pub(super) const PENDING: u64 = 0x8100_0000_0000_00F0;
    pub(super) const NL_MAPPED: u64 = 0x8000_0000_0000_0007;
    pub(super) const BLOCKEDW: u64 = 0x8040_0000_0000_00F5;
    /// What leaves report of the last.
    pub(super) const READ_ONLY: u64 = 0x8000_0000_0000_00F5;
    /// What leaves report of a leaf without access.
    pub(super) const HIDDEN: u64 = 0x8000_0000_0000_00F0;
}

/// R8 to R11 where they hold pages for L2 VMs: none.
fn no_l2_pages(mut case: Case) -> Case {
    (case.args.r9, case.args.r10, case.args.r11) = (NONE, NONE, NONE);
    case
}

/// A version that the leaf does not have.
fn version() -> Check {
    Check::new("version", INVALID.with(Operand::RAX), |c| {
        c.rax = c.rax & 0xFFFF | 2 << 16;
    })
}

/// The state check, with an entry for which the leaf is not made, and what it reports of it.
fn state_incorrect(gpa: u64, level: Level, entry: u64, report: (u64, u64)) -> Check {
    let status = Status::EPT_ENTRY_STATE_INCORRECT.with(Operand::RCX);
    Check::new("entry_state_incorrect", status, move |c| {
        c.args.rcx = gpa | level.raw();
        c.set_entry(gpa, level, entry);
        c.reports(report.0, level.raw(), report.1);
    })
}

/// The lock of a page that the leaf finds itself, which it takes alone.
fn found_page_busy(name: &'static str, pa: u64, level: Level) -> Check {
    Check::new(name, BUSY.with(Operand::RCX), move |c| {
        c.hold_page(pa, level, Mode::Exclusive);
    })
}

pub(super) fn leaves() -> Vec<Checks> {
    vec![
        page_add(),
        sept_add(),
        page_relocate(),
        page_aug(),
        page_aug_2m(),
        range_block(),
        mem_rd(),
        mem_wr(),
        page_demote(),
        page_promote(),
        sept_rd(),
        page_remove(),
        sept_remove(),
        track(),
        range_unblock(),
    ]
}

fn page_add() -> Checks {
    let good = || {
        Case::new(
            with_memory(0),
            Leaf::MemPageAdd,
            args(GPA_FREE, TDR, FREE, SOURCE),
        )
    };
    Checks::new(Leaf::MemPageAdd, good)
        .zeroes(RCX_RDX)
        .all(common::tdr(Operand::RDX, Mode::Exclusive))
        .all(common::td(Leaf::MemPageAdd, Mode::Exclusive))
        .all(common::gpa(Level::K4, Level::K4))
        .all([common::walk()])
        .check(
            "entry_state_incorrect",
            Status::EPT_ENTRY_STATE_INCORRECT.with(Operand::RCX),
            |c| {
                c.args.rcx = GPA_MAPPED;
                c.reports(raw::MAPPED | MAPPED, 0, state::MAPPED);
            },
        )
        .check("source_not_aligned", INVALID.with(Operand::R9), |c| {
            c.args.r9 |= 8
        })
        .check("source_beyond_52_bits", INVALID.with(Operand::R9), |c| {
            c.args.r9 |= 1 << 52;
        })
        .check("source_in_seam_range", INVALID.with(Operand::R9), |c| {
            c.args.r9 = 0x7000_0000;
        })
        .check(
            "source_with_private_keyid",
            INVALID.with(Operand::R9),
            |c| {
                c.args.r9 |= 32 << 46;
            },
        )
        .all(free_page(Operand::R8))
}

fn page_aug() -> Checks {
    let good = || {
        Case::new(
            with_memory(0),
            Leaf::MemPageAug,
            args(GPA_FREE, TDR, FREE, 0),
        )
    };
    let at = (GPA_FREE, Level::K4, NOTHING, state::FREE);
    Checks::new(Leaf::MemPageAug, good)
        .zeroes(RCX_RDX)
        .all(prologue(
            Leaf::MemPageAug,
            (Level::K4, Level::M2),
            Mode::Shared,
            at,
        ))
        .all([state_incorrect(
            GPA_FREE,
            Level::K4,
            raw::MAPPED | FREE,
            (raw::MAPPED | FREE, state::MAPPED),
        )])
        .all(free_page(Operand::R8))
}

fn page_aug_2m() -> Checks {
    let good = || {
        let args = args(GPA_FREE_LARGE | 1, TDR, FREE_LARGE, 0);
        Case::new(with_memory(0), Leaf::MemPageAug, args)
    };
    let metadata = common::METADATA.with(Operand::R8);
    Checks::new(Leaf::MemPageAug, good)
        .of("2m")
        .zeroes(RCX_RDX)
        .all([state_incorrect(
            GPA_FREE_LARGE,
            Level::M2,
            raw::NL_MAPPED | FREE,
            (7, state::NL_MAPPED),
        )])
        .check("page_not_aligned", INVALID.with(Operand::R8), |c| {
            c.args.r8 |= 0x1000
        })
        .check("page_busy", BUSY.with(Operand::R8), |c| {
            c.args.r8 = FREE_LARGE;
            c.hold_page(FREE_LARGE, Level::M2, Mode::Exclusive);
        })
        .check("page_in_use", metadata, |c| c.args.r8 = LARGE)
        .check("part_of_page_in_use", metadata, |c| {
            c.args.r8 = FREE_LARGE;
            c.set_page(FREE_LARGE + 0x5000, Level::K4, PageType::Reg, TDR);
        })
}

fn page_remove() -> Checks {
    let good = || {
        Case::new(
            blocked(GPA_MAPPED),
            Leaf::MemPageRemove,
            args(GPA_MAPPED, TDR, 0, 0),
        )
    };
    let at = (GPA_MAPPED, Level::K4, raw::HIDDEN | MAPPED, state::BLOCKED);
    Checks::new(Leaf::MemPageRemove, good)
        .zeroes(RCX_RDX)
        .all(prologue(
            Leaf::MemPageRemove,
            (Level::K4, Level::G1),
            Mode::Shared,
            at,
        ))
        .all([
            state_incorrect(GPA_MAPPED, Level::K4, NOTHING_FREE, (NOTHING, state::FREE)),
            found_page_busy("page_busy", MAPPED, Level::K4),
        ])
        .all(tracking(
            GPA_MAPPED,
            Level::K4,
            raw::MAPPED | MAPPED,
            (raw::MAPPED | MAPPED, state::MAPPED),
        ))
}

fn page_relocate() -> Checks {
    let good = || {
        Case::new(
            blocked(GPA_MAPPED),
            Leaf::MemPageRelocate,
            args(GPA_MAPPED, TDR, FREE, 0),
        )
    };
    let at = (GPA_MAPPED, Level::K4, raw::HIDDEN | MAPPED, state::BLOCKED);
    Checks::new(Leaf::MemPageRelocate, good)
        .zeroes(RCX_RDX)
        .all(prologue(
            Leaf::MemPageRelocate,
            (Level::K4, Level::K4),
            Mode::Shared,
            at,
        ))
        .all([state_incorrect(
            GPA_MAPPED,
            Level::K4,
            NOTHING_FREE,
            (NOTHING, state::FREE),
        )])
        .check("new_page_is_old", INVALID.with(Operand::R8), |c| {
            c.args.r8 = MAPPED
        })
        .all([found_page_busy("old_page_busy", MAPPED, Level::K4)])
        .all(tracking(
            GPA_MAPPED,
            Level::K4,
            raw::MAPPED | MAPPED,
            (raw::MAPPED | MAPPED, state::MAPPED),
        ))
        .all(free_page(Operand::R8))
}

fn range_block() -> Checks {
    let good = || Case::new(runnable(), Leaf::MemRangeBlock, args(GPA_MAPPED, TDR, 0, 0));
    let at = (GPA_MAPPED, Level::K4, raw::MAPPED | MAPPED, state::MAPPED);
    Checks::new(Leaf::MemRangeBlock, good)
        .zeroes(RCX_RDX)
        .all(prologue(
            Leaf::MemRangeBlock,
            (Level::K4, Level::G512),
            Mode::Exclusive,
            at,
        ))
        .check(
            "already_blocked",
            Status::GPA_RANGE_ALREADY_BLOCKED.with(Operand::RCX),
            |c| {
                c.set_entry(GPA_MAPPED, Level::K4, raw::BLOCKED | MAPPED);
                c.args.rcx = GPA_MAPPED;
                c.reports(raw::HIDDEN | MAPPED, 0, state::BLOCKED);
            },
        )
        .all([state_incorrect(
            GPA_FREE,
            Level::K4,
            NOTHING_FREE,
            (NOTHING, state::FREE),
        )])
}

fn range_unblock() -> Checks {
    let good = || {
        Case::new(
            blocked(GPA_MAPPED),
            Leaf::MemRangeUnblock,
            args(GPA_MAPPED, TDR, 0, 0),
        )
    };
    let at = (GPA_MAPPED, Level::K4, raw::HIDDEN | MAPPED, state::BLOCKED);
    Checks::new(Leaf::MemRangeUnblock, good)
        .zeroes(RCX_RDX)
        .all(prologue(
            Leaf::MemRangeUnblock,
            (Level::K4, Level::G512),
            Mode::Exclusive,
            at,
        ))
        .all([
            state_incorrect(
                GPA_MAPPED,
                Level::K4,
                raw::MAPPED | MAPPED,
                (raw::MAPPED | MAPPED, state::MAPPED),
            ),
            not_tracked(Operand::SEPT_TREE),
        ])
}

fn sept_add() -> Checks {
    let good = || {
        no_l2_pages(Case::new(
            with_memory(0),
            Leaf::MemSeptAdd,
            args(GPA_FREE_LARGE | 1, TDR, FREE, 0),
        ))
        .version(1)
    };
    let at = (GPA_FREE_LARGE, Level::M2, NOTHING, state::FREE);
    let status = Status::EPT_ENTRY_STATE_INCORRECT.with(Operand::RCX);
    Checks::new(Leaf::MemSeptAdd, good)
        .zeroes(RCX_RDX)
        .all([version()])
        .all(prologue(
            Leaf::MemSeptAdd,
            (Level::M2, Level::G512),
            Mode::Shared,
            at,
        ))
        .all([state_incorrect(
            GPA_FREE_LARGE,
            Level::M2,
            raw::PENDING | FREE_LARGE,
            (raw::HIDDEN | FREE_LARGE, state::PENDING),
        )])
        .check("no_page_in_version_0", INVALID.with(Operand::R8), |c| {
            (c.rax, c.args.r8) = (Leaf::MemSeptAdd as u64, NONE);
        })
        .check("no_page_for_free_entry", status, |c| {
            (c.args.rcx, c.args.r8) = (GPA_FREE_LARGE | 1, NONE);
            c.reports(NOTHING, 1, state::FREE);
        })
        .check("page_for_used_entry", status, |c| {
            c.args.rcx = 1;
            c.reports(7, 1, state::NL_MAPPED);
        })
        .all(free_page(Operand::R8))
        .check("page_for_l2_vm_1", INVALID.with(Operand::R9), |c| {
            c.args.r9 = FREE
        })
        .check("page_for_l2_vm_2", INVALID.with(Operand::R10), |c| {
            c.args.r10 = FREE
        })
        .check("page_for_l2_vm_3", INVALID.with(Operand::R11), |c| {
            c.args.r11 = FREE
        })
        .absent(Status::L2_SEPT_WALK_FAILED, NO_L2)
        .absent(Status::L2_SEPT_ENTRY_NOT_FREE, NO_L2)
        .absent(
            Status::INTERRUPTED_RESUMABLE,
            "comes between pages for the secure EPTs of L2 VMs, of which there are none",
        )
}

const NO_L2: &str = "no TD of the model has a secure EPT for an L2 VM";

fn sept_rd() -> Checks {
    let good = || Case::new(with_memory(0), Leaf::MemSeptRd, args(GPA_MAPPED, TDR, 0, 0));
    let at = (GPA_MAPPED, Level::K4, raw::MAPPED | MAPPED, state::MAPPED);
    let mut checks = common::tdr(Operand::RDX, Mode::Shared);
    checks.extend(common::td(Leaf::MemSeptRd, Mode::Shared));
    Checks::new(Leaf::MemSeptRd, good)
        .zeroes(RCX_RDX)
        .all(checks)
        .check(
            "l2_attributes_of_no_debug_td",
            INVALID.with(Operand::RDX),
            |c| {
                c.args.rdx |= 1;
            },
        )
        .all(common::gpa(Level::K4, Level::G512))
        .all([
            common::tree(Mode::Shared),
            common::walk(),
            common::entry(at.0, at.1, at.2, at.3),
        ])
}

fn sept_remove() -> Checks {
    let good = || {
        // A table without entries.
        let world = runnable();
        world.ok(Leaf::MemSeptAdd, &[GPA_FREE_LARGE | 1, TDR, FREE]);
        world.ok(Leaf::MemRangeBlock, &[GPA_FREE_LARGE | 1, TDR]);
        world.ok(Leaf::MemTrack, &[TDR]);
        Case::new(
            world,
            Leaf::MemSeptRemove,
            args(GPA_FREE_LARGE | 1, TDR, 0, 0),
        )
    };
    let at = (GPA_FREE_LARGE, Level::M2, 0, state::NL_BLOCKED);
    Checks::new(Leaf::MemSeptRemove, good)
        .zeroes(RCX_RDX)
        .all([version()])
        .all(prologue(
            Leaf::MemSeptRemove,
            (Level::M2, Level::G512),
            Mode::Exclusive,
            at,
        ))
        .all([
            state_incorrect(
                GPA_FREE_LARGE,
                Level::M2,
                NOTHING_FREE,
                (NOTHING, state::FREE),
            ),
            found_page_busy("table_busy", FREE, Level::K4),
        ])
        .all(tracking(
            GPA_FREE_LARGE,
            Level::M2,
            raw::NL_MAPPED | FREE,
            (7, state::NL_MAPPED),
        ))
        .check(
            "table_not_empty",
            Status::EPT_PAGE_NOT_FREE.with(Operand::RCX),
            |c| {
                c.world.poke(FREE + 511 * 8, raw::MAPPED | MAPPED);
                c.reports(0, 1, state::NL_BLOCKED);
            },
        )
}

fn page_demote() -> Checks {
    let good = || {
        no_l2_pages(Case::new(
            blocked(GPA_LARGE | 1),
            Leaf::MemPageDemote,
            args(GPA_LARGE | 1, TDR, FREE, 0),
        ))
    };
    let pending = raw::HIDDEN | LARGE;
    let at = (GPA_LARGE, Level::M2, pending, 3);
    Checks::new(Leaf::MemPageDemote, good)
        .zeroes(RCX_RDX)
        .all(prologue(
            Leaf::MemPageDemote,
            (Level::M2, Level::G1),
            Mode::Shared,
            at,
        ))
        .all([state_incorrect(
            GPA_LARGE,
            Level::M2,
            NOTHING_FREE,
            (NOTHING, state::FREE),
        )])
        .all(tracking(
            GPA_LARGE,
            Level::M2,
            raw::PENDING | LARGE,
            (pending, state::PENDING),
        ))
        .all(free_page(Operand::R8))
        .check("interrupted", Status::INTERRUPTED_RESTARTABLE, |c| {
            // The default has ENHANCED_DEMOTE_INTERRUPTIBILITY.
            c.world.machine.config.module = Profile::V1_5_01.into();
            interrupted(c);
        })
        .all([found_page_busy("large_page_busy", LARGE, Level::M2)])
        .absent(Status::L2_SEPT_PAGE_NOT_PROVIDED, NO_L2)
}

/// An interrupt ends the call, which returns its operands to be called again.
fn interrupted(c: &mut Case) {
    c.world
        .machine
        .interrupt
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let (rcx, rdx) = (c.args.rcx, c.args.rdx);
    c.returns(Operand::RCX, rcx);
    c.returns(Operand::RDX, rdx);
}

fn page_promote() -> Checks {
    let good = || {
        // The pieces of what was one page.
        let world = blocked(GPA_LARGE | 1);
        world.ok(Leaf::MemPageDemote, &[GPA_LARGE | 1, TDR, FREE, NONE]);
        world.ok(Leaf::MemRangeBlock, &[GPA_LARGE | 1, TDR]);
        world.ok(Leaf::MemTrack, &[TDR]);
        Case::new(world, Leaf::MemPagePromote, args(GPA_LARGE | 1, TDR, 0, 0))
    };
    let at = (GPA_LARGE, Level::M2, 0, state::NL_BLOCKED);
    let conditions = Status::EPT_INVALID_PROMOTE_CONDITIONS.with(Operand::RCX);
    Checks::new(Leaf::MemPagePromote, good)
        .zeroes(RCX_RDX)
        .all([version()])
        .all(prologue(
            Leaf::MemPagePromote,
            (Level::M2, Level::G1),
            Mode::Shared,
            at,
        ))
        .all([
            state_incorrect(GPA_LARGE, Level::M2, NOTHING_FREE, (NOTHING, state::FREE)),
            found_page_busy("table_busy", FREE, Level::K4),
        ])
        .all(tracking(
            GPA_LARGE,
            Level::M2,
            raw::NL_MAPPED | FREE,
            (7, state::NL_MAPPED),
        ))
        .check("child_busy", BUSY.with(Operand::RCX), |c| {
            let child = FREE + 77 * 8;
            let word = c.world.machine.ram.load(child);
            c.world.poke(child, word | 1 << 11);
            c.sets(child, 1 << 52);
            c.reports(0, 1, state::NL_BLOCKED);
        })
        .check("first_child_not_mapped", conditions, |c| {
            c.world.poke(FREE, raw::BLOCKED | LARGE);
            c.reports(0, 1, state::NL_BLOCKED);
        })
        .check("first_page_not_aligned", conditions, |c| {
            c.world.poke(FREE, raw::PENDING | LARGE | 0x1000);
            c.reports(0, 1, state::NL_BLOCKED);
        })
        .check("pages_not_consecutive", conditions, |c| {
            c.world.poke(FREE + 511 * 8, raw::PENDING | LARGE);
            c.reports(0, 1, state::NL_BLOCKED);
        })
        .check("children_not_alike", conditions, |c| {
            c.world
                .poke(FREE + 511 * 8, raw::MAPPED | (LARGE + 511 * 4096));
            c.reports(0, 1, state::NL_BLOCKED);
        })
        .check("interrupted", Status::INTERRUPTED_RESTARTABLE, interrupted)
        .all([found_page_busy("large_page_busy", LARGE, Level::M2)])
}

fn track() -> Checks {
    let good = || Case::new(runnable(), Leaf::MemTrack, args(TDR, 0, 0, 0));
    Checks::new(Leaf::MemTrack, good)
        .all(common::tdr(Operand::RCX, Mode::Shared))
        .all(common::td(Leaf::MemTrack, Mode::Shared))
        .check("epoch_busy", BUSY.with(Operand::TD_EPOCH), |c| {
            c.hold_epoch(Mode::Exclusive);
        })
        .check(
            "previous_epoch_in_use",
            Status::PREVIOUS_TLB_EPOCH_BUSY,
            |c| {
                c.set_tdcs(tdcs::fields::REFCOUNT, 1);
            },
        )
}

fn mem_rd() -> Checks {
    debug_access(Leaf::MemRd).absent(
        Status::EPT_ENTRY_STATE_INCORRECT.with(Operand::RCX),
        "every state that gives access can be read",
    )
}

fn mem_wr() -> Checks {
    debug_access(Leaf::MemWr).all([state_incorrect(
        GPA_MAPPED,
        Level::K4,
        // BLOCKEDW: can be read.
        raw::BLOCKEDW | MAPPED,
        (raw::READ_ONLY | MAPPED, state::BLOCKEDW),
    )])
}

fn debug_access(leaf: Leaf) -> Checks {
    let good = match leaf {
        Leaf::MemWr => || Case::new(with_memory(DEBUG), Leaf::MemWr, args(GPA_MAPPED, TDR, 1, 0)),
        _ => || Case::new(with_memory(DEBUG), Leaf::MemRd, args(GPA_MAPPED, TDR, 0, 0)),
    };
    Checks::new(leaf, good)
        .zeroes(&[Operand::RCX, Operand::RDX, Operand::R8])
        .all(common::tdr(Operand::RDX, Mode::Shared))
        .all(common::td(leaf, Mode::Shared))
        .check("no_debug_td", Status::TD_NON_DEBUG, |c| {
            c.set_tdcs(tdcs::fields::ATTRIBUTES, 0);
        })
        .check("gpa_not_aligned", INVALID.with(Operand::RCX), |c| {
            c.args.rcx |= 4
        })
        .all([common::tree(Mode::Shared), common::gpa_shared()])
        .check(
            "not_present",
            Status::EPT_ENTRY_NOT_PRESENT.with(Operand::RCX),
            |c| {
                c.args.rcx = GPA_FREE;
                c.reports(NOTHING, 0, state::FREE);
            },
        )
        .all([common::entry(
            GPA_MAPPED,
            Level::K4,
            raw::MAPPED | MAPPED,
            state::MAPPED,
        )])
}
