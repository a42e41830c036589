//! Layer and root-mean-square normalization, row by row, as [`fewbit_scheme::norm`] defines them, in steps that callers put
//! together, so that rows of any length and type can be worked on in pieces: the sum ([`crate::reduce::ROW_SUMS`]), the sum
//! of squares about the mean, the numbers normalized.

use crate::activate::minus;
use crate::elementwise::{Step, rows, run};
use crate::infos;
use crate::reduce::{Terms, block_sum, part};
use crate::registry::RowInfo;
use fewbit_scheme::real;
use fewbit_simd::Lanes;

/// Rows, or pieces of them, whose squares are summed.
#[derive(Clone, Copy, Debug)]
pub struct SquareSumsArgs {
    /// The first row's first number; the numbers of a row are contiguous.
    pub src: *const f32,
    /// Numbers of a row, at most [`fewbit_scheme::reduce::BLOCK`].
    pub n: usize,
    /// The number of rows.
    pub rows: usize,
    /// Distance of the rows, in elements.
    pub row_stride: usize,
    /// What squares are about, one a row. NULL: 0.
    pub centers: *const f32,
    /// The sums, one a row.
    pub sums: *mut f32,
}

/// A kernel of sums, each as [`fewbit_scheme::norm::square_sum`] defines it.
///
/// # Safety
/// For `row < rows` and `i < n`, `src + row * row_stride + i` can be read, centers be read unless NULL, and sums written.
/// Nothing need be aligned.
pub type SquareSumsFn = unsafe fn(&SquareSumsArgs);

rows! {
    /// The sum of `(x - center)^2` of each row.
    SQUARE_SUMS: SquareSumsFn = "square_sums_f32", |args: &SquareSumsArgs|, square_sums::<V>(args)
}

/// Rows, or pieces of them, to normalize; the numbers of a row are contiguous. Strides are in elements.
#[derive(Clone, Copy, Debug)]
pub struct NormalizeArgs {
    /// The first row's first number.
    pub src: *const f32,
    /// The first row's first result; may be `src`, with the same stride.
    pub dst: *mut f32,
    /// Numbers of a row.
    pub n: usize,
    /// The number of rows.
    pub rows: usize,
    /// Distance of the rows' first numbers.
    pub src_stride: usize,
    /// Distance of the rows' first results.
    pub dst_stride: usize,
    /// What is subtracted, one a row. NULL: 0.
    pub centers: *const f32,
    /// What the difference is multiplied by, one a row.
    pub factors: *const f32,
    /// And then by these, one an element of a row. NULL: none.
    pub gamma: *const f32,
    /// What is added, one an element of a row. NULL: none.
    pub beta: *const f32,
}

/// A kernel of [`fewbit_scheme::norm::normalized`].
///
/// # Safety
/// For `row < rows` and `i < n`, `src + row * src_stride + i` can be read and `dst + row * dst_stride + i` written; factors, and
/// what is not NULL of the others, can be read. Nothing need be aligned.
pub type NormalizeFn = unsafe fn(&NormalizeArgs);

rows! {
    /// `((x - center) * factor) * gamma + beta`.
    NORMALIZE: NormalizeFn = "normalize_f32", |args: &NormalizeArgs|, normalize::<V>(args)
}

/// The rows of these tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(SQUARE_SUMS).chain(infos(NORMALIZE))
}

/// Minus a row's center: -0 where there is none, which changes nothing when it is added.
///
/// # Safety
/// Within an entry compiled for `V`; `centers` is NULL or the row's can be read.
#[inline(always)]
unsafe fn minus_center<V: Lanes>(centers: *const f32, row: usize) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe {
        let center = if centers.is_null() { 0.0 } else { centers.add(row).read_unaligned() };
        minus::<V>(V::splat_f32(center))
    }
}

/// # Safety
/// As [`SquareSumsFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn square_sums<V: Lanes>(args: &SquareSumsArgs) {
    for row in 0..args.rows {
        // SAFETY: by this function's contract.
        unsafe {
            let src = args.src.wrapping_add(row * args.row_stride);
            let terms = Squares::<V> { src, minus_center: minus_center::<V>(args.centers, row) };
            let sum = block_sum::<V, _>(&terms, args.n);
            args.sums.add(row).write_unaligned(real::canonical(sum));
        }
    }
}

/// The squares of a row.
struct Squares<V: Lanes> {
    src: *const f32,
    minus_center: V::F32,
}

impl<V: Lanes> Terms<V> for Squares<V> {
    #[inline(always)]
    unsafe fn at(&self, first: usize, n: usize) -> V::F32 {
        // SAFETY: the terms are those of the row's numbers.
        unsafe {
            let d = V::add(V::load_f32(self.src.add(first), n), self.minus_center);
            part::<V>(V::mul(d, d), n)
        }
    }
}

/// # Safety
/// As [`NormalizeFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn normalize<V: Lanes>(args: &NormalizeArgs) {
    for row in 0..args.rows {
        // SAFETY: by this function's contract.
        unsafe {
            let op = Normalize::<V> {
                minus_center: minus_center::<V>(args.centers, row),
                factor: V::splat_f32(args.factors.add(row).read_unaligned()),
                gamma: args.gamma,
                beta: args.beta,
            };
            let src = args.src.wrapping_add(row * args.src_stride);
            run(&op, src, 1, args.dst.wrapping_add(row * args.dst_stride), 1, args.n, None);
        }
    }
}

struct Normalize<V: Lanes> {
    minus_center: V::F32,
    factor: V::F32,
    gamma: *const f32,
    beta: *const f32,
}

impl<V: Lanes> Step for Normalize<V> {
    type Src = f32;
    type Dst = f32;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const f32, dst: *mut f32, first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`; gamma and beta are as long as the run.
        unsafe {
            let d = V::add(V::load_f32(src, n), self.minus_center);
            let mut y = V::mul(d, self.factor);
            if !self.gamma.is_null() {
                y = V::mul(y, V::load_f32(self.gamma.add(first), n));
            }
            if !self.beta.is_null() {
                y = V::add(y, V::load_f32(self.beta.add(first), n));
            }
            y = V::replace_nan(y, V::splat_f32(f32::from_bits(0x7FC0_0000)));
            V::store_f32(dst, y, n);
        }
    }
}
