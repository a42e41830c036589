//! A run to one value.

use crate::elementwise::rows;
use crate::infos;
use crate::registry::RowInfo;
use fewbit_simd::{Lanes, f32_of_order_key};

/// The smallest and the largest number of a run, as [`fewbit_scheme::reduce::min_max`] defines
/// them: NaN is ignored, -0 is less than +0, and without a number the result is `(+inf, -inf)`. The
/// arguments are the values, their distance in elements, and their number.
///
/// # Safety
/// For `i < n`, `src + i * stride` can be read; it need not be aligned. With `n = 0` the pointer is
/// not used.
pub type MinMaxFn = unsafe fn(*const f32, usize, usize) -> (f32, f32);

rows! {
    /// The smallest and the largest f32.
    MIN_MAX: MinMaxFn = "min_max_f32", |src: *const f32, stride: usize, n: usize| -> (f32, f32),
    min_max::<V>(src, stride, n)
}

/// The rows of this op's tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(MIN_MAX)
}

/// The longest vector of any row.
const MAX_LANES: usize = 16;

/// Added to part of a vector, read from `MAX_LANES - n` on: -0, which changes nothing, for the `n`
/// lanes that hold elements, and NaN, which will be ignored, for the others.
const NO_ELEMENT: [f32; 2 * MAX_LANES] = {
    let mut lanes = [-0.0; 2 * MAX_LANES];
    let mut i = MAX_LANES;
    while i < 2 * MAX_LANES {
        lanes[i] = f32::NAN;
        i += 1;
    }
    lanes
};

/// The order on keys is total, so lanes may meet in any order and every row gives the same answer.
///
/// # Safety
/// As [`MinMaxFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn min_max<V: Lanes>(src: *const f32, stride: usize, n: usize) -> (f32, f32) {
    const { assert!(V::LANES <= MAX_LANES) };
    let mut gathered = [0.0_f32; MAX_LANES];
    let (mut smallest, mut largest) = ([0_i32; MAX_LANES], [0_i32; MAX_LANES]);
    // SAFETY: offsets below `n` are the caller's; the buffers have `MAX_LANES >= V::LANES`
    // elements, and so has `NO_ELEMENT` from `MAX_LANES - len` on.
    unsafe {
        let mut bounds = (
            V::order_key(V::splat_f32(f32::INFINITY)),
            V::order_key(V::splat_f32(f32::NEG_INFINITY)),
        );
        let mut first = 0;
        while stride == 1 && n - first >= V::LANES {
            bounds = widened::<V>(bounds, V::load_f32(src.add(first), V::LANES));
            first += V::LANES;
        }
        while first < n {
            let len = V::LANES.min(n - first);
            let from = if stride == 1 {
                src.add(first)
            } else {
                for (i, lane) in gathered.iter_mut().enumerate().take(len) {
                    *lane = src.add((first + i) * stride).read_unaligned();
                }
                gathered.as_ptr()
            };
            let rest = V::load_f32(NO_ELEMENT.as_ptr().add(MAX_LANES - len), V::LANES);
            bounds = widened::<V>(bounds, V::add(V::load_f32(from, len), rest));
            first += len;
        }
        V::store_i32(smallest.as_mut_ptr(), bounds.0, V::LANES);
        V::store_i32(largest.as_mut_ptr(), bounds.1, V::LANES);
    }
    let smallest = smallest.iter().take(V::LANES).copied().fold(i32::MAX, i32::min);
    let largest = largest.iter().take(V::LANES).copied().fold(i32::MIN, i32::max);
    (f32_of_order_key(smallest), f32_of_order_key(largest))
}

/// The keys of the smallest and largest number so far, with a vector more.
///
/// # Safety
/// Within an entry compiled for `V`.
#[inline(always)]
unsafe fn widened<V: Lanes>((min, max): (V::I32, V::I32), v: V::F32) -> (V::I32, V::I32) {
    // SAFETY: by this function's contract.
    unsafe {
        let (inf, neg_inf) = (V::splat_f32(f32::INFINITY), V::splat_f32(f32::NEG_INFINITY));
        (
            V::min_i32(min, V::order_key(V::replace_nan(v, inf))),
            V::max_i32(max, V::order_key(V::replace_nan(v, neg_inf))),
        )
    }
}
