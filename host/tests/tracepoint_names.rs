// SPDX-License-Identifier: GPL-2.0

//! The names in `rust/tracepoint/names.h`, made from the tables of the ABI.
//!
//! The test fails when the file is out of date; with `UPDATE_DOCS` set in the environment it writes the
//! file instead.

use std::{
    fmt::Write,
    fs,
    path::Path, //
};
use tdx::abi::{
    Leaf,
    Operand,
    Status, //
};

/// What Rust's side of the tracepoint records where a status names no operand.
const NO_OPERAND: u32 = 0xffff;

/// Code of the statuses that the kernel gives to a SEAMCALL that did not reach the TDX module.
const SOFTWARE: u64 = Status::VMFAILINVALID.raw() >> 32;

fn macro_of(text: &mut String, name: &str, rows: impl Iterator<Item = (u64, &'static str)>) {
    let rows: Vec<_> = rows
        .map(|(value, name)| format!("\t{{ {value:#x}, \"{name}\" }}"))
        .collect();
    writeln!(text, "\n#define {name} \\\n{}", rows.join(", \\\n")).unwrap();
}

fn names() -> String {
    let mut text = String::from(
        "/* SPDX-License-Identifier: GPL-2.0 */\n\
         /*\n\
         \x20* Names for __print_symbolic(), made by `UPDATE_DOCS=1 cargo test --test tracepoint_names` in host/ from the tables in rust/abi/; the\n\
         \x20* same test fails when this file is out of date.\n\
         \x20*/\n\
         #ifndef TDX_TRACEPOINT_NAMES_H\n\
         #define TDX_TRACEPOINT_NAMES_H\n",
    );
    let leaves = Leaf::ALL
        .iter()
        .map(|leaf| (leaf.raw().into(), leaf.name()));
    macro_of(&mut text, "TDX_LEAF_NAMES", leaves);
    let statuses = Status::ALL
        .iter()
        .filter_map(|status| Some((status.raw() >> 32, status.name()?)))
        .chain([(SOFTWARE, "TDX_SW_ERROR")]);
    macro_of(&mut text, "TDX_STATUS_NAMES", statuses);
    let operands = (0..NO_OPERAND)
        .filter_map(|id| Some((id.into(), Operand::from_raw(id).name()?)))
        .chain([(NO_OPERAND.into(), "-")]);
    macro_of(&mut text, "TDX_OPERAND_NAMES", operands);
    text.push_str("\n#endif\n");
    text
}

#[test]
fn names_are_those_of_the_abi() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rust/tracepoint/names.h");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, names()).unwrap();
    }
    assert!(
        fs::read_to_string(&path).is_ok_and(|text| text == names()),
        "out of date: UPDATE_DOCS=1 cargo test --test tracepoint_names"
    );
}
