//! Level 3: products of codes that the caller has quantized.

use crate::boundary::{
    Threads, array, assert_alike, description, fewbit_parallel_for, float_entry, slice, unknown,
};
use crate::handle::{self, handle, plan};
use crate::linear::{FEWBIT_LAYOUT_KN, FEWBIT_LAYOUT_NK};
use crate::plans::{
    allocator, fewbit_allocator, fewbit_bias, fewbit_output, fewbit_weights, lhs_format,
    matrix_codes,
};
use crate::status::{fewbit_error, fewbit_status};
use core::ffi::c_void;
use fewbit::memory::Allocator;
use fewbit::{Error, Gemm, GemmDesc, GemmProblem, GemmRun, LinearLayout, OutputParams};

/// A planned product. Immutable after creation; threads may share it.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct fewbit_gemm {
    plan: Gemm<'static>,
    allocator: Allocator,
}
handle!(fewbit_gemm, Gemm);

/// A product to plan. Start from FEWBIT_GEMM_DESC_INIT. Everything is read by the create call only.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_gemm_desc {
    /// sizeof(fewbit_gemm_desc); set by FEWBIT_GEMM_DESC_INIT.
    pub struct_size: usize,
    /// N, columns of the product, at least 1.
    pub n: usize,
    /// K, the depth, at least 1.
    pub k: usize,
    /// The rhs. Scales: none (NULL and 0: all 1), one, or one a column; zero points likewise (none: all 0).
    pub rhs: fewbit_weights,
    /// FEWBIT_LAYOUT_NK (a column's codes are contiguous) or FEWBIT_LAYOUT_KN.
    pub rhs_layout: i32,
    /// The codes of the lhs: FEWBIT_S8 or FEWBIT_U8; FEWBIT_S4 or FEWBIT_U4; or, with an rhs of FEWBIT_U1 or FEWBIT_B1, one of
    /// these. Codes of fewer than eight bits are packed: rows start on a byte, and strides are in codes, multiples of the 2 or 8
    /// of a byte. Its scales and zero points come with each run.
    pub lhs_dtype: i32,
    /// Codes between rows of the rhs as it lies; 0: no gaps.
    pub rhs_stride: usize,
    /// Rhs matrices of this shape; 0 is taken as 1. Scales, zero points and bias are then matrix by matrix.
    pub matrices: usize,
    /// Codes between the first ones of neighbouring matrices; 0: no gaps.
    pub matrix_stride: usize,
    /// FEWBIT_S32: added to the sums, in their unit; FEWBIT_F32: added to real results. N values for each matrix.
    pub bias: fewbit_bias,
    /// FEWBIT_S32: the sums; otherwise as for a linear layer.
    pub output: fewbit_output,
    /// NULL: malloc and free.
    pub allocator: *const fewbit_allocator,
}

impl fewbit_gemm_desc {
    /// The description, with its rhs or without.
    ///
    /// # Safety
    /// Its arrays can be read as documented.
    pub(crate) unsafe fn read<'a>(&self, with_rhs: bool) -> fewbit::Result<GemmDesc<'a>> {
        let (n, k, matrices) = (self.n, self.k, self.matrices.max(1));
        let (rhs_layout, rows, columns) = match self.rhs_layout {
            FEWBIT_LAYOUT_NK => (LinearLayout::Nk, n, k),
            FEWBIT_LAYOUT_KN => (LinearLayout::Kn, k, n),
            _ if !with_rhs => (LinearLayout::Nk, n, k),
            other => return Err(unknown("desc.rhs_layout", other)),
        };
        let strides = (self.rhs_stride, self.matrix_stride);
        let codes = matrix_codes(self.rhs.dtype, (matrices, rows, columns), strides);
        let (output, activation, activation_mode) = self.output.read()?;
        // SAFETY: by this function's contract.
        unsafe {
            Ok(GemmDesc {
                n,
                k,
                lhs: lhs_format("desc.lhs_dtype", self.lhs_dtype)?,
                rhs: match with_rhs {
                    true => self.rhs.read(codes)?,
                    false => self.rhs.read_multipliers()?,
                },
                rhs_layout,
                rhs_stride: self.rhs_stride,
                matrices,
                matrix_stride: self.matrix_stride,
                bias: self.bias.read(n.saturating_mul(matrices))?,
                output,
                activation,
                activation_mode,
            })
        }
    }
}

/// A run's operands and memory. Start from FEWBIT_GEMM_ARGS_INIT. Strides are in elements.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_gemm_args {
    /// sizeof(fewbit_gemm_args); set by FEWBIT_GEMM_ARGS_INIT.
    pub struct_size: usize,
    /// M, of each matrix; 0 does nothing.
    pub rows: usize,
    /// The first matrix' M rows of K codes.
    pub lhs: *const c_void,
    /// At least K.
    pub lhs_stride: usize,
    /// Between the lhs of neighbouring matrices; 0: all read the same.
    pub lhs_batch_stride: usize,
    /// Scales of the rows, finite and greater than 0. The sums (s32 output) do not depend on them.
    pub lhs_scales: *const f32,
    /// 0: all 1; 1: one for all; M: one a row, the same for all matrices; M times the matrices: each its own.
    pub lhs_scale_count: usize,
    /// Zero points of the rows, codes of the lhs.
    pub lhs_zero_points: *const i32,
    /// 0: all 0; otherwise as for the scales.
    pub lhs_zero_point_count: usize,
    /// As fewbit_gemm_workspace asks for; contents do not matter.
    pub workspace: *mut c_void,
    /// Its bytes.
    pub workspace_size: usize,
    /// The first matrix' M rows of N elements of the output's type.
    pub dst: *mut c_void,
    /// At least N.
    pub dst_stride: usize,
    /// Between the results of neighbouring matrices: matrix behind matrix, or row beside row.
    pub dst_batch_stride: usize,
}

impl fewbit_gemm_args {
    fn read(&self) -> fewbit::Result<GemmRun> {
        array("lhs_scales", self.lhs_scales, self.lhs_scale_count)?;
        array("lhs_zero_points", self.lhs_zero_points, self.lhs_zero_point_count)?;
        Ok(GemmRun {
            rows: self.rows,
            lhs: self.lhs.cast(),
            lhs_stride: self.lhs_stride,
            lhs_batch_stride: self.lhs_batch_stride,
            lhs_scales: self.lhs_scales,
            lhs_scale_count: self.lhs_scale_count,
            lhs_zero_points: self.lhs_zero_points,
            lhs_zero_point_count: self.lhs_zero_point_count,
            workspace: self.workspace.cast(),
            workspace_size: self.workspace_size,
            dst: self.dst.cast(),
            dst_stride: self.dst_stride,
            dst_batch_stride: self.dst_batch_stride,
        })
    }
}

/// Rows of codes that meet one of a plan's matrices, with their parameters: the rows of an expert, in a mixture of experts.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_gemm_problem {
    /// Which of the plan's matrices.
    pub matrix: usize,
    /// M; with 0 the rest is not looked at.
    pub rows: usize,
    /// M rows of K codes.
    pub lhs: *const c_void,
    /// At least K.
    pub lhs_stride: usize,
    /// Scales of the rows, finite and greater than 0. The sums (s32 output) do not depend on them.
    pub lhs_scales: *const f32,
    /// 0: all 1; 1: one for all; M: one a row.
    pub lhs_scale_count: usize,
    /// Zero points of the rows, codes of the lhs.
    pub lhs_zero_points: *const i32,
    /// 0: all 0; otherwise as for the scales.
    pub lhs_zero_point_count: usize,
    /// M rows of N elements of the output's type.
    pub dst: *mut c_void,
    /// At least N.
    pub dst_stride: usize,
}

// Problems are passed on as they lie.
assert_alike!(fewbit_gemm_problem, GemmProblem: matrix, rows, lhs, lhs_stride, lhs_scales, lhs_scale_count, lhs_zero_points, lhs_zero_point_count, dst, dst_stride);

/// Packs the right side of a product and chooses its kernels: sums[m][n] = sum over k of (lhs[m][k] - zl[m]) * (rhs[n][k] -
/// zr[n]), exact in int32, plus an s32 bias; for f32 output f32(sum) * (row scale * column scale), plus an f32 bias, then
/// the activation; other outputs from there as fewbit_linear_create says. That no sum leaves int32 is proven for every
/// lhs and every zero point of its format. The only call on a plan that allocates.
///
/// @param[in] desc  The product.
/// @param[out] gemm  The plan; destroy it with fewbit_gemm_destroy. Untouched on error.
/// @param[out] error  May be NULL.
/// @return As fewbit_linear_create.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_gemm_create(
    desc: *const fewbit_gemm_desc,
    gemm: *mut *mut fewbit_gemm,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |supported| {
            let desc = description("desc", desc)?;
            handle::place(gemm)?;
            let allocator = allocator(desc.allocator)?;
            let product = desc.read(true).map_err(named)?;
            let plan = Gemm::create(&product, supported, &allocator)?;
            handle::give(plan, &allocator, gemm)
        })
    }
}

/// An error about weights, as one about the rhs.
pub(crate) fn named(error: Error) -> Error {
    const NAMES: [(&str, &str); 10] = [
        ("desc.weights.data", "desc.rhs.data"),
        ("desc.weights.dtype", "desc.rhs.dtype"),
        ("desc.weights.reserved", "desc.rhs.reserved"),
        ("desc.weights.scales", "desc.rhs.scales"),
        ("desc.weights.zero_points", "desc.rhs.zero_points"),
        ("desc.weights.zero_point_count", "desc.rhs.zero_point_count"),
        ("desc.weights.block", "desc.rhs.block"),
        ("desc.weights.multipliers", "desc.rhs.multipliers"),
        ("desc.weights.shifts", "desc.rhs.shifts"),
        ("desc.weights.multiplier_count", "desc.rhs.multiplier_count"),
    ];
    match NAMES.iter().find(|(weights, _)| *weights == error.argument) {
        Some(&(_, argument)) => Error { argument, ..error },
        None => error,
    }
}

/// Destroys a plan; NULL does nothing. No run of it may be in progress.
///
/// # Safety
/// As documented; the plan is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_gemm_destroy(gemm: *mut fewbit_gemm) {
    // SAFETY: the documented contract: made by `fewbit_gemm_create`.
    unsafe { handle::destroy(gemm) }
}

/// What a run needs beside its operands. Fewer rows or workers never need more.
///
/// @param[in] rows, max_workers  The most that one run will have: rows of each matrix; 1 worker without parallel_for.
/// @param[out] size, align  Bytes, and the alignment of the first.
/// @param[out] error  May be NULL.
/// @return As fewbit_linear_workspace.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_gemm_workspace(
    gemm: *const fewbit_gemm,
    rows: usize,
    max_workers: usize,
    size: *mut usize,
    align: *mut usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    let needed = |plan: &Gemm<'static>| plan.workspace(rows, max_workers);
    // SAFETY: the documented contract.
    unsafe { handle::workspace(gemm, needed, (size, align), error) }
}

/// Runs the product.
///
/// @param[in] args  The operands and the workspace. What is written (dst, workspace) must not overlap anything else, each
///                  taken from its first to its last byte.
/// @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
/// @param[out] error  May be NULL. Its argument is a field's name.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (strides, counts, scales and zero points),
///         FEWBIT_ERROR_BUFFER_TOO_SMALL (workspace), FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP,
///         FEWBIT_ERROR_UNSUPPORTED (FEWBIT_OUTPUT_DYNAMIC_PER_ROW). dst is untouched then.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_gemm_run(
    gemm: *const fewbit_gemm,
    args: *const fewbit_gemm_args,
    parallel_for: *const fewbit_parallel_for,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |_| {
            let plan = plan(gemm)?;
            let args = description("args", args)?;
            plan.run_raw(&args.read()?, &Threads::new(parallel_for)?)
        })
    }
}

/// Runs some rows and columns, the same of each matrix, of a product, for engines that split the work themselves: the results
/// are the same, whatever the ranges. Calls at the same time need a workspace each.
///
/// @param[in] row_begin, row_end  Rows, 0 <= row_begin <= row_end <= args.rows.
/// @param[in] col_begin, col_end  Columns of dst, up to n.
/// @return As fewbit_gemm_run, whose other parameters these are.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_gemm_run_range(
    gemm: *const fewbit_gemm,
    args: *const fewbit_gemm_args,
    row_begin: usize,
    row_end: usize,
    col_begin: usize,
    col_end: usize,
    parallel_for: *const fewbit_parallel_for,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |_| {
            let plan = plan(gemm)?;
            let run = description("args", args)?.read()?;
            let range = (row_begin..row_end, col_begin..col_end);
            plan.run_range_raw(&run, &Threads::new(parallel_for)?, range)
        })
    }
}

/// Runs a product with FEWBIT_OUTPUT_DYNAMIC_PER_ROW, and writes each row's parameters beside its codes.
///
/// @param[out] scales  A scale for each row of each matrix: that of row r of matrix b is number b * rows + r.
/// @param[out] zero_points  As many zero points; may be NULL for FEWBIT_SCHEME_SYMMETRIC, whose are 0. Outputs must not
///                          overlap inputs, workspace and each other.
/// @return As fewbit_gemm_run, whose other parameters these are; FEWBIT_ERROR_UNSUPPORTED for plans with another output.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_gemm_run_dynamic(
    gemm: *const fewbit_gemm,
    args: *const fewbit_gemm_args,
    scales: *mut f32,
    zero_points: *mut i32,
    parallel_for: *const fewbit_parallel_for,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |_| {
            let plan = plan(gemm)?;
            let run = description("args", args)?.read()?;
            let params = OutputParams { scales, zero_points };
            plan.run_dynamic_raw(&run, &params, &Threads::new(parallel_for)?)
        })
    }
}

/// What fewbit_gemm_run_grouped needs beside its operands. Less of anything never needs more.
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
pub unsafe extern "C" fn fewbit_gemm_grouped_workspace(
    gemm: *const fewbit_gemm,
    problems: usize,
    rows: usize,
    max_workers: usize,
    size: *mut usize,
    align: *mut usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    let needed = |plan: &Gemm<'static>| plan.grouped_workspace(problems, rows, max_workers);
    // SAFETY: the documented contract.
    unsafe { handle::workspace(gemm, needed, (size, align), error) }
}

/// Runs a list of problems of one plan, each with one of its matrices, with tasks over all of them: each gives the same
/// results, bit for bit, as a run of its own, whatever the others and their order. Several may name the same matrix. A plan
/// of one matrix may be run so too.
///
/// @param[in] problems  The operands, apart from the workspace and from every dst. The bytes from the first to the last
///                      element of a dst must not overlap those of any other operand of any problem.
/// @param[in] problem_count  0 does nothing.
/// @param[in] workspace, workspace_size  As fewbit_gemm_grouped_workspace asks for; contents do not matter.
/// @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
/// @param[out] error  May be NULL. Its argument may be the name of a problem's field.
/// @return As fewbit_gemm_run. Every dst is untouched on error.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_gemm_run_grouped(
    gemm: *const fewbit_gemm,
    problems: *const fewbit_gemm_problem,
    problem_count: usize,
    workspace: *mut c_void,
    workspace_size: usize,
    parallel_for: *const fewbit_parallel_for,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |_| {
            let plan = plan(gemm)?;
            array("problems", problems, problem_count)?;
            let problems = slice(problems.cast::<GemmProblem>(), problem_count);
            let memory = (workspace.cast(), workspace_size);
            plan.run_grouped_raw(problems, memory, &Threads::new(parallel_for)?)
        })
    }
}

/// Runs a list of problems of a plan with FEWBIT_OUTPUT_DYNAMIC_PER_ROW, and writes each row's parameters beside its codes.
///
/// @param[out] scales  A scale for each row of each problem, one behind the other.
/// @param[out] zero_points  As many zero points; may be NULL for FEWBIT_SCHEME_SYMMETRIC, whose are 0. Outputs must not
///                          overlap inputs, workspace and each other.
/// @return As fewbit_gemm_run_grouped, whose other parameters these are; FEWBIT_ERROR_UNSUPPORTED for plans with another
///         output.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_gemm_run_grouped_dynamic(
    gemm: *const fewbit_gemm,
    problems: *const fewbit_gemm_problem,
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
            let plan = plan(gemm)?;
            array("problems", problems, problem_count)?;
            let problems = slice(problems.cast::<GemmProblem>(), problem_count);
            let params = OutputParams { scales, zero_points };
            let memory = (workspace.cast(), workspace_size);
            plan.run_grouped_dynamic_raw(problems, &params, memory, &Threads::new(parallel_for)?)
        })
    }
}
