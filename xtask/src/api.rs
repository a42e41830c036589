//! The public interface of the Rust crates, item by item, so that a change of it shows in a diff.

use crate::{Outcome, call, flag, nightly, root, write_or_check};
use public_api::Builder;
use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};

pub const HELP: &str = "[--check]: write crates/fewbit/api/*.txt, the public items of the crates that Rust programs use, or \
                        check them; needs a nightly compiler, which describes what is read here";

/// The crates whose items Rust programs name: `fewbit`, and what it hands on. (docs/rust.md promises nothing of
/// `fewbit::kernels` and `fewbit::simd`, which are for making kernels.)
const CRATES: &[&str] = &["fewbit", "fewbit-calibrate", "fewbit-granularity", "fewbit-scheme"];

/// The version of rustdoc's JSON that the crate `public-api` of this workspace reads. It changes with compilers.
const VERSION: &str = "\"format_version\":57";

pub fn run(arguments: &[String]) -> Outcome {
    if !nightly::is_there() {
        println!("public items: NOT COVERED, no nightly compiler of rustup's");
        return Ok(());
    }
    for name in CRATES {
        let json = described(name)?;
        if !std::fs::read_to_string(&json)?.contains(VERSION) {
            println!(
                "public items: NOT COVERED, this nightly compiler's descriptions lack {VERSION}"
            );
            return Ok(());
        }
        let path = root().join("crates/fewbit/api").join(format!("{name}.txt"));
        write_or_check(&path, &listed(&json)?, flag(arguments, "--check"), "api")?;
    }
    Ok(())
}

/// Has the nightly compiler describe a crate, with all its features: the file.
fn described(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    const FOLDER: &str = "api";
    let mut command = nightly::task(FOLDER, "rustdoc");
    command.args(["--lib", "--all-features", "--package", name]);
    call(command.args(["--", "-Zunstable-options", "--output-format=json"]))?;
    Ok(nightly::folder(FOLDER).join("doc").join(name.replace('-', "_")).with_extension("json"))
}

/// An item a line: not what every type has, and not what is derived or found out by the compiler.
fn listed(json: &Path) -> Result<String, Box<dyn Error>> {
    let items = Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    let mut text = String::new();
    for item in items.items() {
        writeln!(text, "{item}")?;
    }
    if text.is_empty() {
        return Err(format!("{}: no public item", json.display()).into());
    }
    Ok(text)
}
