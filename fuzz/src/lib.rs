//! Fuzz targets: a module a family of C entry points. Each takes bytes, makes arguments of them, wrong ones among them, and
//! calls the functions of the C ABI with memory of exactly the size that they may touch. What must hold:
//!
//! - no access beyond the arguments (AddressSanitizer sees it), no overflow, no panic;
//! - outputs are untouched when a call is refused;
//! - every instruction set of the CPU gives the same status, the same sentence and the same bytes as portable code;
//! - what the documents promise: sums are exact, quantization comes back, mapped weights are those that were written.

mod arrays;
mod between;
mod blocks;
mod conv;
mod gemm;
mod input;
mod linear;
mod memory;
mod observers;
mod packed;
mod parts;
mod rowwise;
mod tensors;

/// A target: its name, and what it does with some bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("arrays", arrays::run),
    ("between", between::run),
    ("blocks", blocks::run),
    ("conv", conv::run),
    ("gemm", gemm::run),
    ("linear", linear::run),
    ("observers", observers::run),
    ("packed", packed::run),
    ("rowwise", rowwise::run),
    ("tensors", tensors::run),
];

/// The entries of a corpus in one file: the length of each in two bytes, the lower one first, and its bytes.
pub fn entries(mut file: &[u8]) -> Vec<&[u8]> {
    let mut entries = Vec::new();
    while let Some((&length, rest)) = file.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(length)).min(rest.len());
        let (entry, rest) = rest.split_at(length);
        entries.push(entry);
        file = rest;
    }
    entries
}
