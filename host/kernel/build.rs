// SPDX-License-Identifier: GPL-2.0

//! Links the kernel source files that `src/lib.rs` declares as modules into `OUT_DIR`.
//!
//! The kernel source tree is named by the environment variable `KERNEL_SRC`.

use std::{
    env,
    fs,
    os::unix::fs::symlink,
    path::PathBuf, //
};

fn main() {
    // The kernel configuration that the files ask about, of a 64-bit kernel without KUnit.
    println!("cargo:rustc-check-cfg=cfg(CONFIG_64BIT, CONFIG_RUST_BITFIELD_KUNIT_TEST)");
    println!("cargo:rustc-cfg=CONFIG_64BIT");

    println!("cargo:rerun-if-env-changed=KERNEL_SRC");
    let tree = env::var_os("KERNEL_SRC").expect("KERNEL_SRC has to name a Linux 7.3 source tree");
    let from = fs::canonicalize(PathBuf::from(tree).join("rust/kernel"))
        .expect("KERNEL_SRC has no directory rust/kernel");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));

    for file in ["bitfield.rs", "num.rs", "num"] {
        let source = from.join(file);
        assert!(source.exists(), "{} is missing", source.display());
        println!("cargo:rerun-if-changed={}", source.display());
        let link = out.join(file);
        // What an earlier run left may point into another tree.
        let _ = fs::remove_file(&link);
        symlink(&source, &link).expect("cannot make a link in OUT_DIR");
    }
    // A file outside of the package can declare modules by path relative to itself.
    fs::write(out.join("modules.rs"), "pub mod bitfield;\npub mod num;\n")
        .expect("cannot write to OUT_DIR");
}
