// SPDX-License-Identifier: GPL-2.0

//! A test for each check of each leaf, and the page about them.
//!
//! `cargo test --test conformance page_aug` runs those of TDH.MEM.PAGE.AUG. Both are made from the
//! table in `src/conformance/`: there is no test without a check and no check without a test. What
//! the table lacks, no run may see: whatever calls the model on the build host looks it up.

use libtest_mimic::{
    Arguments,
    Failed,
    Trial, //
};
use std::{
    fmt::Write,
    fs,
    path::Path,
    process::ExitCode, //
};
use tdx::{
    abi::{
        Leaf,
        Operand,
        Status, //
    },
    conformance::{
        differences,
        Checks,
        TABLE, //
    },
};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = vec![
        Trial::test("every_leaf_is_in_the_table", every_leaf_is_in_the_table),
        Trial::test("the_page_is_up_to_date", the_page_is_up_to_date),
    ];
    for leaf in TABLE.iter() {
        trials.extend(tests(leaf));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The tests of a leaf.
fn tests(leaf: &'static Checks) -> Vec<Trial> {
    let path = leaf.path();
    let test = |name: &str, run: Box<dyn FnOnce() -> Result<(), String> + Send>| {
        Trial::test(format!("{path}::{name}"), || run().map_err(Failed::from))
    };
    let mut tests = vec![
        test("passes", Box::new(|| leaf.prove_good())),
        test("checks_in_order", Box::new(|| leaf.prove_order())),
        test("locks_are_shared", Box::new(|| leaf.prove_shared())),
    ];
    for check in &leaf.checks {
        tests.push(test(check.name, Box::new(|| leaf.prove(check))));
    }
    tests
}

/// Leaves of migration and service TDs, which the model does not have.
fn is_outside(leaf: Leaf) -> bool {
    let class = leaf.name().trim_start_matches("TDH.");
    ["EXPORT", "IMPORT", "SERVTD", "MIG"]
        .iter()
        .any(|outside| class.starts_with(outside))
}

fn every_leaf_is_in_the_table() -> Result<(), Failed> {
    for leaf in Leaf::ALL {
        let found = TABLE.iter().any(|checks| checks.leaf == Some(*leaf));
        if found == is_outside(*leaf) {
            return Err(leaf.name().into());
        }
    }
    Ok(())
}

/// A status as the ABI writes it: with the operand, or with the numbers in its lower half.
fn name(status: Status) -> String {
    let name = status.name().unwrap_or("?");
    match (status.operand().and_then(Operand::name), status.detail()) {
        (Some(operand), detail) if detail != 0 || status.is(Status::OPERAND_INVALID) => {
            format!("{name}\\|{operand}")
        }
        (None, 0) | (Some(_), _) => name.into(),
        (None, detail) => format!("{name}\\|{detail:#x}"),
    }
}

const HEAD: &str = "\
<!-- SPDX-License-Identifier: GPL-2.0 -->
# Conformance: the checks of each leaf, and what is different from the real module

Made by `UPDATE_DOCS=1 cargo test --test conformance` in `host/`; the same test fails when this page is out of date.

The simulator's leaves make these checks in this order; the first that fails decides how a call ends. Each row has a test of
its name, `cargo test --test conformance LEAF::CHECK`. It takes a call that succeeds, breaks it for this check, and looks at
the status, at all registers, and at all memory: a call that fails changes nothing but what the ABI says. `checks_in_order`
breaks a call for each two of the checks at once, `locks_are_shared` has another logical processor share the locks that the
leaf shares. No test, trace or soak run may see a status that is not in these tables.

";

fn page() -> String {
    let mut out = String::from(HEAD);
    let total: usize = TABLE.iter().map(|leaf| leaf.checks.len()).sum();
    writeln!(out, "{total} checks.\n\n## What is knowingly different\n").unwrap();
    for note in differences::NOTES {
        writeln!(out, "- {note}").unwrap();
    }
    out += "\nValues that the replay of traces does not compare:\n\n";
    for rule in differences::RULES {
        writeln!(out, "- {}: {}", rule.leaves.join(", "), rule.reason).unwrap();
    }
    out += "\nA check of the real module that no call here can fail is in the leaf's table with the reason.\n";
    for checks in TABLE.iter() {
        let title = checks.leaf.map_or("All leaves", Leaf::name);
        writeln!(
            out,
            "\n## {title}\n\n`{}`\n\n| check | status |\n|---|---|",
            checks.path()
        )
        .unwrap();
        for check in &checks.checks {
            writeln!(out, "| `{}` | {} |", check.name, name(check.status)).unwrap();
        }
        for absent in &checks.absent {
            writeln!(
                out,
                "| not made: {} | {} |",
                absent.reason,
                name(absent.status)
            )
            .unwrap();
        }
        writeln!(out, "| passes | {} |", name(checks.end)).unwrap();
    }
    out
}

fn the_page_is_up_to_date() -> Result<(), Failed> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page)?;
    }
    if fs::read_to_string(&path).unwrap_or_default() == page {
        Ok(())
    } else {
        Err(
            "docs/conformance.md is out of date: UPDATE_DOCS=1 cargo test --test conformance"
                .into(),
        )
    }
}
