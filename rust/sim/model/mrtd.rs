// SPDX-License-Identifier: GPL-2.0

//! MRTD: SHA-384 over what the host puts into a TD before it runs.
//!
//! TDX ABI: "TD Measurement". The hash takes blocks of 128 bytes only, which is its own block size:
//! its state between two leaves is eight words and the number of blocks.

use core::iter;

use super::{
    platform::Platform,
    sha384::{
        Block,
        Hash,
        BLOCK_SIZE, //
    },
    tdcs::{
        fields,
        Tdcs, //
    }, //
};

/// Bytes of content that are measured at a time.
pub const CONTENT_SIZE: usize = 256;

fn load<P: Platform>(tdcs: &Tdcs<'_, P>) -> Hash {
    let mut hash = Hash {
        blocks: tdcs.get(fields::MRTD_BLOCKS),
        ..Hash::new()
    };
    for (word, index) in hash.state.iter_mut().zip(0..) {
        *word = tdcs.get(fields::MRTD_STATE.element(index));
    }
    hash
}

fn store<P: Platform>(tdcs: &Tdcs<'_, P>, hash: &Hash) {
    for (word, index) in hash.state.iter().zip(0..) {
        tdcs.set(fields::MRTD_STATE.element(index), *word);
    }
    tdcs.set(fields::MRTD_BLOCKS, hash.blocks);
}

/// Begins the measurement.
pub fn begin<P: Platform>(tdcs: &Tdcs<'_, P>) {
    store(tdcs, &Hash::new());
}

fn extend<P: Platform>(p: &P, tdcs: &Tdcs<'_, P>, blocks: &[Block]) {
    let mut hash = load(tdcs);
    for block in blocks {
        hash.block(p, block);
    }
    store(tdcs, &hash);
}

/// The block that says what was done to which address: a name of up to 16 characters, and the
/// address.
fn header(name: &[u8], gpa: u64) -> Block {
    let mut block = [0; BLOCK_SIZE];
    for (to, from) in block.iter_mut().zip(name) {
        *to = *from;
    }
    for (to, from) in block.iter_mut().skip(16).zip(gpa.to_le_bytes()) {
        *to = from;
    }
    block
}

/// Measures that a page was added at `gpa`.
pub fn add_page<P: Platform>(p: &P, tdcs: &Tdcs<'_, P>, gpa: u64) {
    extend(p, tdcs, &[header(b"MEM.PAGE.ADD", gpa)]);
}

/// Measures [`CONTENT_SIZE`] bytes of content: at `gpa` for the TD, at `pa` in physical memory.
pub fn add_content<P: Platform>(p: &P, tdcs: &Tdcs<'_, P>, gpa: u64, pa: u64) {
    extend(p, tdcs, &[header(b"MR.EXTEND", gpa)]);
    let mut at = pa;
    for _ in 0..CONTENT_SIZE / BLOCK_SIZE {
        let mut block = [0; BLOCK_SIZE];
        for bytes in block.chunks_exact_mut(8) {
            bytes.copy_from_slice(&p.load(at).to_le_bytes());
            at = at.wrapping_add(8);
        }
        extend(p, tdcs, &[block]);
    }
}

/// Ends the measurement: pads the message and stores its digest.
pub fn finish<P: Platform>(p: &P, tdcs: &Tdcs<'_, P>) {
    let digest = load(tdcs).finish(p, iter::empty());
    for (word, index) in digest.into_iter().zip(0..) {
        tdcs.set(fields::MRTD.element(index), word);
    }
}
