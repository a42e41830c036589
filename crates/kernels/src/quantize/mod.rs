//! f32 to codes: `q = clamp(round(x / scale) + zero_point, qmin, qmax)`, NaN to the zero point, as
//! [`fewbit_scheme::quantize`] defines it. Rounding and quotient are [`QuantizeMode`]'s.

mod any;
mod bracket;

pub use any::any;

use crate::elementwise::{Step, rows};
use crate::infos;
use crate::params::{ByVector, Each, Grid, Op, Params, Rows, Run, Uniform, grid};
use crate::registry::RowInfo;
use bracket::{Bracket, BracketTile, SharedBracket, TileBracket, VectorBracket, codes};
use core::marker::PhantomData;
use fewbit_scheme::{QuantizeMode, Quotient, Rounding};
use fewbit_simd::Lanes;

/// A run of elements to quantize. Strides are in elements; the buffers do not overlap.
#[derive(Clone, Copy, Debug)]
pub struct QuantizeArgs {
    /// The real values.
    pub src: *const f32,
    /// Distance of consecutive values, in elements.
    pub src_stride: usize,
    /// The codes, s8 or u8 as the table says.
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
    F32_S8: QuantizeFn = "quantize_f32s8", |args: &QuantizeArgs|, quantize::<V, -128, 127>(args)
}

rows! {
    /// f32 to u8, 0..=255.
    F32_U8: QuantizeFn = "quantize_f32u8", |args: &QuantizeArgs|, quantize::<V, 0, 255>(args)
}

/// The rows of this op's tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(F32_S8).chain(infos(F32_U8))
}

/// # Safety
/// As [`QuantizeFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn quantize<V: Lanes, const QMIN: i32, const QMAX: i32>(args: &QuantizeArgs) {
    let QuantizeArgs { src, src_stride, dst, dst_stride, n, .. } = *args;
    let QuantizeArgs { scales, zero_points, param_step, rows, mode, .. } = *args;
    let factors = scales;
    let runs = Grid { src, src_stride, dst, dst_stride, n, factors, zero_points, param_step, rows };
    // SAFETY: by this function's contract.
    unsafe { grid::<V, _>(&Quantize::<QMIN, QMAX> { mode }, &runs) }
}

/// The op to codes of a range.
struct Quantize<const QMIN: i32, const QMAX: i32> {
    mode: QuantizeMode,
}

impl<V: Lanes, const QMIN: i32, const QMAX: i32> Op<V> for Quantize<QMIN, QMAX> {
    type Src = f32;
    type Dst = u8;
    type Tile = BracketTile;

    #[inline(always)]
    unsafe fn shared(&self, params: Uniform<V>, run: Run<f32, u8>) {
        let exact = Exact::<V, _, QMIN, QMAX>::new(params, self.mode);
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
    unsafe fn each(&self, params: Each<V>, run: Run<f32, u8>) {
        // SAFETY: by the contract of `Op`.
        unsafe { run.apply(&Exact::<V, _, QMIN, QMAX>::new(params, self.mode)) }
    }

    #[inline(always)]
    unsafe fn tile(&self, params: Each<V>, n: usize) -> BracketTile {
        // SAFETY: by the contract of `Op`.
        unsafe { BracketTile::new(params, n) }
    }

    #[inline(always)]
    unsafe fn tiled(&self, tile: &BracketTile, params: Each<V>, run: Run<f32, u8>) {
        let exact = Exact::<V, _, QMIN, QMAX>::new(params, self.mode);
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
    unsafe fn by_vector(&self, params: ByVector<V>, n: usize, run: Run<f32, u8>) {
        let exact = Exact::<V, _, QMIN, QMAX>::new(params, self.mode);
        // SAFETY: by the contract of `Op`.
        unsafe {
            let tile = BracketTile::new(params.each, n);
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
struct Exact<V, P, const QMIN: i32, const QMAX: i32> {
    params: P,
    mode: QuantizeMode,
    vectors: PhantomData<V>,
}

impl<V, P, const QMIN: i32, const QMAX: i32> Exact<V, P, QMIN, QMAX> {
    fn new(params: P, mode: QuantizeMode) -> Self {
        Exact { params, mode, vectors: PhantomData }
    }
}

impl<V, P, const QMIN: i32, const QMAX: i32> Step for Exact<V, P, QMIN, QMAX>
where
    V: Lanes,
    P: Params<V>,
{
    type Src = f32;
    type Dst = u8;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const f32, dst: *mut u8, first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe {
            let (scale, zero_point) = self.params.at(first, n);
            let x = V::load_f32(src, n);
            let t = match self.mode.quotient {
                Quotient::Divide => V::div(x, scale),
                Quotient::Multiply => V::mul(x, V::div(V::splat_f32(1.0), scale)),
            };
            // Clamped while still a float, so that huge values and infinities saturate.
            let low = V::f32_from_i32(V::sub_i32(V::splat_i32(QMIN), zero_point));
            let high = V::f32_from_i32(V::sub_i32(V::splat_i32(QMAX), zero_point));
            let t = V::replace_nan(t, V::splat_f32(0.0));
            let t = V::min(V::max(t, low), high);
            let rounded = match self.mode.rounding {
                Rounding::HalfEven => V::round_half_even(t),
                Rounding::HalfAway => V::round_half_away(t),
            };
            V::store_u8(dst, V::add_i32(V::i32_from_f32(rounded), zero_point), n);
        }
    }
}

/// The op without a division, four vectors at a time; whatever is not certain goes to `exact`.
struct Quick<E, B> {
    exact: E,
    bracket: B,
}

impl<V, P, B, const QMIN: i32, const QMAX: i32> Step for Quick<Exact<V, P, QMIN, QMAX>, B>
where
    V: Lanes,
    P: Params<V>,
    B: Bracket<V>,
{
    type Src = f32;
    type Dst = u8;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const f32, dst: *mut u8, first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe { self.exact.step(src, dst, first, n) }
    }

    #[inline(always)]
    unsafe fn step_4(&self, src: *const f32, dst: *mut u8, first: usize) {
        // SAFETY: by the contract of `Step::step_4`.
        unsafe {
            let x = [
                V::load_f32(src, V::LANES),
                V::load_f32(src.add(V::LANES), V::LANES),
                V::load_f32(src.add(2 * V::LANES), V::LANES),
                V::load_f32(src.add(3 * V::LANES), V::LANES),
            ];
            match codes(&self.bracket, first, x) {
                Some(codes) if QMIN < 0 => V::store_s8_of_4(dst.cast(), codes),
                Some(codes) => V::store_u8_of_4(dst, codes),
                None => self.exact.step_4(src, dst, first),
            }
        }
    }
}
