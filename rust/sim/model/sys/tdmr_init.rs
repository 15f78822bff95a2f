// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.SYS.TDMR.INIT.

use crate::{
    abi::{
        Args,
        Level,
        Operand,
        PageType,
        Status, //
    },
    sim::model::{
        lock::Mode,
        pamt::Entry,
        platform::{
            Platform,
            Range, //
        },
        tdmr::Tdmr,
        Completion,
        Ctx, //
    }, //
};

/// How much of a TDMR one call initialises.
const STEP: u64 = 1024 * Level::K4.size();

/// Initialises the PAMT of the next part of a TDMR.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let base = args.rcx;
    args.rdx = 0;

    cx.check_hpa(Operand::RCX, base, Level::G1.size())?;
    let tdmr = cx
        .module
        .tdmrs
        .iter()
        .find(|tdmr| tdmr.range().base == base)
        .ok_or(Status::OPERAND_INVALID.with(Operand::RCX))?;
    let _lock = tdmr
        .lock()
        .acquire(Mode::Exclusive)
        .ok_or(Status::OPERAND_BUSY.with(Operand::RCX))?;
    let start = tdmr.next();
    if start >= tdmr.range().end() {
        return Err(Status::TDMR_ALREADY_INITIALIZED);
    }
    initialize(cx, tdmr, start);
    tdmr.set_next(start.wrapping_add(STEP));
    args.rdx = tdmr.usable_end();
    Ok(())
}

/// Writes the PAMT entries of the pages of all sizes that begin in the step at `start`.
fn initialize<P: Platform>(cx: &Ctx<'_, P>, tdmr: &Tdmr, start: u64) {
    let step = Range {
        base: start,
        size: STEP,
    };
    let pages = |level: Level| (step.base..step.end()).step_by(level.size() as usize);
    let entry = |level, pa| Entry::new(cx.p, tdmr.pamt_entry(level, pa));

    if start % Level::G1.size() == 0 {
        entry(Level::G1, start).initialize(PageType::Nda);
    }
    pages(Level::M2).for_each(|pa| entry(Level::M2, pa).initialize(PageType::Nda));
    // Of the smallest size there are whole pages of entries, and NDA without lock and owner is 0.
    let entries = tdmr.pamt_entry(Level::K4, step.base)..tdmr.pamt_entry(Level::K4, step.end());
    entries
        .step_by(Level::K4.size() as usize)
        .for_each(|pa| cx.p.fill_page(pa, 0));
    for area in tdmr.reserved().filter(|area| area.overlaps(&step)) {
        (area.base.max(step.base)..area.end().min(step.end()))
            .step_by(Level::K4.size() as usize)
            .for_each(|pa| entry(Level::K4, pa).initialize(PageType::Rsvd));
    }
}
