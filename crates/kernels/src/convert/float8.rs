//! Between f32 and the 8-bit float formats: the steps of [`fewbit_scheme::fp8`] in integers, branches
//! turned into selections, and back by way of f16. The elements of blocks ([`crate::block`]) are such floats too.

use super::ConvertArgs;
use crate::elementwise::{Step, run};
use core::marker::PhantomData;
use fewbit_simd::HalfLanes;

/// A float format of 8 bits or less.
pub(crate) trait Float8 {
    /// Mantissa bits.
    const MANTISSA: u32;
    /// Exponent bias.
    const BIAS: i32;
    /// The largest finite code without sign, and what is beyond it.
    const LARGEST: i32;
    const BEYOND: i32;
    /// NaN without sign, as f32's NaNs are stored.
    const NAN: i32;

    /// Bits of f32 that are rounded away, as a constant shift of the vector.
    ///
    /// # Safety
    /// Within an entry compiled for `V`.
    unsafe fn drop<V: HalfLanes>(v: V::I32) -> V::I32;

    /// The sign's place in the code, of f32 bits.
    ///
    /// # Safety
    /// Within an entry compiled for `V`.
    #[inline(always)]
    unsafe fn sign<V: HalfLanes>(bits: V::I32) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { V::and_i32(V::shr::<24>(bits), V::splat_i32(0x80)) }
    }

    /// Loads `n` codes, a byte each, as f32.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; they can be read.
    unsafe fn load<V: HalfLanes>(from: *const u8, n: usize) -> V::F32;
}

pub(crate) struct E4m3fn;

impl Float8 for E4m3fn {
    const MANTISSA: u32 = 3;
    const BIAS: i32 = 7;
    const LARGEST: i32 = 0x7E;
    const BEYOND: i32 = 0x7F;
    const NAN: i32 = 0x7F;

    #[inline(always)]
    unsafe fn drop<V: HalfLanes>(v: V::I32) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { V::shr::<20>(v) }
    }

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const u8, n: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::e4m3fn_to_f32(V::load_high_u8(from, n)) }
    }
}

pub(crate) struct E5m2;

impl Float8 for E5m2 {
    const MANTISSA: u32 = 2;
    const BIAS: i32 = 15;
    const LARGEST: i32 = 0x7B;
    const BEYOND: i32 = 0x7C;
    const NAN: i32 = 0x7E;

    #[inline(always)]
    unsafe fn drop<V: HalfLanes>(v: V::I32) -> V::I32 {
        // SAFETY: by this function's contract.
        unsafe { V::shr::<21>(v) }
    }

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const u8, n: usize) -> V::F32 {
        // SAFETY: by this function's contract. E5M2 is the upper byte of binary16.
        unsafe { V::f16_to_f32(V::load_high_u8(from, n)) }
    }
}

/// # Safety
/// As [`super::ConvertFn`], within an entry compiled for `V`.
#[inline(always)]
pub(super) unsafe fn narrow<V: HalfLanes, F: Float8, const SATURATE: bool>(args: &ConvertArgs) {
    let ConvertArgs { src, src_stride, dst, dst_stride, n } = *args;
    let op = Narrow::<V, F, SATURATE>(PhantomData);
    // SAFETY: by this function's contract.
    unsafe { run(&op, src.cast(), src_stride, dst, dst_stride, n, None) }
}

struct Narrow<V, F, const SATURATE: bool>(PhantomData<(V, F)>);

impl<V: HalfLanes, F: Float8, const SATURATE: bool> Step for Narrow<V, F, SATURATE> {
    type Src = f32;
    type Dst = u8;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const f32, dst: *mut u8, _first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe { V::store_u8(dst, codes::<V, F, SATURATE>(V::load_f32(src, n)), n) }
    }
}

/// The codes of numbers, a lane each.
///
/// # Safety
/// Within an entry compiled for `V`.
#[inline(always)]
pub(crate) unsafe fn codes<V: HalfLanes, F: Float8, const SATURATE: bool>(x: V::F32) -> V::I32 {
    let rebias = (127 - F::BIAS) << 23;
    let drop = 23 - F::MANTISSA;
    // The number whose last place is the format's smallest step.
    let anchor = f32::from_bits(((127 + 1 - F::BIAS + 23) as u32 - F::MANTISSA) << 23);
    let limit = if SATURATE { F::LARGEST } else { F::BEYOND };
    // SAFETY: by this function's contract.
    unsafe {
        let bits = V::bits(x);
        let magnitude = V::and_i32(bits, V::splat_i32(i32::MAX));
        let odd = V::and_i32(F::drop::<V>(magnitude), V::splat_i32(1));
        let half = V::splat_i32((1 << (drop - 1)) - 1 - rebias);
        let normal = F::drop::<V>(V::add_i32(magnitude, V::add_i32(half, odd)));
        let sum = V::add(V::from_bits(magnitude), V::splat_f32(anchor));
        let subnormal = V::sub_i32(V::bits(sum), V::splat_i32(anchor.to_bits() as i32));
        let least_normal = V::splat_i32(rebias + (1 << 23) - 1);
        let code = V::select_gt(magnitude, least_normal, normal, subnormal);
        let code = V::min_i32(code, V::splat_i32(limit));
        let infinity = V::splat_i32(0x7F80_0000);
        let code = V::select_gt(magnitude, infinity, V::splat_i32(F::NAN), code);
        V::or_i32(code, F::sign::<V>(bits))
    }
}

/// # Safety
/// As [`super::ConvertFn`], within an entry compiled for `V`.
#[inline(always)]
pub(super) unsafe fn widen<V: HalfLanes, F: Float8>(args: &ConvertArgs) {
    let ConvertArgs { src, src_stride, dst, dst_stride, n } = *args;
    let op = Widen::<V, F>(PhantomData);
    // SAFETY: by this function's contract.
    unsafe { run(&op, src, src_stride, dst.cast(), dst_stride, n, None) }
}

struct Widen<V, F>(PhantomData<(V, F)>);

impl<V: HalfLanes, F: Float8> Step for Widen<V, F> {
    type Src = u8;
    type Dst = f32;
    const LANES: usize = V::LANES;

    #[inline(always)]
    unsafe fn step(&self, src: *const u8, dst: *mut f32, _first: usize, n: usize) {
        // SAFETY: by the contract of `Step::step`.
        unsafe { V::store_f32(dst, F::load::<V>(src, n), n) }
    }
}
