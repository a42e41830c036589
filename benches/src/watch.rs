//! Whether the cores were undisturbed while something was timed.
//!
//! A core may be a hyperthread whose sibling belongs to someone else, of whom no counter here tells. While the sibling works, a
//! loop in registers loses a tenth and code that loads a quarter, for milliseconds or for minutes: two answers, of which a median
//! gives the one that happened more often. So the loop in registers is a witness: timed before and after each slice, in
//! microseconds, and a slice beside which it was slower than it can be does not count.

use crate::{Peak, Threads, clock};
use std::time::{Duration, Instant};

/// What the witness reaches of its best on an undisturbed core; beside a busy sibling it is below 0.9.
const NEAR: f64 = 0.97;
/// How long its best is looked for at first.
const FIRST: Duration = Duration::from_millis(100);

/// A witness on each core that is timed on.
#[derive(Debug)]
pub struct Watch {
    peak: Option<Peak>,
    threads: Threads,
    best: f64,
    timed: usize,
    disturbed: usize,
}

impl Watch {
    /// Beside these threads; one thread's core is the one it is called on.
    pub fn new(threads: &Threads) -> Watch {
        let peak = Peak::best_int8(fewbit_testkit::limited()).map(|(peak, _)| peak);
        let mut watch = Watch { peak, threads: threads.clone(), best: 0.0, timed: 0, disturbed: 0 };
        let begin = Instant::now();
        while watch.peak.is_some() && begin.elapsed() < FIRST {
            watch.look();
        }
        watch
    }

    /// Without a witness: every slice counts.
    pub fn blind() -> Watch {
        Watch { peak: None, threads: Threads::ONE, best: 0.0, timed: 0, disturbed: 0 }
    }

    /// Billions of operations a second of the slowest core, now.
    pub fn look(&mut self) -> f64 {
        let Some(peak) = self.peak else { return 0.0 };
        let rate = || {
            let time = |_| clock(4, || peak.call());
            peak.operations() as f64 / (0..4).map(time).fold(f64::INFINITY, f64::min)
        };
        let rate = self.threads.on_each(rate).into_iter().fold(f64::INFINITY, f64::min);
        self.best = self.best.max(rate);
        rate
    }

    /// The fastest exact int8 instruction on registers, all cores together, undisturbed; NaN where none is known.
    pub fn limit(&self) -> f64 {
        if self.peak.is_some() { self.best * self.threads.count() as f64 } else { f64::NAN }
    }

    /// Whether a slice counts beside which the witness had this rate.
    pub fn is_quiet(&self, rate: f64) -> bool {
        rate >= NEAR * self.best
    }

    /// Counts a time, and whether it could only be had of disturbed cores.
    pub fn count(&mut self, is_disturbed: bool) {
        self.timed += 1;
        self.disturbed += usize::from(is_disturbed);
    }

    /// How many times could only be had of disturbed cores, since the last report.
    pub fn report(&mut self) -> String {
        let (disturbed, timed) = (self.disturbed, self.timed);
        (self.timed, self.disturbed) = (0, 0);
        match (&self.peak, disturbed) {
            (None, _) => "No witness is known for this CPU: disturbed cores count too.".into(),
            (_, 0) => format!("All {timed} times are of undisturbed cores."),
            _ => format!(
                "{disturbed} of {timed} times are of disturbed cores: none else was to be had."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_slower_than_it_can_be_is_disturbed() {
        let mut watch = Watch::blind();
        watch.best = 100.0;
        assert!(watch.is_quiet(99.0) && !watch.is_quiet(90.0));
        watch.count(false);
        watch.count(true);
        assert!(watch.report().starts_with("No witness"));
        assert_eq!((watch.timed, watch.disturbed), (0, 0));
    }

    #[test]
    fn a_witness_knows_its_best() {
        let mut watch = Watch::new(&Threads::new(2));
        let rate = watch.look();
        assert!(watch.limit().is_nan() || (rate > 0.0 && watch.limit() >= 2.0 * rate));
    }
}
