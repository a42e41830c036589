//! Calibration: observers of ranges, and what quantization lost.

use crate::boundary::{apart, array, float_entry, integer_entry, slice};
use crate::status::fewbit_status;
use fewbit::calibrate::{Comparison, MinMax, MovingAverage};

/// The range of all data seen. Initialise it with fewbit_min_max_init. Its fields may be read, stored and sent
/// elsewhere; merging is exact, so any order of observing and merging gives the same.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_min_max {
    /// The smallest number, -0 less than +0; +infinity if there was none.
    pub min: f32,
    /// The largest number; -infinity if there was none.
    pub max: f32,
    /// Elements seen, NaN included.
    pub count: u64,
    /// How many of them were NaN.
    pub nan_count: u64,
}

/// The mean of the batches' smallest and of their largest numbers, one batch an observe call. The sums are held
/// exactly (384-bit integers in units of 2^-149), so any order of observing and merging gives the same bits.
/// Initialise it with fewbit_moving_average_init.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_moving_average {
    /// Batches that had a number.
    pub batches: u64,
    /// Elements seen, NaN included.
    pub count: u64,
    /// How many of them were NaN.
    pub nan_count: u64,
    /// The sum of the minima: two's complement, least significant first.
    pub min_sum: [u64; 6],
    /// The sum of the maxima.
    pub max_sum: [u64; 6],
}

/// How close an approximation is to its reference.
#[allow(non_camel_case_types, reason = "the name in C")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct fewbit_quality {
    /// Signal to quantization noise ratio, 10 log10(sum r^2 / sum (r - x)^2), in decibels; +infinity without noise.
    pub sqnr_db: f64,
    /// The largest |r - x|.
    pub max_abs_error: f64,
    /// Cosine of the angle between r and x.
    pub cosine: f64,
    /// Pairs compared.
    pub count: u64,
    /// Pairs with a NaN or an infinity.
    pub nonfinite_count: u64,
}

// The C structures are the crate's own states, field for field.
const _: () = {
    assert!(size_of::<fewbit_min_max>() == size_of::<MinMax>());
    assert!(align_of::<fewbit_min_max>() == align_of::<MinMax>());
    assert!(size_of::<fewbit_moving_average>() == size_of::<MovingAverage>());
    assert!(align_of::<fewbit_moving_average>() == align_of::<MovingAverage>());
};

/// Starts an observer: nothing seen.
///
/// @param[out] state  The observer.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_min_max_init(state: *mut fewbit_min_max) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        integer_entry(core::ptr::null_mut(), move |_| {
            array("state", state, 1)?;
            state.cast::<MinMax>().write(MinMax::EMPTY);
            Ok(())
        })
    }
}

/// Sees n more elements; NaN is counted and otherwise ignored.
///
/// @param[in] x  n numbers.
/// @param[in,out] state  The observer; must not overlap x.
/// @return FEWBIT_ERROR_NULL_POINTER (x may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (n),
///         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_min_max_observe(
    x: *const f32,
    n: usize,
    state: *mut fewbit_min_max,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        float_entry(core::ptr::null_mut(), move |supported| {
            apart(array("x", x, n)?, array("state", state, 1)?)?;
            (*state.cast::<MinMax>()).observe(slice(x, n), supported);
            Ok(())
        })
    }
}

/// Takes over what another observer has seen.
///
/// @param[in] other  The other observer; may be state itself.
/// @param[in,out] state  The observer.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_min_max_merge(
    other: *const fewbit_min_max,
    state: *mut fewbit_min_max,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract. `other` is copied first.
    unsafe {
        float_entry(core::ptr::null_mut(), move |_| {
            array("other", other, 1)?;
            array("state", state, 1)?;
            let other = other.cast::<MinMax>().read();
            (*state.cast::<MinMax>()).merge(&other);
            Ok(())
        })
    }
}

/// Starts an observer: no batch seen.
///
/// @param[out] state  The observer.
/// @return As fewbit_min_max_init.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_moving_average_init(
    state: *mut fewbit_moving_average,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        integer_entry(core::ptr::null_mut(), move |_| {
            array("state", state, 1)?;
            state.cast::<MovingAverage>().write(MovingAverage::EMPTY);
            Ok(())
        })
    }
}

/// Sees one batch of n elements. Infinite ends count as the largest finite number; a batch without numbers is not a
/// batch.
///
/// @param[in] x  n numbers.
/// @param[in,out] state  The observer; must not overlap x.
/// @return As fewbit_min_max_observe.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_moving_average_observe(
    x: *const f32,
    n: usize,
    state: *mut fewbit_moving_average,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        float_entry(core::ptr::null_mut(), move |supported| {
            apart(array("x", x, n)?, array("state", state, 1)?)?;
            (*state.cast::<MovingAverage>()).observe(slice(x, n), supported);
            Ok(())
        })
    }
}

/// Takes over the batches that another observer has seen.
///
/// @param[in] other  The other observer; may be state itself.
/// @param[in,out] state  The observer.
/// @return As fewbit_min_max_merge.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_moving_average_merge(
    other: *const fewbit_moving_average,
    state: *mut fewbit_moving_average,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract. `other` is copied first.
    unsafe {
        integer_entry(core::ptr::null_mut(), move |_| {
            array("other", other, 1)?;
            array("state", state, 1)?;
            let other = other.cast::<MovingAverage>().read();
            (*state.cast::<MovingAverage>()).merge(&other);
            Ok(())
        })
    }
}

/// The averaged range, each end rounded once to f32; +infinity and -infinity before the first batch.
///
/// @param[in] state  The observer.
/// @param[out] min, max  One number each; must not overlap the state, nor each other.
/// @return FEWBIT_ERROR_NULL_POINTER, FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_moving_average_range(
    state: *const fewbit_moving_average,
    min: *mut f32,
    max: *mut f32,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        float_entry(core::ptr::null_mut(), move |_| {
            let seen = array("state", state, 1)?;
            let (low_range, high_range) = (array("min", min, 1)?, array("max", max, 1)?);
            apart(low_range, high_range)?;
            apart(seen, low_range)?;
            apart(seen, high_range)?;
            let (low, high) = (*state.cast::<MovingAverage>()).range();
            min.write(low);
            max.write(high);
            Ok(())
        })
    }
}

/// Compares an approximation with its reference. The sums are exact, so the result is the same bits on every CPU. If
/// any pair has a NaN or an infinity, the three measures are NaN, and nonfinite_count says how many have.
///
/// @param[in] reference, x  n numbers each.
/// @param[out] quality  SQNR, largest error, cosine; must not overlap the inputs.
/// @return FEWBIT_ERROR_NULL_POINTER (inputs may be NULL if n is 0), FEWBIT_ERROR_INVALID_ARGUMENT (n),
///         FEWBIT_ERROR_MISALIGNED, FEWBIT_ERROR_OVERLAP, FEWBIT_ERROR_ISA.
///
/// # Safety
/// As documented.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fewbit_compare_f32(
    reference: *const f32,
    x: *const f32,
    n: usize,
    quality: *mut fewbit_quality,
) -> fewbit_status {
    // SAFETY: no error to write; the rest is the documented contract.
    unsafe {
        float_entry(core::ptr::null_mut(), move |_| {
            let out = array("quality", quality, 1)?;
            apart(array("reference", reference, n)?, out)?;
            apart(array("x", x, n)?, out)?;
            let mut comparison = Comparison::EMPTY;
            for (&r, &x) in slice(reference, n).iter().zip(slice(x, n)) {
                comparison.observe_one(r, x);
            }
            let found = comparison.quality();
            quality.write(fewbit_quality {
                sqnr_db: found.sqnr_db,
                max_abs_error: found.max_abs_error,
                cosine: found.cosine,
                count: comparison.count,
                nonfinite_count: comparison.nonfinite_count,
            });
            Ok(())
        })
    }
}
