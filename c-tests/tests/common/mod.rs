//! What the test files share: where programs go, the library, the compilers.

use fewbit_c_tests::compiler::{Compiler, Language};
use fewbit_c_tests::library::Library;
use fewbit_c_tests::{HOST, TARGET};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Cargo's target directory: this test's scratch folder is in it.
fn target_dir() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

pub fn build(features: Option<&str>) -> Library {
    let target = (TARGET != HOST).then_some(TARGET);
    Library::build(target_dir(), target, features).unwrap_or_else(|error| panic!("{error}"))
}

/// The library as it is shipped, for the target of this test.
pub fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| build(None))
}

/// Where a program goes; each target has a folder of its own.
pub fn place(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(TARGET);
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// Past the test runner, which shows the output of failed tests only.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "c-tests: {line}");
}

pub fn c() -> Compiler {
    Compiler::find(Language::C99).unwrap_or_else(|error| panic!("a C compiler is needed: {error}"))
}

/// The C++ compiler. On the host there must be one; another target's may be missing, which is said.
pub fn cxx() -> Option<Compiler> {
    match Compiler::find(Language::Cxx17) {
        Ok(compiler) => Some(compiler),
        Err(error) if TARGET == HOST => panic!("a C++ compiler is needed: {error}"),
        Err(error) => {
            say(&format!("C++17: NOT COVERED, no compiler for {TARGET} ({error})"));
            None
        }
    }
}
