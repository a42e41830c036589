//! Level 1: arrays without descriptions, one call each.

use crate::boundary::{
    apart, apart_or_same, array, float_entry, integer_entry, not_null, slice, unknown,
};
use crate::status::fewbit_status;
use fewbit::kernels::convert::{self, ConvertArgs, ConvertFn};
use fewbit::kernels::dequantize::{self, DequantizeArgs, DequantizeFn};
use fewbit::kernels::quantize::{self, QuantizeArgs, QuantizeFn};
use fewbit::kernels::reduce;
use fewbit::kernels::registry::{Bound, Row, best};
use fewbit::kernels::requantize::{
    self, RequantizeArgs, RequantizeFixedArgs, RequantizeFixedFn, RequantizeFn,
};
use fewbit::scheme::{
    FixedMultiplier, FixedRounding, IntFormat, QuantParams, QuantizeMode, pack, rescale,
};
use fewbit::simd::Supported;
use fewbit::{Error, Result, Status};

/// x = scale * (q - zero_point).
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct fewbit_quant_params {
    /// The size of one step; finite and greater than 0 (subnormal allowed).
    pub scale: f32,
    /// The code of real 0, one of the format's codes.
    pub zero_point: i32,
}

impl From<fewbit_quant_params> for QuantParams {
    fn from(params: fewbit_quant_params) -> QuantParams {
        QuantParams { scale: params.scale, zero_point: params.zero_point }
    }
}

/// Fixed-point rounding: TensorFlow Lite's default, a rounding doubling high multiplication followed by a
/// rounding shift, ties away from zero.
pub const FEWBIT_FIXED_DOUBLE: i32 = 0;
/// Fixed-point rounding: once, ties upwards (TFLITE_SINGLE_ROUNDING, ruy, CMSIS-NN).
pub const FEWBIT_FIXED_SINGLE: i32 = 1;

fn kernel<F: Copy>(rows: &'static [Row<F>], supported: Supported) -> Result<Bound<F>> {
    best(rows, supported).ok_or(Error::new(Status::Internal, "kernel", "was not found"))
}

/// Parameters that were passed by pointer, checked for a format.
///
/// # Safety
/// `params` is NULL or can be read.
unsafe fn checked_params(
    name: &'static str,
    params: *const fewbit_quant_params,
    format: IntFormat,
) -> Result<QuantParams> {
    not_null(name, params)?;
    // SAFETY: not NULL, readable by this function's contract.
    let params = QuantParams::from(unsafe { params.read_unaligned() });
    fewbit::check_params(params, format, name)?;
    Ok(params)
}

/// # Safety
/// As the exported functions that call it document.
unsafe fn quantize_array(
    rows: &'static [Row<QuantizeFn>],
    format: IntFormat,
    x: *const f32,
    n: usize,
    params: *const fewbit_quant_params,
    q: *mut u8,
) -> fewbit_status {
    // SAFETY: no error to write; the rest by the caller's promises.
    unsafe {
        float_entry(core::ptr::null_mut(), |supported| {
            let params = checked_params("params", params, format)?;
            apart(array("x", x, n)?, array("q", q, n)?)?;
            kernel(rows, supported)?.run()(&QuantizeArgs {
                src: x,
                src_stride: 1,
                dst: q,
                dst_stride: 1,
                n,
                scales: &params.scale,
                zero_points: &params.zero_point,
                param_step: 0,
                mode: QuantizeMode::default(),
            });
            Ok(())
        })
    }
}

/// Quantizes to int8: q = clamp(round_half_even(x / scale) + zero_point, -128, 127). The division is
/// correctly rounded; infinities and huge numbers saturate; NaN gives zero_point.
///
/// @param[in] x  n numbers.
/// @param[in] params  Scale and zero point (-128..127) of all.
/// @param[out] q  n codes; must not overlap x.
/// @return FEWBIT_ERROR_NULL_POINTER (x and q may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (params, n),
///         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_quantize_f32_s8(
    x: *const f32,
    n: usize,
    params: *const fewbit_quant_params,
    q: *mut i8,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { quantize_array(quantize::F32_S8, IntFormat::S8, x, n, params, q.cast()) }
}

/// Quantizes to uint8: q = clamp(round_half_even(x / scale) + zero_point, 0, 255); otherwise as
/// fewbit_quantize_f32_s8.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_quantize_f32_u8(
    x: *const f32,
    n: usize,
    params: *const fewbit_quant_params,
    q: *mut u8,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { quantize_array(quantize::F32_U8, IntFormat::U8, x, n, params, q) }
}

/// # Safety
/// As the exported functions that call it document.
unsafe fn dequantize_array(
    rows: &'static [Row<DequantizeFn>],
    format: IntFormat,
    q: *const u8,
    n: usize,
    params: *const fewbit_quant_params,
    x: *mut f32,
) -> fewbit_status {
    // SAFETY: no error to write; the rest by the caller's promises.
    unsafe {
        float_entry(core::ptr::null_mut(), |supported| {
            let params = checked_params("params", params, format)?;
            apart(array("q", q, n)?, array("x", x, n)?)?;
            kernel(rows, supported)?.run()(&DequantizeArgs {
                src: q,
                src_stride: 1,
                dst: x,
                dst_stride: 1,
                n,
                scales: &params.scale,
                zero_points: &params.zero_point,
                param_step: 0,
            });
            Ok(())
        })
    }
}

/// Dequantizes int8: x = f32(q - zero_point) * scale; the difference is exact, the product rounds once.
///
/// @param[in] q  n codes.
/// @param[in] params  As fewbit_quantize_f32_s8.
/// @param[out] x  n numbers; must not overlap q.
/// @return As fewbit_quantize_f32_s8.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_dequantize_s8_f32(
    q: *const i8,
    n: usize,
    params: *const fewbit_quant_params,
    x: *mut f32,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { dequantize_array(dequantize::S8_F32, IntFormat::S8, q.cast(), n, params, x) }
}

/// Dequantizes uint8: x = f32(q - zero_point) * scale; otherwise as fewbit_dequantize_s8_f32.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_dequantize_u8_f32(
    q: *const u8,
    n: usize,
    params: *const fewbit_quant_params,
    x: *mut f32,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { dequantize_array(dequantize::U8_F32, IntFormat::U8, q, n, params, x) }
}

/// # Safety
/// As the exported functions that call it document.
unsafe fn convert_array<S, D>(
    rows: &'static [Row<ConvertFn>],
    x: *const S,
    n: usize,
    y: *mut D,
) -> fewbit_status {
    // SAFETY: no error to write; the rest by the caller's promises.
    unsafe {
        float_entry(core::ptr::null_mut(), |supported| {
            apart(array("x", x, n)?, array("y", y, n)?)?;
            kernel(rows, supported)?.run()(&ConvertArgs {
                src: x.cast(),
                src_stride: 1,
                dst: y.cast(),
                dst_stride: 1,
                n,
            });
            Ok(())
        })
    }
}

/// Converts f32 to IEEE binary16 bits: to nearest, ties to even; subnormals kept; beyond 65504 rounds to
/// infinity (65520 and more); NaN keeps its sign and top payload bits and becomes quiet.
///
/// @param[in] x  n numbers.
/// @param[out] y  n values; must not overlap x.
/// @return FEWBIT_ERROR_NULL_POINTER (may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (n),
///         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_convert_f32_f16(
    x: *const f32,
    n: usize,
    y: *mut u16,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { convert_array(convert::F32_F16, x, n, y) }
}

/// Converts IEEE binary16 bits to f32, exactly; a NaN becomes quiet. Otherwise as fewbit_convert_f32_f16.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_convert_f16_f32(
    x: *const u16,
    n: usize,
    y: *mut f32,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { convert_array(convert::F16_F32, x, n, y) }
}

/// Converts f32 to bfloat16 bits: to nearest, ties to even; subnormals kept; NaN as
/// fewbit_convert_f32_f16, and the rest too.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_convert_f32_bf16(
    x: *const f32,
    n: usize,
    y: *mut u16,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { convert_array(convert::F32_BF16, x, n, y) }
}

/// Converts bfloat16 bits to f32, exactly; a NaN becomes quiet. Otherwise as fewbit_convert_f32_f16.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_convert_bf16_f32(
    x: *const u16,
    n: usize,
    y: *mut f32,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { convert_array(convert::BF16_F32, x, n, y) }
}

/// Converts f32 to OCP E4M3FN bits: to nearest, ties to even; subnormals kept; NaN gives 0x7F with its
/// sign. What rounds beyond 448 becomes +-448 if saturate is not 0, otherwise NaN (there is no infinity).
/// Otherwise as fewbit_convert_f32_f16.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_convert_f32_f8e4m3fn(
    x: *const f32,
    n: usize,
    saturate: i32,
    y: *mut u8,
) -> fewbit_status {
    let rows = if saturate != 0 { convert::F32_F8E4M3FN_SATURATE } else { convert::F32_F8E4M3FN };
    // SAFETY: the documented contract.
    unsafe { convert_array(rows, x, n, y) }
}

/// Converts OCP E4M3FN bits to f32, exactly. Otherwise as fewbit_convert_f32_f16.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_convert_f8e4m3fn_f32(
    x: *const u8,
    n: usize,
    y: *mut f32,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { convert_array(convert::F8E4M3FN_F32, x, n, y) }
}

/// Converts f32 to OCP E5M2 bits: to nearest, ties to even; subnormals kept; NaN gives 0x7E with its sign.
/// What rounds beyond 57344 becomes +-57344 if saturate is not 0, otherwise infinity. Otherwise as
/// fewbit_convert_f32_f16.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_convert_f32_f8e5m2(
    x: *const f32,
    n: usize,
    saturate: i32,
    y: *mut u8,
) -> fewbit_status {
    let rows = if saturate != 0 { convert::F32_F8E5M2_SATURATE } else { convert::F32_F8E5M2 };
    // SAFETY: the documented contract.
    unsafe { convert_array(rows, x, n, y) }
}

/// Converts OCP E5M2 bits to f32, exactly; a NaN becomes quiet. Otherwise as fewbit_convert_f32_f16.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_convert_f8e5m2_f32(
    x: *const u8,
    n: usize,
    y: *mut f32,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { convert_array(convert::F8E5M2_F32, x, n, y) }
}

/// The smallest and the largest of the numbers that are not NaN, with -0 less than +0; +infinity and
/// -infinity if there are none.
///
/// @param[in] x  n numbers.
/// @param[out] min, max  One number each; must not overlap x, nor each other.
/// @return FEWBIT_ERROR_NULL_POINTER (x may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (n),
///         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_min_max_f32(
    x: *const f32,
    n: usize,
    min: *mut f32,
    max: *mut f32,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        float_entry(core::ptr::null_mut(), |supported| {
            let x_range = array("x", x, n)?;
            let (min_range, max_range) = (array("min", min, 1)?, array("max", max, 1)?);
            apart(x_range, min_range)?;
            apart(x_range, max_range)?;
            apart(min_range, max_range)?;
            let (low, high) = kernel(reduce::MIN_MAX, supported)?.run()(x, 1, n);
            min.write(low);
            max.write(high);
            Ok(())
        })
    }
}

fn check_multiplier(multiplier: f32) -> Result<()> {
    if (0.0..f32::INFINITY).contains(&multiplier) {
        return Ok(());
    }
    Err(Error::new(
        Status::InvalidArgument,
        "multiplier",
        "is {}, but must be finite and not negative",
    )
    .with(multiplier))
}

/// # Safety
/// As the exported functions that call it document.
unsafe fn requantize_array(
    rows: &'static [Row<RequantizeFn>],
    format: IntFormat,
    acc: *const i32,
    n: usize,
    (multiplier, zero_point): (f32, i32),
    q: *mut u8,
) -> fewbit_status {
    // SAFETY: no error to write; the rest by the caller's promises.
    unsafe {
        float_entry(core::ptr::null_mut(), |supported| {
            check_multiplier(multiplier)?;
            fewbit::check_params(QuantParams { scale: 1.0, zero_point }, format, "zero_point")?;
            apart(array("acc", acc, n)?, array("q", q, n)?)?;
            kernel(rows, supported)?.run()(&RequantizeArgs {
                src: acc,
                src_stride: 1,
                dst: q,
                dst_stride: 1,
                n,
                multipliers: &multiplier,
                zero_points: &zero_point,
                param_step: 0,
                clamp: (format.qmin(), format.qmax()),
            });
            Ok(())
        })
    }
}

/// Requantizes int32 sums to int8, float mode: q = clamp(round_half_even(f32(acc) * multiplier) +
/// zero_point, -128, 127). f32(acc) rounds to nearest even beyond 2^24. ONNX Runtime's formula.
///
/// @param[in] acc  n sums.
/// @param[in] multiplier  scale_lhs * scale_rhs / scale_q; finite, not negative.
/// @param[in] zero_point  Of q, -128..127.
/// @param[out] q  n codes; must not overlap acc.
/// @return As fewbit_quantize_f32_s8.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_requantize_s32_s8(
    acc: *const i32,
    n: usize,
    multiplier: f32,
    zero_point: i32,
    q: *mut i8,
) -> fewbit_status {
    let params = (multiplier, zero_point);
    // SAFETY: the documented contract.
    unsafe { requantize_array(requantize::S32_S8, IntFormat::S8, acc, n, params, q.cast()) }
}

/// Requantizes int32 sums to uint8, float mode; codes and zero point 0..255, otherwise as
/// fewbit_requantize_s32_s8.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_requantize_s32_u8(
    acc: *const i32,
    n: usize,
    multiplier: f32,
    zero_point: i32,
    q: *mut u8,
) -> fewbit_status {
    let params = (multiplier, zero_point);
    // SAFETY: the documented contract.
    unsafe { requantize_array(requantize::S32_U8, IntFormat::U8, acc, n, params, q) }
}

/// A real multiplier in fixed point: real = multiplier * 2^(shift - 31), multiplier in 2^30..2^31 or 0,
/// the mantissa rounded with ties away from zero; below 2^-32 both are 0. TensorFlow Lite's
/// QuantizeMultiplier.
///
/// @param[in] real  0 <= real < 2^30.
/// @param[out] multiplier, shift  One number each.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT (real), FEWBIT_ERROR_MISALIGNED,
///         FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_fixed_multiplier(
    real: f64,
    multiplier: *mut i32,
    shift: *mut i32,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        float_entry(core::ptr::null_mut(), |_| {
            apart(array("multiplier", multiplier, 1)?, array("shift", shift, 1)?)?;
            let fixed = FixedMultiplier::from_real(real).ok_or(Error::new(
                Status::InvalidArgument,
                "real",
                "is not in 0 to 2^30",
            ))?;
            multiplier.write(fixed.multiplier);
            shift.write(fixed.shift);
            Ok(())
        })
    }
}

struct Fixed {
    multiplier: i32,
    shift: i32,
    rounding: i32,
    zero_point: i32,
}

/// # Safety
/// As the exported functions that call it document.
unsafe fn requantize_fixed_array(
    rows: &'static [Row<RequantizeFixedFn>],
    format: IntFormat,
    acc: *const i32,
    n: usize,
    fixed: Fixed,
    q: *mut u8,
) -> fewbit_status {
    // SAFETY: no error to write; the rest by the caller's promises.
    unsafe {
        integer_entry(core::ptr::null_mut(), |supported| {
            let multiplier = FixedMultiplier { multiplier: fixed.multiplier, shift: fixed.shift };
            if !multiplier.is_valid() {
                return Err(Error::new(
                    Status::InvalidArgument,
                    "multiplier",
                    "is {} with shift {}, but must not be negative, with a shift of -31 to 30",
                )
                .with(fixed.multiplier)
                .with(fixed.shift));
            }
            let rounding = match fixed.rounding {
                FEWBIT_FIXED_DOUBLE => FixedRounding::Double,
                FEWBIT_FIXED_SINGLE => FixedRounding::Single,
                other => return Err(unknown("rounding", other)),
            };
            let zero_point = fixed.zero_point;
            fewbit::check_params(QuantParams { scale: 1.0, zero_point }, format, "zero_point")?;
            apart(array("acc", acc, n)?, array("q", q, n)?)?;
            kernel(rows, supported)?.run()(&RequantizeFixedArgs {
                src: acc,
                src_stride: 1,
                dst: q,
                dst_stride: 1,
                n,
                multipliers: &multiplier,
                zero_points: &zero_point,
                param_step: 0,
                clamp: (format.qmin(), format.qmax()),
                rounding,
            });
            Ok(())
        })
    }
}

/// Requantizes int32 sums to int8 in integers only: q = clamp(round(acc * multiplier * 2^(shift - 31)) +
/// zero_point, -128, 127), TensorFlow Lite's MultiplyByQuantizedMultiplier. The floating-point
/// environment is not touched.
///
/// @param[in] acc  n sums.
/// @param[in] multiplier, shift  From fewbit_fixed_multiplier; not negative, and -31..30.
/// @param[in] rounding  FEWBIT_FIXED_DOUBLE or FEWBIT_FIXED_SINGLE.
/// @param[in] zero_point  Of q, -128..127.
/// @param[out] q  n codes; must not overlap acc.
/// @return As fewbit_quantize_f32_s8.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_requantize_fixed_s32_s8(
    acc: *const i32,
    n: usize,
    multiplier: i32,
    shift: i32,
    rounding: i32,
    zero_point: i32,
    q: *mut i8,
) -> fewbit_status {
    let fixed = Fixed { multiplier, shift, rounding, zero_point };
    // SAFETY: the documented contract.
    unsafe {
        requantize_fixed_array(requantize::S32_S8_FIXED, IntFormat::S8, acc, n, fixed, q.cast())
    }
}

/// Requantizes int32 sums to uint8 in integers only; codes and zero point 0..255, otherwise as
/// fewbit_requantize_fixed_s32_s8.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_requantize_fixed_s32_u8(
    acc: *const i32,
    n: usize,
    multiplier: i32,
    shift: i32,
    rounding: i32,
    zero_point: i32,
    q: *mut u8,
) -> fewbit_status {
    let fixed = Fixed { multiplier, shift, rounding, zero_point };
    // SAFETY: the documented contract.
    unsafe { requantize_fixed_array(requantize::S32_U8_FIXED, IntFormat::U8, acc, n, fixed, q) }
}

/// Moves int8 codes to other parameters: out = clamp(round_half_even(f32(q - from.zero_point) *
/// (from.scale / to.scale)) + to.zero_point, -128, 127); the quotient of the scales is one f32 division.
///
/// @param[in] q  n codes.
/// @param[in] from, to  Parameters of q and of out.
/// @param[out] out  n codes; may be q itself, but must not overlap it otherwise.
/// @return As fewbit_quantize_f32_s8; FEWBIT_ERROR_INVALID_ARGUMENT too if the quotient overflows.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_rescale_s8_s8(
    q: *const i8,
    n: usize,
    from: *const fewbit_quant_params,
    to: *const fewbit_quant_params,
    out: *mut i8,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract. Codes are read before they are
    // written, one by one, so that `out` may be `q`.
    unsafe {
        float_entry(core::ptr::null_mut(), |_| {
            let from = checked_params("from", from, IntFormat::S8)?;
            let to = checked_params("to", to, IntFormat::S8)?;
            check_multiplier(from.scale / to.scale)?;
            apart_or_same(array("q", q, n)?, array("out", out, n)?)?;
            for i in 0..n {
                let code = rescale(q.add(i).read() as i32, from, to, IntFormat::S8);
                out.add(i).write(code as i8);
            }
            Ok(())
        })
    }
}

fn sub_byte(dtype: i32) -> Result<IntFormat> {
    match crate::tensors::int_format(dtype) {
        Some(format) if format.bits() < 8 => Ok(format),
        Some(_) => Err(Error::new(
            Status::Unsupported,
            "dtype",
            "is {}: only codes of less than a byte are packed",
        )
        .with(dtype)),
        None => Err(unknown("dtype", dtype)),
    }
}

/// Packs codes of less than a byte: 4 bits two in a byte, low nibble first; 2 bits four and 1 bit eight in
/// a byte, least significant first. Codes are taken modulo their bits; FEWBIT_B1 stores -1 as 0 and +1 as
/// 1. The rest of the last byte is filled with the code zero_point.
///
/// @param[in] codes  n codes, a byte each.
/// @param[in] dtype  FEWBIT_S4, FEWBIT_U4, FEWBIT_S2, FEWBIT_U1 or FEWBIT_B1.
/// @param[in] zero_point  The code of zero.
/// @param[out] packed  ceil(n * bits / 8) bytes; must not overlap codes.
/// @return FEWBIT_ERROR_NULL_POINTER (may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (dtype, zero_point,
///         n), FEWBIT_ERROR_UNSUPPORTED (dtype of a byte or more), FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_pack(
    codes: *const i8,
    n: usize,
    dtype: i32,
    zero_point: i32,
    packed: *mut u8,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        integer_entry(core::ptr::null_mut(), |_| {
            let format = sub_byte(dtype)?;
            fewbit::check_params(QuantParams { scale: 1.0, zero_point }, format, "zero_point")?;
            let bytes = pack::packed_len(format, n);
            apart(array("codes", codes, n)?, array("packed", packed, bytes)?)?;
            if n > 0 {
                let to = core::slice::from_raw_parts_mut(packed, bytes);
                pack::pack(format, slice(codes, n), format.zero_code(zero_point), to);
            }
            Ok(())
        })
    }
}

/// Unpacks codes of less than a byte; the inverse of fewbit_pack.
///
/// @param[in] packed  ceil(n * bits / 8) bytes.
/// @param[in] n, dtype  As fewbit_pack.
/// @param[out] codes  n codes, a byte each, sign-extended; must not overlap packed.
/// @return As fewbit_pack.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_unpack(
    packed: *const u8,
    n: usize,
    dtype: i32,
    codes: *mut i8,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        integer_entry(core::ptr::null_mut(), |_| {
            let format = sub_byte(dtype)?;
            let bytes = pack::packed_len(format, n);
            apart(array("packed", packed, bytes)?, array("codes", codes, n)?)?;
            if n > 0 {
                let to = core::slice::from_raw_parts_mut(codes, n);
                pack::unpack(format, slice(packed, bytes), to);
            }
            Ok(())
        })
    }
}
