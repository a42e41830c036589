//! f32 to codes: `q = clamp(round(x / scale) + zero_point, qmin, qmax)`, NaN to the zero point, as
//! [`fewbit_scheme::quantize`] defines it. Rounding and quotient are [`QuantizeMode`]'s. Narrow formats
//! go through bytes: see [`Any`].

mod any;
mod binary;
mod bracket;

pub use any::Any;

use crate::elementwise::{Step, rows};
use crate::infos;
use crate::params::{ByVector, Each, Grid, Op, Params, Rows, Run, Uniform, grid};
use crate::registry::RowInfo;
use bracket::{Bracket, BracketTile, SharedBracket, TileBracket, VectorBracket, codes};
use core::marker::PhantomData;
use fewbit_scheme::{QuantizeMode, Quotient, Rounding};
use fewbit_simd::HalfLanes;

/// A run of elements to quantize. Strides are in elements; the buffers do not overlap.
#[derive(Clone, Copy, Debug)]
pub struct QuantizeArgs {
    /// The real values.
    pub src: *const f32,
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
    /// narrower format, whose parameters these are. (Not used for [`F32_B1`].)
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
    F32_S8: QuantizeFn = "quantize_f32s8", |args: &QuantizeArgs|, quantize::<V, S8>(args)
}

rows! {
    /// f32 to u8, 0..=255.
    F32_U8: QuantizeFn = "quantize_f32u8", |args: &QuantizeArgs|, quantize::<V, U8>(args)
}

rows! {
    /// f32 to s16, -32768..=32767, two bytes each.
    F32_S16: QuantizeFn = "quantize_f32s16", |args: &QuantizeArgs|, quantize::<V, S16>(args)
}

rows! {
    /// f32 to the codes -1 and +1 of b1, a byte each.
    F32_B1: QuantizeFn = "quantize_f32b1", |args: &QuantizeArgs|, binary::quantize::<V>(args)
}

/// The rows of this op's tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(F32_S8).chain(infos(F32_U8)).chain(infos(F32_S16)).chain(infos(F32_B1))
}

/// # Safety
/// As [`QuantizeFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn quantize<V: HalfLanes, F: Format>(args: &QuantizeArgs) {
    let QuantizeArgs { src, src_stride, dst, dst_stride, n, .. } = *args;
    let QuantizeArgs { scales: factors, zero_points, param_step, rows, mode, clamp, .. } = *args;
    let dst = dst.cast();
    let runs = Grid { src, src_stride, dst, dst_stride, n, factors, zero_points, param_step, rows };
    // SAFETY: by this function's contract.
    unsafe { grid::<V, _>(&Quantize::<F> { mode, clamp, format: PhantomData }, &runs) }
}

/// How codes are stored.
trait Format {
    /// A code as it is stored.
    type Code: Copy;
    /// The smallest and the largest code.
    const RANGE: (i32, i32);

    /// Stores `n` codes, which are in range.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `n` codes can be written.
    unsafe fn store<V: HalfLanes>(to: *mut Self::Code, codes: V::I32, n: usize);

    /// Stores the codes in range that are nearest to four vectors' integers.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `4 * LANES` codes can be written.
    unsafe fn store_nearest<V: HalfLanes>(to: *mut Self::Code, integers: [V::I32; 4]);

    /// As [`store_nearest`](Format::store_nearest), around the caches.
    ///
    /// # Safety
    /// As [`store_nearest`](Format::store_nearest), where `to` is aligned to four vectors of codes, or to
    /// 64 bytes.
    unsafe fn stream_nearest<V: HalfLanes>(to: *mut Self::Code, integers: [V::I32; 4]);
}

struct S8;

impl Format for S8 {
    type Code = i8;
    const RANGE: (i32, i32) = (-128, 127);

    #[inline(always)]
    unsafe fn store<V: HalfLanes>(to: *mut i8, codes: V::I32, n: usize) {
        // SAFETY: by this function's contract.
        unsafe { V::store_u8(to.cast(), codes, n) }
    }

    #[inline(always)]
    unsafe fn store_nearest<V: HalfLanes>(to: *mut i8, integers: [V::I32; 4]) {
        // SAFETY: by this function's contract.
        unsafe { V::store_s8_of_4(to, integers) }
    }

    #[inline(always)]
    unsafe fn stream_nearest<V: HalfLanes>(to: *mut i8, integers: [V::I32; 4]) {
        // SAFETY: by this function's contract.
        unsafe { V::stream_s8_of_4(to, integers) }
    }
}

struct U8;

impl Format for U8 {
    type Code = u8;
    const RANGE: (i32, i32) = (0, 255);

    #[inline(always)]
    unsafe fn store<V: HalfLanes>(to: *mut u8, codes: V::I32, n: usize) {
        // SAFETY: by this function's contract.
        unsafe { V::store_u8(to, codes, n) }
    }

    #[inline(always)]
    unsafe fn store_nearest<V: HalfLanes>(to: *mut u8, integers: [V::I32; 4]) {
        // SAFETY: by this function's contract.
        unsafe { V::store_u8_of_4(to, integers) }
    }

    #[inline(always)]
    unsafe fn stream_nearest<V: HalfLanes>(to: *mut u8, integers: [V::I32; 4]) {
        // SAFETY: by this function's contract.
        unsafe { V::stream_u8_of_4(to, integers) }
    }
}

struct S16;

impl Format for S16 {
    type Code = u16;
    const RANGE: (i32, i32) = (-32_768, 32_767);

    #[inline(always)]
    unsafe fn store<V: HalfLanes>(to: *mut u16, codes: V::I32, n: usize) {
        // SAFETY: by this function's contract.
        unsafe { V::store_u16(to, V::narrow_i32(codes), n) }
    }

    #[inline(always)]
    unsafe fn store_nearest<V: HalfLanes>(to: *mut u16, [a, b, c, d]: [V::I32; 4]) {
        // SAFETY: by this function's contract.
        unsafe {
            let (low, high) = (V::splat_i32(Self::RANGE.0), V::splat_i32(Self::RANGE.1));
            Self::store::<V>(to, V::min_i32(V::max_i32(a, low), high), V::LANES);
            let to = to.add(V::LANES);
            Self::store::<V>(to, V::min_i32(V::max_i32(b, low), high), V::LANES);
            let to = to.add(V::LANES);
            Self::store::<V>(to, V::min_i32(V::max_i32(c, low), high), V::LANES);
            let to = to.add(V::LANES);
            Self::store::<V>(to, V::min_i32(V::max_i32(d, low), high), V::LANES);
        }
    }

    #[inline(always)]
    unsafe fn stream_nearest<V: HalfLanes>(to: *mut u16, integers: [V::I32; 4]) {
        // SAFETY: by this function's contract.
        unsafe { Self::store_nearest::<V>(to, integers) }
    }
}

/// The op to codes of a format.
struct Quantize<F> {
    mode: QuantizeMode,
    clamp: (i32, i32),
    format: PhantomData<F>,
}

impl<F> Quantize<F> {
    fn exact<V, P>(&self, params: P) -> Exact<V, P, F> {
        Exact { params, mode: self.mode, clamp: self.clamp, types: PhantomData }
    }
}

impl<V: HalfLanes, F: Format> Op<V> for Quantize<F> {
    type Src = f32;
    type Dst = F::Code;
    type Tile = BracketTile;

    #[inline(always)]
    unsafe fn shared(&self, params: Uniform<V>, run: Run<f32, F::Code>) {
        let exact = self.exact::<V, _>(params);
        // SAFETY: by the contract of `Op`.
        unsafe {
            // The bracket costs a division, as a vector does.
            let bracket = if run.n >= 4 * V::LANES { SharedBracket::new(&params) } else { None };
            match bracket {
                Some(bracket) => run.apply(&Quick { exact, bracket }),
                None => run.apply(&exact),
            }
        }
    }

    #[inline(always)]
    unsafe fn each(&self, params: Each<V>, run: Run<f32, F::Code>) {
        // SAFETY: by the contract of `Op`.
        unsafe { run.apply(&self.exact::<V, _>(params)) }
    }

    #[inline(always)]
    fn tile() -> BracketTile {
        BracketTile::new()
    }

    #[inline(always)]
    unsafe fn prepare(&self, tile: &mut BracketTile, params: Each<V>, n: usize) {
        // SAFETY: by the contract of `Op`.
        unsafe { tile.prepare(params, n) }
    }

    #[inline(always)]
    unsafe fn tiled(&self, tile: &BracketTile, params: Each<V>, run: Run<f32, F::Code>) {
        let exact = self.exact::<V, _>(params);
        // SAFETY: by the contract of `Op`.
        unsafe {
            if tile.is_valid() {
                run.apply(&Quick { exact, bracket: TileBracket(tile) });
            } else {
                run.apply(&exact);
            }
        }
    }

    #[inline(always)]
    unsafe fn by_vector(&self, params: ByVector<V>, n: usize, run: Run<f32, F::Code>) {
        let exact = self.exact::<V, _>(params);
        // SAFETY: by the contract of `Op`.
        unsafe {
            let mut tile = BracketTile::new();
            tile.prepare(params.each, n);
            if tile.is_valid() {
                let bracket = VectorBracket { tile: &tile, shift: params.shift };
                run.apply(&Quick { exact, bracket });
            } else {
                run.apply(&exact);
            }
        }
    }
}

/// The op as it is written in the contract, with a division.
struct Exact<V, P, F> {
    params: P,
    mode: QuantizeMode,
    clamp: (i32, i32),
    types: PhantomData<(V, F)>,
}

impl<V: HalfLanes, P: Params<V>, F: Format> Step for Exact<V, P, F> {
    type Src = f32;
    type Dst = F::Code;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const f32, dst: *mut F::Code, first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe {
            let (scale, zero_point) = self.params.at(first, n);
            let x = V::load_f32(src, n);
            let t = match self.mode.quotient {
                Quotient::Divide => V::div(x, scale),
                Quotient::Multiply => V::mul(x, V::div(V::splat_f32(1.0), scale)),
            };
            // Clamped while still a float, so that huge values and infinities saturate.
            let low = V::f32_from_i32(V::sub_i32(V::splat_i32(self.clamp.0), zero_point));
            let high = V::f32_from_i32(V::sub_i32(V::splat_i32(self.clamp.1), zero_point));
            let t = V::replace_nan(t, V::splat_f32(0.0));
            let t = V::min(V::max(t, low), high);
            let rounded = match self.mode.rounding {
                Rounding::HalfEven => V::round_half_even(t),
                Rounding::HalfAway => V::round_half_away(t),
            };
            F::store::<V>(dst, V::add_i32(V::i32_from_f32(rounded), zero_point), n);
        }
    }
}

/// The op without a division, four vectors at a time; whatever is not certain goes to `exact`.
struct Quick<E, B> {
    exact: E,
    bracket: B,
}

impl<V, P, B, F> Step for Quick<Exact<V, P, F>, B>
where
    V: HalfLanes,
    P: Params<V>,
    B: Bracket<V>,
    F: Format,
{
    type Src = f32;
    type Dst = F::Code;
    const LANES: usize = V::LANES;
    const STREAMS: bool = V::STREAMS;

    #[inline(always)]
    unsafe fn step(&self, src: *const f32, dst: *mut F::Code, first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe { self.exact.step(src, dst, first, n) }
    }

    #[inline(always)]
    unsafe fn step_4(&self, src: *const f32, dst: *mut F::Code, first: usize) {
        // SAFETY: by the contract of `Step::step_4`.
        unsafe {
            let x = [
                V::load_f32(src, V::LANES),
                V::load_f32(src.add(V::LANES), V::LANES),
                V::load_f32(src.add(2 * V::LANES), V::LANES),
                V::load_f32(src.add(3 * V::LANES), V::LANES),
            ];
            match codes(&self.bracket, first, x) {
                Some(codes) if self.exact.clamp == F::RANGE => F::store_nearest::<V>(dst, codes),
                Some(codes) => F::store_nearest::<V>(dst, self.clamped(codes)),
                None => self.exact.step_4(src, dst, first),
            }
        }
    }

    #[inline(always)]
    unsafe fn stream_4(&self, src: *const f32, dst: *mut F::Code, first: usize) {
        // SAFETY: by the contract of `Step::stream_4`.
        unsafe {
            let x = [
                V::load_f32(src, V::LANES),
                V::load_f32(src.add(V::LANES), V::LANES),
                V::load_f32(src.add(2 * V::LANES), V::LANES),
                V::load_f32(src.add(3 * V::LANES), V::LANES),
            ];
            match codes(&self.bracket, first, x) {
                Some(codes) => F::stream_nearest::<V>(dst, self.clamped(codes)),
                None => self.exact.step_4(src, dst, first),
            }
        }
    }
}

impl<V: HalfLanes, P, B, F> Quick<Exact<V, P, F>, B> {
    /// # Safety
    /// Within an entry compiled for `V`.
    #[inline(always)]
    unsafe fn clamped(&self, [a, b, c, d]: [V::I32; 4]) -> [V::I32; 4] {
        let (low, high) = self.exact.clamp;
        // SAFETY: by this function's contract.
        unsafe {
            let (low, high) = (V::splat_i32(low), V::splat_i32(high));
            [
                V::min_i32(V::max_i32(a, low), high),
                V::min_i32(V::max_i32(b, low), high),
                V::min_i32(V::max_i32(c, low), high),
                V::min_i32(V::max_i32(d, low), high),
            ]
        }
    }
}
