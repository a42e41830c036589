//! Instrumented builds: what only a nightly compiler of rustup's makes.

use crate::{root, target_dir};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The machine's own target: with it named, flags are for what runs, and not for what builds.
pub const HOST: &str = fewbit_c_tests::HOST;

/// AddressSanitizer, and the counters that libFuzzer reads. The C harness takes the same build: one is enough.
pub const ADDRESS: &str = "--cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";
/// ThreadSanitizer. `core` and `std` come without it: what they inline into this code is seen.
pub const THREAD: &str = "--cfg fuzzing -Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer";

/// Whether there is such a compiler.
pub fn is_there() -> bool {
    let mut command = rustup();
    command.args(["rustc", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn rustup() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly"]);
    command
}

/// Where builds with some flags go.
pub fn folder(name: &str) -> PathBuf {
    target_dir().join(name)
}

/// A task of that compiler's `cargo`, in the workspace's folder, whose output goes to a folder of its own.
pub fn task(output: &str, name: &str) -> Command {
    let mut command = rustup();
    command.current_dir(root()).args(["cargo", name, "--quiet"]);
    command.arg("--target-dir").arg(folder(output));
    // What cargo told this process of its own compiler is not for the other one.
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "CARGO_ENCODED_RUSTFLAGS"] {
        command.env_remove(variable);
    }
    command
}

/// The same in the workspace `fuzz`, with flags.
pub fn cargo(name: &str, flags: &str, folder: &str) -> Command {
    let mut command = task(folder, name);
    command.current_dir(root().join("fuzz")).args(["--release", "--target", HOST]);
    command.env("RUSTFLAGS", flags);
    command
}

/// The tests inside of the crate that has C's pointers, in the same build. (Only of a crate without crates that only tests need
/// does cargo run them from another workspace; a build of this one would be a second one of all kernels.)
pub fn tests() -> Command {
    let mut command = cargo("test", ADDRESS, crate::fuzz::FOLDER);
    command.args(["--lib", "--package", "fewbit-ffi"]);
    command
}

/// The runtime of a sanitizer that came with that compiler.
pub fn runtime(name: &str) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let mut command = rustup();
    let said = fewbit_c_tests::output(command.args(["rustc", "--print", "target-libdir"]))?;
    Ok(PathBuf::from(said.trim()).join(format!("librustc-nightly_rt.{name}.a")))
}

/// What such a build leaves.
pub fn built(name: &str, file: &str) -> PathBuf {
    folder(name).join(HOST).join("release").join(file)
}
