//! What compilers and readers of files tell: the symbols of the library, the header, its structures, the texts. No program runs here:
//! these hold on every CPU if they hold on one.

mod common;

use common::{build, c, cxx, library, place};
use fewbit_c_tests::elf::Elf;
use fewbit_c_tests::{files, header, output, root, symbols};
use std::collections::BTreeSet;

/// Compilers see a layout that is not what `layout.c` says.
#[test]
fn another_layout_is_refused() {
    let text = std::fs::read_to_string(root().join("c-tests/c/layout.c")).unwrap();
    let compiled = |text: &str, name: &str| {
        let source = place(name);
        std::fs::write(&source, text).unwrap();
        output(c().command().arg("-fsyntax-only").arg(&source))
    };
    compiled(&text, "layout-right.c").unwrap_or_else(|error| panic!("{error}"));
    for (right, wrong) in [
        ("SIZE(fewbit_error, 256)", "SIZE(fewbit_error, 264)"),
        ("AT(fewbit_error, message, 48, 208)", "AT(fewbit_error, message, 44, 208)"),
        ("AT(fewbit_error, message, 48, 208)", "AT(fewbit_error, message, 48, 200)"),
    ] {
        let changed = text.replace(right, wrong);
        assert_ne!(changed, text, "{right} is not there");
        assert!(compiled(&changed, "layout-wrong.c").is_err(), "{wrong}");
    }
}

/// Every name that the texts for users mention is in the header.
#[test]
fn texts_name_what_exists() {
    let header = header::text().unwrap()
        + &std::fs::read_to_string(root().join("include/fewbit.hpp")).unwrap();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let known: BTreeSet<&str> = header.split(|c| !is_name(c)).collect();
    let mut texts = vec![root().join("README.md"), root().join("examples/digits/README.md")];
    for folder in ["docs", "docs/migrating"] {
        let files = std::fs::read_dir(root().join(folder)).unwrap();
        texts.extend(files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
    }
    let mut names = 0;
    for path in texts {
        let text = std::fs::read_to_string(&path).unwrap();
        for name in text.split(|c| !is_name(c)) {
            let constant = name.starts_with("FEWBIT_") && name != "FEWBIT_ISA";
            if name.starts_with("fewbit_") && !name.ends_with('_') || constant {
                names += 1;
                let variable = ["FEWBIT_TEST_", "FEWBIT_DIGEST", "FEWBIT_EXHAUSTIVE"]
                    .iter()
                    .any(|v| name.starts_with(v));
                let of_rust = std::path::Path::new(&root().join("crates"))
                    .join(name.trim_start_matches("fewbit_"))
                    .is_dir();
                let of_cmake = name == "fewbit_static";
                assert!(
                    variable || of_rust || of_cmake || known.contains(name),
                    "{}: {name}",
                    path.display()
                );
            }
        }
    }
    assert!(names > 20);
}

/// The checks of symbols see what they look for.
#[test]
fn a_planted_panic_is_found() {
    let declared = header::functions(&header::text().unwrap());
    let elf = Elf::read(&build(Some("planted-panic")).shared()).unwrap();
    assert!(!symbols::panic_paths(&elf).is_empty());
    let faults = symbols::faults(&elf, &declared).join("\n");
    let planted =
        ["exports fewbit_planted_panic", "needs abort", "holds a panic path", "runs 1 functions"];
    for expected in planted {
        assert!(faults.contains(expected), "{expected}: {faults}");
    }
    let fewer = &declared[1..];
    let elf = Elf::read(&library().shared()).unwrap();
    assert_eq!(symbols::faults(&elf, fewer).len(), 1);
}

/// Shipped crates cannot allocate on their own: without `alloc` there is no `Vec`, `Box` or `String`.
#[test]
fn shipped_crates_do_not_use_alloc() {
    let crates = ["granularity", "scheme", "simd", "kernels", "calibrate", "fewbit", "ffi", "capi"];
    for name in crates {
        let files = files(&root().join("crates").join(name).join("src")).unwrap();
        for path in &files {
            let text = std::fs::read_to_string(path).unwrap();
            assert!(!text.contains("extern crate alloc"), "{}", path.display());
        }
        assert!(!files.is_empty(), "{name}");
        let root_file = root().join("crates").join(name).join("src/lib.rs");
        assert!(std::fs::read_to_string(root_file).unwrap().contains("no_std"), "{name}");
    }
}

/// The header alone, in every dialect, with warnings that projects use.
#[test]
fn the_header_compiles_everywhere() {
    let source = place("header.c");
    std::fs::write(
        &source,
        "#include \"fewbit.h\"\n#include \"fewbit.h\"\nint main(void) { return 0; }\n",
    )
    .unwrap();
    let strict = ["-Wundef", "-Wcast-qual", "-Wconversion", "-fsyntax-only"];
    for dialect in ["-std=c99", "-std=c11", "-std=c17"] {
        let mut command = c().command();
        command.args(strict).args(["-Wstrict-prototypes", "-Wmissing-prototypes", "-Wc++-compat"]);
        output(command.arg(dialect).arg(&source)).unwrap_or_else(|error| panic!("{error}"));
    }
    let Some(compiler) = cxx() else { return };
    for dialect in ["-std=c++11", "-std=c++17", "-std=c++20"] {
        let mut command = compiler.command();
        command.args(strict).args([dialect, "-Wold-style-cast", "-x", "c++"]).arg(&source);
        output(&mut command).unwrap_or_else(|error| panic!("{error}"));
    }
}
