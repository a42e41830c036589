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
pub use tier::{fraction, is_full, sampled, seed};

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
