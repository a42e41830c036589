//! Runs a target on files: `cargo run --package fewbit-fuzz-replay TARGET FILE...`. (The committed corpus is an ordinary test.)

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, files @ ..] = arguments.as_slice() else {
        eprintln!("replay TARGET FILE...");
        return ExitCode::FAILURE;
    };
    let Some((_, target)) = fewbit_fuzz::TARGETS.iter().find(|(target, _)| target == name) else {
        eprintln!("{name} is no target");
        return ExitCode::FAILURE;
    };
    for file in files {
        target(&std::fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}")));
    }
    ExitCode::SUCCESS
}
