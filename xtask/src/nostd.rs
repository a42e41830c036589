//! Proof that `granularity`, `scheme`, `simd` and `kernels` need neither std nor a C library: they
//! are compiled into one object, whose undefined symbols must be on a short list, and linked into a
//! program without any library, which must run.

use crate::{Outcome, call, cargo, option, output, root, target_dir};
use std::process::Command;

pub const HELP: &str = "[--target TRIPLE]: link the inner crates without std and run them \
                        (for another target, set CC, NM and RUNNER)";

/// What a compiler may call on its own account; every platform provides these.
const ALLOWED: [&str; 5] = ["memcpy", "memmove", "memset", "memcmp", "bcmp"];

pub fn run(arguments: &[String]) -> Outcome {
    let source = root().join("xtask/nostd");
    let target = option(arguments, "--target");
    // A folder a target: cargo does not write the object again where nothing changed.
    let build = target_dir().join("nostd").join(target.unwrap_or("host"));
    let object = build.join("nostd.o");
    std::fs::create_dir_all(&build)?;
    let mut rustc = cargo();
    rustc.args(["rustc", "--quiet", "--release", "--lib", "--manifest-path"]);
    rustc.arg(source.join("Cargo.toml")).arg("--target-dir").arg(&build);
    if let Some(target) = target {
        rustc.args(["--target", target]);
    }
    call(rustc.arg("--").arg(format!("--emit=obj={}", object.display())))?;

    let symbols = output(tool("NM", "nm").arg("--undefined-only").arg(&object))?;
    let undefined: Vec<&str> =
        symbols.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    println!("undefined symbols: {}", undefined.join(" "));
    let refused: Vec<&str> =
        undefined.iter().copied().filter(|name| !ALLOWED.contains(name)).collect();
    if !refused.is_empty() {
        return Err(format!(
            "not on the list: {} (the list: {}); fewbit_panic_is_reachable means a panic path",
            refused.join(" "),
            ALLOWED.join(" ")
        )
        .into());
    }

    let program = build.join("nostd");
    let flags = ["-std=c99", "-Wall", "-Wextra", "-O1", "-ffreestanding", "-nostdlib", "-static"];
    call(
        tool("CC", "cc")
            .args(flags)
            .arg(source.join("start.c"))
            .arg(&object)
            .arg("-o")
            .arg(&program),
    )?;
    let runner = std::env::var("RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    match words.next() {
        Some(emulator) => call(Command::new(emulator).args(words).arg(&program))?,
        None => call(&mut Command::new(&program))?,
    }
    println!("the program without std and without a C library runs: {}", program.display());
    Ok(())
}

/// A tool that an environment variable may replace.
fn tool(variable: &str, default: &str) -> Command {
    Command::new(std::env::var_os(variable).unwrap_or(default.into()))
}
