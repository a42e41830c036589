//! What a bench was asked for beside criterion's ids, and the tables that it prints.

use crate::{Case, Effort, Kind, Layer, Plan};
use fewbit::simd::{Isa, Supported};
use fewbit_testkit::supported_sets;
use tabled::builder::Builder;
use tabled::settings::Style;

/// The command line of a bench that prints tables beside criterion's results: a table runs if nothing chooses ids, or if
/// its name is chosen, as in `-- networks` or, a part of it, `-- networks/resnet50`.
#[derive(Clone, Debug)]
pub struct Mode {
    filters: Vec<String>,
    quick: bool,
    /// Whether ids are only listed, or run once each for a test.
    smoke: bool,
}

impl Mode {
    /// From the process's arguments.
    pub fn from_args() -> Mode {
        Mode::new(std::env::args().skip(1))
    }

    fn new(args: impl Iterator<Item = String>) -> Mode {
        let args: Vec<String> = args.collect();
        let has = |flag: &str| args.iter().any(|arg| arg == flag);
        Mode {
            quick: has("--quick"),
            // Without `--bench`, cargo runs benches as tests.
            smoke: !has("--bench") || has("--test") || has("--list"),
            filters: args.into_iter().filter(|arg| !arg.starts_with('-')).collect(),
        }
    }

    /// If a table is asked for, the part of it that is; `""` for all of it.
    pub fn asks(&self, table: &str) -> Option<&str> {
        match &self.filters[..] {
            _ if self.smoke => None,
            [] => Some(""),
            filters => filters.iter().find_map(|filter| {
                let rest = filter.strip_prefix(table)?;
                if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
            }),
        }
    }

    /// How long to time.
    pub fn effort(&self) -> Effort {
        if self.quick { Effort::QUICK } else { Effort::FULL }
    }

    /// Whether ids name this.
    pub fn names(&self, part: &str) -> bool {
        self.filters.iter().any(|filter| filter.contains(part))
    }
}

/// Sets of features that choose different kernels for some layer, each once with all that the CPU has of it: the portable
/// one first, and last what plans get.
pub fn sets() -> Vec<Supported> {
    let conv = |inputs, groups| Layer::Conv {
        size: 8,
        inputs,
        outputs: inputs,
        kernel: 3,
        stride: 1,
        groups,
    };
    let probes = [
        Layer::Linear { m: 1, n: 64, k: 64 },
        Layer::Linear { m: 16, n: 8, k: 64 },
        conv(32, 1),
        conv(32, 32),
    ];
    let probes = probes.map(|layer| Case::new(layer, Kind::S32, false));
    let mut seen = Vec::new();
    let mut sets = Vec::new();
    for set in supported_sets().into_iter().rev() {
        let kernels = probes.each_ref().map(|probe| Plan::create(probe, set).kernel_name());
        if !seen.contains(&kernels) {
            seen.push(kernels);
            sets.push(set);
        }
    }
    sets.reverse();
    sets
}

/// Whether a set, by its name in ids, has an instruction set.
pub fn includes(set: &str, isa: &str) -> bool {
    let named = |name: &str| Isa::ALL.into_iter().find(|isa| isa.name() == name);
    let closure = |name: &str| named(name).map(Isa::closure);
    set.split('+').filter_map(closure).any(|set| set.iter().any(|has| has.name() == isa))
}

/// A Markdown table.
pub fn table<R: IntoIterator<Item = String>>(
    head: &[&str],
    rows: impl IntoIterator<Item = R>,
) -> String {
    let mut builder = Builder::default();
    builder.push_record(head.iter().copied());
    rows.into_iter().for_each(|row| builder.push_record(row));
    builder.build().with(Style::markdown()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_run_when_they_are_asked_for() {
        let mode = |args: &str| Mode::new(args.split_whitespace().map(String::from));
        assert_eq!(mode("--bench").asks("choice"), Some(""));
        assert_eq!(mode("--bench choice").asks("choice"), Some(""));
        assert_eq!(mode("--bench networks/bert --quick").asks("networks"), Some("bert"));
        assert_eq!(mode("--bench networks/bert").asks("choice"), None);
        assert_eq!(mode("--bench linear/u8s32").asks("choice"), None);
        assert_eq!(mode("--test").asks("choice"), None);
        assert_eq!(mode("").asks("choice"), None);
    }

    #[test]
    fn tables_are_markdown() {
        let text = table(&["a", "b"], [["1".to_string(), "22".to_string()]]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "| a | b  |");
        assert!(lines[1].chars().all(|c| "|-".contains(c)), "{text}");
        assert_eq!(lines[2], "| 1 | 22 |");
    }

    #[test]
    fn names_of_sets_tell_what_they_have() {
        assert!(includes("avx512_vnni+avx512_vbmi", "avx512_vnni"));
        assert!(includes("avx512_vnni", "avx2"));
        assert!(!includes("avx2", "avx512"));
        assert!(!includes("scalar", "avx2"));
    }

    #[test]
    fn the_last_set_is_what_plans_get() {
        let sets = sets();
        assert_eq!(sets.last().map(|set| set.set()), Some(fewbit_testkit::limited().set()));
    }
}
