// SPDX-License-Identifier: GPL-2.0

//! The root of the EPT that a TD runs with: a page of the CPU, made of two.

use super::{
    Cpu,
    PAGE_WORDS, //
};
use crate::{
    abi::Level,
    sim::{
        model::{
            metadata::vmcs::fields as vmcs,
            platform::Platform,
            tdcs::{
                self,
                Tdcs, //
            },
            tdvps::Tdvps, //
        },
        platform::Machine, //
    }, //
};

/// The root page of a TD's EPT.
pub(super) struct Root {
    /// Levels below it.
    pub(super) walk: u32,
    /// The first entry that is for shared memory; 0 if the SHARED bit is not one that selects an entry of the
    /// root.
    pub(super) shared: usize,
}

impl Root {
    pub(super) fn of(tdcs: &Tdcs<'_, Machine<'_>>) -> Self {
        let walk = ((tdcs.get(tdcs::fields::EPTP) >> 3) & 7) as u32;
        let shared = (tdcs.gpa_width() - 1)
            .checked_sub(Level::K4.shift() + 9 * walk)
            .and_then(|bit| 1usize.checked_shl(bit))
            .filter(|shared| *shared < PAGE_WORDS);
        Self {
            walk,
            shared: shared.unwrap_or(0),
        }
    }
}

/// Everything in an EPT pointer but the address.
pub(super) const CONTROLS: u64 = 0x3F;

/// Makes the root of the EPT: the lower part is that of the secure EPT, the rest that of the host's shared
/// EPT.
pub(super) fn merge_roots(
    machine: &Machine<'_>,
    cpu: &Cpu,
    tdcs: &Tdcs<'_, Machine<'_>>,
    tdvps: &Tdvps<'_, Machine<'_>>,
) {
    let Root { shared, .. } = Root::of(tdcs);
    let mask = machine.config().memory_mask() & !0xFFF;
    // SAFETY: The page is this CPU's, and mapped for good; only the CPU itself reads it otherwise.
    let root = unsafe { &mut *cpu.root };
    let (private_part, shared_part) = root.split_at_mut(shared);
    machine.read_words(
        tdcs.page(tdcs::fields::SEPT_ROOT.offset >> 12),
        private_part,
    );
    let from = tdvps.get(vmcs::SHARED_EPTP) & mask;
    machine.read_words(from | (shared as u64 * 8), shared_part);
}
