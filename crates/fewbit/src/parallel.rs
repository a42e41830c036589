//! The caller's threads. fewbit owns none: a run hands independent tasks to a [`Parallel`], and
//! results do not depend on how it runs them.

/// What [`Parallel::min_operations`] is unless it is said: 2 to the 20th.
pub const MIN_OPERATIONS: usize = 1 << 20;

/// Runs independent tasks, perhaps on several threads.
pub trait Parallel {
    /// One more than the largest `worker` that [`run`](Parallel::run) passes; at least 1. Workspace
    /// is sized by it. With 1, the calling thread may do the tasks itself.
    fn max_workers(&self) -> usize;

    /// A run of a plan of fewer operations than this (2 for each product of two numbers) stays on the calling thread, where
    /// it takes less time than handing it out would. At least that it is: a thread that sleeps wakes in some microseconds, in which
    /// a core multiplies a million numbers. Threads that spin for work may say less.
    fn min_operations(&self) -> usize {
        MIN_OPERATIONS
    }

    /// Calls `task(index, worker)` exactly once for each `index < n`, in any order, on any threads,
    /// with `worker < max_workers()` and no two tasks running at once under the same `worker`; and
    /// returns when all are done. Calling them one after another with worker 0 is legal.
    fn run(&self, n: usize, task: &(dyn Fn(usize, usize) + Sync));
}

/// All tasks on the calling thread, in order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

impl Parallel for Serial {
    fn max_workers(&self) -> usize {
        1
    }

    fn run(&self, n: usize, task: &(dyn Fn(usize, usize) + Sync)) {
        (0..n).for_each(|index| task(index, 0));
    }
}
