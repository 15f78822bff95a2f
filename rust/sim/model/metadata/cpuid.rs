// SPDX-License-Identifier: GPL-2.0

//! CPUID as a TD sees it, and the part of it that the host configures.
//!
//! TDX ABI: "CPUID Virtualization", CPUID_CONFIG_LEAVES, CPUID_CONFIG_VALUES, CPUID_VALUES.

/// EAX, EBX, ECX and EDX.
pub type Registers = [u32; 4];

/// The leaf of the XSAVE area; from sub-leaf 2 on, sub-leaves are components of it.
pub const XSAVE: u32 = 0xD;

/// Components of the XSAVE area, and one.
pub const XSAVE_COMPONENTS: u32 = 19;

/// Sub-leaf of a leaf that has none.
pub const NO_SUBLEAF: u32 = u32::MAX;

/// A leaf that the host configures with TD_PARAMS.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Leaf.
    pub leaf: u32,
    /// Sub-leaf or [`NO_SUBLEAF`].
    pub subleaf: u32,
    /// Bits whose value the host chooses.
    pub direct: Registers,
    /// Bits that the host may leave as the CPU has them, or clear.
    pub allow: Registers,
}

const fn config(leaf: u32, subleaf: u32, direct: Registers, allow: Registers) -> Config {
    Config {
        leaf,
        subleaf,
        direct,
        allow,
    }
}

/// Sizes of caches and their sharing, all but the bits that say how many processors there are.
const CACHE: Registers = [0xFFFF_C3FF, 0xFFFF_F000, 0xFFFF_FFFF, 0xFFFF_FFFB];
const NONE: Registers = [0; 4];

/// The leaves that the host configures, in the order of TD_PARAMS.
#[rustfmt::skip]
pub static CONFIGS: [Config; 12] = [
    config(0x1, NO_SUBLEAF, [0x0FFF_3FFF, 0x00FF_0000, 0, 0], [0, 0, 0x3104_4D88, 0xB844_0000]),
    config(0x4, 0, CACHE, NONE),
    config(0x4, 1, CACHE, NONE),
    config(0x4, 2, CACHE, NONE),
    config(0x4, 3, [0xFFFF_C3FF, 0xFFFF_F000, 0xFFFF_FFFF, 0x7], NONE),
    config(0x7, 0, NONE, [0, 0xDC2B_9B18, 0x0241_7F65, 0x0005_411C]),
    config(0x7, 1, NONE, [0x1D30, 0, 0, 0]),
    config(0xA, NO_SUBLEAF, NONE, NONE),
    config(0x1C, NO_SUBLEAF, NONE, [0xFF, 0, 0, 0]),
    config(0x8000_0008, NO_SUBLEAF, NONE, [0, 0x200, 0, 0]),
    config(0x7, 2, NONE, [0, 0, 0, 0x28]),
    config(0x23, 0, NONE, [0xF, 0, 0, 0]),
];

impl Config {
    /// The identifier of the leaf as in CPUID_CONFIG_LEAVES: leaf in bits 31:0, sub-leaf in 63:32.
    pub fn id(&self) -> u64 {
        u64::from(self.leaf) | (u64::from(self.subleaf) << 32)
    }
}

/// The leaves and sub-leaves that the module asks the CPU for, some twice; 0 stands for "no sub-leaf".
pub fn leaves() -> impl Iterator<Item = (u32, u32)> {
    let values = VALUES.iter().map(|value| (value.leaf, value.subleaf));
    let configs = CONFIGS.iter().map(|config| (config.leaf, config.subleaf));
    let xsave = (2..XSAVE_COMPONENTS).map(|component| (XSAVE, component));
    values
        .chain(configs)
        .map(|(leaf, subleaf)| (leaf, if subleaf == NO_SUBLEAF { 0 } else { subleaf }))
        .chain(xsave)
}

/// Two registers as one 64-bit element of a metadata field: element 0 is EAX and EBX, element 1 ECX
/// and EDX.
pub fn pair(registers: &Registers, element: u32) -> u64 {
    let [eax, ebx, ecx, edx] = *registers;
    if element % 2 == 0 {
        u64::from(eax) | (u64::from(ebx) << 32)
    } else {
        u64::from(ecx) | (u64::from(edx) << 32)
    }
}

/// A leaf that CPUID_VALUES has, and what a TD sees in the bits that the host does not configure.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// Leaf.
    pub leaf: u32,
    /// Sub-leaf or [`NO_SUBLEAF`].
    pub subleaf: u32,
    /// Bits that are as the CPU has them.
    pub native: Registers,
    /// Bits that are 1.
    pub ones: Registers,
}

const ALL: Registers = [u32::MAX; 4];

const fn native(leaf: u32, subleaf: u32) -> Value {
    Value {
        leaf,
        subleaf,
        native: ALL,
        ones: NONE,
    }
}

const fn zero(leaf: u32, subleaf: u32) -> Value {
    Value {
        leaf,
        subleaf,
        native: NONE,
        ones: NONE,
    }
}

const fn bits(leaf: u32, subleaf: u32, native: Registers, ones: Registers) -> Value {
    Value {
        leaf,
        subleaf,
        native,
        ones,
    }
}

/// Highest basic leaf of a TD.
const MAX_LEAF: u32 = 0x23;

/// Highest extended leaf of a TD.
const MAX_EXTENDED_LEAF: u32 = 0x8000_0008;

/// The leaves of CPUID_VALUES in the order of the field.
///
/// A TD has no VMX (1.ECX[5]), SMX (6), SGX (7.EBX[2]) and no machine-dependent monitor (1.ECX[3])
/// unless configured; it has x2APIC and a hypervisor.
#[rustfmt::skip]
pub static VALUES: [Value; 64] = [
    bits(0x0, NO_SUBLEAF, [0, u32::MAX, u32::MAX, u32::MAX], [MAX_LEAF, 0, 0, 0]),
    bits(0x1, NO_SUBLEAF, [0, 0x0000_FF00, 0x76FA_3217, 0x0783_FBFF], [0, 0, 0x8020_0000, 0]),
    native(0x2, NO_SUBLEAF),
    zero(0x3, NO_SUBLEAF),
    native(0x4, 0),
    native(0x4, 1),
    native(0x4, 2),
    native(0x4, 3),
    zero(0x4, 4),
    zero(0x5, NO_SUBLEAF),
    zero(0x6, NO_SUBLEAF),
    bits(0x7, 0, [u32::MAX, 0x21C4_67E1, 0x1800_4020, 0xA800_0000], NONE),
    zero(0x7, 1),
    zero(0x7, 2),
    zero(0x8, NO_SUBLEAF),
    zero(0xA, NO_SUBLEAF),
    native(0xD, 0),
    native(0xD, 1),
    native(0xD, 2),
    zero(0xD, 3),
    zero(0xD, 4),
    native(0xD, 5),
    native(0xD, 6),
    native(0xD, 7),
    zero(0xD, 8),
    native(0xD, 9),
    zero(0xD, 10),
    native(0xD, 11),
    native(0xD, 12),
    zero(0xD, 13),
    zero(0xD, 14),
    zero(0xD, 15),
    zero(0xD, 16),
    native(0xD, 17),
    native(0xD, 18),
    zero(0xE, NO_SUBLEAF),
    zero(0x11, NO_SUBLEAF),
    zero(0x12, 0),
    zero(0x13, NO_SUBLEAF),
    zero(0x14, 0),
    zero(0x14, 1),
    native(0x15, NO_SUBLEAF),
    zero(0x16, NO_SUBLEAF),
    native(0x19, NO_SUBLEAF),
    zero(0x1A, NO_SUBLEAF),
    zero(0x1C, NO_SUBLEAF),
    native(0x1D, 0),
    native(0x1D, 1),
    native(0x1E, 0),
    zero(0x20, 0),
    zero(0x21, 0),
    zero(0x23, 0),
    zero(0x23, 1),
    zero(0x23, 2),
    zero(0x23, 3),
    bits(0x8000_0000, NO_SUBLEAF, NONE, [MAX_EXTENDED_LEAF, 0, 0, 0]),
    native(0x8000_0001, NO_SUBLEAF),
    native(0x8000_0002, NO_SUBLEAF),
    native(0x8000_0003, NO_SUBLEAF),
    native(0x8000_0004, NO_SUBLEAF),
    zero(0x8000_0005, NO_SUBLEAF),
    native(0x8000_0006, NO_SUBLEAF),
    native(0x8000_0007, NO_SUBLEAF),
    bits(0x8000_0008, NO_SUBLEAF, [0xFFFF, u32::MAX, 0, 0], NONE),
];

/// The element of CPUID_VALUES that a field code means.
///
/// Bit 0 selects the element, bits 7:1 are the sub-leaf, bit 8 says that there is none, bits 15:9
/// are the leaf's bits 6:0 and bit 16 its bit 31. A leaf without sub-leaves may be asked for with
/// sub-leaf 0, too.
pub fn element(code: u32) -> Option<u32> {
    let leaf = (code >> 9) & 0x7F | (((code >> 16) & 1) << 31);
    let subleaf = match (code >> 1) & 0xFF {
        0xFF => NO_SUBLEAF,
        subleaf if subleaf < 0x80 => subleaf,
        _ => return None,
    };
    let is_asked_for = |value: &Value| {
        value.leaf == leaf
            && (value.subleaf == subleaf || value.subleaf == NO_SUBLEAF && subleaf == 0)
    };
    (0..)
        .zip(&VALUES)
        .find(|(_, value)| is_asked_for(value))
        .map(|(i, _): (u32, _)| i * 2 + (code & 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_select_leaf_subleaf_and_element() {
        assert_eq!(element(0), Some(0));
        assert_eq!(element(0x1FE | 1), Some(1));
        assert_eq!(element((1 << 9) | 0x1FE), Some(2));
        assert_eq!(element((4 << 9) | (1 << 1)), Some(10));
        assert_eq!(element((4 << 9) | 0x1FE), None);
        assert_eq!(element((4 << 9) | 0x100), None);
        assert_eq!(element((1 << 16) | (8 << 9) | 0x1FE | 1), Some(127));
    }

    #[test]
    fn configured_leaves_have_a_value() {
        for config in &CONFIGS {
            let here =
                |value: &&Value| (value.leaf, value.subleaf) == (config.leaf, config.subleaf);
            let value = VALUES.iter().find(here).unwrap();
            for i in 0..4 {
                assert_eq!(config.direct[i] & config.allow[i], 0);
                assert_eq!(value.ones[i] & (config.direct[i] | config.allow[i]), 0);
            }
        }
    }
}
