// SPDX-License-Identifier: GPL-2.0

//! The TD VMCS: a page of the TDVPS, one word for each field.

use crate::{
    abi::Level,
    sim::{
        model::{
            field::Field,
            metadata::vmcs::TABLE,
            tdvps::{
                Tdvps,
                VMCS, //
            }, //
        },
        platform::Machine, //
    }, //
};

/// Words of a TD VMCS.
pub(super) type Words = [u64; TABLE.len()];

/// The TD VMCS of a vCPU, as long as it is in use: in memory of the CPU, for a copy of all of it takes longer than
/// what is done with it.
pub(super) struct TdVmcs<'a> {
    pa: u64,
    words: &'a mut Words,
}

impl<'a> TdVmcs<'a> {
    /// Loads that of a vCPU to `words`.
    pub(super) fn load(
        machine: &Machine<'_>,
        tdvps: &Tdvps<'_, Machine<'_>>,
        words: &'a mut Words,
    ) -> Self {
        let pa = tdvps.page(VMCS >> Level::K4.shift());
        machine.read_words(pa, words);
        Self { pa, words }
    }

    /// Stores it where it has come from.
    pub(super) fn store(self, machine: &Machine<'_>) {
        machine.write_words(self.pa, self.words);
    }

    /// Each field has a word of its own.
    #[inline]
    fn index(field: Field) -> usize {
        field.offset.wrapping_sub(VMCS) as usize / size_of::<u64>()
    }

    /// Reads a field.
    #[inline]
    pub(super) fn get(&self, field: Field) -> u64 {
        self.words.get(Self::index(field)).copied().unwrap_or(0)
    }

    /// Writes a field.
    #[inline]
    pub(super) fn set(&mut self, field: Field, value: u64) {
        if let Some(word) = self.words.get_mut(Self::index(field)) {
            *word = value & field.mask();
        }
    }
}
