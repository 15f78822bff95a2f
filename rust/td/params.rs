// SPDX-License-Identifier: GPL-2.0

//! TD_PARAMS for TDs that are as plain as the TDX module allows.

use super::{
    Resources,
    Why, //
};
use crate::{
    abi::{
        metadata::global,
        td_params::{
            Attributes,
            ConfigFlags,
            EptpControls,
            TdParams, //
        },
        HostPa, //
    },
    sept::Machine,
    tdh, //
};

/// Frequency of a TD's time-stamp counter: 2.5 GHz, in units of 25 MHz.
const TSC_FREQUENCY: u16 = 100;

/// Has `body` make a TD from a TD_PARAMS: for one vCPU, with the features that the TDX module insists on, and
/// 4 levels of secure EPT.
///
/// # Errors
///
/// What `body` returns; [`Why::NoMemory`]; [`Why::Refused`] with the errors of [`tdh::sys::rd`].
pub fn with_plain_params<M: Machine + Resources, T, E: From<Why>>(
    machine: &M,
    body: impl FnOnce(HostPa<1024>) -> Result<T, E>,
) -> Result<T, E> {
    let attributes = tdh::sys::rd(machine, global::ATTRIBUTES_FIXED1).map_err(Why::Refused)?;
    let xfam = tdh::sys::rd(machine, global::XFAM_FIXED1).map_err(Why::Refused)?;
    let params = TdParams::new(
        Attributes::from_raw(attributes),
        xfam,
        1,
        EptpControls::from_raw(EptpControls::MT_WB).with_const_walk_length::<3>(),
        ConfigFlags::from_raw(0),
        TSC_FREQUENCY,
    );
    let page = machine.alloc().ok_or(Why::NoMemory)?;
    machine.write(page, params.words());
    let outcome = body(HostPa::page(page));
    machine.free(page);
    outcome
}
