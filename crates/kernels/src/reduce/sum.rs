//! Sums of rows, of numbers and of codes; and the largest magnitude.

use super::block::{Terms, block_sum};
use crate::elementwise::rows;
use crate::infos;
use crate::registry::RowInfo;
use fewbit_scheme::real;
use fewbit_scheme::reduce::BLOCK;
use fewbit_simd::Lanes;

/// The largest magnitude of `n` contiguous numbers, as [`fewbit_scheme::reduce::absmax`] defines it.
///
/// # Safety
/// `n` numbers can be read; they need not be aligned.
pub type AbsmaxFn = unsafe fn(*const f32, usize) -> f32;

rows! {
    /// The largest magnitude.
    ABSMAX: AbsmaxFn = "absmax_f32", |src: *const f32, n: usize| -> f32, absmax::<V>(src, n)
}

/// Rows to their sums.
#[derive(Clone, Copy, Debug)]
pub struct SumsArgs {
    /// The first row's first number; the numbers of a row are contiguous.
    pub src: *const f32,
    /// Numbers of a row.
    pub n: usize,
    /// The number of rows.
    pub rows: usize,
    /// Distance of the rows, in elements.
    pub row_stride: usize,
    /// The sums, one a row.
    pub sums: *mut f32,
}

/// A kernel of sums, each as [`fewbit_scheme::reduce::sum_f32`] defines it.
///
/// # Safety
/// `src + row * row_stride + i` can be read for every row and `i < n`, and a sum for each row be
/// written. Nothing need be aligned.
pub type SumsFn = unsafe fn(&SumsArgs);

rows! {
    /// The sum of each row of f32.
    ROW_SUMS: SumsFn = "row_sums_f32", |args: &SumsArgs|, row_sums::<V>(args)
}

/// Rows of codes to their sums.
#[derive(Clone, Copy, Debug)]
pub struct CodeSumsArgs {
    /// The first row's first code; the codes of a row are contiguous bytes, s8 or u8 as the table says.
    pub src: *const u8,
    /// Codes of a row; at most [`MAX_COLUMNS`], whose sum an i32 holds.
    pub n: usize,
    /// The number of rows.
    pub rows: usize,
    /// Distance of the rows, in codes.
    pub row_stride: usize,
    /// The sums, one a row.
    pub sums: *mut i32,
}

/// The most codes whose sum cannot leave i32: `MAX_COLUMNS * 255 < 2^31`.
pub const MAX_COLUMNS: usize = 1 << 23;

/// A kernel of sums of codes.
///
/// # Safety
/// As [`SumsFn`].
pub type CodeSumsFn = unsafe fn(&CodeSumsArgs);

rows! {
    /// The sum of each row of s8.
    ROW_SUMS_S8: CodeSumsFn = "row_sums_s8", |args: &CodeSumsArgs|, code_sums::<V, true>(args)
}

rows! {
    /// The sum of each row of u8.
    ROW_SUMS_U8: CodeSumsFn = "row_sums_u8", |args: &CodeSumsArgs|, code_sums::<V, false>(args)
}

/// The rows of these tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(ABSMAX).chain(infos(ROW_SUMS)).chain(infos(ROW_SUMS_S8)).chain(infos(ROW_SUMS_U8))
}

/// # Safety
/// As [`AbsmaxFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn absmax<V: Lanes>(src: *const f32, n: usize) -> f32 {
    // SAFETY: offsets below `n` are the caller's.
    unsafe {
        let zero = V::splat_f32(0.0);
        // Four chains, so that none waits for its last result.
        let (mut a, mut b, mut c, mut d) = (zero, zero, zero, zero);
        let mut first = 0;
        while n - first >= 4 * V::LANES {
            let at = src.add(first);
            a = larger::<V>(a, V::load_f32(at, V::LANES));
            b = larger::<V>(b, V::load_f32(at.add(V::LANES), V::LANES));
            c = larger::<V>(c, V::load_f32(at.add(2 * V::LANES), V::LANES));
            d = larger::<V>(d, V::load_f32(at.add(3 * V::LANES), V::LANES));
            first += 4 * V::LANES;
        }
        while first < n {
            let len = V::LANES.min(n - first);
            // What is not there is 0, which no magnitude is below.
            a = larger::<V>(a, V::load_f32(src.add(first), len));
            first += len;
        }
        V::max_across(V::max(V::max(a, b), V::max(c, d)))
    }
}

/// The larger of a magnitude and that of a number; with a NaN, the former.
///
/// # Safety
/// Within an entry compiled for `V`.
#[inline(always)]
unsafe fn larger<V: Lanes>(so_far: V::F32, x: V::F32) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe {
        let magnitude = V::and_i32(V::bits(x), V::splat_i32(i32::MAX));
        V::max(V::from_bits(magnitude), so_far)
    }
}

/// # Safety
/// As [`SumsFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn row_sums<V: Lanes>(args: &SumsArgs) {
    let SumsArgs { src, n, rows, row_stride, sums } = *args;
    for row in 0..rows {
        // Empty rows may have any stride.
        let src = src.wrapping_add(row.wrapping_mul(row_stride));
        let (mut total, mut first) = (0.0, 0);
        while first < n {
            let len = BLOCK.min(n - first);
            // SAFETY: the row's elements, by this function's contract.
            total += unsafe { block_sum::<V, _>(&Numbers(src.add(first)), len) };
            first += len;
        }
        // SAFETY: by this function's contract.
        unsafe { sums.add(row).write_unaligned(real::canonical(total)) }
    }
}

/// Numbers as they are.
struct Numbers(*const f32);

impl<V: Lanes> Terms<V> for Numbers {
    #[inline(always)]
    unsafe fn at(&self, first: usize, n: usize) -> V::F32 {
        // SAFETY: the terms are the block's elements.
        unsafe { V::load_f32(self.0.add(first), n) }
    }
}

/// # Safety
/// As [`CodeSumsFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn code_sums<V: Lanes, const SIGNED: bool>(args: &CodeSumsArgs) {
    let CodeSumsArgs { src, n, rows, row_stride, sums } = *args;
    // A signed code is an unsigned one less 128.
    let flip = if SIGNED { 0x8080_8080_u32 as i32 } else { 0 };
    for row in 0..rows {
        let src = src.wrapping_add(row.wrapping_mul(row_stride));
        // SAFETY: offsets below `n` are the caller's. No lane leaves i32, modulo 2^32: sums are sums
        // modulo 2^32, and the last one is in range.
        unsafe {
            let (mut a, mut b) = (V::splat_i32(0), V::splat_i32(0));
            let flips = V::splat_i32(flip);
            let mut first = 0;
            while n - first >= 8 * V::LANES {
                a = V::add_bytes(a, src.add(first), flips);
                b = V::add_bytes(b, src.add(first + 4 * V::LANES), flips);
                first += 8 * V::LANES;
            }
            let biased = if SIGNED { (first as i32).wrapping_mul(128) } else { 0 };
            while first < n {
                let len = V::LANES.min(n - first);
                let codes = if SIGNED {
                    V::load_i8(src.add(first).cast(), len)
                } else {
                    V::load_u8(src.add(first), len)
                };
                a = V::add_i32(a, codes);
                first += len;
            }
            let sum = V::sum_across_i32(V::add_i32(a, b)).wrapping_sub(biased);
            sums.add(row).write_unaligned(sum);
        }
    }
}
