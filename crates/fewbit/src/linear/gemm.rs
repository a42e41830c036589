//! Products of codes that the caller has quantized: a linear plan whose rows' parameters come with each run.

use super::grouped::Problem;
use super::{
    GemmProblem, Linear, LinearBatch, LinearDesc, LinearLayout, LinearProblem, RowParams,
    check_range,
};
use crate::memory::Allocator;
use crate::plan::{
    ActivationMode, Bias, Code, Input, MemoryRange, Output, OutputParams, Residual, Weights,
    Workspace, bad_scale, bad_zero_point, forbid_overlap,
};
use crate::{Error, Parallel, Result, Status};
use core::ops::Range;
use core::ptr::null;
use fewbit_scheme::{Activation, IntFormat};
use fewbit_simd::Supported;

/// A product to plan: `dst[m][n] = Σ_k (lhs[m][k] - zl[m]) (rhs[n][k] - zr[n])`, and what becomes of the sums.
#[derive(Clone, Copy, Debug)]
pub struct GemmDesc<'a> {
    /// N, at least 1.
    pub n: usize,
    /// K, at least 1.
    pub k: usize,
    /// The codes of the lhs, S8, U8, S4, U4, U1 or B1, whose scales and zero points come with each run. Bits (U1, B1) meet bits.
    pub lhs: IntFormat,
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
pub struct Gemm<'w>(pub(super) Linear<'w>);

/// A run's operands and memory. Strides are in elements.
#[derive(Clone, Copy, Debug)]
pub struct GemmRun {
    /// M, of each matrix.
    pub rows: usize,
    /// The first matrix' M rows of K codes.
    pub lhs: *const u8,
    /// Distance of the rows, at least K; of packed codes in codes, a multiple of those in a byte.
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
        Linear::build(&linear(desc), None, supported, allocator).map(Gemm).map_err(named)
    }

    /// As [`create`](Gemm::create), with an rhs that [`save_packed`](Gemm::save_packed) wrote, or
    /// [`Linear::save_packed`] from the same weights, read where it lies. `desc` has everything but it: its `rhs` (but for
    /// multipliers), layout and strides are not used. Lhs, bias, output and activation need not be those of the plan
    /// that wrote it.
    ///
    /// # Errors
    /// As [`Linear::create_packed`].
    pub fn create_packed(
        desc: &GemmDesc<'_>,
        packed: &'w [u8],
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Gemm<'w>> {
        Linear::build(&linear(desc), Some(packed), supported, allocator).map(Gemm).map_err(named)
    }

    /// Bytes that [`save_packed`](Gemm::save_packed) writes.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] if they are beyond memory.
    pub fn packed_size(&self) -> Result<usize> {
        self.0.packed_size()
    }

    /// Writes the packed rhs, for [`create_packed`](Gemm::create_packed), as [`Linear::save_packed`] does.
    ///
    /// # Errors
    /// [`Status::BufferTooSmall`]; nothing is written then.
    pub fn save_packed(&self, packed: &mut [u8]) -> Result<()> {
        self.0.save_packed(packed)
    }

    /// As [`save_packed`](Gemm::save_packed), for memory that may be what the plan reads.
    ///
    /// # Errors
    /// As [`save_packed`](Gemm::save_packed), and [`Status::Overlap`].
    ///
    /// # Safety
    /// `packed` can be written for `size` bytes.
    pub unsafe fn save_packed_raw(&self, packed: *mut u8, size: usize) -> Result<()> {
        // SAFETY: by this function's contract.
        unsafe { self.0.save_packed_raw(packed, size) }
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
    pub fn lhs(&self) -> IntFormat {
        self.0.input.format()
    }

    /// What is read: codes whose parameters come with the run.
    pub fn input(&self) -> Input {
        self.0.input
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

    /// What a run of up to `problems` problems, of up to `rows` rows together, needs on up to `max_workers` workers.
    /// More never need less.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] if the size overflows.
    pub fn grouped_workspace(
        &self,
        problems: usize,
        rows: usize,
        max_workers: usize,
    ) -> Result<Workspace> {
        self.0.grouped_workspace(problems, rows, max_workers)
    }

    /// Runs the product. The results do not depend on the workers or the instruction set.
    ///
    /// # Errors
    /// [`Status::NullPointer`], [`Status::InvalidArgument`] (strides, counts, parameters),
    /// [`Status::BufferTooSmall`] (workspace), [`Status::Misaligned`], [`Status::Overlap`],
    /// [`Status::Unsupported`] (an output of [`Output::DynamicPerRow`]). Nothing is written then.
    ///
    /// # Safety
    /// The operands are as [`GemmRun`] says: `lhs` and the parameters can be read, `dst` and `workspace` written; each
    /// unless NULL.
    pub unsafe fn run_raw(&self, run: &GemmRun, parallel: &dyn Parallel) -> Result<()> {
        let whole = (0..run.rows, 0..self.0.out_features);
        // SAFETY: by this function's contract.
        unsafe { self.run_to(run, None, whole, parallel) }
    }

    /// Runs rows `range.0` and columns `range.1` of each matrix' product. The results do not depend on the range either.
    ///
    /// # Errors
    /// As [`run_raw`](Gemm::run_raw), and [`Status::InvalidArgument`] for ranges beyond rows and columns.
    ///
    /// # Safety
    /// As [`run_raw`](Gemm::run_raw), but that `dst` is written for rows and columns of the range only.
    pub unsafe fn run_range_raw(
        &self,
        run: &GemmRun,
        parallel: &dyn Parallel,
        range: (Range<usize>, Range<usize>),
    ) -> Result<()> {
        // SAFETY: by this function's contract.
        unsafe { self.run_to(run, None, range, parallel) }
    }

    /// Runs a product whose output is [`Output::DynamicPerRow`]. The parameters of row `r` of matrix `b` are number
    /// `b * rows + r`.
    ///
    /// # Errors
    /// As [`run_raw`](Gemm::run_raw); [`Status::Unsupported`] for plans with another output.
    ///
    /// # Safety
    /// As [`run_raw`](Gemm::run_raw); the places of parameters can be written for the rows of all matrices, unless NULL.
    pub unsafe fn run_dynamic_raw(
        &self,
        run: &GemmRun,
        params: &OutputParams,
        parallel: &dyn Parallel,
    ) -> Result<()> {
        let whole = (0..run.rows, 0..self.0.out_features);
        // SAFETY: by this function's contract.
        unsafe { self.run_to(run, Some(params), whole, parallel) }
    }

    /// Runs problems that share this plan, in one call: each the same, bit for bit, as a run of its own, whatever the
    /// others, their order and the workers. Several may meet the same matrix.
    ///
    /// # Errors
    /// As [`run_raw`](Gemm::run_raw), and [`Status::InvalidArgument`] for a matrix that is not there. The bytes from the
    /// first to the last element of a problem's `dst` must not overlap those of any other operand of any problem:
    /// [`Status::Overlap`].
    ///
    /// # Safety
    /// As [`run_raw`](Gemm::run_raw), for each problem; `workspace.0`, as
    /// [`grouped_workspace`](Gemm::grouped_workspace) asks for it, can be written for `workspace.1` bytes.
    pub unsafe fn run_grouped_raw(
        &self,
        problems: &[GemmProblem],
        workspace: (*mut u8, usize),
        parallel: &dyn Parallel,
    ) -> Result<()> {
        // SAFETY: by this function's contract.
        unsafe { self.run_groups(problems, None, workspace, parallel) }
    }

    /// As [`run_grouped_raw`](Gemm::run_grouped_raw), for a plan whose output is [`Output::DynamicPerRow`]. The rows'
    /// parameters are one behind the other, problem by problem: as many as the problems have rows together.
    ///
    /// # Errors
    /// As [`run_grouped_raw`](Gemm::run_grouped_raw); [`Status::Unsupported`] for plans with another output.
    ///
    /// # Safety
    /// As [`run_grouped_raw`](Gemm::run_grouped_raw); the places of parameters can be written for the rows of all
    /// problems, unless NULL.
    pub unsafe fn run_grouped_dynamic_raw(
        &self,
        problems: &[GemmProblem],
        params: &OutputParams,
        workspace: (*mut u8, usize),
        parallel: &dyn Parallel,
    ) -> Result<()> {
        // SAFETY: by this function's contract.
        unsafe { self.run_groups(problems, Some(params), workspace, parallel) }
    }

    /// A run of problems of any kind, with places for the parameters of the results or without.
    ///
    /// # Safety
    /// As [`run_grouped_raw`](Gemm::run_grouped_raw) and [`run_grouped_dynamic_raw`](Gemm::run_grouped_dynamic_raw).
    pub(super) unsafe fn run_groups<P: Problem>(
        &self,
        problems: &[P],
        params: Option<&OutputParams>,
        workspace: (*mut u8, usize),
        parallel: &dyn Parallel,
    ) -> Result<()> {
        // SAFETY: by this function's contract.
        unsafe { self.0.run_grouped_with(problems, params, workspace, parallel) }.map_err(named)
    }

    /// A run of all matrices, with places for the parameters of the results or without, or some rows and columns of it.
    ///
    /// # Safety
    /// As [`run_raw`](Gemm::run_raw) and [`run_dynamic_raw`](Gemm::run_dynamic_raw).
    unsafe fn run_to(
        &self,
        run: &GemmRun,
        params: Option<&OutputParams>,
        range: (Range<usize>, Range<usize>),
        parallel: &dyn Parallel,
    ) -> Result<()> {
        let rows = run.rows;
        let first = range.0.start;
        check_range("row", &range.0, rows)?;
        if range.0.is_empty() {
            return Ok(());
        }
        let given = Given {
            scales: (run.lhs_scales, run.lhs_scale_count),
            zero_points: (run.lhs_zero_points, run.lhs_zero_point_count),
        };
        // SAFETY: as many by this function's contract.
        let (scale_steps, zero_steps) =
            unsafe { given.check(self.lhs(), (rows, self.0.matrices)) }?;
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
        self.check_apart(&given, &batch, params, parallel)?;
        let all = given.by_row((scale_steps.row, zero_steps.row));
        let given = |matrix: usize| {
            let at = |steps: Steps| matrix * steps.matrix + first * steps.row;
            all.moved(at(scale_steps), at(zero_steps))
        };
        // SAFETY: by this function's contract; the parameters are as many as the steps reach.
        unsafe { self.0.run_batch_with(&batch, &given, params, range, parallel) }.map_err(named)
    }

    /// Refuses parameters within what a run writes.
    fn check_apart(
        &self,
        given: &Given,
        batch: &LinearBatch,
        params: Option<&OutputParams>,
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
        let [scales, zero_points] = given.ranges();
        for written in [
            MemoryRange::new("dst", batch.y, dst_bytes),
            MemoryRange::new("workspace", batch.workspace, memory),
        ] {
            forbid_overlap(scales, written)?;
            forbid_overlap(zero_points, written)?;
        }
        if let Some(params) = params {
            self.0.check_places(true).map_err(named)?;
            let rows = batch.rows.saturating_mul(count);
            params.check(self.0.output, rows, &[scales, zero_points])?;
        }
        Ok(())
    }
}

/// Parameters that come with rows, each with its count.
struct Given {
    scales: (*const f32, usize),
    zero_points: (*const i32, usize),
}

impl Given {
    /// Checks them for `rows` rows of each of `matrices` matrices, and tells how they are walked. No zero point may be
    /// other than a code: the proof of the bound is for these.
    ///
    /// # Safety
    /// Both can be read for their counts, unless NULL.
    unsafe fn check(&self, format: IntFormat, shape: (usize, usize)) -> Result<(Steps, Steps)> {
        let scale_steps = steps(["lhs_scales", "lhs_scale_count"], self.scales, shape)?;
        let names = ["lhs_zero_points", "lhs_zero_point_count"];
        let zero_steps = steps(names, self.zero_points, shape)?;
        // -1 and +1 have no code between them.
        let (qmin, qmax) = match format {
            IntFormat::B1 => (0, 0),
            _ => (format.qmin(), format.qmax()),
        };
        for index in 0..self.zero_points.1 {
            // SAFETY: as many by this function's contract.
            let zero_point = unsafe { self.zero_points.0.add(index).read() };
            if zero_point < qmin || zero_point > qmax {
                return Err(bad_zero_point("lhs_zero_points", zero_point, format));
            }
        }
        for index in 0..self.scales.1 {
            // SAFETY: as above.
            let scale = unsafe { self.scales.0.add(index).read() };
            if !(scale > 0.0 && scale < f32::INFINITY) {
                return Err(bad_scale("lhs_scales", scale));
            }
        }
        Ok((scale_steps, zero_steps))
    }

    /// What they cover.
    fn ranges(&self) -> [MemoryRange; 2] {
        [
            MemoryRange::new("lhs_scales", self.scales.0, self.scales.1.saturating_mul(4)),
            MemoryRange::new(
                "lhs_zero_points",
                self.zero_points.0,
                self.zero_points.1.saturating_mul(4),
            ),
        ]
    }

    /// The rows' parameters, so far apart.
    fn by_row(&self, (scale_step, zero_point_step): (usize, usize)) -> RowParams {
        RowParams {
            scales: if self.scales.1 == 0 { null() } else { self.scales.0 },
            scale_step,
            zero_points: if self.zero_points.1 == 0 { null() } else { self.zero_points.0 },
            zero_point_step,
        }
    }
}

/// Checks an array of parameters, and tells how it is walked.
fn steps<T>(
    [name, count_name]: [&'static str; 2],
    (values, count): (*const T, usize),
    (rows, matrices): (usize, usize),
) -> Result<Steps> {
    if count > 0 && values.is_null() {
        return Err(Error::new(Status::NullPointer, name, "is NULL"));
    }
    if count > 0 && !values.is_aligned() {
        let text = "is not aligned to {} bytes";
        return Err(Error::new(Status::Misaligned, name, text).with(align_of::<T>()));
    }
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

impl GemmProblem {
    fn parameters(&self) -> Given {
        Given {
            scales: (self.lhs_scales, self.lhs_scale_count),
            zero_points: (self.lhs_zero_points, self.lhs_zero_point_count),
        }
    }
}

impl Problem for GemmProblem {
    fn operands(&self) -> LinearProblem {
        LinearProblem {
            matrix: self.matrix,
            rows: self.rows,
            x: self.lhs,
            x_stride: self.lhs_stride,
            residual: null(),
            residual_stride: 0,
            y: self.dst,
            y_stride: self.dst_stride,
        }
    }

    fn given(&self) -> RowParams {
        let step = |count: usize| if count > 1 { 1 } else { 0 };
        self.parameters().by_row((step(self.lhs_scale_count), step(self.lhs_zero_point_count)))
    }

    fn given_ranges(&self) -> [MemoryRange; 2] {
        self.parameters().ranges()
    }

    unsafe fn check(&self, plan: &Linear<'_>) -> Result<()> {
        // SAFETY: by this function's contract.
        unsafe { self.parameters().check(plan.input.format(), (self.rows, 1)) }.map(|_| ())
    }
}

/// A product as the layer that computes it.
fn linear<'a>(desc: &GemmDesc<'a>) -> LinearDesc<'a> {
    let mut weights = desc.rhs;
    if weights.scales.is_empty() {
        weights.scales = &[1.0];
    }
    LinearDesc {
        in_features: desc.k,
        out_features: desc.n,
        weights,
        layout: desc.rhs_layout,
        weight_stride: desc.rhs_stride,
        input: match desc.lhs {
            IntFormat::S8 => Input::CodesPerRow(Code::S8),
            IntFormat::U8 => Input::CodesPerRow(Code::U8),
            format => Input::PackedPerRow(format),
        },
        bias: desc.bias,
        output: desc.output,
        activation: desc.activation,
        activation_mode: desc.activation_mode,
        residual: Residual::None,
        matrices: desc.matrices,
        matrix_stride: desc.matrix_stride,
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
    const NAMES: [(&str, &str); 15] = [
        ("linear", "gemm"),
        ("desc.in_features", "desc.k"),
        ("desc.out_features", "desc.n"),
        ("desc.input", "desc.lhs"),
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
