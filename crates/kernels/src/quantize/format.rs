//! What becomes of codes: they are stored as they are, or turned into real numbers again.

use crate::params::Params;
use crate::real::Real;
use core::marker::PhantomData;
use fewbit_simd::HalfLanes;

/// How codes are stored.
pub(super) trait Format {
    /// A code as it is stored.
    type Code: Copy;
    /// The smallest and the largest code.
    const RANGE: (i32, i32);

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

    /// Stores the codes in range that are nearest to four vectors' integers, which are those of the
    /// elements from number `first` on.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `4 * LANES` codes can be written, and have parameters.
    unsafe fn store_nearest<V: HalfLanes, P: Params<V>>(
        to: *mut Self::Code,
        integers: [V::I32; 4],
        params: &P,
        first: usize,
    );

    /// As [`store_nearest`](Format::store_nearest), around the caches.
    ///
    /// # Safety
    /// As [`store_nearest`](Format::store_nearest), where `to` is aligned to four vectors of codes, or to
    /// 64 bytes.
    unsafe fn stream_nearest<V: HalfLanes, P: Params<V>>(
        to: *mut Self::Code,
        integers: [V::I32; 4],
        params: &P,
        first: usize,
    );
}

pub(super) struct S8;

impl Format for S8 {
    type Code = i8;
    const RANGE: (i32, i32) = (-128, 127);

    #[inline(always)]
    unsafe fn store<V: HalfLanes>(to: *mut i8, codes: V::I32, _params: (V::F32, V::I32), n: usize) {
        // SAFETY: by this function's contract.
        unsafe { V::store_u8(to.cast(), codes, n) }
    }

    #[inline(always)]
    unsafe fn store_nearest<V: HalfLanes, P: Params<V>>(
        to: *mut i8,
        integers: [V::I32; 4],
        _params: &P,
        _first: usize,
    ) {
        // SAFETY: by this function's contract.
        unsafe { V::store_s8_of_4(to, integers) }
    }

    #[inline(always)]
    unsafe fn stream_nearest<V: HalfLanes, P: Params<V>>(
        to: *mut i8,
        integers: [V::I32; 4],
        _params: &P,
        _first: usize,
    ) {
        // SAFETY: by this function's contract.
        unsafe { V::stream_s8_of_4(to, integers) }
    }
}

pub(super) struct U8;

impl Format for U8 {
    type Code = u8;
    const RANGE: (i32, i32) = (0, 255);

    #[inline(always)]
    unsafe fn store<V: HalfLanes>(to: *mut u8, codes: V::I32, _params: (V::F32, V::I32), n: usize) {
        // SAFETY: by this function's contract.
        unsafe { V::store_u8(to, codes, n) }
    }

    #[inline(always)]
    unsafe fn store_nearest<V: HalfLanes, P: Params<V>>(
        to: *mut u8,
        integers: [V::I32; 4],
        _params: &P,
        _first: usize,
    ) {
        // SAFETY: by this function's contract.
        unsafe { V::store_u8_of_4(to, integers) }
    }

    #[inline(always)]
    unsafe fn stream_nearest<V: HalfLanes, P: Params<V>>(
        to: *mut u8,
        integers: [V::I32; 4],
        _params: &P,
        _first: usize,
    ) {
        // SAFETY: by this function's contract.
        unsafe { V::stream_u8_of_4(to, integers) }
    }
}

pub(super) struct S16;

impl Format for S16 {
    type Code = u16;
    const RANGE: (i32, i32) = (-32_768, 32_767);

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
    unsafe fn store_nearest<V: HalfLanes, P: Params<V>>(
        to: *mut u16,
        [a, b, c, d]: [V::I32; 4],
        _params: &P,
        _first: usize,
    ) {
        // SAFETY: by this function's contract.
        unsafe {
            let (low, high) = (V::splat_i32(Self::RANGE.0), V::splat_i32(Self::RANGE.1));
            V::store_u16(to, V::narrow_i32(V::min_i32(V::max_i32(a, low), high)), V::LANES);
            let to = to.add(V::LANES);
            V::store_u16(to, V::narrow_i32(V::min_i32(V::max_i32(b, low), high)), V::LANES);
            let to = to.add(V::LANES);
            V::store_u16(to, V::narrow_i32(V::min_i32(V::max_i32(c, low), high)), V::LANES);
            let to = to.add(V::LANES);
            V::store_u16(to, V::narrow_i32(V::min_i32(V::max_i32(d, low), high)), V::LANES);
        }
    }

    #[inline(always)]
    unsafe fn stream_nearest<V: HalfLanes, P: Params<V>>(
        to: *mut u16,
        integers: [V::I32; 4],
        params: &P,
        first: usize,
    ) {
        // SAFETY: by this function's contract.
        unsafe { Self::store_nearest::<V, P>(to, integers, params, first) }
    }
}

/// Codes of any format, as the real numbers that they stand for.
pub(super) struct Faked<R>(PhantomData<R>);

impl<R: Real> Format for Faked<R> {
    type Code = R::Stored;
    /// No format's: codes are always clamped before they get here.
    const RANGE: (i32, i32) = (1, 0);

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
            R::store_product::<V>(to, steps, scale, n);
        }
    }

    #[inline(always)]
    unsafe fn store_nearest<V: HalfLanes, P: Params<V>>(
        to: *mut R::Stored,
        integers: [V::I32; 4],
        params: &P,
        first: usize,
    ) {
        let mut at = 0;
        for codes in integers {
            // SAFETY: by this function's contract.
            unsafe {
                Self::store::<V>(to.add(at), codes, params.at(first + at, V::LANES), V::LANES);
            }
            at += V::LANES;
        }
    }

    #[inline(always)]
    unsafe fn stream_nearest<V: HalfLanes, P: Params<V>>(
        to: *mut R::Stored,
        integers: [V::I32; 4],
        params: &P,
        first: usize,
    ) {
        let mut at = 0;
        for codes in integers {
            // SAFETY: by this function's contract.
            unsafe {
                let (scale, zero_point) = params.at(first + at, V::LANES);
                let steps = V::f32_from_i32(V::sub_i32(codes, zero_point));
                R::stream_product::<V>(to.add(at), steps, scale);
            }
            at += V::LANES;
        }
    }
}
