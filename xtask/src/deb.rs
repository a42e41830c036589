//! Debian packages of what `install` lays down: libfewbit0 has the shared library, libfewbit-dev all else. Made with the
//! tools of dpkg-dev alone. The same commit gives the same bytes.

use crate::install::{Place, VERSION, fill, install, write};
use crate::{Outcome, option, output, root, target_dir};
use std::error::Error;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const HELP: &str = "[--out DIR] [--target TRIPLE]: build libfewbit0 and libfewbit-dev as Debian packages, of which the \
                        paths are printed";

/// The packages' own revision of this version.
const REVISION: &str = "1";

/// What a package is made of.
struct Package {
    name: &'static str,
    /// Packages that it needs.
    depends: String,
    /// Files of `DEBIAN/` beside the usual ones.
    control: Vec<(&'static str, String)>,
}

pub fn run(arguments: &[String]) -> Outcome {
    let mut known = arguments.iter();
    while let Some(argument) = known.next() {
        if !["--out", "--target"].contains(&argument.as_str()) || known.next().is_none() {
            return Err(format!("{argument}: usage: deb {HELP}").into());
        }
    }
    let target = option(arguments, "--target");
    let (architecture, multiarch) = architecture(target)?;
    let work = target_dir().join("deb");
    if work.exists() {
        std::fs::remove_dir_all(&work)?;
    }
    let tree = work.join("tree");
    let libdir = Path::new("lib").join(multiarch);
    install(&Place {
        prefix: Path::new("/usr"),
        libdir: &libdir,
        destdir: Some(&tree),
        strip: true,
        target,
    })?;

    // The shared library goes one way, the rest the other.
    let version = format!("{VERSION}-{REVISION}");
    let (runtime, development) = ("libfewbit0", "libfewbit-dev");
    let (usr, lib) = (tree.join("usr"), work.join(runtime).join("usr").join(&libdir));
    std::fs::create_dir_all(&lib)?;
    for name in [format!("libfewbit.so.{VERSION}"), soname(&usr.join(&libdir))?] {
        std::fs::rename(usr.join(&libdir).join(&name), lib.join(&name))?;
    }
    std::fs::remove_dir_all(usr.join("share/licenses"))?;
    std::fs::rename(usr.join("share/doc/fewbit"), usr.join("share/doc").join(development))?;
    std::fs::rename(&tree, work.join(development))?;

    let shared = lib.join(format!("libfewbit.so.{VERSION}"));
    // Nobody runs it: Debian wants no such bit.
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o644))?;
    let packages = [
        Package {
            name: runtime,
            depends: needed(&work, &shared)?,
            control: vec![
                ("triggers", "activate-noawait ldconfig\n".into()),
                ("shlibs", format!("libfewbit 0 {runtime} (>= {VERSION})\n")),
            ],
        },
        Package {
            name: development,
            depends: format!("{runtime} (= {version})"),
            control: Vec::new(),
        },
    ];
    let out = match option(arguments, "--out") {
        Some(out) => std::path::absolute(out)?,
        None => work.clone(),
    };
    std::fs::create_dir_all(&out)?;
    for package in &packages {
        let file = out.join(format!("{}_{version}_{architecture}.deb", package.name));
        build(package, &work.join(package.name), &version, architecture, &file)?;
        println!("{}", file.display());
    }
    Ok(())
}

/// Debian's names of the machine that is built for.
fn architecture(target: Option<&str>) -> Result<(&'static str, &'static str), Box<dyn Error>> {
    match target.unwrap_or(fewbit_c_tests::HOST) {
        "x86_64-unknown-linux-gnu" => Ok(("amd64", "x86_64-linux-gnu")),
        "aarch64-unknown-linux-gnu" => Ok(("arm64", "aarch64-linux-gnu")),
        other => Err(format!("Debian has no name for {other} here").into()),
    }
}

/// The link beside the library that programs ask for.
fn soname(lib: &Path) -> Result<String, Box<dyn Error>> {
    let target = std::fs::read_link(lib.join("libfewbit.so"))?;
    Ok(target.to_str().ok_or("a name is no text")?.to_string())
}

/// The packages that a library needs, with their versions, by Debian's own tool.
fn needed(work: &Path, library: &Path) -> Result<String, Box<dyn Error>> {
    // It wants a folder of a source package.
    let debian = work.join("source/debian");
    write(
        b"Source: fewbit\n\nPackage: libfewbit0\nArchitecture: any\n",
        &debian.join("control"),
        0o644,
    )?;
    let mut tool = Command::new("dpkg-shlibdeps");
    tool.current_dir(work.join("source")).arg("-O").arg(format!("-e{}", library.display()));
    let text = output(&mut tool).map_err(|error| format!("{error} (of the package dpkg-dev)"))?;
    let depends = text.trim().strip_prefix("shlibs:Depends=").unwrap_or_default();
    if depends.starts_with("libc6 ") && !depends.contains(',') {
        Ok(depends.to_string())
    } else {
        Err(format!("the library should need libc6 alone, not {text:?}").into())
    }
}

/// Builds a package of a tree.
fn build(
    package: &Package,
    tree: &Path,
    version: &str,
    architecture: &str,
    file: &Path,
) -> Outcome {
    let (own, epoch) = (root().join("xtask/deb"), epoch()?);
    let documents = tree.join("usr/share/doc").join(package.name);
    write(&std::fs::read(own.join("copyright"))?, &documents.join("copyright"), 0o644)?;
    let changes = std::fs::read(root().join("CHANGELOG.md"))?;
    let _ = std::fs::remove_file(documents.join("CHANGELOG.md"));
    compressed(&changes, &documents.join("changelog"))?;
    let day = output(Command::new("date").args(["-R", "-u", "-d", &format!("@{epoch}")]))?;
    let text = format!(
        "fewbit ({version}) unstable; urgency=medium\n\n  * Version {VERSION}.\n\n \
         -- The fewbit authors <fewbit@example.org>  {day}"
    );
    compressed(text.as_bytes(), &documents.join("changelog.Debian"))?;

    let files = files(tree)?;
    let mut sums = Command::new("md5sum");
    sums.current_dir(tree).args(&files);
    let sizes = files.iter().map(|file| std::fs::metadata(tree.join(file)).map(|data| data.len()));
    let bytes = sizes.sum::<Result<u64, _>>()?;
    let words = [
        ("@VERSION@", version.to_string()),
        ("@ARCHITECTURE@", architecture.to_string()),
        ("@DEPENDS@", package.depends.clone()),
        ("@SIZE@", bytes.div_ceil(1024).to_string()),
    ];
    let control = fill(&own.join(format!("{}.control.in", package.name)), &words)?;
    let debian = tree.join("DEBIAN");
    write(control.as_bytes(), &debian.join("control"), 0o644)?;
    write(output(&mut sums)?.as_bytes(), &debian.join("md5sums"), 0o644)?;
    for (name, text) in &package.control {
        write(text.as_bytes(), &debian.join(name), 0o644)?;
    }
    readable(tree)?;
    let mut tool = Command::new("dpkg-deb");
    tool.env("SOURCE_DATE_EPOCH", epoch).args(["--root-owner-group", "--build"]);
    output(tool.arg(tree).arg(file)).map(drop)
}

/// The packages' date in seconds: `SOURCE_DATE_EPOCH`, or else the commit's.
fn epoch() -> Result<String, Box<dyn Error>> {
    if let Ok(given) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(given);
    }
    let text = output(Command::new("git").current_dir(root()).args(["log", "-1", "--format=%ct"]))?;
    Ok(text.trim().to_string())
}

/// Writes a compressed file, without the time that it was made.
fn compressed(bytes: &[u8], to: &Path) -> Outcome {
    write(bytes, to, 0o644)?;
    output(Command::new("gzip").args(["-9", "-n", "-f"]).arg(to)).map(drop)
}

/// The paths of a tree's files, sorted, below the tree; links are none.
fn files(tree: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    let mut folders = vec![tree.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            match entry.file_type()? {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => {
                    found.push(entry.path().strip_prefix(tree)?.to_path_buf());
                }
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Folders are for everybody, whatever the mask of whoever builds.
fn readable(folder: &Path) -> Outcome {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            readable(&entry.path())?;
        }
    }
    Ok(())
}
