// SPDX-License-Identifier: GPL-2.0

//! The states in the life of a TD.

/// The TD has a root page and a KeyID (TDH.MNG.CREATE).
#[derive(Debug)]
pub struct Created(());

/// The TD's key is configured on all packages (TDH.MNG.KEY.CONFIG), and it has some of its control
/// pages (TDH.MNG.ADDCX).
#[derive(Debug)]
pub struct KeyConfigured {
    /// Number of control pages that the TD has.
    pub(super) control_pages: u64,
}

/// The TD is initialised (TDH.MNG.INIT) and has no vCPU: it can be given memory, and be measured.
#[derive(Debug)]
pub struct Initialised(());

/// As [`Initialised`], and the TD has vCPUs, so that it can become final.
#[derive(Debug)]
pub struct Building(());

/// The measurement is complete (TDH.MR.FINALIZE); the TD can run.
#[derive(Debug)]
pub struct Finalised(());

/// The TD is being torn down, and has come too far to turn back.
#[derive(Debug)]
pub struct Ending(());

/// The TD is gone. What could be taken back is the host's.
#[derive(Debug)]
pub struct TornDown {
    pub(super) leaks: u64,
}

macro_rules! plain {
    ($($state:ident)*) => {
        $(
            impl $state {
                pub(super) const NEW: Self = Self(());
            }
        )*
    };
}

plain!(Created Initialised Building Finalised Ending);

mod sealed {
    pub trait Sealed {}
}

/// A state that can be torn down.
pub trait Live: sealed::Sealed {}

/// A state in which the TD has a secure EPT.
pub trait Mapped: Live {
    /// Whether entries have to be blocked and tracked before they are split or merged.
    const FINAL: bool;
}

/// A state in which the TD can be given initial memory, and vCPUs.
pub trait Open: Mapped {}

macro_rules! live {
    ($($state:ident)*) => {
        $(
            impl sealed::Sealed for $state {}
            impl Live for $state {}
        )*
    };
}

live!(Created KeyConfigured Initialised Building Finalised Ending);

impl Mapped for Initialised {
    const FINAL: bool = false;
}

impl Mapped for Building {
    const FINAL: bool = false;
}

impl Mapped for Finalised {
    const FINAL: bool = true;
}

impl Open for Initialised {}
impl Open for Building {}
