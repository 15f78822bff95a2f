// SPDX-License-Identifier: GPL-2.0

//! Entries of a secure EPT as people want to see them: what goes on is shown once.

use super::State;
use crate::abi::Level;
use core::{
    fmt,
    mem, //
};

/// Entries of one level that follow each other and map contiguous memory in the same state; or one entry
/// that points to a table page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Where it begins.
    pub gpa: u64,
    /// Level of the entries.
    pub level: Level,
    /// State of the entries, `None` if it is none.
    pub state: Option<State>,
    /// What the first entry maps, or points to.
    pub pfn: u64,
    /// Number of entries.
    pub entries: u64,
}

impl Span {
    fn is_followed_by(&self, next: &Self) -> bool {
        let size = self.entries.wrapping_mul(self.level.size());
        let pages = self.entries.wrapping_mul(self.level.pages());
        self.state.is_some_and(State::is_leaf)
            && self.state == next.state
            && self.level == next.level
            && self.gpa.wrapping_add(size) == next.gpa
            && self.pfn.wrapping_add(pages) == next.pfn
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "gpa={:#x} size={:#x} level={} state={} pfn={:#x} n={}",
            self.gpa,
            self.entries.wrapping_mul(self.level.size()),
            self.level.raw(),
            self.state.map_or("-", State::name),
            self.pfn,
            self.entries,
        )
    }
}

/// Puts spans together that go on from each other.
#[derive(Default)]
pub struct Spans(Option<Span>);

impl Spans {
    /// Takes the next span. Returns the one before if that is at its end.
    pub fn push(&mut self, next: Span) -> Option<Span> {
        match &mut self.0 {
            Some(last) if last.is_followed_by(&next) => {
                last.entries = last.entries.wrapping_add(next.entries);
                None
            }
            last => mem::replace(last, Some(next)),
        }
    }

    /// Returns the last span.
    pub fn finish(&mut self) -> Option<Span> {
        self.0.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(n: u64) -> Span {
        Span {
            gpa: 0x4000_0000 + (n << 12),
            level: Level::K4,
            state: Some(State::Pending),
            pfn: 0x1000 + n,
            entries: 1,
        }
    }

    #[test]
    fn pages_that_go_on_are_one() {
        let mut spans = Spans::default();
        for n in 0..3 {
            assert_eq!(spans.push(page(n)), None);
        }
        let three = Span {
            entries: 3,
            ..page(0)
        };
        assert_eq!(spans.push(page(4)), Some(three));
        assert_eq!(spans.finish(), Some(page(4)));
        assert_eq!(spans.finish(), None);
        assert_eq!(
            three.to_string(),
            "gpa=0x40000000 size=0x3000 level=0 state=PENDING pfn=0x1000 n=3"
        );
    }

    #[test]
    fn other_memory_state_or_level_is_another() {
        let others = [
            Span { pfn: 7, ..page(1) },
            Span { gpa: 0, ..page(1) },
            Span {
                state: Some(State::Mapped),
                ..page(1)
            },
            Span {
                level: Level::M2,
                ..page(1)
            },
        ];
        for other in others {
            let mut spans = Spans::default();
            spans.push(page(0));
            assert_eq!(spans.push(other), Some(page(0)));
        }
    }

    #[test]
    fn tables_are_shown_one_by_one() {
        let table = Span {
            state: Some(State::NlMapped),
            ..page(0)
        };
        let next = Span {
            state: Some(State::NlMapped),
            ..page(1)
        };
        let mut spans = Spans::default();
        spans.push(table);
        assert_eq!(spans.push(next), Some(table));
    }
}
