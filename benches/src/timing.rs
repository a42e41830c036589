//! Timing in turns: everyone who is compared once a round, so that what disturbs the machine for a while disturbs all; and what
//! [`Watch`] sees disturb it does not count.
//! Criterion times one after another; what it cannot do is done here.

use crate::{Core, Watch};
use fewbit::{Parallel, RayonPool, Serial};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Something that computes a case.
pub trait Runner {
    /// Nanoseconds of a call, over this many.
    fn time(&mut self, calls: usize) -> f64;
    /// The results of a call.
    fn result(&mut self) -> Vec<f64>;
}

/// Nanoseconds of a call, over this many.
pub fn clock(calls: usize, mut call: impl FnMut()) -> f64 {
    let begin = Instant::now();
    (0..calls).for_each(|_| call());
    begin.elapsed().as_nanos() as f64 / calls as f64
}

/// The threads that a run may use.
#[derive(Clone, Debug)]
pub struct Threads(Option<Arc<rayon::ThreadPool>>);

impl Threads {
    /// So many, each kept on a core; the calling one, if one.
    ///
    /// # Panics
    /// If the system gives none.
    pub fn new(count: usize) -> Threads {
        let pool = || {
            let threads = rayon::ThreadPoolBuilder::new().num_threads(count);
            threads
                .start_handler(|index| std::mem::forget(Core::keep(index)))
                .build()
                .expect("threads")
        };
        Threads((count > 1).then(|| Arc::new(pool())))
    }

    /// The calling thread.
    pub const ONE: Threads = Threads(None);

    /// How many.
    pub fn count(&self) -> usize {
        self.0.as_ref().map_or(1, |pool| pool.current_num_threads())
    }

    /// Gives them to a run.
    pub fn with<T>(&self, run: impl FnOnce(&dyn Parallel) -> T) -> T {
        match &self.0 {
            Some(pool) => run(&RayonPool::new(pool)),
            None => run(&Serial),
        }
    }

    /// What each of them gives, on its core.
    pub fn on_each<T: Send>(&self, run: impl Fn() -> T + Sync) -> Vec<T> {
        match &self.0 {
            Some(pool) => pool.broadcast(|_| run()),
            None => vec![run()],
        }
    }

    /// Runs what takes rayon's current pool in this one.
    pub fn inside<T: Send>(&self, run: impl FnOnce() -> T + Send) -> T {
        match &self.0 {
            Some(pool) => pool.install(run),
            None => run(),
        }
    }
}

/// How long to time.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Slices on undisturbed cores, of which the median is taken.
    pub rounds: usize,
    /// Nanoseconds of a slice: a scheduler's slice or so, and thousands of calls of small shapes.
    pub round: f64,
    /// Nanoseconds of all rounds for one who is so slow that its calls take longer than a slice.
    pub most: f64,
    /// Nanoseconds to wait before each is timed.
    pub pause: f64,
    /// So many times the slices needed are tried before disturbed ones count.
    pub patience: usize,
}

impl Effort {
    /// For figures that are reported.
    pub const FULL: Effort = Effort { rounds: 5, round: 5e6, most: 1e9, pause: 0.0, patience: 8 };
    /// For a look.
    pub const QUICK: Effort = Effort { rounds: 3, round: 2e6, most: 3e8, pause: 0.0, patience: 2 };
}

/// One who is timed: how many calls a slice has, how many undisturbed slices are needed, and those so far with the witness's
/// slower rate beside each.
struct Turns {
    calls: usize,
    needed: usize,
    slices: Vec<(f64, f64)>,
}

impl Turns {
    fn plan(runner: &mut dyn Runner, effort: Effort) -> Turns {
        let mut once = runner.time(1).max(1.0); // caches, page tables
        if once < effort.most / 4.0 {
            once = runner.time(1).max(1.0);
        }
        if once < effort.round / 8.0 {
            // Short calls are estimated once more, with many.
            once = runner.time((effort.round / 4.0 / once) as usize).max(1.0);
        }
        let calls = ((effort.round / once) as usize).max(1);
        let rounds = (effort.most / (once * calls as f64)) as usize;
        Turns { calls, needed: rounds.clamp(1, effort.rounds), slices: Vec::new() }
    }

    /// The times of undisturbed slices, as the witness's best is known by now.
    fn quiet(&self, watch: &Watch) -> Vec<f64> {
        let quiet = self.slices.iter().filter(|(_, rate)| watch.is_quiet(*rate));
        quiet.map(|(time, _)| *time).collect()
    }

    fn is_done(&self, watch: &Watch, patience: usize) -> bool {
        let most = self.needed * patience;
        self.slices.len() >= most || self.quiet(watch).len() >= self.needed
    }

    /// The median of undisturbed slices; where there are too few, of those that were least disturbed.
    fn median(mut self, watch: &mut Watch) -> f64 {
        let quiet = self.quiet(watch);
        let is_disturbed = quiet.len() < self.needed;
        watch.count(is_disturbed);
        if !is_disturbed {
            return median(quiet);
        }
        self.slices.sort_by(|a, b| b.1.total_cmp(&a.1));
        median(self.slices.iter().take(self.needed).map(|(time, _)| *time).collect())
    }
}

/// Median nanoseconds of a call of each, timed in turns on undisturbed cores. Who is not there has NaN.
pub fn in_turns(
    runners: &mut [Option<&mut dyn Runner>],
    effort: Effort,
    watch: &mut Watch,
) -> Vec<f64> {
    let plan = |runner: &mut Option<&mut dyn Runner>| {
        runner.as_mut().map(|runner| Turns::plan(&mut **runner, effort))
    };
    let mut turns: Vec<Option<Turns>> = runners.iter_mut().map(plan).collect();
    for _ in 0..effort.rounds * effort.patience {
        for (runner, turns) in runners.iter_mut().zip(&mut turns) {
            let (Some(runner), Some(turns)) = (runner, turns) else { continue };
            if turns.is_done(watch, effort.patience) {
                continue;
            }
            std::thread::sleep(Duration::from_secs_f64(effort.pause / 1e9));
            let before = watch.look();
            let time = runner.time(turns.calls);
            turns.slices.push((time, before.min(watch.look())));
        }
    }
    turns.into_iter().map(|turns| turns.map_or(f64::NAN, |turns| turns.median(watch))).collect()
}

/// The median; NaN of nothing.
pub fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sleeper(Vec<f64>, usize);

    impl Runner for Sleeper {
        fn time(&mut self, _: usize) -> f64 {
            self.1 += 1;
            self.0[(self.1 - 1) % self.0.len()]
        }

        fn result(&mut self) -> Vec<f64> {
            Vec::new()
        }
    }

    #[test]
    fn medians_of_those_who_are_there() {
        let mut even = Sleeper(vec![9e6], 0);
        let mut uneven = Sleeper(vec![9e6, 9e6, 1e9, 2e7, 1e7], 0);
        let mut slow = Sleeper(vec![1e10], 0);
        let mut all: [Option<&mut dyn Runner>; 4] =
            [Some(&mut even), None, Some(&mut uneven), Some(&mut slow)];
        let times = in_turns(&mut all, Effort { rounds: 3, ..Effort::FULL }, &mut Watch::blind());
        assert_eq!((times[0], times[2], times[3]), (9e6, 2e7, 1e10));
        assert!(times[1].is_nan());
        assert_eq!((even.1, slow.1), (5, 2));
    }

    #[test]
    fn threads_are_as_many_as_asked_for() {
        assert_eq!(Threads::ONE.count(), 1);
        assert_eq!(Threads::new(2).count(), 2);
        assert_eq!(Threads::new(2).with(|parallel| parallel.max_workers()), 2);
    }
}
