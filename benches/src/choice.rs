//! Whether dispatch chooses well: every layer with every kernel that the CPU can run, in turns.

use crate::{Case, Effort, Kind, Ours, Runner, Shape, Threads, Watch, in_turns, sets, table};

/// What the kernel that is chosen must reach of the best.
pub const NEAR: f64 = 0.95;

/// Portable code is left out of layers of more operations than this: it is never near.
const PORTABLE: usize = 100_000_000;

/// A line: what was compared, the chosen row's name, and every row with its rate; the first of a name counts.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The layer.
    pub name: String,
    /// The chosen row.
    pub chosen: &'static str,
    /// All rows, with billions of operations a second.
    pub rates: Vec<(&'static str, f64)>,
}

impl Choice {
    /// What the chosen row reaches of the best.
    pub fn share(&self) -> f64 {
        let chosen = self.rates.iter().find(|(name, _)| *name == self.chosen);
        chosen.map_or(f64::NAN, |&(_, rate)| rate) / self.best().1
    }

    fn best(&self) -> (&'static str, f64) {
        let best = self.rates.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
        best.unwrap_or(("none", f64::NAN))
    }

    /// Whether it is as near as it must be.
    pub fn is_good(&self) -> bool {
        self.share() >= NEAR
    }
}

/// Plans of a shape, one a set of features.
pub fn of_plans(shape: &Shape, kind: Kind, effort: Effort) -> Choice {
    let case = Case::new(shape.layer, kind, false);
    let mut sets = sets();
    if shape.layer.operations() > PORTABLE && sets.len() > 1 {
        sets.remove(0);
    }
    let mut plans: Vec<Ours> =
        sets.into_iter().map(|set| Ours::warm(&case, set, &Threads::ONE)).collect();
    let mut want: Option<Vec<f64>> = None;
    for plan in &mut plans {
        let got = plan.result();
        case.check(&got, plan.kernel());
        assert_eq!(want.get_or_insert_with(|| got.clone()), &got, "{}", plan.kernel());
    }
    let chosen = plans.last().map_or("none", Ours::kernel);
    let mut runners: Vec<Option<&mut dyn Runner>> =
        plans.iter_mut().map(|plan| Some(plan as &mut dyn Runner)).collect();
    let times = in_turns(&mut runners, effort, &mut Watch::new(&Threads::ONE));
    let rates = times.iter().map(|time| shape.layer.operations() as f64 / time);
    // Of plans that share a tile, what dispatch gives comes first.
    let rates = plans.iter().map(Ours::kernel).zip(rates).rev().collect();
    Choice { name: format!("{}, {}", shape.name, kind.name()), chosen, rates }
}

/// A choice that looks bad is looked at again: what disturbs a machine is not there twice.
pub fn confirmed(mut look: impl FnMut() -> Choice) -> Choice {
    let mut choice = look();
    for _ in 0..2 {
        if choice.is_good() {
            break;
        }
        choice = look();
    }
    choice
}

/// Prints choices, and gives how many are not good.
pub fn print(title: &str, choices: &[Choice]) -> usize {
    if choices.is_empty() {
        return 0;
    }
    println!("\n## {title}\n");
    let rows = choices.iter().map(|choice| {
        let verdict = if choice.is_good() { "" } else { "**MORE THAN 5 % FROM THE BEST**" };
        let rates = choice.rates.iter().map(|(name, rate)| format!("{name} {rate:.1}"));
        let rates: Vec<String> = rates.collect();
        [
            choice.name.clone(),
            choice.chosen.into(),
            format!("{:.3}", choice.share()),
            verdict.into(),
            rates.join(", "),
        ]
    });
    println!("{}", table(&["layer", "chosen", "share of the best", "", "GOPS"], rows));
    choices.iter().filter(|choice| !choice.is_good()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_choice_is_seen() {
        let choice = |chosen| Choice {
            name: "x".into(),
            chosen,
            rates: vec![("a", 100.0), ("b", 96.0), ("c", 94.0)],
        };
        assert!(choice("a").is_good() && choice("b").is_good());
        assert!(!choice("c").is_good() && !choice("d").is_good());
        assert_eq!(print("test", &[choice("a"), choice("c")]), 1);
    }

    #[test]
    fn what_disturbs_once_is_not_counted() {
        let mut looks = 0;
        let choice = confirmed(|| {
            looks += 1;
            let rate = if looks == 1 { 10.0 } else { 100.0 };
            Choice { name: "x".into(), chosen: "a", rates: vec![("a", rate), ("b", 99.0)] }
        });
        assert!(choice.is_good());
        assert_eq!(looks, 2);
    }
}
