// SPDX-License-Identifier: GPL-2.0

//! Memory that the kernel knows nothing of: it keeps no metadata of it, and it is not in the direct map.
//!
//! C header: [`arch/x86/include/asm/tdx_sept.h`](srctree/arch/x86/include/asm/tdx_sept.h)

use super::Lender;
use crate::{
    abi::{
        Level,
        Pfn, //
    },
    seamcall::kernel::TdxCore,
    sept::Memory, //
};
use kernel::{
    bindings,
    prelude::*, //
};

/// Has `f` make a TD of the memory that the boot parameter `tdx_pfn_memory=` has set aside, of which it needs a page of
/// `level`. What goes wrong is said in the log.
///
/// Nobody else uses the memory meanwhile; and nobody ever does if the TDX module keeps anything of what was lent: it
/// may have of this memory, too.
///
/// # Errors
///
/// `ENODEV` if no TDX module is initialized or no memory was set aside, `EINVAL` if it is too small or not aligned,
/// `EBUSY` if somebody else uses it; those of `f`; `EIO` if the TDX module keeps anything.
pub fn with_pfn_memory(
    name: &'static CStr,
    level: Level,
    f: impl FnOnce(&mut Lender<TdxCore>, Memory) -> Result,
) -> Result {
    TdxCore::version()?;
    let claim = Claim::new(name)?;
    let memory = claim.0;
    if memory.pages < level.pages() || !memory.first.is_aligned_to(level) {
        pr_err!(
            "the memory of tdx_pfn_memory= has no page of {}\n",
            level.name()
        );
        return Err(EINVAL);
    }
    let mut lender = Lender::new(TdxCore);
    let result = f(&mut lender, memory);
    if lender.leak().is_some() {
        core::mem::forget(claim);
        return result.and(Err(EIO));
    }
    result
}

/// Memory that nobody else uses while this exists.
struct Claim(Memory);

impl Claim {
    fn new(name: &'static CStr) -> Result<Self> {
        let (mut pfn, mut pages) = (0, 0);
        // SAFETY: The function only writes the two numbers.
        if !unsafe { bindings::tdx_pfn_memory(&raw mut pfn, &raw mut pages) } {
            pr_err!("no memory is set aside: boot with tdx_pfn_memory=1G@4G, say\n");
            return Err(ENODEV);
        }
        let first = Pfn::new(pfn).ok_or(EINVAL)?;
        let memory = Memory { first, pages };
        let (start, size) = Self::extent(&memory);
        // SAFETY: The name is there for ever.
        let region = unsafe { bindings::request_mem_region(start, size, name.as_char_ptr()) };
        if region.is_null() {
            pr_err!("somebody else uses the memory of tdx_pfn_memory=\n");
            return Err(EBUSY);
        }
        Ok(Self(memory))
    }

    fn extent(memory: &Memory) -> (u64, u64) {
        (memory.first.pa(), memory.pages << Level::K4.shift())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let (start, size) = Self::extent(&self.0);
        // SAFETY: The region was requested.
        unsafe { bindings::release_mem_region(start, size) };
    }
}
