//! The digest of every op over a fixed corpus: the same number from every kernel of every
//! instruction set, on every architecture, and the same as in the committed file. So a change of any
//! bit of any answer, on any CPU, shows as a change of `digest.txt`.
//!
//! `cargo xtask digest` writes the file.

mod blocks;
mod codes;
mod few;
mod kernels;
mod observers;
mod outputs;
mod plans;
mod products;
mod reals;
mod rowwise;
mod tensors;
mod values;
mod weight_blocks;

use fewbit_simd::IsaSet;
use fewbit_testkit::{covered, report, set_name};
use std::collections::BTreeMap;

/// FNV-1a, 64 bits, over the outputs of an op.
struct Digest {
    hash: u64,
    bytes: u64,
}

impl Digest {
    fn new() -> Digest {
        Digest { hash: 0xCBF2_9CE4_8422_2325, bytes: 0 }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        self.bytes += bytes.len() as u64;
    }

    fn f32s(&mut self, values: &[f32]) {
        values.iter().for_each(|x| self.bytes(&x.to_bits().to_le_bytes()));
    }

    fn i32s(&mut self, values: &[i32]) {
        values.iter().for_each(|x| self.bytes(&x.to_le_bytes()));
    }
}

/// The digest of each op so far.
#[derive(Default)]
struct Book(BTreeMap<String, u64>);

impl Book {
    /// Enters an op's digest as computed with a set of features; all sets must agree.
    fn enter(&mut self, op: &str, set: IsaSet, digest: Digest) {
        assert!(digest.bytes > 0, "{op}: nothing was digested");
        let first = *self.0.entry(op.to_string()).or_insert(digest.hash);
        assert_eq!(
            first,
            digest.hash,
            "{op}: {} differs from the instruction sets before it",
            set_name(set)
        );
        covered("digest", set, digest.bytes);
    }

    fn text(&self) -> String {
        self.0.iter().map(|(op, hash)| format!("{op} {hash:016x}\n")).collect()
    }
}

#[test]
fn digest() {
    let mut book = Book::default();
    values::enter(&mut book);
    kernels::enter(&mut book);
    blocks::enter(&mut book);
    weight_blocks::enter(&mut book);
    codes::enter(&mut book);
    observers::enter(&mut book);
    plans::enter(&mut book);
    few::enter(&mut book);
    outputs::enter(&mut book);
    products::enter(&mut book);
    reals::enter(&mut book);
    tensors::enter(&mut book);
    rowwise::tensors(&mut book);
    for row in fewbit::kernels::rows() {
        assert!(book.0.contains_key(row.op), "{} is in no digest: add it here", row.op);
    }
    report();

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/digest/digest.txt");
    if std::env::var("FEWBIT_DIGEST").is_ok_and(|wish| wish == "write") {
        std::fs::write(path, book.text()).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(path).unwrap();
    for (old, new) in committed.lines().zip(book.text().lines()) {
        assert_eq!(old, new, "an answer changed; if that is meant: cargo xtask digest");
    }
    assert_eq!(committed, book.text(), "ops were added or removed: cargo xtask digest");
}
