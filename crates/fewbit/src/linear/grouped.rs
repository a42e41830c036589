//! Groups of rows in one run, each with one of the plan's matrices: a mixture of experts.

use super::{Linear, LinearRun, Product, RowParams, matrix_bytes};
use crate::memory::ALIGNMENT;
use crate::plan::{
    Carver, MemoryRange, OutputParams, Residual, Workspace, check_residual_range, check_workspace,
    forbid_overlap,
};
use crate::{Error, Parallel, Result, Status};
use core::ptr::{null, null_mut};

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
    /// Distance of the rows of `x`, at least K; of packed codes in codes, a multiple of those in a byte.
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

/// Rows of codes that meet one of a [`Gemm`](super::Gemm)'s matrices, with their parameters. Layout-compatible with the C
/// ABI's `fewbit_gemm_problem`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct GemmProblem {
    /// Which matrix.
    pub matrix: usize,
    /// M; with 0 nothing else is looked at.
    pub rows: usize,
    /// M rows of K codes.
    pub lhs: *const u8,
    /// Distance of the rows, at least K.
    pub lhs_stride: usize,
    /// Scales of the rows, finite and greater than 0. Not used for S32 output.
    pub lhs_scales: *const f32,
    /// 0: all 1; 1: one for all; M: one a row.
    pub lhs_scale_count: usize,
    /// Zero points of the rows, codes of the lhs.
    pub lhs_zero_points: *const i32,
    /// 0: all 0; otherwise as for the scales.
    pub lhs_zero_point_count: usize,
    /// M rows of N elements.
    pub dst: *mut u8,
    /// Distance of the rows, at least N.
    pub dst_stride: usize,
}

/// A group of rows, as its caller describes it.
pub(super) trait Problem {
    /// The operands.
    fn operands(&self) -> LinearProblem;

    /// The rows' parameters, if they come along.
    fn given(&self) -> RowParams {
        RowParams::NONE
    }

    /// What the parameters cover.
    fn given_ranges(&self) -> [MemoryRange; 2] {
        let none = |name| MemoryRange::new(name, null::<u8>(), 0);
        [none("lhs_scales"), none("lhs_zero_points")]
    }

    /// Checks all but the operands.
    ///
    /// # Safety
    /// Parameters can be read for their counts, unless NULL.
    unsafe fn check(&self, _plan: &Linear<'_>) -> Result<()> {
        Ok(())
    }
}

impl Problem for LinearProblem {
    fn operands(&self) -> LinearProblem {
        *self
    }
}

/// The smallest range that holds two.
fn hull(a: Option<MemoryRange>, b: MemoryRange) -> Option<MemoryRange> {
    let Some(a) = a else { return Some(b) };
    let begin = a.begin.min(b.begin);
    let end = a.begin.saturating_add(a.bytes).max(b.begin.saturating_add(b.bytes));
    Some(MemoryRange { begin, bytes: end - begin, ..a })
}

impl Linear<'_> {
    /// What a run of up to `problems` problems, of up to `rows` rows together, needs on up to `max_workers` workers. More
    /// never need less.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] if the size overflows.
    #[inline(never)]
    pub fn grouped_workspace(
        &self,
        problems: usize,
        rows: usize,
        max_workers: usize,
    ) -> Result<Workspace> {
        let mut carver = Carver::new(null_mut());
        self.carve_many(&mut carver, problems, rows, max_workers)?;
        Ok(Workspace { size: carver.used(), align: ALIGNMENT })
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
    pub unsafe fn run_grouped_raw(
        &self,
        problems: &[LinearProblem],
        workspace: (*mut u8, usize),
        parallel: &dyn Parallel,
    ) -> Result<()> {
        // SAFETY: by this function's contract.
        unsafe { self.run_grouped_with(problems, None, workspace, parallel) }
    }

    /// As [`run_grouped_raw`](Linear::run_grouped_raw), for a plan whose output is
    /// [`Output::DynamicPerRow`](crate::Output::DynamicPerRow). The rows' parameters are one behind the other, problem by
    /// problem: as many as the problems have rows together.
    ///
    /// # Errors
    /// As [`run_grouped_raw`](Linear::run_grouped_raw); [`Status::Unsupported`] for plans with another output.
    ///
    /// # Safety
    /// As [`run_grouped_raw`](Linear::run_grouped_raw); the places of parameters can be written for the rows of all
    /// problems, unless NULL.
    pub unsafe fn run_grouped_dynamic_raw(
        &self,
        problems: &[LinearProblem],
        params: &OutputParams,
        workspace: (*mut u8, usize),
        parallel: &dyn Parallel,
    ) -> Result<()> {
        // SAFETY: by this function's contract.
        unsafe { self.run_grouped_with(problems, Some(params), workspace, parallel) }
    }

    /// Both of the above, for problems of any kind.
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn run_grouped_with<P: Problem>(
        &self,
        problems: &[P],
        params: Option<&OutputParams>,
        workspace: (*mut u8, usize),
        parallel: &dyn Parallel,
    ) -> Result<()> {
        let problems = Problems {
            count: problems.len(),
            list: MemoryRange::new("problems", problems.as_ptr(), size_of_val(problems)),
            at: &|index| problems.get(index).map(|problem| problem as &dyn Problem),
            has_residuals: self.residual != Residual::None,
        };
        // SAFETY: by this function's contract.
        unsafe { self.run_problems(&problems, params, workspace, parallel) }
    }

    /// Not a function of their kind, so that there is one of it.
    ///
    /// # Safety
    /// As [`run_grouped_with`](Linear::run_grouped_with).
    unsafe fn run_problems(
        &self,
        problems: &Problems<'_>,
        params: Option<&OutputParams>,
        workspace: (*mut u8, usize),
        parallel: &dyn Parallel,
    ) -> Result<()> {
        self.check_places(params.is_some())?;
        let (count, list) = (problems.count, problems.list);
        let all = problems.iter().map(|problem| problem.operands().rows);
        let rows = all.fold(0usize, |sum, rows| sum.saturating_add(rows));
        if rows == 0 {
            return Ok(());
        }
        let workers = parallel.max_workers();
        let needed = self.grouped_workspace(count, rows, workers)?.size;
        check_workspace(workspace.0, workspace.1, needed)?;
        let memory = MemoryRange::new("workspace", workspace.0, needed);
        forbid_overlap(list, memory)?;
        // SAFETY: by this function's contract.
        unsafe { self.check_problems(problems, memory) }?;
        if let Some(params) = params {
            params.check(self.output, rows, &[list, memory])?;
            for problem in problems.iter().filter(|problem| problem.operands().rows > 0) {
                params.check(self.output, rows, &self.ranges(problem)?)?;
            }
        }
        let product = |index: usize| problems.product(index);
        // SAFETY: checked; by this function's contract.
        unsafe {
            let threads = (parallel, workers);
            let rows = (rows, 0..self.out_features);
            self.run_products((count, count), rows, &product, workspace.0, params, threads)
        }
    }

    /// The ranges of a problem's y, x, residual and parameters.
    fn ranges(&self, problem: &dyn Problem) -> Result<[MemoryRange; 5]> {
        let LinearProblem { rows, x, x_stride, residual, residual_stride, y, y_stride, .. } =
            problem.operands();
        let n = self.out_features;
        let x_bytes = self.x_bytes(x, rows, x_stride)?;
        let y_bytes = matrix_bytes("y", y, rows, n, y_stride, self.output.element_size())?;
        let element = self.residual.element_size();
        let bytes = match self.residual {
            Residual::None => 0,
            _ => matrix_bytes("residual", residual, rows, n, residual_stride, element)?,
        };
        let [scales, zero_points] = problem.given_ranges();
        Ok([
            MemoryRange::new("y", y, y_bytes),
            MemoryRange::new("x", x, x_bytes),
            MemoryRange::new("residual", residual, bytes),
            scales,
            zero_points,
        ])
    }

    /// Checks every problem, and that what is written is apart from all else.
    ///
    /// # Safety
    /// The problems' parameters can be read for their counts, unless NULL.
    unsafe fn check_problems(&self, problems: &Problems<'_>, memory: MemoryRange) -> Result<()> {
        let list = problems.list;
        let active = || {
            let all = problems.iter().map(|problem| (problem, problem.operands()));
            all.enumerate().filter(|(_, (_, operands))| operands.rows > 0)
        };
        // All that is read but by its own y, and all that is written.
        let (mut read, mut written): (Option<MemoryRange>, Option<MemoryRange>) = (None, None);
        for (index, (problem, operands)) in active() {
            if operands.matrix >= self.matrices {
                let text = "is {} in problem {}, but the plan has {}";
                let error = Error::new(Status::InvalidArgument, "matrix", text);
                return Err(error.with(operands.matrix).with(index).with(self.matrices));
            }
            // SAFETY: by this function's contract.
            unsafe { problem.check(self) }?;
            let [y, x, residual, scales, zero_points] = self.ranges(problem)?;
            forbid_overlap(list, y)?;
            forbid_overlap(x, y)?;
            forbid_overlap(y, memory)?;
            for given in [x, scales, zero_points] {
                forbid_overlap(given, memory)?;
            }
            let same = operands.residual_stride == operands.y_stride
                && self.residual.element_size() == self.output.element_size();
            check_residual_range(residual, y, memory, same)?;
            for given in [x, scales, zero_points].into_iter().filter(|given| given.bytes > 0) {
                read = hull(read, given);
            }
            if residual.bytes > 0 && residual.begin != y.begin {
                read = hull(read, residual);
            }
            // Most callers' results are in order. Where they are not, each is compared with all before it.
            let in_order = written.is_none_or(|all| {
                y.begin >= all.begin.saturating_add(all.bytes)
                    || y.begin.saturating_add(y.bytes) <= all.begin
            });
            if !in_order {
                for (_, (other, _)) in active().take_while(|&(other, _)| other < index) {
                    let [other, ..] = self.ranges(other)?;
                    forbid_overlap(other, y)?;
                }
            }
            written = hull(written, y);
        }
        let (Some(read), Some(written)) = (read, written) else { return Ok(()) };
        if forbid_overlap(read, written).is_ok() {
            return Ok(());
        }
        // Operands that lie between each other: each is compared with each. Of its own, a y may be the residual.
        for (index, (problem, _)) in active() {
            let [y, ..] = self.ranges(problem)?;
            for (other, (given, _)) in active() {
                let [_, x, residual, scales, zero_points] = self.ranges(given)?;
                for given in [x, scales, zero_points] {
                    forbid_overlap(given, y)?;
                }
                if other != index {
                    forbid_overlap(residual, y)?;
                }
            }
        }
        Ok(())
    }
}

/// Problems of any kind.
struct Problems<'a> {
    count: usize,
    /// Where they are.
    list: MemoryRange,
    at: &'a dyn Fn(usize) -> Option<&'a dyn Problem>,
    has_residuals: bool,
}
// SAFETY: see `Product`, which these are made into; `at` reads the caller's list.
unsafe impl Sync for Problems<'_> {}

impl Problems<'_> {
    fn iter(&self) -> impl Iterator<Item = &dyn Problem> {
        (0..self.count).filter_map(|index| (self.at)(index))
    }

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
        let problem = (self.at)(index);
        let operands = problem.map_or(NONE, |problem| problem.operands());
        let run = LinearRun {
            rows: operands.rows,
            x: operands.x,
            x_stride: operands.x_stride,
            residual: operands.residual,
            residual_stride: if self.has_residuals { operands.residual_stride } else { 0 },
            workspace: null_mut(),
            workspace_size: 0,
            y: operands.y,
            y_stride: operands.y_stride,
        };
        let given = problem.map_or(RowParams::NONE, |problem| problem.given());
        Product { run, matrix: operands.matrix, first: 0, given }
    }
}
