// SPDX-License-Identifier: GPL-2.0

//! The shape of the module as a user writes it down: the boot parameters of the simulator.

use super::{
    platform::Profile,
    profile::{
        Shape,
        Version, //
    },
    tdcs,
    tdmr::{
        MAX_RESERVED,
        MAX_TDMRS,
        PAMT_ENTRY_SIZE,
        PAMT_LEVELS, //
    },
    tdr,
    tdvps, //
};
use crate::abi::metadata::Features0;
use core::fmt;

/// What was asked for. An empty text or a 0 leaves what the profile has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Name of the profile.
    pub profile: &'a str,
    /// Version, as MAJOR.MINOR.UPDATE.
    pub version: &'a str,
    /// Features by name, each with `+` or `-` before it, separated by commas.
    pub features: &'a str,
    /// Most TDMRs.
    pub max_tdmrs: u32,
    /// Most reserved areas in a TDMR.
    pub max_reserved_per_tdmr: u32,
    /// Bytes of a PAMT entry by page size, smallest size first.
    pub pamt_entry_size: [u32; PAMT_LEVELS.len()],
    /// TDCX pages that every TD has.
    pub tdcs_pages: u32,
    /// TDVPS pages that every vCPU has.
    pub tdvps_pages: u32,
}

/// The profiles by name.
const PROFILES: [(&str, Profile); 2] =
    [("1.5.01", Profile::V1_5_01), ("current", Profile::Current)];

/// The features that the model can do with and without. It always has what else it announces, and
/// never what it does not.
const FEATURES: [(&str, u64); 6] = [
    (
        "arch_capabilities_config",
        Features0::ARCH_CAPABILITIES_CONFIG_MASK,
    ),
    ("clflush_before_alloc", Features0::CLFLUSH_BEFORE_ALLOC_MASK),
    (
        "enhanced_demote_interruptibility",
        Features0::ENHANCED_DEMOTE_INTERRUPTIBILITY_MASK,
    ),
    ("no_rbp_mod", Features0::NO_RBP_MOD_MASK),
    ("td_partitioning", Features0::TD_PARTITIONING_MASK),
    ("topology_enum", Features0::TOPOLOGY_ENUM_MASK),
];

/// Largest PAMT entry that can be asked for: with it the metadata takes 1/16 of memory.
const MAX_PAMT_ENTRY_SIZE: u32 = 256;

/// Why options make no module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal<'a> {
    /// There is no profile of that name.
    Profile(&'a str),
    /// That is no version.
    Version(&'a str),
    /// There is no feature of that name to choose, or no sign before it.
    Feature(&'a str),
    /// A number that is out of range: name, number, least and most.
    Number(&'static str, u32, u32, u32),
    /// That is no size of PAMT entries.
    PamtEntrySize(u32),
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile(name) => {
                write!(f, "profile={name}: it is one of")?;
                PROFILES.iter().try_for_each(|(p, _)| write!(f, " {p}"))
            }
            Self::Version(text) => write!(f, "version={text}: it is MAJOR.MINOR.UPDATE, as in 1.5.06"),
            Self::Feature(word) => {
                write!(f, "features={word}: it is + or - and one of")?;
                FEATURES.iter().try_for_each(|(n, _)| write!(f, " {n}"))
            }
            Self::Number(name, number, least, most) => {
                write!(f, "{name}={number}: it is {least} to {most}")
            }
            Self::PamtEntrySize(size) => write!(
                f,
                "pamt_entry_size={size}: it is a multiple of {PAMT_ENTRY_SIZE}, at most {MAX_PAMT_ENTRY_SIZE}"
            ),
        }
    }
}

fn find<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
}

fn version(text: &str) -> Option<Version> {
    let mut numbers = text.split('.').map(|n| n.parse().ok());
    let version = Version {
        major: numbers.next()??,
        minor: numbers.next()??,
        update: numbers.next()??,
    };
    numbers.next().is_none().then_some(version)
}

/// Switches on or off what `word` names.
fn switch(features0: u64, word: &str) -> Option<u64> {
    if let Some(name) = word.strip_prefix('+') {
        Some(features0 | find(&FEATURES, name)?)
    } else {
        Some(features0 & !find(&FEATURES, word.strip_prefix('-')?)?)
    }
}

/// Puts an option in the place of what the profile has.
fn number(
    name: &'static str,
    option: u32,
    least: u64,
    most: u64,
    field: &mut u16,
) -> Result<(), Refusal<'static>> {
    if option == 0 {
        return Ok(());
    }
    let refusal = Refusal::Number(name, option, least as u32, most as u32);
    if !(least..=most).contains(&u64::from(option)) {
        return Err(refusal);
    }
    *field = u16::try_from(option).map_err(|_| refusal)?;
    Ok(())
}

impl<'a> Options<'a> {
    /// The module that was asked for.
    ///
    /// # Errors
    ///
    /// The first option that makes no sense.
    pub fn shape(&self) -> Result<Shape, Refusal<'a>> {
        let mut shape = match self.profile {
            "" => Shape::default(),
            name => Shape::from(find(&PROFILES, name).ok_or(Refusal::Profile(name))?),
        };
        if !self.version.is_empty() {
            shape.version = version(self.version).ok_or(Refusal::Version(self.version))?;
        }
        for word in self.features.split(',').filter(|word| !word.is_empty()) {
            shape.features0 = switch(shape.features0, word).ok_or(Refusal::Feature(word))?;
        }
        for (field, option) in shape.pamt_entry_sizes.iter_mut().zip(self.pamt_entry_size) {
            if option == 0 {
                continue;
            }
            if option > MAX_PAMT_ENTRY_SIZE || u64::from(option) % PAMT_ENTRY_SIZE != 0 {
                return Err(Refusal::PamtEntrySize(option));
            }
            *field = option as u16;
        }

        // Pages of L2 VMs come after those that every TD and vCPU has.
        let l2_vms = shape.max_l2_vms();
        let most_tdcs = tdr::MAX_TDCX - l2_vms;
        let most_tdvps = tdvps::MAX_PAGES - tdvps::PAGES_PER_L2_VM * l2_vms;
        let numbers = [
            (
                "max_tdmrs",
                self.max_tdmrs,
                1,
                MAX_TDMRS as u64,
                &mut shape.max_tdmrs,
            ),
            (
                "max_reserved_per_tdmr",
                self.max_reserved_per_tdmr,
                1,
                MAX_RESERVED as u64,
                &mut shape.max_reserved_per_tdmr,
            ),
            (
                "tdcs_pages",
                self.tdcs_pages,
                tdcs::BASE_PAGES,
                most_tdcs,
                &mut shape.tdcs_pages,
            ),
            (
                "tdvps_pages",
                self.tdvps_pages,
                tdvps::BASE_PAGES,
                most_tdvps,
                &mut shape.tdvps_pages,
            ),
        ];
        for (name, option, least, most, field) in numbers {
            number(name, option, least, most, field)?;
        }
        Ok(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(options: &Options<'static>) -> String {
        options.shape().unwrap_err().to_string()
    }

    #[test]
    fn nothing_asked_for_is_the_default() {
        assert_eq!(Options::default().shape(), Ok(Shape::default()));
        let named = |profile| {
            Options {
                profile,
                ..Options::default()
            }
            .shape()
        };
        assert_eq!(named("current"), Ok(Profile::Current.into()));
        assert_eq!(named("1.5.01"), Ok(Profile::V1_5_01.into()));
    }

    #[test]
    fn all_that_is_asked_for() {
        let options = Options {
            profile: "current",
            version: "2.0.07",
            features: "+clflush_before_alloc,-no_rbp_mod,",
            max_tdmrs: 1,
            max_reserved_per_tdmr: 8,
            pamt_entry_size: [32, 0, 256],
            tdcs_pages: 9,
            tdvps_pages: 15,
        };
        let default = Shape::default();
        let expected = Shape {
            version: Version {
                major: 2,
                minor: 0,
                update: 7,
            },
            features0: default.features0 ^ (1 << 23) ^ (1 << 18),
            max_tdmrs: 1,
            max_reserved_per_tdmr: 8,
            pamt_entry_sizes: [32, 16, 256],
            tdcs_pages: 9,
            tdvps_pages: 15,
            ..default
        };
        assert_eq!(options.shape(), Ok(expected));
        assert_eq!(expected.config_flags_fixed0(), 3);
    }

    #[test]
    fn profile_that_is_none() {
        let options = Options {
            profile: "1.5.1",
            ..Options::default()
        };
        assert_eq!(
            refusal(&options),
            "profile=1.5.1: it is one of 1.5.01 current"
        );
    }

    #[test]
    fn version_that_is_none() {
        for version in ["1.5", "1.5.6.7", "1..2", "a.b.c", "1.5.65536", "1.-5.0"] {
            let options = Options {
                version,
                ..Options::default()
            };
            assert_eq!(
                refusal(&options),
                format!("version={version}: it is MAJOR.MINOR.UPDATE, as in 1.5.06")
            );
        }
    }

    #[test]
    fn feature_that_cannot_be_chosen() {
        for word in ["clflush_before_alloc", "+td_migration", "-", "*no_rbp_mod"] {
            let options = Options {
                features: word,
                ..Options::default()
            };
            assert_eq!(
                refusal(&options),
                format!(
                    "features={word}: it is + or - and one of arch_capabilities_config \
                     clflush_before_alloc enhanced_demote_interruptibility no_rbp_mod \
                     td_partitioning topology_enum"
                )
            );
        }
    }

    #[test]
    fn number_out_of_range() {
        let none = Options::default();
        for (options, words) in [
            (
                Options {
                    max_tdmrs: 65,
                    ..none
                },
                "max_tdmrs=65: it is 1 to 64",
            ),
            (
                Options {
                    max_reserved_per_tdmr: 17,
                    ..none
                },
                "max_reserved_per_tdmr=17: it is 1 to 16",
            ),
            (
                Options {
                    tdcs_pages: 5,
                    ..none
                },
                "tdcs_pages=5: it is 6 to 9",
            ),
            (
                Options {
                    tdvps_pages: 16,
                    ..none
                },
                "tdvps_pages=16: it is 6 to 15",
            ),
            (
                Options {
                    pamt_entry_size: [16, 40, 16],
                    ..none
                },
                "pamt_entry_size=40: it is a multiple of 16, at most 256",
            ),
            (
                Options {
                    pamt_entry_size: [272, 0, 0],
                    ..none
                },
                "pamt_entry_size=272: it is a multiple of 16, at most 256",
            ),
        ] {
            assert_eq!(refusal(&options), words);
        }
    }

    #[test]
    fn l2_vms_need_the_pages_after_the_common_ones() {
        let options = Options {
            features: "+td_partitioning",
            tdvps_pages: 7,
            ..Options::default()
        };
        assert_eq!(refusal(&options), "tdvps_pages=7: it is 6 to 6");
    }
}
