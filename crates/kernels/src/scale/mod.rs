//! Sums of products to results: the epilogue of int8 products, a tile of sums at a time.
//!
//! Real results: `y = f32(acc) * (row_factor * factor[i])`, then `+ bias[i]` where there is a bias, then NaN
//! becomes the canonical one (only a factor or bias that is not finite can make one), then `max(0, y)` where
//! ReLU is asked for (a NaN stays). Codes: [`fewbit_scheme::requantize`] with the multiplier
//! `(row_factor * factor[i]) / step`. Each step rounds once, to nearest even; nothing is fused.
//!
//! Tiles are narrow, so the loop over rows is the inner one: what belongs to the columns stays in registers.

mod blocks;

pub use blocks::{S32_F32_BLOCK, ScaleBlockArgs, ScaleBlockFn};

use crate::elementwise::{Step, rows, run};
use crate::infos;
use crate::quantize::{Byte, Format};
use crate::registry::RowInfo;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::copy_nonoverlapping;
use fewbit_simd::Lanes;

/// A tile of sums and where its results go; sums of a row are contiguous. Strides are in elements.
#[derive(Clone, Copy, Debug)]
pub struct Tile<T> {
    /// The sums.
    pub src: *const i32,
    /// The results.
    pub dst: *mut T,
    /// Distance of consecutive results.
    pub dst_stride: usize,
    /// The number of elements of a row.
    pub n: usize,
    /// The number of rows.
    pub rows: usize,
    /// Distance of the rows' first sums.
    pub src_row_stride: usize,
    /// Distance of the rows' first results.
    pub dst_row_stride: usize,
    /// A factor a row: the lhs rows' scales. NULL: all 1, the factors below are whole.
    pub row_factors: *const f32,
    /// A factor an element of a row: the rhs columns' scales.
    pub factors: *const f32,
}

/// A tile's real results.
#[derive(Clone, Copy, Debug)]
pub struct ScaleArgs {
    /// Sums, results and factors.
    pub tile: Tile<f32>,
    /// A bias an element of a row. NULL: none.
    pub bias: *const f32,
    /// Whether a product of factors, or a bias, is not finite: results are then looked at for NaN.
    pub may_be_nan: bool,
    /// Whether negative results become 0.
    pub relu: bool,
}

/// A tile's codes.
#[derive(Clone, Copy, Debug)]
pub struct ScaleCodesArgs {
    /// Sums, results and factors; without row factors those of the columns are divided by the step already.
    pub tile: Tile<u8>,
    /// The codes' scale. Used with row factors only.
    pub step: f32,
    /// The codes' zero point, in their range.
    pub zero_point: i32,
    /// The smallest and the largest code to store, within the range of the codes. Where the smallest is negative, they are
    /// s8, else u8: the tables of the two are one function.
    pub clamp: (i32, i32),
    /// Whether `clamp` is all of that range, and no sum times its factors, divided by the step, is beyond 2^30 when rounded:
    /// codes then need no bounds but those of their bytes.
    pub saturates: bool,
}

/// A kernel of this op.
///
/// # Safety
/// For `i < n`, `factors + i` and `bias + i` (unless NULL) can be read, and for `row < rows` besides
/// `row_factors + row`, `src + row * src_row_stride + i`, and `dst + row * dst_row_stride + i * dst_stride`
/// can be written. Nothing need be aligned. Without elements no pointer is used.
pub type ScaleFn = unsafe fn(&ScaleArgs);

/// A kernel of this op.
///
/// # Safety
/// As [`ScaleFn`]; factors are not negative.
pub type ScaleCodesFn = unsafe fn(&ScaleCodesArgs);

rows! {
    /// s32 to f32.
    S32_F32: ScaleFn = "scale_s32f32", |args: &ScaleArgs|, tile::<V, f32, _>(&args.tile, args)
}
rows! {
    /// s32 to s8.
    S32_S8: ScaleCodesFn = "scale_s32s8", |args: &ScaleCodesArgs|, tile::<V, u8, _>(&args.tile, &Codes(args))
}
rows! {
    /// s32 to u8.
    S32_U8: ScaleCodesFn = "scale_s32u8", |args: &ScaleCodesArgs|, tile::<V, u8, _>(&args.tile, &Codes(args))
}

/// The rows of this op's tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(S32_F32).chain(infos(S32_S8)).chain(infos(S32_U8)).chain(infos(S32_F32_BLOCK))
}

/// What results are made of.
trait Results<V: Lanes, T> {
    /// What a vector of columns has in common.
    type Columns: Copy;
    /// Whether four vectors at once cost less than one by one.
    const FOURS: bool;

    /// The columns from `first` on, `n` of a vector.
    ///
    /// # Safety
    /// The columns exist; compiled for `V`.
    unsafe fn columns(&self, first: usize, n: usize) -> Self::Columns;

    /// A vector of a row's results.
    ///
    /// # Safety
    /// The row exists; `n` sums can be read and as many results written; compiled for `V`.
    unsafe fn store(
        &self,
        columns: Self::Columns,
        row: usize,
        src: *const i32,
        dst: *mut T,
        n: usize,
    );

    /// Four vectors of results: `PER` of them, one behind the other, of each of `4 / PER` rows.
    ///
    /// # Safety
    /// As [`store`](Results::store), for `PER * V::LANES` elements of each row; rows of sums and of results are as far apart
    /// as the tile says.
    #[inline(always)]
    unsafe fn store_4<const PER: usize>(
        &self,
        columns: [Self::Columns; PER],
        row: usize,
        (src, src_row_stride): (*const i32, usize),
        (dst, dst_row_stride): (*mut T, usize),
    ) {
        for r in 0..const { 4 / PER } {
            let (src, dst) =
                (src.wrapping_add(r * src_row_stride), dst.wrapping_add(r * dst_row_stride));
            for (v, columns) in columns.into_iter().enumerate() {
                let at = v * V::LANES;
                // SAFETY: by this function's contract.
                unsafe { self.store(columns, row + r, src.add(at), dst.add(at), V::LANES) }
            }
        }
    }
}

/// # Safety
/// As [`ScaleFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn tile<V: Lanes, T: Copy, R: Results<V, T>>(tile: &Tile<T>, results: &R) {
    let Tile { src, dst, dst_stride, n, rows, src_row_stride, dst_row_stride, .. } = *tile;
    if n == 0 {
        return;
    }
    // SAFETY: by this function's contract.
    unsafe {
        // Of portable code there is one loop, that of runs.
        if dst_stride == 1 && V::LANES > 1 {
            let mut first = 0;
            if R::FOURS {
                while n - first >= 4 * V::LANES {
                    fours::<V, T, R, 4>(tile, results, first);
                    first += 4 * V::LANES;
                }
                if n - first >= 2 * V::LANES {
                    fours::<V, T, R, 2>(tile, results, first);
                    first += 2 * V::LANES;
                }
                if n - first >= V::LANES {
                    fours::<V, T, R, 1>(tile, results, first);
                    first += V::LANES;
                }
            }
            while n - first >= V::LANES {
                let columns = results.columns(first, V::LANES);
                for row in 0..rows {
                    let src = src.add(row * src_row_stride + first);
                    let dst = dst.add(row * dst_row_stride + first);
                    results.store(columns, row, src, dst, V::LANES);
                }
                first += V::LANES;
            }
            if first < n {
                let columns = results.columns(first, n - first);
                for row in 0..rows {
                    let src = src.add(row * src_row_stride + first);
                    let dst = dst.add(row * dst_row_stride + first);
                    results.store(columns, row, src, dst, n - first);
                }
            }
            return;
        }
        for row in 0..rows {
            let of_row = OfRow::<V, T, R> { results, row, of: PhantomData };
            let src = src.add(row * src_row_stride);
            run(&of_row, src, 1, dst.add(row * dst_row_stride), dst_stride, n, None);
        }
    }
}

/// `PER` vectors of columns of all rows, four vectors at a time: a panel is seldom four vectors wide.
///
/// # Safety
/// As [`tile`]; the columns from `first` on exist, and results of a row are neighbours.
#[inline(always)]
unsafe fn fours<V: Lanes, T: Copy, R: Results<V, T>, const PER: usize>(
    tile: &Tile<T>,
    results: &R,
    first: usize,
) {
    let Tile { src, dst, rows, src_row_stride, dst_row_stride, .. } = *tile;
    // SAFETY: by this function's contract.
    unsafe {
        let mut columns = [results.columns(first, V::LANES); PER];
        for (v, columns) in columns.iter_mut().enumerate().skip(1) {
            *columns = results.columns(first + v * V::LANES, V::LANES);
        }
        let mut row = 0;
        while rows - row >= const { 4 / PER } {
            let src = src.add(row * src_row_stride + first);
            let dst = dst.add(row * dst_row_stride + first);
            results.store_4(columns, row, (src, src_row_stride), (dst, dst_row_stride));
            row += const { 4 / PER };
        }
        while row < rows {
            let src = src.add(row * src_row_stride + first);
            let dst = dst.add(row * dst_row_stride + first);
            for (v, columns) in columns.into_iter().enumerate() {
                let at = v * V::LANES;
                results.store(columns, row, src.add(at), dst.add(at), V::LANES);
            }
            row += 1;
        }
    }
}

/// A row as a run of its own.
struct OfRow<'a, V, T, R> {
    results: &'a R,
    row: usize,
    of: PhantomData<(V, T)>,
}

impl<V: Lanes, T: Copy, R: Results<V, T>> Step for OfRow<'_, V, T, R> {
    type Src = i32;
    type Dst = T;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const i32, dst: *mut T, first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`; factors and bias are as long as the run.
        unsafe { self.results.store(self.results.columns(first, n), self.row, src, dst, n) }
    }
}

impl<V: Lanes> Results<V, f32> for ScaleArgs {
    /// Factors and bias.
    type Columns = (V::F32, V::F32);
    const FOURS: bool = false;

    #[inline(always)]
    unsafe fn columns(&self, first: usize, n: usize) -> (V::F32, V::F32) {
        // SAFETY: by this function's contract.
        unsafe {
            let factors = V::load_f32(self.tile.factors.add(first), n);
            let bias = match self.bias.is_null() {
                true => factors,
                false => V::load_f32(self.bias.add(first), n),
            };
            (factors, bias)
        }
    }

    #[inline(always)]
    unsafe fn store(
        &self,
        (mut factors, bias): (V::F32, V::F32),
        row: usize,
        src: *const i32,
        dst: *mut f32,
        n: usize,
    ) {
        // SAFETY: by this function's contract.
        unsafe {
            if !self.tile.row_factors.is_null() {
                let factor = self.tile.row_factors.add(row).read_unaligned();
                factors = V::mul(V::splat_f32(factor), factors);
            }
            let mut y = V::mul(V::f32_from_i32(V::load_i32(src, n)), factors);
            if !self.bias.is_null() {
                y = V::add(y, bias);
            }
            if self.may_be_nan {
                y = V::replace_nan(y, V::splat_f32(f32::from_bits(0x7FC0_0000)));
            }
            if self.relu {
                // `if 0 > y { 0 } else { y }`: a NaN stays.
                y = V::max(V::splat_f32(0.0), y);
            }
            V::store_f32(dst, y, n);
        }
    }
}

/// Codes of four of the widest vectors.
const MOST_CODES: usize = 64;

/// Results as codes.
struct Codes<'a>(&'a ScaleCodesArgs);

/// The codes to store, less the zero point.
///
/// # Safety
/// Compiled for `V`.
#[inline(always)]
pub(crate) unsafe fn bounds<V: Lanes>(zero_point: i32, clamp: (i32, i32)) -> (V::F32, V::F32) {
    let bound = |code: i32| code.wrapping_sub(zero_point) as f32;
    // SAFETY: by this function's contract.
    unsafe { (V::splat_f32(bound(clamp.0)), V::splat_f32(bound(clamp.1))) }
}

/// Codes of sums, less the zero point, that are known to be within 2^30.
///
/// # Safety
/// Compiled for `V`.
#[inline(always)]
pub(crate) unsafe fn steps<V: Lanes>(sums: V::I32, multiplier: V::F32) -> V::I32 {
    // SAFETY: by this function's contract.
    unsafe { V::nearest_i32(V::mul(V::f32_from_i32(sums), multiplier)) }
}

/// Codes of sums, less the zero point, and within [`bounds`].
///
/// # Safety
/// Compiled for `V`.
#[inline(always)]
pub(crate) unsafe fn clamped_steps<V: Lanes>(
    sums: V::I32,
    multiplier: V::F32,
    (low, high): (V::F32, V::F32),
) -> V::I32 {
    // SAFETY: by this function's contract.
    unsafe {
        // Not infinity, which times 0 is no number, where the contract takes it for the zero point. All
        // else is clamped with either.
        let multiplier = V::min(multiplier, V::splat_f32(f32::MAX));
        let t = V::mul(V::f32_from_i32(sums), multiplier);
        // Rounding is monotone and keeps integers, so clamping the code is clamping here.
        V::nearest_i32(V::min(V::max(t, low), high))
    }
}

impl Codes<'_> {
    /// A row's multipliers of a vector of columns.
    ///
    /// # Safety
    /// As [`Results::store`].
    #[inline(always)]
    unsafe fn multiplier<V: Lanes>(&self, columns: V::F32, row: usize) -> V::F32 {
        let args = self.0;
        if args.tile.row_factors.is_null() {
            return columns;
        }
        // SAFETY: by this function's contract.
        unsafe {
            let factor = args.tile.row_factors.add(row).read_unaligned();
            V::div(V::mul(V::splat_f32(factor), columns), V::splat_f32(args.step))
        }
    }

    /// A vector of a row's codes, less the zero point.
    ///
    /// # Safety
    /// As [`Results::store`].
    #[inline(always)]
    unsafe fn steps<V: Lanes>(
        &self,
        columns: V::F32,
        row: usize,
        src: *const i32,
        n: usize,
    ) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe {
            let bounds = bounds::<V>(self.0.zero_point, self.0.clamp);
            clamped_steps::<V>(V::load_i32(src, n), self.multiplier::<V>(columns, row), bounds)
        }
    }
}

impl<V: Lanes> Results<V, u8> for Codes<'_> {
    type Columns = V::F32;
    const FOURS: bool = true;

    #[inline(always)]
    unsafe fn columns(&self, first: usize, n: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::load_f32(self.0.tile.factors.add(first), n) }
    }

    #[inline(always)]
    unsafe fn store(
        &self,
        multiplier: V::F32,
        row: usize,
        src: *const i32,
        dst: *mut u8,
        n: usize,
    ) {
        // SAFETY: by this function's contract.
        unsafe {
            let steps = self.steps::<V>(multiplier, row, src, n);
            V::store_u8(dst, V::add_i32(steps, V::splat_i32(self.0.zero_point)), n);
        }
    }

    #[inline(always)]
    unsafe fn store_4<const PER: usize>(
        &self,
        columns: [V::F32; PER],
        row: usize,
        (src, src_row_stride): (*const i32, usize),
        (dst, dst_row_stride): (*mut u8, usize),
    ) {
        const { assert!(4 * V::LANES <= MOST_CODES) };
        let mut codes = MaybeUninit::<[u8; MOST_CODES]>::uninit();
        // SAFETY: by this function's contract; steps, clamped or known to be, are within 2^30.
        unsafe {
            let mut steps = [V::splat_i32(0); 4];
            for (r, steps) in steps.chunks_exact_mut(PER).enumerate() {
                let src = src.add(r * src_row_stride);
                for (v, (to, &columns)) in steps.iter_mut().zip(&columns).enumerate() {
                    let src = src.add(v * V::LANES);
                    *to = match self.0.saturates {
                        true => {
                            let sums = V::load_i32(src, V::LANES);
                            self::steps::<V>(sums, self.multiplier::<V>(columns, row + r))
                        }
                        false => self.steps::<V>(columns, row + r, src, V::LANES),
                    };
                }
            }
            let to = if PER == 4 { dst } else { codes.as_mut_ptr().cast() };
            let byte = Byte::of(self.0.clamp);
            let add = V::splat_i32(self.0.zero_point + byte.bias());
            V::store_byte_sums_of_4::<false>(to, steps, add, V::splat_i32(byte.flip()));
            if PER < 4 {
                // Parts of a register by the time that this is compiled.
                for r in 0..const { 4 / PER } {
                    let to = dst.add(r * dst_row_stride);
                    let from = codes.as_ptr().cast::<u8>().add(r * PER * V::LANES);
                    copy_nonoverlapping(from, to, PER * V::LANES);
                }
            }
        }
    }
}
