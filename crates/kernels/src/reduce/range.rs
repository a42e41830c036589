//! Ranges: of a run, of rows, of columns.

use crate::elementwise::rows;
use crate::infos;
use crate::real::{Bf16, F16, F32, Real};
use crate::registry::RowInfo;
use core::mem::MaybeUninit;
use fewbit_simd::{HalfLanes, Lanes, f32_of_order_key};

/// The smallest and the largest number of a run, as [`fewbit_scheme::reduce::min_max`] defines
/// them: NaN is ignored, -0 is less than +0, and without a number the result is `(+inf, -inf)`. The
/// arguments are the values, in the table's format, their distance in elements, and their number.
///
/// # Safety
/// For `i < n`, `src + i * stride` can be read; it need not be aligned. With `n = 0` the pointer is
/// not used.
pub type MinMaxFn = unsafe fn(*const u8, usize, usize) -> (f32, f32);

rows! {
    /// The smallest and the largest f32.
    MIN_MAX: MinMaxFn = "min_max_f32", |src: *const u8, stride: usize, n: usize| -> (f32, f32),
    min_max::<V, F32>(src.cast(), stride, n)
}

rows! {
    /// The smallest and the largest f16.
    MIN_MAX_F16: MinMaxFn = "min_max_f16", |src: *const u8, stride: usize, n: usize| -> (f32, f32),
    min_max::<V, F16>(src.cast(), stride, n)
}

rows! {
    /// The smallest and the largest bf16.
    MIN_MAX_BF16: MinMaxFn = "min_max_bf16", |src: *const u8, stride: usize, n: usize| -> (f32, f32),
    min_max::<V, Bf16>(src.cast(), stride, n)
}

/// Rows to their ranges, or columns to theirs; the ends compare equal to those of
/// [`fewbit_scheme::reduce::min_max`], but the sign of a zero is unspecified.
#[derive(Clone, Copy, Debug)]
pub struct RangesArgs {
    /// The first row's first value, in the table's format; the values of a row are contiguous.
    pub src: *const u8,
    /// Values of a row.
    pub n: usize,
    /// The number of rows.
    pub rows: usize,
    /// Distance of the rows, in elements.
    pub row_stride: usize,
    /// The smallest numbers, one a range: of rows they are written; of columns only what is smaller
    /// is, so that ranges may be gathered piece by piece.
    pub low: *mut f32,
    /// The largest numbers, likewise.
    pub high: *mut f32,
}

/// A kernel of ranges.
///
/// # Safety
/// `src + row * row_stride + i` can be read for every row and `i < n`; `low` and `high` can be written
/// for as many ranges as there are (and read, for columns). Nothing need be aligned.
pub type RangesFn = unsafe fn(&RangesArgs);

rows! {
    /// The range of each row of f32.
    ROW_RANGES: RangesFn = "row_ranges_f32", |args: &RangesArgs|, row_ranges::<V, F32>(args)
}

rows! {
    /// The range of each column of f32, and what it was before.
    COLUMN_RANGES: RangesFn = "column_ranges_f32", |args: &RangesArgs|,
    column_ranges::<V, F32>(args)
}

rows! {
    /// The range of each row of f16.
    ROW_RANGES_F16: RangesFn = "row_ranges_f16", |args: &RangesArgs|, row_ranges::<V, F16>(args)
}

rows! {
    /// The range of each column of f16, and what it was before.
    COLUMN_RANGES_F16: RangesFn = "column_ranges_f16", |args: &RangesArgs|,
    column_ranges::<V, F16>(args)
}

rows! {
    /// The range of each row of bf16.
    ROW_RANGES_BF16: RangesFn = "row_ranges_bf16", |args: &RangesArgs|, row_ranges::<V, Bf16>(args)
}

rows! {
    /// The range of each column of bf16, and what it was before.
    COLUMN_RANGES_BF16: RangesFn = "column_ranges_bf16", |args: &RangesArgs|,
    column_ranges::<V, Bf16>(args)
}

/// The rows of these tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    [MIN_MAX, MIN_MAX_F16, MIN_MAX_BF16].into_iter().flat_map(infos).chain(
        [
            ROW_RANGES,
            COLUMN_RANGES,
            ROW_RANGES_F16,
            COLUMN_RANGES_F16,
            ROW_RANGES_BF16,
            COLUMN_RANGES_BF16,
        ]
        .into_iter()
        .flat_map(infos),
    )
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

/// # Safety
/// As [`MinMaxFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn min_max<V: HalfLanes, R: Real>(
    src: *const R::Stored,
    stride: usize,
    n: usize,
) -> (f32, f32) {
    // SAFETY: by this function's contract.
    unsafe {
        if stride != 1 {
            return by_keys::<V, R>(src, stride, n);
        }
        let seen = range::<V, R>(src, n);
        let (low, high) = (seen.low, seen.high);
        // A zero's sign: of numbers that are not less than 0, those with a sign are -0. Where signs
        // do not tell, since a NaN may have one too, the order of keys does.
        match (low == 0.0, high == 0.0) {
            (false, false) => (low, high),
            (is_low, is_high) if !seen.any_sign => {
                (if is_low { 0.0 } else { low }, if is_high { 0.0 } else { high })
            }
            _ => by_keys::<V, R>(src, stride, n),
        }
    }
}

/// A range, its zeros of any sign, and whether any value had a sign.
struct Seen {
    low: f32,
    high: f32,
    any_sign: bool,
}

/// What a vector's lanes, or several vectors', have seen.
struct Lanewise<V: Lanes> {
    low: V::F32,
    high: V::F32,
    signs: V::I32,
}

impl<V: Lanes> Lanewise<V> {
    /// # Safety
    /// Within an entry compiled for `V`.
    #[inline(always)]
    unsafe fn new() -> Self {
        // SAFETY: by this function's contract.
        unsafe {
            Lanewise {
                low: V::splat_f32(f32::INFINITY),
                high: V::splat_f32(f32::NEG_INFINITY),
                signs: V::splat_i32(0),
            }
        }
    }

    /// Sees a vector: in this order of operands a NaN leaves the ends as they are.
    ///
    /// # Safety
    /// Within an entry compiled for `V`.
    #[inline(always)]
    unsafe fn see(&mut self, v: V::F32) {
        // SAFETY: by this function's contract.
        unsafe {
            self.low = V::min(v, self.low);
            self.high = V::max(v, self.high);
            self.signs = V::or_i32(self.signs, V::bits(v));
        }
    }

    /// # Safety
    /// Within an entry compiled for `V`.
    #[inline(always)]
    unsafe fn join(&mut self, other: Self) {
        // SAFETY: by this function's contract.
        unsafe {
            self.low = V::min(other.low, self.low);
            self.high = V::max(other.high, self.high);
            self.signs = V::or_i32(self.signs, other.signs);
        }
    }

    /// # Safety
    /// Within an entry compiled for `V`.
    #[inline(always)]
    unsafe fn fold(self) -> Seen {
        // SAFETY: by this function's contract; no lane is NaN, as none began as one.
        unsafe {
            let signs = V::and_i32(self.signs, V::splat_i32(i32::MIN));
            Seen {
                low: V::min_across(self.low),
                high: V::max_across(self.high),
                any_sign: !V::is_zero(signs),
            }
        }
    }
}

/// The range of contiguous values.
///
/// # Safety
/// Within an entry compiled for `V`; `n` values can be read.
#[inline(always)]
unsafe fn range<V: HalfLanes, R: Real>(src: *const R::Stored, n: usize) -> Seen {
    // SAFETY: offsets below `n` are the caller's; `NO_ELEMENT` has `LANES` elements from `MAX_LANES -
    // len` on.
    unsafe {
        let mut all = Lanewise::<V>::new();
        let mut first = 0;
        if n >= 4 * V::LANES {
            // Four chains, so that none waits for its last result.
            let (mut b, mut c, mut d) = (Lanewise::new(), Lanewise::new(), Lanewise::new());
            while n - first >= 4 * V::LANES {
                let at = src.add(first);
                all.see(R::load::<V>(at, V::LANES));
                b.see(R::load::<V>(at.add(V::LANES), V::LANES));
                c.see(R::load::<V>(at.add(2 * V::LANES), V::LANES));
                d.see(R::load::<V>(at.add(3 * V::LANES), V::LANES));
                first += 4 * V::LANES;
            }
            c.join(d);
            all.join(b);
            all.join(c);
        }
        while n - first >= V::LANES {
            all.see(R::load::<V>(src.add(first), V::LANES));
            first += V::LANES;
        }
        let len = n - first;
        if len > 0 {
            let rest = V::load_f32(NO_ELEMENT.as_ptr().add(MAX_LANES - len), V::LANES);
            all.see(V::add(R::load::<V>(src.add(first), len), rest));
        }
        all.fold()
    }
}

/// # Safety
/// As [`RangesFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn row_ranges<V: HalfLanes, R: Real>(args: &RangesArgs) {
    for row in 0..args.rows {
        // SAFETY: by this function's contract.
        unsafe {
            let first = args.src.cast::<R::Stored>().wrapping_add(row * args.row_stride);
            let seen = range::<V, R>(first, args.n);
            args.low.add(row).write_unaligned(seen.low);
            args.high.add(row).write_unaligned(seen.high);
        }
    }
}

/// Rows whose values meet the running ends at one visit of these.
const DEEP: usize = 8;

/// # Safety
/// As [`RangesFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn column_ranges<V: HalfLanes, R: Real>(args: &RangesArgs) {
    let RangesArgs { src, n, rows, row_stride, low, high } = *args;
    let src = src.cast::<R::Stored>();
    let mut row = 0;
    while row < rows {
        let deep = DEEP.min(rows - row);
        let mut first = 0;
        while first < n {
            let len = V::LANES.min(n - first);
            // SAFETY: rows and columns exist by this function's contract.
            unsafe {
                let (mut least, mut most) =
                    (V::load_f32(low.add(first), len), V::load_f32(high.add(first), len));
                for i in row..row + deep {
                    let v = R::load::<V>(src.add(i * row_stride + first), len);
                    (least, most) = (V::min(v, least), V::max(v, most));
                }
                V::store_f32(low.add(first), least, len);
                V::store_f32(high.add(first), most, len);
            }
            first += len;
        }
        row += deep;
    }
}

/// The order on keys is total, so lanes may meet in any order and every row gives the same answer.
///
/// # Safety
/// As [`MinMaxFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn by_keys<V: HalfLanes, R: Real>(
    src: *const R::Stored,
    stride: usize,
    n: usize,
) -> (f32, f32) {
    const { assert!(V::LANES <= MAX_LANES) };
    let mut gathered = [MaybeUninit::<R::Stored>::uninit(); MAX_LANES];
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
            bounds = widened::<V>(bounds, R::load::<V>(src.add(first), V::LANES));
            first += V::LANES;
        }
        while first < n {
            let len = V::LANES.min(n - first);
            let from = if stride == 1 {
                src.add(first)
            } else {
                for (i, lane) in gathered.iter_mut().enumerate().take(len) {
                    lane.write(src.add((first + i) * stride).read_unaligned());
                }
                gathered.as_ptr().cast()
            };
            let rest = V::load_f32(NO_ELEMENT.as_ptr().add(MAX_LANES - len), V::LANES);
            bounds = widened::<V>(bounds, V::add(R::load::<V>(from, len), rest));
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
