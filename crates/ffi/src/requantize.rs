//! Level 1: sums to codes, and codes to codes of other parameters.

use crate::arrays::{checked_params, fewbit_quant_params, kernel};
use crate::boundary::{apart, apart_or_same, array, float_entry, integer_entry, unknown};
use crate::status::fewbit_status;
use fewbit::kernels::Rows;
use fewbit::kernels::registry::Row;
use fewbit::kernels::requantize::{
    self, RequantizeArgs, RequantizeFixedArgs, RequantizeFixedFn, RequantizeFn,
};
use fewbit::kernels::rescale::{self, RescaleArgs, RescaleFn};
use fewbit::scheme::{FixedMultiplier, FixedRounding, IntFormat, QuantParams};
use fewbit::{Error, Result, Status};

/// Fixed-point rounding: TensorFlow Lite's default, a rounding doubling high multiplication followed by a
/// rounding shift, ties away from zero.
pub const FEWBIT_FIXED_DOUBLE: i32 = 0;
/// Fixed-point rounding: once, ties upwards (TFLITE_SINGLE_ROUNDING, ruy, CMSIS-NN).
pub const FEWBIT_FIXED_SINGLE: i32 = 1;

/// One of FEWBIT_FIXED_*.
pub(crate) fn fixed_rounding(name: &'static str, rounding: i32) -> Result<FixedRounding> {
    match rounding {
        FEWBIT_FIXED_DOUBLE => Ok(FixedRounding::Double),
        FEWBIT_FIXED_SINGLE => Ok(FixedRounding::Single),
        other => Err(unknown(name, other)),
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
        // By reference: the two parameters side by side, written as two and read as one, would wait for each other.
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
                rows: Rows::ONE,
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
/// @param[in] real  Not negative; less than 2^30, also when rounded.
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
        float_entry(core::ptr::null_mut(), move |_| {
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
        integer_entry(core::ptr::null_mut(), move |supported| {
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
            let rounding = fixed_rounding("rounding", fixed.rounding)?;
            let zero_point = fixed.zero_point;
            fewbit::check_params(QuantParams { scale: 1.0, zero_point }, format, "zero_point")?;
            apart(array("acc", acc, n)?, array("q", q, n)?)?;
            kernel(rows, supported)?.run()(&RequantizeFixedArgs {
                src: acc,
                src_stride: 1,
                dst: q,
                dst_stride: 1,
                n,
                multipliers: &fixed.multiplier,
                shifts: &fixed.shift,
                zero_points: &zero_point,
                param_step: 0,
                rows: Rows::ONE,
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

/// # Safety
/// As the exported functions that call it document.
unsafe fn rescale_array(
    rows: &'static [Row<RescaleFn>],
    format: IntFormat,
    q: *const u8,
    n: usize,
    (from, to): (*const fewbit_quant_params, *const fewbit_quant_params),
    out: *mut u8,
) -> fewbit_status {
    // SAFETY: no error to write; the rest by the caller's promises.
    unsafe {
        float_entry(core::ptr::null_mut(), move |supported| {
            let from = checked_params("from", from, format)?;
            let to = checked_params("to", to, format)?;
            let multiplier = from.scale / to.scale;
            check_multiplier(multiplier)?;
            apart_or_same(array("q", q, n)?, array("out", out, n)?)?;
            kernel(rows, supported)?.run()(&RescaleArgs {
                src: q,
                src_stride: 1,
                dst: out,
                dst_stride: 1,
                n,
                from_zero_point: from.zero_point,
                multiplier,
                zero_point: to.zero_point,
            });
            Ok(())
        })
    }
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
    // SAFETY: the documented contract.
    unsafe { rescale_array(rescale::S8_S8, IntFormat::S8, q.cast(), n, (from, to), out.cast()) }
}

/// Moves uint8 codes to other parameters; codes and zero points 0..255, otherwise as fewbit_rescale_s8_s8.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_rescale_u8_u8(
    q: *const u8,
    n: usize,
    from: *const fewbit_quant_params,
    to: *const fewbit_quant_params,
    out: *mut u8,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { rescale_array(rescale::U8_U8, IntFormat::U8, q, n, (from, to), out) }
}
