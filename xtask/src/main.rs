//! The workspace's own tasks: `cargo xtask <task>`. One module a task; none of them needs more than
//! Rust and a C compiler unless its help says so.

mod abi;
mod api;
mod bench_report;
mod book;
mod deb;
mod demo;
mod digest;
mod formats;
mod fuzz;
mod headers;
mod install;
mod isa_table;
mod lib_build;
mod nightly;
mod nostd;
mod sanitize;
mod size;
mod start;
mod symbols;
mod witnesses;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// What a task gives: any error ends the process with status 1 and its text.
pub type Outcome = Result<(), Box<dyn Error>>;

/// A task: its name, what it does, and the function, which gets the arguments behind the name.
struct Task {
    name: &'static str,
    help: &'static str,
    run: fn(&[String]) -> Outcome,
}

/// Every task, in the order of the help.
const TASKS: &[Task] = &[
    Task { name: "lib", help: lib_build::HELP, run: lib_build::run },
    Task { name: "demo", help: demo::HELP, run: demo::run },
    Task { name: "headers", help: headers::HELP, run: headers::run },
    Task { name: "abi", help: abi::HELP, run: abi::run },
    Task { name: "api", help: api::HELP, run: api::run },
    Task { name: "install", help: install::HELP, run: install::run },
    Task { name: "deb", help: deb::HELP, run: deb::run },
    Task { name: "book", help: book::HELP, run: book::run },
    Task { name: "symbols", help: symbols::HELP, run: symbols::run },
    Task { name: "size", help: size::HELP, run: size::run },
    Task { name: "start", help: start::HELP, run: start::run },
    Task { name: "isa-table", help: isa_table::HELP, run: isa_table::run },
    Task { name: "digest", help: digest::HELP, run: digest::run },
    Task { name: "bench-report", help: bench_report::HELP, run: bench_report::run },
    Task { name: "formats", help: formats::HELP, run: formats::run },
    Task { name: "nostd", help: nostd::HELP, run: nostd::run },
    Task { name: "fuzz", help: fuzz::HELP, run: fuzz::run },
    Task { name: "sanitize", help: sanitize::HELP, run: sanitize::run },
    Task { name: "witnesses", help: witnesses::HELP, run: witnesses::run },
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        eprintln!("usage: cargo xtask <task> [arguments]\n");
        TASKS.iter().for_each(|task| eprintln!("  {:<12} {}", task.name, task.help));
        return if name.is_empty() || name == "help" {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(2)
        };
    };
    match (task.run)(&rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask {name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder.
pub fn root() -> PathBuf {
    // This crate lies in the workspace's folder.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The folder that builds go to: cargo's target directory.
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(path) => root().join(path),
        None => root().join("target"),
    }
}

/// `cargo` as it was called, in the workspace's folder.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command with this process's output.
///
/// # Errors
/// If it cannot be started or fails.
pub fn call(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}

/// Runs a command and gives what it printed.
///
/// # Errors
/// If it cannot be started, fails, or prints something that is not text.
pub fn output(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Writes a file, or with `check` only compares it.
///
/// # Errors
/// If the file differs, or cannot be read or written.
pub fn write_or_check(path: &Path, text: &str, check: bool, task: &str) -> Outcome {
    let shown = path.strip_prefix(root()).unwrap_or(path).display().to_string();
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        println!("{shown}: up to date");
        Ok(())
    } else if check {
        Err(format!("{shown} is out of date: run `cargo xtask {task}` and commit it").into())
    } else {
        std::fs::write(path, text).map_err(|error| format!("{shown}: {error}"))?;
        println!("{shown}: written");
        Ok(())
    }
}

/// Splits off a flag such as `--check`.
pub fn flag(arguments: &[String], name: &str) -> bool {
    arguments.iter().any(|argument| argument == name)
}

/// The value behind an option such as `--target`.
pub fn option<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}
