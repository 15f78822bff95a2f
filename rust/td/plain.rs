// SPDX-License-Identifier: GPL-2.0

//! TDs that are as plain as the TDX module allows.

use super::{
    state::{
        Building,
        Finalised,
        Initialised, //
    },
    Host,
    Resources,
    Td,
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
    let xfam = tdh::sys::rd(machine, global::XFAM_FIXED1).map_err(Why::Refused)?;
    with_params(machine, xfam, ConfigFlags::from_raw(0), body)
}

/// As [`with_plain_params`], but with these extended features and CONFIG_FLAGS.
///
/// # Errors
///
/// Those of [`with_plain_params`].
pub fn with_params<M: Machine + Resources, T, E: From<Why>>(
    machine: &M,
    xfam: u64,
    flags: ConfigFlags,
    body: impl FnOnce(HostPa<1024>) -> Result<T, E>,
) -> Result<T, E> {
    let attributes = tdh::sys::rd(machine, global::ATTRIBUTES_FIXED1).map_err(Why::Refused)?;
    let params = TdParams::new(
        Attributes::from_raw(attributes),
        xfam,
        1,
        EptpControls::from_raw(EptpControls::MT_WB).with_const_walk_length::<3>(),
        flags,
        TSC_FREQUENCY,
    );
    let page = machine.alloc().ok_or(Why::NoMemory)?;
    machine.write(page, params.words());
    let outcome = body(HostPa::page(page));
    machine.free(page);
    outcome
}

impl<M: Machine + Resources + Copy, H: Host> Td<M, H, Initialised> {
    /// Makes a TD from such TD_PARAMS, that has no vCPU yet.
    ///
    /// # Errors
    ///
    /// Those of the steps. The TD is torn down.
    pub fn plain(machine: M, host: H) -> Result<Self, Why> {
        with_plain_params(&machine, |params| {
            let td = Td::create(machine, host)?.configure_key()?;
            Ok(td.initialise(params)?)
        })
    }
}

impl<M: Machine, H: Host> Td<M, H, Initialised> {
    /// Gives the TD its vCPU.
    ///
    /// # Errors
    ///
    /// Those of the steps. The TD is torn down.
    pub fn with_vcpu(self) -> Result<Td<M, H, Building>, Why> {
        Ok(self.create_vcpu()?.add_pages()?.init(0, 0)?)
    }

    /// Gives the TD its vCPU, and makes it final.
    ///
    /// # Errors
    ///
    /// Those of the steps. The TD is torn down.
    pub fn complete(self) -> Result<Td<M, H, Finalised>, Why> {
        Ok(self.with_vcpu()?.finalise()?)
    }
}
