// SPDX-License-Identifier: GPL-2.0

//! Fields of the vCPU context: TDVPS and TD VMCS.
//!
//! TDX ABI: "TD VCPU Scope Metadata", TDH.VP.RD, TDH.VP.WR.

use super::{
    vmcs,
    written,
    Access,
    Who, //
};
use crate::{
    abi::{
        metadata::FieldId,
        Operand,
        Status, //
    },
    sim::model::{
        field::Field,
        platform::Platform,
        tdvps::{
            self,
            fields,
            Tdvps, //
        },
        Ctx, //
    }, //
};

/// Where a field is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    /// In the TD VMCS.
    Vmcs,
    /// In the rest of the TDVPS.
    Tdvps,
}

/// A field that an identifier names.
#[derive(Clone, Copy, Debug)]
pub struct VcpuField {
    table: Table,
    row: usize,
    index: u32,
    id: FieldId,
    place: Field,
    host: Access,
    debug: Access,
    guest: Access,
}

/// Class code of the VMCS fields.
const VMCS_CLASS: u64 = 0;
/// Class code of the first field of an L2 VM, and how many class codes lie between two such VMs.
const L2_CLASS: u64 = 0x24;
const L2_STRIDE: u64 = 8;

/// The field that `id` names, for a vCPU of a TD with `l2_vms` L2 VMs; the fields of others are
/// unknown.
pub fn find(id: FieldId, l2_vms: u64) -> Result<VcpuField, Status> {
    let class = (id.into_raw() & FieldId::CLASS_MASK) >> FieldId::CLASS_SHIFT;
    if class >= L2_CLASS && (class - L2_CLASS) / L2_STRIDE >= l2_vms {
        return Err(Status::METADATA_FIELD_ID_INCORRECT);
    }
    if class == VMCS_CLASS {
        let (row, found, index) = super::find(vmcs::TABLE, id)?;
        Ok(VcpuField {
            table: Table::Vmcs,
            row,
            index,
            id: found.id,
            place: vmcs::place(row, found.id.into_raw()),
            host: found.host,
            debug: found.debug,
            guest: found.guest,
        })
    } else {
        let (row, found, index) = super::find(tdvps::TABLE, id)?;
        Ok(VcpuField {
            table: Table::Tdvps,
            row,
            index,
            id: found.id,
            place: found.place.element(index),
            host: found.host,
            debug: found.debug,
            guest: found.guest,
        })
    }
}

/// The identifier of the first field that `who` can read.
pub fn first_id(who: Who) -> u64 {
    match super::first_id(vmcs::TABLE, who) {
        super::NULL_ID => super::first_id(tdvps::TABLE, who),
        id => id,
    }
}

impl VcpuField {
    fn access(&self, who: Who) -> Access {
        match who {
            Who::Host => self.host,
            Who::Debugger => self.debug,
            Who::Guest => self.guest,
        }
    }

    /// The identifier of the next field that `who` can read.
    pub fn next_id(&self, who: Who) -> u64 {
        match self.table {
            Table::Tdvps => super::next_id(tdvps::TABLE, self.row, self.index, who),
            Table::Vmcs => match super::next_id(vmcs::TABLE, self.row, self.index, who) {
                super::NULL_ID => super::first_id(tdvps::TABLE, who),
                id => id,
            },
        }
    }

    fn value<P: Platform>(&self, tdvps: &Tdvps<'_, P>) -> u64 {
        if self.table == Table::Tdvps && self.place == fields::VCPU_STATE_DETAILS {
            state_details(tdvps)
        } else {
            tdvps.get(self.place)
        }
    }

    /// Reads the bits that `who` may read.
    pub fn read<P: Platform>(&self, tdvps: &Tdvps<'_, P>, who: Who) -> Result<u64, Status> {
        match self.access(who).read {
            0 => Err(Status::METADATA_FIELD_NOT_READABLE),
            mask => Ok(self.value(tdvps) & mask),
        }
    }

    /// Writes the bits of `mask`; returns what `who` could read before.
    pub fn write<P: Platform>(
        &self,
        cx: &Ctx<'_, P>,
        tdvps: &Tdvps<'_, P>,
        who: Who,
        value: u64,
        mask: u64,
    ) -> Result<u64, Status> {
        let access = self.access(who);
        if access.read == 0 {
            return Err(Status::METADATA_FIELD_NOT_READABLE);
        }
        let old = self.value(tdvps);
        let new = written(access, old, value, mask & self.place.mask())?;
        if self.table == Table::Vmcs {
            self.check_vmcs(cx, tdvps, old, new)?;
        }
        self.place
            .try_update(&tdvps.word(self.place), |found| {
                (found == old).then_some(new)
            })
            .map_err(|_| Status::OPERAND_BUSY.with(Operand::METADATA_FIELD))?;
        Ok(old & access.read)
    }

    /// The rules for values of VMCS fields.
    fn check_vmcs<P: Platform>(
        &self,
        cx: &Ctx<'_, P>,
        tdvps: &Tdvps<'_, P>,
        old: u64,
        new: u64,
    ) -> Result<(), Status> {
        let valid = match self.id.into_raw() {
            VECTOR => new <= 0xFF,
            DESCRIPTOR => cx.check_shared_hpa(Operand::R8, new, 64).is_ok(),
            SHARED_EPTP => cx.check_shared_hpa(Operand::R8, new, 4096).is_ok(),
            PIN_BASED if !old & new & PROCESS_POSTED_INTERRUPTS != 0 => {
                return check_posted_interrupts(tdvps);
            }
            _ => true,
        };
        if valid {
            Ok(())
        } else {
            Err(Status::METADATA_FIELD_VALUE_NOT_VALID)
        }
    }
}

const VECTOR: u64 = vmcs::id::POSTED_INTERRUPT_NOTIFICATION_VECTOR.into_raw();
const DESCRIPTOR: u64 = vmcs::id::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS.into_raw();
const SHARED_EPTP: u64 = vmcs::id::SHARED_EPTP.into_raw();
const PIN_BASED: u64 = vmcs::id::PIN_BASED_CONTROLS.into_raw();

/// Pin-based controls: "process posted interrupts".
const PROCESS_POSTED_INTERRUPTS: u64 = 1 << 7;

/// Notification vector of a vCPU whose host has not set one.
pub const NO_VECTOR: u64 = 0xFFFF;
/// Posted-interrupt descriptor address of a vCPU whose host has not set one: all bits that the host
/// can write.
pub const NO_DESCRIPTOR: u64 = !0x3F;

/// Posted interrupts can be processed once the host said how.
fn check_posted_interrupts<P: Platform>(tdvps: &Tdvps<'_, P>) -> Result<(), Status> {
    use vmcs::fields::{
        POSTED_INTERRUPT_DESCRIPTOR_ADDRESS,
        POSTED_INTERRUPT_NOTIFICATION_VECTOR, //
    };

    for (id, field, unset) in [
        (VECTOR, POSTED_INTERRUPT_NOTIFICATION_VECTOR, NO_VECTOR),
        (
            DESCRIPTOR,
            POSTED_INTERRUPT_DESCRIPTOR_ADDRESS,
            NO_DESCRIPTOR,
        ),
    ] {
        if tdvps.get(field) == unset {
            let encoding = super::code(FieldId::from_raw(id));
            return Err(Status::TD_VMCS_FIELD_NOT_INITIALIZED.with_detail(encoding));
        }
    }
    Ok(())
}

/// VCPU_STATE_DETAILS: bit 0 says that the virtual APIC has an interrupt to deliver.
fn state_details<P: Platform>(tdvps: &Tdvps<'_, P>) -> u64 {
    /// Offset of the processor priority in the virtual APIC page.
    const PPR: u32 = 0xA0;
    let requested = tdvps.get(vmcs::fields::GUEST_INTERRUPT_STATUS) & 0xFF;
    let priority = tdvps.get(Field::new(fields::VAPIC.offset + PPR, 8));
    u64::from(requested >> 4 > priority >> 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vmcs_fields_fit_in_their_page() {
        assert!(vmcs::TABLE.len() * 8 <= 4096);
        assert!(vmcs::TABLE
            .windows(2)
            .all(|w| super::super::code(w[0].id) < super::super::code(w[1].id)));
    }

    #[test]
    fn fields_of_l2_vms_are_unknown_without_them() {
        let id = FieldId::from_raw(0x2D20_0003_0000_0000);
        assert!(find(id, 1).is_err());
        assert!(find(id, 2).is_ok());
    }

    #[test]
    fn high_halves_of_vmcs_fields_are_unknown() {
        assert!(find(FieldId::from_raw(0x0024_0003_0000_2016), 0).is_ok());
        assert!(find(FieldId::from_raw(0x0024_0003_0000_2017), 0).is_err());
    }
}
