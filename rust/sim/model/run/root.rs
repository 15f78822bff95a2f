// SPDX-License-Identifier: GPL-2.0

//! The root of the EPT that a TD runs with, and what a CPU must have for it.
//!
//! The TDX module has two EPTs for a TD, one for private and one for shared memory. VMX has one: its root is a
//! page of the CPU, made of both.

use super::super::{
    platform::{
        Abilities,
        Platform,
        Unable, //
    },
    tdcs::{
        fields,
        Tdcs, //
    }, //
};
use crate::abi::Level;

/// Least width of guest physical addresses.
const MIN_GPA_WIDTH: u32 = 48;

/// What a CPU has that can run TDs of some kind.
///
/// # Errors
///
/// Why it can run none.
pub fn able(cpu: Option<Abilities>) -> Result<Abilities, Unable> {
    let cpu = cpu.ok_or(Unable::Vmx)?;
    if cpu.pa_width < MIN_GPA_WIDTH {
        return Err(Unable::AddressWidth);
    }
    Ok(cpu)
}

/// The root page of a TD's EPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// Levels below it.
    pub walk: u32,
    /// The first entry that is for shared memory.
    pub shared: usize,
}

impl Root {
    /// The root for a TD on a CPU.
    ///
    /// # Errors
    ///
    /// Why the CPU cannot run the TD.
    pub fn new<P: Platform>(cpu: Option<Abilities>, tdcs: &Tdcs<'_, P>) -> Result<Self, Unable> {
        let cpu = able(cpu)?;
        if cpu.pa_width < tdcs.gpa_width() {
            return Err(Unable::AddressWidth);
        }
        let walk = ((tdcs.get(fields::EPTP) >> 3) & 7) as u32;
        if walk > 3 && !cpu.ept5 {
            return Err(Unable::Ept5);
        }
        let shared = (tdcs.gpa_width() - 1)
            .checked_sub(Level::K4.shift() + 9 * walk)
            .and_then(|bit| 1usize.checked_shl(bit))
            .filter(|shared| *shared < Level::ENTRIES as usize)
            .ok_or(Unable::SharedBit)?;
        Ok(Self { walk, shared })
    }
}
