//! `libfewbit.so` and `libfewbit.a`: the crate `capi` under its own profile, renamed as C expects it.

use crate::{Outcome, call, cargo, option, target_dir};
use std::error::Error;
use std::path::PathBuf;

pub const HELP: &str = "[--target TRIPLE] [--features F]: build libfewbit.so and libfewbit.a";

/// The libraries' folder, with both in it.
///
/// # Errors
/// If a build step fails.
pub fn build(target: Option<&str>, features: Option<&str>) -> Result<PathBuf, Box<dyn Error>> {
    // A folder of its own, so that a build from inside `cargo test` does not wait for the outer one.
    let build = target_dir().join("capi-build");
    let mut command = cargo();
    command.args(["build", "--quiet", "--package", "fewbit-capi", "--profile", "capi"]);
    command.arg("--target-dir").arg(&build);
    if let Some(target) = target {
        command.args(["--target", target]);
    }
    if let Some(features) = features {
        command.args(["--features", features]);
    }
    call(&mut command)?;
    let built = target.map_or(build.clone(), |target| build.join(target)).join("capi");
    let name = [target.unwrap_or("host"), features.unwrap_or("plain")].join("-");
    let lib = target_dir().join("fewbit").join(name);
    std::fs::create_dir_all(&lib)?;
    for (from, to) in [
        ("libfewbit_capi.so", "libfewbit.so.0"),
        ("libfewbit_capi.so", "libfewbit.so"),
        ("libfewbit_capi.a", "libfewbit.a"),
    ] {
        // Replaced, not overwritten: a running program may have the old one mapped.
        let to = lib.join(to);
        let _ = std::fs::remove_file(&to);
        std::fs::copy(built.join(from), &to).map_err(|error| format!("{from}: {error}"))?;
    }
    Ok(lib)
}

pub fn run(arguments: &[String]) -> Outcome {
    let lib = build(option(arguments, "--target"), option(arguments, "--features"))?;
    for file in ["libfewbit.so", "libfewbit.a"] {
        let path = lib.join(file);
        println!("{}: {} bytes", path.display(), std::fs::metadata(&path)?.len());
    }
    Ok(())
}
