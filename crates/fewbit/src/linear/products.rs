//! Several products in one run, with tasks over all of them, so that small products fill the threads too.

use super::{DIRECT_PANELS, Linear, LinearRun, Parts, Product};
use crate::plan::{
    Carver, Input, OutputParams, Quantizer, Slots, block_count, cut, each, each_with_slot,
    threads_for,
};
use crate::{Error, Parallel, Result, Status};
use core::ops::Range;
use fewbit_scheme::QuantParams;

/// What the tasks of several products share.
struct Shared<'a> {
    parts: Parts,
    /// Each product's first task, and the number of all.
    tasks: &'a [usize],
    /// Each product's first row, and the number of all.
    rows: &'a [usize],
    /// Each prepared product's parameters, for an input that is dynamic per tensor.
    whole: *mut QuantParams,
    /// Where the parameters of the results go, if the run chooses them: those of the rows of all products.
    chosen: Option<OutputParams>,
}
// SAFETY: parameters are written by one task each, and read by tasks that begin later.
unsafe impl Sync for Shared<'_> {}

/// The part that an index is in, of parts that begin at `firsts`, and the index within.
fn find(firsts: &[usize], index: usize) -> (usize, usize) {
    let part = firsts.partition_point(|&first| first <= index).saturating_sub(1);
    (part, index - firsts.get(part).copied().unwrap_or(0))
}

impl Linear<'_> {
    /// The parts of a single run, then the first tasks, first rows and parameters of the products.
    pub(super) fn carve_many(
        &self,
        carver: &mut Carver,
        count: usize,
        rows: usize,
        workers: usize,
    ) -> Result<(Parts, *mut usize, *mut usize, *mut QuantParams)> {
        let parts = self.carve(carver, rows, workers)?;
        let firsts = count.checked_add(1).ok_or(too_large())?;
        let per_tensor = matches!(self.input, Input::DynamicPerTensor(_));
        let arrays = (|| {
            let tasks = carver.take(firsts)?;
            let rows = carver.take(firsts)?;
            Some((tasks, rows, carver.take(if per_tensor { count } else { 0 })?))
        })();
        let (tasks, rows, whole) = arrays.ok_or(too_large())?;
        Ok((parts, tasks, rows, whole))
    }

    /// Runs some columns of `count.0` products, of which the first `count.1` have inputs of their own (the others read that
    /// of the first), and all of them `rows` rows. `chosen`, for all columns only, is there if the plan's output is dynamic: a place a row.
    ///
    /// # Safety
    /// The products are checked; the workspace is as `carve_many` cuts it for so many workers.
    pub(super) unsafe fn run_products(
        &self,
        (count, prepared): (usize, usize),
        (rows, columns): (usize, Range<usize>),
        product: &(dyn Fn(usize) -> Product + Sync),
        workspace: *mut u8,
        chosen: Option<&OutputParams>,
        (parallel, workers): (&dyn Parallel, usize),
    ) -> Result<()> {
        let (mut parts, task_firsts, row_firsts, whole) =
            self.carve_many(&mut Carver::new(workspace), count, rows, workers)?;
        let products = [rows, columns.len(), self.in_features];
        let (parallel, workers) = threads_for(parallel, workers, &products);
        parts.workers = workers;
        let (mr, nr) = self.engine.shape();
        // Column tasks start on whole panels, so that no panel is multiplied twice.
        let first_panel = columns.start / nr;
        let panels = columns.end.div_ceil(nr) - first_panel;
        let blocks_of = |index: usize| block_count(product(index).run.rows, mr);
        let (largest, blocks) =
            (0..count).map(blocks_of).fold((0, 0), |(largest, all): (usize, usize), blocks| {
                (largest.max(blocks), all + blocks)
            });
        // As if there were so many products of the largest one's rows.
        let copies = blocks.div_ceil(largest.max(1));
        let cut = cut(largest, panels, parts.most_blocks, copies, parts.workers);
        let column_tasks = cut.column_tasks(panels).max(1);
        // SAFETY: arrays of `count + 1` numbers in the workspace.
        let shared = &unsafe {
            let tasks = |index| cut.row_tasks(blocks_of(index)) * column_tasks;
            let rows = |index| product(index).run.rows;
            Shared {
                tasks: sums(task_firsts, count, tasks),
                rows: sums(row_firsts, count, rows),
                parts,
                whole,
                chosen: chosen.copied(),
            }
        };
        if self.input.is_prepared() {
            // SAFETY: by this function's contract.
            unsafe { self.prepare_products(prepared, product, shared, parallel) };
        }
        let all = shared.tasks.last().copied().unwrap_or(0);
        // SAFETY: the flags are a part of the workspace of their own.
        let slots = unsafe { Slots::new(shared.parts.busy, shared.parts.workers) };
        each_with_slot(parallel, all, &slots, |task, slot| {
            let (index, task) = find(shared.tasks, task);
            let row = shared.rows.get(index).copied().unwrap_or(0);
            let first = if index < prepared { row } else { 0 };
            let mut product = Product { first, ..product(index) };
            if shared.chosen.is_some() {
                // Results that wait for their parameters lie in the workspace.
                let n = self.out_features;
                product.run.y = shared.parts.results.wrapping_add(row * n).cast();
                product.run.y_stride = n;
            }
            let begin = task / column_tasks.max(1) * cut.blocks * mr;
            let rows = begin..product.run.rows.min(begin + cut.blocks * mr);
            let start = (first_panel + task % column_tasks.max(1) * cut.panels) * nr;
            let columns = columns.start.max(start)..columns.end.min(start + cut.panels * nr);
            let direct =
                self.engine.is_direct() && (product.run.rows == 1 || cut.panels <= DIRECT_PANELS);
            // SAFETY: rows and columns of the product, which no other task has; the slot is this task's.
            unsafe { self.task(&product, &shared.parts, rows, columns, direct, slot) }
        });
        if let (Some(quantizer), Some(_)) = (&self.of_results, shared.chosen) {
            // SAFETY: by this function's contract; the results are there.
            unsafe { self.quantize_results(quantizer, product, shared, parallel) };
        }
        Ok(())
    }

    /// Quantizes the results, each row with parameters of its own.
    ///
    /// # Safety
    /// As [`run_products`](Linear::run_products); the results are in the workspace.
    unsafe fn quantize_results(
        &self,
        quantizer: &Quantizer,
        product: &(dyn Fn(usize) -> Product + Sync),
        shared: &Shared<'_>,
        parallel: &dyn Parallel,
    ) {
        let n = self.out_features;
        let all = shared.rows.last().copied().unwrap_or(0);
        each(parallel, all, |row| {
            let (index, within) = find(shared.rows, row);
            let LinearRun { y, y_stride, .. } = product(index).run;
            let Some(chosen) = shared.chosen else { return };
            let places = chosen.of_codes(y, y_stride);
            // SAFETY: the row exists, and its results, codes and parameters are its own.
            unsafe {
                let results = shared.parts.results.add(row * n).cast_const().cast();
                let (scale, zero_point) = places.of_row(row);
                let codes = places.codes.add(within * places.stride);
                quantizer.quantize_row(None, (results, n), codes, (scale, zero_point));
            }
        });
    }

    /// Quantizes the real inputs of products, or unpacks packed ones.
    ///
    /// # Safety
    /// As [`run_products`](Linear::run_products).
    unsafe fn prepare_products(
        &self,
        prepared: usize,
        product: &(dyn Fn(usize) -> Product + Sync),
        shared: &Shared<'_>,
        parallel: &dyn Parallel,
    ) {
        let k = self.in_features;
        let per_tensor = matches!(self.input, Input::DynamicPerTensor(_));
        if per_tensor {
            each(parallel, prepared, |index| {
                let LinearRun { rows, x, x_stride, .. } = product(index).run;
                let none = QuantParams { scale: 1.0, zero_point: 0 };
                // SAFETY: the product's rows can be read, and its place is its own. Without rows nothing is.
                unsafe {
                    let params = self.quantizer.whole((x, x_stride), (rows, k)).unwrap_or(none);
                    shared.whole.add(index).write(params);
                }
            });
        }
        let all = shared.rows.get(prepared).copied().unwrap_or(0);
        each(parallel, all, |row| {
            let (index, within) = find(shared.rows, row);
            let LinearRun { x, x_stride, .. } = product(index).run;
            let parts = &shared.parts;
            // SAFETY: the row exists, and its places in the workspace are its own.
            unsafe {
                let whole = match per_tensor {
                    true => Some(shared.whole.add(index).read()),
                    false => self.input.fixed_params(),
                };
                self.quantizer.quantize_row(
                    whole,
                    (x.add(self.input.bytes(within * x_stride)), k),
                    parts.codes.add(row * k),
                    (parts.scales.wrapping_add(row), parts.zero_points.wrapping_add(row)),
                );
            }
        });
    }
}

/// Writes the sums of the values before each, and of all, and gives them.
///
/// # Safety
/// `to` can be written for `count + 1` numbers, which nobody else touches while the result lives.
unsafe fn sums<'a>(to: *mut usize, count: usize, value: impl Fn(usize) -> usize) -> &'a [usize] {
    let mut sum = 0;
    // SAFETY: by this function's contract.
    unsafe {
        for index in 0..count {
            to.add(index).write(sum);
            sum += value(index);
        }
        to.add(count).write(sum);
        core::slice::from_raw_parts(to, count + 1)
    }
}

pub(super) fn too_large() -> Error {
    Error::new(Status::InvalidArgument, "rows", "and max_workers need more than memory")
}
