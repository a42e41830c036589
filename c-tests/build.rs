//! Tells the tests which target they are built for; C must be compiled for the same one.
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for name in ["HOST", "TARGET"] {
        let value = std::env::var(name).unwrap_or_default();
        println!("cargo:rustc-env=FEWBIT_{name}={value}");
    }
}
