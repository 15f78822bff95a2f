// SPDX-License-Identifier: GPL-2.0

//! Checks of physical address operands.

use super::{
    platform::{
        Platform,
        Range, //
    },
    Ctx, //
};
use crate::abi::{
    Operand,
    Status, //
};

/// Width of a physical address as the module sees it.
const PA_WIDTH: u32 = 52;

impl<P: Platform> Ctx<'_, P> {
    /// A physical address less its KeyID; bits above the KeyID stay.
    pub fn without_keyid(&self, pa: u64) -> u64 {
        let config = self.p.config();
        let keyids = !u64::MAX.wrapping_shl(u32::from(config.keyid_bits));
        pa & !config.with_keyid(0, keyids)
    }

    /// Checks that `pa` is aligned to `align`, a power of two, is below 2^52, and has no KeyID.
    #[inline]
    pub fn check_hpa(&self, op: Operand, pa: u64, align: u64) -> Result<(), Status> {
        if pa & (align - 1) == 0 && pa & !self.p.config().memory_mask() == 0 {
            Ok(())
        } else {
            Err(Status::OPERAND_INVALID.with(op))
        }
    }

    /// Checks that the host may hand over `size` bytes of its own memory at `pa`: aligned to
    /// `size`, a power of two, not the module's memory, and with a shared KeyID.
    ///
    /// Returns the address without the KeyID.
    pub fn check_shared_hpa(&self, op: Operand, pa: u64, size: u64) -> Result<u64, Status> {
        let config = self.p.config();
        let invalid = Status::OPERAND_INVALID.with(op);
        if pa & (size - 1) != 0 || pa >> PA_WIDTH != 0 {
            return Err(invalid);
        }
        if (Range { base: pa, size }).overlaps(&config.seamrr)
            || config.keyid(pa) >= u64::from(config.first_private_keyid)
        {
            return Err(invalid);
        }
        Ok(pa & config.memory_mask())
    }
}
