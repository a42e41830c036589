//! `libfewbit.so` and `libfewbit.a`: the crate `capi` under its own profile, renamed as C expects it.

use crate::{Outcome, output, root};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The library's folder and what is in it.
#[derive(Clone, Debug)]
pub struct Library {
    /// Holds `libfewbit.so`, `libfewbit.so.0` and `libfewbit.a`.
    pub folder: PathBuf,
}

impl Library {
    /// Builds below a target directory of cargo's, for the host or a target, perhaps with features of
    /// the crate `capi`.
    ///
    /// # Errors
    /// If a build step fails.
    pub fn build(
        target_dir: &Path,
        target: Option<&str>,
        features: Option<&str>,
    ) -> Outcome<Library> {
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
        output(&mut cargo)?;
        let built = target.map_or(build.clone(), |target| build.join(target)).join("capi");
        let name = [target.unwrap_or("host"), features.unwrap_or("plain")].join("-");
        let folder = target_dir.join("fewbit").join(name);
        std::fs::create_dir_all(&folder)?;
        for (from, to) in [
            ("libfewbit_capi.so", "libfewbit.so.0"),
            ("libfewbit_capi.so", "libfewbit.so"),
            ("libfewbit_capi.a", "libfewbit.a"),
        ] {
            // Replaced, not overwritten: a running program may have the old one mapped.
            let part = folder.join(format!("{to}.{}", std::process::id()));
            std::fs::copy(built.join(from), &part).map_err(|error| format!("{from}: {error}"))?;
            std::fs::rename(&part, folder.join(to))?;
        }
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
