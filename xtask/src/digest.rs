//! The committed digest of every op over a seeded corpus. The test `digest` of the crate `fewbit`
//! computes it with every kernel that the CPU can run and compares it with the committed file, so
//! every run of the suite checks it; this task runs that test alone, or writes the file.

use crate::{Outcome, call, cargo, flag, option};

pub const HELP: &str = "[--check] [--target TRIPLE]: write, or compare, the digest of every op's \
                        outputs (crates/fewbit/tests/digest/digest.txt)";

pub fn run(arguments: &[String]) -> Outcome {
    let mut command = cargo();
    command.args(["test", "--quiet", "--package", "fewbit", "--test", "digest"]);
    if let Some(target) = option(arguments, "--target") {
        command.args(["--target", target]);
    }
    if !flag(arguments, "--check") {
        command.env("FEWBIT_DIGEST", "write");
    }
    call(command.args(["--", "--nocapture"]))
}
