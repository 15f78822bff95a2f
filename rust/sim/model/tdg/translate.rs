// SPDX-License-Identifier: GPL-2.0

//! From a guest physical address to memory, as the CPU translates it when the guest touches it.

use super::{
    super::{
        mem::target::page_entry,
        metadata::vmcs::fields as vmcs,
        platform::Platform,
        sept::{
            self,
            Sept, //
        },
        td::is_pending_ve_disabled,
        vmx::EptViolation,
        vp::vcpu::Vcpu,
        Ctx, //
    },
    Outcome,
    Stop,
    Violation, //
};
use crate::abi::{
    guest::ExtendedQualification,
    sept::Entry,
    Level, //
};

/// What the memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is read.
    Read,
    /// It is written.
    Write,
}

impl Access {
    /// The bit of an exit qualification that says so.
    const fn bit(self) -> u64 {
        match self {
            Self::Read => EptViolation::READ_MASK,
            Self::Write => EptViolation::WRITE_MASK,
        }
    }

    /// Whether an EPT entry allows it.
    const fn is_allowed(self, entry: u64) -> bool {
        let right = match self {
            Self::Read => Entry::R_MASK,
            Self::Write => Entry::W_MASK,
        };
        entry & right != 0
    }
}

/// The exit that an access to `gpa` ends in, of which the walk got to `entry`.
fn violation(gpa: u64, access: Access, entry: u64, extended: u64) -> Stop {
    Stop::Outcome(Outcome::Violation(Violation {
        gpa,
        qualification: access.bit() | (entry & Entry::RWX) << EptViolation::READABLE_SHIFT,
        extended,
    }))
}

/// Translates an address of private memory.
pub fn private<P: Platform>(
    cx: &Ctx<'_, P>,
    vcpu: &Vcpu<'_, P>,
    gpa: u64,
    access: Access,
) -> Result<u64, Stop> {
    let slot = Sept::of(cx, &vcpu.td)?.walk(cx, gpa, Level::K4)?;
    let entry = slot.load();
    if !sept::is_present_leaf(entry) || !access.is_allowed(entry.into_raw()) {
        // Without PENDING_VE_DISABLE there are no exits of that kind: a guest that touches such a page gets #VE.
        let pending = sept::state(entry)?.is_pending() && is_pending_ve_disabled(&vcpu.td.tdcs);
        let extended = if pending {
            ExtendedQualification::PENDING
        } else {
            0
        };
        return Err(violation(gpa, access, entry.into_raw(), extended));
    }
    let offset = slot.level.size() - 1;
    let page = entry.pfn().pa() & !offset;
    page_entry(cx, &vcpu.td, page, slot.level)?;
    Ok(page | gpa & offset)
}

/// Translates an address of private or shared memory.
pub fn any<P: Platform>(
    cx: &Ctx<'_, P>,
    vcpu: &Vcpu<'_, P>,
    gpa: u64,
    access: Access,
) -> Result<u64, Stop> {
    if vcpu.td.tdcs.is_private(gpa) {
        private(cx, vcpu, gpa, access)
    } else {
        shared(cx, vcpu, gpa, access)
    }
}

/// Translates an address of shared memory, by the host's tables. Intel SDM, volume 3, "EPT Translation
/// Mechanism".
fn shared<P: Platform>(
    cx: &Ctx<'_, P>,
    vcpu: &Vcpu<'_, P>,
    gpa: u64,
    access: Access,
) -> Result<u64, Stop> {
    let address = cx.p.config().memory_mask() & !(Level::K4.size() - 1);
    let mut level = sept::root_level(&vcpu.td)?;
    let mut table = vcpu.tdvps.get(vmcs::SHARED_EPTP) & address;
    // What all entries on the way allow.
    let mut rights = Entry::RWX;
    loop {
        let index = (gpa >> level.shift()) & (Level::ENTRIES - 1);
        let entry = cx.p.load(table | index * 8);
        let leaf = level == Level::K4 || entry & Entry::PS_MASK != 0;
        if is_misconfigured(entry, level, leaf) {
            return Err(Stop::Outcome(Outcome::Misconfiguration { gpa }));
        }
        rights &= entry;
        if entry & Entry::RWX == 0 || leaf && !access.is_allowed(rights) {
            return Err(violation(gpa, access, rights, 0));
        }
        if leaf {
            let offset = level.size() - 1;
            return Ok(entry & address & !offset | gpa & offset);
        }
        table = entry & address;
        level = level.down().unwrap_or(Level::K4);
    }
}

/// Whether the CPU finds fault with an EPT entry. Intel SDM, volume 3, "EPT Misconfigurations".
fn is_misconfigured(entry: u64, level: Level, leaf: bool) -> bool {
    /// Bits of an entry that points to a table, which have to be 0: memory type, IPAT.
    const TABLE_RESERVED: u64 = Entry::MT_MASK | Entry::IPAT_MASK;

    if entry & Entry::RWX == 0 {
        return false;
    }
    let writable_only = entry & (Entry::R_MASK | Entry::W_MASK) == Entry::W_MASK;
    let memory_type = (entry & Entry::MT_MASK) >> Entry::MT_SHIFT;
    let reserved = if leaf {
        // Pages are of 1G at most, and begin on a boundary of their size.
        level > Level::G1 || entry & Entry::PFN_MASK & (level.size() - 1) != 0
    } else {
        entry & TABLE_RESERVED != 0
    };
    writable_only || reserved || leaf && matches!(memory_type, 2 | 3 | 7)
}
