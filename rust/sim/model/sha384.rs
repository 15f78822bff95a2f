// SPDX-License-Identifier: GPL-2.0

//! SHA-384, from the compression function that the machine has. FIPS 180-4, sections 5.1.2, 5.3.4 and 6.5.

use super::platform::Platform;

/// Bytes that go into the hash at a time.
pub const BLOCK_SIZE: usize = 128;

/// A block.
pub type Block = [u8; BLOCK_SIZE];

/// Words of a digest. Each holds eight bytes of it, the first in its lowest bits.
pub const DIGEST_WORDS: usize = 6;

/// A digest.
pub type Digest = [u64; DIGEST_WORDS];

/// State of SHA-384 before the first block.
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

/// A hash of whole blocks so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash {
    /// What the compression function has made of the blocks.
    pub state: [u64; 8],
    /// Their number.
    pub blocks: u64,
}

impl Hash {
    /// The hash of nothing yet.
    pub const fn new() -> Self {
        Self {
            state: INITIAL,
            blocks: 0,
        }
    }

    /// Takes one more block.
    pub fn block<P: Platform>(&mut self, p: &P, block: &Block) {
        p.sha512_block(&mut self.state, block);
        self.blocks = self.blocks.wrapping_add(1);
    }

    /// The digest of the blocks and of `rest`, the bytes that are left.
    pub fn finish<P: Platform>(mut self, p: &P, rest: impl Iterator<Item = u8>) -> Digest {
        /// Where the length of the message is in the last block.
        const LENGTH: usize = BLOCK_SIZE - 16;

        let mut length = u128::from(self.blocks) * BLOCK_SIZE as u128;
        let mut block = [0; BLOCK_SIZE];
        let mut used = 0;
        let mut put = |hash: &mut Self, byte| {
            if let Some(to) = block.get_mut(used) {
                *to = byte;
            }
            used = used.wrapping_add(1);
            if used == BLOCK_SIZE {
                hash.block(p, &block);
                (block, used) = ([0; BLOCK_SIZE], 0);
            }
            used
        };
        for byte in rest {
            put(&mut self, byte);
            length += 1;
        }
        let mut used = put(&mut self, 0x80);
        while used != LENGTH {
            used = put(&mut self, 0);
        }
        for byte in (length * 8).to_be_bytes() {
            put(&mut self, byte);
        }
        let [a, b, c, d, e, f, ..] = self.state;
        // The digest is a string of bytes, the words of the state in big-endian order.
        [a, b, c, d, e, f].map(u64::swap_bytes)
    }
}

impl Default for Hash {
    fn default() -> Self {
        Self::new()
    }
}

/// The bytes of words as they lie in memory.
pub fn bytes(words: impl IntoIterator<Item = u64>) -> impl Iterator<Item = u8> {
    words.into_iter().flat_map(u64::to_le_bytes)
}

/// The digest of a string of bytes.
pub fn digest<P: Platform>(p: &P, message: impl Iterator<Item = u8>) -> Digest {
    Hash::new().finish(p, message)
}

/// The authentication code of a message under `key` (HMAC, RFC 2104).
pub fn hmac<P: Platform>(p: &P, key: &Digest, message: impl Iterator<Item = u8>) -> Digest {
    let pad = |with: u8| {
        let mut block = [with; BLOCK_SIZE];
        for (to, key) in block.iter_mut().zip(bytes(*key)) {
            *to ^= key;
        }
        let mut hash = Hash::new();
        hash.block(p, &block);
        hash
    };
    let inner = pad(0x36).finish(p, message);
    pad(0x5C).finish(p, bytes(inner))
}
