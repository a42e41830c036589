//! Batches: every matrix of a plan on rows of its own, or on the same, with operands at equal distances.

use super::products::too_large;
use super::{Linear, LinearRun, Product, RowParams, check_range, matrix_bytes};
use crate::plan::{
    MemoryRange, OutputParams, Residual, Workspace, check_residual_range, check_workspace,
    forbid_overlap, size,
};
use crate::{Error, Parallel, Result, Status};
use core::ops::Range;

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

impl Linear<'_> {
    /// What a run of all matrices, of up to `rows` rows each, needs.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] if the size overflows.
    #[inline(never)]
    pub fn batch_workspace(&self, rows: usize, max_workers: usize) -> Result<Workspace> {
        let all = rows.checked_mul(self.matrices).ok_or(too_large())?;
        self.grouped_workspace(self.matrices, all, max_workers)
    }

    /// Runs every matrix on its rows: the same results, bit for bit, as a plan of each matrix gives, whatever the
    /// workers.
    ///
    /// # Errors
    /// As [`run_raw`](Linear::run_raw); [`Status::Overlap`] also where elements of `y` are not all different.
    ///
    /// # Safety
    /// As [`run_raw`](Linear::run_raw), for each matrix.
    pub unsafe fn run_batch_raw(&self, batch: &LinearBatch, parallel: &dyn Parallel) -> Result<()> {
        // SAFETY: by this function's contract; there are no parameters to read.
        unsafe {
            self.run_batch_with(batch, &|_| RowParams::NONE, None, self.whole(batch), parallel)
        }
    }

    /// As [`run_batch_raw`](Linear::run_batch_raw), for a plan whose output is
    /// [`Output::DynamicPerRow`](crate::Output::DynamicPerRow). The parameters of row `r` of matrix `b` are number
    /// `b * rows + r`.
    ///
    /// # Errors
    /// As [`run_batch_raw`](Linear::run_batch_raw); [`Status::Unsupported`] for plans with another output.
    ///
    /// # Safety
    /// As [`run_batch_raw`](Linear::run_batch_raw); the places of parameters can be written for the rows of all
    /// matrices, unless NULL.
    pub unsafe fn run_batch_dynamic_raw(
        &self,
        batch: &LinearBatch,
        params: &OutputParams,
        parallel: &dyn Parallel,
    ) -> Result<()> {
        // SAFETY: by this function's contract; there are no parameters to read.
        unsafe {
            self.run_batch_with(
                batch,
                &|_| RowParams::NONE,
                Some(params),
                self.whole(batch),
                parallel,
            )
        }
    }

    /// All rows and columns of a batch.
    fn whole(&self, batch: &LinearBatch) -> (Range<usize>, Range<usize>) {
        (0..batch.rows, 0..self.out_features)
    }

    /// Both of the above, with parameters of each matrix' rows; or only some rows and columns, the same of each matrix, of
    /// codes whose results have no parameters to choose.
    ///
    /// # Safety
    /// As there; the parameters can be read for the rows.
    pub(super) unsafe fn run_batch_with(
        &self,
        batch: &LinearBatch,
        given: &(dyn Fn(usize) -> RowParams + Sync),
        params: Option<&OutputParams>,
        (row_range, columns): (Range<usize>, Range<usize>),
        parallel: &dyn Parallel,
    ) -> Result<()> {
        self.check_places(params.is_some())?;
        let LinearBatch { rows, x, x_stride, y, y_stride, workspace, workspace_size, .. } = *batch;
        let (n, count) = (self.out_features, self.matrices);
        check_range("row", &row_range, rows)?;
        check_range("column", &columns, n)?;
        if row_range.is_empty() || columns.is_empty() {
            return Ok(());
        }
        let (in_size, out_size) = (self.input.element_size(), self.output.element_size());
        let x_bytes = self.x_bytes(x, rows, x_stride)?;
        self.check_bytes("x_batch_stride", batch.x_batch_stride)?;
        let x_batch_stride = batch.x_batch_stride / self.input.per_element();
        let x_bytes = batch_bytes("x_batch_stride", (count, x_bytes), x_batch_stride, in_size)?;
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
        let (mut residual, mut residual_range) = ((0, 0), MemoryRange::new("residual", y, 0));
        if self.residual != Residual::None {
            let element = self.residual.element_size();
            residual = (batch.residual_stride, batch.residual_batch_stride);
            let bytes = matrix_bytes("residual", batch.residual, rows, n, residual.0, element)?;
            let bytes = batch_bytes("residual_batch_stride", (count, bytes), residual.1, element)?;
            residual_range = MemoryRange::new("residual", batch.residual, bytes);
            let same = residual == (y_stride, apart) && element == out_size;
            check_residual_range(residual_range, y_range, memory, same)?;
        }
        if let Some(params) = params {
            let others = [x_range, y_range, memory, residual_range];
            params.check(self.output, size(&[rows, count])?, &others)?;
        }
        let bytes = [
            x_batch_stride.wrapping_mul(in_size),
            residual.1.wrapping_mul(self.residual.element_size()),
            apart.wrapping_mul(out_size),
        ];
        let (first, rows) = (row_range.start, row_range.len());
        let added = self.residual.element_size();
        let base = Product {
            run: LinearRun {
                rows,
                x: x.wrapping_add(first * self.input.bytes(x_stride)),
                x_stride,
                residual: batch.residual.wrapping_add(first * residual.0 * added),
                residual_stride: residual.0,
                workspace,
                workspace_size,
                y: y.wrapping_add(first * y_stride * out_size),
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
            let (counts, part) = ((count, prepared), (rows * count, columns));
            self.run_products(counts, part, &product, workspace, params, threads)
        }
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
