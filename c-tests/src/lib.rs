//! The library as C sees it: builds `libfewbit` as it is shipped, looks at its symbols, and compiles
//! and runs C and C++ programs against it, on the host or for another target under an emulator. The
//! programs are in `c/`, what is demanded of them in `tests/`.

pub mod compiler;
pub mod elf;
pub mod header;
pub mod library;
pub mod symbols;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a step gives; any error is a text for people.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// The target this crate is built for.
pub const TARGET: &str = env!("FEWBIT_TARGET");
/// The machine that built it.
pub const HOST: &str = env!("FEWBIT_HOST");

/// The harness' parts, in `c/`.
pub const SOURCES: &[&str] = &[
    "main.c",
    "second.c",
    "versions.c",
    "layout.c",
    "arrays.c",
    "blocks.c",
    "tensors.c",
    "rowwise.c",
    "plans.c",
    "epilogues.c",
    "outputs.c",
    "packed.c",
    "products.c",
    "groups.c",
    "codes.c",
    "convs.c",
    "half.c",
    "weight_only.c",
    "bad_arrays.c",
    "bad_tensors.c",
    "bad_plans.c",
    "bad_codes.c",
    "kinds.c",
    "faults.c",
    "hostile.c",
    "environment.c",
    "threads.c",
    "processes.c",
];

/// The workspace's folder.
pub fn root() -> PathBuf {
    // This crate lies in the workspace's folder.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Every file below a folder.
///
/// # Errors
/// If a folder cannot be read.
pub fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut folders, mut files) = (vec![folder.to_path_buf()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() { &mut folders } else { &mut files }.push(path);
        }
    }
    Ok(files)
}

/// Runs a command and gives what it printed.
///
/// # Errors
/// If it cannot be started or fails; the text holds everything that it printed.
pub fn output(command: &mut Command) -> Outcome<String> {
    let mut words = vec![command.get_program()];
    words.extend(command.get_args());
    let line = words.join::<&std::ffi::OsStr>(" ".as_ref()).to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{line}: {error}"))?;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(out);
    }
    let err = String::from_utf8_lossy(&output.stderr);
    Err(format!("{line}: {}\n{out}{err}", output.status).into())
}

/// A program of the target, under the runner that cargo is told to use for it
/// (`CARGO_TARGET_<TRIPLE>_RUNNER`), if any. Under an emulator of user programs `FEWBIT_TEST_EMULATED` is set: qemu ends a
/// forked process that makes a thread.
pub fn program(path: &Path) -> Command {
    let triple = TARGET.to_uppercase().replace(['-', '.'], "_");
    let runner = std::env::var(format!("CARGO_TARGET_{triple}_RUNNER")).unwrap_or_default();
    let runner_is_emulator = runner.contains("qemu");
    let mut words = runner.split_whitespace();
    match words.next() {
        Some(runner) => {
            let mut command = Command::new(runner);
            command.args(words).arg(path);
            if runner_is_emulator {
                command.env("FEWBIT_TEST_EMULATED", "1");
            }
            command
        }
        None => Command::new(path),
    }
}
