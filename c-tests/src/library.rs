//! `libfewbit.so` and `libfewbit.a`: the crate `capi` under its own profile, renamed as C expects it.

use crate::{HOST, Outcome, output, root};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The library's folder and what is in it.
#[derive(Clone, Debug)]
pub struct Library {
    /// Holds `libfewbit.so`, `libfewbit.so.0` and `libfewbit.a`.
    pub folder: PathBuf,
}

impl Library {
    /// Builds below a target directory of cargo's, for the host or a target, perhaps with more features of
    /// the crate `capi`.
    ///
    /// # Errors
    /// If a build step fails.
    pub fn build(
        target_dir: &Path,
        target: Option<&str>,
        features: Option<&str>,
    ) -> Outcome<Library> {
        Library::build_of(target_dir, target, features, true)
    }

    /// As [`build`](Library::build), with the families of functions that are on by default, or with none but `features`.
    ///
    /// # Errors
    /// If a build step fails.
    pub fn build_of(
        target_dir: &Path,
        target: Option<&str>,
        features: Option<&str>,
        default: bool,
    ) -> Outcome<Library> {
        // One build at a time, of all processes: they share a folder, and put their results in the same places.
        let turn = std::fs::File::create(target_dir.join("capi-build.lock"))?;
        turn.lock()?;
        // A folder of its own, so that a build from inside `cargo test` does not wait for the outer one.
        let build = target_dir.join("capi-build");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.current_dir(root());
        cargo.args(["build", "--quiet", "--package", "fewbit-capi", "--profile", "capi"]);
        cargo.arg("--target-dir").arg(&build);
        if let Some(target) = target {
            cargo.args(["--target", target]);
        }
        if let Some(features) = features {
            cargo.args(["--features", features]);
        }
        if !default {
            cargo.arg("--no-default-features");
        }
        output(&mut cargo)?;
        let built = target.map_or(build.clone(), |target| build.join(target)).join("capi");
        let families = if default { "plain" } else { "bare" };
        let name = [target.unwrap_or("host"), features.unwrap_or(families)].join("-");
        let folder = target_dir.join("fewbit").join(name);
        std::fs::create_dir_all(&folder)?;
        let (shared, archive) = (built.join("libfewbit_capi.so"), built.join("libfewbit_capi.a"));
        let copy = |part: &Path| std::fs::copy(&shared, part).map(drop).map_err(Into::into);
        put(&folder.join("libfewbit.so.0"), &copy)?;
        put(&folder.join("libfewbit.so"), &copy)?;
        let own = |part: &Path| own_objects(&archive, part, target.unwrap_or(HOST));
        put(&folder.join("libfewbit.a"), &own)?;
        Ok(Library { folder })
    }

    /// The shared library.
    pub fn shared(&self) -> PathBuf {
        self.folder.join("libfewbit.so")
    }

    /// The static library.
    pub fn archive(&self) -> PathBuf {
        self.folder.join("libfewbit.a")
    }
}

/// Makes a file beside its place and moves it there: a running program may have the old one mapped.
fn put(to: &Path, make: &dyn Fn(&Path) -> Outcome<()>) -> Outcome<()> {
    let part = to.with_extension(format!("part{}", std::process::id()));
    make(&part).map_err(|error| format!("{}: {error}", to.display()))?;
    Ok(std::fs::rename(&part, to)?)
}

/// An archive of the library's own objects. rustc's archive also holds the compiler's support
/// functions, of which the library uses none; a program's linker would take `fmaf` and its like from
/// there instead of from the C library, and with them references to an unwinder.
fn own_objects(archive: &Path, to: &Path, target: &str) -> Outcome<()> {
    let folder = to.with_extension("objects");
    std::fs::create_dir_all(&folder)?;
    let mut cc = cc::Build::new();
    cc.cargo_metadata(false).cargo_warnings(false).target(target).host(HOST).opt_level(1);
    let archiver = || -> Outcome<_> {
        let mut command = cc.try_get_archiver()?;
        command.current_dir(&folder);
        Ok(command)
    };
    let members = output(archiver()?.arg("t").arg(archive))?;
    let own: Vec<&str> = members.lines().filter(|name| name.starts_with("fewbit_capi")).collect();
    if own.is_empty() {
        return Err("no object of the library in the archive".into());
    }
    output(archiver()?.arg("x").arg(archive).args(&own))?;
    let _ = std::fs::remove_file(to);
    output(archiver()?.arg("crs").arg(to).args(&own))?;
    Ok(std::fs::remove_dir_all(&folder)?)
}
