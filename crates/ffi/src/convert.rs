//! Level 1: arrays of float formats.

use crate::arrays::kernel;
use crate::boundary::{apart, array, float_entry};
use crate::status::fewbit_status;
use fewbit::kernels::convert::{self, ConvertArgs, ConvertFn};
use fewbit::kernels::registry::Row;

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
        float_entry(core::ptr::null_mut(), move |supported| {
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
