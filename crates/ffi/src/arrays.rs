//! Level 1: arrays without descriptions, one call each: quantize, dequantize.

use crate::boundary::{apart, array, float_entry, not_null};
use crate::status::fewbit_status;
use fewbit::kernels::Rows;
use fewbit::kernels::dequantize::{self, DequantizeArgs, DequantizeFn};
use fewbit::kernels::quantize::{self, QuantizeArgs, QuantizeFn};
use fewbit::kernels::registry::{Bound, Row, best};
use fewbit::scheme::{IntFormat, QuantParams, QuantizeMode};
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

/// The best kernel of an op.
pub(crate) fn kernel<F: Copy>(rows: &'static [Row<F>], supported: Supported) -> Result<Bound<F>> {
    best(rows, supported).ok_or(Error::new(Status::Internal, "kernel", "was not found"))
}

/// Parameters that were passed by pointer, checked for a format.
///
/// # Safety
/// `params` is NULL or can be read.
pub(crate) unsafe fn checked_params(
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
        float_entry(core::ptr::null_mut(), move |supported| {
            let params = checked_params("params", params, format)?;
            apart(array("x", x, n)?, array("q", q, n)?)?;
            kernel(rows, supported)?.run()(&QuantizeArgs {
                src: x.cast(),
                src_stride: 1,
                dst: q,
                dst_stride: 1,
                n,
                scales: &params.scale,
                zero_points: &params.zero_point,
                param_step: 0,
                rows: Rows::ONE,
                mode: QuantizeMode::default(),
                clamp: (format.qmin(), format.qmax()),
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
        float_entry(core::ptr::null_mut(), move |supported| {
            let params = checked_params("params", params, format)?;
            apart(array("q", q, n)?, array("x", x, n)?)?;
            kernel(rows, supported)?.run()(&DequantizeArgs {
                src: q,
                src_stride: 1,
                signed: format.qmin() < 0,
                dst: x.cast(),
                dst_stride: 1,
                n,
                scales: &params.scale,
                zero_points: &params.zero_point,
                param_step: 0,
                rows: Rows::ONE,
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
