//! Level 3: products of codes that the caller has quantized.

use crate::boundary::{
    Threads, apart, array, description, fewbit_parallel_for, float_entry, integer_entry, not_null,
    unknown,
};
use crate::linear::{FEWBIT_LAYOUT_KN, FEWBIT_LAYOUT_NK};
use crate::plans::{
    allocator, code, fewbit_allocator, fewbit_bias, fewbit_output, fewbit_weights, matrix_codes,
};
use crate::status::{fewbit_error, fewbit_status};
use core::ffi::c_void;
use core::ptr::NonNull;
use fewbit::memory::{Allocator, drop_handle, into_handle};
use fewbit::{Error, Gemm, GemmDesc, GemmRun, LinearLayout};

/// A planned product. Immutable after creation; threads may share it.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct fewbit_gemm {
    plan: Gemm<'static>,
    allocator: Allocator,
}

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
    /// The codes of the lhs: FEWBIT_S8 or FEWBIT_U8. Its scales and zero points come with each run.
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
        float_entry(error, |supported| {
            let desc = description("desc", desc)?;
            array("gemm", gemm, 1)?;
            let (n, k, matrices) = (desc.n, desc.k, desc.matrices.max(1));
            let (rhs_layout, rows, columns) = match desc.rhs_layout {
                FEWBIT_LAYOUT_NK => (LinearLayout::Nk, n, k),
                FEWBIT_LAYOUT_KN => (LinearLayout::Kn, k, n),
                other => return Err(unknown("desc.rhs_layout", other)),
            };
            let strides = (desc.rhs_stride, desc.matrix_stride);
            let codes = matrix_codes(desc.rhs.dtype, (matrices, rows, columns), strides);
            let (output, activation, activation_mode) = desc.output.read()?;
            let allocator = allocator(desc.allocator)?;
            let plan = Gemm::create(
                &GemmDesc {
                    n,
                    k,
                    lhs: code("desc.lhs_dtype", desc.lhs_dtype)?,
                    rhs: desc.rhs.read(codes).map_err(named)?,
                    rhs_layout,
                    rhs_stride: desc.rhs_stride,
                    matrices,
                    matrix_stride: desc.matrix_stride,
                    bias: desc.bias.read(n.saturating_mul(matrices))?,
                    output,
                    activation,
                    activation_mode,
                },
                supported,
                &allocator,
            )?;
            let handle = into_handle(fewbit_gemm { plan, allocator }, &allocator, "gemm")?;
            gemm.write(handle.as_ptr());
            Ok(())
        })
    }
}

/// An error about weights, as one about the rhs.
fn named(error: Error) -> Error {
    const NAMES: [(&str, &str); 6] = [
        ("desc.weights.data", "desc.rhs.data"),
        ("desc.weights.dtype", "desc.rhs.dtype"),
        ("desc.weights.reserved", "desc.rhs.reserved"),
        ("desc.weights.scales", "desc.rhs.scales"),
        ("desc.weights.zero_points", "desc.rhs.zero_points"),
        ("desc.weights.zero_point_count", "desc.rhs.zero_point_count"),
    ];
    match NAMES.iter().find(|(weights, _)| *weights == error.argument) {
        Some(&(_, argument)) => Error { argument, ..error },
        None => error,
    }
}

/// The plan behind a handle.
///
/// # Safety
/// `gemm` is NULL or a live plan.
pub(crate) unsafe fn plan<'a>(gemm: *const fewbit_gemm) -> fewbit::Result<&'a Gemm<'static>> {
    not_null("gemm", gemm)?;
    // SAFETY: a live plan, by this function's contract.
    Ok(unsafe { &(*gemm).plan })
}

/// Destroys a plan; NULL does nothing. No run of it may be in progress.
///
/// # Safety
/// As documented; the plan is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_gemm_destroy(gemm: *mut fewbit_gemm) {
    if let Some(handle) = NonNull::new(gemm) {
        // SAFETY: made by `fewbit_gemm_create` with the allocator it holds.
        unsafe {
            let allocator = handle.as_ref().allocator;
            drop_handle(handle, allocator);
        }
    }
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
    // SAFETY: the documented contract.
    unsafe {
        integer_entry(error, |_| {
            let workspace = plan(gemm)?.workspace(rows, max_workers)?;
            apart(array("size", size, 1)?, array("align", align, 1)?)?;
            size.write(workspace.size);
            align.write(workspace.align);
            Ok(())
        })
    }
}

/// Runs the product.
///
/// @param[in] args  The operands and the workspace. What is written (dst, workspace) must not overlap anything else, each
///                  taken from its first to its last byte.
/// @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
/// @param[out] error  May be NULL. Its argument is a field's name.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (strides, counts, scales and zero points),
///         FEWBIT_ERROR_BUFFER_TOO_SMALL (workspace), FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP. dst is untouched then.
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
        float_entry(error, |_| {
            let plan = plan(gemm)?;
            let args = description("args", args)?;
            array("lhs_scales", args.lhs_scales, args.lhs_scale_count)?;
            array("lhs_zero_points", args.lhs_zero_points, args.lhs_zero_point_count)?;
            let run = GemmRun {
                rows: args.rows,
                lhs: args.lhs.cast(),
                lhs_stride: args.lhs_stride,
                lhs_batch_stride: args.lhs_batch_stride,
                lhs_scales: args.lhs_scales,
                lhs_scale_count: args.lhs_scale_count,
                lhs_zero_points: args.lhs_zero_points,
                lhs_zero_point_count: args.lhs_zero_point_count,
                workspace: args.workspace.cast(),
                workspace_size: args.workspace_size,
                dst: args.dst.cast(),
                dst_stride: args.dst_stride,
                dst_batch_stride: args.dst_batch_stride,
            };
            plan.run(&run, &Threads::new(parallel_for)?)
        })
    }
}
