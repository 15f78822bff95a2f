// SPDX-License-Identifier: GPL-2.0

//! Fields of the TD context: TDR and TDCS.
//!
//! TDX ABI: "TD Scope Metadata".

use super::{
    cpuid,
    find,
    Access,
    Row,
    Who, //
};
use crate::{
    abi::{
        metadata::FieldId,
        Level,
        PageType,
        Status, //
    },
    sim::model::{
        field::Field,
        pamt,
        platform::Platform,
        td::Td,
        tdcs::fields as tdcs_fields,
        tdr::fields as tdr_fields,
        Ctx, //
    }, //
};

/// Where a field of the TD context is kept.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// In the TDR.
    Tdr(Field),
    /// In the TDCS.
    Tdcs(Field),
    /// In the S-EPT root of an L2 VM, counted from 0.
    L2Root(u32),
    /// In CPUID_VALUES, whose field codes are made from leaf and sub-leaf.
    Cpuid,
    /// Nowhere: it cannot be read.
    None,
}

const fn tdr(field: Field) -> Place {
    Place::Tdr(field)
}

const fn tdcs(field: Field) -> Place {
    Place::Tdcs(field)
}

const NONE: Access = Access::NONE;
const READ: Access = Access::READ;
const READ_WRITE: Access = Access::READ_WRITE;
/// Only bit 0 can be written.
const BIT0: Access = Access::read_and(1);
/// Only bit 0 can be read and written.
const GUEST_BIT0: Access = Access { read: 1, write: 1 };

/// Field codes that CPUID_VALUES takes up: everything up to leaf bit 31.
const CPUID_CODES: u32 = 1 << 17;

/// Entries of an S-EPT root.
const ROOT_ENTRIES: u32 = 512;

/// The fields. The virtual MSRs are in the order of their numbers.
#[rustfmt::skip]
pub static TABLE: &[Row<Place>] = &[
    Row::new(0x8010_0000_0000_0001, 1, tdr(tdr_fields::FATAL), READ, READ),
    Row::new(0x8010_0002_0000_0002, 1, tdr(tdr_fields::NUM_TDCX), READ, READ),
    Row::new(0x8010_0003_0000_0004, 1, tdr(tdr_fields::CHLDCNT), READ, READ),
    Row::new(0x8010_0002_0000_0005, 1, tdr(tdr_fields::LIFECYCLE_STATE), READ, READ),
    Row::new(0x8010_0003_0000_0010, 9, tdr(tdr_fields::TDCX_PA), READ, READ),
    Row::new(0x8010_0003_0000_0020, 4, tdr(tdr_fields::TD_UUID), READ, READ).for_guest(READ),
    Row::new(0x8110_0001_0000_0001, 1, tdr(tdr_fields::HKID), READ, READ),
    Row::new(0x8110_0003_0000_0002, 1, tdr(tdr_fields::PKG_CONFIG_BITMAP), READ, READ),
    Row::new(0x8210_0001_0000_0000, 1, tdr(tdr_fields::HANDOFF_VERSION), READ, READ),
    Row::new(0x8210_0003_0000_0001, 1, tdr(tdr_fields::SEAMDB_INDEX), READ, READ),
    Row::new(0x8210_0003_0000_0002, 4, tdr(tdr_fields::SEAMDB_NONCE), NONE, NONE),
    Row::new(0x9010_0002_0000_0001, 1, tdcs(tdcs_fields::NUM_VCPUS), READ, READ).for_guest(READ),
    Row::new(0x9010_0002_0000_0002, 1, tdcs(tdcs_fields::NUM_ASSOC_VCPUS), READ, READ),
    Row::new(0x9010_0002_0000_0004, 1, tdcs(tdcs_fields::OP_STATE), READ, READ),
    Row::new(0x9010_0001_0000_0005, 1, tdcs(tdcs_fields::NUM_L2_VMS), READ, READ).for_guest(READ),
    Row::new(0x1110_0003_0000_0000, 1, tdcs(tdcs_fields::ATTRIBUTES), READ, READ).for_guest(READ),
    Row::new(0x1110_0003_0000_0001, 1, tdcs(tdcs_fields::XFAM), READ, READ).for_guest(READ),
    Row::new(0x1110_0002_0000_0002, 1, tdcs(tdcs_fields::MAX_VCPUS), READ, READ).for_guest(READ),
    Row::new(0x1110_0000_0000_0003, 1, tdcs(tdcs_fields::GPAW), READ, READ).for_guest(READ),
    Row::new(0x1110_0003_0000_0004, 1, tdcs(tdcs_fields::EPTP), READ, READ),
    Row::new(0x1110_0003_0000_000A, 1, tdcs(tdcs_fields::TSC_OFFSET), READ, READ),
    Row::new(0x1110_0003_0000_000B, 1, tdcs(tdcs_fields::TSC_MULTIPLIER), READ, READ),
    Row::new(0x1110_0001_0000_000C, 1, tdcs(tdcs_fields::TSC_FREQUENCY), READ, READ).for_guest(READ),
    Row::new(0x1110_0003_0000_000D, 1, Place::None, NONE, NONE),
    Row::new(0x9110_0001_0000_000E, 1, tdcs(tdcs_fields::NUM_CPUID_VALUES), READ, READ),
    Row::new(0x9110_0002_0000_000F, 1, tdcs(tdcs_fields::XBUFF_SIZE), READ, READ),
    Row::new(0x9110_0003_0000_0010, 1, tdcs(tdcs_fields::NOTIFY_ENABLES), NONE, BIT0).for_guest(GUEST_BIT0),
    Row::new(0x9110_0003_0000_0011, 1, tdcs(tdcs_fields::HP_LOCK_TIMEOUT), READ_WRITE, READ_WRITE),
    Row::new(0x9110_0003_0000_0012, 4, tdcs(tdcs_fields::VM_CTLS), BIT0, BIT0),
    Row::new(0x1110_0003_0000_0016, 1, tdcs(tdcs_fields::CONFIG_FLAGS), READ, READ).for_guest(READ),
    Row::new(0x1110_0003_0000_0017, 1, tdcs(tdcs_fields::TD_CTLS), NONE, READ).for_guest(BIT0),
    Row::new(0x9110_0000_0000_0080, 80, tdcs(tdcs_fields::CPUID_VALID), NONE, READ),
    Row::new(0x9110_0002_0000_0800, 19, tdcs(tdcs_fields::XBUFF_OFFSETS), READ, READ),
    Row::new(0x9210_0003_0000_0000, 1, tdcs(tdcs_fields::TD_EPOCH), READ, READ),
    Row::new(0x9210_0001_0000_0001, 2, tdcs(tdcs_fields::REFCOUNT), READ, READ),
    Row::new(0x1310_0003_0000_0000, 6, tdcs(tdcs_fields::MRTD), READ, READ).for_guest(READ),
    Row::new(0x1310_0003_0000_0010, 6, tdcs(tdcs_fields::MRCONFIGID), READ, READ).for_guest(READ),
    Row::new(0x1310_0003_0000_0018, 6, tdcs(tdcs_fields::MROWNER), READ, READ).for_guest(READ),
    Row::new(0x1310_0003_0000_0020, 6, tdcs(tdcs_fields::MROWNERCONFIG), READ, READ).for_guest(READ),
    Row::new(0x1310_0003_0000_0040, 24, tdcs(tdcs_fields::RTMR), NONE, READ).for_guest(READ),
    Row::new(0x9410_0003_0000_0000, CPUID_CODES, Place::Cpuid, READ, READ),
    Row::new(0x9610_0003_0000_010A, 1, tdcs(tdcs_fields::VIRTUAL_MSRS.element(15)), NONE, READ),
    Row::new(0x9610_0003_0000_0480, 1, tdcs(tdcs_fields::VIRTUAL_MSRS.element(0)), NONE, READ),
    Row::new(0x9610_0003_0000_0485, 1, tdcs(tdcs_fields::VIRTUAL_MSRS.element(1)), NONE, READ),
    Row::new(0x9610_0003_0000_0486, 1, tdcs(tdcs_fields::VIRTUAL_MSRS.element(2)), NONE, READ),
    Row::new(0x9610_0003_0000_0487, 1, tdcs(tdcs_fields::VIRTUAL_MSRS.element(3)), NONE, READ),
    Row::new(0x9610_0003_0000_0488, 1, tdcs(tdcs_fields::VIRTUAL_MSRS.element(4)), NONE, READ),
    Row::new(0x9610_0003_0000_0489, 1, tdcs(tdcs_fields::VIRTUAL_MSRS.element(5)), NONE, READ),
    Row::new(0x9610_0003_0000_048B, 1, tdcs(tdcs_fields::VIRTUAL_MSRS.element(6)), NONE, READ),
    Row::new(0x9610_0003_0000_048C, 1, tdcs(tdcs_fields::VIRTUAL_MSRS.element(7)), NONE, READ),
    Row::new(0x9610_0003_0000_048D, 1, tdcs(tdcs_fields::VIRTUAL_MSRS.element(8)), NONE, READ),
    Row::new(0x9610_0003_0000_048E, 1, tdcs(tdcs_fields::VIRTUAL_MSRS.element(9)), NONE, READ),
    Row::new(0x9610_0003_0000_048F, 1, tdcs(tdcs_fields::VIRTUAL_MSRS.element(10)), NONE, READ),
    Row::new(0x9610_0003_0000_0490, 1, tdcs(tdcs_fields::VIRTUAL_MSRS.element(11)), NONE, READ),
    Row::new(0x9610_0003_0000_0491, 1, tdcs(tdcs_fields::VIRTUAL_MSRS.element(12)), NONE, READ),
    Row::new(0x9610_0003_0000_0492, 1, tdcs(tdcs_fields::VIRTUAL_MSRS.element(13)), NONE, READ),
    Row::new(0x9610_0003_0000_0493, 1, tdcs(tdcs_fields::VIRTUAL_MSRS.element(14)), NONE, READ),
    Row::new(0x9810_0000_0000_0001, 1, tdcs(tdcs_fields::MIG_DEC_KEY_SET), READ, READ),
    Row::new(0x9810_0002_0000_0002, 1, tdcs(tdcs_fields::EXPORT_COUNT), READ, READ),
    Row::new(0x9810_0002_0000_0003, 1, tdcs(tdcs_fields::IMPORT_COUNT), READ, READ),
    Row::new(0x9810_0002_0000_0004, 1, tdcs(tdcs_fields::MIG_EPOCH), READ, READ),
    Row::new(0x9810_0003_0000_0005, 1, tdcs(tdcs_fields::BW_EPOCH), READ, READ),
    Row::new(0x9810_0003_0000_0006, 1, tdcs(tdcs_fields::TOTAL_MB_COUNT), READ, READ),
    Row::new(0x9810_0003_0000_0010, 4, tdcs(tdcs_fields::MIG_DEC_KEY), NONE, READ),
    Row::new(0x9810_0003_0000_0014, 4, tdcs(tdcs_fields::MIG_DEC_WORKING_KEY), NONE, READ),
    Row::new(0x9810_0003_0000_0018, 4, tdcs(tdcs_fields::MIG_ENC_KEY), NONE, READ),
    Row::new(0x9810_0003_0000_001C, 4, tdcs(tdcs_fields::MIG_ENC_WORKING_KEY), NONE, READ),
    Row::new(0x9810_0001_0000_0020, 1, tdcs(tdcs_fields::MIG_VERSION), READ, READ),
    Row::new(0x9810_0001_0000_0021, 1, tdcs(tdcs_fields::MIG_WORKING_VERSION), READ, READ),
    Row::new(0x9810_0003_0000_0030, 1, tdcs(tdcs_fields::DIRTY_COUNT), READ, READ),
    Row::new(0x9810_0003_0000_0031, 1, tdcs(tdcs_fields::MIG_COUNT), READ, READ),
    Row::new(0x9810_0001_0000_0032, 1, tdcs(tdcs_fields::NUM_MIGS), READ, READ),
    Row::new(0x9810_0002_0000_0034, 1, tdcs(tdcs_fields::NUM_MIGRATED_VCPUS), READ, READ),
    Row::new(0x9810_0003_0000_0040, 4, tdcs(tdcs_fields::PRE_IMPORT_UUID), READ, READ).for_guest(READ),
    Row::new(0x9910_0003_0000_0000, 6, tdcs(tdcs_fields::SERVTD_HASH), READ, READ).for_guest(READ),
    Row::new(0x9910_0001_0000_0006, 1, tdcs(tdcs_fields::SERVTD_NUM), READ, READ).for_guest(READ),
    Row::new(0x9910_0003_0000_0080, 16, tdcs(tdcs_fields::SERVTD_BINDINGS_TABLE), READ, READ).for_guest(READ),
    Row::new(0x9A10_0003_0000_0000, 512, tdcs(tdcs_fields::MIGSC_LINKS), READ, READ),
    Row::new(0x2010_0003_0000_0000, 512, tdcs(tdcs_fields::MSR_BITMAPS), NONE, READ),
    Row::new(0x2110_0003_0000_0000, 512, tdcs(tdcs_fields::SEPT_ROOT), NONE, READ),
    Row::new(0x2510_0003_0000_0000, 512, Place::L2Root(0), NONE, READ),
    Row::new(0x2910_0003_0000_0000, 512, Place::L2Root(1), NONE, READ),
    Row::new(0x2D10_0003_0000_0000, 512, Place::L2Root(2), NONE, READ),
];

/// An element of a field of a TD.
pub struct Element {
    /// Number of the row in [`TABLE`].
    pub row: usize,
    /// Number of the element in the row.
    pub index: u32,
    /// What may be done with it.
    pub access: Access,
    place: Place,
}

impl Element {
    /// The element that `id` names.
    pub fn find<P: Platform>(td: &Td<'_, P>, id: u64, who: Who) -> Result<Self, Status> {
        let (row, entry, index) = find(TABLE, FieldId::from_raw(id))?;
        let unknown = Status::METADATA_FIELD_ID_INCORRECT;
        let place = match entry.place {
            Place::Tdr(field) => Place::Tdr(field.element(index)),
            Place::Tdcs(field) => Place::Tdcs(field.element(index)),
            Place::L2Root(vm) => {
                if u64::from(vm) >= td.tdcs.get(tdcs_fields::NUM_L2_VMS) {
                    return Err(unknown);
                }
                let entry = vm.wrapping_mul(ROOT_ENTRIES).wrapping_add(index);
                Place::Tdcs(tdcs_fields::L2_SEPT_ROOTS.element(entry))
            }
            Place::Cpuid => {
                let element = cpuid::element(index).ok_or(unknown)?;
                Place::Tdcs(tdcs_fields::CPUID_VALUES.element(element))
            }
            Place::None => Place::None,
        };
        Ok(Self {
            row,
            index,
            access: entry.access(who),
            place,
        })
    }

    /// Reads the element.
    pub fn read<P: Platform>(&self, cx: &Ctx<'_, P>, td: &Td<'_, P>) -> Result<u64, Status> {
        if self.access.read == 0 {
            return Err(Status::METADATA_FIELD_NOT_READABLE);
        }
        let value = match self.place {
            Place::Tdr(field) => td.tdr.get(field),
            Place::Tdcs(field) => {
                let page = td.tdcs.page(field.offset >> Level::K4.shift());
                if !pamt::is_owned(cx, page, PageType::Tdcx, td.tdr.pa()) {
                    return Err(Status::TD_FATAL);
                }
                td.tdcs.get(field)
            }
            _ => return Err(Status::METADATA_FIELD_NOT_READABLE),
        };
        Ok(value & self.access.read)
    }

    /// Whether this is the field HP_LOCK_TIMEOUT.
    pub fn is_hp_lock_timeout(&self) -> bool {
        matches!(self.place, Place::Tdcs(tdcs_fields::HP_LOCK_TIMEOUT))
    }

    /// The word and the position in it of an element that is in the TDCS.
    pub fn tdcs_field(&self) -> Option<Field> {
        match self.place {
            Place::Tdcs(field) => Some(field),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_give_the_size_of_the_field() {
        for row in TABLE {
            let size = 8 << ((row.id.into_raw() >> 32) & 3);
            match row.place {
                Place::Tdr(field) | Place::Tdcs(field) => {
                    assert_eq!(field.bits, size, "{:#x}", row.id.into_raw());
                }
                _ => assert_eq!(size, 64),
            }
            assert_eq!((row.id.into_raw() >> 52) & 7, 1);
        }
    }

    #[test]
    fn fields_lie_within_their_pages() {
        for row in TABLE {
            if let Place::Tdcs(field) = row.place {
                let end = field.offset + row.elements * field.bits / 8;
                assert_eq!(
                    field.offset >> 12,
                    (end - 1) >> 12,
                    "{:#x}",
                    row.id.into_raw()
                );
                assert!(u64::from(field.offset >> 12) < crate::sim::model::tdcs::BASE_PAGES);
            }
        }
    }
}
