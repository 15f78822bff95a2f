// SPDX-License-Identifier: GPL-2.0

//! libFuzzer makes sequences of calls; the checks are those of `cargo test`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    tdx::sequence::run(bytes);
});
