//! rayon's threads as [`Parallel`]: the feature `rayon`.

use crate::{MIN_OPERATIONS, Parallel};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

/// A pool of rayon's threads, for runs: `plan.run(.., &RayonPool::new(&pool), ..)`.
///
/// A task's worker number is the index of the pool's thread that runs it. Each thread runs one task at a time, because
/// fewbit's tasks never wait for rayon. Idle threads take single tasks from busy ones. Runs may overlap, on one pool or
/// several, and may be started from inside a pool; each needs a workspace of its own. fewbit allocates nothing in a run,
/// but rayon may, when a thread outside the pool hands it work.
///
/// rayon's threads inherit the floating-point environment of the thread that builds the pool. It must be the default one,
/// as it must be for every function of this crate.
///
/// ```
/// use fewbit::{Activation, ActivationMode, Bias, Code, Input, Output, Residual, Weights};
/// use fewbit::{Linear, LinearDesc, LinearLayout, Parallel, RayonPool};
/// use fewbit::{dispatch, memory::{ALIGNMENT, Allocator}, scheme::QuantParams};
///
/// let desc = LinearDesc {
///     in_features: 3,
///     out_features: 2,
///     weights: Weights { format: Code::S8.format(), codes: &[1, 2, 3, 4, 5, 6], scales: &[0.5], zero_points: &[], block: 0, multipliers: &[], shifts: &[] },
///     layout: LinearLayout::Nk,
///     weight_stride: 0,
///     input: Input::Codes(Code::U8, QuantParams { scale: 0.1, zero_point: 1 }),
///     bias: Bias::None,
///     output: Output::S32,
///     activation: Activation::None,
///     activation_mode: ActivationMode::Float,
///     residual: Residual::None,
///     matrices: 1,
///     matrix_stride: 0,
/// };
/// let plan = Linear::create(&desc, dispatch::supported().unwrap(), &Allocator::DEFAULT).unwrap();
///
/// let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
/// let threads = RayonPool::new(&pool);
/// let size = plan.workspace(100, threads.max_workers()).unwrap().size;
/// let mut memory = vec![0u8; size + ALIGNMENT];
/// let begin = memory.as_ptr().align_offset(ALIGNMENT);
/// let x: Vec<u8> = (0..100).flat_map(|row| [row, 2, 1]).collect();
/// let mut y = [0i32; 200];
/// plan.run(100, &x, &mut memory[begin..][..size], &threads, &mut y).unwrap();
/// // (row - 1) * 1 + (2 - 1) * 2 + (1 - 1) * 3, and with 4, 5 and 6.
/// assert_eq!(y[2 * 50..][..2], [51, 201]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RayonPool<'a> {
    pool: Option<&'a rayon::ThreadPool>,
    min_operations: usize,
}

impl<'a> RayonPool<'a> {
    /// A pool of the caller's.
    pub const fn new(pool: &'a rayon::ThreadPool) -> RayonPool<'a> {
        RayonPool { pool: Some(pool), min_operations: MIN_OPERATIONS }
    }

    /// The pool that rayon's own functions would use where the run is called: that of the calling thread if it is
    /// a pool's, otherwise the global one. Size the workspace in the same place.
    pub const fn current() -> RayonPool<'static> {
        RayonPool { pool: None, min_operations: MIN_OPERATIONS }
    }

    /// The same, with another [`min_operations`](Parallel::min_operations).
    pub const fn with_min_operations(self, min_operations: usize) -> RayonPool<'a> {
        RayonPool { min_operations, ..self }
    }
}

impl Parallel for RayonPool<'_> {
    fn max_workers(&self) -> usize {
        match self.pool {
            Some(pool) => pool.current_num_threads(),
            None => rayon::current_num_threads(),
        }
    }

    fn min_operations(&self) -> usize {
        self.min_operations
    }

    fn run(&self, n: usize, task: &(dyn Fn(usize, usize) + Sync)) {
        if n <= 1 {
            // Not worth waking a thread. A worker number must be unique within a run only.
            (0..n).for_each(|index| task(index, 0));
            return;
        }
        let all = || {
            // Tasks are large and few, and one may take longer than the others: each can be taken on its own.
            (0..n).into_par_iter().with_max_len(1).for_each(|index| {
                // Inside a pool every thread has an index.
                task(index, rayon::current_thread_index().unwrap_or(0));
            });
        };
        match self.pool {
            Some(pool) => pool.install(all),
            None => all(),
        }
    }
}
