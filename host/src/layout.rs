// SPDX-License-Identifier: GPL-2.0

//! The machines that tests use: a platform like that of the reference traces.

use crate::{
    cpuid,
    sim::model::platform::{
        Config,
        Profile,
        Range,
        MAX_CMRS, //
    }, //
};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Memory that tests may need: up to the end of the second CMR of the larger layout, and beyond.
pub const RAM_SIZE: u64 = 8 * GIB;

/// Where memory convertible to TDX begins; the metadata of TDX lies in the first CMR, below.
pub const TDMR_BASE: u64 = 4 * GIB;

/// A platform of one package with two logical processors and `gib` GiB of memory for TDs; 32
/// private KeyIDs, the first of which is 32, in bits 51:46.
pub fn config(profile: Profile, gib: u64) -> Config {
    let mut cmrs = [Range::default(); MAX_CMRS];
    cmrs[0] = Range {
        base: 2 * GIB,
        size: 256 * MIB,
    };
    cmrs[1] = Range {
        base: TDMR_BASE,
        size: gib * GIB,
    };
    Config {
        module: profile.into(),
        keyid_shift: 46,
        keyid_bits: 6,
        first_private_keyid: 32,
        nr_private_keyids: 32,
        nr_lps: 2,
        nr_packages: 1,
        fms: cpuid::FMS,
        cmrs,
        seamrr: Range {
            base: 0x7000_0000,
            size: 32 * MIB,
        },
        xfam: 0x602E7 | 0xD900,
        tsc_hz: 2_000_000_000,
        ept5: true,
        cache_wb_blocks: 4,
    }
}
