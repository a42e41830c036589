//! libFuzzer's program for all targets: `FEWBIT_FUZZ_TARGET` names the one that runs.
#![cfg_attr(feature = "libfuzzer", no_main)]

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    static TARGET: std::sync::OnceLock<fn(&[u8])> = std::sync::OnceLock::new();
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("FEWBIT_FUZZ_TARGET").unwrap_or_default();
        let found = fewbit_fuzz::TARGETS.iter().find(|(target, _)| *target == name);
        found.unwrap_or_else(|| panic!("FEWBIT_FUZZ_TARGET is {name:?}, which is no target")).1
    });
    target(bytes);
});

#[cfg(not(feature = "libfuzzer"))]
fn main() {
    eprintln!("built without the feature libfuzzer: see `cargo xtask fuzz`");
    std::process::exit(2);
}
