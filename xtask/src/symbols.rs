//! What `libfewbit.so` exports and needs, and the proof that no panic path is left in it.

use crate::{Outcome, option, target_dir};
use fewbit_c_tests::elf::Elf;
use fewbit_c_tests::library::Library;
use fewbit_c_tests::{header, symbols};

pub const HELP: &str = "[--target TRIPLE]: libfewbit.so exports what the header declares, needs the C \
                        library alone, and holds no panic path";

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
    println!("SONAME {}", elf.soname.unwrap_or_default());

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
