//! Sums without rounding.

use core::num::NonZeroU64;

/// An exact sum of numbers `mantissa * 2^shift` in units that its owner fixes: a two's complement
/// integer of `64 * LIMBS` bits, the least significant limb first. Integer addition is commutative
/// and associative, so the sum does not depend on the order of its terms, nor on how they were
/// divided into partial sums. It wraps beyond its width, which its owners' limits exclude.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ExactSum<const LIMBS: usize> {
    limbs: [u64; LIMBS],
}

impl<const LIMBS: usize> ExactSum<LIMBS> {
    /// 0.
    pub const ZERO: ExactSum<LIMBS> = ExactSum { limbs: [0; LIMBS] };

    /// Adds `mantissa * 2^shift`, or subtracts it. Bits beyond the width are lost.
    #[inline]
    pub fn add(&mut self, mantissa: u64, shift: u32, negative: bool) {
        let places = shift % 64;
        let wide = u128::from(mantissa) << places;
        let first = (shift / 64) as usize;
        let Some(limbs) = self.limbs.get_mut(first..) else { return };
        // Two limbs, then the carry as far as it goes.
        let terms = [wide as u64, (wide >> 64) as u64].into_iter().chain(core::iter::repeat(0));
        let mut carry = false;
        for (place, (limb, term)) in limbs.iter_mut().zip(terms).enumerate() {
            if place >= 2 && !carry {
                break;
            }
            (*limb, carry) = if negative {
                let (difference, under) = limb.overflowing_sub(term);
                let (difference, again) = difference.overflowing_sub(u64::from(carry));
                (difference, under || again)
            } else {
                let (sum, over) = limb.overflowing_add(term);
                let (sum, again) = sum.overflowing_add(u64::from(carry));
                (sum, over || again)
            };
        }
    }

    /// Adds another sum of the same unit.
    pub fn merge(&mut self, other: &ExactSum<LIMBS>) {
        let mut carry = false;
        for (limb, term) in self.limbs.iter_mut().zip(other.limbs) {
            let (sum, over) = limb.overflowing_add(term);
            let (sum, again) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, over || again);
        }
    }

    /// The sum with the other sign (the lowest number of the width keeps its own).
    #[must_use]
    pub fn negated(&self) -> ExactSum<LIMBS> {
        let mut carry = true;
        ExactSum {
            limbs: self.limbs.map(|limb| {
                let (negated, over) = (!limb).overflowing_add(u64::from(carry));
                carry = over;
                negated
            }),
        }
    }

    /// Twice the sum.
    #[must_use]
    pub fn doubled(&self) -> ExactSum<LIMBS> {
        let mut twice = *self;
        twice.merge(self);
        twice
    }

    /// Whether the sum is 0.
    pub fn is_zero(&self) -> bool {
        self.limbs == [0; LIMBS]
    }

    /// Whether the sum is less than 0.
    pub fn is_negative(&self) -> bool {
        self.limbs.last().is_some_and(|limb| limb >> 63 == 1)
    }

    /// The sum's bits, the most significant first; of a sum that is not negative.
    fn bits(&self) -> impl Iterator<Item = bool> + '_ {
        self.limbs.iter().rev().flat_map(|limb| (0..64).rev().map(move |bit| limb >> bit & 1 == 1))
    }

    /// `|self| / divisor`, rounded once, to nearest even, to a mantissa of at most `precision` bits
    /// (up to 63; rounding may carry it to `2^precision`) and the exponent of its last bit: value
    /// `mantissa * 2^exponent` in the sum's unit. The exponent is not less than 0: small quotients
    /// are rounded to whole units.
    fn quotient(&self, divisor: NonZeroU64, precision: u32) -> (u64, u32) {
        let divisor = u128::from(divisor.get());
        let magnitude = if self.is_negative() { self.negated() } else { *self };
        // Long division, a binary digit a step, one fractional digit included. The first digits are
        // kept; the first one after them is the half, and `more` says whether anything follows it.
        let (mut rest, mut mantissa, mut dropped) = (0u128, 0u64, 0u32);
        let (mut half, mut more) = (false, false);
        for bit in magnitude.bits().map(Some).chain([None]) {
            rest = rest << 1 | u128::from(bit == Some(true));
            let digit = rest >= divisor;
            if digit {
                rest = rest.wrapping_sub(divisor);
            }
            if bit.is_some() && mantissa >> (precision.clamp(1, 63) - 1) == 0 {
                mantissa = mantissa << 1 | u64::from(digit);
            } else if dropped == 0 {
                (half, dropped) = (digit, 1);
            } else {
                (more, dropped) = (more || digit, dropped + 1);
            }
        }
        let up = half && (more || rest != 0 || mantissa & 1 == 1);
        (mantissa + u64::from(up), dropped.saturating_sub(1))
    }

    /// The sum as the nearest f64, ties to even, if the unit is `2^unit`. Units and widths within
    /// f64's normal range are expected: a wider result is infinite.
    pub fn to_f64(&self, unit: i32) -> f64 {
        let (mantissa, exponent) = self.quotient(NonZeroU64::MIN, 53);
        let value = mantissa as f64 * power_of_two(unit.saturating_add_unsigned(exponent));
        if self.is_negative() { -value } else { value }
    }

    /// `self / count` as the nearest f32, ties to even, if the unit is 2^-149, f32's smallest step.
    /// A quotient beyond f32 gives the largest finite number; 0 gives +0.
    pub fn mean_f32(&self, count: NonZeroU64) -> f32 {
        let (mantissa, exponent) = self.quotient(count, 24);
        // In units of f32's smallest step the bit pattern is the mantissa plus the exponent in its
        // place, for subnormal and normal numbers and for a mantissa carried to 2^24 alike.
        let bits = (u64::from(exponent) << 23) + mantissa;
        let value = f32::from_bits(bits.min(u64::from(f32::MAX.to_bits())) as u32);
        if self.is_negative() { -value } else { value }
    }
}

/// `2^exponent` within f64's normal range; beyond it 0 or infinity.
fn power_of_two(exponent: i32) -> f64 {
    match exponent {
        -1022..=1023 => f64::from_bits(((exponent + 1023) as u64) << 52),
        ..-1022 => 0.0,
        1024.. => f64::INFINITY,
    }
}

/// An f32 as sign, mantissa and shift: `mantissa * 2^shift` in units of 2^-149. Finite numbers only.
#[inline]
pub(crate) fn parts(x: f32) -> (bool, u64, u32) {
    let bits = x.to_bits();
    let exponent = bits >> 23 & 0xFF;
    let fraction = u64::from(bits & 0x007F_FFFF);
    let mantissa = if exponent == 0 { fraction } else { fraction | 0x0080_0000 };
    (x.is_sign_negative(), mantissa, exponent.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewbit_testkit::{Rng, seed};
    use std::vec::Vec;

    const UNIT: i32 = -149;

    fn sum_of(x: &[f32]) -> ExactSum<6> {
        x.iter().fold(ExactSum::ZERO, |mut sum, &x| {
            let (negative, mantissa, shift) = parts(x);
            sum.add(mantissa, shift, negative);
            sum
        })
    }

    fn finite(rng: &mut Rng) -> f32 {
        loop {
            let x = f32::from_bits(rng.next_u32());
            if x.is_finite() {
                return x;
            }
        }
    }

    const ONE: NonZeroU64 = NonZeroU64::MIN;

    #[test]
    fn one_number_is_itself() {
        let mut rng = Rng::new(seed());
        let edges = [0, 1, 2, 0x7F_FFFF, 0x80_0000, 0x80_0001, 0xFF_FFFF, 0x100_0000, 0x7F7F_FFFF];
        let random: Vec<u32> = (0..200_000).map(|_| finite(&mut rng).to_bits()).collect();
        for bits in edges.into_iter().chain(random) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                let sum = sum_of(&[x]);
                // -0 is a term of 0.
                assert_eq!(sum.mean_f32(ONE).to_bits(), (x + 0.0).to_bits(), "{x:e}");
                assert_eq!(sum.to_f64(UNIT), f64::from(x));
                assert!(sum.is_negative() == (x < 0.0) && sum.is_zero() == (x == 0.0));
            }
        }
    }

    #[test]
    fn equal_numbers_are_their_mean() {
        let mut rng = Rng::new(seed());
        for _ in 0..2000 {
            let (x, many) = (finite(&mut rng), 1 + rng.next_u64() % 1000);
            let (one, mut sum) = (sum_of(&[x]), ExactSum::<6>::ZERO);
            (0..many).for_each(|_| sum.merge(&one));
            assert_eq!(sum.mean_f32(NonZeroU64::new(many).unwrap()), x, "{many} times {x:e}");
        }
    }

    #[test]
    fn cancels_exactly_in_any_order() {
        let mut rng = Rng::new(seed());
        for _ in 0..200 {
            let mut x: Vec<f32> = (0..50).map(|_| finite(&mut rng)).collect();
            let sum = sum_of(&x);
            x.extend(x.clone().iter().map(|x| -x));
            for i in (1..x.len()).rev() {
                x.swap(i, rng.below(i + 1));
            }
            assert!(sum_of(&x).is_zero());
            // Parts merged in another order.
            let (low, high) = x.split_at(rng.below(x.len()));
            let mut merged = sum_of(high);
            merged.merge(&sum_of(low));
            merged.merge(&sum);
            assert_eq!(merged, sum);
            merged.merge(&sum.negated());
            assert!(merged.is_zero() && sum.doubled().negated() == sum.negated().doubled());
        }
    }

    /// Against sums and means that fit i128: integers times one power of two.
    #[test]
    fn rounds_as_integers_say() {
        let mut rng = Rng::new(seed());
        for _ in 0..100_000 {
            // Ties are frequent where few bits are in use.
            let bits = 1 + rng.next_u32() % 60;
            let mantissa = rng.next_u64() >> (64 - bits);
            let divisor = NonZeroU64::new(1 + (rng.next_u64() >> (rng.next_u32() % 64))).unwrap();
            let divisor = if rng.below(2) == 0 { divisor } else { NonZeroU64::new(2).unwrap() };
            let shift = rng.next_u32() % 60;
            let mut sum = ExactSum::<6>::ZERO;
            sum.add(mantissa, shift, true);
            let value = u128::from(mantissa) << shift;
            assert_eq!(sum.to_f64(0), -(value as f64), "conversion of u128 rounds to even");
            // The mean: compare twice the distance to the neighbours with exact arithmetic.
            let d = u128::from(divisor.get());
            let (m, e) = sum.quotient(divisor, 24);
            let got = u128::from(m) << e;
            let step = 1u128 << e;
            assert!(m <= 1 << 24 && (e == 0 || m >= 1 << 23));
            // |got - value / d| <= step / 2, and a tie has an even mantissa.
            let distance = (got * d).abs_diff(value) * 2;
            assert!(distance <= step * d, "{value} / {d} gave {got}");
            assert!(distance < step * d || m % 2 == 0, "{value} / {d} tied to {got}");
        }
    }

    #[test]
    fn the_extremes_of_the_width() {
        let mut rng = Rng::new(seed());
        // 2^40 times the largest number, by doubling, and back to its mean.
        let mut sum = sum_of(&[f32::MAX]);
        (0..40).for_each(|_| sum = sum.doubled());
        assert_eq!(sum.mean_f32(NonZeroU64::new(1 << 40).unwrap()), f32::MAX);
        assert_eq!(sum.mean_f32(ONE), f32::MAX, "beyond f32: the largest");
        assert_eq!(sum.negated().mean_f32(ONE), f32::MIN);
        // A term beyond the width is lost, not written elsewhere.
        let mut small = ExactSum::<2>::ZERO;
        small.add(u64::MAX, 64, false);
        small.add(rng.next_u64(), 128, false);
        small.add(u64::MAX, 64, true);
        assert!(small.is_zero());
        assert_eq!(power_of_two(-1023), 0.0);
        assert_eq!(power_of_two(1024), f64::INFINITY);
        assert_eq!(power_of_two(-1022), f64::MIN_POSITIVE);
    }
}
