//! What [`RayonPool`] promises of tasks and worker numbers, whoever calls it from where.

mod common;

use common::rayon_threads;
use fewbit::{Parallel, RayonPool};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Runs `n` tasks and demands the contract of [`Parallel::run`]: each index once, done on return; workers below
/// the maximum, none in two tasks at once. Gives the workers seen.
fn demand(parallel: &dyn Parallel, n: usize) -> BTreeSet<usize> {
    let max = parallel.max_workers();
    let calls: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
    let busy: Vec<AtomicBool> = (0..max).map(|_| AtomicBool::new(false)).collect();
    let seen = Mutex::new(BTreeSet::new());
    parallel.run(n, &|index, worker| {
        assert!(worker < max, "worker {worker} of {max}");
        assert!(!busy[worker].swap(true, Ordering::SeqCst), "worker {worker} twice at once");
        // Long enough for others to come in between.
        (0..500).for_each(|_| std::hint::spin_loop());
        calls[index].fetch_add(1, Ordering::SeqCst);
        seen.lock().unwrap().insert(worker);
        assert!(busy[worker].swap(false, Ordering::SeqCst));
    });
    assert!(calls.iter().all(|calls| calls.load(Ordering::SeqCst) == 1));
    seen.into_inner().unwrap()
}

#[test]
fn each_index_once_and_no_worker_twice() {
    for threads in [1, 2, 3, 7] {
        let pool = rayon_threads(threads);
        let parallel = RayonPool::new(&pool);
        assert_eq!(parallel.max_workers(), threads);
        for n in [0, 1, 2, 3, 8, 100, 1000] {
            let seen = demand(&parallel, n);
            assert!(seen.len() <= n.min(threads));
            // From inside the pool, and from inside another.
            pool.install(|| demand(&parallel, n));
            rayon_threads(2).install(|| demand(&parallel, n));
        }
    }
}

/// All threads of the pool work: tasks that wait for each other end only if they are on two threads.
#[test]
fn tasks_run_at_the_same_time() {
    let pool = rayon_threads(2);
    let barrier = std::sync::Barrier::new(2);
    let workers = Mutex::new(Vec::new());
    RayonPool::new(&pool).run(2, &|_, worker| {
        barrier.wait();
        workers.lock().unwrap().push(worker);
    });
    let mut workers = workers.into_inner().unwrap();
    workers.sort_unstable();
    assert_eq!(workers, [0, 1]);
}

#[test]
fn runs_overlap() {
    let pool = rayon_threads(3);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..20).for_each(|n| drop(demand(&RayonPool::new(&pool), 10 * n))));
        }
    });
    // Started by tasks of the pool itself: threads that wait for a run take tasks of others.
    pool.install(|| {
        rayon::join(|| demand(&RayonPool::new(&pool), 500), || demand(&RayonPool::current(), 500))
    });
}

#[test]
fn the_current_pool_is_the_callers_or_the_global_one() {
    let current = RayonPool::current();
    assert_eq!(current.max_workers(), rayon::current_num_threads());
    demand(&current, 300);
    let pool = rayon_threads(5);
    pool.install(|| {
        assert_eq!(current.max_workers(), 5);
        demand(&current, 300);
    });
}
