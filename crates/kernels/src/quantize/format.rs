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
    /// elements from number `first` on; with `STREAM` around the caches.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `4 * LANES` codes can be written, and have parameters. With
    /// `STREAM`, `to` is aligned to four vectors of codes, or to 64 bytes.
    unsafe fn store_4<V: HalfLanes, P: Params<V>, const STREAM: bool>(
        to: *mut Self::Code,
        integers: [V::I32; 4],
        params: &P,
        first: usize,
    );
}

/// A format whose codes are stored as they are: integers of the range, a byte or two each.
macro_rules! stored {
    (
        $name:ident: $code:ty, $range:expr,
        |$to:ident, $codes:ident, $n:ident| $store:expr,
        |$to_4:ident, $codes_4:ident| $store_4:expr
    ) => {
        pub(super) struct $name;

        impl Format for $name {
            type Code = $code;
            const RANGE: (i32, i32) = $range;

            #[inline(always)]
            unsafe fn store<V: HalfLanes>(
                $to: *mut $code,
                $codes: V::I32,
                _params: (V::F32, V::I32),
                $n: usize,
            ) {
                // SAFETY: by this function's contract.
                unsafe { $store }
            }

            #[inline(always)]
            unsafe fn store_4<V: HalfLanes, P: Params<V>, const STREAM: bool>(
                $to_4: *mut $code,
                $codes_4: [V::I32; 4],
                _params: &P,
                _first: usize,
            ) {
                // SAFETY: by this function's contract.
                unsafe { $store_4 }
            }
        }
    };
}

stored! {
    S8: i8, (-128, 127),
    |to, codes, n| V::store_u8(to.cast(), codes, n),
    |to, codes| V::store_s8_of_4::<STREAM>(to, codes)
}

stored! {
    U8: u8, (0, 255),
    |to, codes, n| V::store_u8(to, codes, n),
    |to, codes| V::store_u8_of_4::<STREAM>(to, codes)
}

stored! {
    S16: u16, (-32_768, 32_767),
    |to, codes, n| V::store_u16(to, V::narrow_i32(codes), n),
    |to, codes| V::store_s16_of_4::<STREAM>(to, codes)
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
            R::store::<V>(to, R::product::<V>(steps, scale), n);
        }
    }

    #[inline(always)]
    unsafe fn store_4<V: HalfLanes, P: Params<V>, const STREAM: bool>(
        to: *mut R::Stored,
        integers: [V::I32; 4],
        params: &P,
        first: usize,
    ) {
        let [a, b, c, d] = integers;
        // SAFETY: by this function's contract.
        unsafe {
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
            R::store_products_4::<V, STREAM>(to, steps, [s0, s1, s2, s3]);
        }
    }
}
