//! Level 3: linear layers.

use crate::boundary::{
    Threads, description, fewbit_parallel_for, float_entry, integer_entry, unknown,
};
use crate::handle::{self, handle, plan};
use crate::plans::{
    FEWBIT_ARITHMETIC_BF16_DOT, FEWBIT_ARITHMETIC_BF16_DOT_ODD, FEWBIT_ARITHMETIC_CHAIN,
    FEWBIT_ARITHMETIC_F16_FMA, allocator, fewbit_allocator, fewbit_bias, fewbit_input,
    fewbit_output, fewbit_residual, fewbit_weights, matrix_codes,
};
use crate::status::{fewbit_error, fewbit_status};
use crate::version::write_name;
use core::ffi::{c_char, c_void};
use core::ptr::null;
use fewbit::memory::Allocator;
use fewbit::{
    Error, Linear, LinearDesc, LinearLayout, LinearRun, OutputParams, RealArithmetic, Status,
};

/// Weights [out_features][in_features]: an output's weights are contiguous.
pub const FEWBIT_LAYOUT_NK: i32 = 0;
/// Weights [in_features][out_features]: an input's weights are contiguous.
pub const FEWBIT_LAYOUT_KN: i32 = 1;

/// A planned linear layer. Immutable after creation; threads may share it.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct fewbit_linear {
    plan: Linear<'static>,
    allocator: Allocator,
}
handle!(fewbit_linear, Linear);

/// A linear layer to plan. Start from FEWBIT_LINEAR_DESC_INIT. Everything is read by the create call only.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_linear_desc {
    /// sizeof(fewbit_linear_desc); set by FEWBIT_LINEAR_DESC_INIT.
    pub struct_size: usize,
    /// K, at least 1.
    pub in_features: usize,
    /// N, at least 1.
    pub out_features: usize,
    /// The weights.
    pub weights: fewbit_weights,
    /// FEWBIT_LAYOUT_NK or FEWBIT_LAYOUT_KN.
    pub weight_layout: i32,
    /// How products are added up: 0, FEWBIT_ARITHMETIC_CHAIN; or one that only some CPUs have, by name.
    pub arithmetic: i32,
    /// Codes between rows of the weights; 0: no gaps.
    pub weight_stride: usize,
    /// What is read.
    pub input: fewbit_input,
    /// What is added.
    pub bias: fewbit_bias,
    /// What is added to the result.
    pub residual: fewbit_residual,
    /// What is written.
    pub output: fewbit_output,
    /// NULL: malloc and free.
    pub allocator: *const fewbit_allocator,
    /// Weight matrices of this shape; 0 is taken as 1. More make a plan for fewbit_linear_run_batch and
    /// fewbit_linear_run_grouped. Scales and zero points are then one for all, or, as the bias, matrices * out_features,
    /// matrix by matrix.
    pub matrices: usize,
    /// Codes between the first ones of neighbouring matrices; 0: no gaps.
    pub matrix_stride: usize,
    /// For FEWBIT_WEIGHTS_MX the E8M0 scales, a byte for each 32 weights, for FEWBIT_WEIGHTS_NVFP4 the E4M3 scales, a byte for
    /// each 16: [out_features][in_features / 32 or 16], matrix by matrix. Otherwise NULL.
    pub weight_block_scales: *const u8,
}

impl fewbit_linear_desc {
    /// The layout of the weights, which without weights is of no matter, and their rows and columns.
    pub(crate) fn shape(&self, with_weights: bool) -> fewbit::Result<(LinearLayout, usize, usize)> {
        let (n, k) = (self.out_features, self.in_features);
        match self.weight_layout {
            FEWBIT_LAYOUT_NK => Ok((LinearLayout::Nk, n, k)),
            FEWBIT_LAYOUT_KN => Ok((LinearLayout::Kn, k, n)),
            _ if !with_weights => Ok((LinearLayout::Nk, n, k)),
            other => Err(unknown("desc.weight_layout", other)),
        }
    }

    /// How products of numbers are added up.
    pub(crate) fn read_arithmetic(&self) -> fewbit::Result<RealArithmetic> {
        match self.arithmetic {
            FEWBIT_ARITHMETIC_CHAIN => Ok(RealArithmetic::Chain),
            FEWBIT_ARITHMETIC_BF16_DOT => Ok(RealArithmetic::Bf16Dot),
            FEWBIT_ARITHMETIC_BF16_DOT_ODD => Ok(RealArithmetic::Bf16DotOdd),
            FEWBIT_ARITHMETIC_F16_FMA => Ok(RealArithmetic::F16Fma),
            other => Err(unknown("desc.arithmetic", other)),
        }
    }

    /// The description, with its weights or without.
    ///
    /// # Safety
    /// Its arrays can be read as documented.
    pub(crate) unsafe fn read<'a>(&self, with_weights: bool) -> fewbit::Result<LinearDesc<'a>> {
        let (n, k) = (self.out_features, self.in_features);
        let (layout, rows, columns) = self.shape(with_weights)?;
        if self.read_arithmetic()? != RealArithmetic::Chain {
            let text = "is of numbers, but these products are of codes";
            return Err(Error::new(Status::Unsupported, "desc.arithmetic", text));
        }
        let matrices = self.matrices.max(1);
        let strides = (self.weight_stride, self.matrix_stride);
        let codes = matrix_codes(self.weights.dtype, (matrices, rows, columns), strides);
        let channels = n.saturating_mul(matrices);
        let (output, activation, activation_mode) = self.output.read()?;
        // SAFETY: by this function's contract.
        unsafe {
            Ok(LinearDesc {
                in_features: k,
                out_features: n,
                weights: match with_weights {
                    true => self.weights.read(codes)?,
                    false => self.weights.read_multipliers()?,
                },
                layout,
                weight_stride: self.weight_stride,
                input: self.input.read()?,
                bias: self.bias.read(channels)?,
                output,
                activation,
                activation_mode,
                residual: self.residual.read()?,
                matrices,
                matrix_stride: self.matrix_stride,
            })
        }
    }
}

/// Packs a linear layer's weights and chooses its kernels: y[m][n] = sum over k of (x[m][k] - zx) * (w[n][k] - zw[n]),
/// exact in int32, then in this order: s32 bias; for f32 output f32(acc) * (x scale * w scale), f32 bias, residual,
/// activation; for f16 and bf16 output that, rounded once more; for 8-bit output requantize(acc, (x scale * w scale) /
/// y scale), with ReLU and clamp as a clamp of the codes, or, with an f32 bias, a residual or another activation, the
/// f32 result, quantized. FEWBIT_OUTPUT_FIXED_POINT requantizes in integers only. FEWBIT_OUTPUT_DYNAMIC_PER_ROW is
/// fewbit_quantize_dynamic of each row of the f32 results. With FEWBIT_INPUT_REAL there is no int32: y[m][n] is from 0 on,
/// for each k in order, y = fma(f32(x[m][k]), f32(w[n][k]), y), which takes the place of f32(acc) * (x scale * w scale); there
/// is then no s32 bias or output, no fixed point, no table; w[n][k] is the weight, or, where weights are codes or blocks, the number
/// that dequantizing them gives. With blocks of weights, f32(acc) * (x scale * w scale) is
/// instead, block by block from 0, y = fma(f32(acc of the block), x scale * w scale, y). The only call on a plan that
/// allocates.
///
/// @param[in] desc  The layer.
/// @param[out] linear  The plan; destroy it with fewbit_linear_destroy. Untouched on error.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT, FEWBIT_ERROR_UNSUPPORTED, FEWBIT_ERROR_MISALIGNED,
///         FEWBIT_ERROR_LIMIT_EXCEEDED (a sum could leave int32 for some input), FEWBIT_ERROR_OUT_OF_MEMORY,
///         FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_linear_create(
    desc: *const fewbit_linear_desc,
    linear: *mut *mut fewbit_linear,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |supported| {
            let desc = description("desc", desc)?;
            handle::place(linear)?;
            let allocator = allocator(desc.allocator)?;
            let plan = desc.create(None, supported, &allocator)?;
            handle::give(plan, &allocator, linear)
        })
    }
}

/// Destroys a plan; NULL does nothing. No run of it may be in progress.
///
/// # Safety
/// As documented; the plan is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_linear_destroy(linear: *mut fewbit_linear) {
    // SAFETY: the documented contract: made by `fewbit_linear_create`.
    unsafe { handle::destroy(linear) }
}

/// What a run needs beside its operands. Fewer rows or workers never need more.
///
/// @param[in] rows, max_workers  The most that one run will have; 1 worker without parallel_for.
/// @param[out] size, align  Bytes, and the alignment of the first.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (beyond memory), FEWBIT_ERROR_MISALIGNED,
///         FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_linear_workspace(
    linear: *const fewbit_linear,
    rows: usize,
    max_workers: usize,
    size: *mut usize,
    align: *mut usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    let needed = |plan: &Linear<'static>| plan.workspace(rows, max_workers);
    // SAFETY: the documented contract.
    unsafe { handle::workspace(linear, needed, (size, align), error) }
}

/// Runs the layer on `rows` rows. A plan with a residual wants fewbit_linear_run_range.
///
/// @param[in] rows  M; 0 does nothing.
/// @param[in] x  M rows of in_features elements of the input's type, x_stride elements apart.
/// @param[in] x_stride, y_stride  At least in_features and out_features.
/// @param[in] workspace, workspace_size  As fewbit_linear_workspace asks for; contents do not matter.
/// @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
/// @param[out] y  M rows of out_features elements of the output's type, y_stride elements apart; gaps stay as they are.
///                x, y and workspace must not overlap.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT, FEWBIT_ERROR_BUFFER_TOO_SMALL (workspace),
///         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_UNSUPPORTED (FEWBIT_OUTPUT_DYNAMIC_PER_ROW). y is
///         untouched then.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_linear_run(
    linear: *const fewbit_linear,
    rows: usize,
    x: *const c_void,
    x_stride: usize,
    workspace: *mut c_void,
    workspace_size: usize,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    y_stride: usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |_| {
            let columns = 0..plan(linear)?.out_features();
            let run = LinearRun {
                rows,
                x: x.cast(),
                x_stride,
                residual: null(),
                residual_stride: 0,
                workspace: workspace.cast(),
                workspace_size,
                y: y.cast(),
                y_stride,
            };
            plan(linear)?.run_raw(&run, &Threads::new(parallel_for)?, (0..rows, columns))
        })
    }
}

/// Runs some rows and columns of a call of `rows` rows, for engines that split the work themselves, and for plans with
/// a residual: the results are the same, whatever the ranges. Calls at the same time need a workspace each. (Dynamic input per
/// tensor looks at all rows in each call.)
///
/// @param[in] residual  M rows of out_features elements of the residual's type; may be y, where elements are equally
///                      large and far apart. Not used, and may be NULL, without a residual.
/// @param[in] residual_stride  At least out_features, where there is a residual.
/// @param[in] row_begin, row_end  Rows, 0 <= row_begin <= row_end <= rows.
/// @param[in] col_begin, col_end  Columns of y, up to out_features.
/// @return As fewbit_linear_run, whose other parameters these are.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_linear_run_range(
    linear: *const fewbit_linear,
    rows: usize,
    x: *const c_void,
    x_stride: usize,
    residual: *const c_void,
    residual_stride: usize,
    workspace: *mut c_void,
    workspace_size: usize,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    y_stride: usize,
    row_begin: usize,
    row_end: usize,
    col_begin: usize,
    col_end: usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |_| {
            let run = LinearRun {
                rows,
                x: x.cast(),
                x_stride,
                residual: residual.cast(),
                residual_stride,
                workspace: workspace.cast(),
                workspace_size,
                y: y.cast(),
                y_stride,
            };
            let range = (row_begin..row_end, col_begin..col_end);
            plan(linear)?.run_raw(&run, &Threads::new(parallel_for)?, range)
        })
    }
}

/// Runs a plan with FEWBIT_OUTPUT_DYNAMIC_PER_ROW, and writes each row's parameters beside its codes. Whole rows only,
/// as all results of a row choose its parameters: some rows of a call of `rows` rows, for engines that split the work
/// themselves, or 0 to `rows`. The results are the same, whatever the ranges.
///
/// @param[in] residual, residual_stride  As fewbit_linear_run_range.
/// @param[in] row_begin, row_end  Rows, 0 <= row_begin <= row_end <= rows.
/// @param[out] scales  `rows` scales; those of rows beyond the range stay as they are.
/// @param[out] zero_points  As many zero points; may be NULL for FEWBIT_SCHEME_SYMMETRIC, whose are 0. Outputs must not
///                          overlap inputs, workspace and each other, but y the residual as in fewbit_linear_run_range.
/// @return As fewbit_linear_run, whose other parameters these are; FEWBIT_ERROR_UNSUPPORTED for plans with another
///         output.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_linear_run_dynamic(
    linear: *const fewbit_linear,
    rows: usize,
    x: *const c_void,
    x_stride: usize,
    residual: *const c_void,
    residual_stride: usize,
    workspace: *mut c_void,
    workspace_size: usize,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    y_stride: usize,
    scales: *mut f32,
    zero_points: *mut i32,
    row_begin: usize,
    row_end: usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |_| {
            let run = LinearRun {
                rows,
                x: x.cast(),
                x_stride,
                residual: residual.cast(),
                residual_stride,
                workspace: workspace.cast(),
                workspace_size,
                y: y.cast(),
                y_stride,
            };
            let (params, range) = (OutputParams { scales, zero_points }, row_begin..row_end);
            plan(linear)?.run_dynamic_raw(&run, &params, &Threads::new(parallel_for)?, range)
        })
    }
}

/// What a plan tells of itself.
///
/// @param[out] kernel_name  The name of the kernel that multiplies, NUL-terminated; at least 64 bytes. May be NULL.
/// @param[in] kernel_name_size  Bytes of kernel_name.
/// @param[out] bound  The largest absolute int32 sum that any input can give, proven from the weights; 0 for weights that are
///                    numbers. May be NULL.
/// @param[out] weight_bytes  Bytes of packed weights. May be NULL.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER (linear), FEWBIT_ERROR_BUFFER_TOO_SMALL.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_linear_info(
    linear: *const fewbit_linear,
    kernel_name: *mut c_char,
    kernel_name_size: usize,
    bound: *mut i64,
    weight_bytes: *mut usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        integer_entry(error, move |_| {
            let plan = plan(linear)?;
            if !kernel_name.is_null() {
                write_name(plan.kernel_name(), kernel_name, kernel_name_size)?;
            }
            if !bound.is_null() {
                bound.write_unaligned(plan.bound());
            }
            if !weight_bytes.is_null() {
                weight_bytes.write_unaligned(plan.weight_bytes());
            }
            Ok(())
        })
    }
}
