// SPDX-License-Identifier: GPL-2.0

//! The table of leaves in `docs/coverage.md`, made from the sources.
//!
//! The test fails when the table is out of date; with `UPDATE_DOCS` set in the environment it writes
//! the table instead.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{
        Path,
        PathBuf, //
    },
};
use tdx::{
    abi::{
        guest::GuestLeaf,
        Args,
        Interrupted,
        Leaf,
        Operand,
        Rax,
        Status, //
    },
    sim::model::platform::Profile,
    world::World,
};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .into()
}

/// Rust files below a directory, with their text.
fn sources(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
    files.sort();
    files
}

/// Name of the variant of `Leaf`, as in the sources.
fn variant(leaf: Leaf) -> String {
    format!("Leaf::{leaf:?}")
}

/// Whether `text` speaks of `name`, and not of a longer one.
fn names(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        // `GuestLeaf` ends in `Leaf`.
        !text[..at].ends_with("Guest")
            && !text[at + name.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
    })
}

/// For each leaf, the functions of `tdh` that call it, as `class::function`.
fn wrappers() -> BTreeMap<Leaf, Vec<String>> {
    let tdh = top().join("rust/tdh");
    let mut wrappers: BTreeMap<Leaf, Vec<String>> = BTreeMap::new();
    for (path, text) in sources(&tdh) {
        let class = path.strip_prefix(&tdh).unwrap().components().next();
        let class = Path::new(class.unwrap().as_os_str()).file_stem().unwrap();
        let class = class.to_str().unwrap();
        let mut function = None;
        for line in text.lines() {
            let words = line
                .trim_start_matches("pub ")
                .trim_start_matches("unsafe ");
            if let Some(rest) = words.strip_prefix("fn ") {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                function = Some(&rest[..end.unwrap_or(rest.len())]);
            }
            for leaf in Leaf::ALL
                .iter()
                .filter(|leaf| names(line, &variant(**leaf)))
            {
                let list = wrappers.entry(*leaf).or_default();
                let name = format!("{class}::{}", function.unwrap());
                if !list.contains(&name) {
                    list.push(name);
                }
            }
        }
    }
    wrappers
}

/// Places that test a leaf: files with tests in which it, or a function that calls it, has a name.
fn tests(leaf: Leaf, wrappers: &[String], files: &[(PathBuf, String)]) -> Vec<String> {
    let called = |text: &str| {
        names(text, &variant(leaf))
            || wrappers
                .iter()
                .any(|wrapper| text.contains(&format!("{wrapper}(")))
    };
    let top = top();
    files
        .iter()
        .filter(|(_, text)| called(text))
        .map(|(path, _)| path.strip_prefix(&top).unwrap().display().to_string())
        .collect()
}

/// Whether the simulated module of a version has the leaf.
fn simulated(profile: Profile, leaf: Leaf) -> bool {
    let world = World::new(profile, 1);
    world.bring_up();
    let (status, _) = world.call(0, Rax::from(leaf), Args::default());
    status != Status::OPERAND_INVALID.with(Operand::RAX)
}

fn table() -> String {
    let top = top();
    let mut files = sources(&top.join("host/tests"));
    files.retain(|(path, _)| !path.ends_with("coverage.rs"));
    files.extend(sources(&top.join("host/src/conformance")));
    files.extend(sources(&top.join("rust/scenario")));
    // Of the model's own files only the tests count: their tables of rules name every leaf.
    files.extend(
        sources(&top.join("rust/sim/model"))
            .into_iter()
            .filter_map(|(path, text)| {
                let own = path.components().any(|c| {
                    ["tests", "tests.rs"]
                        .iter()
                        .any(|name| c.as_os_str() == *name)
                });
                let text = match text.find("#[cfg(test)]\nmod tests {") {
                    _ if own => text,
                    Some(at) => text[at..].into(),
                    None => return None,
                };
                Some((path, text))
            }),
    );
    let wrappers = wrappers();

    let mut out = String::from(
        "<!-- SPDX-License-Identifier: GPL-2.0 -->\n\
         # Leaves of the TDX module: who calls them, who answers, what tests them\n\n\
         Made by `UPDATE_DOCS=1 cargo test --test coverage` in `host/`; the same test fails when this page is \
         out of date.\n\n\
         - *version*: the highest of the leaf's interface; in brackets, where it differs, that of module 1.5.01.\n\
         - *interrupt*: how a call goes on that an interrupt has ended.\n\
         - *tdh*: the functions in `rust/tdh*` that call the leaf.\n\
         - *simulator*: whether `tdx_sim` has the leaf.\n\
         - *tests*: files of tests that name the leaf, or one of those functions.\n\n\
         The leaves of migration and of service TDs have no function and no rules: neither side uses them.\n\n\
         | leaf | | version | interrupt | tdh | simulator | tests |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for &leaf in Leaf::ALL {
        let functions = wrappers.get(&leaf).map_or(&[][..], Vec::as_slice);
        let version = match leaf.max_version_1_5_01() {
            Some(old) if old == leaf.max_version() => old.to_string(),
            Some(old) => format!("{} ({old})", leaf.max_version()),
            None => format!("{} (none)", leaf.max_version()),
        };
        let interrupt = match leaf.interrupted() {
            Interrupted::Never => "",
            Interrupted::Restart => "restarted",
            Interrupted::ResumeFlag | Interrupted::ResumeOutputs => "resumed",
        };
        let list = |items: &[String]| {
            let quoted: Vec<String> = items.iter().map(|item| format!("`{item}`")).collect();
            quoted.join(" ")
        };
        let state = if simulated(Profile::Current, leaf) {
            "yes"
        } else {
            "no"
        };
        writeln!(
            out,
            "| {} | {} | {version} | {interrupt} | {} | {state} | {} |",
            leaf.name(),
            leaf.raw(),
            list(functions),
            list(&tests(leaf, functions, &files)),
        )
        .unwrap();
    }
    out.push_str(
        "\n## The guest's side\n\n\
         Leaves of TDCALL, which `tdx_sim` answers in `rust/sim/model/tdg/`.\n\n\
         | leaf | | version | tests |\n\
         |---|---|---|---|\n",
    );
    for leaf in GuestLeaf::ALL {
        let variant = format!("GuestLeaf::{leaf:?}");
        let tests: Vec<String> = files
            .iter()
            .filter(|(_, text)| names(text, &variant))
            .map(|(path, _)| path.strip_prefix(&top).unwrap().display().to_string())
            .map(|path| format!("`{path}`"))
            .collect();
        writeln!(
            out,
            "| {} | {} | {} | {} |",
            leaf.name(),
            *leaf as u16,
            leaf.max_version(),
            tests.join(" ")
        )
        .unwrap();
    }
    out
}

#[test]
fn every_leaf_in_scope_has_a_function() {
    let wrappers = wrappers();
    for leaf in Leaf::ALL {
        let outside = ["EXPORT", "IMPORT", "SERVTD", "MIG"];
        let name = leaf.name();
        let outside = outside.iter().any(|class| name[4..].starts_with(class));
        assert_eq!(wrappers.contains_key(leaf), !outside, "{name}");
    }
}

#[test]
fn the_table_is_up_to_date() {
    let path = top().join("docs/coverage.md");
    let table = table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &table).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == table,
        "docs/coverage.md is out of date: UPDATE_DOCS=1 cargo test --test coverage"
    );
}
