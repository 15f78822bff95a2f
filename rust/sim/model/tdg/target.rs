// SPDX-License-Identifier: GPL-2.0

//! The S-EPT entry that a guest leaf works on.

use super::{
    super::{
        mem::target::{
            check_gpa,
            Levels, //
        },
        platform::Platform,
        sept::{
            self,
            Locked,
            Sept, //
        },
        vmx::EptViolation,
        vp::vcpu::Vcpu,
        Ctx, //
    },
    Outcome,
    Stop,
    Violation, //
};
use crate::abi::{
    guest::ExtendedQualification,
    sept::{
        Entry,
        State, //
    },
    Level,
    Operand,
    Status, //
};

/// A locked entry, and what the leaf says about it when it ends in an exit.
pub struct Target<'a, P: Platform> {
    /// The entry.
    pub locked: Locked<'a, P>,
    /// Its state when it was locked.
    pub state: State,
    request: Request,
}

/// The entry that a leaf asks for.
#[derive(Clone, Copy)]
pub struct Request {
    /// Address.
    pub gpa: u64,
    /// Level.
    pub level: Level,
    /// Kind of the extended exit qualification.
    kind: u64,
}

impl Request {
    /// The check of the operand RCX, a private GPA and a level.
    pub fn check<P: Platform>(
        vcpu: &Vcpu<'_, P>,
        word: u64,
        max: Level,
        kind: u64,
    ) -> Result<Self, Stop> {
        let (gpa, level) = check_gpa(&vcpu.td, word, Levels::new(Level::K4, max))?;
        Ok(Self { gpa, level, kind })
    }

    /// Walks to the entry and locks it. `early` may end the leaf when the walk stops above the level.
    pub fn open<'a, P: Platform>(
        self,
        cx: &Ctx<'a, P>,
        vcpu: &Vcpu<'a, P>,
        early: impl FnOnce(State, Level) -> Option<Status>,
    ) -> Result<Target<'a, P>, Stop> {
        let slot = Sept::of(cx, &vcpu.td)?.walk(cx, self.gpa, self.level)?;
        if slot.level > self.level {
            let entry = slot.load();
            return Err(match early(sept::state(entry)?, slot.level) {
                Some(status) => status.into(),
                None => self.violation(entry, slot.level),
            });
        }
        let locked = slot
            .lock_by_guest()
            .map_err(|status| status.with(Operand::RCX))?;
        let state = sept::state(locked.get())?;
        if !state.is_leaf() && !state.is_empty() {
            return Err(Status::PAGE_SIZE_MISMATCH
                .with_detail(self.level.raw() as u32)
                .into());
        }
        Ok(Target {
            locked,
            state,
            request: self,
        })
    }

    /// The exit that leaves it to the host to do something about an entry.
    fn violation(self, entry: Entry, level: Level) -> Stop {
        let state = entry.state();
        let extended = self.kind
            | self.level.raw() << ExtendedQualification::REQUESTED_SHIFT
            | level.raw() << ExtendedQualification::LEVEL_SHIFT
            | u64::from(state.map_or(0, State::public)) << ExtendedQualification::STATE_SHIFT
            | u64::from(state.is_some_and(State::is_leaf)) << ExtendedQualification::LEAF_SHIFT;
        let rights = entry.into_raw() & Entry::RWX;
        Stop::Outcome(Outcome::Violation(Violation {
            gpa: self.gpa,
            qualification: EptViolation::WRITE_MASK | rights << EptViolation::READABLE_SHIFT,
            extended,
        }))
    }
}

impl<P: Platform> Target<'_, P> {
    /// See [`Request::violation`].
    pub fn violation(&self) -> Stop {
        self.request
            .violation(self.locked.get(), self.request.level)
    }
}
