//! Level 1: codes of less than a byte.

use crate::boundary::{apart, array, integer_entry, slice, unknown};
use crate::status::fewbit_status;
use fewbit::scheme::{IntFormat, QuantParams, pack};
use fewbit::{Error, Result, Status};

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
        integer_entry(core::ptr::null_mut(), move |_| {
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
        integer_entry(core::ptr::null_mut(), move |_| {
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
