// SPDX-License-Identifier: GPL-2.0

//! MRTD: SHA-384 over what the host puts into a TD before it runs.
//!
//! TDX ABI: "TD Measurement". The hash takes blocks of 128 bytes only, which is its own block size:
//! its state between two leaves is eight words and the number of blocks.

use super::{
    platform::Platform,
    tdcs::{
        fields,
        Tdcs, //
    }, //
};

/// Bytes that go into the hash at a time.
pub const BLOCK_SIZE: usize = 128;

/// Bytes of content that are measured at a time.
pub const CONTENT_SIZE: usize = 256;

type Block = [u8; BLOCK_SIZE];

/// State of SHA-384 before the first block (FIPS 180-4, section 5.3.4).
const INITIAL: [u64; 8] = [
    0xCBBB_9D5D_C105_9ED8,
    0x629A_292A_367C_D507,
    0x9159_015A_3070_DD17,
    0x152F_ECD8_F70E_5939,
    0x6733_2667_FFC0_0B31,
    0x8EB4_4A87_6858_1511,
    0xDB0C_2E0D_64F9_8FA7,
    0x47B5_481D_BEFA_4FA4,
];

/// Words of a SHA-384 digest.
const DIGEST_WORDS: usize = 6;

fn load<P: Platform>(tdcs: &Tdcs<'_, P>) -> [u64; 8] {
    let mut state = [0; 8];
    for (word, index) in state.iter_mut().zip(0..) {
        *word = tdcs.get(fields::MRTD_STATE.element(index));
    }
    state
}

fn store<P: Platform>(tdcs: &Tdcs<'_, P>, state: &[u64; 8]) {
    for (word, index) in state.iter().zip(0..) {
        tdcs.set(fields::MRTD_STATE.element(index), *word);
    }
}

/// Begins the measurement.
pub fn begin<P: Platform>(tdcs: &Tdcs<'_, P>) {
    store(tdcs, &INITIAL);
    tdcs.set(fields::MRTD_BLOCKS, 0);
}

fn extend<P: Platform>(p: &P, tdcs: &Tdcs<'_, P>, blocks: &[Block]) {
    let mut state = load(tdcs);
    for block in blocks {
        p.sha512_block(&mut state, block);
    }
    store(tdcs, &state);
    let before = tdcs.get(fields::MRTD_BLOCKS);
    tdcs.set(
        fields::MRTD_BLOCKS,
        before.wrapping_add(blocks.len() as u64),
    );
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
    let bits = u128::from(tdcs.get(fields::MRTD_BLOCKS)) * 8 * BLOCK_SIZE as u128;
    let mut padding = [0; BLOCK_SIZE];
    let length = bits.to_be_bytes();
    for (to, from) in padding.iter_mut().rev().zip(length.iter().rev()) {
        *to = *from;
    }
    if let Some(first) = padding.first_mut() {
        *first = 0x80;
    }
    let mut state = load(tdcs);
    p.sha512_block(&mut state, &padding);
    for (word, index) in state.iter().take(DIGEST_WORDS).zip(0..) {
        // The digest is a string of bytes, the words of the state in big-endian order.
        tdcs.set(fields::MRTD.element(index), word.swap_bytes());
    }
}
