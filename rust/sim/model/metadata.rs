// SPDX-License-Identifier: GPL-2.0

//! Metadata fields: finding them by identifier, and who may read and write which bits.
//!
//! TDX ABI: "Metadata Access". The tables are in the modules below, one for each context.

pub mod cpuid;
pub mod global;
pub mod td;
pub mod vcpu;
pub mod vmcs;

use crate::abi::{
    metadata::FieldId,
    Status, //
};

/// What "no field" looks like: the request for the first field, and the end of the list.
pub const NULL_ID: u64 = FieldId::FIRST.into_raw();

/// Which bits of a field may be read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Bits that can be read; the others read as 0.
    pub read: u64,
    /// Bits that can be written.
    pub write: u64,
}

impl Access {
    /// No access.
    pub const NONE: Self = Self { read: 0, write: 0 };
    /// All bits can be read, none written.
    pub const READ: Self = Self {
        read: u64::MAX,
        write: 0,
    };
    /// All bits can be read and written.
    pub const READ_WRITE: Self = Self {
        read: u64::MAX,
        write: u64::MAX,
    };

    /// All bits can be read, and those of `write` written.
    pub const fn read_and(write: u64) -> Self {
        Self {
            read: u64::MAX,
            write,
        }
    }
}

/// Who asks for a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The host of a TD.
    Host,
    /// The host of a TD that it may debug.
    Debugger,
    /// The TD itself.
    Guest,
}

/// A field, or an array of fields, of a TD or a vCPU; `T` says where it is kept.
#[derive(Clone, Copy, Debug)]
pub struct Row<T> {
    /// Identifier of the first element.
    pub id: FieldId,
    /// Number of elements of all fields of the array together.
    pub elements: u32,
    /// Where the field is kept.
    pub place: T,
    /// What the host may do with the field of a TD that is not a debug TD.
    pub host: Access,
    /// What the host may do with the field of a debug TD.
    pub debug: Access,
    /// What the TD itself may do with the field.
    pub guest: Access,
}

impl<T> Row<T> {
    /// A row of the table, of a field that is nothing to the TD itself.
    pub const fn new(id: u64, elements: u32, place: T, host: Access, debug: Access) -> Self {
        Self {
            id: FieldId::from_raw(id),
            elements,
            place,
            host,
            debug,
            guest: Access::NONE,
        }
    }

    /// The row with what the TD itself may do with the field.
    pub const fn for_guest(mut self, access: Access) -> Self
    where
        T: Copy,
    {
        self.guest = access;
        self
    }

    /// What somebody may do with the field.
    pub fn access(&self, who: Who) -> Access {
        match who {
            Who::Host => self.host,
            Who::Debugger => self.debug,
            Who::Guest => self.guest,
        }
    }
}

/// Whether `id`, as an operand, can name an element: it names no sequence, and no reserved bit is
/// set.
fn is_single(id: FieldId) -> bool {
    const SEQUENCE: u64 = FieldId::LAST_FIELD_MASK | FieldId::LAST_ELEMENT_MASK;
    id.into_raw() & (FieldId::RESERVED | SEQUENCE) == 0
}

/// If `id` names an element of the array that begins at `first`: which one. Context, size, the
/// non-architectural bit and the bits that only lists use are ignored.
pub fn element(first: FieldId, elements: u32, id: FieldId) -> Option<u32> {
    if (first.into_raw() ^ id.into_raw()) & FieldId::CLASS_MASK != 0 {
        return None;
    }
    let index = code(id).checked_sub(code(first))?;
    (index < elements).then_some(index)
}

/// The field code of an identifier.
pub const fn code(id: FieldId) -> u32 {
    (id.into_raw() & FieldId::CODE_MASK) as u32
}

/// The row and the element that `id` names.
pub fn find<T>(table: &[Row<T>], id: FieldId) -> Result<(usize, &Row<T>, u32), Status> {
    table
        .iter()
        .enumerate()
        .filter(|_| is_single(id))
        .find_map(|(i, row)| Some((i, row, element(row.id, row.elements, id)?)))
        .ok_or(Status::METADATA_FIELD_ID_INCORRECT)
}

/// The identifier of the element after element `index` of row `row` that `who` can read, or
/// [`NULL_ID`].
pub fn next_id<T>(table: &[Row<T>], row: usize, index: u32, who: Who) -> u64 {
    if let Some(current) = table.get(row) {
        let next = index.wrapping_add(1);
        if next < current.elements {
            return current.id.element(next).into_raw();
        }
    }
    let rest = table.get(row.wrapping_add(1)..).unwrap_or(&[]);
    first_id(rest, who)
}

/// The identifier of the first element that `who` can read, or [`NULL_ID`].
pub fn first_id<T>(table: &[Row<T>], who: Who) -> u64 {
    table
        .iter()
        .find(|row| row.access(who).read != 0)
        .map_or(NULL_ID, |row| row.id.into_raw())
}

/// Checks that a write of the bits of `mask` to a field that holds `old` is allowed, and returns
/// the new value.
pub fn written(access: Access, old: u64, value: u64, mask: u64) -> Result<u64, Status> {
    if access.write & mask == 0 {
        return Err(Status::METADATA_FIELD_NOT_WRITABLE);
    }
    let new = (old & !mask) | (value & mask);
    if (new ^ old) & !access.write != 0 {
        return Err(Status::METADATA_FIELD_VALUE_NOT_VALID);
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Row<()>] = &[
        Row::new(0x1100_0003_0000_0010, 2, (), Access::READ, Access::READ),
        Row::new(0x1100_0003_0000_0012, 1, (), Access::NONE, Access::READ),
        Row::new(0x9200_0003_0000_0010, 1, (), Access::READ, Access::READ),
    ];

    #[test]
    fn fields_are_found_whatever_size_and_context() {
        let row = |id| find(TABLE, FieldId::from_raw(id)).map(|(i, _, element)| (i, element));
        assert_eq!(row(0x1100_0003_0000_0011), Ok((0, 1)));
        assert_eq!(row(0x1120_0000_0000_0010), Ok((0, 0)));
        assert_eq!(row(0x9100_0003_0000_0010), Ok((0, 0)));
        assert_eq!(row(0x9200_0003_0000_0010), Ok((2, 0)));
        for id in [
            NULL_ID,
            0x1100_0003_0000_0013,
            0x1100_0007_0000_0010,
            0x1100_8003_0000_0010,
            0x1300_0003_0000_0010,
        ] {
            assert_eq!(row(id), Err(Status::METADATA_FIELD_ID_INCORRECT));
        }
    }

    #[test]
    fn lists_skip_what_cannot_be_read() {
        assert_eq!(first_id(TABLE, Who::Host), 0x1100_0003_0000_0010);
        assert_eq!(next_id(TABLE, 0, 0, Who::Host), 0x1100_0003_0000_0011);
        assert_eq!(next_id(TABLE, 0, 1, Who::Host), 0x9200_0003_0000_0010);
        assert_eq!(next_id(TABLE, 0, 1, Who::Debugger), 0x1100_0003_0000_0012);
        assert_eq!(next_id(TABLE, 2, 0, Who::Debugger), NULL_ID);
    }

    #[test]
    fn writes_respect_the_mask() {
        let access = Access::read_and(0x3);
        assert_eq!(written(access, 0x10, 0x3, 0x3), Ok(0x13));
        assert_eq!(written(access, 0x10, 0x12, u64::MAX), Ok(0x12));
        assert_eq!(
            written(access, 0x10, 0x2, u64::MAX),
            Err(Status::METADATA_FIELD_VALUE_NOT_VALID)
        );
        assert_eq!(
            written(access, 0x10, 0x3, 0xC),
            Err(Status::METADATA_FIELD_NOT_WRITABLE)
        );
    }
}
