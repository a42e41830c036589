//! How large the last cache is, and what is larger.

/// The last cache that this core sees, where nothing says how large it is.
const UNKNOWN: usize = 32 << 20;

/// Bytes of the largest cache of the first core; 32 MiB if the system does not say.
pub fn last_level_cache() -> usize {
    let size = |index: usize| -> Option<usize> {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size");
        let text = std::fs::read_to_string(path).ok()?;
        let kib: usize = text.trim().strip_suffix('K')?.parse().ok()?;
        Some(kib << 10)
    };
    (0..8).filter_map(size).max().unwrap_or(UNKNOWN)
}

/// What a plan takes beside its weights, at least: scales and folds, a description.
const PLAN: usize = 2048;

/// Plans of so many bytes of weights that together take twice the last cache: used in turns, each has left it before it
/// comes again. At least two.
pub fn ring(weights: usize) -> usize {
    (2 * last_level_cache()).div_ceil(weights + PLAN).max(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_does_not_fit_the_last_cache() {
        for bytes in [1 << 12, 1 << 24, 1 << 30] {
            assert!(ring(bytes) * (bytes + PLAN) >= 2 * last_level_cache() && ring(bytes) >= 2);
        }
    }
}
