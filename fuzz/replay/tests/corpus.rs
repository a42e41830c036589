//! Every target on the entries of its corpus, `fuzz/corpus/NAME.bin`: what fuzzing has reached stays right.

use std::path::Path;

#[test]
fn every_target_on_its_corpus() {
    for (name, target) in fewbit_fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
        let path = folder.join(format!("{name}.bin"));
        let file = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let entries = fewbit_fuzz::entries(&file);
        assert!(!entries.is_empty(), "{name} has no corpus");
        entries.iter().for_each(|entry| target(entry));
        println!("{name}: {} entries", entries.len());
    }
}
