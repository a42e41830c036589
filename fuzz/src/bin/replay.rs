//! Runs every target on the entries of its corpus, `corpus/NAME.bin`, or on files: `replay [TARGET FILE...]`. It needs no
//! nightly compiler and no libFuzzer.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [name, files @ ..] = arguments.as_slice() {
        let Some((_, target)) = fewbit_fuzz::TARGETS.iter().find(|(target, _)| target == name)
        else {
            eprintln!("{name} is no target");
            return ExitCode::FAILURE;
        };
        for file in files {
            target(&std::fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}")));
        }
        return ExitCode::SUCCESS;
    }
    for (name, target) in fewbit_fuzz::TARGETS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("{name}.bin"));
        let file =
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let entries = fewbit_fuzz::entries(&file);
        assert!(!entries.is_empty(), "{name} has no corpus");
        entries.iter().for_each(|entry| target(entry));
        println!("{name}: {} entries", entries.len());
    }
    ExitCode::SUCCESS
}
