// SPDX-License-Identifier: GPL-2.0

//! Making the root of the EPT that a TD runs with.

use super::Cpu;
use crate::{
    sim::{
        model::{
            metadata::vmcs::fields as vmcs,
            platform::Platform,
            run::root::Root,
            tdcs::{
                self,
                Tdcs, //
            },
            tdvps::Tdvps, //
        },
        platform::Machine, //
    }, //
};

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
    let Ok(Root { shared, .. }) = Root::new(machine.abilities(), tdcs) else {
        return;
    };
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
