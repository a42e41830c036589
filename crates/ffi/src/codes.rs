//! Level 2: sums, products and concatenations of tensors of 8-bit codes.

use crate::arrays::{checked_params, fewbit_quant_params};
use crate::boundary::{
    Threads, array, description, fewbit_parallel_for, float_entry, slice, unknown,
};
use crate::plans::{
    FEWBIT_ACTIVATION_CLAMP, FEWBIT_ACTIVATION_GELU_TANH, FEWBIT_ACTIVATION_NONE,
    FEWBIT_ACTIVATION_RELU, code,
};
use crate::pool::flag;
use crate::status::{fewbit_error, fewbit_status};
use core::ffi::c_void;
use fewbit::{
    Activation, BinaryDesc, ConcatDesc, Error, Piece, Result, Status, add_raw, concat_raw,
    multiply_raw,
};

/// Two tensors of codes and their sum or product, without gaps: `a` and `y` are matrices of rows * columns, `b` one of
/// b_rows * b_columns that is repeated to their size. Start from FEWBIT_BINARY_DESC_INIT.
///
///   b of a's shape:                       b_rows = rows, b_columns = columns (rows may be 1)
///   b a single number:                    b_rows = 1, b_columns = 1
///   b for the last dimension (a channel): b_rows = 1, b_columns = columns
///   b for the channels of NCHW images:    rows = images * channels, columns = pixels, b_rows = channels, b_columns = 1
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_binary_desc {
    /// sizeof(fewbit_binary_desc); set by FEWBIT_BINARY_DESC_INIT.
    pub struct_size: usize,
    /// Rows of a and y, a multiple of b_rows: row i meets row i mod b_rows of b.
    pub rows: usize,
    /// Columns of a and y.
    pub columns: usize,
    /// Rows of b, at least 1.
    pub b_rows: usize,
    /// Columns of b: columns, or 1, which meets all of a row.
    pub b_columns: usize,
    /// FEWBIT_S8 or FEWBIT_U8, of a, b and y.
    pub dtype: i32,
    /// 0: in floats; 1: in integers only, with TensorFlow Lite's arithmetic of ADD and MUL.
    pub fixed_point: i32,
    /// Parameters of a.
    pub a: fewbit_quant_params,
    /// Parameters of b.
    pub b: fewbit_quant_params,
    /// Parameters of y.
    pub y: fewbit_quant_params,
    /// FEWBIT_ACTIVATION_NONE, FEWBIT_ACTIVATION_RELU or FEWBIT_ACTIVATION_CLAMP: bounds of the codes of y.
    pub activation: i32,
    /// FEWBIT_ACTIVATION_CLAMP: the smallest number.
    pub alpha: f32,
    /// FEWBIT_ACTIVATION_CLAMP: the largest number.
    pub beta: f32,
}

impl fewbit_binary_desc {
    fn read(&self) -> Result<BinaryDesc> {
        let activation = match self.activation {
            FEWBIT_ACTIVATION_NONE => Activation::None,
            FEWBIT_ACTIVATION_RELU => Activation::Relu,
            FEWBIT_ACTIVATION_CLAMP => Activation::Clamp { low: self.alpha, high: self.beta },
            other if (0..=FEWBIT_ACTIVATION_GELU_TANH).contains(&other) => {
                let text = "is {}, but sums and products take none, ReLU or a clamp";
                let error = Error::new(Status::Unsupported, "desc.activation", text);
                return Err(error.with(other));
            }
            other => return Err(unknown("desc.activation", other)),
        };
        Ok(BinaryDesc {
            rows: self.rows,
            columns: self.columns,
            b_rows: self.b_rows,
            b_columns: self.b_columns,
            code: code("desc.dtype", self.dtype)?,
            a: self.a.into(),
            b: self.b.into(),
            y: self.y.into(),
            activation,
            fixed_point: flag("desc.fixed_point", self.fixed_point)?,
        })
    }
}

/// Adds: y = quantize(dequantize(a) + dequantize(b)), four rounded f32 operations: ((a - za) * sa + (b - zb) * sb) / sy,
/// then the nearest integer, ties to even, plus zy, clamped to the codes and to the activation's. As ONNX's
/// DequantizeLinear, Add and QuantizeLinear, one by one; onnxruntime's QLinearAdd differs near ties.
///
/// With fixed_point, as TensorFlow Lite: both steps shifted by 20 bits to the left and multiplied with sa / twice and sb /
/// twice, where twice = 2 max(sa, sb), their sum with twice / (2^20 sy), by multipliers of fewbit_fixed_multiplier and
/// FEWBIT_FIXED_DOUBLE.
///
/// @param[in] desc  Shapes, parameters, activation.
/// @param[in] a  rows * columns codes.
/// @param[in] b  b_rows * b_columns codes.
/// @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
/// @param[out] y  rows * columns codes; may be a, or b if that has as many, but must not overlap them otherwise.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER (a, b and y may be NULL if there are no elements), FEWBIT_ERROR_INVALID_ARGUMENT
///         (sizes, constants, parameters), FEWBIT_ERROR_UNSUPPORTED (dtype, another activation; with fixed_point scales
///         whose multiplier is not below 1), FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_add(
    desc: *const fewbit_binary_desc,
    a: *const c_void,
    b: *const c_void,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |supported| {
            let desc = description("desc", desc)?.read()?;
            let threads = Threads::new(parallel_for)?;
            add_raw(&desc, a.cast(), b.cast(), y.cast(), &threads, supported)
        })
    }
}

/// Multiplies: y = quantize(dequantize(a) * dequantize(b)); otherwise as fewbit_add. With fixed_point, as TensorFlow Lite:
/// (a - za) * (b - zb) times the multiplier of sa * sb / sy, which is computed in f32.
///
/// @param[in] desc, a, b, parallel_for  As fewbit_add.
/// @param[out] y, error  As fewbit_add.
/// @return As fewbit_add; with fixed_point FEWBIT_ERROR_UNSUPPORTED for scales whose multiplier is 2^30 or more.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_multiply(
    desc: *const fewbit_binary_desc,
    a: *const c_void,
    b: *const c_void,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |supported| {
            let desc = description("desc", desc)?.read()?;
            let threads = Threads::new(parallel_for)?;
            multiply_raw(&desc, a.cast(), b.cast(), y.cast(), &threads, supported)
        })
    }
}

/// A tensor to concatenate: [outer][len][inner] codes without gaps.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_concat_piece {
    /// The codes; may be NULL if there are none.
    pub x: *const c_void,
    /// Elements along the axis.
    pub len: usize,
    /// Their parameters.
    pub params: fewbit_quant_params,
}

impl From<fewbit_concat_piece> for Piece {
    fn from(piece: fewbit_concat_piece) -> Piece {
        Piece { x: piece.x.cast(), len: piece.len, params: piece.params.into() }
    }
}

/// Concatenates tensors of codes along an axis, to [outer][the sum of all len][inner], each brought to the result's
/// parameters as by fewbit_rescale_s8_s8. Codes of a piece with the same parameters stay as they are.
///
/// @param[in] pieces  `count` of them.
/// @param[in] count  The number of pieces.
/// @param[in] outer, inner  The products of the dimensions before and behind the axis.
/// @param[in] dtype  FEWBIT_S8 or FEWBIT_U8, of all.
/// @param[in] y_params  The result's parameters.
/// @param[in] parallel_for  The caller's threads, or NULL. The results do not depend on it.
/// @param[out] y  As many codes as all pieces; must not overlap them.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER (pieces may be NULL if count is 0, codes where there are none),
///         FEWBIT_ERROR_INVALID_ARGUMENT (sizes, parameters, a quotient of scales that overflows),
///         FEWBIT_ERROR_UNSUPPORTED (dtype), FEWBIT_ERROR_MISALIGNED (pieces), FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_concat(
    pieces: *const fewbit_concat_piece,
    count: usize,
    outer: usize,
    inner: usize,
    dtype: i32,
    y_params: *const fewbit_quant_params,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |supported| {
            array("pieces", pieces, count)?;
            let code = code("dtype", dtype)?;
            let params = checked_params("y_params", y_params, code.format())?;
            let desc = ConcatDesc { outer, inner, code, y: params };
            let threads = Threads::new(parallel_for)?;
            concat_raw(&desc, slice(pieces, count), y.cast(), &threads, supported)
        })
    }
}
