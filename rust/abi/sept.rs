// SPDX-License-Identifier: GPL-2.0

//! Secure EPT entries, their states, and how leaves report them.
//!
//! TDX ABI: "Secure EPT Entry", "Secure EPT Entry State", "Returned Secure EPT Entry Information".

// `bitfield!` defines constants without documentation.
#![allow(missing_docs)]

use super::{
    addr::Pfn,
    level::Level, //
};
use kernel::bitfield;

pub mod span;

bitfield! {
    /// An L1 secure EPT entry, as it is in memory.
    pub struct Entry(u64) {
        /// Suppress #VE; set in every state that the module writes.
        63:63 sve;
        /// TDUP; no leaf of a TD without migration uses it.
        61:61 tdup;
        /// One bit per L2 VM that has an entry for this GPA.
        60:58 alias;
        /// Verify paging-write.
        57:57 vpw;
        /// TDP: pending.
        56:56 pending;
        /// TDB: blocked.
        55:55 blocked;
        /// TDBW: blocked for writing.
        54:54 write_blocked;
        /// TDEX: exported.
        53:53 exported;
        /// A host call found the entry locked and has priority.
        52:52 host_priority;
        /// Frame of the page or of the table page.
        51:12 pfn => Pfn;
        /// TDEL: entry lock.
        11:11 locked;
        /// Execute for user-mode linear addresses.
        10:10 xu;
        /// Dirty.
        9:9 dirty;
        /// Accessed.
        8:8 accessed;
        /// Set in every leaf, those of 4 KiB included.
        7:7 ps;
        /// Ignore PAT.
        6:6 ipat;
        /// Memory type.
        5:3 mt;
        /// Execute.
        2:2 x;
        /// Write.
        1:1 w;
        /// Read.
        0:0 r;
    }
}

/// Bits of the entry that make up its state, lowest bit of the encoding first.
const STATE_SHIFTS: [u32; 7] = [
    Entry::DIRTY_SHIFT,
    Entry::EXPORTED_SHIFT,
    Entry::WRITE_BLOCKED_SHIFT,
    Entry::BLOCKED_SHIFT,
    Entry::PENDING_SHIFT,
    Entry::IPAT_SHIFT,
    Entry::PS_SHIFT,
];

impl Entry {
    /// R, W and X.
    pub const RWX: u64 = Self::R_MASK | Self::W_MASK | Self::X_MASK;

    /// Memory type write-back, in place.
    pub const MT_WB: u64 = 6 << Self::MT_SHIFT;

    /// All bits of the state encoding, in place.
    pub const STATE_MASK: u64 = Self::DIRTY_MASK
        | Self::EXPORTED_MASK
        | Self::WRITE_BLOCKED_MASK
        | Self::BLOCKED_MASK
        | Self::PENDING_MASK
        | Self::IPAT_MASK
        | Self::PS_MASK;

    /// An entry that maps nothing.
    pub const FREE: Self = Self::from_raw(Self::SVE_MASK | State::Free.bits());

    /// What leaves report of an entry that maps a page.
    const LEAF_INFO: u64 = Self::RWX
        | Self::MT_MASK
        | Self::IPAT_MASK
        | Self::PS_MASK
        | Self::PFN_MASK
        | Self::SVE_MASK;

    /// What leaves report of an entry that points to a table page.
    const NON_LEAF_INFO: u64 = Self::RWX | Self::PS_MASK;

    /// Creates the entry that the module writes for a page or a table page in `state`.
    ///
    /// Not meant for [`State::Free`] (see [`Entry::FREE`]), [`State::Removed`] and the states of
    /// migration, which hold other things than a frame number or have fewer rights.
    pub const fn new(state: State, pfn: Pfn) -> Self {
        let mut raw = Self::SVE_MASK | state.bits() | pfn.pa();
        if state.is_leaf() {
            raw |= Self::MT_WB;
        }
        if !state.is_blocked() && !state.is_pending() {
            raw |= Self::RWX;
        }
        Self::from_raw(raw)
    }

    /// Returns the 7-bit encoding of the state.
    #[inline]
    pub const fn state_encoding(self) -> u8 {
        let mut encoding = 0;
        let mut i = 0;
        while i < STATE_SHIFTS.len() {
            encoding |= (((self.into_raw() >> STATE_SHIFTS[i]) & 1) as u8) << i;
            i += 1;
        }
        encoding
    }

    /// Returns the state, `None` if no state has this encoding.
    #[inline]
    pub const fn state(self) -> Option<State> {
        State::from_encoding(self.state_encoding())
    }

    /// Returns whether the entry is in `state`: quicker than to ask which one it is in.
    #[inline]
    pub const fn is(self, state: State) -> bool {
        self.into_raw() & Self::STATE_MASK == state.bits()
    }

    /// Returns whether the entry gives any access, which is what lets a walk go on below it.
    #[inline]
    pub const fn is_accessible(self) -> bool {
        self.into_raw() & Self::RWX != 0
    }

    /// Returns the entry as leaves report it in RCX.
    pub const fn reported(self) -> u64 {
        match self.state() {
            Some(State::Free) => Self::SVE_MASK,
            Some(state) if state.is_leaf() => self.into_raw() & Self::LEAF_INFO,
            _ => self.into_raw() & Self::NON_LEAF_INFO,
        }
    }
}

macro_rules! states {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $public:literal, $encoding:literal;)*) => {
        /// State of an L1 secure EPT entry.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum State {
            $($(#[$doc])* $variant,)*
        }

        impl State {
            /// All states, in the order of the ABI's table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the name of the state.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns the number that leaves report.
            pub const fn public(self) -> u8 {
                match self {
                    $(Self::$variant => $public,)*
                }
            }

            /// Returns the state that leaves report by this number.
            pub const fn from_public(public: u8) -> Option<Self> {
                match public {
                    $($public => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Returns the encoding in an entry's state bits.
            pub const fn encoding(self) -> u8 {
                match self {
                    $(Self::$variant => $encoding,)*
                }
            }

            /// Returns the state with this encoding in an entry's state bits.
            pub const fn from_encoding(encoding: u8) -> Option<Self> {
                match encoding {
                    $($encoding => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

// State = name, number reported by leaves, encoding in the entry.
states! {
    /// Maps nothing.
    Free = "FREE", 0, 0x0E;
    /// The page was removed while an import was in progress.
    Removed = "REMOVED", 5, 0x0C;
    /// Points to a table page.
    NlMapped = "NL_MAPPED", 132, 0x00;
    /// Points to a table page, blocked.
    NlBlocked = "NL_BLOCKED", 129, 0x08;
    /// Maps a page that the guest may use.
    Mapped = "MAPPED", 4, 0x60;
    /// Maps a page, blocked.
    Blocked = "BLOCKED", 1, 0x68;
    /// Maps a page, blocked for writing.
    BlockedW = "BLOCKEDW", 8, 0x64;
    /// Exported and blocked for writing.
    ExportedBlockedW = "EXPORTED_BLOCKEDW", 9, 0x66;
    /// Exported, written since.
    ExportedDirty = "EXPORTED_DIRTY", 11, 0x63;
    /// Exported, written since, blocked for writing.
    ExportedDirtyBlockedW = "EXPORTED_DIRTY_BLOCKEDW", 12, 0x67;
    /// Maps a page that the guest has not accepted.
    Pending = "PENDING", 2, 0x70;
    /// Pending and blocked.
    PendingBlocked = "PENDING_BLOCKED", 3, 0x78;
    /// Pending and blocked for writing.
    PendingBlockedW = "PENDING_BLOCKEDW", 16, 0x74;
    /// Pending, exported and blocked for writing.
    PendingExportedBlockedW = "PENDING_EXPORTED_BLOCKEDW", 17, 0x76;
    /// Pending, exported, accepted or written since.
    PendingExportedDirty = "PENDING_EXPORTED_DIRTY", 19, 0x73;
    /// Pending, exported, accepted or written since, blocked for writing.
    PendingExportedDirtyBlockedW = "PENDING_EXPORTED_DIRTY_BLOCKEDW", 20, 0x77;
}

impl State {
    /// Returns the state bits of an entry, in place.
    pub const fn bits(self) -> u64 {
        let mut bits = 0;
        let mut i = 0;
        while i < STATE_SHIFTS.len() {
            bits |= (((self.encoding() >> i) & 1) as u64) << STATE_SHIFTS[i];
            i += 1;
        }
        bits
    }

    /// Returns whether an entry in this state maps a page.
    #[inline]
    pub const fn is_leaf(self) -> bool {
        self.bits() & Entry::PS_MASK != 0
    }

    /// Returns whether nothing is mapped: neither a page nor a table page.
    #[inline]
    pub const fn is_empty(self) -> bool {
        matches!(self, Self::Free | Self::Removed)
    }

    /// Returns whether the entry is blocked, for reading too.
    #[inline]
    pub const fn is_blocked(self) -> bool {
        !self.is_empty() && self.bits() & Entry::BLOCKED_MASK != 0
    }

    /// Returns whether the entry is blocked for writing only.
    #[inline]
    pub const fn is_write_blocked(self) -> bool {
        self.is_leaf() && self.bits() & Entry::WRITE_BLOCKED_MASK != 0
    }

    /// Returns whether the guest has yet to accept the page.
    #[inline]
    pub const fn is_pending(self) -> bool {
        self.is_leaf() && self.bits() & Entry::PENDING_MASK != 0
    }

    /// Returns whether the guest may access the page.
    #[inline]
    pub const fn is_guest_accessible(self) -> bool {
        self.is_leaf() && !self.is_blocked() && !self.is_pending()
    }

    /// Returns whether address translations may be cached, so that TLB tracking has to be done
    /// before what the entry maps is taken away.
    #[inline]
    pub const fn needs_tracking(self) -> bool {
        !matches!(
            self,
            Self::Free | Self::Removed | Self::ExportedBlockedW | Self::PendingExportedBlockedW
        )
    }
}

bitfield! {
    /// Level and state of an entry, as leaves report them in RDX.
    pub struct Info(u64) {
        /// Which VM's entry: 0 for L1.
        17:16 vm;
        /// State number, see [`State::public`]; L2 entries have numbers of their own.
        15:8 public_state;
        /// Level of the entry.
        2:0 raw_level;
    }
}

impl Info {
    /// Returns the report of an L1 entry.
    pub const fn new(level: Level, state: State) -> Self {
        Self::from_raw(level.raw() | ((state.public() as u64) << Self::PUBLIC_STATE_SHIFT))
    }

    /// Returns the level.
    pub fn level(self) -> Option<Level> {
        Level::from_raw(self.raw_level().get())
    }

    /// Returns the state, `None` if it is none of an L1 entry.
    pub const fn state(self) -> Option<State> {
        State::from_public((self.into_raw() >> Self::PUBLIC_STATE_SHIFT) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(state: State) -> u64 {
        Entry::new(state, Pfn::new(0x12345).unwrap()).into_raw()
    }

    #[test]
    fn entries_as_the_module_writes_them() {
        assert_eq!(Entry::FREE.into_raw(), 0x80e0_0000_0000_0000);
        assert_eq!(raw(State::Mapped), 0x8000_0000_1234_50f7);
        assert_eq!(raw(State::Pending), 0x8100_0000_1234_50f0);
        assert_eq!(raw(State::Blocked), 0x8080_0000_1234_50f0);
        assert_eq!(raw(State::PendingBlocked), 0x8180_0000_1234_50f0);
        assert_eq!(raw(State::NlMapped), 0x8000_0000_1234_5007);
        assert_eq!(raw(State::NlBlocked), 0x8080_0000_1234_5000);
    }

    #[test]
    fn states_and_numbers_correspond() {
        for &state in State::ALL {
            assert_eq!(State::from_encoding(state.encoding()), Some(state));
            assert_eq!(State::from_public(state.public()), Some(state));
            let entry = Entry::from_raw(!Entry::STATE_MASK | state.bits());
            assert_eq!(entry.state(), Some(state));
            assert!(State::ALL
                .iter()
                .all(|&other| entry.is(other) == (other == state)));
            let info = Info::new(Level::M2, state);
            assert_eq!((info.level(), info.state()), (Some(Level::M2), Some(state)));
        }
    }

    #[test]
    fn properties_of_states() {
        // Leaf, blocked, write-blocked, pending, guest-accessible, needs tracking.
        let rows = [
            "......", "......", ".....t", ".b...t", "l...gt", "lb...t", "l.w.gt", "l.w.g.",
            "l...gt", "l.w.gt", "l..p.t", "lb.p.t", "l.wp.t", "l.wp..", "l..p.t", "l.wp.t",
        ];
        for (&state, row) in State::ALL.iter().zip(rows) {
            let has = |c| row.contains(c);
            assert_eq!(state.is_leaf(), has('l'), "{}", state.name());
            assert_eq!(state.is_blocked(), has('b'), "{}", state.name());
            assert_eq!(state.is_write_blocked(), has('w'), "{}", state.name());
            assert_eq!(state.is_pending(), has('p'), "{}", state.name());
            assert_eq!(state.is_guest_accessible(), has('g'), "{}", state.name());
            assert_eq!(state.needs_tracking(), has('t'), "{}", state.name());
        }
    }

    #[test]
    fn reported_entries_hide_tables() {
        assert_eq!(Entry::FREE.reported(), 1 << 63);
        assert_eq!(Entry::from_raw(raw(State::NlMapped)).reported(), 7);
        assert_eq!(Entry::from_raw(raw(State::NlBlocked)).reported(), 0);
        assert_eq!(
            Entry::from_raw(raw(State::PendingBlocked)).reported(),
            0x8000_0000_1234_50f0
        );
    }
}
