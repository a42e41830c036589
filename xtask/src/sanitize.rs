//! The C harness under sanitizers and valgrind, with a library that is instrumented as well.

use crate::nightly::{self, built};
use crate::{Outcome, call, fuzz, root, target_dir};
use fewbit_c_tests::compiler::{Compiler, Language};
use fewbit_c_tests::library::Library;
use fewbit_c_tests::{SOURCES, output};
use std::path::{Path, PathBuf};
use std::process::Command;

pub const HELP: &str = "[address] [thread] [memcheck]: the C harness and the tests of the ffi crate under AddressSanitizer and \
                        UndefinedBehaviorSanitizer, ThreadSanitizer, valgrind; without names, all";

/// What Rust's archives with std need of the system.
const SYSTEM: &[&str] = &["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];

/// A check by its name.
type Check = (&'static str, fn() -> Outcome);

pub fn run(arguments: &[String]) -> Outcome {
    let known: [Check; 3] = [("address", address), ("thread", thread), ("memcheck", memcheck)];
    if let Some(unknown) =
        arguments.iter().find(|name| known.iter().all(|(known, _)| known != name))
    {
        return Err(format!("{unknown} is none of address, thread and memcheck").into());
    }
    for (name, check) in known {
        if arguments.is_empty() || arguments.iter().any(|argument| argument == name) {
            check()?;
        }
    }
    Ok(())
}

fn place(name: &str) -> Result<PathBuf, std::io::Error> {
    let folder = target_dir().join("sanitize");
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join(name))
}

/// Compiles the harness with options, and links it with an archive.
fn harness(
    name: &str,
    archive: &Path,
    options: &[&str],
    last: &[&str],
) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let program = place(name)?;
    let mut command = Compiler::find(Language::C99)?.command();
    command
        .args(options)
        .arg("-g")
        .args(SOURCES.iter().map(|source| root().join("c-tests/c").join(source)));
    command.arg(archive).arg("-pthread").args(last).arg("-o").arg(&program);
    output(&mut command)?;
    Ok(program)
}

/// Runs a program, and shows its last line.
fn shown(name: &str, command: &mut Command) -> Outcome {
    let text = output(command)?;
    println!("{name}: {}", text.lines().last().unwrap_or_default());
    Ok(())
}

/// An instrumented archive of the library.
fn archive(flags: &str, folder: &str) -> Result<PathBuf, Box<dyn std::error::Error>> {
    call(nightly::cargo("build", flags, folder).args(["--package", "fewbit-fuzz-library"]))?;
    Ok(built(folder, "libfewbit_sanitized.a"))
}

fn address() -> Outcome {
    let options = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let variables = [
        (
            "ASAN_OPTIONS",
            "detect_leaks=1:allocator_may_return_null=1:detect_stack_use_after_return=1",
        ),
        ("UBSAN_OPTIONS", "print_stacktrace=1"),
    ];
    let name = "harness under AddressSanitizer and UndefinedBehaviorSanitizer";
    if nightly::is_there() {
        let archive = archive(nightly::ADDRESS, fuzz::FOLDER)?;
        let program = harness("harness-address", &archive, &options, SYSTEM)?;
        shown(name, Command::new(&program).envs(variables))?;
    } else {
        println!(
            "AddressSanitizer in Rust code: NOT COVERED, no nightly compiler of rustup's; C code only"
        );
        let library = Library::build(&target_dir(), None, None)?;
        let program = harness("harness-address", &library.archive(), &options, &[])?;
        shown(name, Command::new(&program).envs(variables))?;
    }
    // A check that cannot fail proves nothing.
    let planted = place("planted.c")?;
    std::fs::write(
        &planted,
        "#include \"fewbit.h\"\n#include <stdlib.h>\nint main(void) {\n    float *x = (float *)calloc(31, 4);\n    \
         int8_t q[32];\n    fewbit_quant_params params = {1.0f, 0};\n    \
         return fewbit_quantize_f32_s8(x, 32, &params, q);\n}\n",
    )?;
    if nightly::is_there() {
        let program = place("planted")?;
        let mut compiler = Compiler::find(Language::C99)?.command();
        compiler.args(options).arg(&planted).arg(built(fuzz::FOLDER, "libfewbit_sanitized.a"));
        output(compiler.args(["-pthread"]).args(SYSTEM).arg("-o").arg(&program))?;
        match output(&mut Command::new(&program)) {
            Err(error) if error.to_string().contains("heap-buffer-overflow") => {}
            _ => {
                return Err(
                    "a read behind an array was not found, so the check proves nothing".into()
                );
            }
        }
        println!("a planted read behind an array is found");
        call(&mut nightly::tests())?;
    }
    Ok(())
}

fn thread() -> Outcome {
    if !nightly::is_there() {
        println!("ThreadSanitizer: NOT COVERED, no nightly compiler of rustup's");
        return Ok(());
    }
    let archive = archive(nightly::THREAD, "sanitize-thread")?;
    // The compiler of C may have an older runtime than Rust's instrumented code asks for; Rust's own serves both.
    let folder = place("thread")?;
    std::fs::create_dir_all(&folder)?;
    let compiler = Compiler::find(Language::C99)?;
    let mut objects = Vec::new();
    for source in SOURCES {
        let object = folder.join(source).with_extension("o");
        let mut command = compiler.command();
        command.args(["-fsanitize=thread", "-g", "-c"]);
        output(command.arg(root().join("c-tests/c").join(source)).arg("-o").arg(&object))?;
        objects.push(object);
    }
    let program = place("harness-thread")?;
    let mut command = compiler.command();
    command.args(&objects).arg(&archive).arg("-Wl,--whole-archive").arg(nightly::runtime("tsan")?);
    output(command.args(["-Wl,--no-whole-archive"]).args(SYSTEM).arg("-o").arg(&program))?;
    shown(
        "threads under ThreadSanitizer",
        Command::new(&program).arg("threads").env("TSAN_OPTIONS", "halt_on_error=1"),
    )
}

fn memcheck() -> Outcome {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("valgrind: NOT COVERED, it is not installed");
        return Ok(());
    }
    let library = Library::build(&target_dir(), None, None)?;
    let program = harness("harness-valgrind", &library.archive(), &[], &[])?;
    // It knows neither AVX-512 nor other rounding and flushing than the usual. A forked process has the memory of threads that
    // it has not: only there nothing is told to be lost.
    let runs = [
        ("harness under valgrind", ["--leak-check=full", "-environment", "-processes"]),
        ("its forked processes", ["--leak-check=no", "processes", "processes"]),
    ];
    for (name, [leaks, parts @ ..]) in runs {
        let mut command = Command::new("valgrind");
        command.args(["--quiet", "--error-exitcode=1", "--show-leak-kinds=all", leaks]);
        shown(name, command.arg(&program).args(parts).env("FEWBIT_ISA", "avx2"))?;
    }
    Ok(())
}
