// SPDX-License-Identifier: GPL-2.0

//! SEAMCALLs as text that can be replayed: JSON Lines, one record a line.
//!
//! | record | |
//! |---|---|
//! | `{"seq","lp","leaf","rax_in","in":{..},"rax","out":{..}}` | a call; registers that are not in `in` were 0 |
//! | `{"seq","poke":{"pa","len","fill"\|"hex"}}` | memory that the next call reads |
//! | `{"seq","hw":{"event","value"}}` | what the hardware does from now on |
//! | `{"seq","note"}` | words |
//!
//! The first notes are the [`header`]: the machine that the module was loaded on, as words `key=value`.

use super::model::{
    metadata::cpuid::leaves,
    platform::{
        Config,
        Platform,
        Profile,
        Range, //
    },
};
use crate::abi::{
    args::Operands,
    Args,
    Leaf,
    Rax,
    Status, //
};
use core::fmt;

/// What every record says that it is a part of.
const SEQUENCE: &str = "boot";

/// Note before a call that found a lock held while another logical processor was in the module: which call
/// came first nobody knows.
pub const BUSY: &str = "busy: another logical processor was in the module";

/// Note before a call that fault injection answered.
pub const INJECTED: &str = "injected: the module was not asked";

/// The names of [`Operands`], in the order of their bits in [`Leaf::outputs`].
pub const REGISTERS: [&str; 6] = ["rcx", "rdx", "r8", "r9", "r10", "r11"];

/// Writes a record that is a note.
pub fn note(f: &mut dyn fmt::Write, text: fmt::Arguments<'_>) -> fmt::Result {
    writeln!(f, "{{\"seq\":\"{SEQUENCE}\",\"note\":\"{text}\"}}")
}

/// Writes a record of what the hardware does from now on.
pub fn hardware(f: &mut dyn fmt::Write, event: &str, value: u64) -> fmt::Result {
    writeln!(
        f,
        "{{\"seq\":\"{SEQUENCE}\",\"hw\":{{\"event\":\"{event}\",\"value\":{value}}}}}"
    )
}

/// The event of the hardware that a status tells of: what is on during the call, and off again after it.
pub fn hardware_of(status: Status) -> Option<&'static str> {
    match status.class() {
        Status::INTERRUPTED_RESUMABLE | Status::INTERRUPTED_RESTARTABLE => Some("pending_nmi"),
        Status::RND_NO_ENTROPY => Some("rdrand_rdseed_fail"),
        Status::KEY_GENERATION_FAILED => Some("pconfig_result"),
        _ => None,
    }
}

/// Writes a call.
pub fn call(
    f: &mut dyn fmt::Write,
    lp: u32,
    rax: u64,
    before: &Operands,
    status: Status,
    after: &Operands,
) -> fmt::Result {
    let rax_in = Rax::from_raw(rax);
    write!(f, "{{\"seq\":\"{SEQUENCE}\",\"lp\":{lp},\"leaf\":\"")?;
    let outputs = match rax_in.known_leaf() {
        Some(leaf) => {
            f.write_str(leaf.name())?;
            leaf.outputs(rax_in.version().get() as u8)
        }
        None => {
            write!(f, "LEAF_{}", rax_in.leaf().get())?;
            0
        }
    };
    write!(f, "\",\"rax_in\":\"{rax:#x}\",\"in\":{{")?;
    registers(f, before, |_, value| value != 0)?;
    write!(f, "}},\"rax\":\"{:#x}\",\"out\":{{", status.raw())?;
    registers(f, after, |bit, _| outputs & 1 << bit != 0)?;
    f.write_str("}}\n")
}

fn registers(
    f: &mut dyn fmt::Write,
    values: &Operands,
    select: impl Fn(u32, u64) -> bool,
) -> fmt::Result {
    let mut separator = "";
    for (bit, (name, value)) in (0..).zip(REGISTERS.iter().zip(values.to_array())) {
        if select(bit, value) {
            write!(f, "{separator}\"{name}\":\"{value:#x}\"")?;
            separator = ",";
        }
    }
    Ok(())
}

/// Writes memory that the next call reads.
pub fn poke(f: &mut dyn fmt::Write, pa: u64, words: &[u64]) -> fmt::Result {
    let len = size_of_val(words);
    write!(
        f,
        "{{\"seq\":\"{SEQUENCE}\",\"poke\":{{\"pa\":\"{pa:#x}\",\"len\":{len},"
    )?;
    let mut bytes = words.iter().flat_map(|word| word.to_le_bytes());
    let first = bytes.next().unwrap_or(0);
    if bytes.all(|byte| byte == first) {
        write!(f, "\"fill\":\"{first:#x}\"")?;
    } else {
        f.write_str("\"hex\":\"")?;
        for word in words {
            // The first byte of memory is the lowest of the word.
            write!(f, "{:016x}", word.swap_bytes())?;
        }
        f.write_str("\"")?;
    }
    f.write_str("}}\n")
}

/// Whether a call reads memory as its operand.
#[inline]
pub fn has_memory_operands(rax: u64) -> bool {
    matches!(
        Rax::from_raw(rax).known_leaf(),
        Some(Leaf::MemPageAdd | Leaf::MngInit | Leaf::SysConfig)
    )
}

/// Calls `f` with address and length of each piece of memory that a call reads as its operand: whole words
/// of a page.
///
/// TDX ABI: TDH.MEM.PAGE.ADD, R9; TDH.MNG.INIT, RDX (TD_PARAMS); TDH.SYS.CONFIG, RCX (pointers to TDMR_INFO).
pub fn memory_operands(p: &impl Platform, rax: u64, args: &Args, mut f: impl FnMut(u64, u64)) {
    const PAGE: u64 = 4096;
    const TD_PARAMS: u64 = 1024;
    const TDMR_INFO: u64 = 512;
    let mut operand = |pa: u64, len: u64| {
        let start = pa & p.config().memory_mask() & !7;
        f(start, len.min(PAGE - start % PAGE));
        start
    };
    match Rax::from_raw(rax).known_leaf() {
        Some(Leaf::MemPageAdd) => {
            operand(args.r9 & !(PAGE - 1), PAGE);
        }
        Some(Leaf::MngInit) => {
            operand(args.rdx, TD_PARAMS);
        }
        Some(Leaf::SysConfig) => {
            let pointers = args.rdx.min(TDMR_INFO / 8);
            let array = operand(args.rcx, pointers * 8);
            for i in 0..pointers {
                operand(p.load(array + i * 8), TDMR_INFO);
            }
        }
        _ => {}
    }
}

/// Writes the notes that say what the machine is like. `package` tells the package of a logical processor.
pub fn header(
    f: &mut dyn fmt::Write,
    config: &Config,
    cpuid: impl Fn(u32, u32) -> [u32; 4],
    package: impl Fn(u32) -> u32,
) -> fmt::Result {
    note(f, format_args!("platform {}", Words(config)))?;
    for cmr in config.cmrs.iter().filter(|cmr| cmr.size != 0) {
        note(
            f,
            format_args!("cmr base={:#x} size={:#x}", cmr.base, cmr.size),
        )?;
    }
    for lp in 0..config.nr_lps {
        note(f, format_args!("lp index={lp} package={}", package(lp)))?;
    }
    for (leaf, subleaf) in leaves() {
        let [eax, ebx, ecx, edx] = cpuid(leaf, subleaf);
        note(
            f,
            format_args!(
                "cpuid leaf={leaf:#x} subleaf={subleaf:#x} eax={eax:#x} ebx={ebx:#x} ecx={ecx:#x} edx={edx:#x}"
            ),
        )?;
    }
    Ok(())
}

/// The facts of the platform, all but its CMRs, as words.
struct Words<'a>(&'a Config);

const PROFILES: [(&str, Profile); 2] =
    [("1.5.01", Profile::V1_5_01), ("current", Profile::Current)];

macro_rules! numbers {
    ($($field:ident)*) => {
        impl fmt::Display for Words<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let config = self.0;
                let profile = PROFILES.iter().find(|(_, profile)| *profile == config.module.profile);
                write!(f, "profile={}", profile.map_or("", |(name, _)| name))?;
                let Range { base, size } = config.seamrr;
                write!(f, " seamrr_base={base:#x} seamrr_size={size:#x}")?;
                write!(f, " ept5={}", u8::from(config.ept5))?;
                $(write!(f, concat!(" ", stringify!($field), "={:#x}"), config.$field)?;)*
                Ok(())
            }
        }

        /// Takes a fact of the platform from a word of the header; `None` if there is no such fact, or no
        /// such value.
        pub fn set_fact(config: &mut Config, key: &str, value: &str) -> Option<()> {
            if key == "profile" {
                config.module = PROFILES.iter().find(|(name, _)| *name == value)?.1.into();
                return Some(());
            }
            let value = number(value)?;
            match key {
                "seamrr_base" => config.seamrr.base = value,
                "seamrr_size" => config.seamrr.size = value,
                "ept5" => config.ept5 = value != 0,
                $(stringify!($field) => config.$field = value.try_into().ok()?,)*
                _ => return None,
            }
            Some(())
        }
    };
}

numbers! {
    keyid_shift keyid_bits first_private_keyid nr_private_keyids nr_lps nr_packages fms xfam tsc_hz
    cache_wb_blocks
}

/// A number of the header: decimal, or hexadecimal after 0x.
pub fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
