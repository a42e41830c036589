//! f32 to codes: `q = clamp(round(x / scale) + zero_point, qmin, qmax)`, NaN to the zero point, as
//! [`fewbit_scheme::quantize`] defines it. Rounding and quotient are [`QuantizeMode`]'s.

mod any;
mod bracket;

pub use any::any;

use crate::elementwise::{Each, Params, Step, Uniform, rows, run};
use crate::infos;
use crate::registry::RowInfo;
use bracket::{Bracket, Bracketed};
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
    /// Rounding and quotient.
    pub mode: QuantizeMode,
}

/// A kernel of this op.
///
/// # Safety
/// For `i < n`, `src + i * src_stride` can be read and `dst + i * dst_stride` written; the
/// parameters can be read and are in the ranges stated. Nothing need be aligned. With `n = 0` no
/// pointer is used.
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

/// Takes what does not change within a run out of the loop.
///
/// # Safety
/// As [`QuantizeFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn quantize<V: Lanes, const QMIN: i32, const QMAX: i32>(args: &QuantizeArgs) {
    if args.n == 0 {
        return;
    }
    // SAFETY: by this function's contract; `n > 0`, so there is a parameter.
    unsafe {
        if args.param_step == 0 {
            let params = Uniform::<V>::new(args.scales, args.zero_points);
            in_mode::<V, _, QMIN, QMAX>(args, params);
        } else {
            let params = Each::<V>::new(args.scales, args.zero_points);
            in_mode::<V, _, QMIN, QMAX>(args, params);
        }
    }
}

/// # Safety
/// As [`QuantizeFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn in_mode<V: Lanes, P: Bracketed<V>, const QMIN: i32, const QMAX: i32>(
    args: &QuantizeArgs,
    params: P,
) {
    // SAFETY: by this function's contract.
    unsafe {
        match (args.mode.rounding, args.mode.quotient) {
            (Rounding::HalfEven, Quotient::Divide) => {
                let exact = Exact::<V, P, QMIN, QMAX, false, false>::new(params);
                fastest(args, exact);
            }
            (Rounding::HalfEven, Quotient::Multiply) => {
                let exact = Exact::<V, P, QMIN, QMAX, false, true>::new(params);
                fastest(args, exact);
            }
            (Rounding::HalfAway, Quotient::Divide) => {
                let exact = Exact::<V, P, QMIN, QMAX, true, false>::new(params);
                fastest(args, exact);
            }
            (Rounding::HalfAway, Quotient::Multiply) => {
                let exact = Exact::<V, P, QMIN, QMAX, true, true>::new(params);
                fastest(args, exact);
            }
        }
    }
}

/// # Safety
/// As [`QuantizeFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn fastest<V, P, const QMIN: i32, const QMAX: i32, const AWAY: bool, const MULTIPLY: bool>(
    args: &QuantizeArgs,
    exact: Exact<V, P, QMIN, QMAX, AWAY, MULTIPLY>,
) where
    V: Lanes,
    P: Bracketed<V>,
{
    let QuantizeArgs { src, src_stride, dst, dst_stride, n, .. } = *args;
    // SAFETY: by this function's contract.
    unsafe {
        match exact.params.bracket() {
            Some(bracket) if V::FUSED && n >= 4 * V::LANES => {
                run(&Quick { exact, bracket }, src, src_stride, dst, dst_stride, n);
            }
            _ => run(&exact, src, src_stride, dst, dst_stride, n),
        }
    }
}

/// The op as it is written in the contract, with a division: `AWAY` rounds half away from zero,
/// `MULTIPLY` multiplies by the inverse.
struct Exact<V, P, const QMIN: i32, const QMAX: i32, const AWAY: bool, const MULTIPLY: bool> {
    params: P,
    vectors: PhantomData<V>,
}

impl<V, P, const QMIN: i32, const QMAX: i32, const AWAY: bool, const MULTIPLY: bool>
    Exact<V, P, QMIN, QMAX, AWAY, MULTIPLY>
{
    fn new(params: P) -> Self {
        Exact { params, vectors: PhantomData }
    }
}

impl<V, P, const QMIN: i32, const QMAX: i32, const AWAY: bool, const MULTIPLY: bool> Step
    for Exact<V, P, QMIN, QMAX, AWAY, MULTIPLY>
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
            let t = if MULTIPLY {
                V::mul(x, V::div(V::splat_f32(1.0), scale))
            } else {
                V::div(x, scale)
            };
            // Clamped while still a float, so that huge values and infinities saturate.
            let low = V::f32_from_i32(V::sub_i32(V::splat_i32(QMIN), zero_point));
            let high = V::f32_from_i32(V::sub_i32(V::splat_i32(QMAX), zero_point));
            let t = V::replace_nan(t, V::splat_f32(0.0));
            let t = V::min(V::max(t, low), high);
            let rounded = if AWAY { V::round_half_away(t) } else { V::round_half_even(t) };
            V::store_u8(dst, V::add_i32(V::i32_from_f32(rounded), zero_point), n);
        }
    }
}

/// The op without a division, four vectors at a time; whatever is not certain goes to `exact`.
struct Quick<V: Lanes, P, const QMIN: i32, const QMAX: i32, const AWAY: bool, const MULTIPLY: bool>
{
    exact: Exact<V, P, QMIN, QMAX, AWAY, MULTIPLY>,
    bracket: Bracket<V>,
}

impl<V, P, const QMIN: i32, const QMAX: i32, const AWAY: bool, const MULTIPLY: bool> Step
    for Quick<V, P, QMIN, QMAX, AWAY, MULTIPLY>
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
        unsafe { self.exact.step(src, dst, first, n) }
    }

    #[inline(always)]
    unsafe fn step_4(&self, src: *const f32, dst: *mut u8, first: usize) {
        // SAFETY: by the contract of `Step::step_4`.
        unsafe {
            let x = [0, 1, 2, 3].map(|i| V::load_f32(src.add(i * V::LANES), V::LANES));
            match self.bracket.codes(x) {
                Some(codes) if QMIN < 0 => V::store_s8_of_4(dst.cast(), codes),
                Some(codes) => V::store_u8_of_4(dst, codes),
                None => self.exact.step_4(src, dst, first),
            }
        }
    }
}
