//! Turns what `cargo bench` measured into a table and a picture; see docs/benchmarks.md. The work is in
//! a crate of its own (benches/report), so that other tasks do not wait for a drawing library.

use crate::{Outcome, call, cargo, option, root, target_dir};

pub const HELP: &str = "[--out FOLDER]: what `cargo bench` measured, as report.md and report.svg, by \
                        default in target/bench-report";

pub fn run(arguments: &[String]) -> Outcome {
    // As criterion finds its own folder.
    let criterion = match std::env::var_os("CRITERION_HOME") {
        Some(path) => root().join(path),
        None => target_dir().join("criterion"),
    };
    // Relative to where the task was called, not to the workspace.
    let out = match option(arguments, "--out") {
        Some(path) => std::env::current_dir()?.join(path),
        None => target_dir().join("bench-report"),
    };
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "fewbit-bench-report", "--"]);
    call(command.arg(criterion).arg(out))
}
