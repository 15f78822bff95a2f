// SPDX-License-Identifier: GPL-2.0

//! The vCPUs of each TD that are in the guest, by the epoch in which they entered: shown, and set as if there
//! were some that do not leave.

use super::{
    super::{
        inject::{
            self,
            rule, //
        },
        model::{
            td::complete_tdcs,
            tdcs::fields, //
        }, //
    },
    look,
    tds, //
};
use core::fmt;
use kernel::{
    prelude::*,
    uaccess::UserSliceReader, //
};

/// Reference counts of the current epoch and the one before (TDX ABI: "TLB tracking").
type References<T> = [T; 2];

/// Calls `f` with the epoch and the reference counts of a TD, which it may change; `None` if the TD has no TDCS.
fn with_references<R>(
    td: u64,
    f: impl FnOnce(u64, References<u64>) -> (R, References<u64>),
) -> Result<Option<R>, fmt::Error> {
    look(|cx| {
        let tdcs = complete_tdcs(cx, td)?;
        let epoch = tdcs.get(fields::TD_EPOCH);
        let parity = |epoch: u64| fields::REFCOUNT.element((epoch & 1) as u32);
        let fields = [parity(epoch), parity(epoch.wrapping_sub(1))];
        let before = fields.map(|field| tdcs.get(field));
        let (result, after) = f(epoch, before);
        for (field, (before, after)) in fields.into_iter().zip(before.into_iter().zip(after)) {
            if before != after {
                tdcs.set(field, after);
            }
        }
        Some(result)
    })
}

/// Prints the epochs.
pub(super) fn show(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    tds::for_each(
        |td| match with_references(td, |epoch, now| ((epoch, now), now))? {
            Some((epoch, [current, previous])) => writeln!(
                f,
                "td={td:#x} epoch={epoch} current={current} previous={previous}"
            ),
            None => Ok(()),
        },
    )
}

/// Takes `td=` and one or both of `current=` and `previous=`.
pub(super) fn write(reader: &mut UserSliceReader) -> Result {
    let keys = ["td", "current", "previous"];
    let [td, current, previous] = inject::parse(reader, |text| rule::numbers(text, &keys))?;
    let mut found = false;
    let set = |_, [c, p]: References<u64>| ((), [current.unwrap_or(c), previous.unwrap_or(p)]);
    tds::for_each(|pa| {
        if Some(pa) == td {
            found = with_references(pa, set)?.is_some();
        }
        Ok(())
    })
    .map_err(|_| ENODEV)?;
    if !found {
        pr_warn!("fault injection: td= names no TD that has a TDCS\n");
        return Err(EINVAL);
    }
    Ok(())
}
