//! Runs of linear layers on slices: nothing that a caller must vouch for.

use super::grouped::Problem;
use super::{Linear, LinearBatch, LinearProblem, LinearRun};
use crate::memory::Plain;
use crate::plan::{Operand, Shape, View, ViewMut, places};
use crate::{Parallel, Result};
use core::marker::PhantomData;
use core::ops::Range;

/// Places for the scales and zero points that results choose, of an output that is
/// [`DynamicPerRow`](crate::Output::DynamicPerRow).
pub(super) type Places<'a> = (&'a mut [f32], &'a mut [i32]);

/// Rows that meet one of a plan's matrices, in slices: what [`Linear::run_grouped`] takes a list of.
#[derive(Debug)]
pub struct LinearGroup<'a> {
    /// The operands; their strides only while a plan runs.
    problem: LinearProblem,
    x: Operand,
    residual: Operand,
    y: Operand,
    borrowed: PhantomData<(&'a [u8], &'a mut [u8])>,
}

impl<'a> LinearGroup<'a> {
    /// `rows` rows of K elements, which meet matrix number `matrix`, and of N results. (Matrix strides are not used.)
    pub fn new<X: Plain, Y: Plain>(
        matrix: usize,
        rows: usize,
        x: View<'a, X>,
        mut y: ViewMut<'a, Y>,
    ) -> LinearGroup<'a> {
        LinearGroup {
            problem: LinearProblem {
                matrix,
                rows,
                x: x.at(),
                x_stride: 0,
                residual: View::NONE.at(),
                residual_stride: 0,
                y: y.at(),
                y_stride: 0,
            },
            x: x.operand(),
            residual: View::NONE.operand(),
            y: y.operand(),
            borrowed: PhantomData,
        }
    }

    /// With `rows` rows of N residuals, for a plan that has them.
    pub fn residual<R: Plain>(mut self, residual: View<'a, R>) -> LinearGroup<'a> {
        self.problem.residual = residual.at();
        self.residual = residual.operand();
        self
    }

    /// Checks the slices, and takes their strides, for a plan.
    fn settle(&mut self, plan: &Linear<'_>) -> Result<()> {
        let rows = self.problem.rows;
        if rows == 0 {
            return Ok(());
        }
        let (read, written) = plan.shapes(rows, 1);
        self.x.check("x", read, plan.input.element_size())?;
        self.y.check("y", written, plan.output.element_size())?;
        self.residual.check("residual", written, plan.residual.element_size())?;
        (self.problem.x_stride, _) = plan.codes_of(self.x.strides(read));
        (self.problem.y_stride, _) = self.y.strides(written);
        (self.problem.residual_stride, _) = self.residual.strides(written);
        Ok(())
    }
}

impl Problem for LinearGroup<'_> {
    fn operands(&self) -> LinearProblem {
        self.problem
    }
}

impl Linear<'_> {
    /// Runs the layer on slices: `x` holds `rows` rows of K elements of the input's type, `y` as many of N of the output's,
    /// without gaps.
    ///
    /// # Errors
    /// As [`run_raw`](Linear::run_raw), [`Status::InvalidArgument`](crate::Status::InvalidArgument) for elements of another
    /// size, and [`Status::BufferTooSmall`](crate::Status::BufferTooSmall) for the slices.
    pub fn run<X: Plain, Y: Plain>(
        &self,
        rows: usize,
        x: &[X],
        workspace: &mut [u8],
        parallel: &dyn Parallel,
        y: &mut [Y],
    ) -> Result<()> {
        self.run_with_residual::<X, u8, Y>(rows, x, &[], workspace, parallel, y)
    }

    /// As [`run`](Linear::run) for a plan with a residual: `residual` holds `rows` contiguous rows of N elements.
    ///
    /// # Errors
    /// As [`run`](Linear::run).
    pub fn run_with_residual<X: Plain, R: Plain, Y: Plain>(
        &self,
        rows: usize,
        x: &[X],
        residual: &[R],
        workspace: &mut [u8],
        parallel: &dyn Parallel,
        y: &mut [Y],
    ) -> Result<()> {
        let (x, residual, y) = (View::new(x), View::new(residual), ViewMut::new(y));
        let whole = (0..rows, 0..self.out_features);
        self.run_range(rows, x, residual, workspace, parallel, y, whole)
    }

    /// Runs rows `range.0` and columns `range.1` of a call of `rows` rows, which may have gaps. Without a residual in the
    /// plan it is [`View::NONE`].
    ///
    /// # Errors
    /// As [`run`](Linear::run).
    #[allow(clippy::too_many_arguments, reason = "each is one of the call's operands")]
    pub fn run_range<X: Plain, R: Plain, Y: Plain>(
        &self,
        rows: usize,
        x: View<'_, X>,
        residual: View<'_, R>,
        workspace: &mut [u8],
        parallel: &dyn Parallel,
        y: ViewMut<'_, Y>,
        range: (Range<usize>, Range<usize>),
    ) -> Result<()> {
        let run = self.sliced(rows, x, residual, workspace, y)?;
        // SAFETY: the slices hold `rows` rows so far apart, and elements of the right size.
        unsafe { self.run_raw(&run, parallel, range) }
    }

    /// Runs a plan whose output is [`Output::DynamicPerRow`](crate::Output::DynamicPerRow): as
    /// [`run_with_residual`](Linear::run_with_residual), whose residual is not looked at without one in the plan; and
    /// each row's scale and zero point are written too, the first `rows` of each.
    ///
    /// # Errors
    /// As [`run_dynamic_raw`](Linear::run_dynamic_raw), and for the slices as [`run`](Linear::run).
    #[allow(clippy::too_many_arguments, reason = "each is one of the call's operands")]
    pub fn run_dynamic<X: Plain, R: Plain, Y: Plain>(
        &self,
        rows: usize,
        x: &[X],
        residual: &[R],
        workspace: &mut [u8],
        parallel: &dyn Parallel,
        y: &mut [Y],
        params: Places<'_>,
    ) -> Result<()> {
        let (x, residual, y) = (View::new(x), View::new(residual), ViewMut::new(y));
        let run = self.sliced(rows, x, residual, workspace, y)?;
        let params = places(params, rows)?;
        // SAFETY: all slices hold `rows` contiguous rows, of elements of the right size, or values.
        unsafe { self.run_dynamic_raw(&run, &params, parallel, 0..rows) }
    }

    /// Runs every matrix of the plan on its `rows` rows: the same results, bit for bit, as a plan of each matrix gives.
    /// Without a residual in the plan it is [`View::NONE`].
    ///
    /// ```
    /// use fewbit::memory::Allocator;
    /// use fewbit::scheme::{QuantParams, RealFormat};
    /// use fewbit::{
    ///     Activation, ActivationMode, Bias, Code, Input, Linear, LinearDesc, LinearGroup, LinearLayout, Output, Residual,
    ///     Serial, View, ViewMut, Weights, dispatch,
    /// };
    ///
    /// // Two matrices of 2 x 3 weights, and codes in.
    /// let weights = [1i8, 2, 3, -1, -2, -3, 4, 5, 6, -4, -5, -6].map(|code| code as u8);
    /// let plan = Linear::create(
    ///     &LinearDesc {
    ///         in_features: 3,
    ///         out_features: 2,
    ///         weights: Weights {
    ///             format: Code::S8.format(),
    ///             codes: &weights,
    ///             scales: &[0.5],
    ///             zero_points: &[],
    ///             block: 0,
    ///             multipliers: &[],
    ///             shifts: &[],
    ///         },
    ///         layout: LinearLayout::Nk,
    ///         weight_stride: 0,
    ///         input: Input::Codes(Code::U8, QuantParams { scale: 1.0, zero_point: 0 }),
    ///         bias: Bias::None,
    ///         output: Output::Real(RealFormat::F32),
    ///         activation: Activation::None,
    ///         activation_mode: ActivationMode::Float,
    ///         residual: Residual::None,
    ///         matrices: 2,
    ///         matrix_stride: 0,
    ///     },
    ///     dispatch::supported()?,
    ///     &Allocator::DEFAULT,
    /// )?;
    ///
    /// // Both matrices meet the same row.
    /// let mut memory = vec![0u8; plan.batch_workspace(1, 1)?.size + 64];
    /// let start = memory.as_ptr().align_offset(64);
    /// let workspace = &mut memory[start..];
    /// let (x, mut y) = ([1u8, 1, 2], [0f32; 4]);
    /// let rows = View::new(&x).matrix_stride(0);
    /// plan.run_batch(1, rows, View::NONE, workspace, &Serial, ViewMut::new(&mut y))?;
    /// assert_eq!(y, [4.5, -4.5, 10.5, -10.5]);
    ///
    /// // Three rows for the second, none for the first.
    /// let (x, mut y) = ([2u8; 9], [0f32; 6]);
    /// let mut memory = vec![0u8; plan.grouped_workspace(2, 3, 1)?.size + 64];
    /// let start = memory.as_ptr().align_offset(64);
    /// let mut groups = [
    ///     LinearGroup::new(0, 0, View::NONE, ViewMut::new(&mut [0f32; 0])),
    ///     LinearGroup::new(1, 3, View::new(&x), ViewMut::new(&mut y)),
    /// ];
    /// plan.run_grouped(&mut groups, &mut memory[start..], &Serial)?;
    /// assert_eq!(y, [15.0, -15.0, 15.0, -15.0, 15.0, -15.0]);
    /// # Ok::<(), fewbit::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`run_batch_raw`](Linear::run_batch_raw), and for the slices as [`run`](Linear::run).
    pub fn run_batch<X: Plain, R: Plain, Y: Plain>(
        &self,
        rows: usize,
        x: View<'_, X>,
        residual: View<'_, R>,
        workspace: &mut [u8],
        parallel: &dyn Parallel,
        y: ViewMut<'_, Y>,
    ) -> Result<()> {
        let batch = self.sliced_batch((rows, self.matrices), x, residual, workspace, y)?;
        // SAFETY: the slices hold the rows of all matrices so far apart, and elements of the right size.
        unsafe { self.run_batch_raw(&batch, parallel) }
    }

    /// As [`run_batch`](Linear::run_batch), for a plan whose output is
    /// [`Output::DynamicPerRow`](crate::Output::DynamicPerRow). The parameters of row `r` of matrix `b` are number
    /// `b * rows + r`.
    ///
    /// # Errors
    /// As [`run_batch_dynamic_raw`](Linear::run_batch_dynamic_raw), and for the slices as [`run`](Linear::run).
    #[allow(clippy::too_many_arguments, reason = "each is one of the call's operands")]
    pub fn run_batch_dynamic<X: Plain, R: Plain, Y: Plain>(
        &self,
        rows: usize,
        x: View<'_, X>,
        residual: View<'_, R>,
        workspace: &mut [u8],
        parallel: &dyn Parallel,
        y: ViewMut<'_, Y>,
        params: Places<'_>,
    ) -> Result<()> {
        let batch = self.sliced_batch((rows, self.matrices), x, residual, workspace, y)?;
        let params = places(params, rows.saturating_mul(self.matrices))?;
        // SAFETY: as in `run_batch`; a place of each kind a row.
        unsafe { self.run_batch_dynamic_raw(&batch, &params, parallel) }
    }

    /// Runs groups of rows, each with one of the plan's matrices, in one call: each the same, bit for bit, as a run of its
    /// own. Several may meet the same matrix. `workspace` is as [`grouped_workspace`](Linear::grouped_workspace) asks for.
    ///
    /// # Errors
    /// As [`run_grouped_raw`](Linear::run_grouped_raw), and for the slices as [`run`](Linear::run).
    pub fn run_grouped(
        &self,
        groups: &mut [LinearGroup<'_>],
        workspace: &mut [u8],
        parallel: &dyn Parallel,
    ) -> Result<()> {
        groups.iter_mut().try_for_each(|group| group.settle(self))?;
        let workspace = (workspace.as_mut_ptr(), workspace.len());
        // SAFETY: the slices hold each group's rows so far apart, and elements of the right size.
        unsafe { self.run_grouped_with(groups, None, workspace, parallel) }
    }

    /// As [`run_grouped`](Linear::run_grouped), for a plan whose output is
    /// [`Output::DynamicPerRow`](crate::Output::DynamicPerRow). The rows' parameters are one behind the other, group by
    /// group.
    ///
    /// # Errors
    /// As [`run_grouped_dynamic_raw`](Linear::run_grouped_dynamic_raw), and for the slices as [`run`](Linear::run).
    pub fn run_grouped_dynamic(
        &self,
        groups: &mut [LinearGroup<'_>],
        workspace: &mut [u8],
        parallel: &dyn Parallel,
        params: Places<'_>,
    ) -> Result<()> {
        groups.iter_mut().try_for_each(|group| group.settle(self))?;
        let rows = groups.iter().fold(0, |sum: usize, g| sum.saturating_add(g.problem.rows));
        let params = places(params, rows)?;
        let workspace = (workspace.as_mut_ptr(), workspace.len());
        // SAFETY: as in `run_grouped`; a place of each kind a row.
        unsafe { self.run_grouped_with(groups, Some(&params), workspace, parallel) }
    }

    /// What `matrices` products of `rows` rows read and write, in elements: of packed codes in bytes.
    pub(super) fn shapes(&self, rows: usize, matrices: usize) -> (Shape, Shape) {
        let elements = self.in_features.div_ceil(self.input.per_element());
        ((matrices, rows, elements), (matrices, rows, self.out_features))
    }

    /// Distances of rows and matrices in codes, of those in elements.
    pub(super) fn codes_of(&self, (row, matrix): (usize, usize)) -> (usize, usize) {
        let codes = self.input.per_element();
        (row.saturating_mul(codes), matrix.saturating_mul(codes))
    }

    /// A run on slices, which are checked.
    fn sliced<X: Plain, R: Plain, Y: Plain>(
        &self,
        rows: usize,
        x: View<'_, X>,
        residual: View<'_, R>,
        workspace: &mut [u8],
        y: ViewMut<'_, Y>,
    ) -> Result<LinearRun> {
        let batch = self.sliced_batch((rows, 1), x, residual, workspace, y)?;
        Ok(LinearRun {
            rows,
            x: batch.x,
            x_stride: batch.x_stride,
            residual: batch.residual,
            residual_stride: batch.residual_stride,
            workspace: batch.workspace,
            workspace_size: batch.workspace_size,
            y: batch.y,
            y_stride: batch.y_stride,
        })
    }

    /// A batch of some matrices on slices, which are checked.
    fn sliced_batch<X: Plain, R: Plain, Y: Plain>(
        &self,
        (rows, matrices): (usize, usize),
        x: View<'_, X>,
        residual: View<'_, R>,
        workspace: &mut [u8],
        mut y: ViewMut<'_, Y>,
    ) -> Result<LinearBatch> {
        let (read, written) = self.shapes(rows, matrices);
        x.operand().check("x", read, self.input.element_size())?;
        y.operand().check("y", written, self.output.element_size())?;
        residual.operand().check("residual", written, self.residual.element_size())?;
        let (x_stride, x_batch_stride) = self.codes_of(x.operand().strides(read));
        let (y_stride, y_batch_stride) = y.operand().strides(written);
        let (residual_stride, residual_batch_stride) = residual.operand().strides(written);
        Ok(LinearBatch {
            rows,
            x: x.at(),
            x_stride,
            x_batch_stride,
            residual: residual.at(),
            residual_stride,
            residual_batch_stride,
            y: y.at(),
            y_stride,
            y_batch_stride,
            workspace: workspace.as_mut_ptr(),
            workspace_size: workspace.len(),
        })
    }
}
