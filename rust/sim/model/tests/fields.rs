// SPDX-License-Identifier: GPL-2.0

//! Fields of the global context.

use super::*;
use crate::{
    abi::metadata,
    sim::model::metadata::{
        global,
        NULL_ID, //
    }, //
};

#[test]
fn global_fields_are_listed_once() {
    let sim = Sim::new(Profile::Current);
    let first = sim.fails(
        Leaf::SysRd,
        &[0, NULL_ID],
        Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT,
    );
    let mut id = first.rdx;
    let mut count = 0;
    while id != NULL_ID {
        id = sim.ok(Leaf::SysRd, &[0, id]).rdx;
        count += 1;
    }
    let expected: u32 = metadata::global::ALL.iter().map(global::elements).sum();
    assert_eq!(count, expected);

    // RDALL gives the same fields.
    let buffer = 0x0300_0000;
    let out = sim.ok(Leaf::SysRdall, &[0, buffer, NULL_ID]);
    assert_eq!(out.r8, NULL_ID);
    let header = sim.peek(buffer);
    assert_eq!(header >> 16, metadata::global::ALL.len() as u64);
    assert_eq!(
        header & 0xFFFF,
        8 + 8 * u64::from(expected) + 8 * (header >> 16)
    );
}

#[test]
fn what_linux_reads_is_there() {
    use metadata::global as g;
    let sim = Sim::new(Profile::Current);
    let read = |id: FieldId| sim.ok(Leaf::SysRd, &[0, id.into_raw()]).r8;
    assert_eq!(
        read(g::TDX_FEATURES0) & ((1 << 18) | (1 << 20)),
        (1 << 18) | (1 << 20)
    );
    assert_eq!(read(g::TDX_FEATURES0) & 0b1000_0111, 0);
    assert_eq!(
        (read(g::MAX_TDMRS), read(g::MAX_RESERVED_PER_TDMR)),
        (64, 16)
    );
    assert_eq!(read(g::TDCS_BASE_SIZE), 6 * 4096);
    assert_eq!(read(g::ATTRIBUTES_FIXED0) & (1 << 28), 1 << 28);
    assert_eq!(read(g::XFAM_FIXED1), 3);
    assert_eq!(read(g::NUM_CPUID_CONFIG), 12);
    assert_eq!(
        read(g::CPUID_CONFIG_LEAVES.element(9)),
        0xFFFF_FFFF_8000_0008
    );
    assert_eq!(read(g::CPUID_CONFIG_LEAVES.element(12)), u64::MAX);
    assert_eq!(read(g::CPUID_CONFIG_VALUES), 0x00FF_0000_0FFF_3FFF);
}
