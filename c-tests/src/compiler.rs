//! The system's C and C++ compilers, as the crate `cc` finds them for the target.

use crate::library::Library;
use crate::{HOST, Outcome, TARGET, output, root};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A language, as strictly as users may compile it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// C99.
    C99,
    /// C11.
    C11,
    /// C++17.
    Cxx17,
}

/// Which library a program is linked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// `libfewbit.so`, found where it was built.
    Shared,
    /// `libfewbit.a`, named on the command line as it is.
    Static,
}

/// A compiler that was seen to work.
pub struct Compiler {
    language: Language,
    tool: cc::Tool,
}

impl Compiler {
    /// The compiler of a language for this crate's target.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(language: Language) -> Outcome<Compiler> {
        let tool = cc::Build::new()
            .cargo_metadata(false)
            .cargo_warnings(false)
            .target(TARGET)
            .host(HOST)
            .opt_level(1)
            .cpp(language == Language::Cxx17)
            .try_get_compiler()?;
        output(tool.to_command().arg("--version"))?;
        Ok(Compiler { language, tool })
    }

    /// Compiles and links sources of `c/` (or at absolute paths), every warning an error. Options that
    /// name libraries come last, where users write them.
    ///
    /// # Errors
    /// If the compiler refuses; the text is what it says.
    pub fn link(
        &self,
        sources: &[&str],
        options: &[&str],
        library: &Library,
        link: Link,
        program: &Path,
    ) -> Outcome<()> {
        let mut command = self.command();
        let is_library = |option: &&&str| option.starts_with("-l");
        command.args(options.iter().filter(|option| !is_library(option)));
        command.args(["-x", self.name()]);
        command.args(sources.iter().map(|source| folder().join(source)));
        command.args(["-x", "none", "-pthread", "-o"]).arg(program);
        match link {
            Link::Shared => {
                let folder = library.folder.display();
                command.arg(library.shared()).arg(format!("-Wl,-rpath,{folder}"));
            }
            Link::Static => drop(command.arg(library.archive())),
        }
        command.args(options.iter().filter(is_library));
        output(&mut command).map(drop)
    }

    /// The compiler with the options of every compilation.
    pub fn command(&self) -> Command {
        let mut command = self.tool.to_command();
        command.args(["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]);
        command.arg(match self.language {
            Language::C99 => "-std=c99",
            Language::C11 => "-std=c11",
            Language::Cxx17 => "-std=c++17",
        });
        command.arg("-I").arg(root().join("include"));
        command
    }

    fn name(&self) -> &'static str {
        if self.language == Language::Cxx17 { "c++" } else { "c" }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("c")
}
