// SPDX-License-Identifier: GPL-2.0

//! A rule of fault injection: what goes wrong, in which calls, and how it is written.

use crate::abi::{
    Args,
    Leaf,
    Rax,
    Status, //
};
use core::fmt;

/// What goes wrong. Each kind has events of its own, of which a rule strikes some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A SEAMCALL gets an answer without being carried out.
    Answer = 1,
    /// The model asks whether an interrupt waits, and one seems to.
    Interrupt = 2,
    /// The model asks for a random number or a new key, and there is no entropy.
    NoEntropy = 3,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Answer, Self::Interrupt, Self::NoEntropy];

    const fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Interrupt => "interrupt",
            Self::NoEntropy => "no_entropy",
        }
    }
}

/// The events that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// What goes wrong.
    pub kind: Kind,
    /// In which leaf, `None` for any.
    pub leaf: Option<u16>,
    /// The answer, if that is what goes wrong.
    pub status: Status,
}

impl Target {
    const LEAF: u64 = 0xFFFF;
    const ANY_LEAF: u64 = 1 << 16;
    const KIND_SHIFT: u32 = 32;

    /// Whether the rule is about events of this kind in this leaf.
    #[inline]
    pub fn covers(&self, kind: Kind, leaf: u16) -> bool {
        self.kind == kind && self.leaf.is_none_or(|this| this == leaf)
    }

    /// Two words for [`decode`](Self::decode), the first not 0.
    pub fn encode(&self) -> [u64; 2] {
        let leaf = self.leaf.map_or(Self::ANY_LEAF, u64::from);
        [
            (self.kind as u64) << Self::KIND_SHIFT | leaf,
            self.status.raw(),
        ]
    }

    /// The target that was encoded.
    pub fn decode(words: [u64; 2]) -> Option<Self> {
        let [target, status] = words;
        let number = target >> Self::KIND_SHIFT;
        Some(Self {
            kind: Kind::ALL.into_iter().find(|kind| *kind as u64 == number)?,
            leaf: (target & Self::ANY_LEAF == 0).then_some((target & Self::LEAF) as u16),
            status: Status::from_raw(status),
        })
    }
}

/// As words of a rule, which [`Rule::parse`] takes.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(number) = self.leaf {
            match Leaf::from_raw(number) {
                Some(leaf) => write!(f, "leaf={} ", leaf.name())?,
                None => write!(f, "leaf={number} ")?,
            }
        }
        if self.kind != Kind::Answer {
            return write!(f, "event={}", self.kind.name());
        }
        let operand = self.status.operand().and_then(|operand| operand.name());
        match (self.status.name(), operand, self.status.detail()) {
            (Some(name), Some(operand), _) => write!(f, "status={name}|{operand}"),
            (Some(name), None, 0) => write!(f, "status={name}"),
            _ => write!(f, "status={:#018x}", self.status.raw()),
        }
    }
}

/// Which of its events a rule strikes: what `struct fault_attr` (include/linux/fault-inject.h) knows of
/// that, and a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// The first one, counted from 1.
    pub call: u32,
    /// Each that many from there on.
    pub interval: u32,
    /// How likely each of these is, in percent.
    pub probability: u32,
    /// At most that many, negative for no limit.
    pub times: i32,
    /// None later than that many nanoseconds after the first, 0 for no limit.
    pub ns: u64,
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The events that it is about.
    pub target: Target,
    /// Which of them.
    pub when: When,
}

/// Why a text is no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error<'a> {
    /// The word that is to blame, empty for the text as a whole.
    pub word: &'a str,
    /// What is wrong with it.
    pub why: &'static str,
}

impl fmt::Display for Error<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.word.is_empty() {
            write!(f, "{}: ", self.word)?;
        }
        f.write_str(self.why)
    }
}

/// A number as the kernel takes it from user space: decimal, or hexadecimal after 0x.
pub fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The words `key=value` of a text, which spaces or commas part: the boot parameter has no spaces.
pub fn words(text: &str) -> impl Iterator<Item = Result<(&str, &str, &str), Error<'_>>> {
    text.split(|c: char| c.is_ascii_whitespace() || c == ',')
        .filter(|word| !word.is_empty())
        .map(|word| match word.split_once('=') {
            Some((key, value)) => Ok((word, key, value)),
            None => Err(Error {
                word,
                why: "not key=value",
            }),
        })
}

/// Reads the numbers that the words of a text give to `keys`.
pub fn numbers<'a, const N: usize>(
    text: &'a str,
    keys: &[&str; N],
) -> Result<[Option<u64>; N], Error<'a>> {
    let mut numbers = [None; N];
    for word in words(text) {
        let (word, key, value) = word?;
        let bad = |why| Error { word, why };
        let found = keys.iter().position(|this| *this == key);
        let slot = found.and_then(|i| numbers.get_mut(i));
        *slot.ok_or(bad("no such key"))? = Some(number(value).ok_or(bad("no number"))?);
    }
    Ok(numbers)
}

impl Rule {
    /// Reads a rule.
    ///
    /// `leaf=` and `status=` take names or numbers; `event=interrupt` and `event=no_entropy` stand in the
    /// place of `status=`. `call=`, `interval=`, `probability=`, `times=` and `ns=` are those of [`When`],
    /// by default the first event alone, or all that come in time.
    pub fn parse(text: &str) -> Result<Self, Error<'_>> {
        let (mut leaf, mut status, mut kind, mut times) = (None, None, None, None);
        let mut when = When {
            call: 1,
            interval: 1,
            probability: 100,
            times: 1,
            ns: 0,
        };
        for word in words(text) {
            let (word, key, value) = word?;
            let bad = |why| Error { word, why };
            let count = || {
                let count = number(value).and_then(|n| u32::try_from(n).ok());
                count.filter(|&n| n > 0 && n <= i32::MAX as u32)
            };
            match key {
                "leaf" => leaf = Some(parse_leaf(value).ok_or(bad("no leaf"))?),
                "status" => status = Some(parse_status(value).ok_or(bad("no status"))?),
                "event" => {
                    let found = Kind::ALL.into_iter().find(|kind| kind.name() == value);
                    kind = Some(found.ok_or(bad("neither answer, interrupt nor no_entropy"))?);
                }
                "call" => when.call = count().ok_or(bad("not 1 or more"))?,
                "interval" => when.interval = count().ok_or(bad("not 1 or more"))?,
                "probability" => {
                    let percent = count().filter(|&percent| percent <= 100);
                    when.probability = percent.ok_or(bad("not 1 to 100"))?;
                }
                "times" => {
                    let found = match value {
                        "-1" => Some(-1),
                        _ => count().and_then(|n| i32::try_from(n).ok()),
                    };
                    times = Some(found.ok_or(bad("neither 1 or more nor -1"))?);
                }
                "ns" => {
                    when.ns = number(value)
                        .filter(|&ns| ns > 0)
                        .ok_or(bad("not 1 or more"))?
                }
                _ => return Err(bad("no such key")),
            }
        }
        when.times = times.unwrap_or(if when.ns == 0 { 1 } else { -1 });

        let whole = |why| Error { word: "", why };
        let kind = kind.unwrap_or(Kind::Answer);
        match (kind, leaf, status) {
            (Kind::Answer, None, _) => Err(whole("an answer needs leaf=")),
            (Kind::Answer, _, None) => Err(whole("neither status= nor event=")),
            (Kind::Interrupt | Kind::NoEntropy, _, Some(_)) => {
                Err(whole("status= and event= exclude each other"))
            }
            (_, _, Some(Status::SUCCESS)) => Err(whole("success is no fault")),
            (_, _, status) => Ok(Self {
                target: Target {
                    kind,
                    leaf,
                    status: status.unwrap_or(Status::SUCCESS),
                },
                when,
            }),
        }
    }
}

fn parse_leaf(text: &str) -> Option<u16> {
    match Leaf::from_name(text) {
        Some(leaf) => Some(leaf.raw()),
        None => number(text)?.try_into().ok(),
    }
}

fn parse_status(text: &str) -> Option<Status> {
    Status::from_name(text).or_else(|| number(text).map(Status::from_raw))
}

/// What an answer that was injected leaves in the registers beside RAX.
///
/// TDX ABI: leaves that can show an S-EPT entry in RCX and RDX return 0 there if they show none. Nothing
/// else changes.
pub fn outputs(rax: Rax, args: &mut Args) {
    if rax.known_leaf().is_some_and(Leaf::reports_entry) {
        (args.rcx, args.rdx) = (0, 0);
    }
}

/// How many cycles of a counter that runs at `hz` a time has.
pub fn cycles(ns: u64, hz: u64) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    let part = (ns % SECOND).saturating_mul(hz) / SECOND;
    (ns / SECOND).saturating_mul(hz).saturating_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Operand;

    const FIRST: When = When {
        call: 1,
        interval: 1,
        probability: 100,
        times: 1,
        ns: 0,
    };

    fn answer(leaf: Leaf, status: Status) -> Target {
        Target {
            kind: Kind::Answer,
            leaf: Some(leaf.raw()),
            status,
        }
    }

    #[test]
    fn names_and_numbers() {
        let target = answer(Leaf::MemPageAug, Status::OPERAND_BUSY.with(Operand::RCX));
        for text in [
            "leaf=TDH.MEM.PAGE.AUG status=TDX_OPERAND_BUSY|RCX",
            "  status=TDX_OPERAND_BUSY|RCX\tleaf=6\n",
            "leaf=0x6,status=0x8000020000000001",
        ] {
            let rule = Rule {
                target,
                when: FIRST,
            };
            assert_eq!(Rule::parse(text), Ok(rule), "{text}");
        }
        let any = Rule::parse("event=no_entropy").map(|rule| rule.target.leaf);
        assert_eq!(any, Ok(None));
    }

    #[test]
    fn when() {
        let when = |words: &str| {
            Rule::parse(&format!("event=interrupt {words}"))
                .unwrap()
                .when
        };
        assert_eq!(when(""), FIRST);
        assert_eq!(
            when("call=3 times=2"),
            When {
                call: 3,
                times: 2,
                ..FIRST
            }
        );
        assert_eq!(
            when("interval=10 probability=50 times=-1"),
            When {
                interval: 10,
                probability: 50,
                times: -1,
                ..FIRST
            }
        );
        // For a time means all that come in it.
        assert_eq!(
            when("ns=1000"),
            When {
                ns: 1000,
                times: -1,
                ..FIRST
            }
        );
        assert_eq!(
            when("times=5 ns=1000"),
            When {
                ns: 1000,
                times: 5,
                ..FIRST
            }
        );
    }

    #[test]
    fn what_is_no_rule_is_refused_with_a_reason() {
        for (text, word, why) in [
            ("", "", "an answer needs leaf="),
            ("status=TDX_SYS_BUSY", "", "an answer needs leaf="),
            ("leaf=TDH.SYS.RD", "", "neither status= nor event="),
            (
                "leaf=TDH.SYS.RD event=answer",
                "",
                "neither status= nor event=",
            ),
            ("leaf=TDH.SYS.RD status=0", "", "success is no fault"),
            (
                "leaf=TDH.SYS.RD status=TDX_SUCCESS",
                "",
                "success is no fault",
            ),
            (
                "event=interrupt status=TDX_SYS_BUSY",
                "",
                "status= and event= exclude each other",
            ),
            ("leaf=TDH.SYS.RDX", "leaf=TDH.SYS.RDX", "no leaf"),
            ("leaf=65536", "leaf=65536", "no leaf"),
            ("status=TDX_BUSY", "status=TDX_BUSY", "no status"),
            (
                "status=TDX_SYS_BUSY|RCX",
                "status=TDX_SYS_BUSY|RCX",
                "no status",
            ),
            (
                "event=storm",
                "event=storm",
                "neither answer, interrupt nor no_entropy",
            ),
            ("call=0", "call=0", "not 1 or more"),
            ("call=-1", "call=-1", "not 1 or more"),
            ("call=4294967296", "call=4294967296", "not 1 or more"),
            ("interval=x", "interval=x", "not 1 or more"),
            ("probability=101", "probability=101", "not 1 to 100"),
            ("times=0", "times=0", "neither 1 or more nor -1"),
            ("times=-2", "times=-2", "neither 1 or more nor -1"),
            ("ns=0", "ns=0", "not 1 or more"),
            ("leaf", "leaf", "not key=value"),
            ("lief=1", "lief=1", "no such key"),
        ] {
            let error = Rule::parse(text).unwrap_err();
            assert_eq!((error.word, error.why), (word, why), "{text}");
        }
        let error = Rule::parse("call=0").unwrap_err();
        assert_eq!(error.to_string(), "call=0: not 1 or more");
        assert_eq!(
            Rule::parse("").unwrap_err().to_string(),
            "an answer needs leaf="
        );
    }

    #[test]
    fn numbers_by_key() {
        let keys = ["td", "current"];
        assert_eq!(numbers("", &keys), Ok([None, None]));
        assert_eq!(numbers("current=1", &keys), Ok([None, Some(1)]));
        assert_eq!(
            numbers("td=0x1000 current=2", &keys),
            Ok([Some(0x1000), Some(2)])
        );
        for (text, why) in [
            ("td=", "no number"),
            ("td=-1", "no number"),
            ("tdr=1", "no such key"),
            ("td", "not key=value"),
        ] {
            assert_eq!(numbers(text, &keys), Err(Error { word: text, why }));
        }
    }

    #[test]
    fn targets_survive_words_and_text() {
        let targets = [
            answer(Leaf::VpEnter, Status::SYS_BUSY),
            answer(Leaf::MemTrack, Status::OPERAND_BUSY.with(Operand::TD_EPOCH)),
            answer(Leaf::SysInit, Status::INVALID_PKG_ID.with_detail(3)),
            answer(Leaf::SysInit, Status::VMFAILINVALID),
            Target {
                kind: Kind::Answer,
                leaf: Some(u16::MAX),
                status: Status::from_raw(u64::MAX),
            },
            Target {
                kind: Kind::Interrupt,
                leaf: Some(Leaf::PhymemCacheWb.raw()),
                status: Status::SUCCESS,
            },
            Target {
                kind: Kind::NoEntropy,
                leaf: None,
                status: Status::SUCCESS,
            },
        ];
        for target in targets {
            let words = target.encode();
            assert_ne!(words[0], 0);
            assert_eq!(Target::decode(words), Some(target));
            let text = target.to_string();
            assert_eq!(
                Rule::parse(&text).map(|rule| rule.target),
                Ok(target),
                "{text}"
            );
        }
        assert_eq!(Target::decode([0, 0]), None);
        assert_eq!(Target::decode([u64::MAX, 0]), None);
    }

    #[test]
    fn targets_cover_their_kind_in_their_leaf() {
        let aug = Leaf::MemPageAug.raw();
        let one = answer(Leaf::MemPageAug, Status::SYS_BUSY);
        assert!(one.covers(Kind::Answer, aug));
        assert!(!one.covers(Kind::Answer, aug + 1));
        assert!(!one.covers(Kind::Interrupt, aug));
        let any = Target {
            kind: Kind::Interrupt,
            leaf: None,
            ..one
        };
        assert!(any.covers(Kind::Interrupt, aug) && any.covers(Kind::Interrupt, 0));
        assert!(!any.covers(Kind::Answer, aug));
    }

    #[test]
    fn only_leaves_that_show_entries_clear_registers() {
        let before = Args {
            rcx: 1,
            rdx: 2,
            r8: 3,
            ..Args::default()
        };
        let mut args = before;
        outputs(Leaf::PhymemPageReclaim.into(), &mut args);
        assert_eq!(args, before);
        outputs(Leaf::MemPageAug.into(), &mut args);
        assert_eq!(
            args,
            Args {
                r8: 3,
                ..Args::default()
            }
        );
    }

    #[test]
    fn times_in_cycles() {
        assert_eq!(cycles(0, 2_000_000_000), 0);
        assert_eq!(cycles(1_500_000_000, 2_000_000_000), 3_000_000_000);
        assert_eq!(cycles(7, 1_000_000_000), 7);
        assert_eq!(cycles(u64::MAX, u64::MAX), u64::MAX);
    }
}
