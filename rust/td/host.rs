// SPDX-License-Identifier: GPL-2.0

//! Where a TD's pages and its KeyID come from, and where they go back to.

use crate::{
    abi::{
        Hkid,
        Pfn, //
    },
    seamcall,
    sept::{
        self,
        Memory, //
    }, //
};
use core::{
    fmt,
    ops::ControlFlow, //
};

/// What a TD needs from the one who has it.
///
/// The host keeps account of what it has lent to the TD: the pages of
/// [`take_page`](sept::Host::take_page) and the memory of [`lend`](Self::lend), until
/// [`return_page`](sept::Host::return_page), [`table_back`](sept::Host::table_back) or
/// [`memory_back`](Self::memory_back) tells that they are its own again.
pub trait Host: sept::Host {
    /// Takes a KeyID that no TD has, if there is one.
    fn take_keyid(&mut self) -> Option<Hkid>;

    /// Gives the KeyID back; the TDX module does not use it any more.
    fn return_keyid(&mut self, hkid: Hkid);

    /// Returns the KeyID of the TDX module itself.
    fn global_keyid(&self) -> Hkid;

    /// Tells that `memory`, which the user of the TD has named, is about to be given to the TD.
    ///
    /// Returns whether there is room to keep account of it; if not, it is not given.
    fn lend(&mut self, memory: Memory) -> bool;

    /// Returns some of what was lent and is not back, and keeps account of that no more: the TD, which
    /// is at its end, is going to say of each page of it whether it is back or leaked. `None` if that is
    /// all.
    fn lent(&mut self) -> Option<Memory>;

    /// Tells that memory is the host's again, and fit for use.
    fn memory_back(&mut self, memory: Memory);

    /// Returns room for the root pages of as many vCPUs as the TD may have, `None` where there is none
    /// yet.
    fn vcpus(&mut self) -> &mut [Option<Pfn>];

    /// Runs `f` on at least one CPU of each package, one after the other.
    fn on_each_package(&mut self, f: &mut dyn FnMut());

    /// Runs `f` on each CPU, one after the other, until it breaks.
    fn on_each_cpu(&mut self, f: &mut dyn FnMut() -> ControlFlow<()>);

    /// Tells that something of the host's stays with the TDX module for good. The host should be loud
    /// about it, and never use it again.
    fn leaked(&mut self, leak: Leak);
}

impl<H: Host + ?Sized> Host for &mut H {
    fn take_keyid(&mut self) -> Option<Hkid> {
        (**self).take_keyid()
    }

    fn return_keyid(&mut self, hkid: Hkid) {
        (**self).return_keyid(hkid);
    }

    fn global_keyid(&self) -> Hkid {
        (**self).global_keyid()
    }

    fn lend(&mut self, memory: Memory) -> bool {
        (**self).lend(memory)
    }

    fn lent(&mut self) -> Option<Memory> {
        (**self).lent()
    }

    fn memory_back(&mut self, memory: Memory) {
        (**self).memory_back(memory);
    }

    fn vcpus(&mut self) -> &mut [Option<Pfn>] {
        (**self).vcpus()
    }

    fn on_each_package(&mut self, f: &mut dyn FnMut()) {
        (**self).on_each_package(f);
    }

    fn on_each_cpu(&mut self, f: &mut dyn FnMut() -> ControlFlow<()>) {
        (**self).on_each_cpu(f);
    }

    fn leaked(&mut self, leak: Leak) {
        (**self).leaked(leak);
    }
}

/// What the TDX module keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaked {
    /// Memory.
    Memory(Memory),
    /// A KeyID.
    Keyid(Hkid),
}

/// What the TDX module keeps, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leak {
    /// What it keeps.
    pub what: Leaked,
    /// The call that was to take it back.
    pub error: seamcall::Error,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            Leaked::Memory(Memory { first, pages }) => {
                write!(f, "{pages} pages from PFN {:#x} on", first.get())?;
            }
            Leaked::Keyid(hkid) => write!(f, "KeyID {}", hkid.get())?,
        }
        write!(f, " leaked, {}", self.error)
    }
}
