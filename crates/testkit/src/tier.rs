//! Tiers of the same tests: everyday runs take a seeded, rotating sample of each large grid;
//! `FEWBIT_TEST_FULL=1` takes all of it, `FEWBIT_TEST_THIN=n` an n-th of the sample (for emulators).
//! `FEWBIT_TEST_BEYOND=avx2` leaves out what needs no more than that: what other jobs have run natively.

use fewbit_simd::{Isa, IsaSet};
use std::sync::OnceLock;

/// Whether the whole of each grid is wanted.
pub fn is_full() -> bool {
    std::env::var("FEWBIT_TEST_FULL").is_ok_and(|v| v == "1")
}

/// The seed of this run: `FEWBIT_TEST_SEED`, or a fixed one. Printed on first use.
///
/// # Panics
/// If `FEWBIT_TEST_SEED` is not a number.
pub fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| {
        let seed = match std::env::var("FEWBIT_TEST_SEED") {
            Ok(text) => text.parse().expect("FEWBIT_TEST_SEED is a number"),
            Err(_) => 1,
        };
        println!("FEWBIT_TEST_SEED={seed}");
        seed
    })
}

/// What an everyday sample is divided by.
///
/// # Panics
/// If `FEWBIT_TEST_THIN` is not a number above 0.
fn thin() -> usize {
    match std::env::var("FEWBIT_TEST_THIN") {
        Ok(text) => {
            let n: usize = text.parse().expect("FEWBIT_TEST_THIN is a number");
            assert!(n > 0, "FEWBIT_TEST_THIN is above 0");
            n
        }
        Err(_) => 1,
    }
}

/// Whether kernels that need `set` are wanted: all, or those that need more than `FEWBIT_TEST_BEYOND`.
///
/// # Panics
/// If `FEWBIT_TEST_BEYOND` is no instruction set.
pub fn is_wanted(set: IsaSet) -> bool {
    let Ok(name) = std::env::var("FEWBIT_TEST_BEYOND") else { return true };
    let isa = Isa::ALL.into_iter().find(|isa| isa.name() == name);
    let isa = isa.expect("FEWBIT_TEST_BEYOND is an instruction set");
    !isa.closure().contains(set)
}

/// The share of a grid that an everyday run takes: 1 in `stride`, or all of it in the full tier.
/// Prints the share under the grid's name.
pub fn fraction(grid: &str, stride: usize) -> usize {
    let stride = if is_full() { 1 } else { stride.max(1) * thin() };
    println!("grid {grid}: 1 of {stride}, seed {}", seed());
    stride
}

/// Whether sweeps over all f32 take every one: `FEWBIT_EXHAUSTIVE=1`.
pub fn is_exhaustive() -> bool {
    std::env::var("FEWBIT_EXHAUSTIVE").is_ok_and(|value| value == "1")
}

/// How far apart a sweep over all 2^32 f32 steps, and from where: 1 in `stride` by default, 1 in 61 in
/// the full tier, every one with `FEWBIT_EXHAUSTIVE=1` (an hour of one core). `stride` is odd, so that all patterns
/// of low bits occur. Prints the share under the sweep's name.
pub fn sweep(name: &str, stride: u32) -> (u32, u32) {
    let stride = match () {
        () if is_exhaustive() => 1,
        () if is_full() => stride.min(61),
        () => (stride * thin() as u32) | 1,
    };
    println!("sweep {name}: 1 of {stride} f32, seed {}", seed());
    ((seed() % u64::from(stride)) as u32, stride)
}

/// The items of a grid that this run takes: every `stride`-th from an offset that the seed rotates, one at
/// least, or all of them in the full tier.
pub fn sampled<T>(
    grid: &str,
    stride: usize,
    items: impl Iterator<Item = T>,
) -> impl Iterator<Item = T> {
    rotated(items, fraction(grid, stride), seed())
}

/// At least one of a grid that is smaller than the stride.
fn rotated<T>(items: impl Iterator<Item = T>, stride: usize, seed: u64) -> impl Iterator<Item = T> {
    let items: Vec<T> = items.collect();
    let stride = stride.clamp(1, items.len().max(1));
    items.into_iter().skip((seed % stride as u64) as usize).step_by(stride)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_seeds_take_the_whole_grid() {
        let mut all: Vec<u32> = (7..12).flat_map(|seed| rotated(0..43, 5, seed)).collect();
        all.sort_unstable();
        assert_eq!(all, Vec::from_iter(0..43));
        assert_eq!(rotated(0..43, 1, 9).count(), 43);
        let mut few: Vec<u32> = (7..10).flat_map(|seed| rotated(0..3, 12, seed)).collect();
        few.sort_unstable();
        assert_eq!(few, [0, 1, 2]);
        assert_eq!(rotated(0..0, 12, 1).count(), 0);
    }
}
