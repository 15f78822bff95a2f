// SPDX-License-Identifier: GPL-2.0

//! SEAMCALL traces: JSON Lines, one event a line, sequences independent of each other.

use serde::{
    de::Error,
    Deserialize,
    Deserializer, //
};
use std::{
    collections::BTreeMap,
    fs,
    path::Path, //
};

/// A number that the trace writes as a string, `0x1f`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hex(pub u64);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let digits = text
            .strip_prefix("0x")
            .ok_or_else(|| D::Error::custom("no 0x"))?;
        u64::from_str_radix(digits, 16)
            .map(Hex)
            .map_err(D::Error::custom)
    }
}

/// Memory content that the trace writes as hexadecimal digits.
pub struct Bytes(pub Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        text.as_bytes()
            .chunks(2)
            .map(byte)
            .collect::<Option<_>>()
            .map(Bytes)
            .ok_or_else(|| D::Error::custom("not hexadecimal"))
    }
}

/// Registers by their lower-case names.
pub type Registers = BTreeMap<String, Hex>;

/// Host memory: written before, or read after a call.
#[derive(Deserialize)]
pub struct Memory {
    pub pa: Hex,
    pub len: usize,
    pub fill: Option<Hex>,
    pub hex: Option<Bytes>,
}

impl Memory {
    pub fn content(&self) -> Vec<u8> {
        match (&self.hex, self.fill) {
            (Some(Bytes(bytes)), _) => bytes.clone(),
            (None, Some(Hex(byte))) => vec![byte as u8; self.len],
            (None, None) => panic!("memory event without content"),
        }
    }
}

/// A lock word that another logical processor takes or drops.
#[derive(Deserialize)]
pub struct Lock {
    pub kind: String,
    pub op: String,
    pub mode: String,
    pub a: Hex,
    pub b: u8,
    pub result: String,
}

/// Something that the hardware does from now on.
#[derive(Deserialize)]
pub struct Hardware {
    pub event: String,
    pub value: Option<u64>,
    pub tdr: Option<Hex>,
    pub refcount: Option<[u16; 2]>,
}

/// One line of a trace; exactly one kind of event is there.
#[derive(Deserialize)]
pub struct Record {
    pub seq: String,
    #[serde(default)]
    pub lp: u32,
    pub leaf: Option<String>,
    pub rax_in: Option<Hex>,
    #[serde(default, rename = "in")]
    pub input: Registers,
    pub rax: Option<Hex>,
    #[serde(default)]
    pub out: Registers,
    pub poke: Option<Memory>,
    pub peek: Option<Memory>,
    pub lock: Option<Lock>,
    pub hw: Option<Hardware>,
    pub note: Option<String>,
}

/// The events of a trace, with the text they were read from.
pub fn parse(text: &str) -> Result<Vec<(String, Record)>, String> {
    text.lines()
        .zip(1..)
        .map(|(line, number)| match serde_json::from_str(line) {
            Ok(record) => Ok((line.to_string(), record)),
            Err(e) => Err(format!("line {number}: {e}")),
        })
        .collect()
}

/// The events of the trace at `path`, which is xz-compressed if its name says so.
pub fn read(path: &Path) -> Result<Vec<(String, Record)>, String> {
    let read = || {
        let mut text = fs::read(path).map_err(|e| e.to_string())?;
        if path.extension().is_some_and(|extension| extension == "xz") {
            let compressed = std::mem::take(&mut text);
            lzma_rs::xz_decompress(&mut compressed.as_slice(), &mut text)
                .map_err(|e| format!("{e:?}"))?;
        }
        parse(std::str::from_utf8(&text).map_err(|e| e.to_string())?)
    };
    read().map_err(|e| format!("{}: {e}", path.display()))
}
