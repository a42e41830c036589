//! Sums of products to codes. Float mode: `clamp(round_half_even(f32(acc) * multiplier) +
//! zero_point, qmin, qmax)`, as [`fewbit_scheme::requantize`] defines it. The fixed-point modes compute with
//! integers only.

mod fixed;

pub(crate) use fixed::{Double, Product};
pub use fixed::{RequantizeFixedArgs, RequantizeFixedFn, S32_S8_FIXED, S32_U8_FIXED};

use crate::elementwise::{Step, rows};
use crate::infos;
use crate::params::{ByRun, Grid, Params, Plain, Rows, grid};
use crate::quantize::{Byte, Format};
use crate::registry::RowInfo;
use core::marker::PhantomData;
use fewbit_simd::Lanes;

/// A run of sums to requantize in float mode. Strides are in elements; the buffers do not overlap.
#[derive(Clone, Copy, Debug)]
pub struct RequantizeArgs {
    /// The sums.
    pub src: *const i32,
    /// Distance of consecutive sums, in elements.
    pub src_stride: usize,
    /// The codes, s8 or u8 as the table says.
    pub dst: *mut u8,
    /// Distance of consecutive codes, in elements.
    pub dst_stride: usize,
    /// The number of elements.
    pub n: usize,
    /// Multipliers, not negative: one, or `n` where `param_step` is 1.
    pub multipliers: *const f32,
    /// Zero points, in the range of the codes, as many as multipliers. NULL: all zero.
    pub zero_points: *const i32,
    /// 0: the whole run shares a parameter. Otherwise 1: element `i` has parameter `i`.
    pub param_step: usize,
    /// Further runs, or [`Rows::ONE`].
    pub rows: Rows,
    /// The smallest and the largest code to store, within the range of the codes: an activation's
    /// bounds, or all of it. They also tell what the codes are: where the smallest is negative, s8. (The tables
    /// of s8 and u8 are one function.)
    pub clamp: (i32, i32),
}

/// A kernel of this op.
///
/// # Safety
/// For `i < n` in all rows, `src + i * src_stride` can be read and `dst + i * dst_stride` written;
/// the parameters can be read and are in the ranges stated. Nothing need be aligned. Without
/// elements no pointer is used.
pub type RequantizeFn = unsafe fn(&RequantizeArgs);

rows! {
    /// s32 to s8 in float mode.
    S32_S8: RequantizeFn = "requantize_s32s8", |args: &RequantizeArgs|, requantize::<V>(args)
}

rows! {
    /// s32 to u8 in float mode.
    S32_U8: RequantizeFn = "requantize_s32u8", |args: &RequantizeArgs|, requantize::<V>(args)
}

/// The rows of this op's tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    infos(S32_S8).chain(infos(S32_U8)).chain(infos(S32_S8_FIXED)).chain(infos(S32_U8_FIXED))
}

/// # Safety
/// As [`RequantizeFn`], within an entry compiled for `V`.
#[inline(always)]
unsafe fn requantize<V: Lanes>(args: &RequantizeArgs) {
    let RequantizeArgs { src, src_stride, dst, dst_stride, n, .. } = *args;
    let RequantizeArgs { multipliers: factors, zero_points, param_step, rows, clamp, .. } = *args;
    let runs = Grid { src, src_stride, dst, dst_stride, n, factors, zero_points, param_step, rows };
    // SAFETY: by this function's contract.
    unsafe { grid::<V, _>(&ByRun(Within { clamp }), &runs) }
}

/// The op within bounds.
struct Within {
    clamp: (i32, i32),
}

impl<V: Lanes> Plain<V> for Within {
    type Src = i32;
    type Dst = u8;

    #[inline(always)]
    fn with<P: Params<V>>(&self, params: P) -> impl Step<Src = i32, Dst = u8> {
        Requantize::<V, P> { params, clamp: self.clamp, vectors: PhantomData }
    }
}

struct Requantize<V, P> {
    params: P,
    clamp: (i32, i32),
    vectors: PhantomData<V>,
}

impl<V: Lanes, P: Params<V>> Requantize<V, P> {
    /// Codes plus `bias`.
    ///
    /// # Safety
    /// As [`Step::step`].
    #[inline(always)]
    unsafe fn codes(&self, src: *const i32, first: usize, n: usize, bias: i32) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe {
            let (multiplier, zero_point) = self.params.at(first, n);
            // Not infinity, which times 0 is no number, where the contract takes it for the zero point. All
            // else is clamped with either.
            let multiplier = V::min(multiplier, V::splat_f32(f32::MAX));
            let t = V::mul(V::f32_from_i32(V::load_i32(src, n)), multiplier);
            // Rounding is monotone and keeps integers, so clamping the code is clamping here.
            let low = V::f32_from_i32(V::sub_i32(V::splat_i32(self.clamp.0), zero_point));
            let high = V::f32_from_i32(V::sub_i32(V::splat_i32(self.clamp.1), zero_point));
            let zero_point = V::add_i32(zero_point, V::splat_i32(bias));
            V::add_i32(V::nearest_i32(V::min(V::max(t, low), high)), zero_point)
        }
    }
}

impl<V: Lanes, P: Params<V>> Step for Requantize<V, P> {
    type Src = i32;
    type Dst = u8;
    const LANES: usize = V::LANES;
    const STREAMS: bool = V::STREAMS;

    #[inline(always)]
    unsafe fn step(&self, src: *const i32, dst: *mut u8, first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe { V::store_u8(dst, self.codes(src, first, n, 0), n) }
    }

    #[inline(always)]
    unsafe fn step_4<const STREAM: bool>(
        &self,
        src: *const i32,
        dst: *mut u8,
        first: usize,
    ) -> bool {
        // SAFETY: by the contract of `Step::step_4`.
        unsafe {
            let byte = Byte::of(self.clamp);
            let bias = byte.bias();
            let at = |i: usize| i * V::LANES;
            let codes = [
                self.codes(src, first, V::LANES, bias),
                self.codes(src.add(at(1)), first + at(1), V::LANES, bias),
                self.codes(src.add(at(2)), first + at(2), V::LANES, bias),
                self.codes(src.add(at(3)), first + at(3), V::LANES, bias),
            ];
            V::store_bytes_of_4::<STREAM>(dst, codes, V::splat_i32(byte.flip()));
        }
        true
    }
}
