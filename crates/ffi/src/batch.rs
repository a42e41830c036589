//! Level 3: linear layers of several matrices, and several products in one run.

use crate::boundary::{
    Threads, array, assert_alike, description, fewbit_parallel_for, float_entry, slice,
};
use crate::handle::{self, plan};
use crate::linear::fewbit_linear;
use crate::status::{fewbit_error, fewbit_status};
use core::ffi::c_void;
use fewbit::{Linear, LinearBatch, LinearProblem, OutputParams};

/// A run of every matrix of a plan. Start from FEWBIT_LINEAR_BATCH_INIT. Strides are in elements.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_linear_batch {
    /// sizeof(fewbit_linear_batch); set by FEWBIT_LINEAR_BATCH_INIT.
    pub struct_size: usize,
    /// M, of each matrix; 0 does nothing.
    pub rows: usize,
    /// The first matrix' M rows of in_features elements of the input's type.
    pub x: *const c_void,
    /// At least in_features.
    pub x_stride: usize,
    /// Between the x of neighbouring matrices; 0: all read the same.
    pub x_batch_stride: usize,
    /// The first matrix' residuals, for a plan that has them: y with its strides, or memory apart from y.
    pub residual: *const c_void,
    /// At least out_features, where there is a residual.
    pub residual_stride: usize,
    /// Between the residuals of neighbouring matrices.
    pub residual_batch_stride: usize,
    /// The first matrix' M rows of out_features elements of the output's type.
    pub y: *mut c_void,
    /// At least out_features.
    pub y_stride: usize,
    /// Between the y of neighbouring matrices: matrix behind matrix, or row beside row (out_features, say, with a y_stride
    /// of all matrices' out_features).
    pub y_batch_stride: usize,
    /// As fewbit_linear_batch_workspace asks for; contents do not matter.
    pub workspace: *mut c_void,
    /// Its bytes.
    pub workspace_size: usize,
}

impl fewbit_linear_batch {
    fn read(&self) -> LinearBatch {
        LinearBatch {
            rows: self.rows,
            x: self.x.cast(),
            x_stride: self.x_stride,
            x_batch_stride: self.x_batch_stride,
            residual: self.residual.cast(),
            residual_stride: self.residual_stride,
            residual_batch_stride: self.residual_batch_stride,
            y: self.y.cast(),
            y_stride: self.y_stride,
            y_batch_stride: self.y_batch_stride,
            workspace: self.workspace.cast(),
            workspace_size: self.workspace_size,
        }
    }
}

/// Rows that meet one of a plan's matrices: the rows of an expert, in a mixture of experts.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_linear_problem {
    /// Which of the plan's matrices.
    pub matrix: usize,
    /// M; with 0 the rest is not looked at.
    pub rows: usize,
    /// M rows of in_features elements of the input's type.
    pub x: *const c_void,
    /// At least in_features.
    pub x_stride: usize,
    /// M rows of out_features residuals, for a plan that has them; may be this problem's y, element by element.
    pub residual: *const c_void,
    /// At least out_features, where there is a residual.
    pub residual_stride: usize,
    /// M rows of out_features elements of the output's type.
    pub y: *mut c_void,
    /// At least out_features.
    pub y_stride: usize,
}

// Problems are passed on as they lie.
assert_alike!(fewbit_linear_problem, LinearProblem: matrix, rows, x, x_stride, residual, residual_stride, y, y_stride);

/// What fewbit_linear_run_batch needs beside its operands. Fewer rows or workers never need more.
///
/// @param[in] rows, max_workers  The most that one run will have: rows of each matrix; 1 worker without parallel_for.
/// @param[out] size, align  Bytes, and the alignment of the first.
/// @param[out] error  May be NULL.
/// @return As fewbit_linear_workspace.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_linear_batch_workspace(
    linear: *const fewbit_linear,
    rows: usize,
    max_workers: usize,
    size: *mut usize,
    align: *mut usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    let needed = |plan: &Linear<'static>| plan.batch_workspace(rows, max_workers);
    // SAFETY: the documented contract.
    unsafe { handle::workspace(linear, needed, (size, align), error) }
}

/// Runs every matrix of a plan on its rows: the same results, bit for bit, as a plan of each matrix alone gives.
///
/// @param[in] batch  The operands and the workspace. The bytes from the first to the last element of x, y and workspace
///                   must not overlap, nor elements of y each other.
/// @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
/// @param[out] error  May be NULL. Its argument is a field's name.
/// @return As fewbit_linear_run. y is untouched on error.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_linear_run_batch(
    linear: *const fewbit_linear,
    batch: *const fewbit_linear_batch,
    parallel_for: *const fewbit_parallel_for,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |_| {
            let plan = plan(linear)?;
            let batch = description("batch", batch)?.read();
            plan.run_batch_raw(&batch, &Threads::new(parallel_for)?)
        })
    }
}

/// Runs every matrix of a plan with FEWBIT_OUTPUT_DYNAMIC_PER_ROW, and writes each row's parameters beside its codes.
///
/// @param[out] scales  A scale for each row of each matrix: that of row r of matrix b is number b * rows + r.
/// @param[out] zero_points  As many zero points; may be NULL for FEWBIT_SCHEME_SYMMETRIC, whose are 0. Outputs must not
///                          overlap inputs, workspace and each other, but y the residual as in fewbit_linear_run_batch.
/// @return As fewbit_linear_run_batch, whose other parameters these are; FEWBIT_ERROR_UNSUPPORTED for plans with another
///         output.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_linear_run_batch_dynamic(
    linear: *const fewbit_linear,
    batch: *const fewbit_linear_batch,
    scales: *mut f32,
    zero_points: *mut i32,
    parallel_for: *const fewbit_parallel_for,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |_| {
            let plan = plan(linear)?;
            let batch = description("batch", batch)?.read();
            let params = OutputParams { scales, zero_points };
            plan.run_batch_dynamic_raw(&batch, &params, &Threads::new(parallel_for)?)
        })
    }
}

/// What fewbit_linear_run_grouped needs beside its operands. Less of anything never needs more.
///
/// @param[in] problems, rows, max_workers  The most that one run will have: problems, rows of all problems together, and
///                                         workers (1 without parallel_for).
/// @param[out] size, align  Bytes, and the alignment of the first.
/// @param[out] error  May be NULL.
/// @return As fewbit_linear_workspace.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_linear_grouped_workspace(
    linear: *const fewbit_linear,
    problems: usize,
    rows: usize,
    max_workers: usize,
    size: *mut usize,
    align: *mut usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    let needed = |plan: &Linear<'static>| plan.grouped_workspace(problems, rows, max_workers);
    // SAFETY: the documented contract.
    unsafe { handle::workspace(linear, needed, (size, align), error) }
}

/// Runs a list of problems of one plan, each with one of its matrices, with tasks over all of them: each gives the same
/// results, bit for bit, as a plan of its matrix alone, whatever the others and their order. Several may name the same
/// matrix. A plan of one matrix may be run so too.
///
/// @param[in] problems  The operands, apart from the workspace and from every y. The bytes from the first to the last
///                      element of a y must not overlap those of any other operand of any problem.
/// @param[in] problem_count  0 does nothing.
/// @param[in] workspace, workspace_size  As fewbit_linear_grouped_workspace asks for; contents do not matter.
/// @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
/// @param[out] error  May be NULL. Its argument may be the name of a problem's field.
/// @return As fewbit_linear_run. Every y is untouched on error.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_linear_run_grouped(
    linear: *const fewbit_linear,
    problems: *const fewbit_linear_problem,
    problem_count: usize,
    workspace: *mut c_void,
    workspace_size: usize,
    parallel_for: *const fewbit_parallel_for,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |_| {
            let plan = plan(linear)?;
            array("problems", problems, problem_count)?;
            let problems = slice(problems.cast::<LinearProblem>(), problem_count);
            let memory = (workspace.cast(), workspace_size);
            plan.run_grouped_raw(problems, memory, &Threads::new(parallel_for)?)
        })
    }
}

/// Runs a list of problems of a plan with FEWBIT_OUTPUT_DYNAMIC_PER_ROW, and writes each row's parameters beside its codes.
///
/// @param[out] scales  A scale for each row of each problem, one behind the other.
/// @param[out] zero_points  As many zero points; may be NULL for FEWBIT_SCHEME_SYMMETRIC, whose are 0. Outputs must not
///                          overlap inputs, workspace and each other, but a y its residual as in
///                          fewbit_linear_run_grouped.
/// @return As fewbit_linear_run_grouped, whose other parameters these are; FEWBIT_ERROR_UNSUPPORTED for plans with another
///         output.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_linear_run_grouped_dynamic(
    linear: *const fewbit_linear,
    problems: *const fewbit_linear_problem,
    problem_count: usize,
    workspace: *mut c_void,
    workspace_size: usize,
    scales: *mut f32,
    zero_points: *mut i32,
    parallel_for: *const fewbit_parallel_for,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |_| {
            let plan = plan(linear)?;
            array("problems", problems, problem_count)?;
            let problems = slice(problems.cast::<LinearProblem>(), problem_count);
            let params = OutputParams { scales, zero_points };
            let memory = (workspace.cast(), workspace_size);
            plan.run_grouped_dynamic_raw(problems, &params, memory, &Threads::new(parallel_for)?)
        })
    }
}
