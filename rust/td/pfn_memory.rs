// SPDX-License-Identifier: GPL-2.0

//! Memory that the kernel knows nothing of: it keeps no metadata of it, and it is not in the direct map.
//!
//! C header: [`arch/x86/include/asm/tdx_sept.h`](srctree/arch/x86/include/asm/tdx_sept.h)

use crate::{
    abi::{
        Level,
        Pfn, //
    },
    sept::Memory, //
};
use kernel::{
    bindings,
    prelude::*, //
};

/// The memory that the boot parameter `tdx_pfn_memory=` has set aside for TDs. Nobody else uses it while
/// this exists.
pub struct PfnMemory(Memory);

impl PfnMemory {
    /// Takes the memory.
    ///
    /// # Errors
    ///
    /// `ENODEV` if none was set aside, `EBUSY` if somebody else uses it.
    pub fn take(name: &'static CStr) -> Result<Self> {
        let (mut pfn, mut pages) = (0, 0);
        // SAFETY: The function only writes the two numbers.
        if !unsafe { bindings::tdx_pfn_memory(&raw mut pfn, &raw mut pages) } {
            return Err(ENODEV);
        }
        let first = Pfn::new(pfn).ok_or(EINVAL)?;
        let memory = Memory { first, pages };
        let (start, size) = Self::extent(&memory);
        // SAFETY: The name is there for ever.
        let region = unsafe { bindings::request_mem_region(start, size, name.as_char_ptr()) };
        if region.is_null() {
            return Err(EBUSY);
        }
        Ok(Self(memory))
    }

    /// Returns what memory it is.
    pub fn memory(&self) -> Memory {
        self.0
    }

    /// Keeps everybody from it for ever: the TDX module has some of it still.
    pub fn leak(self) {
        core::mem::forget(self);
    }

    fn extent(memory: &Memory) -> (u64, u64) {
        (memory.first.pa(), memory.pages << Level::K4.shift())
    }
}

impl Drop for PfnMemory {
    fn drop(&mut self) {
        let (start, size) = Self::extent(&self.0);
        // SAFETY: The region was requested.
        unsafe { bindings::release_mem_region(start, size) };
    }
}
