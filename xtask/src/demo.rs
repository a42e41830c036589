//! The engine of `examples/digits`: built with the system's C++ compiler against `libfewbit.so`, and run.

use crate::{Outcome, call, lib_build, output, root, target_dir};
use std::error::Error;
use std::ffi::OsString;
use std::process::{Command, Stdio};

pub const HELP: &str = "[--digest]: build the C++ engine and run it on handwritten digits";

pub fn run(arguments: &[String]) -> Outcome {
    if let Some(unknown) = arguments.iter().find(|argument| *argument != "--digest") {
        return Err(format!("unknown argument {unknown}; usage: demo {HELP}").into());
    }
    let compiler = compiler()?;
    let lib = lib_build::build(None, None)?;
    let example = root().join("examples/digits");
    let engine = target_dir().join("fewbit").join("digits-engine");
    let mut rpath = OsString::from("-Wl,-rpath,");
    rpath.push(&lib);
    let mut compile = Command::new(&compiler);
    compile
        .args(["-std=c++17", "-O3", "-Wall", "-Wextra", "-pthread"])
        .args(native_flag(&compiler))
        .arg("-I")
        .arg(root().join("include"))
        .arg(example.join("main.cpp"))
        .arg("-o")
        .arg(&engine)
        .arg("-L")
        .arg(&lib)
        .arg("-lfewbit")
        .arg(rpath);
    call(&mut compile)?;
    call(Command::new(&engine).arg(&example).args(arguments))
}

/// The C++ compiler: `CXX` if it is set, else the first of the usual names that runs.
fn compiler() -> Result<OsString, Box<dyn Error>> {
    let given = std::env::var_os("CXX").filter(|name| !name.is_empty());
    let candidates: Vec<OsString> = match given {
        Some(name) => vec![name],
        None => ["c++", "g++", "clang++"].map(OsString::from).to_vec(),
    };
    let runs = |name: &&OsString| {
        let mut command = Command::new(name);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    candidates.iter().find(runs).cloned().ok_or_else(|| {
        let names = candidates.iter().map(|name| name.to_string_lossy()).collect::<Vec<_>>();
        format!(
            "no C++ compiler: tried {}; install one (Debian: apt-get install g++) or set CXX",
            names.join(", ")
        )
        .into()
    })
}

/// What makes the compiler use all that this CPU has, for the loops in f32; some compilers know it
/// under another name for some CPUs, and a demo without it is right too, only slower.
fn native_flag(compiler: &OsString) -> Option<&'static str> {
    ["-march=native", "-mcpu=native"].into_iter().find(|flag| {
        let mut command = Command::new(compiler);
        command.args([flag, "-x", "c++", "-fsyntax-only", "/dev/null"]).stderr(Stdio::null());
        output(&mut command).is_ok()
    })
}
