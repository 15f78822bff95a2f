// SPDX-License-Identifier: GPL-2.0

//! Bringing the TDX module up. TDX ABI: "TDX Module Lifecycle".

use crate::{
    abi::{
        Hkid,
        HostPa,
        Leaf,
        Level,
        Operands,
        Pfn,
        Status, //
    },
    seamcall::{
        Answer,
        Call,
        Result,
        Seamcall, //
    },
    tdh::mng::KeyConfigured,
};

/// TDH.SYS.INIT: initialises the module. First, on any CPU.
///
/// # Errors
///
/// SYS_INIT_NOT_PENDING if that was done; INCORRECT_CPUID_VALUE, INCORRECT_MSR_VALUE and others if
/// the platform is not as the module needs it.
pub fn init<S: Seamcall>(seam: &S) -> Result {
    // SAFETY: The call gives no page away and writes no memory of the host.
    unsafe { Call::new(seam, Leaf::SysInit).run(Operands::default()) }.map(|_| ())
}

/// TDH.SYS.LP.INIT: initialises the module on the CPU that this runs on. On every CPU.
///
/// # Errors
///
/// SYS_LP_INIT_DONE if that was done; SYS_LP_INIT_NOT_PENDING out of order; INCONSISTENT_MSR and
/// INCONSISTENT_CPUID_FIELD if the CPU differs from that of [`init`].
pub fn lp_init<S: Seamcall>(seam: &S) -> Result {
    // SAFETY: The call gives no page away and writes no memory of the host.
    unsafe { Call::new(seam, Leaf::SysLpInit).run(Operands::default()) }.map(|_| ())
}

/// The TDMRs that the module is to manage: an array of physical addresses of TDMR_INFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TdmrList {
    array: HostPa<512>,
    nr: u64,
}

impl TdmrList {
    /// Most TDMRs that a module takes.
    const MAX: u64 = 64;

    /// Creates a list from the address of the array and its length, 1 to 64.
    pub const fn new(array: HostPa<512>, nr: u64) -> Option<Self> {
        if nr >= 1 && nr <= Self::MAX {
            Some(Self { array, nr })
        } else {
            None
        }
    }
}

/// TDH.SYS.CONFIG: tells the module its memory and its own KeyID. Once, after every CPU has run
/// [`lp_init`].
///
/// # Errors
///
/// SYS_CONFIG_NOT_PENDING out of order; INVALID_TDMR, INVALID_PAMT and others that name the TDMR that
/// is wrong.
///
/// # Safety
///
/// The PAMTs that the TDMRs name must be the caller's to give.
pub unsafe fn config<S: Seamcall>(seam: &S, tdmrs: TdmrList, hkid: Hkid) -> Result {
    let args = Operands {
        rcx: tdmrs.array.get(),
        rdx: tdmrs.nr,
        r8: u64::from(hkid.get()),
        ..Operands::default()
    };
    // SAFETY: The PAMTs are the caller's to give.
    unsafe { Call::new(seam, Leaf::SysConfig).run(args) }.map(|_| ())
}

/// TDH.SYS.KEY.CONFIG: configures the module's own key on the package that this runs on.
///
/// # Errors
///
/// SYS_KEY_CONFIG_NOT_PENDING out of order; KEY_GENERATION_FAILED, which a later call may overcome.
pub fn key_config<S: Seamcall>(seam: &S) -> Result<KeyConfigured> {
    let call = Call::new(seam, Leaf::SysKeyConfig);
    // SAFETY: The call gives no page away and writes no memory of the host.
    let answer = unsafe { call.run_or(Operands::default(), Status::KEY_CONFIGURED) }?;
    Ok(match answer {
        Answer::Success(_) => KeyConfigured::Now,
        Answer::Other(_) => KeyConfigured::Already,
    })
}

/// What TDH.SYS.TDMR.INIT has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TdmrInit {
    /// The memory below this physical address can be used. The TDMR is complete when that is its end.
    UpTo(u64),
    /// All of the TDMR was initialised before.
    Already,
}

/// TDH.SYS.TDMR.INIT: initialises a part of the PAMT of the TDMR that begins at `base`.
///
/// `None` if no TDMR can begin there: it is not aligned to 1 GiB.
///
/// # Errors
///
/// OPERAND_INVALID with RCX if no TDMR begins there.
pub fn tdmr_init<S: Seamcall>(seam: &S, base: Pfn) -> Option<Result<TdmrInit>> {
    if !base.is_aligned_to(Level::G1) {
        return None;
    }
    let args = Operands {
        rcx: base.pa(),
        ..Operands::default()
    };
    let call = Call::new(seam, Leaf::SysTdmrInit);
    // SAFETY: The call gives no page away and writes the PAMT, which is the module's.
    let answer = unsafe { call.run_or(args, Status::TDMR_ALREADY_INITIALIZED) };
    Some(answer.map(|answer| match answer {
        Answer::Success(out) => TdmrInit::UpTo(out.rdx),
        Answer::Other(_) => TdmrInit::Already,
    }))
}

/// TDH.SYS.UPDATE: takes over what the module before has handed off, instead of [`config`],
/// [`key_config`] and [`tdmr_init`].
///
/// # Errors
///
/// SYS_STATE_INCORRECT out of order; SYS_INVALID_HANDOFF if there is nothing to take over.
pub fn update<S: Seamcall>(seam: &S) -> Result {
    // SAFETY: The call gives no page away and writes no memory of the host.
    unsafe { Call::new(seam, Leaf::SysUpdate).run(Operands::default()) }.map(|_| ())
}
