//! Timing in turns: everyone who is compared once a round, so that what disturbs the machine for a while disturbs all.
//! Criterion times one after another; what it cannot do is done here.

use crate::Core;
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
    /// Rounds, of which medians are taken.
    pub rounds: usize,
    /// Nanoseconds of a round for each: a scheduler's slice or two, and thousands of calls of small shapes.
    pub round: f64,
    /// Nanoseconds of all rounds for one who is so slow that its calls take longer than a round.
    pub most: f64,
    /// Nanoseconds to wait before each is timed.
    pub pause: f64,
}

impl Effort {
    /// For figures that are reported.
    pub const FULL: Effort = Effort { rounds: 9, round: 8e6, most: 1e9, pause: 0.0 };
    /// For a look.
    pub const QUICK: Effort = Effort { rounds: 3, round: 2e6, most: 3e8, pause: 0.0 };
}

/// Median nanoseconds of a call of each, timed in turns. Who is not there has NaN.
pub fn in_turns(runners: &mut [Option<&mut dyn Runner>], effort: Effort) -> Vec<f64> {
    let mut times = vec![Vec::new(); runners.len()];
    let mut plans = vec![(0, 0); runners.len()];
    for (runner, plan) in runners.iter_mut().zip(&mut plans) {
        let Some(runner) = runner else { continue };
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
        *plan = (calls, rounds.clamp(1, effort.rounds));
    }
    for round in 0..effort.rounds {
        for ((runner, times), (calls, rounds)) in runners.iter_mut().zip(&mut times).zip(&plans) {
            if round < *rounds {
                std::thread::sleep(Duration::from_secs_f64(effort.pause / 1e9));
                times.extend(runner.as_mut().map(|runner| runner.time(*calls)));
            }
        }
    }
    times.into_iter().map(median).collect()
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
        let times = in_turns(&mut all, Effort { rounds: 3, ..Effort::FULL });
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
