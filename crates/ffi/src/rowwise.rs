//! Level 2: functions of a tensor's rows.

use crate::arrays::fewbit_quant_params;
use crate::boundary::{
    Extent, Threads, apart, array, fewbit_parallel_for, float_entry, not_null, slice, unknown,
};
use crate::status::{fewbit_error, fewbit_status};
use crate::tensors::{
    FEWBIT_BF16, FEWBIT_F16, FEWBIT_F32, FEWBIT_S8, FEWBIT_U8, fewbit_shape, layout,
};
use core::ffi::c_void;
use fewbit::granularity::Layout;
use fewbit::rowwise::{Element, Norm, RowOp, rowwise};
use fewbit::scheme::QuantParams;
use fewbit::simd::Supported;
use fewbit::{Code, Result};

/// A tensor as a function takes it.
struct Tensor {
    element: Element,
    layout: Layout,
    extent: Extent,
}

/// The names of a tensor's arguments.
struct Names {
    data: &'static str,
    shape: &'static str,
    dtype: &'static str,
    params: &'static str,
}

const X: Names = Names { data: "x", shape: "x_shape", dtype: "x_dtype", params: "x_params" };
const Y: Names = Names { data: "y", shape: "y_shape", dtype: "y_dtype", params: "y_params" };

/// # Safety
/// Shape and parameters are NULL or can be read.
unsafe fn tensor(
    names: &Names,
    data: *const c_void,
    shape: *const fewbit_shape,
    dtype: i32,
    params: *const fewbit_quant_params,
) -> Result<Tensor> {
    // SAFETY: by this function's contract.
    let layout = unsafe { layout(names.shape, shape, 1)? };
    let codes = |code| -> Result<Element> {
        not_null(names.params, params)?;
        array(names.params, params, 1)?;
        // SAFETY: by this function's contract.
        let fewbit_quant_params { scale, zero_point } = unsafe { params.read() };
        Ok(Element::Codes(code, QuantParams { scale, zero_point }))
    };
    let element = match dtype {
        FEWBIT_F32 => Element::F32,
        FEWBIT_F16 => Element::F16,
        FEWBIT_BF16 => Element::Bf16,
        FEWBIT_S8 => codes(Code::S8)?,
        FEWBIT_U8 => codes(Code::U8)?,
        other => return Err(unknown(names.dtype, other)),
    };
    let n = layout.extent();
    let extent = match element {
        Element::F32 => array(names.data, data.cast::<f32>(), n)?,
        Element::F16 | Element::Bf16 => array(names.data, data.cast::<u16>(), n)?,
        Element::Codes(..) => array(names.data, data.cast::<u8>(), n)?,
    };
    Ok(Tensor { element, layout, extent })
}

/// An entry's arguments but for the function's own.
#[derive(Clone, Copy)]
struct Call {
    x: *const c_void,
    x_shape: *const fewbit_shape,
    x_dtype: i32,
    x_params: *const fewbit_quant_params,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    y_shape: *const fewbit_shape,
    y_dtype: i32,
    y_params: *const fewbit_quant_params,
}

impl Call {
    /// Checks everything, and applies the function that `op` makes of the length of a row; what it reads besides must not
    /// overlap the extent it is given.
    ///
    /// # Safety
    /// As documented for the exported functions.
    #[inline(never)]
    unsafe fn run<'a>(
        &self,
        supported: Supported,
        op: &dyn Fn(usize, Extent) -> Result<RowOp<'a>>,
    ) -> Result<()> {
        let Call { x, x_shape, x_dtype, x_params, parallel_for, y, y_shape, y_dtype, y_params } =
            *self;
        // SAFETY: by this function's contract; extents are checked before anything is touched.
        unsafe {
            let from = tensor(&X, x, x_shape, x_dtype, x_params)?;
            let to = tensor(&Y, y, y_shape, y_dtype, y_params)?;
            let same = x == y.cast_const()
                && from.element.size() == to.element.size()
                && from.layout == to.layout;
            if !same {
                apart(from.extent, to.extent)?;
            }
            let n = from.layout.dims().last().copied().unwrap_or(0);
            let op = op(n, to.extent)?;
            let threads = Threads::new(parallel_for)?;
            let from = (from.element, x.cast(), &from.layout);
            rowwise(&op, from, (to.element, y.cast(), &to.layout), &threads, supported)
        }
    }
}

/// # Safety
/// gamma and beta are NULL or can be read for a row.
unsafe fn norm<'a>(
    (n, output): (usize, Extent),
    gamma: *const f32,
    beta: *const f32,
    epsilon: f32,
) -> Result<Norm<'a>> {
    let values = |name, values: *const f32| -> Result<Option<&'a [f32]>> {
        if values.is_null() {
            return Ok(None);
        }
        apart(array(name, values, n)?, output)?;
        // SAFETY: checked, and readable by this function's contract.
        Ok(Some(unsafe { slice(values, n) }))
    };
    Ok(Norm { gamma: values("gamma", gamma)?, beta: values("beta", beta)?, epsilon })
}

/// Softmax along the last axis: y = exp(x - max) / sum exp(x - max) of each row, in f32 inside, the same bits on every CPU
/// and for any threads. A row with a NaN or +infinity, or of -infinity alone, is NaN; otherwise -infinity becomes 0.
///
/// @param[in] x, x_shape  The tensor, of 1 axis or more; any positive strides.
/// @param[in] x_dtype  FEWBIT_F32, F16 or BF16; or FEWBIT_S8 or U8, codes that are dequantized.
/// @param[in] x_params  The codes' scale and zero point; not used for numbers, and may be NULL then.
/// @param[in] parallel_for  Threads that share out rows of large tensors; NULL: the calling one.
/// @param[out] y  The result; must not overlap x, but may be x if shapes, strides and the size of elements are the same.
/// @param[in] y_shape  The same dimensions; elements must not overlap.
/// @param[in] y_dtype  As x_dtype: numbers rounded once, overflow to infinity; codes quantized as by fewbit_quantize (division,
///                     half to even, saturating, NaN gives the zero point).
/// @param[in] y_params  As x_params. For u8 a scale of 1/256 and zero point 0 is usual.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP,
///         FEWBIT_ERROR_ISA. y is untouched then.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_softmax(
    x: *const c_void,
    x_shape: *const fewbit_shape,
    x_dtype: i32,
    x_params: *const fewbit_quant_params,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    y_shape: *const fewbit_shape,
    y_dtype: i32,
    y_params: *const fewbit_quant_params,
    error: *mut fewbit_error,
) -> fewbit_status {
    let call = Call { x, x_shape, x_dtype, x_params, parallel_for, y, y_shape, y_dtype, y_params };
    // SAFETY: the documented contract.
    unsafe { float_entry(error, move |supported| call.run(supported, &|_, _| Ok(RowOp::Softmax))) }
}

/// The natural logarithm of softmax along the last axis: y = (x - max) - ln(sum exp(x - max)) of each row. Otherwise as
/// fewbit_softmax; where that is 0, -infinity or the difference.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_log_softmax(
    x: *const c_void,
    x_shape: *const fewbit_shape,
    x_dtype: i32,
    x_params: *const fewbit_quant_params,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    y_shape: *const fewbit_shape,
    y_dtype: i32,
    y_params: *const fewbit_quant_params,
    error: *mut fewbit_error,
) -> fewbit_status {
    let call = Call { x, x_shape, x_dtype, x_params, parallel_for, y, y_shape, y_dtype, y_params };
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |supported| call.run(supported, &|_, _| Ok(RowOp::LogSoftmax)))
    }
}

/// Layer normalization along the last axis: y = (x - mean) / sqrt(variance + epsilon) * gamma + beta of each row, in f32
/// inside, the same bits on every CPU and for any threads; the variance is that of the population. A row with a NaN or an
/// infinity is NaN, and so is one without variance if epsilon is 0.
///
/// @param[in] x, x_shape, x_dtype, x_params, parallel_for  As fewbit_softmax.
/// @param[in] gamma  A factor for each element of a row, dims[rank - 1] of them; NULL: none.
/// @param[in] beta  What is then added, likewise; NULL: none.
/// @param[in] epsilon  Finite, not negative. An f32 whatever the types of the tensors: 1e-12 is not 0.
/// @param[out] y  As fewbit_softmax; must not overlap gamma and beta.
/// @param[in] y_shape, y_dtype, y_params  As fewbit_softmax.
/// @param[out] error  May be NULL.
/// @return As fewbit_softmax.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_layer_norm(
    x: *const c_void,
    x_shape: *const fewbit_shape,
    x_dtype: i32,
    x_params: *const fewbit_quant_params,
    gamma: *const f32,
    beta: *const f32,
    epsilon: f32,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    y_shape: *const fewbit_shape,
    y_dtype: i32,
    y_params: *const fewbit_quant_params,
    error: *mut fewbit_error,
) -> fewbit_status {
    let call = Call { x, x_shape, x_dtype, x_params, parallel_for, y, y_shape, y_dtype, y_params };
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |supported| {
            call.run(supported, &|n, output| {
                Ok(RowOp::LayerNorm(norm((n, output), gamma, beta, epsilon)?))
            })
        })
    }
}

/// Normalization by the root mean square, along the last axis: y = x / sqrt(mean of x^2 + epsilon) * gamma + beta of each
/// row. Otherwise as fewbit_layer_norm, but that a row with an infinity is NaN there, and elsewhere 0 before beta.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_rms_norm(
    x: *const c_void,
    x_shape: *const fewbit_shape,
    x_dtype: i32,
    x_params: *const fewbit_quant_params,
    gamma: *const f32,
    beta: *const f32,
    epsilon: f32,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    y_shape: *const fewbit_shape,
    y_dtype: i32,
    y_params: *const fewbit_quant_params,
    error: *mut fewbit_error,
) -> fewbit_status {
    let call = Call { x, x_shape, x_dtype, x_params, parallel_for, y, y_shape, y_dtype, y_params };
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |supported| {
            call.run(supported, &|n, output| {
                Ok(RowOp::RmsNorm(norm((n, output), gamma, beta, epsilon)?))
            })
        })
    }
}
