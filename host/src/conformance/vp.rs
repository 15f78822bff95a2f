// SPDX-License-Identifier: GPL-2.0

//! TDH.VP. TDX ABI: chapters "VP leaves" and "TDH.VP.ENTER".

use super::{
    args,
    case::Case,
    common::{
        self,
        free_page,
        vcpu,
        BUSY,
        INVALID, //
    },
    fixture::{
        initialized,
        runnable,
        with_ready_vcpu,
        with_vcpu,
        FREE,
        TDR,
        TDVPR, //
    },
    Check,
    Checks, //
};
use crate::{
    abi::{
        Leaf,
        Operand,
        Status, //
    },
    sim::model::{
        field::Field,
        lock::Mode,
        metadata::{
            vmcs::{
                self,
                id, //
            },
            NULL_ID, //
        },
        platform::Unable,
        tdcs,
        tdr,
        tdvps::{
            fields,
            Tdvps, //
        }, //
    },
};

/// VCPU_INDEX, which can be read; PEND_NMI, which can be written too.
const VCPU_INDEX: u64 = 0xA020_0002_0000_0002;
const PEND_NMI: u64 = 0x2020_0000_0000_000B;
/// ECX of CPUID leaf 1 in CPUID_VALUES.
const CPUID_1_ECX: Field = Field::new(tdcs::fields::CPUID_VALUES.element(3).offset, 32);
/// A private address that nothing is mapped at.
const UNMAPPED: u64 = 1 << 40;
/// RAX of the guest, for debugging only.
const GUEST_RAX: u64 = 0x1020_0003_0000_0000;

pub(super) fn leaves() -> Vec<Checks> {
    vec![enter(), addcx(), create(), flush(), init(), rd(), wr()]
}

/// The check that the vCPU has all its pages.
fn pages() -> Check {
    Check::new("pages_missing", Status::TDCX_NUM_INCORRECT, |c| {
        c.set_tdvps(fields::NUM_TDVPS_PAGES, 5);
    })
}

fn state_incorrect(state: u64) -> Check {
    Check::new(
        "vcpu_state_incorrect",
        Status::VCPU_STATE_INCORRECT,
        move |c| {
            c.set_tdvps(fields::VCPU_STATE, state);
        },
    )
}

/// The check that no other processor has state of the vCPU.
fn associated() -> Check {
    Check::new("associated_with_other_lp", Status::VCPU_ASSOCIATED, |c| {
        c.set_tdvps(fields::ASSOC_LPID, 1);
    })
}

fn create() -> Checks {
    let good = || Case::new(initialized(0), Leaf::VpCreate, args(FREE, TDR, 0, 0));
    Checks::new(Leaf::VpCreate, good)
        .all(common::tdr(Operand::RDX, Mode::Shared))
        .all(common::td(Leaf::VpCreate, Mode::Shared))
        .all(free_page(Operand::RCX))
}

fn addcx() -> Checks {
    let good = || Case::new(with_vcpu(3), Leaf::VpAddcx, args(FREE, TDVPR, 0, 0));
    Checks::new(Leaf::VpAddcx, good)
        .all(vcpu(Leaf::VpAddcx, Operand::RDX, Mode::Exclusive))
        .all([state_incorrect(2)])
        .check("too_many_pages", Status::TDCX_NUM_INCORRECT, |c| {
            c.set_tdvps(fields::NUM_TDVPS_PAGES, 15);
        })
        .all(free_page(Operand::RCX))
}

fn init() -> Checks {
    let good = || Case::new(with_vcpu(6), Leaf::VpInit, args(TDVPR, 0, 0, 0)).version(1);
    Checks::new(Leaf::VpInit, good)
        .all(vcpu(Leaf::VpInit, Operand::RCX, Mode::Exclusive))
        .all([pages(), state_incorrect(2)])
        .check("max_vcpus", Status::MAX_VCPUS_EXCEEDED, |c| {
            c.set_tdcs(tdcs::fields::NUM_VCPUS, 2);
        })
        .absent(Status::INCONSISTENT_MSR, "IA32_TSC_ADJUST never changes")
}

fn flush() -> Checks {
    let good = || Case::new(with_ready_vcpu(0), Leaf::VpFlush, args(TDVPR, 0, 0, 0));
    Checks::new(Leaf::VpFlush, good)
        .all(common::tdvpr(Operand::RCX, Mode::Exclusive))
        .all([common::implicit_tdr()])
        .check("keys_not_configured", Status::TD_KEYS_NOT_CONFIGURED, |c| {
            c.set_tdr(tdr::fields::LIFECYCLE_STATE, 0)
        })
        .all([pages()])
        .check("not_associated", Status::VCPU_NOT_ASSOCIATED, |c| {
            c.set_tdvps(fields::ASSOC_LPID, 0xFFFF_FFFF);
        })
        .check(
            "associated_with_other_lp",
            Status::VCPU_NOT_ASSOCIATED,
            |c| {
                c.set_tdvps(fields::ASSOC_LPID, 1);
            },
        )
}

/// This machine cannot run a guest: a call that passes all checks ends with the simulator's own answer.
fn enter() -> Checks {
    let good = || Case::new(runnable(), Leaf::VpEnter, args(TDVPR, 0, 0, 0));
    let invalid = INVALID.with(Operand::RCX);
    Checks::new(Leaf::VpEnter, good)
        .ends_with(Unable::Vmx.status())
        .check("reserved_bits", invalid, |c| c.args.rcx |= 1 << 54)
        .all(
            vcpu(Leaf::VpEnter, Operand::RCX, Mode::Shared)
                .into_iter()
                // These bits are no part of the address.
                .filter(|check| {
                    !["tdvpr_not_aligned", "tdvpr_beyond_52_bits"].contains(&check.name)
                }),
        )
        .all([pages(), state_incorrect(8), associated()])
        .check("recoverability_hint_without_trap", invalid, |c| {
            c.args.rcx |= 1 << 52
        })
        .check("resume_of_l1_without_l2", invalid, |c| {
            c.args.rcx |= 1 << 53
        })
        .check(
            "tsc_adjust_changed",
            Status::INCONSISTENT_MSR.with_detail(0x3B),
            |c| c.set_msr(0x3B, 1),
        )
        .check("tsc_rolled_back", Status::TSC_ROLLBACK, |c| {
            c.set_tdvps(fields::LAST_EXIT_TSC, 1 << 62);
        })
        .check(
            "monitor_disabled",
            Status::INCORRECT_MSR_VALUE.with_detail(0x1A0),
            |c| c.set_tdcs(CPUID_1_ECX, 1 << 3),
        )
        .check("epoch_busy", BUSY.with(Operand::TD_EPOCH), |c| {
            c.hold_epoch(Mode::Shared);
        })
        .check("zero_step_tree_busy", BUSY.with(Operand::SEPT_TREE), |c| {
            c.set_tdvps(fields::LAST_EPF_GPA_LIST_IDX, 1);
            c.hold_tree(Mode::Exclusive);
        })
        .check(
            "zero_step_not_mapped",
            Status::SUCCESS.with_detail(48),
            |c| {
                c.set_tdvps(fields::LAST_EPF_GPA_LIST_IDX, 1);
                c.set_tdvps(fields::LAST_EPF_GPA_LIST, UNMAPPED);
                c.returns(Operand::RCX, 2);
                c.returns(Operand::R8, UNMAPPED);
            },
        )
        .absent(Status::LIMIT_CPUID_MAXVAL_SET, "the platform is sound")
}

fn rd() -> Checks {
    let good = || {
        let mut case = Case::new(
            with_ready_vcpu(0),
            Leaf::VpRd,
            args(TDVPR, VCPU_INDEX, 0, 0),
        );
        case.returns(Operand::RDX, NULL_ID);
        case.version(1)
    };
    Checks::new(Leaf::VpRd, good)
        .zeroes(&[Operand::R8])
        .check("version", INVALID.with(Operand::RAX), |c| {
            c.rax = Leaf::VpRd as u64 | 2 << 16;
            let id = c.args.rdx;
            c.returns(Operand::RDX, id);
        })
        .all(vcpu(Leaf::VpRd, Operand::RCX, Mode::Shared))
        // One that is DISABLED can be read.
        .all([pages(), state_incorrect(0), associated()])
        .check(
            "first_field_wanted",
            Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT,
            |c| {
                c.args.rdx = NULL_ID;
                c.returns(
                    Operand::RDX,
                    id::POSTED_INTERRUPT_NOTIFICATION_VECTOR.into_raw(),
                );
            },
        )
        .check("field_unknown", Status::METADATA_FIELD_ID_INCORRECT, |c| {
            c.args.rdx = VCPU_INDEX | 0xFF_0000;
        })
        .check(
            "field_reserved_bits",
            Status::METADATA_FIELD_ID_INCORRECT,
            |c| {
                c.args.rdx = VCPU_INDEX | 1 << 24;
            },
        )
        .check(
            "field_is_sequence",
            Status::METADATA_FIELD_ID_INCORRECT,
            |c| {
                c.args.rdx = VCPU_INDEX | 1 << 38;
            },
        )
        .check(
            "field_not_readable",
            Status::METADATA_FIELD_NOT_READABLE,
            |c| {
                c.args.rdx = GUEST_RAX;
            },
        )
}

fn wr() -> Checks {
    let good = || {
        Case::new(
            with_ready_vcpu(0),
            Leaf::VpWr,
            args(TDVPR, PEND_NMI, 1, 0xFF),
        )
    };
    let value = Status::METADATA_FIELD_VALUE_NOT_VALID;
    Checks::new(Leaf::VpWr, good)
        .zeroes(&[Operand::R8])
        .all(vcpu(Leaf::VpWr, Operand::RCX, Mode::Shared))
        .all([pages(), state_incorrect(8), associated()])
        .check("field_unknown", Status::METADATA_FIELD_ID_INCORRECT, |c| {
            c.args.rdx = VCPU_INDEX | 0xFF_0000;
        })
        .check(
            "field_not_readable",
            Status::METADATA_FIELD_NOT_READABLE,
            |c| {
                c.args.rdx = GUEST_RAX;
            },
        )
        .check(
            "field_not_writable",
            Status::METADATA_FIELD_NOT_WRITABLE,
            |c| {
                c.args.rdx = VCPU_INDEX;
            },
        )
        .check("bits_not_writable", value, |c| {
            c.args.rdx = id::PIN_BASED_CONTROLS.into_raw();
            (c.args.r8, c.args.r9) = (0x82, 0x82);
        })
        .check("vector_above_255", value, |c| {
            c.args.rdx = id::POSTED_INTERRUPT_NOTIFICATION_VECTOR.into_raw();
            (c.args.r8, c.args.r9) = (0x100, 0xFFFF);
        })
        .check("descriptor_not_shared", value, |c| {
            c.args.rdx = id::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS.into_raw();
            (c.args.r8, c.args.r9) = (32 << 46, u64::MAX);
        })
        .check("shared_eptp_not_shared", value, |c| {
            c.args.rdx = id::SHARED_EPTP.into_raw();
            (c.args.r8, c.args.r9) = (0x7000_0000, 0x000F_FFFF_FFFF_F000);
        })
        .check(
            "vector_not_set",
            Status::TD_VMCS_FIELD_NOT_INITIALIZED.with_detail(0x0002),
            |c| {
                c.set_tdvps(vmcs::fields::POSTED_INTERRUPT_NOTIFICATION_VECTOR, 0xFFFF);
                c.args.rdx = id::PIN_BASED_CONTROLS.into_raw();
                (c.args.r8, c.args.r9) = (0x80, 0x80);
            },
        )
        .check(
            "descriptor_not_set",
            Status::TD_VMCS_FIELD_NOT_INITIALIZED.with_detail(0x2016),
            |c| {
                c.set_tdvps(vmcs::fields::POSTED_INTERRUPT_NOTIFICATION_VECTOR, 0x80);
                c.args.rdx = id::PIN_BASED_CONTROLS.into_raw();
                (c.args.r8, c.args.r9) = (0x80, 0x80);
            },
        )
        .check(
            "field_changes_meanwhile",
            BUSY.with(Operand::METADATA_FIELD),
            |c| {
                (c.args.rdx, c.args.r8, c.args.r9) = (PEND_NMI, 1, 0xFF);
                let field = Tdvps::new(&c.world.cpu(1), TDVPR)
                    .word(fields::PEND_NMI)
                    .pa();
                c.meddle(field, 2);
            },
        )
}
