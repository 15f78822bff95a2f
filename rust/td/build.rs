// SPDX-License-Identifier: GPL-2.0

//! From nothing to a TD that can run.

use super::{
    end::Progress,
    state::{
        Building,
        Created,
        Finalised,
        Initialised,
        KeyConfigured,
        Open, //
    },
    take_page,
    Core,
    Failed,
    Host,
    Step,
    Td,
    Why, //
};
use crate::{
    abi::{
        metadata::{
            global,
            FieldId, //
        },
        Gpa,
        Hkid,
        HostPa,
        KeyedPfn,
        Level,
        Pfn,
        Status, //
    },
    seamcall,
    sept::{
        self,
        Cost,
        Machine,
        Memory,
        Partial,
        Range, //
    },
    tdh::{
        self,
        mr, //
    },
};

/// Returns the number of pages of a control structure whose size is a field of the TDX module.
pub(super) fn pages_of<M: Machine>(machine: &M, size: FieldId) -> seamcall::Result<u64> {
    Ok(tdh::sys::rd(machine, size)? / Level::K4.size())
}

impl<M: Machine, H: Host> Td<M, H, Created> {
    /// Creates a TD.
    ///
    /// # Errors
    ///
    /// [`Why::NoKeyid`], [`Why::NoMemory`], [`Why::NotConvertible`]; [`Why::Refused`] with the errors of
    /// [`tdh::mng::create`].
    pub fn create(machine: M, mut host: H) -> Step<Self, (M, H)> {
        let Some(hkid) = host.take_keyid() else {
            return Err(Failed::new((machine, host), Why::NoKeyid));
        };
        match create(&machine, &mut host, hkid) {
            Ok((page, tdr)) => Ok(Self {
                core: Core {
                    machine,
                    host,
                    id: sept::Td { tdr: page, hkid },
                    tdr,
                    progress: Progress::NotBegun,
                },
                state: Created::NEW,
            }),
            Err(why) => {
                host.return_keyid(hkid);
                Err(Failed::new((machine, host), why))
            }
        }
    }

    /// Configures the TD's key on all packages.
    ///
    /// # Errors
    ///
    /// [`Why::Refused`] with the errors of [`tdh::mng::key_config`]. The packages that are done stay so.
    pub fn configure_key(mut self) -> Step<Td<M, H, KeyConfigured>, Self> {
        let Core {
            machine, host, id, ..
        } = &mut self.core;
        let mut outcome = Ok(());
        host.on_each_package(&mut || {
            if outcome.is_ok() {
                outcome = match tdh::mng::key_config(machine, id.tdr) {
                    // The CPUs before have configured the key on all packages.
                    Err(error) if error.status.is(Status::LIFECYCLE_STATE_INCORRECT) => Ok(()),
                    result => result.map(|_| ()),
                };
            }
        });
        match outcome {
            Ok(()) => Ok(self.into_state(KeyConfigured { control_pages: 0 })),
            Err(error) => Err(Failed::new(self, error)),
        }
    }
}

/// Makes a page of the host the root page of a TD. Returns it, also with the KeyID that it has in the
/// caches.
fn create<M: Machine, H: Host>(
    machine: &M,
    host: &mut H,
    hkid: Hkid,
) -> Result<(Pfn, KeyedPfn), Why> {
    let page = take_page(machine, host)?;
    let created = match KeyedPfn::new(page, host.global_keyid(), machine.keyid_shift()) {
        // SAFETY: The host has given the page.
        Some(tdr) => unsafe { tdh::mng::create(machine, page, hkid) }
            .map(|()| (page, tdr))
            .map_err(Why::Refused),
        None => Err(Why::NotConvertible(page)),
    };
    if created.is_err() {
        host.return_page(page);
    }
    created
}

impl<M: Machine, H: Host> Td<M, H, KeyConfigured> {
    /// Gives the TD its control pages, and initialises it from the TD_PARAMS at `params`, see
    /// [`TdParams`](crate::abi::td_params::TdParams).
    ///
    /// # Errors
    ///
    /// [`Why::NoMemory`], [`Why::NotConvertible`]; [`Why::Refused`] with the errors of
    /// [`tdh::mng::addcx`] and [`tdh::mng::init`].
    pub fn initialise(mut self, params: HostPa<1024>) -> Step<Td<M, H, Initialised>, Self> {
        match self.try_initialise(params) {
            Ok(()) => Ok(self.into_state(Initialised::NEW)),
            Err(why) => Err(Failed::new(self, why)),
        }
    }

    fn try_initialise(&mut self, params: HostPa<1024>) -> Result<(), Why> {
        let tdr = self.core.id.tdr;
        while self.state.control_pages < pages_of(&self.core.machine, global::TDCS_BASE_SIZE)? {
            self.core.give_page(|machine, page| {
                // SAFETY: The host has given the page.
                unsafe { tdh::mng::addcx(machine, tdr, page) }
            })?;
            self.state.control_pages += 1;
        }
        Ok(tdh::mng::init(&self.core.machine, tdr, params)?)
    }
}

impl<M: Machine, H: Host, S: Open> Td<M, H, S> {
    /// Maps the pages from `first` up at `range`, with copies of the pages from `source` up. Table
    /// pages that are missing come from the host.
    ///
    /// # Errors
    ///
    /// Those of [`sept::map_initial`]; [`sept::Why::NoMemory`] also if the host cannot keep account of the
    /// pages.
    ///
    /// # Safety
    ///
    /// The pages from `first` must be the caller's to give; nobody may access them until the host was
    /// told that they are back. The pages from `source` must not change during the call.
    pub unsafe fn add(&mut self, range: &Range, first: Pfn, source: Pfn) -> Result<Cost, Partial> {
        let memory = Memory {
            first,
            pages: range.pages(),
        };
        self.lending(
            &[memory],
            |Core {
                 machine, host, id, ..
             }| {
                // SAFETY: As for this function; the tables are the host's to give.
                unsafe { sept::map_initial(machine, id, range, first, source, host) }
            },
        )
    }

    /// Measures the contents of the page that was added at `gpa`.
    ///
    /// # Errors
    ///
    /// Those of [`tdh::mr::extend`]. Part of the page may be measured already.
    pub fn extend(&mut self, gpa: Gpa) -> seamcall::Result {
        mr::chunks()
            .try_for_each(|chunk| mr::extend(&self.core.machine, self.core.id.tdr, gpa, chunk))
    }
}

impl<M: Machine, H: Host> Td<M, H, Building> {
    /// Completes the measurement.
    ///
    /// # Errors
    ///
    /// [`Why::Refused`] with the errors of [`tdh::mr::finalize`].
    pub fn finalise(self) -> Step<Td<M, H, Finalised>, Self> {
        match mr::finalize(&self.core.machine, self.core.id.tdr) {
            Ok(()) => Ok(self.into_state(Finalised::NEW)),
            Err(error) => Err(Failed::new(self, error)),
        }
    }
}
