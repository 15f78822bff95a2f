// SPDX-License-Identifier: GPL-2.0

//! The machine that a trace was recorded on, if its first notes say so (`rust/sim/trace.rs`).

use crate::trace::Record;
use tdx::{
    layout,
    platform::Machine,
    sim::{
        model::{
            platform::{
                Config,
                Profile,
                Range, //
            },
            Module, //
        },
        trace::{
            number,
            set_fact, //
        },
    },
    world::World,
};

/// A machine before TDH.SYS.INIT, and the package of each of its logical processors.
pub struct Cold {
    pub world: World,
    pub packages: Vec<u32>,
}

/// The words of a note that begins with `kind`, as keys and values.
fn words<'a>(record: &'a Record, kind: &str) -> Option<Vec<(&'a str, &'a str)>> {
    let mut words = record.note.as_ref()?.split(' ');
    (words.next() == Some(kind)).then(|| words.filter_map(|word| word.split_once('=')).collect())
}

/// A number among the words.
fn get<T: TryFrom<u64>>(words: &[(&str, &str)], key: &str) -> Result<T, String> {
    words
        .iter()
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| number(value)?.try_into().ok())
        .ok_or(format!("the header lacks {key}"))
}

/// The notes of `kind`.
fn notes<'a>(
    records: &'a [(String, Record)],
    kind: &'a str,
) -> impl Iterator<Item = Vec<(&'a str, &'a str)>> {
    records
        .iter()
        .filter_map(move |(_, record)| words(record, kind))
}

/// The machine that the header of a trace describes; `None` if it has none.
pub fn machine(records: &[(String, Record)]) -> Result<Option<Cold>, String> {
    let notes_only = records
        .iter()
        .take_while(|(_, record)| record.note.is_some());
    let header = &records[..notes_only.count()];
    let Some(facts) = notes(header, "platform").next() else {
        return Ok(None);
    };

    let mut config = Config {
        cmrs: Default::default(),
        ..layout::config(Profile::Current, 1)
    };
    for (key, value) in facts {
        set_fact(&mut config, key, value).ok_or(format!("unknown fact {key}={value}"))?;
    }
    let mut end = layout::RAM_SIZE;
    for (cmr, words) in config.cmrs.iter_mut().zip(notes(header, "cmr")) {
        *cmr = Range {
            base: get(&words, "base")?,
            size: get(&words, "size")?,
        };
        end = end.max(cmr.end());
    }
    let packages = notes(header, "lp")
        .map(|words| get(&words, "package"))
        .collect::<Result<_, _>>()?;
    let cpuid = notes(header, "cpuid")
        .map(|words| {
            let registers = ["eax", "ebx", "ecx", "edx"].map(|name| get(&words, name));
            let [eax, ebx, ecx, edx] = registers;
            let registers = [eax?, ebx?, ecx?, edx?];
            Ok((get(&words, "leaf")?, get(&words, "subleaf")?, registers))
        })
        .collect::<Result<_, String>>()?;

    let mut machine = Machine::new(config, end);
    machine.cpuid = Some(cpuid);
    let world = World {
        machine,
        module: Box::new(Module::new()),
    };
    Ok(Some(Cold { world, packages }))
}
