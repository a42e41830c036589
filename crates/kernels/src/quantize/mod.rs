//! Real numbers to codes: `q = clamp(round(x / scale) + zero_point, qmin, qmax)`, NaN to the zero point, as
//! [`fewbit_scheme::quantize`] defines it. Rounding and quotient are [`QuantizeMode`]'s. Narrow formats
//! go through bytes: see [`Any`]; [`Fake`] makes the codes real numbers again.

mod any;
mod binary;
mod bracket;
mod bytes;
mod fake;
mod format;
mod stage;

pub use any::Any;
pub use fake::Fake;

use crate::elementwise::{Step, rows};
use crate::infos;
use crate::params::{ByVector, Each, Grid, Op, Params, Rows, Run, Uniform, grid};
use crate::real::{Bf16, F16, F32, Real};
use crate::registry::RowInfo;
use bracket::{Bracket, BracketTile, SharedBracket, TileBracket, VectorBracket, codes};
use core::marker::PhantomData;
use fewbit_scheme::{QuantizeMode, Quotient, Rounding};
use fewbit_simd::HalfLanes;
use format::S16;
pub(crate) use format::{Byte, Format};

/// A run of elements to quantize. Strides are in elements; the buffers do not overlap.
#[derive(Clone, Copy, Debug)]
pub struct QuantizeArgs {
    /// The real values, in the table's format.
    pub src: *const u8,
    /// Distance of consecutive values, in elements.
    pub src_stride: usize,
    /// The codes, in the table's format.
    pub dst: *mut u8,
    /// Distance of consecutive codes, in elements.
    pub dst_stride: usize,
    /// The number of elements.
    pub n: usize,
    /// Scales, finite and positive: one, or `n` where `param_step` is 1.
    pub scales: *const f32,
    /// Zero points, in the range of the codes, as many as scales. NULL: all zero.
    pub zero_points: *const i32,
    /// 0: the whole run shares a parameter. Otherwise 1: element `i` has parameter `i`.
    pub param_step: usize,
    /// Further runs, or [`Rows::ONE`].
    pub rows: Rows,
    /// Rounding and quotient.
    pub mode: QuantizeMode,
    /// The smallest and the largest code to store, within the table's format: all of it, or those of a
    /// narrower format, whose parameters these are. (Not used for b1.) Where the smallest is negative, bytes are s8, else
    /// u8: the tables of the two are one function.
    pub clamp: (i32, i32),
}

/// A kernel of this op.
///
/// # Safety
/// For `i < n` in all rows, `src + i * src_stride` can be read and `dst + i * dst_stride` written;
/// the parameters can be read and are in the ranges stated. Nothing need be aligned. Without
/// elements no pointer is used.
pub type QuantizeFn = unsafe fn(&QuantizeArgs);

rows! {
    /// f32 to s8, -128..=127.
    F32_S8: QuantizeFn = "quantize_f32s8", |args: &QuantizeArgs|, quantize::<V, F32, Byte>(args)
}

rows! {
    /// f32 to u8, 0..=255.
    F32_U8: QuantizeFn = "quantize_f32u8", |args: &QuantizeArgs|, quantize::<V, F32, Byte>(args)
}

rows! {
    /// f32 to s16, -32768..=32767, two bytes each.
    F32_S16: QuantizeFn = "quantize_f32s16", |args: &QuantizeArgs|, quantize::<V, F32, S16>(args)
}

rows! {
    /// f32 to the codes -1 and +1 of b1, a byte each.
    F32_B1: QuantizeFn = "quantize_f32b1", |args: &QuantizeArgs|, binary::quantize::<V, F32>(args)
}

rows! {
    /// f16 to s8, -128..=127.
    F16_S8: QuantizeFn = "quantize_f16s8", |args: &QuantizeArgs|, quantize::<V, F16, Byte>(args)
}

rows! {
    /// f16 to u8, 0..=255.
    F16_U8: QuantizeFn = "quantize_f16u8", |args: &QuantizeArgs|, quantize::<V, F16, Byte>(args)
}

rows! {
    /// bf16 to s8, -128..=127.
    BF16_S8: QuantizeFn = "quantize_bf16s8", |args: &QuantizeArgs|, quantize::<V, Bf16, Byte>(args)
}

rows! {
    /// bf16 to u8, 0..=255.
    BF16_U8: QuantizeFn = "quantize_bf16u8", |args: &QuantizeArgs|, quantize::<V, Bf16, Byte>(args)
}

/// The rows of this op's tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    [F32_S8, F32_U8, F32_S16, F32_B1, F16_S8, F16_U8, BF16_S8, BF16_U8].into_iter().flat_map(infos)
}

/// # Safety
/// As [`QuantizeFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn quantize<V: HalfLanes, R: Real, F: Format>(args: &QuantizeArgs) {
    let QuantizeArgs { src, src_stride, dst, dst_stride, n, .. } = *args;
    let QuantizeArgs { scales: factors, zero_points, param_step, rows, mode, clamp, .. } = *args;
    let (src, dst) = (src.cast(), dst.cast());
    let runs = Grid { src, src_stride, dst, dst_stride, n, factors, zero_points, param_step, rows };
    // SAFETY: by this function's contract.
    unsafe { grid::<V, _>(&Quantize::<R, F> { mode, clamp, formats: PhantomData }, &runs) }
}

/// The op to codes of a format.
struct Quantize<R, F> {
    mode: QuantizeMode,
    clamp: (i32, i32),
    formats: PhantomData<(R, F)>,
}

impl<R, F> Quantize<R, F> {
    fn exact<V, P>(&self, params: P) -> Exact<V, P, R, F> {
        Exact { params, mode: self.mode, clamp: self.clamp, types: PhantomData }
    }
}

impl<V: HalfLanes, R: Real, F: Format> Op<V> for Quantize<R, F> {
    type Src = R::Stored;
    type Dst = F::Code;
    type Tile = BracketTile;

    #[inline(always)]
    unsafe fn shared(&self, params: Uniform<V>, run: Run<R::Stored, F::Code>) {
        let exact = self.exact::<V, _>(params);
        // SAFETY: by the contract of `Op`.
        unsafe {
            // The bracket costs a division, as a vector does.
            let bracket = SharedBracket::new(&params, run.n >= 4 * V::LANES);
            run.apply(&Quick { exact, bracket });
        }
    }

    #[inline(always)]
    unsafe fn each(&self, params: Each<V>, run: Run<R::Stored, F::Code>) {
        // SAFETY: by the contract of `Op`.
        unsafe { run.apply(&self.exact::<V, _>(params)) }
    }

    #[inline(always)]
    fn tile() -> BracketTile {
        BracketTile::new()
    }

    #[inline(always)]
    unsafe fn prepare(&self, tile: &mut BracketTile, params: Each<V>, n: usize) {
        // What is shorter than four vectors has no use for them.
        if n < 4 * V::LANES {
            return tile.clear();
        }
        // SAFETY: by the contract of `Op`.
        unsafe { tile.prepare(params, n) }
    }

    #[inline(always)]
    unsafe fn tiled(&self, tile: &BracketTile, params: Each<V>, run: Run<R::Stored, F::Code>) {
        let exact = self.exact::<V, _>(params);
        // SAFETY: by the contract of `Op`.
        unsafe { run.apply(&Quick { exact, bracket: TileBracket(tile) }) }
    }

    #[inline(always)]
    unsafe fn by_vector(&self, params: ByVector<V>, n: usize, run: Run<R::Stored, F::Code>) {
        let exact = self.exact::<V, _>(params);
        // SAFETY: by the contract of `Op`.
        unsafe {
            let mut tile = BracketTile::new();
            tile.prepare(params.each, n);
            let bracket = VectorBracket { tile: &tile, shift: params.shift };
            run.apply(&Quick { exact, bracket });
        }
    }
}

/// The op as it is written in the contract, with a division.
struct Exact<V, P, R, F> {
    params: P,
    mode: QuantizeMode,
    clamp: (i32, i32),
    types: PhantomData<(V, R, F)>,
}

impl<V: HalfLanes, P: Params<V>, R: Real, F: Format> Step for Exact<V, P, R, F> {
    type Src = R::Stored;
    type Dst = F::Code;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const R::Stored, dst: *mut F::Code, first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe {
            let (scale, zero_point) = self.params.at(first, n);
            let x = R::load::<V>(src, n);
            let t = quotient::<V>(x, scale, self.mode.quotient);
            // Clamped while still a float, so that huge values and infinities saturate.
            let low = V::f32_from_i32(V::sub_i32(V::splat_i32(self.clamp.0), zero_point));
            let high = V::f32_from_i32(V::sub_i32(V::splat_i32(self.clamp.1), zero_point));
            let t = V::replace_nan(t, V::splat_f32(0.0));
            let t = V::min(V::max(t, low), high);
            // Both, without a branch, which would double every loop.
            let even = V::nearest_i32(t);
            let away = V::i32_from_f32(V::round_half_away(t));
            let is_away = V::splat_i32((self.mode.rounding == Rounding::HalfAway) as i32);
            let rounded = V::select_gt(is_away, V::splat_i32(0), away, even);
            let code = V::add_i32(rounded, zero_point);
            F::store::<V>(dst, code, n);
        }
    }
}

/// `x / scale`, or `x * (1 / scale)`: as `x * (1 / d) / e`, where either `d` or `e` is the scale and the
/// other is 1, which changes nothing. (A branch would double every loop; portable code has one, as its
/// divisions are all there is.)
///
/// # Safety
/// Within an entry compiled for `V`.
#[inline(always)]
unsafe fn quotient<V: HalfLanes>(x: V::F32, scale: V::F32, quotient: Quotient) -> V::F32 {
    // SAFETY: by this function's contract.
    unsafe {
        if V::LANES == 1 && quotient == Quotient::Divide {
            return V::div(x, scale);
        }
        let multiply = V::splat_i32((quotient == Quotient::Multiply) as i32);
        let (zero, one) = (V::splat_i32(0), V::splat_f32(1.0));
        let (scale, unit) = (V::bits(scale), V::bits(one));
        let d = V::from_bits(V::select_gt(multiply, zero, scale, unit));
        let e = V::from_bits(V::select_gt(multiply, zero, unit, scale));
        V::div(V::mul(x, V::div(one, d)), e)
    }
}

/// The op without a division, four vectors at a time; whatever is not certain is left to `exact`.
struct Quick<E, B> {
    exact: E,
    bracket: B,
}

impl<V, P, B, R, F> Step for Quick<Exact<V, P, R, F>, B>
where
    V: HalfLanes,
    P: Params<V>,
    B: Bracket<V>,
    R: Real,
    F: Format,
{
    type Src = R::Stored;
    type Dst = F::Code;
    const LANES: usize = V::LANES;
    const STREAMS: bool = V::STREAMS;

    #[inline(always)]
    unsafe fn step(&self, src: *const R::Stored, dst: *mut F::Code, first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe { self.exact.step(src, dst, first, n) }
    }

    #[inline(always)]
    unsafe fn step_4<const STREAM: bool>(
        &self,
        src: *const R::Stored,
        dst: *mut F::Code,
        first: usize,
    ) -> bool {
        // SAFETY: by the contract of `Step::step_4`.
        unsafe {
            let format = F::of(self.exact.clamp);
            let numbers = load_4::<V, R>(src);
            let Some(codes) = codes(&self.bracket, first, numbers, format.bias()) else {
                return false;
            };
            // Where results go around the caches the comparison would save nothing.
            let all = !STREAM && self.exact.clamp == format.range();
            let codes = if all { codes } else { self.clamped(codes, format.bias()) };
            format.store_4::<V, STREAM>(dst, codes);
        }
        true
    }
}

impl<V: HalfLanes, P, B, R, F> Quick<Exact<V, P, R, F>, B> {
    /// # Safety
    /// Within an entry compiled for `V`.
    #[inline(always)]
    unsafe fn clamped(&self, [a, b, c, d]: [V::I32; 4], bias: i32) -> [V::I32; 4] {
        let (low, high) = self.exact.clamp;
        // SAFETY: by this function's contract.
        unsafe {
            let (low, high) = (V::splat_i32(low + bias), V::splat_i32(high + bias));
            [
                V::min_i32(V::max_i32(a, low), high),
                V::min_i32(V::max_i32(b, low), high),
                V::min_i32(V::max_i32(c, low), high),
                V::min_i32(V::max_i32(d, low), high),
            ]
        }
    }
}

/// Four vectors.
///
/// # Safety
/// Within an entry compiled for `V`; `4 * LANES` numbers can be read.
#[inline(always)]
unsafe fn load_4<V: HalfLanes, R: Real>(src: *const R::Stored) -> [V::F32; 4] {
    // SAFETY: by this function's contract.
    unsafe {
        [
            R::load::<V>(src, V::LANES),
            R::load::<V>(src.add(V::LANES), V::LANES),
            R::load::<V>(src.add(2 * V::LANES), V::LANES),
            R::load::<V>(src.add(3 * V::LANES), V::LANES),
        ]
    }
}
