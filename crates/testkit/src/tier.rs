//! Two tiers of the same tests: everyday runs take a seeded, rotating sample of each large grid;
//! `FEWBIT_TEST_FULL=1` takes all of it.

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

/// The share of a grid that an everyday run takes: 1 in `stride`, or all of it in the full tier.
/// Prints the share under the grid's name.
pub fn fraction(grid: &str, stride: usize) -> usize {
    let stride = if is_full() { 1 } else { stride.max(1) };
    println!("grid {grid}: 1 of {stride}, seed {}", seed());
    stride
}

/// How far apart a sweep over all 2^32 f32 steps, and from where: 1 in `stride` by default, 1 in 61 in
/// the full tier, every one with `FEWBIT_EXHAUSTIVE=1` (minutes). `stride` is odd, so that all patterns
/// of low bits occur. Prints the share under the sweep's name.
pub fn sweep(name: &str, stride: u32) -> (u32, u32) {
    let stride = match std::env::var("FEWBIT_EXHAUSTIVE") {
        Ok(value) if value == "1" => 1,
        _ if is_full() => stride.min(61),
        _ => stride | 1,
    };
    println!("sweep {name}: 1 of {stride} f32, seed {}", seed());
    ((seed() % u64::from(stride)) as u32, stride)
}

/// The items of a grid that this run takes: every `stride`-th from an offset that the seed rotates,
/// or all of them in the full tier.
pub fn sampled<T>(
    grid: &str,
    stride: usize,
    items: impl Iterator<Item = T>,
) -> impl Iterator<Item = T> {
    rotated(items, fraction(grid, stride), seed())
}

fn rotated<T>(items: impl Iterator<Item = T>, stride: usize, seed: u64) -> impl Iterator<Item = T> {
    items.skip((seed % stride as u64) as usize).step_by(stride)
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
    }
}
