//! What `libfewbit.so` exports and needs, and the proofs that no panic path is left in it and that its kernels
//! are whole: compiled for their instruction set, not calling code that is not. Its size.

use crate::size::{disassembly, print, stripped};
use crate::{Outcome, option, start, target_dir};
use fewbit_c_tests::elf::Elf;
use fewbit_c_tests::library::Library;
use fewbit_c_tests::{header, symbols};
use std::path::Path;

pub const HELP: &str = "[--target TRIPLE]: libfewbit.so exports what the header declares, needs the C \
                        library alone, runs nothing at load, holds no panic path, is small, and its \
                        kernels call nothing";

/// Bytes that the shared library may have when it is stripped.
const LARGEST: u64 = 2_000_000;

pub fn run(arguments: &[String]) -> Outcome {
    let target = option(arguments, "--target");
    let declared = header::functions(&header::text()?);
    let library = Library::build(&target_dir(), target, None)?;
    let elf = Elf::read(&library.shared())?;
    let faults = symbols::faults(&elf, &declared);
    if !faults.is_empty() {
        return Err(format!("{}:\n  {}", library.shared().display(), faults.join("\n  ")).into());
    }
    println!("exports the {} functions of the header, and nothing else", declared.len());
    let outside = elf.dynamic.iter().filter(|symbol| !symbol.defined && !symbol.weak);
    let outside: Vec<&str> = outside.map(|symbol| symbol.name.as_str()).collect();
    println!("needs {} of {}", outside.join(" "), elf.needed.join(" "));
    println!("SONAME {}, no constructor", elf.soname.unwrap_or_default());
    if target.is_none() {
        print(&library.shared())?;
        start::print(&library)?;
        let size = stripped(&library)?;
        println!("{size} bytes stripped; the limit is {LARGEST}");
        if size > LARGEST {
            return Err("it has grown too large".into());
        }
        println!("{} kernel entries call nothing but what copies", entries(&library.shared())?);
    }

    // A check that cannot fail proves nothing: with a panic planted, it must be found.
    let planted = Library::build(&target_dir(), target, Some("planted-panic"))?;
    let elf = Elf::read(&planted.shared())?;
    let found = symbols::panic_paths(&elf).len();
    if found == 0 {
        return Err("a planted panic was not found, so the check proves nothing".into());
    }
    println!("no panic path in {} symbols; a planted one leaves {found}", elf.all.len());
    Ok(())
}

/// Looks at the disassembly of every kernel entry, and gives their number. A method of a vector that was not
/// inlined (a closure is enough for that) would be compiled without the instruction set, and be slow.
fn entries(library: &Path) -> Result<usize, Box<dyn std::error::Error>> {
    let text = disassembly(library)?;
    let (mut count, mut entry, mut faults) = (0, None, Vec::new());
    for line in text.lines() {
        if let Some(name) = line.strip_suffix(">:").and_then(|line| line.split_once('<')) {
            let suffix = ["6avx51217h", "4avx217h", "4neon17h", "5entry17h"];
            let is_entry =
                name.1.contains("fewbit_kernels") && suffix.iter().any(|s| name.1.contains(s));
            entry = is_entry.then_some(name.1);
            count += usize::from(is_entry);
        }
        let call = ["\tcall", "\tbl "].iter().any(|call| line.contains(call));
        // The portable tiles', functions of their own by intent; no vector has them.
        let allowed = [
            "memcpy",
            "memset",
            "memmove",
            "13fewbit_scheme4real3fma17h",
            "13fewbit_scheme7product12add_bf16_odd17h",
        ];
        let allowed = allowed.iter().any(|name| line.contains(name));
        if let Some(entry) = entry.filter(|_| call && !allowed) {
            faults.push(format!("{entry}: {}", line.trim()));
        }
    }
    if count < 20 {
        return Err(
            format!("only {count} kernel entries were found, so the check proves nothing").into()
        );
    }
    if faults.is_empty() { Ok(count) } else { Err(faults.join("\n  ").into()) }
}
