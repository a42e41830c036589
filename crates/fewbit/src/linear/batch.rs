//! Several products in one run: a batch of matrices at equal distances, or groups of rows, each with one of the
//! plan's matrices (a mixture of experts). Tasks go over all of them, so that small products fill the threads too.

use super::{DIRECT_PANELS, Linear, LinearRun, Parts, Product, RowParams, matrix_bytes};
use crate::plan::{
    Carver, Input, MemoryRange, Residual, Slots, Workspace, block_count, check_residual_range,
    check_workspace, cut, each, each_with_slot, forbid_overlap,
};
use crate::{Error, Parallel, Result, Status};
use core::ptr::{null, null_mut};
use fewbit_scheme::QuantParams;

/// A run of all matrices of a plan. Strides are in elements of the plan's types; those between the operands of
/// neighbouring matrices may be anything but for `y`, whose elements must all be different ones.
#[derive(Clone, Copy, Debug)]
pub struct LinearBatch {
    /// M, of each matrix.
    pub rows: usize,
    /// The first matrix' M rows of K elements.
    pub x: *const u8,
    /// Distance of the rows of `x`, at least K.
    pub x_stride: usize,
    /// Distance of the matrices' `x`; 0: all matrices read the same.
    pub x_batch_stride: usize,
    /// Residuals, where the plan has any: `y` with its strides, or memory apart from it.
    pub residual: *const u8,
    /// Distance of the residual's rows, at least N.
    pub residual_stride: usize,
    /// Distance of the matrices' residuals.
    pub residual_batch_stride: usize,
    /// The first matrix' M rows of N elements.
    pub y: *mut u8,
    /// Distance of the rows of `y`, at least N.
    pub y_stride: usize,
    /// Distance of the matrices' `y`: beyond a matrix' last element, or within the gap between rows.
    pub y_batch_stride: usize,
    /// As [`Linear::batch_workspace`] asks for; contents do not matter.
    pub workspace: *mut u8,
    /// Its bytes.
    pub workspace_size: usize,
}

/// Rows that meet one of a plan's matrices. Layout-compatible with the C ABI's `fewbit_linear_problem`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct LinearProblem {
    /// Which matrix.
    pub matrix: usize,
    /// M; with 0 nothing else is looked at.
    pub rows: usize,
    /// M rows of K elements.
    pub x: *const u8,
    /// Distance of the rows of `x`, at least K.
    pub x_stride: usize,
    /// M rows of N elements, where the plan has a residual; may be this problem's `y`, element by element.
    pub residual: *const u8,
    /// Distance of the residual's rows, at least N.
    pub residual_stride: usize,
    /// M rows of N elements.
    pub y: *mut u8,
    /// Distance of the rows of `y`, at least N.
    pub y_stride: usize,
}

/// What the tasks of several products share.
struct Shared<'a> {
    parts: Parts,
    /// Each product's first task, and the number of all.
    tasks: &'a [usize],
    /// Each prepared product's first row, and the number of all.
    rows: &'a [usize],
    /// Each prepared product's parameters, for an input that is dynamic per tensor.
    whole: *mut QuantParams,
}
// SAFETY: the parameters are written by one task each, and read by tasks that begin later.
unsafe impl Sync for Shared<'_> {}

/// The part that an index is in, of parts that begin at `firsts`, and the index within.
fn find(firsts: &[usize], index: usize) -> (usize, usize) {
    let part = firsts.partition_point(|&first| first <= index).saturating_sub(1);
    (part, index - firsts.get(part).copied().unwrap_or(0))
}

/// The bytes of `count` operands of `bytes` each, whose first elements are `stride` elements apart.
fn batch_bytes(
    name: &'static str,
    (count, bytes): (usize, usize),
    stride: usize,
    element: usize,
) -> Result<usize> {
    let apart = count.saturating_sub(1).checked_mul(stride).and_then(|n| n.checked_mul(element));
    apart
        .and_then(|apart| apart.checked_add(bytes))
        .filter(|&bytes| bytes <= isize::MAX as usize)
        .ok_or(
            Error::new(Status::InvalidArgument, name, "of {} makes the batch larger than memory")
                .with(stride),
        )
}

/// The smallest range that holds two.
fn hull(a: Option<MemoryRange>, b: MemoryRange) -> Option<MemoryRange> {
    let Some(a) = a else { return Some(b) };
    let begin = a.begin.min(b.begin);
    let end = a.begin.saturating_add(a.bytes).max(b.begin.saturating_add(b.bytes));
    Some(MemoryRange { begin, bytes: end - begin, ..a })
}

impl Linear<'_> {
    /// What a run of all matrices, of up to `rows` rows each, needs.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] if the size overflows.
    pub fn batch_workspace(&self, rows: usize, max_workers: usize) -> Result<Workspace> {
        let all = rows.checked_mul(self.matrices).ok_or(too_large())?;
        self.grouped_workspace(self.matrices, all, max_workers)
    }

    /// What a run of up to `problems` problems, of up to `rows` rows together, needs on up to `max_workers` workers. More
    /// never need less.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] if the size overflows.
    pub fn grouped_workspace(
        &self,
        problems: usize,
        rows: usize,
        max_workers: usize,
    ) -> Result<Workspace> {
        let mut carver = Carver::new(null_mut());
        self.carve_many(&mut carver, problems, rows, max_workers)?;
        Ok(Workspace { size: carver.used(), align: crate::memory::ALIGNMENT })
    }

    /// The parts of a single run, then the first tasks, first rows and parameters of the products.
    fn carve_many(
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

    /// Runs every matrix on its rows: the same results, bit for bit, as a plan of each matrix gives, whatever the
    /// workers.
    ///
    /// # Errors
    /// As [`run_raw`](Linear::run_raw); [`Status::Overlap`] also where elements of `y` are not all different.
    ///
    /// # Safety
    /// As [`run_raw`](Linear::run_raw), for each matrix.
    pub unsafe fn run_batch(&self, batch: &LinearBatch, parallel: &dyn Parallel) -> Result<()> {
        // SAFETY: by this function's contract; there are no parameters to read.
        unsafe { self.run_batch_with(batch, |_| RowParams::NONE, parallel) }
    }

    /// As [`run_batch`](Linear::run_batch), with parameters of each matrix' rows.
    ///
    /// # Safety
    /// As [`run_batch`](Linear::run_batch); the parameters can be read for the rows.
    pub(super) unsafe fn run_batch_with(
        &self,
        batch: &LinearBatch,
        given: impl Fn(usize) -> RowParams + Sync,
        parallel: &dyn Parallel,
    ) -> Result<()> {
        self.check_known_output()?;
        let LinearBatch { rows, x, x_stride, y, y_stride, workspace, workspace_size, .. } = *batch;
        let (k, n, count) = (self.in_features, self.out_features, self.matrices);
        if rows == 0 {
            return Ok(());
        }
        let (in_size, out_size) = (self.input.element_size(), self.output.element_size());
        let x_bytes = matrix_bytes("x", x, rows, k, x_stride, in_size)?;
        let x_bytes =
            batch_bytes("x_batch_stride", (count, x_bytes), batch.x_batch_stride, in_size)?;
        let y_bytes = matrix_bytes("y", y, rows, n, y_stride, out_size)?;
        let apart = batch.y_batch_stride;
        // Matrix behind matrix, or row beside row: both products were found to be within memory.
        let behind = apart >= (rows - 1) * y_stride + n;
        let y_bytes = batch_bytes("y_batch_stride", (count, y_bytes), apart, out_size)?;
        let beside = apart >= n && y_stride >= (count - 1) * apart + n;
        if count > 1 && !behind && !beside {
            let text = "of {} makes the matrices share elements of y";
            return Err(Error::new(Status::Overlap, "y_batch_stride", text).with(apart));
        }
        let workers = parallel.max_workers();
        let needed = self.batch_workspace(rows, workers)?.size;
        check_workspace(workspace, workspace_size, needed)?;
        let memory = MemoryRange::new("workspace", workspace, needed);
        let x_range = MemoryRange::new("x", x, x_bytes);
        let y_range = MemoryRange::new("y", y, y_bytes);
        forbid_overlap(x_range, y_range)?;
        forbid_overlap(x_range, memory)?;
        forbid_overlap(y_range, memory)?;
        let mut residual = (0, 0);
        if self.residual != Residual::None {
            let element = self.residual.element_size();
            residual = (batch.residual_stride, batch.residual_batch_stride);
            let bytes = matrix_bytes("residual", batch.residual, rows, n, residual.0, element)?;
            let bytes = batch_bytes("residual_batch_stride", (count, bytes), residual.1, element)?;
            let range = MemoryRange::new("residual", batch.residual, bytes);
            let same = residual == (y_stride, apart) && element == out_size;
            check_residual_range(range, y_range, memory, same)?;
        }
        let bytes = [
            batch.x_batch_stride.wrapping_mul(in_size),
            residual.1.wrapping_mul(self.residual.element_size()),
            apart.wrapping_mul(out_size),
        ];
        let base = Product {
            run: LinearRun {
                rows,
                x,
                x_stride,
                residual: batch.residual,
                residual_stride: residual.0,
                workspace,
                workspace_size,
                y,
                y_stride,
            },
            matrix: 0,
            first: 0,
            given: RowParams::NONE,
        };
        let product = |matrix: usize| base.of_matrix(matrix, bytes, given(matrix));
        // What all matrices read is quantized once.
        let prepared = if batch.x_batch_stride == 0 { 1 } else { count };
        // SAFETY: checked; by this function's contract.
        unsafe {
            let threads = (parallel, workers);
            self.run_products((count, prepared), rows * count, product, workspace, threads)
        }
    }

    /// Runs problems that share this plan, in one call: each the same, bit for bit, as a run of its own, whatever the
    /// others, their order and the workers. Several may meet the same matrix.
    ///
    /// # Errors
    /// As [`run_raw`](Linear::run_raw), and [`Status::InvalidArgument`] for a matrix that is not there. `workspace` is as
    /// [`grouped_workspace`](Linear::grouped_workspace) asks for. The bytes from the first to the last element of a
    /// problem's `y` must not overlap those of any other operand of any problem: [`Status::Overlap`].
    ///
    /// # Safety
    /// As [`run_raw`](Linear::run_raw), for each problem; `workspace.0` can be written for `workspace.1` bytes.
    pub unsafe fn run_grouped(
        &self,
        problems: &[LinearProblem],
        workspace: (*mut u8, usize),
        parallel: &dyn Parallel,
    ) -> Result<()> {
        self.check_known_output()?;
        let count = problems.len();
        let rows = problems.iter().fold(0usize, |rows, problem| rows.saturating_add(problem.rows));
        if rows == 0 {
            return Ok(());
        }
        let workers = parallel.max_workers();
        let needed = self.grouped_workspace(count, rows, workers)?.size;
        check_workspace(workspace.0, workspace.1, needed)?;
        let memory = MemoryRange::new("workspace", workspace.0, needed);
        let list = MemoryRange::new("problems", problems.as_ptr(), size_of_val(problems));
        forbid_overlap(list, memory)?;
        self.check_problems(problems, list, memory)?;
        let problems = Problems(problems, self.residual != Residual::None);
        let product = |index: usize| problems.product(index);
        // SAFETY: checked; by this function's contract.
        unsafe {
            self.run_products((count, count), rows, product, workspace.0, (parallel, workers))
        }
    }

    /// The ranges of a problem's x, y and residual.
    fn ranges(&self, problem: &LinearProblem) -> Result<[MemoryRange; 3]> {
        let LinearProblem { rows, x, x_stride, y, y_stride, .. } = *problem;
        let (k, n) = (self.in_features, self.out_features);
        let x_bytes = matrix_bytes("x", x, rows, k, x_stride, self.input.element_size())?;
        let y_bytes = matrix_bytes("y", y, rows, n, y_stride, self.output.element_size())?;
        let (residual, element) = (problem.residual, self.residual.element_size());
        let bytes = match self.residual {
            Residual::None => 0,
            _ => matrix_bytes("residual", residual, rows, n, problem.residual_stride, element)?,
        };
        Ok([
            MemoryRange::new("x", x, x_bytes),
            MemoryRange::new("y", y, y_bytes),
            MemoryRange::new("residual", residual, bytes),
        ])
    }

    /// Checks every problem, and that what is written is apart from all else.
    fn check_problems(
        &self,
        problems: &[LinearProblem],
        list: MemoryRange,
        memory: MemoryRange,
    ) -> Result<()> {
        let active = || problems.iter().enumerate().filter(|(_, problem)| problem.rows > 0);
        // All that is read but by its own y, and all that is written.
        let (mut read, mut written): (Option<MemoryRange>, Option<MemoryRange>) = (None, None);
        for (index, problem) in active() {
            if problem.matrix >= self.matrices {
                let text = "is {} in problem {}, but the plan has {}";
                let error = Error::new(Status::InvalidArgument, "matrix", text);
                return Err(error.with(problem.matrix).with(index).with(self.matrices));
            }
            let [x, y, residual] = self.ranges(problem)?;
            forbid_overlap(list, y)?;
            forbid_overlap(x, y)?;
            forbid_overlap(x, memory)?;
            forbid_overlap(y, memory)?;
            let same = problem.residual_stride == problem.y_stride
                && self.residual.element_size() == self.output.element_size();
            check_residual_range(residual, y, memory, same)?;
            read = hull(read, x);
            if residual.bytes > 0 && residual.begin != y.begin {
                read = hull(read, residual);
            }
            // Most callers' results are in order. Where they are not, each is compared with all before it.
            let in_order = written.is_none_or(|all| {
                y.begin >= all.begin.saturating_add(all.bytes)
                    || y.begin.saturating_add(y.bytes) <= all.begin
            });
            if !in_order {
                for (_, other) in active().take_while(|&(other, _)| other < index) {
                    let [_, other, _] = self.ranges(other)?;
                    forbid_overlap(other, y)?;
                }
            }
            written = hull(written, y);
        }
        let (Some(read), Some(written)) = (read, written) else { return Ok(()) };
        if forbid_overlap(read, written).is_ok() {
            return Ok(());
        }
        // Operands that lie between each other: each is compared with each.
        for (index, problem) in active() {
            let [_, y, _] = self.ranges(problem)?;
            for (_, other) in active().filter(|&(other, _)| other != index) {
                let [x, _, residual] = self.ranges(other)?;
                forbid_overlap(x, y)?;
                forbid_overlap(residual, y)?;
            }
        }
        Ok(())
    }

    /// Runs `count.0` products, of which the first `count.1` have inputs of their own (the others read that of the
    /// first), and these `rows` rows together at most.
    ///
    /// # Safety
    /// The products are checked; the workspace is as `carve_many` cuts it for so many workers.
    unsafe fn run_products(
        &self,
        (count, prepared): (usize, usize),
        rows: usize,
        product: impl Fn(usize) -> Product + Sync,
        workspace: *mut u8,
        (parallel, workers): (&dyn Parallel, usize),
    ) -> Result<()> {
        let (parts, task_firsts, row_firsts, whole) =
            self.carve_many(&mut Carver::new(workspace), count, rows, workers)?;
        let (mr, nr, panels) = self.engine.shape();
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
        let shared = unsafe {
            let tasks = |index| cut.row_tasks(blocks_of(index)) * column_tasks;
            let rows = |index| product(index).run.rows;
            Shared {
                tasks: sums(task_firsts, count, tasks),
                rows: sums(row_firsts, prepared, rows),
                parts,
                whole,
            }
        };
        if self.input.is_real() {
            // SAFETY: by this function's contract.
            unsafe { self.prepare_products(prepared, &product, &shared, parallel) };
        }
        let all = shared.tasks.last().copied().unwrap_or(0);
        // SAFETY: the flags are a part of the workspace of their own.
        let slots = unsafe { Slots::new(shared.parts.busy, shared.parts.workers) };
        each_with_slot(parallel, all, &slots, |task, slot| {
            let (index, task) = find(shared.tasks, task);
            let first = shared.rows.get(index).filter(|_| index < prepared).copied().unwrap_or(0);
            let product = Product { first, ..product(index) };
            let begin = task / column_tasks.max(1) * cut.blocks * mr;
            let rows = begin..product.run.rows.min(begin + cut.blocks * mr);
            let start = task % column_tasks.max(1) * cut.panels * nr;
            let columns = start..self.out_features.min(start + cut.panels * nr);
            let direct =
                self.engine.is_direct() && (product.run.rows == 1 || cut.panels <= DIRECT_PANELS);
            // SAFETY: rows and columns of the product, which no other task has; the slot is this task's.
            unsafe { self.task(&product, &shared.parts, rows, columns, direct, slot) }
        });
        Ok(())
    }

    /// Quantizes the real inputs of products.
    ///
    /// # Safety
    /// As [`run_products`](Linear::run_products).
    unsafe fn prepare_products(
        &self,
        prepared: usize,
        product: &(impl Fn(usize) -> Product + Sync),
        shared: &Shared<'_>,
        parallel: &dyn Parallel,
    ) {
        let (k, element) = (self.in_features, self.input.element_size());
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
        let all = shared.rows.last().copied().unwrap_or(0);
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
                    (x.add(within * x_stride * element), k),
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

impl Product {
    /// The product of another matrix, whose operands x, residual and y are so many bytes from those of the one before it.
    fn of_matrix(&self, matrix: usize, bytes: [usize; 3], given: RowParams) -> Product {
        let [x, residual, y] = bytes.map(|bytes| bytes * matrix);
        let run = LinearRun {
            x: self.run.x.wrapping_add(x),
            residual: self.run.residual.wrapping_add(residual),
            y: self.run.y.wrapping_add(y),
            ..self.run
        };
        Product { run, matrix, given, ..*self }
    }
}

/// Problems, and whether they have residuals.
struct Problems<'a>(&'a [LinearProblem], bool);
// SAFETY: see `Product`, which these are made into.
unsafe impl Sync for Problems<'_> {}

impl Problems<'_> {
    fn product(&self, index: usize) -> Product {
        const NONE: LinearProblem = LinearProblem {
            matrix: 0,
            rows: 0,
            x: null(),
            x_stride: 0,
            residual: null(),
            residual_stride: 0,
            y: null_mut(),
            y_stride: 0,
        };
        let problem = self.0.get(index).unwrap_or(&NONE);
        let run = LinearRun {
            rows: problem.rows,
            x: problem.x,
            x_stride: problem.x_stride,
            residual: problem.residual,
            residual_stride: if self.1 { problem.residual_stride } else { 0 },
            workspace: null_mut(),
            workspace_size: 0,
            y: problem.y,
            y_stride: problem.y_stride,
        };
        Product { run, matrix: problem.matrix, first: 0, given: RowParams::NONE }
    }
}

fn too_large() -> Error {
    Error::new(Status::InvalidArgument, "rows", "and max_workers need more than memory")
}
