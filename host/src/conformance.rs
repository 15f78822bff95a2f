// SPDX-License-Identifier: GPL-2.0

//! The checks of each leaf in the order of the TDX ABI, as data.
//!
//! A check is its name, the completion status of a call that fails it, and how to break a call that
//! succeeds so that it fails this check. The tests of `tests/conformance.rs` are made from it, one
//! for each check, and so is the page `docs/conformance.md`. No run may see a status that is not
//! here: see [`knows`].

pub mod case;
mod common;
pub mod differences;
pub mod fixture;
mod mem;
mod mng;
mod mr;
mod phymem;
mod sys;
mod vp;

use crate::abi::{
    status::Detail,
    Args,
    Leaf,
    Operand,
    Status, //
};
use case::Case;
use std::sync::LazyLock;

/// How a check is made to fail.
type Break = Box<dyn Fn(&mut Case) + Send + Sync>;

/// A check of a leaf.
pub struct Check {
    /// What is checked; the test has this name, too.
    pub name: &'static str,
    /// How a call ends that fails it.
    pub status: Status,
    breaks: Break,
}

impl Check {
    /// A check that fails after `breaks`.
    fn new(
        name: &'static str,
        status: Status,
        breaks: impl Fn(&mut Case) + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            status,
            breaks: Box::new(breaks),
        }
    }
}

/// A check of the real module that the model does not make.
pub struct Absent {
    /// How a call ends that fails it.
    pub status: Status,
    /// Why no call of the model ends so.
    pub reason: &'static str,
}

/// The checks of a leaf.
pub struct Checks {
    /// The leaf; `None`: those that the dispatcher makes for all leaves.
    pub leaf: Option<Leaf>,
    /// What kind of call of the leaf, if there are several.
    of: &'static str,
    good: fn() -> Case,
    /// Registers that are 0 after a call that has failed, unless the check says otherwise.
    zeroed: &'static [Operand],
    /// How the good call ends.
    pub end: Status,
    /// In the order in which they are made.
    pub checks: Vec<Check>,
    /// What is knowingly left out.
    pub absent: Vec<Absent>,
}

impl Checks {
    /// A leaf without checks, and a call of it that succeeds.
    fn new(leaf: impl Into<Option<Leaf>>, good: fn() -> Case) -> Self {
        Self {
            leaf: leaf.into(),
            of: "",
            good,
            zeroed: &[],
            end: Status::SUCCESS,
            checks: Vec::new(),
            absent: Vec::new(),
        }
    }

    /// Says what kind of call of the leaf this is.
    fn of(mut self, of: &'static str) -> Self {
        self.of = of;
        self
    }

    /// Says which registers a failing call returns as 0.
    fn zeroes(mut self, registers: &'static [Operand]) -> Self {
        self.zeroed = registers;
        self
    }

    /// Says how the good call ends, if not in success.
    fn ends_with(mut self, end: Status) -> Self {
        self.end = end;
        self
    }

    /// Appends a check.
    fn check(
        mut self,
        name: &'static str,
        status: Status,
        breaks: impl Fn(&mut Case) + Send + Sync + 'static,
    ) -> Self {
        self.checks.push(Check::new(name, status, breaks));
        self
    }

    /// Appends checks that several leaves make.
    fn all(mut self, checks: impl IntoIterator<Item = Check>) -> Self {
        self.checks.extend(checks);
        self
    }

    /// Appends a check that the model does not make.
    fn absent(mut self, status: Status, reason: &'static str) -> Self {
        self.absent.push(Absent { status, reason });
        self
    }

    /// The name of the leaf in the names of tests: `mem::page_aug` for TDH.MEM.PAGE.AUG, or
    /// `mem::page_aug::2m` for a kind of call of it.
    pub fn path(&self) -> String {
        let Some(leaf) = self.leaf else {
            return "all".into();
        };
        let name = leaf.name().trim_start_matches("TDH.").to_lowercase();
        let (class, name) = name.split_once('.').unwrap_or(("", &name));
        let of = if self.of.is_empty() { "" } else { "::" };
        format!("{class}::{}{of}{}", name.replace('.', "_"), self.of)
    }

    /// A call that succeeds.
    pub fn good(&self) -> Case {
        (self.good)()
    }

    /// Proves that the good call is one.
    ///
    /// # Errors
    ///
    /// How else it ended.
    pub fn prove_good(&self) -> Result<(), String> {
        let status = self.good().call().0;
        if status == self.end {
            Ok(())
        } else {
            Err(format!("{status}, not {}", self.end))
        }
    }

    fn broken(&self, check: &Check) -> Case {
        let mut case = self.good();
        (check.breaks)(&mut case);
        case
    }

    /// Proves a check: a call that is broken for it ends with its status, and changes nothing but
    /// what the ABI says.
    ///
    /// # Errors
    ///
    /// What was found to be different.
    pub fn prove(&self, check: &Check) -> Result<(), String> {
        let case = self.broken(check);
        let mut out = case.args;
        for register in self.zeroed {
            *case::register(&mut out, *register) = 0;
        }
        case.run(check.status, out)
    }

    /// Proves that locks of the good call can be shared where it shares them: of each check for a
    /// lock, the same with a holder that shares it.
    ///
    /// # Errors
    ///
    /// What was found to be different.
    pub fn prove_shared(&self) -> Result<(), String> {
        for check in &self.checks {
            let mut case = self.good();
            case.only_shared = true;
            (check.breaks)(&mut case);
            if case.shared {
                let status = case.call().0;
                if status != self.end {
                    return Err(format!("{}: {status} with another sharer", check.name));
                }
            }
        }
        Ok(())
    }

    /// Proves the order of the checks: of a call that is broken for two of them, the first decides.
    ///
    /// # Errors
    ///
    /// What was found to be different.
    pub fn prove_order(&self) -> Result<(), String> {
        for (i, first) in self.checks.iter().enumerate() {
            for second in &self.checks[i + 1..] {
                let mut case = self.broken(second);
                (first.breaks)(&mut case);
                let status = case.call().0;
                if status != first.status {
                    return Err(format!(
                        "{} and {}: {status}, not {}",
                        first.name, second.name, first.status
                    ));
                }
            }
        }
        Ok(())
    }

    /// All statuses that calls of the leaf end with.
    pub fn statuses(&self) -> impl Iterator<Item = Status> + '_ {
        self.checks
            .iter()
            .map(|check| check.status)
            .chain([self.end])
    }
}

/// The checks of all leaves that the model has; first those that all leaves have in common.
pub static TABLE: LazyLock<Vec<Checks>> = LazyLock::new(|| {
    let mut table = vec![sys::all()];
    table.extend(sys::leaves());
    table.extend(mng::leaves());
    table.extend(vp::leaves());
    table.extend(mem::leaves());
    table.extend(mr::leaves());
    table.extend(phymem::leaves());
    table
});

/// A status less what differs from call to call: indexes and numbers, but not operands.
pub fn kind(status: Status) -> Status {
    match status.detail_kind() {
        Detail::Operand | Detail::None => status,
        _ => status.with_detail(0),
    }
}

/// The kinds of status of each leaf, by its number.
static KNOWN: LazyLock<Vec<Vec<Status>>> = LazyLock::new(|| {
    let mut known = vec![Vec::new(); Leaf::TABLE_SIZE];
    for checks in TABLE.iter() {
        for status in checks.statuses().map(kind) {
            match checks.leaf {
                Some(leaf) => known[leaf as usize].push(status),
                None => known.iter_mut().for_each(|known| known.push(status)),
            }
        }
    }
    known
});

/// Whether the table says that a call of `leaf` can end with `status`; the leaf is `None` if the
/// number in RAX is none of a leaf.
pub fn knows(leaf: Option<Leaf>, status: Status) -> bool {
    match leaf {
        Some(leaf) => KNOWN[leaf as usize].contains(&kind(status)),
        None => TABLE[0].statuses().any(|known| known == status),
    }
}

/// Registers of `args` by name, for the tables.
fn args(rcx: u64, rdx: u64, r8: u64, r9: u64) -> Args {
    Args {
        rcx,
        rdx,
        r8,
        r9,
        ..Args::default()
    }
}
