//! `libfewbit.so` and `libfewbit.a`, as they are shipped.

use crate::{Outcome, flag, option, target_dir};
use fewbit_c_tests::library::Library;
use std::error::Error;
use std::path::PathBuf;

pub const HELP: &str = "[--target TRIPLE] [--no-default-features] [--features F]: build libfewbit.so and \
                        libfewbit.a";

/// The libraries' folder, with both in it.
///
/// # Errors
/// If a build step fails.
pub fn build(target: Option<&str>, features: Option<&str>) -> Result<PathBuf, Box<dyn Error>> {
    Ok(Library::build(&target_dir(), target, features)?.folder)
}

pub fn run(arguments: &[String]) -> Outcome {
    let (target, features) = (option(arguments, "--target"), option(arguments, "--features"));
    let default = !flag(arguments, "--no-default-features");
    let lib = Library::build_of(&target_dir(), target, features, default)?.folder;
    for file in ["libfewbit.so", "libfewbit.a"] {
        let path = lib.join(file);
        println!("{}: {} bytes", path.display(), std::fs::metadata(&path)?.len());
    }
    Ok(())
}
