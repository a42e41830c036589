//! Lays the libraries, the headers and what build systems ask for out below a prefix. Nothing in what is installed names
//! the prefix: the tree may be moved.

use crate::{Outcome, flag, option, output, root, target_dir};
use fewbit_c_tests::elf::Elf;
use fewbit_c_tests::library::Library;
use std::error::Error;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

pub const HELP: &str = "[--prefix DIR] [--libdir DIR] [--destdir DIR] [--strip] [--target TRIPLE]: install the \
                        libraries, headers, fewbit.pc and the CMake package (STRIP names another strip)";

/// The version of every crate, and so of the library.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where things go below the prefix.
const PARTS: [(&str, &[&str]); 4] = [
    ("include", &["include/fewbit.h", "include/fewbit.hpp"]),
    ("share/licenses/fewbit", &["LICENSE-MIT", "LICENSE-APACHE"]),
    ("share/doc/fewbit", &["README.md", "CHANGELOG.md", "docs"]),
    (
        "share/doc/fewbit/examples",
        &["examples/c", "examples/cmake", "examples/meson", "examples/threads"],
    ),
];

/// Where a tree is laid down, and how.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// An absolute path.
    pub prefix: &'a Path,
    /// Of the libraries, below the prefix.
    pub libdir: &'a Path,
    /// What the prefix is put below, if anything.
    pub destdir: Option<&'a Path>,
    /// Whether libraries are stripped.
    pub strip: bool,
    /// What is built for, if not for this machine.
    pub target: Option<&'a str>,
}

impl Default for Place<'_> {
    fn default() -> Self {
        let (prefix, libdir) = (Path::new("/usr/local"), Path::new("lib"));
        Place { prefix, libdir, destdir: None, strip: false, target: None }
    }
}

pub fn run(arguments: &[String]) -> Outcome {
    known(arguments)?;
    let path = |name| option(arguments, name).map(Path::new);
    let usual = Place::default();
    let place = Place {
        prefix: path("--prefix").unwrap_or(usual.prefix),
        libdir: path("--libdir").unwrap_or(usual.libdir),
        destdir: path("--destdir"),
        strip: flag(arguments, "--strip"),
        target: option(arguments, "--target"),
    };
    for path in install(&place)? {
        println!("{}", path.display());
    }
    Ok(())
}

/// Builds the libraries and lays the tree down. Gives the paths of all files and links.
///
/// # Errors
/// If a path is not of its form, or a step fails.
pub fn install(place: &Place<'_>) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let (prefix, libdir) = (place.prefix, place.libdir);
    if !prefix.is_absolute() {
        return Err(format!("--prefix {} is not an absolute path", prefix.display()).into());
    }
    let depth = depth(libdir)
        .ok_or_else(|| format!("--libdir {} is not a path below the prefix", libdir.display()))?;
    let tree = match place.destdir {
        Some(destdir) => std::path::absolute(destdir)?.join(prefix.strip_prefix("/")?),
        None => prefix.to_path_buf(),
    };

    let library = Library::build(&target_dir(), place.target, None)?;
    let soname = Elf::read(&library.shared())?.soname.ok_or("the library has no SONAME")?;
    let file = format!("libfewbit.so.{VERSION}");
    let lib = tree.join(libdir);
    let mut installed = vec![
        put(&library.shared(), &lib.join(&file), place.strip.then_some("--strip-unneeded"))?,
        link(&file, &lib.join(&soname))?,
        link(&soname, &lib.join("libfewbit.so"))?,
        put(&library.archive(), &lib.join("libfewbit.a"), place.strip.then_some("--strip-debug"))?,
    ];

    let mut numbers = VERSION.split('.');
    let words = [
        ("@VERSION@", VERSION.to_string()),
        ("@MAJOR@", numbers.next().unwrap_or_default().to_string()),
        ("@MINOR@", numbers.next().unwrap_or_default().to_string()),
        ("@LIBDIR@", libdir.display().to_string()),
        // From a folder of the library's.
        ("@UP@", vec![".."; depth + 1].join("/")),
        ("@FILE@", file),
        ("@SONAME@", soname),
    ];
    for (folder, name) in [
        ("pkgconfig", "fewbit.pc"),
        ("cmake/fewbit", "fewbit-config.cmake"),
        ("cmake/fewbit", "fewbit-config-version.cmake"),
    ] {
        let template = root().join("xtask/install").join(format!("{name}.in"));
        let text = fill(&template, &words)?;
        installed.push(write(text.as_bytes(), &lib.join(folder).join(name), 0o644)?);
    }
    for (folder, sources) in PARTS {
        for source in sources {
            copy(&root().join(source), &tree.join(folder), &mut installed)?;
        }
    }
    Ok(installed)
}

/// A template's text with values for its words between at signs. Addresses of people have one at sign a line.
///
/// # Errors
/// If a word has no value.
pub fn fill(template: &Path, words: &[(&str, String)]) -> Result<String, Box<dyn Error>> {
    let mut text = std::fs::read_to_string(template)?;
    for (word, value) in words {
        text = text.replace(word, value);
    }
    match text
        .lines()
        .find_map(|line| line.split('@').nth(1).filter(|_| line.matches('@').count() > 1))
    {
        Some(word) => Err(format!("{}: @{word}@ is not known", template.display()).into()),
        None => Ok(text),
    }
}

/// Refuses arguments that are none: a misspelt option would install elsewhere.
fn known(arguments: &[String]) -> Outcome {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--strip" => {}
            "--prefix" | "--libdir" | "--destdir" | "--target" => {
                arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
            }
            _ => return Err(format!("unknown argument {argument}; usage: install {HELP}").into()),
        }
    }
    Ok(())
}

/// The number of folders in a path that goes only down.
fn depth(path: &Path) -> Option<usize> {
    let is_folder = |part: Component<'_>| matches!(part, Component::Normal(_));
    let count = path.components().count();
    (count > 0 && path.components().all(is_folder)).then_some(count)
}

/// Copies a file or a folder of files into a folder.
fn copy(from: &Path, folder: &Path, installed: &mut Vec<PathBuf>) -> Outcome {
    let to = folder.join(from.file_name().unwrap_or_default());
    if !from.is_dir() {
        let bytes = std::fs::read(from).map_err(|error| format!("{}: {error}", from.display()))?;
        installed.push(write(&bytes, &to, 0o644)?);
        return Ok(());
    }
    let mut entries = std::fs::read_dir(from)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(|entry| entry.file_name());
    entries.iter().try_for_each(|entry| copy(&entry.path(), &to, installed))
}

/// Installs a library, stripped if it is said how.
fn put(from: &Path, to: &Path, strip: Option<&str>) -> Result<PathBuf, Box<dyn Error>> {
    // Programs link with an archive and run a shared library.
    let mode = if to.extension().is_some_and(|suffix| suffix == "a") { 0o644 } else { 0o755 };
    let path = write(&std::fs::read(from)?, to, mode)?;
    if let Some(how) = strip {
        let tool = std::env::var_os("STRIP").unwrap_or("strip".into());
        output(Command::new(tool).arg(how).arg(&path))?;
    }
    Ok(path)
}

/// Writes a file, in the place of an old one, which running programs keep.
pub fn write(bytes: &[u8], to: &Path, mode: u32) -> Result<PathBuf, Box<dyn Error>> {
    use std::os::unix::fs::PermissionsExt;
    fresh(to)?;
    let said = |error| format!("{}: {error}", to.display());
    std::fs::write(to, bytes).map_err(said)?;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(mode)).map_err(said)?;
    Ok(to.to_path_buf())
}

/// A link to a file of the same folder.
fn link(file: &str, to: &Path) -> Result<PathBuf, Box<dyn Error>> {
    fresh(to)?;
    std::os::unix::fs::symlink(file, to).map_err(|error| format!("{}: {error}", to.display()))?;
    Ok(to.to_path_buf())
}

/// Makes a place for a file: its folder is there, and it is not.
fn fresh(to: &Path) -> Outcome {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    match std::fs::remove_file(to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", to.display()).into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_lie_below_the_prefix() {
        assert_eq!(depth(Path::new("lib")), Some(1));
        assert_eq!(depth(Path::new("lib/x86_64-linux-gnu")), Some(2));
        for outside in ["", "/usr/lib", "../lib", "lib/../..", "."] {
            assert_eq!(depth(Path::new(outside)), None, "{outside}");
        }
    }

    #[test]
    fn misspelt_options_are_refused() {
        let words = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
        assert!(known(&words("--prefix /usr --libdir lib64 --strip")).is_ok());
        assert!(known(&words("--perfix /usr")).is_err());
        assert!(known(&words("--prefix")).is_err());
        assert!(run(&words("--prefix usr")).is_err());
        assert!(run(&words("--libdir /lib")).is_err());
    }
}
