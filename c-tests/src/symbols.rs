//! What the shipped library exports, what it needs, and that no panic is left in it.

use crate::elf::Elf;
use crate::header::Function;
use std::collections::BTreeSet;

/// The name that programs are linked with: its number changes with every incompatible change (docs/abi.md).
pub const SONAME: &str = "libfewbit.so.0";

/// What the shared library may take from outside: the C library, on aarch64 its list of CPU features,
/// and the stack protector of toolchains whose own `core` was compiled with one (Debian's). `abort` is
/// not here: only a panic would call it.
const ALLOWED: &[&str] = &[
    "__stack_chk_fail",
    "__stack_chk_guard",
    "bcmp",
    "free",
    "getauxval",
    "getenv",
    "malloc",
    "memcmp",
    "memcpy",
    "memmove",
    "memset",
    "strlen",
];

/// What names of functions tell of panics, unwinding, or Rust's allocator.
const SIGNS: &[&str] = &[
    "panic",
    "rust_begin_unwind",
    "rust_eh_personality",
    "_Unwind_",
    "__rust_alloc",
    "__rdl_",
    "__rg_",
];

/// Symbols that only a panic, unwinding or allocation path leaves.
pub fn panic_paths(elf: &Elf) -> Vec<&str> {
    let is_sign = |name: &&str| SIGNS.iter().any(|sign| name.contains(sign));
    elf.all.iter().map(|symbol| symbol.name.as_str()).filter(is_sign).collect()
}

/// What is wrong with the shared library, judged by its symbols: nothing, if all is well.
pub fn faults(elf: &Elf, declared: &[Function]) -> Vec<String> {
    let mut faults = Vec::new();
    let names = |defined: bool| -> BTreeSet<&str> {
        let chosen = elf.dynamic.iter().filter(|symbol| symbol.global && !symbol.weak);
        let chosen = chosen.filter(|symbol| symbol.defined == defined);
        chosen.map(|symbol| symbol.name.as_str()).collect()
    };
    let declared: BTreeSet<&str> = declared.iter().map(|function| function.name.as_str()).collect();
    let exported = names(true);
    for name in exported.difference(&declared) {
        faults.push(format!("exports {name}, which the header does not declare"));
    }
    for name in declared.difference(&exported) {
        faults.push(format!("does not export {name}, which the header declares"));
    }
    for name in exported.iter().filter(|name| !name.starts_with("fewbit_")) {
        faults.push(format!("exports {name}, which is no fewbit_ name"));
    }
    for name in names(false).iter().filter(|name| !ALLOWED.contains(name)) {
        faults.push(format!("needs {name}, which is not on the list"));
    }
    if elf.soname.as_deref() != Some(SONAME) {
        faults.push(format!("has the SONAME {:?}", elf.soname));
    }
    let is_libc = |name: &&String| name.starts_with("libc.so") || name.starts_with("ld-linux");
    for name in elf.needed.iter().filter(|name| !is_libc(name)) {
        faults.push(format!("needs the library {name}"));
    }
    // The C compiler's own: its start-up file has one, which finds nothing to do, and its support library for aarch64 two,
    // which ask the system for the CPU's atomic operations.
    const OF_COMPILER: [&str; 3] = ["frame_dummy", "init_have_lse_atomics", "__init_cpu_features"];
    let is_known = |name: &&&str| elf.all.iter().any(|symbol| symbol.name == **name);
    let known = OF_COMPILER.iter().filter(is_known).count();
    if elf.constructors > known {
        faults.push(format!("runs {} functions when it is loaded", elf.constructors - known));
    }
    if elf.all.is_empty() {
        faults.push("has no symbol table to find panic paths in".to_string());
    }
    faults.extend(panic_paths(elf).iter().map(|name| format!("holds a panic path: {name}")));
    faults
}
