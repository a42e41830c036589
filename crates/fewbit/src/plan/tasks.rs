//! Tasks on the caller's threads, memory-safe whatever the caller's [`Parallel`] does.
//!
//! `Parallel` is a safe trait, and behind it may be a C function: an implementation with a bug may
//! pass an index twice, a worker number that is too large or in use, or leave tasks out. So neither
//! number is trusted. A task is drawn as a ticket from a counter, which nobody can draw twice; memory
//! of a worker's own is claimed by a flag, starting with the worker's number; and what is left when
//! `run` returns is done on the calling thread. Where the contract is kept, each call draws one
//! ticket and the first flag asked is free.

use crate::{Parallel, Serial};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Flags, one for each worker's memory: whether it is in use.
pub(crate) struct Slots<'a>(&'a [AtomicBool]);

impl Slots<'_> {
    /// # Safety
    /// `flags` can be written for `workers` bytes, at least 1, which nobody else touches while the
    /// result lives.
    pub(crate) unsafe fn new<'a>(flags: *mut AtomicBool, workers: usize) -> Slots<'a> {
        // SAFETY: by this function's contract; zero bytes are flags that say "free".
        unsafe {
            flags.write_bytes(0, workers);
            Slots(core::slice::from_raw_parts(flags, workers))
        }
    }

    /// A free slot, now in use: the preferred one, if it is free.
    fn claim(&self, preferred: usize) -> Option<(usize, &AtomicBool)> {
        let take = |flag: &AtomicBool| !flag.swap(true, Ordering::Acquire);
        match self.0.get(preferred) {
            Some(flag) if take(flag) => Some((preferred, flag)),
            _ => self.0.iter().enumerate().find(|(_, flag)| take(flag)),
        }
    }
}

/// The threads of a run of so many products of numbers (the factors of their number), and how many: the calling one, if the
/// products are few. `workers` are those of `parallel`.
pub(crate) fn threads_for<'a>(
    parallel: &'a dyn Parallel,
    workers: usize,
    products: &[usize],
) -> (&'a dyn Parallel, usize) {
    if workers > 1 {
        let operations = products.iter().fold(2usize, |all, &factor| all.saturating_mul(factor));
        if operations >= parallel.min_operations() {
            return (parallel, workers);
        }
    }
    (&Serial, 1)
}

/// Calls `task(ticket)` exactly once for each `ticket < n`; with one worker on the calling thread, in order.
pub(crate) fn each(parallel: &dyn Parallel, n: usize, task: impl Fn(usize) + Sync) {
    if parallel.max_workers() == 1 {
        // Tasks may be as small as a short row.
        return (0..n).for_each(task);
    }
    let next = AtomicUsize::new(0);
    let draw = || {
        let ticket = next.fetch_add(1, Ordering::Relaxed);
        let drawn = ticket < n;
        if drawn {
            task(ticket);
        }
        drawn
    };
    parallel.run(n, &|_, _| {
        draw();
    });
    while draw() {}
}

/// Calls `task(ticket, slot)` exactly once for each `ticket < n`, no two at once with the same slot.
pub(crate) fn each_with_slot(
    parallel: &dyn Parallel,
    n: usize,
    slots: &Slots<'_>,
    task: impl Fn(usize, usize) + Sync,
) {
    let next = AtomicUsize::new(0);
    let draw = |worker: usize| {
        // The memory first: a ticket drawn without it would be lost.
        let Some((slot, flag)) = slots.claim(worker) else { return false };
        let ticket = next.fetch_add(1, Ordering::Relaxed);
        let drawn = ticket < n;
        if drawn {
            task(ticket, slot);
        }
        flag.store(false, Ordering::Release);
        drawn
    };
    parallel.run(n, &|_, worker| {
        draw(worker);
    });
    while draw(0) {}
}

/// How a product is cut into tasks: blocks of rows and panels of columns of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Blocks of rows a task packs and keeps.
    pub blocks: usize,
    /// Panels of columns a task multiplies them with.
    pub panels: usize,
}

/// Blocks kept at once are at most this many, ...
pub(crate) const MAX_BLOCKS: usize = 16;
/// ... and at most this many bytes, to stay in the second-level cache beside a panel.
const BLOCK_BYTES: usize = 256 << 10;

/// The most blocks of `block_size` bytes that a task keeps, for rows of `row_blocks` blocks.
pub(crate) fn most_blocks(row_blocks: usize, block_size: usize) -> usize {
    let fitting = BLOCK_BYTES.checked_div(block_size).unwrap_or(MAX_BLOCKS);
    fitting.clamp(1, MAX_BLOCKS).min(row_blocks.max(1))
}

/// Many blocks a task reuse each panel; all panels reuse the packed blocks. With more workers, tasks
/// are cut until there are about four for each: first into fewer blocks, then into fewer panels.
/// `copies`: products of this shape in the run.
pub(crate) fn cut(
    row_blocks: usize,
    panels: usize,
    most_blocks: usize,
    copies: usize,
    workers: usize,
) -> Cut {
    let mut cut = Cut { blocks: most_blocks.max(1), panels: panels.max(1) };
    let wanted = if workers > 1 { workers.saturating_mul(4) } else { 1 };
    loop {
        let tasks = cut
            .row_tasks(row_blocks)
            .saturating_mul(cut.column_tasks(panels))
            .saturating_mul(copies);
        if tasks >= wanted {
            return cut;
        } else if cut.blocks > 1 {
            cut.blocks = cut.blocks.div_ceil(2);
        } else if cut.panels > 1 {
            cut.panels = cut.panels.div_ceil(2);
        } else {
            return cut;
        }
    }
}

impl Cut {
    pub(crate) fn row_tasks(self, row_blocks: usize) -> usize {
        row_blocks.div_ceil(self.blocks.max(1))
    }

    pub(crate) fn column_tasks(self, panels: usize) -> usize {
        panels.div_ceil(self.panels.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Breaks every promise: indices twice or never, workers beyond the maximum and shared.
    struct Broken(usize);

    impl Parallel for Broken {
        fn max_workers(&self) -> usize {
            2
        }

        fn min_operations(&self) -> usize {
            0
        }

        fn run(&self, n: usize, task: &(dyn Fn(usize, usize) + Sync)) {
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| (0..n / 2 * self.0).for_each(|_| task(0, usize::MAX)));
                }
            });
        }
    }

    #[test]
    fn broken_callers_neither_repeat_nor_share_nor_lose() {
        for calls in 0..3 {
            let n = 1000;
            let done: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
            each(&Broken(calls), n, |ticket| {
                done[ticket].fetch_add(1, Ordering::Relaxed);
            });
            let mut flags = [true, true].map(AtomicBool::new);
            // SAFETY: two flags of this test's own.
            let slots = unsafe { Slots::new(flags.as_mut_ptr(), 2) };
            let inside = [0, 0].map(AtomicUsize::new);
            each_with_slot(&Broken(calls), n, &slots, |ticket, slot| {
                assert_eq!(inside[slot].fetch_add(1, Ordering::SeqCst), 0);
                done[ticket].fetch_add(1, Ordering::Relaxed);
                assert_eq!(inside[slot].fetch_sub(1, Ordering::SeqCst), 1);
            });
            assert!(done.iter().all(|d| d.load(Ordering::Relaxed) == 2));
        }
    }

    #[test]
    fn cuts_feed_workers_and_keep_memory_bounded() {
        for row_blocks in [0, 1, 2, 3, 5, 16, 17, 100] {
            for panels in [1, 2, 3, 8, 100] {
                for block_size in [0, 64, 20_000, 1 << 20] {
                    let most = most_blocks(row_blocks, block_size);
                    assert!(most * block_size <= BLOCK_BYTES || most == 1);
                    for workers in [1, 2, 3, 7, 100] {
                        let cut = cut(row_blocks, panels, most, 1, workers);
                        assert!((1..=most).contains(&cut.blocks));
                        assert!((1..=panels).contains(&cut.panels));
                        let tasks = cut.row_tasks(row_blocks) * cut.column_tasks(panels);
                        let finest = (cut.blocks, cut.panels) == (1, 1);
                        assert!(workers == 1 || tasks >= 4 * workers || finest);
                    }
                }
            }
        }
    }
}
