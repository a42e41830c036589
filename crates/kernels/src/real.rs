//! The formats of real numbers on one side of codes, and of conversions: f32, f16, bf16. All arithmetic is in
//! f32, which holds numbers of all three; a result is rounded to its format once. For the 16-bit formats a
//! product is first rounded to odd, which a second rounding does not notice (see `dequantize_f16` of the scheme
//! crate, which defines the result), or to nearest where that gives no tie, which comes to the same.

use fewbit_simd::HalfLanes;

/// A format of real numbers.
pub(crate) trait Real {
    /// A number as it is stored.
    type Stored: Copy;
    /// The largest finite number.
    const LARGEST: f32;

    /// Loads `n` numbers; exact. A signalling NaN may stay one.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `n` numbers can be read.
    unsafe fn load<V: HalfLanes>(from: *const Self::Stored, n: usize) -> V::F32;

    /// As [`load`](Real::load), for numbers that are stored as they are in a wider format: a signalling NaN
    /// becomes quiet.
    ///
    /// # Safety
    /// As [`load`](Real::load).
    #[inline(always)]
    unsafe fn load_quiet<V: HalfLanes>(from: *const Self::Stored, n: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { Self::load::<V>(from, n) }
    }

    /// [`load_quiet`](Real::load_quiet) of four whole vectors.
    ///
    /// # Safety
    /// As [`load`](Real::load).
    #[inline(always)]
    unsafe fn load_quiet_4<V: HalfLanes>(from: *const Self::Stored) -> [V::F32; 4] {
        // SAFETY: by this function's contract.
        unsafe {
            [
                Self::load_quiet::<V>(from, V::LANES),
                Self::load_quiet::<V>(from.add(V::LANES), V::LANES),
                Self::load_quiet::<V>(from.add(2 * V::LANES), V::LANES),
                Self::load_quiet::<V>(from.add(3 * V::LANES), V::LANES),
            ]
        }
    }

    /// Stores `n` lanes rounded to the nearest number, ties to even; overflow to infinity.
    ///
    /// # Safety
    /// Within an entry compiled for `V`; `n` numbers can be written.
    unsafe fn store<V: HalfLanes>(to: *mut Self::Stored, v: V::F32, n: usize);

    /// As [`store`](Real::store) of four whole vectors; with `STREAM` around the caches.
    ///
    /// # Safety
    /// As [`store`](Real::store); with `STREAM`, `to` is aligned to the vector, or to 64 bytes.
    unsafe fn store_4<V: HalfLanes, const STREAM: bool>(to: *mut Self::Stored, v: [V::F32; 4]);

    /// `steps * scale`, so that [`store`](Real::store) makes of it the number nearest to the real product.
    /// `steps` are integers of at most 24 bits.
    ///
    /// # Safety
    /// Within an entry compiled for `V`.
    unsafe fn product<V: HalfLanes>(steps: V::F32, scale: V::F32) -> V::F32;

    /// [`store_4`](Real::store_4) of [`product`](Real::product)s, or nothing: whether it did them. Those it does not
    /// do, few, are left to [`product`](Real::product) and [`store`](Real::store).
    ///
    /// # Safety
    /// As [`store_4`](Real::store_4).
    #[inline(always)]
    unsafe fn store_products_4<V: HalfLanes, const STREAM: bool>(
        to: *mut Self::Stored,
        [a, b, c, d]: [V::F32; 4],
        [s0, s1, s2, s3]: [V::F32; 4],
    ) -> bool {
        // SAFETY: by this function's contract.
        unsafe {
            let products = [
                Self::product::<V>(a, s0),
                Self::product::<V>(b, s1),
                Self::product::<V>(c, s2),
                Self::product::<V>(d, s3),
            ];
            Self::store_4::<V, STREAM>(to, products);
        }
        true
    }
}

pub(crate) struct F32;

impl Real for F32 {
    type Stored = f32;
    const LARGEST: f32 = f32::MAX;

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const f32, n: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::load_f32(from, n) }
    }

    #[inline(always)]
    unsafe fn store<V: HalfLanes>(to: *mut f32, v: V::F32, n: usize) {
        // SAFETY: by this function's contract.
        unsafe { V::store_f32(to, v, n) }
    }

    #[inline(always)]
    unsafe fn store_4<V: HalfLanes, const STREAM: bool>(to: *mut f32, v: [V::F32; 4]) {
        let mut to = to;
        for v in v {
            // SAFETY: by this function's contract.
            unsafe {
                if STREAM {
                    V::stream_f32(to, v);
                } else {
                    V::store_f32(to, v, V::LANES);
                }
            }
            to = to.wrapping_add(V::LANES);
        }
    }

    #[inline(always)]
    unsafe fn product<V: HalfLanes>(steps: V::F32, scale: V::F32) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::mul(steps, scale) }
    }
}

/// Stores four vectors of 16-bit codes; with `STREAM` around the caches.
///
/// # Safety
/// As [`Real::store_4`].
#[inline(always)]
unsafe fn store_u16_4<V: HalfLanes, const STREAM: bool>(to: *mut u16, v: [V::U16; 4]) {
    let mut to = to;
    for v in v {
        // SAFETY: by this function's contract.
        unsafe {
            if STREAM {
                V::stream_u16(to, v);
            } else {
                V::store_u16(to, v, V::LANES);
            }
        }
        to = to.wrapping_add(V::LANES);
    }
}

pub(crate) struct F16;

impl Real for F16 {
    type Stored = u16;
    const LARGEST: f32 = 65504.0;

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const u16, n: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::f16_to_f32(V::load_u16(from, n)) }
    }

    #[inline(always)]
    unsafe fn store<V: HalfLanes>(to: *mut u16, v: V::F32, n: usize) {
        // SAFETY: by this function's contract.
        unsafe { V::store_u16(to, V::f32_to_f16(v), n) }
    }

    #[inline(always)]
    unsafe fn store_4<V: HalfLanes, const STREAM: bool>(to: *mut u16, [a, b, c, d]: [V::F32; 4]) {
        // SAFETY: by this function's contract.
        unsafe {
            let [a, b, c, d] =
                [V::f32_to_f16(a), V::f32_to_f16(b), V::f32_to_f16(c), V::f32_to_f16(d)];
            store_u16_4::<V, STREAM>(to, [a, b, c, d]);
        }
    }

    #[inline(always)]
    unsafe fn product<V: HalfLanes>(steps: V::F32, scale: V::F32) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::mul_odd(steps, scale) }
    }

    /// As [`Bf16`]'s: a product that f32 rounds to a tie of f16 has bit 12 alone of the lower 13. Where f16's
    /// numbers are subnormal ties are other bits, but without a scale below the least normal number only 0 is
    /// there.
    #[inline(always)]
    unsafe fn store_products_4<V: HalfLanes, const STREAM: bool>(
        to: *mut u16,
        [a, b, c, d]: [V::F32; 4],
        [s0, s1, s2, s3]: [V::F32; 4],
    ) -> bool {
        // SAFETY: by this function's contract.
        unsafe {
            let [p0, p1, p2, p3] = [V::mul(a, s0), V::mul(b, s1), V::mul(c, s2), V::mul(d, s3)];
            let ties = V::splat_i32(HALF);
            let ends = [
                V::add_i32(V::shl::<3>(V::bits(p0)), ties),
                V::add_i32(V::shl::<3>(V::bits(p1)), ties),
                V::add_i32(V::shl::<3>(V::bits(p2)), ties),
                V::add_i32(V::shl::<3>(V::bits(p3)), ties),
            ];
            // Positive numbers order as their bits do.
            let least = V::min_i32(
                V::min_i32(V::bits(s0), V::bits(s1)),
                V::min_i32(V::bits(s2), V::bits(s3)),
            );
            let normal = V::splat_i32(F16_NORMAL.to_bits() as i32);
            let small = V::select_gt(normal, least, normal, V::splat_i32(0));
            if V::any_low_zero(ends) || !V::is_zero(small) {
                return false;
            }
            Self::store_4::<V, STREAM>(to, [p0, p1, p2, p3]);
        }
        true
    }
}

/// The least normal number of f16, 2^-14.
const F16_NORMAL: f32 = 6.103_515_6e-5;

pub(crate) struct Bf16;

/// Half of bf16's last place, in f32's bits. Added to them, it rounds to nearest, but for ties, which leave
/// the lower half 0.
const HALF: i32 = 0x8000;

impl Real for Bf16 {
    type Stored = u16;
    const LARGEST: f32 = f32::from_bits(0x7F7F_0000);

    #[inline(always)]
    unsafe fn load<V: HalfLanes>(from: *const u16, n: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::from_bits(V::high_u16(V::load_u16(from, n))) }
    }

    #[inline(always)]
    unsafe fn load_quiet<V: HalfLanes>(from: *const u16, n: usize) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::bf16_to_f32(V::load_u16(from, n)) }
    }

    /// Without a NaN there is nothing to be made quiet, and four vectors share the question.
    #[inline(always)]
    unsafe fn load_quiet_4<V: HalfLanes>(from: *const u16) -> [V::F32; 4] {
        // SAFETY: by this function's contract.
        unsafe {
            let at = |i: usize| from.wrapping_add(i * V::LANES);
            let v = [
                Self::load::<V>(from, V::LANES),
                Self::load::<V>(at(1), V::LANES),
                Self::load::<V>(at(2), V::LANES),
                Self::load::<V>(at(3), V::LANES),
            ];
            if V::is_zero_without_nan(V::splat_i32(0), v) {
                return v;
            }
            [
                Self::load_quiet::<V>(from, V::LANES),
                Self::load_quiet::<V>(at(1), V::LANES),
                Self::load_quiet::<V>(at(2), V::LANES),
                Self::load_quiet::<V>(at(3), V::LANES),
            ]
        }
    }

    #[inline(always)]
    unsafe fn store<V: HalfLanes>(to: *mut u16, v: V::F32, n: usize) {
        // SAFETY: by this function's contract.
        unsafe { V::store_u16(to, V::f32_to_bf16(v), n) }
    }

    #[inline(always)]
    unsafe fn store_4<V: HalfLanes, const STREAM: bool>(to: *mut u16, [a, b, c, d]: [V::F32; 4]) {
        // SAFETY: by this function's contract.
        unsafe {
            if V::is_zero_without_nan(V::splat_i32(0), [a, b, c, d]) {
                let rounded = [rounded::<V>(a), rounded::<V>(b), rounded::<V>(c), rounded::<V>(d)];
                V::store_high_of_4::<STREAM>(to, rounded);
            } else {
                let [a, b, c, d] =
                    [V::f32_to_bf16(a), V::f32_to_bf16(b), V::f32_to_bf16(c), V::f32_to_bf16(d)];
                store_u16_4::<V, STREAM>(to, [a, b, c, d]);
            }
        }
    }

    #[inline(always)]
    unsafe fn product<V: HalfLanes>(steps: V::F32, scale: V::F32) -> V::F32 {
        // SAFETY: by this function's contract.
        unsafe { V::mul_odd(steps, scale) }
    }

    /// A product rounded to f32 and then to bf16 is rounded as if once, unless the first rounding makes
    /// a tie of it.
    #[inline(always)]
    unsafe fn store_products_4<V: HalfLanes, const STREAM: bool>(
        to: *mut u16,
        [a, b, c, d]: [V::F32; 4],
        [s0, s1, s2, s3]: [V::F32; 4],
    ) -> bool {
        // SAFETY: by this function's contract.
        unsafe {
            let half = V::splat_i32(HALF);
            let products = [V::mul(a, s0), V::mul(b, s1), V::mul(c, s2), V::mul(d, s3)];
            let [p0, p1, p2, p3] = products;
            let sums = [
                V::add_i32(V::bits(p0), half),
                V::add_i32(V::bits(p1), half),
                V::add_i32(V::bits(p2), half),
                V::add_i32(V::bits(p3), half),
            ];
            if V::any_low_zero(sums) || !V::is_zero_without_nan(V::splat_i32(0), products) {
                return false;
            }
            V::store_high_of_4::<STREAM>(to, sums);
        }
        true
    }
}

/// The bits of a number, no NaN, plus what makes their upper half the nearest bf16, ties to even: the carry
/// moves the exponent up, to infinity where it must.
///
/// # Safety
/// Within an entry compiled for `V`.
#[inline(always)]
unsafe fn rounded<V: HalfLanes>(v: V::F32) -> V::I32 {
    // SAFETY: by this function's contract.
    unsafe {
        let bits = V::bits(v);
        let odd = V::and_i32(V::shr::<16>(bits), V::splat_i32(1));
        V::add_i32(V::add_i32(bits, V::splat_i32(HALF - 1)), odd)
    }
}
