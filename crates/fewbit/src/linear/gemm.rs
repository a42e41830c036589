//! Products of codes that the caller has quantized: a linear plan whose rows' parameters come with each run.

use super::{Linear, LinearBatch, LinearDesc, LinearLayout, RowParams};
use crate::memory::Allocator;
use crate::plan::{
    ActivationMode, Bias, Code, Input, MemoryRange, Output, Residual, Weights, Workspace,
    bad_scale, bad_zero_point, forbid_overlap,
};
use crate::{Error, Parallel, Result, Status};
use core::ptr::null;
use fewbit_scheme::Activation;
use fewbit_simd::Supported;

/// A product to plan: `dst[m][n] = Σ_k (lhs[m][k] - zl[m]) (rhs[n][k] - zr[n])`, and what becomes of the sums.
#[derive(Clone, Copy, Debug)]
pub struct GemmDesc<'a> {
    /// N, at least 1.
    pub n: usize,
    /// K, at least 1.
    pub k: usize,
    /// The codes of the lhs, whose scales and zero points come with each run.
    pub lhs: Code,
    /// The codes of the rhs, with none (all 1), one, or a scale for each column, and none (all 0), one, or a
    /// zero point for each column.
    pub rhs: Weights<'a>,
    /// `Nk`: a column's codes are contiguous; `Kn`: those of a k are.
    pub rhs_layout: LinearLayout,
    /// Codes between rows of the rhs as it lies; 0: contiguous.
    pub rhs_stride: usize,
    /// Rhs matrices of this shape, at least 1, as [`LinearDesc::matrices`].
    pub matrices: usize,
    /// Codes between the first ones of neighbouring matrices; 0: no gaps.
    pub matrix_stride: usize,
    /// S32: added to the sums, in their unit; F32: added to real results.
    pub bias: Bias<'a>,
    /// S32: the sums. Real: `f32(sum) * (row scale * column scale)`. Codes: requantized.
    pub output: Output,
    /// What is applied before writing; of sums, none or ReLU.
    pub activation: Activation,
    /// How, where codes are written.
    pub activation_mode: ActivationMode,
}

/// A planned product: a packed rhs and the kernels chosen. Immutable; threads may share it. `'w` is how long packed codes
/// live that the plan does not own.
pub struct Gemm<'w>(Linear<'w>);

/// A run's operands and memory. Strides are in elements.
#[derive(Clone, Copy, Debug)]
pub struct GemmRun {
    /// M, of each matrix.
    pub rows: usize,
    /// The first matrix' M rows of K codes.
    pub lhs: *const u8,
    /// Distance of the rows, at least K.
    pub lhs_stride: usize,
    /// Distance of the matrices' lhs; 0: all read the same.
    pub lhs_batch_stride: usize,
    /// Scales of the rows, finite and greater than 0. Not used for S32 output.
    pub lhs_scales: *const f32,
    /// 0: all 1; 1: one for all; M: one a row, the same for all matrices; M times the matrices: each its own.
    pub lhs_scale_count: usize,
    /// Zero points of the rows, codes of the lhs.
    pub lhs_zero_points: *const i32,
    /// 0: all 0; otherwise as for the scales.
    pub lhs_zero_point_count: usize,
    /// As [`Gemm::workspace`] asks for; contents do not matter.
    pub workspace: *mut u8,
    /// Its bytes.
    pub workspace_size: usize,
    /// The first matrix' M rows of N elements.
    pub dst: *mut u8,
    /// Distance of the rows, at least N.
    pub dst_stride: usize,
    /// Distance of the matrices' results, as [`LinearBatch::y_batch_stride`].
    pub dst_batch_stride: usize,
}

/// How a matrix' parameters are found in an array of all: by row, and by matrix.
#[derive(Clone, Copy)]
struct Steps {
    row: usize,
    matrix: usize,
}

impl<'w> Gemm<'w> {
    /// Packs the rhs and chooses kernels. The only call that allocates. That no sum leaves int32 is proven for every
    /// lhs and every zero point of its format.
    ///
    /// # Errors
    /// As [`Linear::create`].
    pub fn create(
        desc: &GemmDesc<'_>,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Gemm<'w>> {
        let mut rhs = desc.rhs;
        if rhs.scales.is_empty() {
            rhs.scales = &[1.0];
        }
        let linear = LinearDesc {
            in_features: desc.k,
            out_features: desc.n,
            weights: rhs,
            layout: desc.rhs_layout,
            weight_stride: desc.rhs_stride,
            input: Input::CodesPerRow(desc.lhs),
            bias: desc.bias,
            output: desc.output,
            activation: desc.activation,
            activation_mode: desc.activation_mode,
            residual: Residual::None,
            matrices: desc.matrices,
            matrix_stride: desc.matrix_stride,
        };
        Linear::build(&linear, None, supported, allocator).map(Gemm).map_err(named)
    }

    /// The tile kernel's name.
    pub fn kernel_name(&self) -> &'static str {
        self.0.kernel_name()
    }

    /// The largest |int32 sum| that any lhs and zero points can give, proven from the rhs.
    pub fn bound(&self) -> i64 {
        self.0.bound()
    }

    /// Bytes of the packed rhs.
    pub fn rhs_bytes(&self) -> usize {
        self.0.weight_bytes()
    }

    /// Columns of the product and its depth.
    pub fn shape(&self) -> (usize, usize) {
        (self.0.out_features, self.0.in_features)
    }

    /// Rhs matrices.
    pub fn matrices(&self) -> usize {
        self.0.matrices
    }

    /// The codes of the lhs.
    pub fn lhs(&self) -> Code {
        self.0.input.code()
    }

    /// What is written.
    pub fn output(&self) -> Output {
        self.0.output
    }

    /// What a run of up to `rows` rows of each matrix on up to `max_workers` workers needs. More never need less.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] if the size overflows.
    pub fn workspace(&self, rows: usize, max_workers: usize) -> Result<Workspace> {
        self.0.batch_workspace(rows, max_workers)
    }

    /// Runs the product. The results do not depend on the workers or the instruction set.
    ///
    /// # Errors
    /// [`Status::NullPointer`], [`Status::InvalidArgument`] (strides, counts, parameters),
    /// [`Status::BufferTooSmall`] (workspace), [`Status::Misaligned`], [`Status::Overlap`]. Nothing is written then.
    ///
    /// # Safety
    /// The operands are as [`GemmRun`] says: `lhs` and the parameters can be read, `dst` and `workspace` written; each
    /// unless NULL.
    pub unsafe fn run(&self, run: &GemmRun, parallel: &dyn Parallel) -> Result<()> {
        let GemmRun { rows, lhs_scales, lhs_zero_points, .. } = *run;
        if rows == 0 {
            return Ok(());
        }
        let scale_steps =
            self.steps(["lhs_scales", "lhs_scale_count"], lhs_scales, run.lhs_scale_count, rows)?;
        let zero_steps = self.steps(
            ["lhs_zero_points", "lhs_zero_point_count"],
            lhs_zero_points,
            run.lhs_zero_point_count,
            rows,
        )?;
        // The proof of the bound is for zero points that are codes.
        let format = self.0.input.code().format();
        for index in 0..run.lhs_zero_point_count {
            // SAFETY: as many by this function's contract.
            let zero_point = unsafe { lhs_zero_points.add(index).read() };
            if zero_point < format.qmin() || zero_point > format.qmax() {
                return Err(bad_zero_point("lhs_zero_points", zero_point, format));
            }
        }
        for index in 0..run.lhs_scale_count {
            // SAFETY: as above.
            let scale = unsafe { lhs_scales.add(index).read() };
            if !(scale > 0.0 && scale < f32::INFINITY) {
                return Err(bad_scale("lhs_scales", scale));
            }
        }
        let batch = LinearBatch {
            rows,
            x: run.lhs,
            x_stride: run.lhs_stride,
            x_batch_stride: run.lhs_batch_stride,
            residual: null(),
            residual_stride: 0,
            residual_batch_stride: 0,
            y: run.dst,
            y_stride: run.dst_stride,
            y_batch_stride: run.dst_batch_stride,
            workspace: run.workspace,
            workspace_size: run.workspace_size,
        };
        self.check_apart(run, &batch, parallel)?;
        let all = RowParams {
            scales: if run.lhs_scale_count == 0 { null() } else { lhs_scales },
            scale_step: scale_steps.row,
            zero_points: if run.lhs_zero_point_count == 0 { null() } else { lhs_zero_points },
            zero_point_step: zero_steps.row,
        };
        let given =
            |matrix: usize| all.moved(matrix * scale_steps.matrix, matrix * zero_steps.matrix);
        // SAFETY: by this function's contract; the parameters are as many as the steps reach.
        unsafe { self.0.run_batch_with(&batch, given, parallel) }.map_err(named)
    }

    /// Checks an array of parameters, and tells how it is walked.
    fn steps<T>(
        &self,
        [name, count_name]: [&'static str; 2],
        values: *const T,
        count: usize,
        rows: usize,
    ) -> Result<Steps> {
        if count > 0 && values.is_null() {
            return Err(Error::new(Status::NullPointer, name, "is NULL"));
        }
        if count > 0 && !values.is_aligned() {
            let text = "is not aligned to {} bytes";
            return Err(Error::new(Status::Misaligned, name, text).with(align_of::<T>()));
        }
        let matrices = self.0.matrices;
        match count {
            0 | 1 => Ok(Steps { row: 0, matrix: 0 }),
            _ if count == rows => Ok(Steps { row: 1, matrix: 0 }),
            _ if rows.checked_mul(matrices) == Some(count) => Ok(Steps { row: 1, matrix: rows }),
            _ => {
                let text = "is {}, but there are {} rows of {} matrices: none, one, one a row, or one \
                            a row of each matrix";
                let error = Error::new(Status::InvalidArgument, count_name, text);
                Err(error.with(count).with(rows).with(matrices))
            }
        }
    }

    /// Refuses parameters within what a run writes.
    fn check_apart(
        &self,
        run: &GemmRun,
        batch: &LinearBatch,
        parallel: &dyn Parallel,
    ) -> Result<()> {
        let (count, n) = (self.0.matrices, self.0.out_features);
        let element = self.0.output.element_size();
        let dst_bytes = (|| {
            let rows = (batch.rows - 1).checked_mul(batch.y_stride)?;
            let last = (count - 1).checked_mul(batch.y_batch_stride)?.checked_add(rows)?;
            last.checked_add(n)?.checked_mul(element)
        })();
        // What is beyond memory is refused by the run.
        let dst_bytes = dst_bytes.unwrap_or(0);
        let memory = self.workspace(batch.rows, parallel.max_workers())?.size;
        let scales = MemoryRange::new("lhs_scales", run.lhs_scales, 4 * run.lhs_scale_count);
        let zero_points = run.lhs_zero_points;
        let zero_points =
            MemoryRange::new("lhs_zero_points", zero_points, 4 * run.lhs_zero_point_count);
        for written in [
            MemoryRange::new("dst", run.dst, dst_bytes),
            MemoryRange::new("workspace", run.workspace, memory),
        ] {
            forbid_overlap(scales, written)?;
            forbid_overlap(zero_points, written)?;
        }
        Ok(())
    }
}

impl RowParams {
    /// The parameters of rows that are so many values on.
    fn moved(&self, scales: usize, zero_points: usize) -> RowParams {
        RowParams {
            scales: self.scales.wrapping_add(scales),
            zero_points: self.zero_points.wrapping_add(zero_points),
            ..*self
        }
    }
}

/// An error of the linear plan, as a product names its arguments.
fn named(error: Error) -> Error {
    const NAMES: [(&str, &str); 13] = [
        ("desc.in_features", "desc.k"),
        ("desc.out_features", "desc.n"),
        ("desc.weight_stride", "desc.rhs_stride"),
        ("desc.weights", "desc.rhs"),
        ("desc.weights.data", "desc.rhs.data"),
        ("desc.weights.scales", "desc.rhs.scales"),
        ("desc.weights.zero_points", "desc.rhs.zero_points"),
        ("x", "lhs"),
        ("x_stride", "lhs_stride"),
        ("x_batch_stride", "lhs_batch_stride"),
        ("y", "dst"),
        ("y_stride", "dst_stride"),
        ("y_batch_stride", "dst_batch_stride"),
    ];
    match NAMES.iter().find(|(linear, _)| *linear == error.argument) {
        Some(&(_, argument)) => Error { argument, ..error },
        None => error,
    }
}
