// SPDX-License-Identifier: GPL-2.0

//! The vCPUs that there are, found by their roots in the PAMT.

use super::{
    super::model::tdvps::{
        fields,
        Tdvps,
        NO_LP, //
    },
    look,
    pamt, //
};
use crate::abi::{
    state::VcpuState,
    PageType, //
};
use core::fmt;

/// Prints the vCPUs. All that is shown of one is in its TDVPR, which is there as long as the vCPU is.
pub(super) fn show(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    pamt::for_each(|pa, _, info| {
        if info.raw_type != PageType::Tdvpr.raw() {
            return Ok(());
        }
        let [state, index, lp, epoch] = look(|cx| {
            let tdvps = Tdvps::new(cx.p, pa);
            [
                fields::VCPU_STATE,
                fields::VCPU_INDEX,
                fields::ASSOC_LPID,
                fields::VCPU_EPOCH,
            ]
            .map(|field| tdvps.get(field))
        })?;
        write!(
            f,
            "vcpu={pa:#x} td={:#x} index={index} state={} epoch={epoch} lp=",
            info.owner,
            VcpuState::from_raw(state).map_or("-", |state| state.name()),
        )?;
        match lp {
            NO_LP => writeln!(f, "-"),
            lp => writeln!(f, "{lp}"),
        }
    })
}
