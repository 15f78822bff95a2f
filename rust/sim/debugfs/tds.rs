// SPDX-License-Identifier: GPL-2.0

//! The TDs that there are, found by their roots in the PAMT.

use super::{
    super::model::{
        field::Field,
        td::complete_tdcs,
        tdcs,
        tdr, //
    },
    look,
    pamt, //
};
use crate::abi::{
    state::{
        Lifecycle,
        OpState, //
    },
    PageType, //
};
use core::fmt;

/// Words of a measurement.
const MR_WORDS: usize = 6;

/// Calls `f` with the address of each TDR.
pub(super) fn for_each(mut f: impl FnMut(u64) -> fmt::Result) -> fmt::Result {
    pamt::for_each(|pa, _, info| {
        if info.raw_type == PageType::Tdr.raw() {
            f(pa)?;
        }
        Ok(())
    })
}

struct Control {
    op_state: u64,
    vcpus: u64,
    mrtd: [u64; MR_WORDS],
}

/// Prints the TDs.
pub(super) fn show(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for_each(|td| {
        let (fields, control) = look(|cx| {
            let field = |field: Field| field.load(cx.p, td);
            let fields = [
                field(tdr::fields::HKID),
                field(tdr::fields::LIFECYCLE_STATE),
                field(tdr::fields::CHLDCNT),
                field(tdr::fields::FATAL),
            ];
            let control = complete_tdcs(cx, td).map(|tdcs| {
                let mut mrtd = [0; MR_WORDS];
                for (i, word) in (0..).zip(&mut mrtd) {
                    *word = tdcs.get(tdcs::fields::MRTD.element(i));
                }
                Control {
                    op_state: tdcs.get(tdcs::fields::OP_STATE),
                    vcpus: tdcs.get(tdcs::fields::NUM_VCPUS),
                    mrtd,
                }
            });
            (fields, control)
        })?;
        let [hkid, lifecycle, children, fatal] = fields;
        write!(
            f,
            "td={td:#x} hkid={hkid} state={} chldcnt={children} fatal={fatal}",
            Lifecycle::from_raw(lifecycle).map_or("-", |state| state.name()),
        )?;
        if let Some(control) = control {
            write!(
                f,
                " op_state={} vcpus={} mrtd=",
                OpState::from_raw(control.op_state).map_or("-", |state| state.name()),
                control.vcpus,
            )?;
            for byte in control.mrtd.iter().flat_map(|word| word.to_le_bytes()) {
                write!(f, "{byte:02x}")?;
            }
        }
        writeln!(f)
    })
}
