//! What becomes of codes: they are stored as they are, or turned into real numbers again.

use crate::params::Params;
use crate::real::Real;
use core::marker::PhantomData;
use fewbit_simd::HalfLanes;

/// How codes are stored.
pub(super) trait Format {
    /// A code as it is stored.
    type Code: Copy;

    /// Stores `n` codes, which are in range; their parameters are given too.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `n` codes can be written.
    unsafe fn store<V: HalfLanes>(
        to: *mut Self::Code,
        codes: V::I32,
        params: (V::F32, V::I32),
        n: usize,
    );

    /// Whether bounds are all of the format's codes.
    fn is_all(clamp: (i32, i32)) -> bool;

    /// Stores the codes within bounds that are nearest to four vectors' integers, which are those of the
    /// elements from number `first` on.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `4 * LANES` codes can be written, and have parameters.
    unsafe fn store_4<V: HalfLanes, P: Params<V>>(
        to: *mut Self::Code,
        integers: [V::I32; 4],
        clamp: (i32, i32),
        params: &P,
        first: usize,
    );
}

/// Integers within bounds, unless they are the format's, which storing them keeps.
///
/// # Safety
/// Within an entry compiled for `V`.
#[inline(always)]
unsafe fn clamped<V: HalfLanes, F: Format>(
    integers: [V::I32; 4],
    clamp: (i32, i32),
) -> [V::I32; 4] {
    if F::is_all(clamp) {
        return integers;
    }
    let [a, b, c, d] = integers;
    // SAFETY: by this function's contract.
    unsafe {
        let (low, high) = (V::splat_i32(clamp.0), V::splat_i32(clamp.1));
        [
            V::min_i32(V::max_i32(a, low), high),
            V::min_i32(V::max_i32(b, low), high),
            V::min_i32(V::max_i32(c, low), high),
            V::min_i32(V::max_i32(d, low), high),
        ]
    }
}

/// s8 or u8, which differ in the bounds alone: the functions of both are the same code, and there once.
pub(super) struct Byte;

impl Format for Byte {
    type Code = u8;

    #[inline(always)]
    unsafe fn store<V: HalfLanes>(to: *mut u8, codes: V::I32, _params: (V::F32, V::I32), n: usize) {
        // SAFETY: by this function's contract.
        unsafe { V::store_u8(to, codes, n) }
    }

    #[inline(always)]
    fn is_all(clamp: (i32, i32)) -> bool {
        clamp == (-128, 127) || clamp == (0, 255)
    }

    #[inline(always)]
    unsafe fn store_4<V: HalfLanes, P: Params<V>>(
        to: *mut u8,
        integers: [V::I32; 4],
        clamp: (i32, i32),
        _params: &P,
        _first: usize,
    ) {
        // SAFETY: by this function's contract.
        unsafe {
            let codes = clamped::<V, Self>(integers, clamp);
            if clamp.0 < 0 {
                V::store_s8_of_4(to.cast(), codes);
            } else {
                V::store_u8_of_4(to, codes);
            }
        }
    }
}

/// s16.
pub(super) struct S16;

impl Format for S16 {
    type Code = u16;

    #[inline(always)]
    unsafe fn store<V: HalfLanes>(
        to: *mut u16,
        codes: V::I32,
        _params: (V::F32, V::I32),
        n: usize,
    ) {
        // SAFETY: by this function's contract.
        unsafe { V::store_u16(to, V::narrow_i32(codes), n) }
    }

    #[inline(always)]
    fn is_all(clamp: (i32, i32)) -> bool {
        clamp == (-32_768, 32_767)
    }

    #[inline(always)]
    unsafe fn store_4<V: HalfLanes, P: Params<V>>(
        to: *mut u16,
        integers: [V::I32; 4],
        clamp: (i32, i32),
        _params: &P,
        _first: usize,
    ) {
        // SAFETY: by this function's contract.
        unsafe { V::store_s16_of_4(to, clamped::<V, Self>(integers, clamp)) }
    }
}

/// Codes of any format, as the real numbers that they stand for.
pub(super) struct Faked<R>(PhantomData<R>);

impl<R: Real> Format for Faked<R> {
    type Code = R::Stored;

    #[inline(always)]
    unsafe fn store<V: HalfLanes>(
        to: *mut R::Stored,
        codes: V::I32,
        (scale, zero_point): (V::F32, V::I32),
        n: usize,
    ) {
        // SAFETY: by this function's contract.
        unsafe {
            let steps = V::f32_from_i32(V::sub_i32(codes, zero_point));
            R::store::<V>(to, R::product::<V>(steps, scale), n);
        }
    }

    #[inline(always)]
    fn is_all(_clamp: (i32, i32)) -> bool {
        false
    }

    #[inline(always)]
    unsafe fn store_4<V: HalfLanes, P: Params<V>>(
        to: *mut R::Stored,
        integers: [V::I32; 4],
        clamp: (i32, i32),
        params: &P,
        first: usize,
    ) {
        // SAFETY: by this function's contract.
        unsafe {
            let [a, b, c, d] = clamped::<V, Self>(integers, clamp);
            let (s0, z0) = params.at(first, V::LANES);
            let (s1, z1) = params.at(first + V::LANES, V::LANES);
            let (s2, z2) = params.at(first + 2 * V::LANES, V::LANES);
            let (s3, z3) = params.at(first + 3 * V::LANES, V::LANES);
            let steps = [
                V::f32_from_i32(V::sub_i32(a, z0)),
                V::f32_from_i32(V::sub_i32(b, z1)),
                V::f32_from_i32(V::sub_i32(c, z2)),
                V::f32_from_i32(V::sub_i32(d, z3)),
            ];
            R::store_products_4::<V>(to, steps, [s0, s1, s2, s3]);
        }
    }
}
