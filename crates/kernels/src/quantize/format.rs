//! What becomes of codes: they are stored as they are, or turned into real numbers again.

use crate::kind::Kind;
use crate::params::Params;
use crate::real::Real;
use core::marker::PhantomData;
use fewbit_simd::HalfLanes;

/// How codes are stored.
pub(super) trait Format {
    /// A code as it is stored.
    type Code: Copy;
    /// As [`Op::BY_VECTOR`](crate::params::Op::BY_VECTOR).
    const BY_VECTOR: bool = false;

    /// What is taken from codes, of the kind of their bounds, before [`store_4`](Format::store_4) gets them.
    #[inline(always)]
    fn offset(_kind: Kind) -> i32 {
        0
    }

    /// Whether the bounds are the format's own, within which [`store_4`](Format::store_4) keeps codes without being asked.
    fn is_all(clamp: (i32, i32)) -> bool;

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

    /// Stores the codes in range that are nearest to four vectors' integers plus the [`offset`](Format::offset) of
    /// their kind, which are those of the elements from number `first` on; with `STREAM` around the caches. Or nothing: whether it
    /// did that.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `4 * LANES` codes can be written, and have parameters. With
    /// `STREAM`, `to` is aligned to four vectors of codes, or to 64 bytes.
    unsafe fn store_4<V: HalfLanes, P: Params<V>, const STREAM: bool>(
        to: *mut Self::Code,
        integers: [V::I32; 4],
        kind: Kind,
        params: &P,
        first: usize,
    ) -> bool;
}

/// A byte each, s8 or u8 as the bounds say.
pub(super) struct Byte;

impl Format for Byte {
    type Code = u8;
    const BY_VECTOR: bool = true;

    #[inline(always)]
    fn offset(kind: Kind) -> i32 {
        kind.offset
    }

    #[inline(always)]
    fn is_all(clamp: (i32, i32)) -> bool {
        // Without a branch, which would be in the loop.
        (clamp == (-128, 127)) | (clamp == (0, 255))
    }

    #[inline(always)]
    unsafe fn store<V: HalfLanes>(to: *mut u8, codes: V::I32, _: (V::F32, V::I32), n: usize) {
        // SAFETY: by this function's contract.
        unsafe { V::store_u8(to, codes, n) }
    }

    #[inline(always)]
    unsafe fn store_4<V: HalfLanes, P: Params<V>, const STREAM: bool>(
        to: *mut u8,
        integers: [V::I32; 4],
        kind: Kind,
        _params: &P,
        _first: usize,
    ) -> bool {
        // SAFETY: by this function's contract.
        unsafe {
            V::store_bytes_of_4::<STREAM>(to, integers, V::splat_i32(kind.flip));
        }
        true
    }
}

/// s16, two bytes each.
pub(super) struct S16;

impl Format for S16 {
    type Code = u16;

    #[inline(always)]
    fn is_all(clamp: (i32, i32)) -> bool {
        clamp == (-32_768, 32_767)
    }

    #[inline(always)]
    unsafe fn store<V: HalfLanes>(to: *mut u16, codes: V::I32, _: (V::F32, V::I32), n: usize) {
        // SAFETY: by this function's contract.
        unsafe { V::store_u16(to, V::narrow_i32(codes), n) }
    }

    #[inline(always)]
    unsafe fn store_4<V: HalfLanes, P: Params<V>, const STREAM: bool>(
        to: *mut u16,
        integers: [V::I32; 4],
        _kind: Kind,
        _params: &P,
        _first: usize,
    ) -> bool {
        // SAFETY: by this function's contract.
        unsafe { V::store_s16_of_4::<STREAM>(to, integers) }
        true
    }
}

/// Codes of any format, as the real numbers that they stand for.
pub(super) struct Faked<R>(PhantomData<R>);

impl<R: Real> Format for Faked<R> {
    type Code = R::Stored;

    /// Codes are always clamped before they get here.
    #[inline(always)]
    fn is_all(_clamp: (i32, i32)) -> bool {
        false
    }

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
        _kind: Kind,
        params: &P,
        first: usize,
    ) -> bool {
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
            R::store_products_4::<V, STREAM>(to, steps, [s0, s1, s2, s3])
        }
    }
}
