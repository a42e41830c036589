//! The texts' blocks as programs: compiled as strictly as users may, run, and compared with what the text says that they
//! print.

use super::markdown::{Block, Page};
use crate::{call, cargo, install, output, target_dir};
use fewbit_c_tests::compiler::{Compiler, Language, Link};
use fewbit_c_tests::library::Library;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

type Done<T> = Result<T, Box<dyn Error>>;

/// What programs are made with.
pub struct Tools {
    c: Compiler,
    cxx: Compiler,
    library: Library,
    /// What `cargo xtask install` lays down.
    prefix: PathBuf,
    scratch: PathBuf,
}

/// How many programs ran, by language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub c: usize,
    pub cxx: usize,
    pub rust: usize,
    pub projects: usize,
    pub scripts: usize,
}

impl Tools {
    /// The compilers, the library and an installed tree of it.
    ///
    /// # Errors
    /// If one of them is missing.
    pub fn find() -> Done<Tools> {
        let scratch = target_dir().join("book");
        if scratch.exists() {
            std::fs::remove_dir_all(&scratch)?;
        }
        let prefix = scratch.join("prefix");
        let place = install::Place { prefix: &prefix, ..install::Place::default() };
        install::install(&place)?;
        // With its threads of rayon's, which texts use.
        call(cargo().args(["build", "--quiet", "--package", "fewbit", "--features", "rayon"]))?;
        Ok(Tools {
            c: Compiler::find(Language::C11)?,
            cxx: Compiler::find(Language::Cxx17)?,
            library: Library::build(&target_dir(), None, None)?,
            prefix,
            scratch,
        })
    }

    /// Makes and runs every program of a text.
    ///
    /// # Errors
    /// The first block that is no program, does not compile, fails, or prints something else.
    pub fn run(&self, path: &Path, page: &Page) -> Done<Count> {
        let mut count = Count::default();
        // A folder for each text; what is made of a block is beside the last program.
        let folder = self.scratch.join(path.with_extension("").to_string_lossy().replace('/', "-"));
        std::fs::create_dir_all(&folder)?;
        let mut printed = None;
        for block in &page.blocks {
            let said = |error| format!("{}:{}: {error}", path.display(), block.line);
            if !block.is("text", "output") {
                printed = self.block(&folder, block, &mut count).map_err(said)?;
                continue;
            }
            match printed.take() {
                Some(printed) if printed == block.text => {}
                Some(printed) => return Err(said(format!("it prints\n{printed}").into()).into()),
                None => return Err(said("output of no program".into()).into()),
            }
        }
        let wanted = page.blocks.iter().filter(|block| block.language() == "rust").count();
        if wanted > 0 {
            count.rust = self.rust(path, wanted)?;
        }
        Ok(count)
    }

    /// Makes and runs a block's program. What it prints, if there is one.
    fn block(&self, folder: &Path, block: &Block, count: &mut Count) -> Done<Option<String>> {
        let words: Vec<&str> = block.words.iter().map(String::as_str).collect();
        match words[..] {
            ["c"] => {
                count.c += 1;
                self.native(&self.c, &folder.join("example.c"), &block.text).map(Some)
            }
            ["cpp"] => {
                count.cxx += 1;
                self.native(&self.cxx, &folder.join("example.cpp"), &block.text).map(Some)
            }
            ["cmake"] => {
                count.projects += 1;
                self.project(folder, "CMakeLists.txt", "add_executable(", &block.text).map(Some)
            }
            ["meson"] => {
                count.projects += 1;
                self.project(folder, "meson.build", "executable('", &block.text).map(Some)
            }
            ["sh", "run"] => {
                count.scripts += 1;
                let script = format!("set -eu\n{}", block.text);
                output(self.installed(folder, "sh").args(["-c", &script])).map(Some)
            }
            // Rust's are run text by text.
            ["rust" | "sh" | "text"] => Ok(None),
            _ => Err(format!("a block of {:?} is not known", block.words.join(" ")).into()),
        }
    }

    /// A program of one file, linked with the static library.
    fn native(&self, compiler: &Compiler, source: &Path, text: &str) -> Done<String> {
        let program = source.with_extension("");
        std::fs::write(source, text)?;
        let sources = [source.to_str().ok_or("a path is no text")?];
        compiler.link(&sources, &["-lm"], &self.library, Link::Static, &program)?;
        ran(&mut Command::new(&program))
    }

    /// A project of CMake's or Meson's, made of the text and the programs before it, against the installed tree. All
    /// that it makes is run, and prints the same.
    fn project(&self, folder: &Path, file: &str, made: &str, text: &str) -> Done<String> {
        std::fs::write(folder.join(file), text)?;
        let build = folder.join(format!("{file}-build"));
        let prefix = format!("-DCMAKE_PREFIX_PATH={}", self.prefix.display());
        if file == "CMakeLists.txt" {
            let mut configure = self.installed(folder, "cmake");
            ran(configure.args(["-S", ".", &prefix, "-B"]).arg(&build))?;
            ran(self.installed(folder, "cmake").arg("--build").arg(&build))?;
        } else {
            ran(self.installed(folder, "meson").arg("setup").arg(&build))?;
            ran(self.installed(folder, "meson").args(["compile", "-C"]).arg(&build))?;
        }
        let mut printed = Vec::new();
        for (at, _) in text.match_indices(made) {
            let name = text[at + made.len()..].split([' ', '\'', ')']).next().unwrap_or_default();
            printed.push(ran(&mut self.installed(folder, &build.join(name).to_string_lossy()))?);
        }
        printed.dedup();
        match printed.len() {
            1 => Ok(printed.remove(0)),
            0 => Err("it makes no program".into()),
            _ => Err(format!("its programs print different texts: {printed:?}").into()),
        }
    }

    /// A command in a folder, for which fewbit is installed.
    fn installed(&self, folder: &Path, name: &str) -> Command {
        let lib = self.prefix.join("lib");
        let mut command = Command::new(name);
        command.current_dir(folder);
        command.env("PKG_CONFIG_PATH", lib.join("pkgconfig")).env("LD_LIBRARY_PATH", lib);
        command
    }

    /// The text's blocks of Rust, as rustdoc tests them, every one.
    fn rust(&self, path: &Path, wanted: usize) -> Done<usize> {
        let built = target_dir().join("debug");
        let mut library = std::ffi::OsString::from("fewbit=");
        library.push(built.join("libfewbit.rlib"));
        let mut rustdoc = Command::new(std::env::var_os("RUSTDOC").unwrap_or("rustdoc".into()));
        rustdoc.current_dir(crate::root()).args(["--test", "--edition", "2024", "--extern"]);
        rustdoc.arg(library).arg("-L").arg(built.join("deps")).arg(path);
        let text = ran(&mut rustdoc).map_err(|error| format!("{}: {error}", path.display()))?;
        let passed: usize = text
            .lines()
            .filter_map(|line| line.strip_prefix("test result: ok. ")?.split_once(" passed"))
            .filter_map(|(number, _)| number.parse::<usize>().ok())
            .sum();
        if passed == wanted {
            Ok(passed)
        } else {
            Err(format!("{}: {passed} of {wanted} blocks ran\n{text}", path.display()).into())
        }
    }

    /// Texts with a fault each, all of which must be found: a check that cannot fail proves nothing. How many there are.
    ///
    /// # Errors
    /// The faults that were not found.
    pub fn find_planted(&self) -> Done<usize> {
        let head = "#include <fewbit.h>\n#include <stdio.h>\n";
        let source = "```c\nint main(void) { return 0; }\n```\n";
        let planted = [
            format!("```c\n{head}int main(void) {{ return fewbit_nothing(); }}\n```\n"),
            format!("```c\n{head}int main(void) {{ int unused; return 0; }}\n```\n"),
            format!("```c\n{head}int main(void) {{ return fewbit_version() != 0; }}\n```\n"),
            format!("```c\n{head}int main(void) {{ puts(\"1\"); }}\n```\n```text output\n2\n```\n"),
            "```cpp\n#include <fewbit.hpp>\nint main() { fewbit::Linear plan(1); }\n```\n".into(),
            "```cpp\n#include <fewbit.hpp>\nint main() { return !fewbit::Linear(); }\n```\n".into(),
            "```rust\nassert_eq!(fewbit::scheme::IntFormat::S8.min(), -127);\n```\n".into(),
            "```rust ignore\nlet x = 1;\n```\n".into(),
            "```\nlet x = 1;\n```\n".into(),
            "```text output\n1\n```\n".into(),
            format!("{source}```cmake\nproject(p C)\nfind_package(fewbit 9 REQUIRED)\n```\n"),
            "```sh run\nfalse\n```\n".into(),
        ];
        for (at, text) in planted.iter().enumerate() {
            let path = self.scratch.join(format!("planted-{at}.md"));
            std::fs::write(&path, text)?;
            if self.run(&path, &super::markdown::read(text)?).is_ok() {
                return Err(
                    format!("this was not found, so the check proves nothing:\n{text}").into()
                );
            }
        }
        Ok(planted.len())
    }
}

/// Runs a command and gives what it printed; of one that fails all that it said is the error.
fn ran(command: &mut Command) -> Done<String> {
    fewbit_c_tests::output(command)
}
