//! The binary interface as text, for diffs, and as assertions in C. What a release has promised stays in the
//! repository, and the header is compared with it (docs/abi.md).

mod compare;
mod compiled;
mod parse;

use crate::{Outcome, flag, option, root, write_or_check};
use fewbit_c_tests::{header, symbols};
use parse::Item;
use std::error::Error;
use std::path::PathBuf;

pub const HELP: &str = "[--check | --release]: write c-tests/abi/current.txt and c-tests/c/layout.c from the header, or \
                        check them; either way no release of the same SONAME is broken. --release keeps this one. \
                        --since REVISION | --since-release: compare with a revision, or the last tag, by abidiff, and \
                        run its C harness with this library";

pub fn run(arguments: &[String]) -> Outcome {
    if let Some(revision) = option(arguments, "--since") {
        return compiled::since(revision);
    }
    if flag(arguments, "--since-release") {
        return compiled::since_release();
    }
    let items = parse::items(&header::text()?)?;
    let (text, check) = (text(&items), flag(arguments, "--check"));
    let folder = folder();
    unbroken(&text)?;
    write_or_check(&folder.join("current.txt"), &text, check, "abi")?;
    write_or_check(&root().join("c-tests/c/layout.c"), &layout(&items), check, "abi")?;
    if flag(arguments, "--release") {
        let path = folder.join(concat!(env!("CARGO_PKG_VERSION"), ".txt"));
        // What was released once does not change any more.
        write_or_check(&path, &text, path.exists(), "abi --release with a new version")?;
    }
    Ok(())
}

fn folder() -> PathBuf {
    root().join("c-tests/abi")
}

/// The committed form: a line an item.
fn text(items: &[Item]) -> String {
    let mut text = format!("soname {}\n", symbols::SONAME);
    items.iter().for_each(|item| text.push_str(&format!("{item}\n")));
    text
}

/// Compares with every release that has the same SONAME.
fn unbroken(now: &str) -> Outcome {
    let mut releases = 0;
    for path in files()? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let then = std::fs::read_to_string(&path)?;
        if name == "current" || then.lines().next() != now.lines().next() {
            continue;
        }
        let breaks = compare::breaks(&then, now)?;
        if !breaks.is_empty() {
            let text = breaks.join("\n  ");
            return Err(format!(
                "programs built with {name} would break:\n  {text}\n\
                 Undo it, or give the library another SONAME (docs/abi.md)"
            )
            .into());
        }
        releases += 1;
    }
    println!("keeps what {releases} releases of {} promised", symbols::SONAME);
    Ok(())
}

fn files() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let entries = std::fs::read_dir(folder())?.collect::<Result<Vec<_>, _>>()?;
    Ok(entries.into_iter().map(|entry| entry.path()).collect())
}

/// The same for a compiler: it refuses a file whose structures lie otherwise.
fn layout(items: &[Item]) -> String {
    let mut text = String::from(LAYOUT_HEAD);
    for item in items {
        match item {
            Item::Struct { name, size } => text.push_str(&format!("\nSIZE({name}, {size});\n")),
            Item::Field { owner, name, offset, size, .. } => {
                text.push_str(&format!("AT({owner}, {name}, {offset}, {size});\n"));
            }
            _ => {}
        }
    }
    text
}

const LAYOUT_HEAD: &str = "\
/* The layout of every structure where pointers have 64 bits; docs/abi.md says what may change.
 * Written by `cargo xtask abi`, which computes it; compilers agree, or refuse this file. */
#include \"fewbit.h\"

#include <stddef.h>

#define SIZE(type, size) typedef char size_of_##type[sizeof(type) == (size) ? 1 : -1]
#define AT(type, field, offset, size)                                                                                  \\
    typedef char at_##type##_##field                                                                                   \\
        [offsetof(type, field) == (offset) && sizeof(((type *)0)->field) == (size) ? 1 : -1]
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_is_current() {
        let items = parse::items(&header::text().unwrap()).unwrap();
        let committed = std::fs::read_to_string(folder().join("current.txt")).unwrap();
        assert_eq!(text(&items), committed, "run `cargo xtask abi` and commit it");
        let committed = std::fs::read_to_string(root().join("c-tests/c/layout.c")).unwrap();
        assert_eq!(layout(&items), committed, "run `cargo xtask abi` and commit it");
    }

    /// The list names the very functions that the symbol check demands of the library.
    #[test]
    fn every_function_is_listed() {
        let header = header::text().unwrap();
        let functions = parse::items(&header).unwrap();
        let listed = functions.iter().filter_map(|item| match item {
            Item::Function { name, .. } => Some(name.as_str()),
            _ => None,
        });
        let declared = header::functions(&header);
        assert!(declared.len() > 100);
        assert!(listed.eq(declared.iter().map(|function| function.name.as_str())));
    }
}
