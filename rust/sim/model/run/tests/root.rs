// SPDX-License-Identifier: GPL-2.0

//! Machines that cannot run a TD.

use super::{
    super::super::platform::{
        Abilities,
        Unable, //
    },
    *, //
};

/// EPT pointers less their addresses: write-back, 4 and 5 levels.
const LEVELS_4: u64 = 6 | 3 << 3;
const LEVELS_5: u64 = 6 | 4 << 3;

/// Enters a TD with GPAs of 48 bits, or 52, and with this EPT pointer on such a machine.
fn enter(pa_width: u32, ept5: bool, wide: bool, eptp: u64) -> u64 {
    let mut played = Played::new();
    played.td.sim.machine.abilities = Abilities { pa_width, ept5 };
    played.td.tdcs(|tdcs| {
        let root = tdcs.get(tdcs_fields::EPTP) & !0xFFF;
        tdcs.set(tdcs_fields::EPTP, root | eptp);
        tdcs.set(tdcs_fields::GPAW, wide.into());
    });
    played.enter().rax
}

#[test]
fn a_machine_that_cannot_run_a_td_says_why() {
    const RUNS: u64 = 1;
    let unable = |why: Unable| why.status().raw();

    assert_eq!(enter(48, false, false, LEVELS_4), RUNS);
    assert_eq!(
        enter(47, true, false, LEVELS_4),
        unable(Unable::AddressWidth)
    );
    assert_eq!(enter(52, true, true, LEVELS_5), RUNS);
    assert_eq!(
        enter(51, true, true, LEVELS_5),
        unable(Unable::AddressWidth)
    );
    assert_eq!(enter(52, false, true, LEVELS_5), unable(Unable::Ept5));
    assert_eq!(enter(52, true, false, LEVELS_5), unable(Unable::SharedBit));
}
