//! Level 1: arrays to few numbers.

use crate::arrays::kernel;
use crate::boundary::{apart, array, float_entry, integer_entry};
use crate::status::fewbit_status;
use fewbit::kernels::reduce::{self, CodeSumsArgs, CodeSumsFn, MAX_COLUMNS, SumsArgs};
use fewbit::kernels::registry::Row;
use fewbit::{Error, Result, Status};

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
        float_entry(core::ptr::null_mut(), move |supported| {
            let x_range = array("x", x, n)?;
            let (min_range, max_range) = (array("min", min, 1)?, array("max", max, 1)?);
            apart(x_range, min_range)?;
            apart(x_range, max_range)?;
            apart(min_range, max_range)?;
            let (low, high) = kernel(reduce::MIN_MAX, supported)?.run()(x.cast(), 1, n);
            min.write(low);
            max.write(high);
            Ok(())
        })
    }
}

/// The largest magnitude of the numbers that are not NaN; 0 if there are none.
///
/// @param[in] x  n numbers.
/// @param[out] absmax  One number; must not overlap x.
/// @return As fewbit_min_max_f32.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_absmax_f32(
    x: *const f32,
    n: usize,
    absmax: *mut f32,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        float_entry(core::ptr::null_mut(), move |supported| {
            apart(array("x", x, n)?, array("absmax", absmax, 1)?)?;
            absmax.write(kernel(reduce::ABSMAX, supported)?.run()(x, n));
            Ok(())
        })
    }
}

/// The sum of each row, in f32 and in an order that does not depend on the CPU: of each 4096 numbers, number i is
/// added to partial sum i mod 64, in the order of i; the 64 are folded by halves (s[i] += s[i + 32], then 16, ... 1);
/// the results are added in order. NaN is the one of bits 0x7FC00000.
///
/// @param[in] x  rows of n contiguous numbers, row_stride numbers apart.
/// @param[in] rows, n  Rows, and numbers of a row.
/// @param[in] row_stride  At least n.
/// @param[out] sums  rows numbers; must not overlap x.
/// @return As fewbit_min_max_f32; FEWBIT_ERROR_INVALID_ARGUMENT for row_stride too.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_row_sums_f32(
    x: *const f32,
    rows: usize,
    n: usize,
    row_stride: usize,
    sums: *mut f32,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        float_entry(core::ptr::null_mut(), move |supported| {
            let extent = matrix("x", rows, n, row_stride)?;
            apart(array("x", x, extent)?, array("sums", sums, rows)?)?;
            kernel(reduce::ROW_SUMS, supported)?.run()(&SumsArgs {
                src: x,
                n,
                rows,
                row_stride,
                sums,
            });
            Ok(())
        })
    }
}

/// The elements from a matrix's first to its last.
fn matrix(name: &'static str, rows: usize, n: usize, row_stride: usize) -> Result<usize> {
    if row_stride < n {
        let text = "is {}, less than a row of {}";
        return Err(Error::new(Status::InvalidArgument, "row_stride", text)
            .with(row_stride)
            .with(n));
    }
    if rows == 0 || n == 0 {
        return Ok(0);
    }
    (rows - 1).checked_mul(row_stride).and_then(|last| last.checked_add(n)).ok_or(
        Error::new(Status::InvalidArgument, name, "has {} rows {} apart: more than memory")
            .with(rows)
            .with(row_stride),
    )
}

/// # Safety
/// As the exported functions that call it document.
unsafe fn code_sums(
    table: &'static [Row<CodeSumsFn>],
    q: *const u8,
    (rows, n, row_stride): (usize, usize, usize),
    sums: *mut i32,
) -> fewbit_status {
    // SAFETY: no error to write; the rest by the caller's promises.
    unsafe {
        integer_entry(core::ptr::null_mut(), move |supported| {
            let extent = matrix("q", rows, n, row_stride)?;
            if n > MAX_COLUMNS {
                let text = "is {}, but sums of more than {} codes could overflow";
                return Err(Error::new(Status::LimitExceeded, "n", text).with(n).with(MAX_COLUMNS));
            }
            apart(array("q", q, extent)?, array("sums", sums, rows)?)?;
            kernel(table, supported)?.run()(&CodeSumsArgs { src: q, n, rows, row_stride, sums });
            Ok(())
        })
    }
}

/// The sum of each row of int8 codes, exact: what a zero point on the other side of a product multiplies.
///
/// @param[in] q  rows of n contiguous codes, row_stride codes apart.
/// @param[in] rows, n  Rows, and codes of a row; n at most 2^23.
/// @param[in] row_stride  At least n.
/// @param[out] sums  rows sums; must not overlap q.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_INVALID_ARGUMENT, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP,
///         FEWBIT_ERROR_LIMIT_EXCEEDED (n), FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_row_sums_s8(
    q: *const i8,
    rows: usize,
    n: usize,
    row_stride: usize,
    sums: *mut i32,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { code_sums(reduce::ROW_SUMS_S8, q.cast(), (rows, n, row_stride), sums) }
}

/// The sum of each row of uint8 codes; otherwise as fewbit_row_sums_s8.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_row_sums_u8(
    q: *const u8,
    rows: usize,
    n: usize,
    row_stride: usize,
    sums: *mut i32,
) -> fewbit_status {
    // SAFETY: the documented contract.
    unsafe { code_sums(reduce::ROW_SUMS_U8, q, (rows, n, row_stride), sums) }
}
