//! Quotients rounded to integers without a division.
//!
//! # The algebra, and why it is exact
//! Let `r` be f32's nearest number to `1 / s`, and `r1 < r < r2` two steps of f32 below and above it.
//! A step is at least `2^-24 r`, and `r` is within `2^-24 / s` of `1 / s`, so
//! `r1 < (1 - 2^-24) / s` and `(1 + 2^-24) / s < r2`. The contract's quotient, `x / s` rounded to f32
//! (or `x r` rounded), is within `2^-24 |x / s|` of the real one, if it is not subnormal. So for
//! `x != 0` it lies strictly between `x r1` and `x r2`.
//!
//! `y1 = fma(x, r1, M)` with `M = 2^23 + 2^22 + zero_point` rounds `x r1 + M` once. For results in
//! 2^23..2^24, where the step of f32 is 1, that is a rounding to an integer, and rounding is
//! monotone. If `y1 = y2` (made with `r2`), then everything between `x r1` and `x r2` rounds to the
//! same integer, and so does the contract's quotient: under any rule for ties, for it cannot be a
//! tie itself, as numbers on both sides of a tie round to different integers. A subnormal quotient
//! rounds to 0, as `x r1` and `x r2` do.
//!
//! Otherwise (near a tie; about one in 2^16 numbers), or if any of the bits that are 0 in all
//! numbers of 2^23..2^24 is set (NaN, infinities, quotients of 2^22 and more), nothing is claimed,
//! and the caller divides.
//!
//! # Cost
//! Two fused operations, two bit operations, a subtraction: where a vector division takes 16 cycles,
//! this takes 3.

use crate::elementwise::{Each, Params, Uniform};
use fewbit_simd::Lanes;

/// `r1`, `r2` and `M`.
pub(super) struct Bracket<V: Lanes> {
    low: V::F32,
    high: V::F32,
    magic: V::F32,
}

/// 2^23 + 2^22, the middle of the numbers whose step is 1; its last bits are an integer's.
const MAGIC: f32 = 12_582_912.0;

/// The bits that are 0 in all of 2^23..2^24: the sign, and those of the exponent 150.
const ZERO_BITS: i32 = 0xB480_0000_u32 as i32;

impl<V: Lanes> Bracket<V> {
    /// The codes of four vectors, not yet clamped: `round(x / s) + zero_point`, within 2^22 of 0. `None`
    /// if any of them is not certain.
    ///
    /// # Safety
    /// Within an entry compiled for `V`.
    #[inline(always)]
    pub(super) unsafe fn codes(&self, x: [V::F32; 4]) -> Option<[V::I32; 4]> {
        // SAFETY: by this function's contract.
        unsafe {
            let y1 = x.map(|x| V::bits(V::fma(x, self.low, self.magic)));
            let y2 = x.map(|x| V::bits(V::fma(x, self.high, self.magic)));
            let zero = V::splat_i32(0);
            let (mut differ, mut seen) = (zero, zero);
            for (&a, b) in y1.iter().zip(y2) {
                differ = V::or_xor(differ, a, b);
                seen = V::or_i32(seen, a);
            }
            let doubt = V::or_i32(differ, V::and_i32(seen, V::splat_i32(ZERO_BITS)));
            if !V::is_zero(doubt) {
                return None;
            }
            let magic = V::splat_i32(MAGIC.to_bits() as i32);
            Some(y1.map(|y| V::sub_i32(y, magic)))
        }
    }
}

/// Parameters of a run that may have one bracket for all of it.
pub(super) trait Bracketed<V: Lanes>: Params<V> {
    /// The bracket, if all elements share one and its numbers are normal.
    ///
    /// # Safety
    /// Within an entry compiled for `V`.
    unsafe fn bracket(&self) -> Option<Bracket<V>>;
}

impl<V: Lanes> Bracketed<V> for Uniform<V> {
    #[inline(always)]
    unsafe fn bracket(&self) -> Option<Bracket<V>> {
        let (scale, zero_point) = self.values();
        // Beyond, the inverse or a neighbour of it would be subnormal or infinite.
        if !(f32::MIN_POSITIVE..=f32::MAX / 16.0).contains(&scale) {
            return None;
        }
        let inverse = (1.0 / scale).to_bits();
        // SAFETY: by this function's contract.
        unsafe {
            Some(Bracket {
                low: V::splat_f32(f32::from_bits(inverse.wrapping_sub(2))),
                high: V::splat_f32(f32::from_bits(inverse.wrapping_add(2))),
                magic: V::splat_f32(MAGIC + zero_point as f32),
            })
        }
    }
}

impl<V: Lanes> Bracketed<V> for Each<V> {
    #[inline(always)]
    unsafe fn bracket(&self) -> Option<Bracket<V>> {
        None
    }
}
