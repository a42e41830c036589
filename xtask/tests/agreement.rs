//! What stands in more than one file is the same in all: the version, the SONAME, what installing tools are told.

use fewbit_c_tests::{files, root, symbols};
use std::path::Path;

/// The version of every crate.
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Major and minor number, which users ask for.
fn series() -> &'static str {
    VERSION.rsplit_once('.').unwrap().0
}

/// The lines of a section of a TOML file.
fn section<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let head = format!("[{name}]");
    let mut lines = text.lines().skip_while(|line| *line != head).skip(1);
    let lines: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with('[')).collect();
    assert!(!lines.is_empty(), "no section {head}");
    lines
}

#[test]
fn crates_take_the_version_of_the_workspace() {
    let mut manifests = vec!["benches", "benches/formats", "benches/report", "c-tests", "xtask"]
        .into_iter()
        .map(|folder| root().join(folder))
        .collect::<Vec<_>>();
    let crates = std::fs::read_dir(root().join("crates")).unwrap();
    manifests.extend(crates.map(|entry| entry.unwrap().path()));
    assert!(manifests.len() > 10);
    for folder in manifests {
        let manifest = text(folder.join("Cargo.toml"));
        let package = section(&manifest, "package");
        assert!(package.contains(&"version.workspace = true"), "{}", folder.display());
    }
    let wanted = format!("version = \"{VERSION}\"");
    assert!(section(&text("Cargo.toml"), "workspace.package").contains(&wanted.as_str()));
}

#[test]
fn texts_and_examples_name_the_version() {
    let header = text("include/fewbit.h");
    let numbers = VERSION.split('.').zip(["MAJOR", "MINOR", "PATCH"]);
    for (number, name) in numbers {
        assert!(header.contains(&format!("#define FEWBIT_VERSION_{name} {number}\n")), "{name}");
    }

    // The newest section: what is about to be released, or was.
    let changes = text("CHANGELOG.md");
    let newest = changes.lines().find_map(|line| line.strip_prefix("## ")).unwrap();
    let released = newest.starts_with(&format!("{VERSION} - "));
    assert!(newest == format!("Unreleased ({VERSION})") || released, "{newest}");

    let readme = format!("Status: {}", series());
    assert!(text("README.md").contains(&readme), "{readme}");
    let cmake = format!("find_package(fewbit {} REQUIRED)", series());
    let meson = format!("dependency('fewbit', version: '>={}'", series());
    for (file, wanted) in [
        ("examples/cmake/CMakeLists.txt", &cmake),
        ("examples/meson/meson.build", &meson),
        ("docs/cmake.md", &cmake),
        ("docs/cmake.md", &meson),
    ] {
        assert!(text(file).contains(wanted.as_str()), "{file}: {wanted}");
    }
    let taken = format!("'{} 1' '{VERSION} 1'", series());
    assert!(text(".ci/steps").contains(&taken), ".ci/steps, versions: {taken}");
}

#[test]
fn every_place_of_the_soname_has_its_number() {
    let number = symbols::SONAME.strip_prefix("libfewbit.so.").unwrap();
    for (file, wanted) in [
        ("crates/capi/build.rs", format!("-Wl,-soname,libfewbit.so.{number}\"")),
        ("c-tests/abi/current.txt", format!("soname libfewbit.so.{number}\n")),
        ("xtask/deb/libfewbit0.control.in", format!("Package: libfewbit{number}\n")),
        ("docs/abi.md", format!("N is {number} now.")),
    ] {
        assert!(text(file).contains(&wanted), "{file}: {wanted}");
    }
}

/// cargo-c is told what `cargo xtask install` does.
#[test]
fn cargo_c_installs_the_same() {
    let manifest = text("crates/capi/Cargo.toml");
    let capi = |name: &str| section(&manifest, &format!("package.metadata.capi.{name}"));

    let library = capi("library");
    assert!(library.contains(&"name = \"fewbit\""));
    // Its SONAME has the major version then, whatever that is.
    assert!(library.contains(&"version_suffix_components = 1"));
    let major = VERSION.split('.').next().unwrap();
    assert_eq!(symbols::SONAME, format!("libfewbit.so.{major}"));
    let profile = text("Cargo.toml");
    assert!(section(&profile, "profile.capi").contains(&"panic = \"abort\""));
    assert!(library.contains(&"rustflags = \"-Cpanic=abort\""));

    let header = capi("header");
    assert!(header.contains(&"subdirectory = false") && header.contains(&"generation = false"));
    let include = capi("install.include");
    for name in ["fewbit.h", "fewbit.hpp"] {
        let asset = format!("    {{ from = \"../../include/{name}\", to = \"\" }},");
        assert!(include.contains(&asset.as_str()), "{name}");
        assert!(root().join("crates/capi/../../include").join(name).exists(), "{name}");
    }

    let package = text("xtask/install/fewbit.pc.in");
    let description = package.lines().find_map(|line| line.strip_prefix("Description: ")).unwrap();
    let told = capi("pkg_config");
    assert!(told.contains(&format!("description = \"{description}\"").as_str()));
    assert!(package.contains("\nName: fewbit\n") && told.contains(&"filename = \"fewbit\""));
}

/// A unit test in the crate of kernels would not be run: see its manifest.
#[test]
fn kernels_have_no_unit_tests() {
    assert!(section(&text("crates/kernels/Cargo.toml"), "lib").contains(&"test = false"));
    let files = files(&root().join("crates/kernels/src")).unwrap();
    for path in &files {
        assert!(!text(path).contains("#[test]"), "{}", path.display());
    }
    assert!(files.len() > 50);
}
