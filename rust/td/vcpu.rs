// SPDX-License-Identifier: GPL-2.0

//! A TD's vCPUs.
//!
//! A vCPU is made in steps, too. While it is, it is the TD's state: the TD comes back with the last
//! step.

use super::{
    build::pages_of,
    state::{
        Building,
        Finalised,
        Mapped,
        Open, //
    },
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
        Args,
        Pfn, //
    },
    seamcall::{
        self,
        EnterTd,
        Seamcall, //
    },
    sept::Machine,
    tdh::{
        self,
        vp::{
            Exit,
            Flushed,
            Hints, //
        }, //
    },
};
use core::marker::PhantomData;

/// The vCPU has a root page (TDH.VP.CREATE), and some of its other pages (TDH.VP.ADDCX).
#[derive(Debug)]
pub struct Created {
    /// Number of pages that the vCPU has.
    pages: u64,
}

/// The vCPU has all pages.
#[derive(Debug)]
pub struct Complete(());

/// A vCPU in state `S` that a TD is being given.
pub struct Vcpu<M: Machine, H: Host, S> {
    core: Core<M, H>,
    tdvpr: Pfn,
    state: S,
}

impl<M: Machine, H: Host, S: Open> Td<M, H, S> {
    /// Creates a vCPU.
    ///
    /// # Errors
    ///
    /// [`Why::NoMemory`] also if the host has no room for one more vCPU; [`Why::NotConvertible`];
    /// [`Why::Refused`] with the errors of [`tdh::vp::create`].
    pub fn create_vcpu(mut self) -> Step<Vcpu<M, H, Created>, Self> {
        let tdr = self.core.id.tdr;
        if self.core.host.vcpus().iter().all(Option::is_some) {
            return Err(Failed::new(self, Why::NoMemory));
        }
        let given = self.core.give_page(|machine, page| {
            // SAFETY: The host has given the page.
            unsafe { tdh::vp::create(machine, tdr, page) }
        });
        match given {
            Ok(tdvpr) => Ok(Vcpu {
                core: self.core,
                tdvpr,
                // The root page is one of them.
                state: Created { pages: 1 },
            }),
            Err(why) => Err(Failed::new(self, why)),
        }
    }
}

impl<M: Machine, H: Host> Vcpu<M, H, Created> {
    /// Gives the vCPU the rest of its pages.
    ///
    /// # Errors
    ///
    /// [`Why::NoMemory`], [`Why::NotConvertible`]; [`Why::Refused`] with the errors of
    /// [`tdh::vp::addcx`].
    pub fn add_pages(mut self) -> Step<Vcpu<M, H, Complete>, Self> {
        match self.try_add_pages() {
            Ok(()) => Ok(Vcpu {
                core: self.core,
                tdvpr: self.tdvpr,
                state: Complete(()),
            }),
            Err(why) => Err(Failed::new(self, why)),
        }
    }

    fn try_add_pages(&mut self) -> Result<(), Why> {
        let tdvpr = self.tdvpr;
        while self.state.pages < pages_of(&self.core.machine, global::TDVPS_BASE_SIZE)? {
            self.core.give_page(|machine, page| {
                // SAFETY: The host has given the page.
                unsafe { tdh::vp::addcx(machine, tdvpr, page) }
            })?;
            self.state.pages += 1;
        }
        Ok(())
    }
}

impl<M: Machine, H: Host> Vcpu<M, H, Complete> {
    /// Initialises the vCPU with `rcx` as the guest's first RCX, and returns the TD that it is one of.
    /// Associates it with the CPU that this runs on.
    ///
    /// # Errors
    ///
    /// [`Why::Refused`] with the errors of [`tdh::vp::init`].
    pub fn init(mut self, rcx: u64, x2apic_id: u32) -> Step<Td<M, H, Building>, Self> {
        if let Err(error) = tdh::vp::init(&self.core.machine, self.tdvpr, rcx, x2apic_id) {
            return Err(Failed::new(self, error));
        }
        let room = self.core.host.vcpus().iter_mut();
        // There was room when the vCPU was created, and nobody else makes vCPUs of this TD.
        if let Some(room) = room.into_iter().find(|room| room.is_none()) {
            *room = Some(self.tdvpr);
        }
        Ok(Td {
            core: self.core,
            state: Building::NEW,
        })
    }
}

/// A vCPU that is initialised, of a TD in state `S`.
pub struct Ready<'a, M, S> {
    machine: &'a M,
    tdvpr: Pfn,
    state: PhantomData<&'a S>,
}

impl<M: Machine, H: Host, S: Mapped> Td<M, H, S> {
    /// Returns vCPU `n`, counted from 0 in the order in which they were made.
    pub fn vcpu(&mut self, n: usize) -> Option<Ready<'_, M, S>> {
        let tdvpr = *self.core.host.vcpus().get(n)?;
        Some(Ready {
            machine: &self.core.machine,
            tdvpr: tdvpr?,
            state: PhantomData,
        })
    }
}

impl<M: Seamcall, S> Ready<'_, M, S> {
    /// Returns the root page of the vCPU.
    pub fn tdvpr(&self) -> Pfn {
        self.tdvpr
    }

    /// Reads a field of the vCPU's control structure.
    ///
    /// # Errors
    ///
    /// Those of [`tdh::vp::rd`].
    pub fn rd(&self, field: FieldId) -> seamcall::Result<u64> {
        tdh::vp::rd(self.machine, self.tdvpr, field)
    }

    /// Ends the association of the vCPU with the CPU that this runs on, so that it can run on another.
    ///
    /// # Errors
    ///
    /// Those of [`tdh::vp::flush`].
    pub fn flush(&self) -> seamcall::Result<Flushed> {
        tdh::vp::flush(self.machine, self.tdvpr)
    }
}

impl<M: EnterTd> Ready<'_, M, Finalised> {
    /// Runs the vCPU until the guest exits.
    ///
    /// # Errors
    ///
    /// Those of [`tdh::vp::enter`].
    ///
    /// # Safety
    ///
    /// As for [`tdh::vp::enter`].
    pub unsafe fn enter(&self, hints: Hints, regs: Args) -> seamcall::Result<Exit> {
        // SAFETY: As for this function.
        unsafe { tdh::vp::enter(self.machine, self.tdvpr, hints, regs) }
    }
}
