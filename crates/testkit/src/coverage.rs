//! Which instruction sets really ran. A run that silently skips a kernel proves nothing, so tests
//! count their cases here, the counts are printed, and CI adds them up and demands those it
//! requires.

use crate::{limited, set_name};
use fewbit_simd::{Isa, IsaSet, Supported};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Mutex;

static COUNTS: Mutex<BTreeMap<(String, String), u64>> = Mutex::new(BTreeMap::new());

/// Counts `cases` of an op checked with a kernel that requires `set`.
///
/// # Panics
/// If another test panicked while counting.
pub fn covered(op: &str, set: IsaSet, cases: u64) {
    let mut counts = COUNTS.lock().unwrap();
    *counts.entry((set_name(set), op.to_string())).or_default() += cases;
}

/// Says loudly that a kernel could not run here.
pub fn missing(kernel: &str, required: IsaSet) {
    let why = if Supported::detect().has(required) { "FEWBIT_ISA" } else { "this CPU lacks it" };
    println!("coverage: {}: {kernel} NOT COVERED ({why})", set_name(required));
}

/// Prints the counts of this process and forgets them; with `FEWBIT_COVERAGE_FILE` set, also appends
/// lines `isa op cases` to that file. Call it at the end of each test that counts.
///
/// # Panics
/// If the file cannot be written.
pub fn report() {
    report_to(std::env::var_os("FEWBIT_COVERAGE_FILE").as_deref());
}

fn report_to(file: Option<&OsStr>) {
    let counts = std::mem::take(&mut *COUNTS.lock().unwrap());
    let mut lines = String::new();
    for ((isa, op), cases) in &counts {
        println!("coverage: {isa} {op}: {cases} cases");
        lines += &format!("{isa} {op} {cases}\n");
    }
    for isa in Isa::ALL.into_iter().filter(|isa| !limited().has(isa.closure())) {
        println!("coverage: {}: NOT COVERED (not in this run's instruction sets)", isa.name());
    }
    if let Some(path) = file {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        // One write, so that lines of tests running at once stay whole.
        file.write_all(lines.as_bytes()).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_reach_the_file() {
        covered("op_a", IsaSet::SCALAR, 3);
        covered("op_a", IsaSet::SCALAR, 4);
        covered("op_b", Isa::Avx2.closure(), 1);
        let file = std::env::temp_dir().join(format!("coverage-{}", std::process::id()));
        report_to(Some(file.as_os_str()));
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(text, "avx2 op_b 1\nscalar op_a 7\n");
    }
}
