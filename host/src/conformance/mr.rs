// SPDX-License-Identifier: GPL-2.0

//! TDH.MR. TDX ABI: chapter "MR leaves".

use super::{
    args,
    case::Case,
    common::{
        self,
        INVALID, //
    },
    fixture::{
        with_memory,
        GPA_FREE,
        GPA_MAPPED,
        MAPPED,
        TDR, //
    },
    Checks, //
};
use crate::{
    abi::{
        Leaf,
        Level,
        Operand,
        Status, //
    },
    sim::model::{
        lock::Mode,
        tdcs, //
    },
};

pub(super) fn leaves() -> Vec<Checks> {
    vec![extend(), finalize()]
}

fn extend() -> Checks {
    let good = || Case::new(with_memory(0), Leaf::MrExtend, args(GPA_MAPPED, TDR, 0, 0));
    let not_present = Status::EPT_ENTRY_NOT_PRESENT;
    Checks::new(Leaf::MrExtend, good)
        .zeroes(&[Operand::RCX, Operand::RDX])
        .all(common::tdr(Operand::RDX, Mode::Exclusive))
        .all(common::td(Leaf::MrExtend, Mode::Exclusive))
        .check("gpa_not_aligned", INVALID.with(Operand::RCX), |c| {
            c.args.rcx |= 0x80;
        })
        .all([common::gpa_shared()])
        .check("not_present", not_present.with(Operand::RCX), |c| {
            c.args.rcx = GPA_FREE;
            c.reports(common::NOTHING, 0, 0);
        })
        // The one status of this kind that names no operand.
        .check("not_mapped", not_present, |c| {
            const BLOCKEDW: u64 = 0x8040_0000_0000_00F5;
            c.set_entry(GPA_MAPPED, Level::K4, BLOCKEDW | MAPPED);
        })
}

fn finalize() -> Checks {
    let good = || Case::new(with_memory(0), Leaf::MrFinalize, args(TDR, 0, 0, 0));
    Checks::new(Leaf::MrFinalize, good)
        .all(common::tdr(Operand::RCX, Mode::Exclusive))
        .all(common::td(Leaf::MrFinalize, Mode::Exclusive))
        .check("no_vcpus", Status::NO_VCPUS, |c| {
            c.set_tdcs(tdcs::fields::NUM_VCPUS, 0);
        })
}
