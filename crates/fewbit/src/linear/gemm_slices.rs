//! Runs of products on slices: nothing that a caller must vouch for.

use super::grouped::Problem;
use super::slices::Places;
use super::{Gemm, GemmProblem, GemmRun, Linear, LinearProblem, RowParams};
use crate::memory::Plain;
use crate::plan::{MemoryRange, Operand, View, ViewMut, places};
use crate::{Parallel, Result};
use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::null;

/// Rows of codes that meet one of a plan's matrices, in slices: what [`Gemm::run_grouped`] takes a list of.
#[derive(Debug)]
pub struct GemmGroup<'a> {
    /// The operands; their strides only while a plan runs.
    problem: GemmProblem,
    lhs: Operand,
    dst: Operand,
    borrowed: PhantomData<(&'a [u8], &'a mut [u8])>,
}

impl<'a> GemmGroup<'a> {
    /// `rows` rows of K codes, which meet matrix number `matrix`, and of N results. (Matrix strides are not used.) Their
    /// scales are 1 and their zero points 0.
    pub fn new<L: Plain, D: Plain>(
        matrix: usize,
        rows: usize,
        lhs: View<'a, L>,
        mut dst: ViewMut<'a, D>,
    ) -> GemmGroup<'a> {
        GemmGroup {
            problem: GemmProblem {
                matrix,
                rows,
                lhs: lhs.at(),
                lhs_stride: 0,
                lhs_scales: null(),
                lhs_scale_count: 0,
                lhs_zero_points: null(),
                lhs_zero_point_count: 0,
                dst: dst.at(),
                dst_stride: 0,
            },
            lhs: lhs.operand(),
            dst: dst.operand(),
            borrowed: PhantomData,
        }
    }

    /// With scales: none (all 1), one for all rows, or one a row.
    pub fn scales(mut self, scales: &'a [f32]) -> GemmGroup<'a> {
        self.problem.lhs_scales = scales.as_ptr();
        self.problem.lhs_scale_count = scales.len();
        self
    }

    /// With zero points: none (all 0), one for all rows, or one a row.
    pub fn zero_points(mut self, zero_points: &'a [i32]) -> GemmGroup<'a> {
        self.problem.lhs_zero_points = zero_points.as_ptr();
        self.problem.lhs_zero_point_count = zero_points.len();
        self
    }

    /// Checks the slices, and takes their strides, for a plan.
    fn settle(&mut self, plan: &Gemm<'_>) -> Result<()> {
        let rows = self.problem.rows;
        if rows == 0 {
            return Ok(());
        }
        let (read, written) = plan.0.shapes(rows, 1);
        self.lhs.check("lhs", read, 1)?;
        self.dst.check("dst", written, plan.output().element_size())?;
        (self.problem.lhs_stride, _) = plan.0.codes_of(self.lhs.strides(read));
        (self.problem.dst_stride, _) = self.dst.strides(written);
        Ok(())
    }
}

impl Problem for GemmGroup<'_> {
    fn operands(&self) -> LinearProblem {
        self.problem.operands()
    }

    fn given(&self) -> RowParams {
        self.problem.given()
    }

    fn given_ranges(&self) -> [MemoryRange; 2] {
        self.problem.given_ranges()
    }

    unsafe fn check(&self, plan: &Linear<'_>) -> Result<()> {
        // SAFETY: by this function's contract.
        unsafe { self.problem.check(plan) }
    }
}

impl Gemm<'_> {
    /// Runs the product of every matrix of the plan with its `rows` rows. `scales` and `zero_points` are those of the rows,
    /// and as many as [`GemmRun`] says: none (1 and 0), one for all, one a row, or one a row of each matrix.
    ///
    /// ```
    /// use fewbit::memory::Allocator;
    /// use fewbit::{
    ///     Activation, ActivationMode, Bias, Code, Gemm, GemmDesc, GemmGroup, LinearLayout, Output, Serial, View, ViewMut,
    ///     Weights, dispatch,
    /// };
    ///
    /// // [K, N] = [3, 2], as MatMulInteger has it.
    /// let rhs = [1u8, 2, 3, 4, 5, 6];
    /// let plan = Gemm::create(
    ///     &GemmDesc {
    ///         n: 2,
    ///         k: 3,
    ///         lhs: Code::U8.format(),
    ///         rhs: Weights {
    ///             format: Code::U8.format(),
    ///             codes: &rhs,
    ///             scales: &[],
    ///             zero_points: &[3],
    ///             block: 0,
    ///             multipliers: &[],
    ///             shifts: &[],
    ///         },
    ///         rhs_layout: LinearLayout::Kn,
    ///         rhs_stride: 0,
    ///         matrices: 1,
    ///         matrix_stride: 0,
    ///         bias: Bias::None,
    ///         output: Output::S32,
    ///         activation: Activation::None,
    ///         activation_mode: ActivationMode::Float,
    ///     },
    ///     dispatch::supported()?,
    ///     &Allocator::DEFAULT,
    /// )?;
    ///
    /// let mut memory = vec![0u8; plan.workspace(2, 1)?.size + 64];
    /// let start = memory.as_ptr().align_offset(64);
    /// let (lhs, mut sums) = ([10u8, 20, 30, 1, 2, 3], [0i32; 4]);
    /// let (rows, to) = (View::new(&lhs), ViewMut::new(&mut sums));
    /// plan.run(2, rows, &[], &[10, 0], &mut memory[start..], &Serial, to)?;
    /// assert_eq!(sums, [40, 70, 4, 10]);
    ///
    /// // The same rows, apart, in one call.
    /// let mut memory = vec![0u8; plan.grouped_workspace(2, 2, 1)?.size + 64];
    /// let start = memory.as_ptr().align_offset(64);
    /// let (mut first, mut second) = ([0i32; 2], [0i32; 2]);
    /// let mut groups = [
    ///     GemmGroup::new(0, 1, View::new(&lhs[..3]), ViewMut::new(&mut first)).zero_points(&[10]),
    ///     GemmGroup::new(0, 1, View::new(&lhs[3..]), ViewMut::new(&mut second)),
    /// ];
    /// plan.run_grouped(&mut groups, &mut memory[start..], &Serial)?;
    /// assert_eq!((first, second), ([40, 70], [4, 10]));
    /// # Ok::<(), fewbit::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`run_raw`](Gemm::run_raw), [`Status::InvalidArgument`](crate::Status::InvalidArgument) for elements of another
    /// size, and [`Status::BufferTooSmall`](crate::Status::BufferTooSmall) for the slices.
    #[allow(clippy::too_many_arguments, reason = "each is one of the call's operands")]
    pub fn run<L: Plain, D: Plain>(
        &self,
        rows: usize,
        lhs: View<'_, L>,
        scales: &[f32],
        zero_points: &[i32],
        workspace: &mut [u8],
        parallel: &dyn Parallel,
        dst: ViewMut<'_, D>,
    ) -> Result<()> {
        let run = self.sliced(rows, lhs, (scales, zero_points), workspace, dst)?;
        // SAFETY: the slices hold the rows of all matrices so far apart, and elements of the right size.
        unsafe { self.run_raw(&run, parallel) }
    }

    /// Runs rows `range.0` and columns `range.1` of what [`run`](Gemm::run) does.
    ///
    /// # Errors
    /// As [`run_range_raw`](Gemm::run_range_raw), and for the slices as [`run`](Gemm::run).
    #[allow(clippy::too_many_arguments, reason = "each is one of the call's operands")]
    pub fn run_range<L: Plain, D: Plain>(
        &self,
        rows: usize,
        lhs: View<'_, L>,
        scales: &[f32],
        zero_points: &[i32],
        workspace: &mut [u8],
        parallel: &dyn Parallel,
        dst: ViewMut<'_, D>,
        range: (Range<usize>, Range<usize>),
    ) -> Result<()> {
        let run = self.sliced(rows, lhs, (scales, zero_points), workspace, dst)?;
        // SAFETY: as in `run`.
        unsafe { self.run_range_raw(&run, parallel, range) }
    }

    /// As [`run`](Gemm::run), for a plan whose output is [`Output::DynamicPerRow`](crate::Output::DynamicPerRow). The
    /// chosen scale and zero point of row `r` of matrix `b` are number `b * rows + r`.
    ///
    /// # Errors
    /// As [`run_dynamic_raw`](Gemm::run_dynamic_raw), and for the slices as [`run`](Gemm::run).
    #[allow(clippy::too_many_arguments, reason = "each is one of the call's operands")]
    pub fn run_dynamic<L: Plain, D: Plain>(
        &self,
        rows: usize,
        lhs: View<'_, L>,
        scales: &[f32],
        zero_points: &[i32],
        workspace: &mut [u8],
        parallel: &dyn Parallel,
        dst: ViewMut<'_, D>,
        chosen: Places<'_>,
    ) -> Result<()> {
        let run = self.sliced(rows, lhs, (scales, zero_points), workspace, dst)?;
        let params = places(chosen, rows.saturating_mul(self.matrices()))?;
        // SAFETY: as in `run`; a place of each kind a row.
        unsafe { self.run_dynamic_raw(&run, &params, parallel) }
    }

    /// Runs groups of rows, each with one of the plan's matrices, in one call: each the same, bit for bit, as a run of its
    /// own. Several may meet the same matrix. `workspace` is as [`grouped_workspace`](Gemm::grouped_workspace) asks for.
    ///
    /// # Errors
    /// As [`run_grouped_raw`](Gemm::run_grouped_raw), and for the slices as [`run`](Gemm::run).
    pub fn run_grouped(
        &self,
        groups: &mut [GemmGroup<'_>],
        workspace: &mut [u8],
        parallel: &dyn Parallel,
    ) -> Result<()> {
        groups.iter_mut().try_for_each(|group| group.settle(self))?;
        let workspace = (workspace.as_mut_ptr(), workspace.len());
        // SAFETY: the slices hold each group's rows so far apart, and elements of the right size.
        unsafe { self.run_groups(groups, None, workspace, parallel) }
    }

    /// As [`run_grouped`](Gemm::run_grouped), for a plan whose output is
    /// [`Output::DynamicPerRow`](crate::Output::DynamicPerRow). The rows' parameters are one behind the other, group by
    /// group.
    ///
    /// # Errors
    /// As [`run_grouped_dynamic_raw`](Gemm::run_grouped_dynamic_raw), and for the slices as [`run`](Gemm::run).
    pub fn run_grouped_dynamic(
        &self,
        groups: &mut [GemmGroup<'_>],
        workspace: &mut [u8],
        parallel: &dyn Parallel,
        chosen: Places<'_>,
    ) -> Result<()> {
        groups.iter_mut().try_for_each(|group| group.settle(self))?;
        let rows = groups.iter().fold(0, |sum: usize, g| sum.saturating_add(g.problem.rows));
        let params = places(chosen, rows)?;
        let workspace = (workspace.as_mut_ptr(), workspace.len());
        // SAFETY: as in `run_grouped`; a place of each kind a row.
        unsafe { self.run_groups(groups, Some(&params), workspace, parallel) }
    }

    /// A run on slices, which are checked.
    fn sliced<L: Plain, D: Plain>(
        &self,
        rows: usize,
        lhs: View<'_, L>,
        (scales, zero_points): (&[f32], &[i32]),
        workspace: &mut [u8],
        mut dst: ViewMut<'_, D>,
    ) -> Result<GemmRun> {
        let (read, written) = self.0.shapes(rows, self.matrices());
        lhs.operand().check("lhs", read, 1)?;
        dst.operand().check("dst", written, self.output().element_size())?;
        let (lhs_stride, lhs_batch_stride) = self.0.codes_of(lhs.operand().strides(read));
        let (dst_stride, dst_batch_stride) = dst.operand().strides(written);
        Ok(GemmRun {
            rows,
            lhs: lhs.at(),
            lhs_stride,
            lhs_batch_stride,
            lhs_scales: scales.as_ptr(),
            lhs_scale_count: scales.len(),
            lhs_zero_points: zero_points.as_ptr(),
            lhs_zero_point_count: zero_points.len(),
            workspace: workspace.as_mut_ptr(),
            workspace_size: workspace.len(),
            dst: dst.at(),
            dst_stride,
            dst_batch_stride,
        })
    }
}
