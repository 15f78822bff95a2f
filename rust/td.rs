// SPDX-License-Identifier: GPL-2.0

//! A TD's life as typed states.
//!
//! A [`Td`] is in one of the states of [`state`], and has the methods of that state only: a step out
//! of order does not compile. A step takes the TD as it is and returns it in its next state, or, if it
//! fails, gives it back with the reason: see [`Failed`].
//!
//! ```text
//!  Td::create        configure_key          initialise
//!  ---------> Created ------------> KeyConfigured ----> Initialised -----+ create_vcpu
//!                                                                        v
//!                               finalise                 init    Vcpu<Created>
//!                   Finalised <---------- Building <------------ Vcpu<Complete>
//!                                            |                           ^
//!                                            +---------------------------+ create_vcpu
//! ```
//!
//! From each of them, [`tear_down`](Td::tear_down) leads to [`TornDown`](state::TornDown). A TD that is
//! dropped before is torn down as well.
//!
//! What a TD takes comes from its [`Host`] and goes back there. The host keeps account of what it has
//! lent; there is no other list of a TD's pages. In particular none is made from its secure EPT: the TDX
//! module shows that to nobody once the KeyID is free, or when the TD is fatal, and pages can only be
//! taken back then.
//!
//! ```
//! # use tdx::{abi::{Gpa, Level}, bench::ModelBench, scenario::Fault, td::with_plain_params};
//! use tdx::{sept::{Flush, Memory, Range, Run}, td::{Lender, Td}};
//!
//! # let machine = ModelBench::new();
//! # let outcome = with_plain_params(&machine, |params| {
//! let mut host = Lender::new(&machine);
//! let td = Td::create(&machine, &mut host)?
//!     .configure_key()?
//!     .initialise(params)?;
//! let td = td.create_vcpu()?.add_pages()?.init(0, 0)?;
//! let mut td = td.finalise()?;
//!
//! // 2 MiB of private memory, one page for the TD.
//! let gpa = Gpa::new(0x4000_0000).ok_or(Fault::Resources)?;
//! let memory = Memory { first: machine.large_page(), pages: Level::M2.pages() };
//! // SAFETY: The memory is nobody else's.
//! unsafe { td.map(gpa, &[memory], Level::M2) }?;
//! td.split(gpa, Level::M2)?;
//! td.merge(gpa, Level::M2)?;
//! let range = Range::new(gpa, Level::M2, 1).ok_or(Fault::Resources)?;
//! let run = Run::new(range, memory.first).ok_or(Fault::Resources)?;
//! td.unmap(&[run], Flush::Pages)?;
//!
//! let torn_down = td.tear_down()?;
//! assert_eq!(torn_down.leaks(), 0);
//! # Ok::<(), Fault>(())
//! # });
//! # if let Err(fault) = outcome { panic!("{fault}"); }
//! # machine.assert_all_given_back();
//! ```

use crate::{
    abi::{
        KeyedPfn,
        Pfn, //
    },
    seamcall,
    sept::{
        self,
        Machine, //
    }, //
};
use core::fmt;

mod build;
mod end;
mod host;
#[cfg(CONFIG_INTEL_TDX_HOST)]
mod kernel;
mod lender;
mod memory;
#[cfg(CONFIG_INTEL_TDX_HOST)]
mod pfn_memory;
mod plain;
pub mod state;
pub mod vcpu;

pub use host::{
    Host,
    Leak,
    Leaked, //
};
pub use lender::{
    Lender,
    Resources, //
};
#[cfg(CONFIG_INTEL_TDX_HOST)]
pub use pfn_memory::with_pfn_memory;
pub use plain::{
    with_params,
    with_plain_params, //
};
pub use vcpu::Vcpu;

/// A TD in state `S`.
///
/// It moves with each step: a host that is large is better lent as `&mut H`.
pub struct Td<M: Machine, H: Host, S> {
    core: Core<M, H>,
    state: S,
}

/// A TD in any state: what there is to tear down.
struct Core<M: Machine, H: Host> {
    machine: M,
    host: H,
    id: sept::Td,
    /// The root page as the TDX module has it in the caches: with the KeyID of the module itself.
    tdr: KeyedPfn,
    progress: end::Progress,
}

/// Why a step was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The host has no KeyID for a TD.
    NoKeyid,
    /// The host has no page, or no room for one more vCPU.
    NoMemory,
    /// The host has taken a page that TDX does not cover. The TDX module was not called with it.
    NotConvertible(Pfn),
    /// The TDX module refused.
    Refused(seamcall::Error),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeyid => f.write_str("no KeyID is left"),
            Self::NoMemory => f.write_str("no memory of the host's for it"),
            Self::NotConvertible(page) => {
                write!(f, "PFN {:#x} is no memory that TDX can convert", page.get())
            }
            Self::Refused(error) => write!(f, "refused, {error}"),
        }
    }
}

impl From<seamcall::Error> for Why {
    fn from(error: seamcall::Error) -> Self {
        Self::Refused(error)
    }
}

/// A step that was not done.
#[derive(Debug)]
pub struct Failed<T> {
    /// What the step was to start from, for another attempt or something else.
    pub from: T,
    /// Why it was not done.
    pub why: Why,
}

impl<T> Failed<T> {
    fn new(from: T, why: impl Into<Why>) -> Self {
        Self {
            from,
            why: why.into(),
        }
    }
}

impl<T> From<Failed<T>> for Why {
    fn from(failed: Failed<T>) -> Self {
        failed.why
    }
}

impl<T> fmt::Display for Failed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

/// What comes of a step: the next state, or the one before.
pub type Step<Next, Before> = Result<Next, Failed<Before>>;

impl<M: Machine, H: Host, S> Td<M, H, S> {
    /// Returns what operations on the secure EPT know the TD by.
    pub fn id(&self) -> &sept::Td {
        &self.core.id
    }

    /// Returns the host of the TD.
    pub fn host(&self) -> &H {
        &self.core.host
    }

    /// Returns the host of the TD.
    pub fn host_mut(&mut self) -> &mut H {
        &mut self.core.host
    }

    fn into_state<T>(self, state: T) -> Td<M, H, T> {
        Td {
            core: self.core,
            state,
        }
    }
}

impl<M: Machine, H: Host> Core<M, H> {
    /// Takes a page from the host and gives it to the TDX module with `give`.
    fn give_page(
        &mut self,
        give: impl FnOnce(&M, Pfn) -> seamcall::Result,
    ) -> core::result::Result<Pfn, Why> {
        let page = take_page(&self.machine, &mut self.host)?;
        match give(&self.machine, page) {
            Ok(()) => Ok(page),
            Err(error) => {
                self.host.return_page(page);
                Err(Why::Refused(error))
            }
        }
    }
}

/// Takes a page from the host that the TDX module can be called with.
fn take_page<M: Machine, H: Host>(machine: &M, host: &mut H) -> core::result::Result<Pfn, Why> {
    let page = host.take_page().ok_or(Why::NoMemory)?;
    if machine.convertible(page, 1) {
        Ok(page)
    } else {
        host.return_page(page);
        Err(Why::NotConvertible(page))
    }
}
