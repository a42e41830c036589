//! The tests of `witnesses/`: the shared library against Python packages.

use crate::{Outcome, call, lib_build, root, target_dir};
use std::process::Command;

pub const HELP: &str = "compare libfewbit.so with numpy, ml_dtypes, onnxruntime, onnx, gguf and TensorFlow Lite; needs \
                        Python 3 with venv, and a package index";

pub fn run(arguments: &[String]) -> Outcome {
    if let Some(unknown) = arguments.first() {
        return Err(format!("unknown argument {unknown}; witnesses has none").into());
    }
    let library = lib_build::build(None, None)?.join("libfewbit.so");
    let tests = root().join("witnesses");
    let environment = target_dir().join("witnesses");
    call(Command::new("python3").args(["-m", "venv"]).arg(&environment))
        .map_err(|error| format!("{error}; Debian has the module in the package python3-venv"))?;
    let python = environment.join("bin/python");
    call(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(tests.join("requirements.txt")),
    )?;
    call(
        Command::new(&python)
            .args(["-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"])
            .arg(&tests)
            .env("FEWBIT_LIBRARY", &library)
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )
}
