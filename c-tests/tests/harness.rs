//! The C and C++ programs against the shipped library, shared and static; what they must have tried; what they are made of.

mod common;

use common::{c, cxx, library, place, say};
use fewbit_c_tests::compiler::{Compiler, Link};
use fewbit_c_tests::elf::Elf;
use fewbit_c_tests::{SOURCES, TARGET, header, output, program, root, symbols};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

fn linked(
    compiler: &Compiler,
    sources: &[&str],
    options: &[&str],
    link: Link,
    name: &str,
) -> PathBuf {
    let program = place(name);
    compiler
        .link(sources, options, library(), link, &program)
        .unwrap_or_else(|error| panic!("{error}"));
    program
}

fn shared_c() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| linked(&c(), SOURCES, &[], Link::Shared, "harness-c99-shared"))
}

fn static_c() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| linked(&c(), SOURCES, &[], Link::Static, "harness-c99-static"))
}

fn run(path: &Path) -> String {
    let text = output(&mut program(path)).unwrap_or_else(|error| panic!("{error}"));
    let shown = |line: &&str| line.starts_with("instruction sets") || line.contains("NOT COVERED");
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let last = text.lines().last().unwrap_or_default();
    say(&format!("{name}: {last}"));
    text.lines().filter(shown).for_each(|line| say(&format!("{name}: {line}")));
    text
}

#[test]
fn c99_with_the_shared_library() {
    run(shared_c());
}

#[test]
fn c99_with_the_static_library() {
    run(static_c());
}

#[test]
fn cxx17_with_both_libraries() {
    let Some(compiler) = cxx() else { return };
    run(&linked(&compiler, SOURCES, &[], Link::Shared, "harness-cxx17-shared"));
    run(&linked(&compiler, SOURCES, &[], Link::Static, "harness-cxx17-static"));
}

#[test]
fn the_cxx_layer_with_and_without_exceptions() {
    let Some(compiler) = cxx() else { return };
    let sources = &["layer.cpp", "layer_second.cpp"];
    run(&linked(&compiler, sources, &[], Link::Shared, "layer-shared"));
    run(&linked(&compiler, sources, &["-fno-exceptions"], Link::Static, "layer-static"));
}

/// The pool of `examples/threads`: the same bytes on 1 to 4 of its threads, and no warning.
#[test]
fn the_example_of_threads() {
    let Some(compiler) = cxx() else { return };
    let source = root().join("examples/threads/main.cpp");
    let program = linked(&compiler, &[&source.to_string_lossy()], &[], Link::Static, "threads");
    let text = run(&program);
    assert_eq!(text.matches("the same bytes").count(), 12, "{text}");
}

#[test]
fn a_failing_check_fails_the_program() {
    let failing = output(program(shared_c()).arg("failure"));
    let text = failing.expect_err("a failing check must not pass").to_string();
    assert!(text.contains("failed: fewbit_version() == 0"), "{text}");
    assert!(output(program(shared_c()).arg("no such part")).is_err());
}

#[test]
fn every_function_is_called() {
    let elf = Elf::read(shared_c()).unwrap();
    let called: BTreeSet<String> = elf
        .dynamic
        .into_iter()
        .filter(|symbol| !symbol.defined && symbol.name.starts_with("fewbit_"))
        .map(|symbol| symbol.name)
        .collect();
    let declared: BTreeSet<String> =
        header::functions(&header::text().unwrap()).into_iter().map(|f| f.name).collect();
    assert!(declared.len() > 50, "the header's functions are not all found: {declared:?}");
    assert_eq!(called, declared);
}

/// Every pointer was NULL once, and every size 0 and huge once, with a checked outcome.
#[test]
fn every_pointer_and_every_size_was_tried() {
    let text = run(shared_c());
    let tried: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("covered ")).collect();
    let mut missing = Vec::new();
    let mut demanded = 0;
    for function in header::functions(&header::text().unwrap()) {
        for parameter in &function.parameters {
            let ways: &[&str] = match parameter {
                _ if parameter.pointer => &["null"],
                _ if parameter.size => &["zero", "huge"],
                _ => &[],
            };
            for way in ways {
                let case = format!("{} {} {way}", function.name, parameter.name);
                demanded += 1;
                if !tried.contains(case.as_str()) {
                    missing.push(case);
                }
            }
        }
    }
    assert!(missing.is_empty(), "not tried: {missing:#?}");
    assert!(demanded > 200, "only {demanded} cases were demanded");
}

/// Functions that compute nothing and are handed no numbers.
const WITHOUT_NUMBERS: &[&str] = &[
    "fewbit_status_string",
    "fewbit_version",
    "fewbit_version_string",
    "fewbit_isa_detected",
    "fewbit_isa_enabled",
    "fewbit_isa_name",
    "fewbit_set_isa",
    "fewbit_kernel_count",
    "fewbit_kernel_name",
    "fewbit_half_support",
    "fewbit_linear_destroy",
    "fewbit_gemm_destroy",
    "fewbit_conv_destroy",
];

/// Every function that may compute was called in hostile floating-point environments.
#[test]
fn every_function_was_tried_in_hostile_environments() {
    let text = output(program(shared_c()).arg("environment")).unwrap_or_else(|e| panic!("{e}"));
    let tried: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("covered ")?.strip_suffix(" - hostile"))
        .map(str::to_string)
        .collect();
    let names = header::functions(&header::text().unwrap()).into_iter().map(|f| f.name);
    let demanded: BTreeSet<String> =
        names.filter(|name| !WITHOUT_NUMBERS.contains(&name.as_str())).collect();
    assert_eq!(tried, demanded);
}

/// The library's own way to memory, `malloc`, fails at every call that a create call makes.
#[test]
fn malloc_that_fails() {
    let wrapped = ["-Wl,--wrap=malloc,--wrap=free"];
    let sources = ["malloc.c", "kinds.c"];
    run(&linked(&c(), &sources, &wrapped, Link::Static, "malloc"));
}

/// Loaded and unloaded a hundred times.
#[test]
fn the_shared_library_comes_and_goes() {
    let reload = linked(&c(), &["reload.c"], &["-ldl"], Link::Static, "reload");
    let text = output(program(&reload).arg(library().shared())).unwrap_or_else(|e| panic!("{e}"));
    say(&format!("reload: {}", text.trim_end()));
}

#[test]
fn the_shared_library_has_the_right_symbols() {
    let declared = header::functions(&header::text().unwrap());
    let elf = Elf::read(&library().shared()).unwrap();
    assert_eq!(symbols::faults(&elf, &declared), Vec::<String>::new());
}

#[test]
fn a_program_with_the_static_library_has_no_panic_path() {
    let elf = Elf::read(static_c()).unwrap();
    assert!(elf.all.iter().any(|symbol| symbol.name == "fewbit_linear_run" && symbol.defined));
    assert_eq!(symbols::panic_paths(&elf), Vec::<&str>::new());
    let beyond_libc =
        |name: &&String| !name.starts_with("libc.so") && !name.starts_with("ld-linux");
    assert_eq!(elf.needed.iter().find(beyond_libc), None);
}

/// The archive brings nothing into a program but the library: no `fmaf` of its own, for one.
#[test]
fn the_static_library_leaves_the_c_library_alone() {
    let with_math = ["math.c"];
    run(&linked(&c(), &with_math, &["-fno-builtin", "-lm"], Link::Static, "math-c99"));
    let Some(compiler) = cxx() else { return };
    run(&linked(&compiler, &with_math, &["-fno-builtin"], Link::Static, "math-cxx17"));
    for name in ["math-c99", "math-cxx17"] {
        let elf = Elf::read(&place(name)).unwrap();
        let fmaf = elf.all.iter().find(|symbol| symbol.name.starts_with("fmaf"));
        assert!(fmaf.is_some_and(|symbol| !symbol.defined), "{name}: {fmaf:?}");
        assert_eq!(symbols::panic_paths(&elf), Vec::<&str>::new());
    }
}

/// Another Rust library, which brings std and its own panic handler, in the same program, in either order.
#[test]
fn beside_another_rust_library() {
    let (source, archive) = (place("other.rs"), place("libother.a"));
    std::fs::write(
        &source,
        "#[unsafe(no_mangle)]\npub extern \"C\" fn other(n: u32) -> u32 {\n    \
             (0..n).map(|i| i.to_string().len() as u32).sum()\n}\n",
    )
    .unwrap();
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
    rustc.args(["--edition=2024", "--crate-type=staticlib", "-Copt-level=1", "--target", TARGET]);
    output(rustc.arg("-o").arg(&archive).arg(&source)).unwrap_or_else(|error| panic!("{error}"));
    let (archive, folder) = (archive.display(), archive.parent().unwrap().display());
    let first = [&*format!("-L{folder}"), "-l:libother.a", "-lgcc_s"];
    let last = ["-Wl,--undefined=other", &*archive.to_string(), "-lgcc_s"];
    run(&linked(&c(), &["beside.c"], &first, Link::Static, "beside-first"));
    run(&linked(&c(), &["beside.c"], &last, Link::Static, "beside-last"));
}

#[test]
fn the_limit_of_instruction_sets() {
    let isa = linked(&c(), &["isa.c"], &[], Link::Static, "isa");
    let foreign = if TARGET.starts_with("x86_64") { "neon" } else { "avx2" };
    let (long, not_text) = ("scalar,".repeat(2000) + "x", OsStr::from_bytes(b"scalar,\xff"));
    let wrong = [
        "avx3",
        "scalar,sse9",
        foreign,
        "AVX2",
        "Scalar",
        ",",
        " ",
        "scalar,",
        ",scalar",
        "scalar scalar",
        "scalar;native",
        "native,avx3",
        "avx-512",
        "0",
        "none",
        "scalar\n,",
        &long,
    ];
    let refused = wrong.iter().map(|&limit| ("refused", Some(OsStr::new(limit))));
    let right = [
        ("limit", None),
        ("limit", Some("")),
        ("late", None),
        ("late", Some("native")),
        ("late", Some(" native , scalar\t")),
        ("replaced", Some("avx3")),
        ("scalar", Some("scalar")),
        ("scalar", Some("scalar,scalar")),
    ];
    let right = right.map(|(case, limit)| (case, limit.map(OsStr::new)));
    let cases = refused.chain([("refused", Some(not_text))]).chain(right);
    let mut count = 0;
    for (case, limit) in cases {
        let mut command = program(&isa);
        command.arg(case).env_remove("FEWBIT_ISA");
        if let Some(limit) = limit {
            command.env("FEWBIT_ISA", limit);
        }
        output(&mut command).unwrap_or_else(|error| panic!("{case} {limit:?}: {error}"));
        count += 1;
    }
    say(&format!("FEWBIT_ISA: {count} values, {} of them wrong", wrong.len() + 1));
}
