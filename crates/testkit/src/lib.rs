//! What fewbit's own tests share: seeded inputs that cover the whole range, buffers between guard
//! pages, a report of which instruction sets really ran, and references that share no code with the
//! library.

mod coverage;
mod guard;
pub mod reference;
mod rng;
mod tier;

pub use coverage::{covered, missing, report};
pub use guard::GuardedBuf;
pub use rng::Rng;
pub use tier::{fraction, is_exhaustive, is_full, is_wanted, sampled, seed, sweep};

use fewbit_simd::{Isa, IsaSet, Supported};

/// Every set of features that tests should run with: those the CPU has, within `FEWBIT_ISA`, each
/// feature with what it is built on, plain scalar first and everything last.
///
/// # Panics
/// If `FEWBIT_ISA` is wrong: a limit that is ignored would make the run a lie.
pub fn supported_sets() -> Vec<Supported> {
    let supported = limited();
    let mut sets = vec![Supported::SCALAR];
    sets.extend(
        Isa::ALL
            .into_iter()
            .filter(|isa| supported.has(isa.closure()))
            .map(|isa| supported.narrowed(isa.closure())),
    );
    sets.push(supported);
    sets.dedup();
    sets
}

/// What the CPU has, within `FEWBIT_ISA`.
///
/// # Panics
/// If `FEWBIT_ISA` is wrong.
pub fn limited() -> Supported {
    let detected = Supported::detect();
    match std::env::var("FEWBIT_ISA") {
        Ok(limit) if !limit.is_empty() => match detected.limited(&limit) {
            Ok(supported) => supported,
            Err(error) => panic!("FEWBIT_ISA={limit}: {error:?}"),
        },
        _ => detected,
    }
}

/// Whether `f32::mul_add` is an instruction here. Where it is not, it is the C library's, which rounds some
/// subnormal results twice (glibc 2.36 gives 2^-126 for `fma(2^-24 + 2^-47, 2^-126 - 2^-149, 2^-126 -
/// 2^-149)`): no witness.
pub fn fma_is_an_instruction() -> bool {
    static FMA: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    cfg!(target_arch = "aarch64")
        || *FMA.get_or_init(|| Supported::detect().has(Isa::Avx2.closure()))
}

/// The name of a set for reports: its most specific features, or `scalar`.
pub fn set_name(set: IsaSet) -> String {
    let names: Vec<&str> = set
        .iter()
        .filter(|isa| {
            !set.iter().any(|other| other != *isa && other.closure().contains(isa.only()))
        })
        .map(Isa::name)
        .collect();
    if names.is_empty() { "scalar".into() } else { names.join("+") }
}

/// Sizes around the multiples of a tile or vector, 0 and 1, and a few primes: where tails begin and
/// end.
pub fn edges(tile: usize) -> Vec<usize> {
    let mut sizes = vec![0, 1, 2, 3, 5, 7, 13, 31, 61];
    for whole in [tile, 2 * tile, 3 * tile] {
        sizes.extend([whole.saturating_sub(1), whole, whole + 1]);
    }
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_supported_closed_and_named() {
        let sets = supported_sets();
        assert_eq!(sets.first(), Some(&Supported::SCALAR));
        assert_eq!(sets.last(), Some(&limited()));
        for set in &sets {
            assert!(limited().has(set.set()));
            assert!(set.set().iter().all(|isa| set.has(isa.closure())));
        }
        assert_eq!(set_name(IsaSet::SCALAR), "scalar");
        assert_eq!(set_name(Isa::Avx512Vnni.closure()), "avx512_vnni");
        assert_eq!(set_name(Isa::NeonDotprod.closure()), "neon_dotprod");
        let both = Isa::Avx512.closure().union(Isa::AvxVnni.closure());
        assert_eq!(set_name(both), "avx512+avx_vnni");
    }

    #[test]
    fn edges_surround_tiles() {
        assert_eq!(edges(16)[..3], [0, 1, 2]);
        assert!([15, 16, 17, 31, 32, 33, 47, 48, 49].iter().all(|n| edges(16).contains(n)));
    }
}
