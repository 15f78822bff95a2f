// SPDX-License-Identifier: GPL-2.0

//! Which leaf accepts an entry in which state.

use super::super::by_leaf::ByLeaf;
use crate::abi::{
    sept::State,
    Leaf, //
};

/// The states that a leaf accepts, as indexes of the ABI's table of states.
///
/// TDX ABI: "Secure EPT Entry State: allowed operations". A leaf without a row makes no such check.
static STATES: ByLeaf = ByLeaf::new(&[
    (Leaf::MemPageAdd, &[0]),
    (Leaf::MemSeptAdd, &[0, 2]),
    (
        Leaf::MemPageRelocate,
        &[4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    ),
    (Leaf::MemPageAug, &[0, 1]),
    (Leaf::MemRangeBlock, &[2, 4, 6, 10, 12]),
    (Leaf::MemRd, &[4, 6, 7, 8, 9]),
    (Leaf::MemWr, &[4, 8]),
    (Leaf::MemPageDemote, &[4, 5, 10, 11]),
    (Leaf::MrExtend, &[4]),
    (Leaf::MemPagePromote, &[2, 3]),
    (
        Leaf::MemSeptRd,
        &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    ),
    (Leaf::MemPageRemove, &[4, 5, 6, 10, 11, 12]),
    (Leaf::MemSeptRemove, &[2, 3]),
    (Leaf::MemRangeUnblock, &[3, 5, 11]),
]);

/// Whether `leaf` works on an entry in `state`.
#[inline]
pub fn allows(leaf: Leaf, state: State) -> bool {
    STATES.allows(leaf, state as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_by_leaf() {
        assert!(allows(Leaf::MemPageAdd, State::Free));
        assert!(!allows(Leaf::MemPageAdd, State::Removed));
        assert!(allows(Leaf::MemRangeUnblock, State::PendingBlocked));
        assert!(!allows(Leaf::MemRangeBlock, State::NlBlocked));
        // The leaves that take a page away do so with an entry that maps one.
        for leaf in [
            Leaf::MemPageRelocate,
            Leaf::MemPageRemove,
            Leaf::MemPageDemote,
        ] {
            for &state in State::ALL {
                assert!(
                    state.is_leaf() || !allows(leaf, state),
                    "{} {}",
                    leaf.name(),
                    state.name()
                );
            }
        }
        assert!(State::ALL
            .iter()
            .all(|&state| allows(Leaf::MemSeptRd, state)));
        assert!(!State::ALL
            .iter()
            .any(|&state| allows(Leaf::MemTrack, state)));
    }
}
