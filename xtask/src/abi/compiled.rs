//! The binary interface as compilers see it, against that of another revision: by libabigail's `abidiff`, and by running
//! the other revision's C harness with this header and this library.
//!
//! What abidiff reads is a library of empty functions, compiled from a header with debug information: types as C has them,
//! in a second, where the real one would have to be built again. `cargo xtask symbols` holds the real one to the header.

use super::{compare, parse, text};
use crate::{Outcome, output, root, target_dir};
use fewbit_c_tests::compiler::{Compiler, Language, Link};
use fewbit_c_tests::library::Library;
use fewbit_c_tests::{header, symbols};
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

type Done<T> = Result<T, Box<dyn Error>>;

/// What `abidiff` said; its status is a set of bits.
struct Verdict {
    status: i32,
    text: String,
}

impl Verdict {
    const FAILED: i32 = 1 | 2;
    const CHANGED: i32 = 4;
    const INCOMPATIBLE: i32 = 8;
}

/// Compares with the last tag that a release has; without one with the last commit, so that the way there is known to work.
///
/// # Errors
/// As [`since`].
pub fn since_release() -> Outcome {
    let mut git = Command::new("git");
    git.current_dir(root()).args(["tag", "--list", "v*", "--sort=-v:refname", "--merged"]);
    match output(&mut git)?.lines().next() {
        Some(tag) => since(tag),
        None => {
            println!(
                "!!! NO RELEASE HAS A TAG HERE: the interface is compared with what is committed"
            );
            since("HEAD")
        }
    }
}

/// Compares with a revision of the repository.
///
/// # Errors
/// If a program of that revision could break, or a check does not work.
pub fn since(revision: &str) -> Outcome {
    planted()?;
    let show = |path: &str| {
        let mut git = Command::new("git");
        output(git.current_dir(root()).args(["show", &format!("{revision}:{path}")]))
    };
    let (then, now) = (show("include/fewbit.h")?, header::text()?);
    let verdict = abidiff(&then, &now)?;
    println!("abidiff since {revision}: status {}\n{}", verdict.status, verdict.text.trim());
    // Which changes of types are allowed is a matter of our own rules (docs/abi.md).
    let breaks = compare::breaks(&text(&parse::items(&then)?), &text(&parse::items(&now)?))?;
    if !breaks.is_empty() {
        return Err(format!("programs would break:\n  {}", breaks.join("\n  ")).into());
    }
    if verdict.status & Verdict::INCOMPATIBLE != 0 {
        return Err("abidiff calls it incompatible".into());
    }
    harness(revision, &show(LISTED)?)
}

/// The file that lists the harness' parts.
const LISTED: &str = "c-tests/src/lib.rs";

/// The harness' parts, as the text of [`LISTED`] has them.
fn sources(text: &str) -> Option<Vec<&str>> {
    let (_, list) = text.split_once("const SOURCES: &[&str] = &[")?;
    let (list, _) = list.split_once("];")?;
    Some(list.split('"').skip(1).step_by(2).collect())
}

/// Compiles the revision's harness with this header, and runs it with this library.
fn harness(revision: &str, list: &str) -> Outcome {
    let folder = scratch()?.join("harness");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let archive = folder.join("harness.tar");
    let mut git = Command::new("git");
    git.current_dir(root()).args(["archive", "--output"]).arg(&archive);
    output(git.args([revision, "c-tests/c"]))?;
    output(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&folder))?;
    let sources: Vec<String> = sources(list)
        .ok_or_else(|| format!("{revision}: no list of the harness' parts in {LISTED}"))?
        .into_iter()
        // Descriptions may have grown: what that file asserts is the revision's own.
        .filter(|name| *name != "layout.c")
        .map(|name| folder.join("c-tests/c").join(name).display().to_string())
        .collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let library = Library::build(&target_dir(), None, None)?;
    let program = folder.join("harness");
    Compiler::find(Language::C99)?.link(&sources, &[], &library, Link::Shared, &program)?;
    let said = fewbit_c_tests::output(&mut Command::new(&program))?;
    let last = said.lines().last().unwrap_or_default();
    println!("the harness of {revision}, {} files, with this library: {last}", sources.len());
    Ok(())
}

/// The check of the check: what does not differ is found equal, a new function is no break, and each planted change of
/// another kind is found.
fn planted() -> Outcome {
    let now = header::text()?;
    let find = |verdict: Verdict, wanted: &dyn Fn(i32) -> bool, what: &str| -> Outcome {
        if verdict.status & Verdict::FAILED == 0 && wanted(verdict.status) {
            return Ok(());
        }
        let Verdict { status, text } = verdict;
        Err(format!("abidiff: {what}: status {status}\n{text}").into())
    };
    find(abidiff(&now, &now)?, &|status| status == 0, "the same is not the same")?;
    let function = "fewbit_status fewbit_absmax_f32(const float *x, size_t n, float *absmax);";
    let field = "  float scale;\n  /**\n   * The code of real 0";
    let removed = replaced(&now, function, "")?;
    find(
        abidiff(&removed, &now)?,
        &|status| status & Verdict::INCOMPATIBLE == 0,
        "a new function is not compatible",
    )?;
    find(
        abidiff(&now, &removed)?,
        &|status| status & Verdict::INCOMPATIBLE != 0,
        "a lost function is not found",
    )?;
    for (what, from, to) in [
        ("another parameter", function, function.replace("size_t n", "int32_t n")),
        ("another result", function, function.replace("fewbit_status", "int64_t")),
        ("a wider field", field, field.replace("float", "double")),
        ("a new field before another", field, format!("  int32_t planted;\n{field}")),
    ] {
        let verdict = abidiff(&now, &replaced(&now, from, &to)?)?;
        find(verdict, &|status| status & Verdict::CHANGED != 0, &format!("{what} is not found"))?;
    }
    println!("abidiff finds planted changes: a lost function, other types, fields that move");
    Ok(())
}

/// A text with one place changed, which must be there.
fn replaced(text: &str, from: &str, to: &str) -> Done<String> {
    match text.matches(from).count() {
        1 => Ok(text.replace(from, to)),
        count => Err(format!("{count} times in the header: {from:?}").into()),
    }
}

/// Compares the interfaces of two headers.
fn abidiff(then: &str, now: &str) -> Done<Verdict> {
    let (then, now) = (compiled("then", then)?, compiled("now", now)?);
    let mut tool = Command::new("abidiff");
    let said = tool.arg("--no-show-locs").arg(then).arg(now).output();
    let said = said.map_err(|error| format!("abidiff (Debian: abigail-tools): {error}"))?;
    let status = said.status.code().ok_or("abidiff was ended by a signal")?;
    let text = [said.stdout, said.stderr].concat();
    Ok(Verdict { status, text: String::from_utf8_lossy(&text).into_owned() })
}

/// A library of empty functions, as a header declares them, with debug information.
fn compiled(name: &str, header: &str) -> Done<PathBuf> {
    let folder = scratch()?.join(name);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("fewbit.h"), header)?;
    let (source, library) = (folder.join("empty.c"), folder.join(symbols::SONAME));
    std::fs::write(&source, empty(header))?;
    let mut compiler = Command::new(std::env::var_os("CC").unwrap_or("cc".into()));
    compiler.args(["-g", "-fPIC", "-shared", "-o"]).arg(&library);
    compiler.arg(format!("-Wl,-soname,{}", symbols::SONAME));
    fewbit_c_tests::output(compiler.arg(&source))?;
    Ok(library)
}

/// The functions of a header, defined.
fn empty(header: &str) -> String {
    let mut text = String::from("#include \"fewbit.h\"\n");
    for statement in parse::statements(&header::code(header)) {
        if !statement.starts_with("typedef ") {
            text.push_str(&statement);
            text.push_str(" { __builtin_trap(); }\n");
        }
    }
    text
}

fn scratch() -> Done<PathBuf> {
    let folder = target_dir().join("abi");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_parts_are_found() {
        let text = std::fs::read_to_string(root().join(LISTED)).unwrap();
        assert_eq!(sources(&text).unwrap(), fewbit_c_tests::SOURCES);
    }

    #[test]
    fn every_function_is_defined() {
        let header = header::text().unwrap();
        let text = empty(&header);
        for function in header::functions(&header) {
            assert!(text.contains(&format!("{}(", function.name)), "{}", function.name);
        }
        assert_eq!(text.matches("__builtin_trap").count(), header::functions(&header).len());
    }
}
