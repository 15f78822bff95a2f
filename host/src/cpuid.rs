// SPDX-License-Identifier: GPL-2.0

//! CPUID of the host build's [`Machine`](crate::platform::Machine): what a Sapphire Rapids says, as
//! far as the model looks at it.

/// Leaf, sub-leaf, and EAX, EBX, ECX, EDX.
#[rustfmt::skip]
const LEAVES: &[(u32, u32, [u32; 4])] = &[
    (0x0, 0, [0x20, 0x756E_6547, 0x6C65_746E, 0x4965_6E69]),
    (0x1, 0, [FMS, 0x0010_0800, 0x7FFE_FBFF, 0xBFEB_FBFF]),
    (0x4, 0, [0xFC00_4121, 0x02C0_003F, 0x3F, 0]),
    (0x4, 1, [0xFC00_4122, 0x01C0_003F, 0x3F, 0]),
    (0x4, 2, [0xFC01_C143, 0x03C0_003F, 0x7FF, 0]),
    (0x4, 3, [0xFC1F_C163, 0x0380_003F, 0x1_BFFF, 0x4]),
    (0x7, 0, [0x2, 0xF3BF_BFFB, 0xFB41_7FFE, 0xFFDD_4432]),
    (0x7, 1, [0x1C30, 0, 0, 0]),
    (0x7, 2, [0, 0, 0, 0x37]),
    (0xD, 0, [0x602E7, 0x2B00, 0x2B00, 0]),
    (0xD, 1, [0x1F, 0x2DC0, 0xD900, 0]),
    (0xD, 2, [0x100, 0x240, 0, 0]),
    (0xD, 5, [0x40, 0x440, 0, 0]),
    (0xD, 6, [0x200, 0x480, 0, 0]),
    (0xD, 7, [0x400, 0x680, 0, 0]),
    (0xD, 8, [0x80, 0, 1, 0]),
    (0xD, 9, [0x8, 0xA80, 0, 0]),
    (0xD, 11, [0x10, 0, 1, 0]),
    (0xD, 12, [0x18, 0, 1, 0]),
    (0xD, 14, [0x30, 0, 1, 0]),
    (0xD, 15, [0x328, 0, 1, 0]),
    (0xD, 17, [0x40, 0xAC0, 2, 0]),
    (0xD, 18, [0x2000, 0xB00, 6, 0]),
    (0x15, 0, [0x2, 0xA0, 0x017D_7840, 0]),
    (0x19, 0, [0x7, 0x14, 0x3, 0]),
    (0x1C, 0, [0x0040_000B, 0x7, 0x7, 0]),
    (0x1D, 0, [0x1, 0, 0, 0]),
    (0x1D, 1, [0x0400_2000, 0x0008_0040, 0x10, 0]),
    (0x1E, 0, [0, 0x4010, 0, 0]),
    (0x8000_0000, 0, [0x8000_0008, 0, 0, 0]),
    (0x8000_0001, 0, [0, 0, 0x121, 0x2C10_0800]),
    (0x8000_0006, 0, [0, 0, 0x0800_7040, 0]),
    (0x8000_0007, 0, [0, 0, 0, 0x100]),
    (0x8000_0008, 0, [0x3934, 0x200, 0, 0]),
];

/// Family, model and stepping.
pub const FMS: u32 = 0x806F8;

/// EAX, EBX, ECX and EDX of a leaf; 0 where the CPU has none.
pub fn read(leaf: u32, subleaf: u32) -> [u32; 4] {
    let has_subleaves = LEAVES.iter().any(|(l, s, _)| *l == leaf && *s != 0);
    let subleaf = if has_subleaves { subleaf } else { 0 };
    LEAVES
        .iter()
        .find(|(l, s, _)| (*l, *s) == (leaf, subleaf))
        .map_or([0; 4], |(_, _, registers)| *registers)
}
