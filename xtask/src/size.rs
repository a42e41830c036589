//! What the bytes of `libfewbit.so` are: code by family and instruction set, and sections.

use crate::{Outcome, flag, option, output, target_dir};
use fewbit_c_tests::elf::Elf;
use fewbit_c_tests::header;
use fewbit_c_tests::library::Library;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::Command;

pub const HELP: &str = "[--no-default-features] [--features F]: what the bytes of libfewbit.so are: code by \
                        family and instruction set, sections";

pub fn run(arguments: &[String]) -> Outcome {
    let default = !flag(arguments, "--no-default-features");
    let features = option(arguments, "--features");
    let library = Library::build_of(&target_dir(), None, features, default)?;
    print(&library.shared())?;
    let declared: Vec<String> =
        header::functions(&header::text()?).into_iter().map(|function| function.name).collect();
    let elf = Elf::read(&library.shared())?;
    let exports = elf.dynamic.iter().filter(|symbol| symbol.defined && symbol.global);
    let (known, unknown): (Vec<_>, Vec<_>) = exports.partition(|s| declared.contains(&s.name));
    if let Some(symbol) = unknown.iter().find(|symbol| !symbol.weak) {
        return Err(format!("exports {}, which the header does not declare", symbol.name).into());
    }
    if default == (known.len() < declared.len()) {
        return Err(format!("exports {} of {} functions", known.len(), declared.len()).into());
    }
    println!("exports {} of the header's {} functions", known.len(), declared.len());
    println!("{} bytes stripped", stripped(&library)?);
    Ok(())
}

/// Prints the tables of a library that still has its symbols.
///
/// # Errors
/// If it cannot be read.
pub fn print(library: &Path) -> Outcome {
    let code = code(&disassembly(library)?);
    println!("{:<24} {:>9} {:>9} {:>9} {:>9}", "bytes of code", "avx512", "avx2", "other", "all");
    let mut families: Vec<(&str, [usize; 3])> =
        code.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    families.sort_by_key(|(_, bytes)| std::cmp::Reverse(bytes.iter().sum::<usize>()));
    let total =
        families.iter().fold([0; 3], |sum, (_, b)| [sum[0] + b[0], sum[1] + b[1], sum[2] + b[2]]);
    families.push(("all", total));
    for (family, [avx512, avx2, other]) in families {
        println!("{family:<24} {avx512:>9} {avx2:>9} {other:>9} {:>9}", avx512 + avx2 + other);
    }
    println!("\n{:<24} {:>9}", "section", "bytes");
    for (name, size) in sections(library)? {
        println!("{name:<24} {size:>9}");
    }
    Ok(())
}

/// The disassembly, with symbols.
///
/// # Errors
/// If there is no `objdump`, or it fails.
pub fn disassembly(library: &Path) -> Result<String, Box<dyn Error>> {
    output(Command::new("objdump").args(["-d", "--no-show-raw-insn"]).arg(library))
}

/// Bytes of the functions of each family, with AVX-512, with AVX2 and with neither.
fn code(disassembly: &str) -> BTreeMap<String, [usize; 3]> {
    let mut families = BTreeMap::<String, [usize; 3]>::new();
    let (mut family, mut start, mut last, mut widest) = (None::<String>, 0, 0, 2);
    let mut add = |family: Option<String>, widest: usize, bytes: usize| {
        if let Some(sizes) = family.map(|family| families.entry(family).or_default())
            && let Some(size) = sizes.get_mut(widest)
        {
            *size += bytes;
        }
    };
    for line in disassembly.lines() {
        let address = line.trim_start().split([':', ' ']).next();
        let Some(address) = address.and_then(|hex| usize::from_str_radix(hex, 16).ok()) else {
            continue;
        };
        if let Some((_, name)) = line.strip_suffix(">:").and_then(|line| line.split_once('<')) {
            add(family.take(), widest, address - start);
            (family, start, widest) = (Some(family_of(name)), address, 2);
        } else if line.contains("%zmm") || line.contains("{%k") {
            widest = 0;
        } else if line.contains("%ymm") {
            widest = widest.min(1);
        }
        last = address;
    }
    add(family, widest, last.saturating_sub(start));
    families
}

/// A function's crate, and module of kernels, by its mangled name: `_ZN14fewbit_kernels8quantize...`.
fn family_of(name: &str) -> String {
    // `$LT$` and the like begin names of implementations: the first of the library's crates is theirs.
    let Some(at) = name.find("fewbit") else { return "other".to_string() };
    let part = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let path = name.get(at..).unwrap_or_default();
    let Some(modules) = path.strip_prefix("fewbit_kernels") else {
        let parts = ["fewbit_simd", "fewbit_scheme", "fewbit_granularity", "fewbit_calibrate"];
        return parts
            .iter()
            .find(|of| path.starts_with(**of))
            .unwrap_or(&"fewbit, fewbit_ffi")
            .to_string();
    };
    // `8quantize6F32_S8...`, or `..quantize..` within angle brackets.
    let digits: String = modules.chars().take_while(char::is_ascii_digit).collect();
    let module = match digits.parse::<usize>() {
        Ok(length) => {
            modules.get(digits.len()..digits.len() + length).unwrap_or_default().to_string()
        }
        Err(_) => part(modules.trim_start_matches('.')),
    };
    format!("kernels::{module}")
}

/// The sections that are loaded, the largest first.
fn sections(library: &Path) -> Result<Vec<(String, u64)>, Box<dyn Error>> {
    let text = output(Command::new("objdump").args(["-h", "-w"]).arg(library))?;
    let loaded = text.lines().filter(|line| line.contains("ALLOC") && line.contains("CONTENTS"));
    let mut sections: Vec<(String, u64)> = loaded
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let (name, size) = (words.next()?, words.next()?);
            Some((name.to_string(), u64::from_str_radix(size, 16).ok()?))
        })
        .collect();
    sections.sort_by_key(|section| std::cmp::Reverse(section.1));
    Ok(sections)
}

/// The shared library's size without symbols and debug information.
///
/// # Errors
/// If there is no `strip`, or it fails.
pub fn stripped(library: &Library) -> Result<u64, Box<dyn std::error::Error>> {
    let path = library.folder.join("stripped");
    output(Command::new("strip").arg("-o").arg(&path).arg(library.shared()))?;
    let size = std::fs::metadata(&path)?.len();
    std::fs::remove_file(&path)?;
    Ok(size)
}
