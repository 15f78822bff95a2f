// SPDX-License-Identifier: GPL-2.0

//! Properties of the ABI's types, for all numbers.

use proptest::prelude::*;
use tdx::{
    abi::{
        sept::{
            Entry,
            Info,
            State, //
        },
        Gpa,
        GpaWord,
        Hkid,
        KeyedPfn,
        Leaf,
        Level,
        Operand,
        Pfn,
        Rax,
        Status, //
    },
    sept::Range,
};

fn level() -> impl Strategy<Value = Level> {
    proptest::sample::select(Level::ALL.to_vec())
}

/// Numbers of all sizes: a plain random one is nearly always large.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0u32..64).prop_map(|(n, shift)| n >> shift)
}

proptest! {
    #[test]
    fn frames_are_addresses(pfn in number(), more in number()) {
        let valid = pfn < 1 << 40;
        prop_assert_eq!(Pfn::new(pfn).map(Pfn::get), valid.then_some(pfn));
        if let Some(page) = Pfn::new(pfn) {
            prop_assert_eq!(Pfn::from_pa(page.pa()), Some(page));
            prop_assert_eq!(Pfn::from_pa(page.pa() | 1), None);
            let sum = u128::from(pfn) + u128::from(more);
            let expected = (sum < 1 << 40).then_some(sum as u64);
            prop_assert_eq!(page.checked_add(more).map(Pfn::get), expected);
        }
    }

    #[test]
    fn a_gpa_word_holds_both(gpa in number(), level in level()) {
        let gpa = gpa & !0xfff;
        let aligned = gpa % level.size() == 0;
        if let Some(at) = Gpa::new(gpa).and_then(|gpa| gpa.at(level)) {
            prop_assert!(aligned);
            prop_assert_eq!(at.gpa().get(), gpa);
            prop_assert_eq!(at.level().get(), level.raw());
            prop_assert_eq!(at.into_raw() & GpaWord::RESERVED, 0);
        } else {
            prop_assert!(!aligned || gpa >> 52 != 0);
        }
    }

    #[test]
    fn a_range_ends_within_all_addresses(gpa in number(), nr in number(), level in level()) {
        let gpa = gpa & !0xfff;
        let end = u128::from(gpa) + u128::from(nr) * u128::from(level.size());
        let valid = gpa % level.size() == 0 && nr != 0 && end <= 1 << 52;
        let range = Gpa::new(gpa).and_then(|gpa| Range::new(gpa, level, nr));
        prop_assert_eq!(range.is_some(), valid);
        if let Some(range) = range {
            prop_assert_eq!(u128::from(range.pages()) << 12, end - u128::from(gpa));
        }
    }

    #[test]
    fn a_keyed_frame_keeps_memory_and_key_apart(
        pfn in 0u64..1 << 40,
        hkid in any::<u16>(),
        shift in 0u32..64,
    ) {
        let fits = (12..=52).contains(&shift)
            && u128::from(pfn) << 12 < 1 << shift
            && u128::from(hkid) < 1 << (52 - shift);
        let keyed = KeyedPfn::new(Pfn::new(pfn).unwrap(), Hkid::new(hkid), shift);
        prop_assert_eq!(keyed.is_some(), fits);
        if let Some(keyed) = keyed {
            prop_assert_eq!(keyed.raw() & ((1 << shift) - 1), pfn << 12);
            prop_assert_eq!(keyed.raw() >> shift, u64::from(hkid));
        }
    }

    #[test]
    fn an_entry_keeps_its_frame(raw in any::<u64>(), pfn in 0u64..1 << 40) {
        let page = Pfn::new(pfn).unwrap();
        let entry = Entry::from_raw(raw).with_pfn(page);
        prop_assert_eq!(entry.pfn(), page);
        prop_assert_eq!(entry.into_raw() & !Entry::PFN_MASK, raw & !Entry::PFN_MASK);
        prop_assert_eq!(entry.state(), Entry::from_raw(raw).state());
    }

    #[test]
    fn what_is_reported_can_be_read(level in level(), state in proptest::sample::select(State::ALL)) {
        let info = Info::new(level, state);
        prop_assert_eq!(info.level(), Some(level));
        prop_assert_eq!(info.state(), Some(state));
        prop_assert_eq!(info.vm().get(), 0);
    }

    #[test]
    fn a_status_keeps_its_code(
        code in proptest::sample::select(Status::ALL),
        id in any::<u32>(),
    ) {
        let status = code.with(Operand::from_raw(id));
        prop_assert!(status.is(code));
        prop_assert_eq!(status.name(), code.name());
        prop_assert_eq!(status.is_error(), code.is_error());
        prop_assert_eq!(status.detail(), id);
        prop_assert_eq!(Status::from_raw(status.raw()), status);
    }

    #[test]
    fn rax_holds_leaf_and_version(
        leaf in proptest::sample::select(Leaf::ALL),
        version in any::<u8>(),
    ) {
        let rax = Rax::new(leaf, version);
        prop_assert_eq!(rax.known_leaf(), Some(leaf));
        prop_assert_eq!(rax.version().get(), u64::from(version));
        prop_assert_eq!(rax.into_raw() & Rax::RESERVED, 0);
    }
}
