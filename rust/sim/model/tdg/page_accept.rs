// SPDX-License-Identifier: GPL-2.0

//! TDG.MEM.PAGE.ACCEPT: takes a page that the host has added, zeroed.

use super::{
    super::{
        mem::target::{
            page,
            page_entry, //
        },
        platform::Platform,
        vp::vcpu::Vcpu,
        Ctx, //
    },
    target::Request,
    Completion,
    Outcome,
    Stop, //
};
use crate::abi::{
    guest::ExtendedQualification,
    sept::{
        Entry,
        State, //
    },
    Args,
    Level,
    Pfn,
    Status, //
};

/// RCX: GPA and level.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, vcpu: &Vcpu<'_, P>, args: &mut Args) -> Completion {
    let accepted = |level: Level| Status::PAGE_ALREADY_ACCEPTED.with_detail(level.raw() as u32);
    let request = Request::check(vcpu, args.rcx, Level::M2, ExtendedQualification::ACCEPT)?;
    let level = request.level;
    let target = request.open(cx, vcpu, |state, level| {
        state.is_guest_accessible().then(|| accepted(level))
    })?;
    match target.state {
        State::Mapped => return Err(accepted(level).into()),
        State::Pending => (),
        _ => return Err(target.violation()),
    }

    let entry = target.locked.get();
    let base = page(entry, level);
    page_entry(cx, &vcpu.td, base, level)?;
    // How far an attempt before has got is in the low bits of the address.
    let mut next = entry.pfn().pa();
    while next < base + level.size() {
        cx.p.fill_page(next, 0);
        next += Level::K4.size();
        if next < base + level.size() && cx.p.interrupt_pending() {
            target.locked.set(pending(next)?);
            return Err(Stop::Outcome(Outcome::Again));
        }
    }
    target.locked.set(Entry::new(State::Mapped, pfn(base)?));
    Ok(())
}

fn pfn(pa: u64) -> Result<Pfn, Status> {
    Pfn::from_pa(pa).ok_or(Status::TD_FATAL)
}

fn pending(next: u64) -> Result<Entry, Status> {
    Ok(Entry::new(State::Pending, pfn(next)?))
}
