//! Level 2: tensors with a scheme and a granularity.

use crate::arrays::fewbit_quant_params;
use crate::boundary::{
    Extent, Threads, apart, array, description, fewbit_parallel_for, float_entry, integer_entry,
    slice, slice_mut, unknown,
};
use crate::status::{fewbit_error, fewbit_status};
use core::ffi::c_void;
use fewbit::granularity::{Granularity, Layout, MAX_RANK};
use fewbit::scheme::{
    IntFormat, ParamError, ParamSpec, QuantizeMode, Quotient, RealFormat, Rounding, Scheme,
    SymmetricRange, params_from_range,
};
use fewbit::tensor::{self, Reals, RealsMut, TensorParams, TensorQuant};
use fewbit::{Error, Result, Status};

/// IEEE binary32.
pub const FEWBIT_F32: i32 = 1;
/// IEEE binary16.
pub const FEWBIT_F16: i32 = 2;
/// bfloat16.
pub const FEWBIT_BF16: i32 = 3;
/// OCP 8-bit float, 4 exponent and 3 mantissa bits, no infinity.
pub const FEWBIT_F8E4M3FN: i32 = 4;
/// OCP 8-bit float, 5 exponent and 2 mantissa bits.
pub const FEWBIT_F8E5M2: i32 = 5;
/// Signed 8-bit codes, -128..127.
pub const FEWBIT_S8: i32 = 16;
/// Unsigned 8-bit codes, 0..255.
pub const FEWBIT_U8: i32 = 17;
/// Signed 16-bit codes, -32768..32767.
pub const FEWBIT_S16: i32 = 18;
/// Signed 4-bit codes, -8..7, two in a byte.
pub const FEWBIT_S4: i32 = 19;
/// Unsigned 4-bit codes, 0..15, two in a byte.
pub const FEWBIT_U4: i32 = 20;
/// Signed 2-bit codes, -2..1, four in a byte.
pub const FEWBIT_S2: i32 = 21;
/// One-bit codes 0 and 1, eight in a byte.
pub const FEWBIT_U1: i32 = 22;
/// One-bit codes -1 and +1, stored as 0 and 1: -scale and +scale; no zero point.
pub const FEWBIT_B1: i32 = 23;
/// Signed 32-bit integers: sums of products.
pub const FEWBIT_S32: i32 = 24;

/// The range, widened to contain 0, with a zero point.
pub const FEWBIT_SCHEME_AFFINE: i32 = 0;
/// The range made symmetric about 0; zero points are 0.
pub const FEWBIT_SCHEME_SYMMETRIC: i32 = 1;
/// Symmetric codes -qmax..qmax: int8 -127..127. It chooses the scale; numbers beyond the range it was chosen for
/// saturate to the format's ends, -128 among them.
pub const FEWBIT_RANGE_NARROW: i32 = 0;
/// Symmetric codes qmin..qmax: int8 -128..127.
pub const FEWBIT_RANGE_FULL: i32 = 1;
/// Round half to even.
pub const FEWBIT_ROUND_HALF_EVEN: i32 = 0;
/// Round half away from zero (TensorFlow Lite).
pub const FEWBIT_ROUND_HALF_AWAY: i32 = 1;
/// x / scale, correctly rounded.
pub const FEWBIT_QUOTIENT_DIVIDE: i32 = 0;
/// x * (1 / scale) (PyTorch, FBGEMM).
pub const FEWBIT_QUOTIENT_MULTIPLY: i32 = 1;
/// One parameter for the tensor.
pub const FEWBIT_PER_TENSOR: i32 = 0;
/// One parameter for each index of `axis` (channel, row, column).
pub const FEWBIT_PER_AXIS: i32 = 1;
/// One for each `block` elements along `axis`, at each index of the other axes; the last block may be shorter.
pub const FEWBIT_PER_BLOCK: i32 = 2;
/// One for each rectangle of `block` along `axis` and `block2` along `axis2`.
pub const FEWBIT_PER_BLOCK2: i32 = 3;

/// The dimensions and strides of a tensor, in elements; axis 0 is outermost. If all strides are 0 the tensor
/// is row-major without gaps; packed codes then start each innermost row on a byte.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_shape {
    /// sizeof(fewbit_shape); set by FEWBIT_SHAPE_INIT.
    pub struct_size: usize,
    /// Axes, 0..8.
    pub rank: usize,
    /// Elements along each axis.
    pub dims: [usize; 8],
    /// Distance of neighbours along each axis; all 0: no gaps.
    pub strides: [usize; 8],
}

/// How a tensor is quantized. FEWBIT_TENSOR_QUANT_INIT: int8, affine, per tensor, half to even, division, f32.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_tensor_quant {
    /// sizeof(fewbit_tensor_quant); set by FEWBIT_TENSOR_QUANT_INIT.
    pub struct_size: usize,
    /// FEWBIT_S8, U8, S16, S4, U4, S2, U1 or B1.
    pub dtype: i32,
    /// FEWBIT_SCHEME_*.
    pub scheme: i32,
    /// FEWBIT_RANGE_*, for the symmetric scheme of signed codes.
    pub range: i32,
    /// Not 0: scales are powers of two, rounded up.
    pub power_of_two: i32,
    /// FEWBIT_ROUND_*.
    pub rounding: i32,
    /// FEWBIT_QUOTIENT_*.
    pub quotient: i32,
    /// FEWBIT_PER_*.
    pub granularity: i32,
    /// FEWBIT_F32, F16 or BF16: the real numbers on the other side of the codes.
    pub real: i32,
    /// The axis of FEWBIT_PER_AXIS, _BLOCK and _BLOCK2.
    pub axis: usize,
    /// Elements of a block along `axis`.
    pub block: usize,
    /// The second axis of FEWBIT_PER_BLOCK2.
    pub axis2: usize,
    /// Elements of a block along `axis2`.
    pub block2: usize,
}

/// The integer format of a dtype.
pub(crate) fn int_format(dtype: i32) -> Option<IntFormat> {
    Some(match dtype {
        FEWBIT_S8 => IntFormat::S8,
        FEWBIT_U8 => IntFormat::U8,
        FEWBIT_S16 => IntFormat::S16,
        FEWBIT_S4 => IntFormat::S4,
        FEWBIT_U4 => IntFormat::U4,
        FEWBIT_S2 => IntFormat::S2,
        FEWBIT_U1 => IntFormat::U1,
        FEWBIT_B1 => IntFormat::B1,
        _ => return None,
    })
}

pub(crate) fn scheme(name: &'static str, value: i32) -> Result<Scheme> {
    match value {
        FEWBIT_SCHEME_AFFINE => Ok(Scheme::Affine),
        FEWBIT_SCHEME_SYMMETRIC => Ok(Scheme::Symmetric),
        other => Err(unknown(name, other)),
    }
}

pub(crate) fn symmetric_range(name: &'static str, value: i32) -> Result<SymmetricRange> {
    match value {
        FEWBIT_RANGE_NARROW => Ok(SymmetricRange::Narrow),
        FEWBIT_RANGE_FULL => Ok(SymmetricRange::Full),
        other => Err(unknown(name, other)),
    }
}

/// # Safety
/// `spec` is NULL or a description that can be read.
pub(crate) unsafe fn tensor_quant(
    spec: *const fewbit_tensor_quant,
) -> Result<(TensorQuant, RealFormat)> {
    // SAFETY: a plain struct of integers with a leading size; the rest by this function's contract.
    let spec = unsafe { description("spec", spec)? };
    let params = ParamSpec {
        format: int_format(spec.dtype).ok_or(unknown("spec.dtype", spec.dtype))?,
        scheme: scheme("spec.scheme", spec.scheme)?,
        range: symmetric_range("spec.range", spec.range)?,
        power_of_two: spec.power_of_two != 0,
    };
    let rounding = match spec.rounding {
        FEWBIT_ROUND_HALF_EVEN => Rounding::HalfEven,
        FEWBIT_ROUND_HALF_AWAY => Rounding::HalfAway,
        other => return Err(unknown("spec.rounding", other)),
    };
    let quotient = match spec.quotient {
        FEWBIT_QUOTIENT_DIVIDE => Quotient::Divide,
        FEWBIT_QUOTIENT_MULTIPLY => Quotient::Multiply,
        other => return Err(unknown("spec.quotient", other)),
    };
    let granularity = match spec.granularity {
        FEWBIT_PER_TENSOR => Granularity::PerTensor,
        FEWBIT_PER_AXIS => Granularity::PerAxis { axis: spec.axis },
        FEWBIT_PER_BLOCK => Granularity::PerBlock { axis: spec.axis, block: spec.block },
        FEWBIT_PER_BLOCK2 => Granularity::PerBlock2 {
            axes: [spec.axis, spec.axis2],
            blocks: [spec.block, spec.block2],
        },
        other => return Err(unknown("spec.granularity", other)),
    };
    let real = real("spec.real", spec.real)?;
    Ok((TensorQuant { params, granularity, mode: QuantizeMode { rounding, quotient } }, real))
}

/// A format of numbers.
pub(crate) fn real(name: &'static str, dtype: i32) -> Result<RealFormat> {
    match dtype {
        FEWBIT_F32 => Ok(RealFormat::F32),
        FEWBIT_F16 => Ok(RealFormat::F16),
        FEWBIT_BF16 => Ok(RealFormat::Bf16),
        other => Err(unknown(name, other)),
    }
}

/// A tensor's real numbers, checked as far as a pointer and a layout go.
fn reals(
    name: &'static str,
    x: *const c_void,
    format: RealFormat,
    layout: &Layout,
) -> Result<Extent> {
    match format {
        RealFormat::F32 => array(name, x.cast::<f32>(), layout.extent()),
        RealFormat::F16 | RealFormat::Bf16 => array(name, x.cast::<u16>(), layout.extent()),
    }
}

/// # Safety
/// `shape` is NULL or a description that can be read.
pub(crate) unsafe fn layout(
    name: &'static str,
    shape: *const fewbit_shape,
    codes_per_byte: usize,
) -> Result<Layout> {
    // SAFETY: a plain struct of integers with a leading size; the rest by this function's contract.
    let shape = unsafe { description(name, shape)? };
    let (Some(dims), Some(strides)) =
        (shape.dims.get(..shape.rank), shape.strides.get(..shape.rank))
    else {
        return Err(Error::new(
            Status::InvalidArgument,
            name,
            "has rank {}, but at most {} axes are possible",
        )
        .with(shape.rank)
        .with(MAX_RANK));
    };
    let layout = if strides.iter().all(|&stride| stride == 0) {
        Layout::packed(dims, codes_per_byte)
    } else {
        Layout::strided(dims, strides)
    };
    layout.map_err(|error| tensor::layout_error(error, name))
}

/// Parameters for a range of real numbers.
///
/// Affine: the range is widened to contain 0; scale = (max - min) / (qmax - qmin); zero_point =
/// clamp(round_half_even(qmin - min / scale), qmin, qmax). Symmetric: amax = max(|min|, |max|), scale = amax /
/// qmax (narrow) or amax / -qmin (full), zero_point 0. Infinite ends are taken as the largest finite number; a
/// range of 0 alone, and (+infinity, -infinity), the range of no data, give scale 1; a scale never underflows to 0.
///
/// @param[in] min, max  The range; not NaN, min <= max.
/// @param[in] spec  dtype, scheme, range, power_of_two; the rest is checked but not used.
/// @param[out] params  Scale and zero point.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_params_from_range(
    min: f32,
    max: f32,
    spec: *const fewbit_tensor_quant,
    params: *mut fewbit_quant_params,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        float_entry(error, move |_| {
            let (quant, _) = tensor_quant(spec)?;
            array("params", params, 1)?;
            let chosen =
                params_from_range(min, max, &quant.params).map_err(|error| match error {
                    ParamError::RangeOrder { min, max } => {
                        Error::new(Status::InvalidArgument, "min", "is {}, above max {}")
                            .with(min)
                            .with(max)
                    }
                    _ => Error::new(Status::InvalidArgument, "min", "or max is NaN"),
                })?;
            params
                .write(fewbit_quant_params { scale: chosen.scale, zero_point: chosen.zero_point });
            Ok(())
        })
    }
}

/// The number of parameters that a tensor needs under a granularity: the product over the axes of ceil(dim /
/// extent of a block). A tensor without elements needs them too: 1 per tensor, dims[axis] per axis.
///
/// @param[in] shape  Dimensions; strides do not matter, but must be valid.
/// @param[in] spec  granularity, axis, block, axis2, block2.
/// @param[out] count  The number.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (axis out of range, block 0, ...),
///         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_param_count(
    shape: *const fewbit_shape,
    spec: *const fewbit_tensor_quant,
    count: *mut usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe {
        integer_entry(error, move |_| {
            let layout = layout("shape", shape, 1)?;
            let (quant, _) = tensor_quant(spec)?;
            array("count", count, 1)?;
            count.write(tensor::param_count(&layout, &quant)?);
            Ok(())
        })
    }
}

/// Chooses each parameter of a tensor from the smallest and largest of its elements, as
/// fewbit_params_from_range; NaN is ignored.
///
/// @param[in] x  The tensor, of the type that spec.real says.
/// @param[in] x_shape  Its shape.
/// @param[in] spec  Formats, scheme, granularity.
/// @param[out] scales  `count` scales, row-major over the grid of blocks.
/// @param[out] zero_points  `count` zero points; may be NULL for the symmetric scheme.
/// @param[in] count  As fewbit_param_count gives it.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP,
///         FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_choose_params(
    x: *const c_void,
    x_shape: *const fewbit_shape,
    spec: *const fewbit_tensor_quant,
    scales: *mut f32,
    zero_points: *mut i32,
    count: usize,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract; slices are made of checked arrays that do not overlap.
    unsafe {
        float_entry(error, move |supported| {
            let layout = layout("x_shape", x_shape, 1)?;
            let (quant, format) = tensor_quant(spec)?;
            let places = if zero_points.is_null() { 0 } else { count };
            let (x_range, scales_range, zeros_range) = (
                reals("x", x, format, &layout)?,
                array("scales", scales, count)?,
                array("zero_points", zero_points, places)?,
            );
            apart(x_range, scales_range)?;
            apart(x_range, zeros_range)?;
            apart(scales_range, zeros_range)?;
            // Without parameters there is nothing to be NULL.
            let none = zero_points.is_null() && count > 0;
            let zero_points = (!none).then(|| slice_mut(zero_points, count));
            let scales = slice_mut(scales, count);
            let x = Reals { format, at: x.cast() };
            tensor::choose_params(x, &layout, &quant, scales, zero_points, supported)
        })
    }
}

/// What quantize and dequantize check alike.
struct Call {
    quant: TensorQuant,
    real: RealFormat,
    x_layout: Layout,
    q_layout: Layout,
    x_range: Extent,
    q_range: Extent,
}

/// # Safety
/// Descriptions are NULL or can be read.
unsafe fn call(
    x: *const c_void,
    x_shape: *const fewbit_shape,
    spec: *const fewbit_tensor_quant,
    q: *const c_void,
    q_shape: *const fewbit_shape,
) -> Result<Call> {
    // SAFETY: by this function's contract.
    let ((quant, real), x_layout) =
        unsafe { (tensor_quant(spec)?, layout("x_shape", x_shape, 1)?) };
    let format = quant.params.format;
    // SAFETY: by this function's contract.
    let q_layout = unsafe { layout("q_shape", q_shape, format.codes_per_byte())? };
    let x_range = reals("x", x, real, &x_layout)?;
    let q_range = match format {
        IntFormat::S16 => array("q", q.cast::<i16>(), q_layout.extent())?,
        _ => {
            array("q", q.cast::<u8>(), tensor::code_bytes(&q_layout, format).unwrap_or(usize::MAX))?
        }
    };
    apart(x_range, q_range)?;
    Ok(Call { quant, real, x_layout, q_layout, x_range, q_range })
}

/// # Safety
/// The arrays are NULL or can be read for `count` values.
unsafe fn tensor_params<'a>(
    scales: *const f32,
    zero_points: *const i32,
    count: usize,
    output: Extent,
) -> Result<TensorParams<'a>> {
    let zeros = if zero_points.is_null() { 0 } else { count };
    apart(array("scales", scales, count)?, output)?;
    apart(array("zero_points", zero_points, zeros)?, output)?;
    // SAFETY: checked, and readable by this function's contract.
    Ok(unsafe {
        TensorParams { scales: slice(scales, count), zero_points: slice(zero_points, zeros) }
    })
}

/// Quantizes a tensor: q = clamp(round(x / scale) + zero_point, qmin, qmax), each element with its own parameter;
/// the quotient and its rounding as spec says, infinities and huge numbers saturate, NaN gives zero_point.
/// FEWBIT_B1: +1 for x >= 0 (and NaN), otherwise -1. Packed codes: each innermost row starts on a byte, the rest
/// of its last byte is the code of zero.
///
/// @param[in] x, x_shape  The tensor, of the type that spec.real says; any positive strides.
/// @param[in] spec  Formats, scheme, granularity, rounding, quotient.
/// @param[in] scales  `count` scales, finite and greater than 0.
/// @param[in] zero_points  `count` codes, all 0 for the symmetric scheme; NULL: all 0.
/// @param[in] count  As fewbit_param_count gives it.
/// @param[in] parallel_for  Threads for large tensors; NULL: the calling one. The result does not depend on them.
/// @param[out] q  Codes; must not overlap the inputs. s16 aligned to 2 bytes.
/// @param[in] q_shape  The same dimensions; elements must not overlap. Packed codes: stride 1 along the innermost
///                     axis, the other strides multiples of the codes in a byte.
/// @param[out] error  May be NULL.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP,
///         FEWBIT_ERROR_ISA. q is untouched then.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_quantize(
    x: *const c_void,
    x_shape: *const fewbit_shape,
    spec: *const fewbit_tensor_quant,
    scales: *const f32,
    zero_points: *const i32,
    count: usize,
    parallel_for: *const fewbit_parallel_for,
    q: *mut c_void,
    q_shape: *const fewbit_shape,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract; extents are checked before anything is touched.
    unsafe {
        float_entry(error, move |supported| {
            let call = call(x, x_shape, spec, q, q_shape)?;
            let params = tensor_params(scales, zero_points, count, call.q_range)?;
            let threads = Threads::new(parallel_for)?;
            let Call { quant, real, x_layout, q_layout, .. } = call;
            let x = Reals { format: real, at: x.cast() };
            let (x, q) = ((x, &x_layout), (q.cast(), &q_layout));
            tensor::quantize(x, &quant, &params, q, &threads, supported)
        })
    }
}

/// Chooses parameters from a tensor and quantizes it with them: fewbit_choose_params, then fewbit_quantize, with the
/// same results. Where each index of the first axis has parameters of its own (FEWBIT_PER_AXIS with axis 0: per row),
/// rows are visited twice while they are in the cache, and threads share them out.
///
/// @param[in] x, x_shape, spec, parallel_for  As fewbit_quantize.
/// @param[out] scales  `count` scales.
/// @param[out] zero_points  `count` codes; may be NULL for the symmetric scheme.
/// @param[in] count  As fewbit_param_count gives it.
/// @param[out] q, q_shape  As fewbit_quantize. Outputs must not overlap the inputs, nor each other.
/// @param[out] error  May be NULL.
/// @return As fewbit_quantize. Nothing is written then.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_quantize_dynamic(
    x: *const c_void,
    x_shape: *const fewbit_shape,
    spec: *const fewbit_tensor_quant,
    scales: *mut f32,
    zero_points: *mut i32,
    count: usize,
    parallel_for: *const fewbit_parallel_for,
    q: *mut c_void,
    q_shape: *const fewbit_shape,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract; extents are checked before anything is touched.
    unsafe {
        float_entry(error, move |supported| {
            let call = call(x, x_shape, spec, q, q_shape)?;
            let zeros = if zero_points.is_null() { 0 } else { count };
            let scale_range = array("scales", scales, count)?;
            let zero_range = array("zero_points", zero_points, zeros)?;
            for (a, b) in [
                (call.x_range, scale_range),
                (call.x_range, zero_range),
                (call.q_range, scale_range),
                (call.q_range, zero_range),
                (scale_range, zero_range),
            ] {
                apart(a, b)?;
            }
            let threads = Threads::new(parallel_for)?;
            let Call { quant, real, x_layout, q_layout, .. } = call;
            // Without parameters there is nothing to be NULL.
            let none = zero_points.is_null() && count > 0;
            let places = (!none).then(|| slice_mut(zero_points, count));
            let params = (slice_mut(scales, count), places);
            let x = Reals { format: real, at: x.cast() };
            let (x, q) = ((x, &x_layout), (q.cast(), &q_layout));
            tensor::quantize_dynamic(x, &quant, params, q, &threads, supported)
        })
    }
}

/// Dequantizes a tensor: x = (q - zero_point) * scale, each element with its own parameter, the product rounded once,
/// to spec.real (to FEWBIT_F16 and FEWBIT_BF16 too), overflow to infinity; FEWBIT_B1: -scale or +scale. The arguments are
/// those of fewbit_quantize, q the input and x the output.
///
/// @param[in] q, q_shape  Codes.
/// @param[in] spec, scales, zero_points, count, parallel_for  As fewbit_quantize.
/// @param[out] x, x_shape  The tensor; must not overlap the inputs, nor its elements each other.
/// @param[out] error  May be NULL.
/// @return As fewbit_quantize. x is untouched then.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_dequantize(
    q: *const c_void,
    q_shape: *const fewbit_shape,
    spec: *const fewbit_tensor_quant,
    scales: *const f32,
    zero_points: *const i32,
    count: usize,
    parallel_for: *const fewbit_parallel_for,
    x: *mut c_void,
    x_shape: *const fewbit_shape,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract; extents are checked before anything is touched.
    unsafe {
        float_entry(error, move |supported| {
            let call = call(x, x_shape, spec, q, q_shape)?;
            let params = tensor_params(scales, zero_points, count, call.x_range)?;
            let threads = Threads::new(parallel_for)?;
            let Call { quant, real, x_layout, q_layout, .. } = call;
            let x = RealsMut { format: real, at: x.cast() };
            let (q, x) = ((q.cast(), &q_layout), (x, &x_layout));
            tensor::dequantize(q, &quant, &params, x, &threads, supported)
        })
    }
}

/// Quantizes and dequantizes a tensor in one pass, for training that is to see what quantization costs: y is what
/// fewbit_dequantize makes of fewbit_quantize's codes, in the type of x. NaN gives 0 (FEWBIT_B1: scale).
///
/// @param[in] x, x_shape, spec, scales, zero_points, count, parallel_for  As fewbit_quantize.
/// @param[out] y  The tensor, of the same type; must not overlap the inputs.
/// @param[in] y_shape  The same dimensions; elements must not overlap.
/// @param[out] error  May be NULL.
/// @return As fewbit_quantize. y is untouched then.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_fake_quantize(
    x: *const c_void,
    x_shape: *const fewbit_shape,
    spec: *const fewbit_tensor_quant,
    scales: *const f32,
    zero_points: *const i32,
    count: usize,
    parallel_for: *const fewbit_parallel_for,
    y: *mut c_void,
    y_shape: *const fewbit_shape,
    error: *mut fewbit_error,
) -> fewbit_status {
    // SAFETY: the documented contract; extents are checked before anything is touched.
    unsafe {
        float_entry(error, move |supported| {
            let ((quant, format), x_layout) = (tensor_quant(spec)?, layout("x_shape", x_shape, 1)?);
            let y_layout = layout("y_shape", y_shape, 1)?;
            let x_range = reals("x", x, format, &x_layout)?;
            let y_range = reals("y", y, format, &y_layout)?;
            apart(x_range, y_range)?;
            let params = tensor_params(scales, zero_points, count, y_range)?;
            let threads = Threads::new(parallel_for)?;
            let (x, y) = ((Reals { format, at: x.cast() }, &x_layout), (y.cast(), &y_layout));
            tensor::fake_quantize(x, &quant, &params, y, &threads, supported)
        })
    }
}
