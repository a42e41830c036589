//! Arithmetic on f32 in integers, rounded once at the end: a second opinion that uses no
//! floating-point unit. And the inputs that several tests share.

#![allow(dead_code, reason = "each test file uses a part")]

use fewbit_testkit::{Rng, seed};

/// `(-1)^negative * mantissa * 2^exponent`, or, if `more`, something between that and the number with
/// the next mantissa. A mantissa with `more` has at least 26 bits.
#[derive(Clone, Copy, Debug)]
pub struct Real {
    pub negative: bool,
    pub mantissa: u128,
    pub exponent: i32,
    pub more: bool,
}

impl Real {
    /// A finite f32, exactly.
    pub fn new(x: f32) -> Real {
        assert!(x.is_finite());
        let bits = x.to_bits();
        let (exponent, fraction) = ((bits >> 23 & 0xFF) as i32, u128::from(bits & 0x7F_FFFF));
        let (mantissa, exponent) = match exponent {
            0 => (fraction, -149),
            _ => (fraction | 1 << 23, exponent - 150),
        };
        Real { negative: x.is_sign_negative(), mantissa, exponent, more: false }
    }

    /// A product of two exact numbers, exactly.
    pub fn times(self, other: Real) -> Real {
        assert!(!self.more && !other.more);
        Real {
            negative: self.negative != other.negative,
            mantissa: self.mantissa * other.mantissa,
            exponent: self.exponent + other.exponent,
            more: false,
        }
    }

    /// A quotient of two f32; the divisor is not 0.
    pub fn over(self, other: Real) -> Real {
        let dividend = self.mantissa << 64;
        Real {
            negative: self.negative != other.negative,
            mantissa: dividend / other.mantissa,
            exponent: self.exponent - other.exponent - 64,
            more: !dividend.is_multiple_of(other.mantissa),
        }
    }

    /// The leading bit moved to bit 100; the number is not 0 and has at most 101 bits.
    fn normal(self) -> Real {
        let up = self.mantissa.leading_zeros() - 27;
        Real { mantissa: self.mantissa << up, exponent: self.exponent - up as i32, ..self }
    }

    /// The sum of two exact numbers of at most 48 bits; `None` if it is 0.
    pub fn plus(self, other: Real) -> Option<Real> {
        if self.mantissa == 0 || other.mantissa == 0 {
            let sum = if self.mantissa == 0 { other } else { self };
            return (sum.mantissa != 0).then_some(sum);
        }
        let (mut large, mut small) = (self.normal(), other.normal());
        if (large.exponent, large.mantissa) < (small.exponent, small.mantissa) {
            (large, small) = (small, large);
        }
        let down = (large.exponent - small.exponent).min(127);
        let kept = small.mantissa >> down;
        let more = kept << down != small.mantissa;
        let mantissa = if large.negative == small.negative {
            large.mantissa + kept
        } else {
            large.mantissa - kept - u128::from(more)
        };
        (mantissa != 0).then_some(Real { mantissa, more, ..large })
    }

    /// The nearest f32, ties to even.
    pub fn to_f32(self) -> f32 {
        let sign = if self.negative { -1.0f64 } else { 1.0 };
        if self.mantissa == 0 {
            return (0.0 * sign) as f32;
        }
        let top = 127 - self.mantissa.leading_zeros() as i32 + self.exponent;
        let unit = (top - 23).max(-149);
        if unit > 104 {
            return (f64::INFINITY * sign) as f32;
        }
        let down = unit - self.exponent;
        let kept = if down <= 0 {
            assert!(!self.more);
            self.mantissa << -down
        } else if down > 127 {
            0
        } else {
            let (kept, rest) = (self.mantissa >> down, self.mantissa & ((1 << down) - 1));
            let half = 1u128 << (down - 1);
            let up = rest > half || rest == half && (self.more || kept & 1 == 1);
            kept + u128::from(up)
        };
        // At most 2^24 units: exact, or 2^128, which becomes infinite.
        (kept as f64 * 2f64.powi(unit) * sign) as f32
    }
}

/// `a / b` of finite numbers, `b` not 0.
pub fn divide(a: f32, b: f32) -> f32 {
    Real::new(a).over(Real::new(b)).to_f32()
}

/// `a * b` of finite numbers.
pub fn multiply(a: f32, b: f32) -> f32 {
    Real::new(a).times(Real::new(b)).to_f32()
}

/// `a * b + c` of finite numbers, rounded once.
pub fn fused(a: f32, b: f32, c: f32) -> f32 {
    let product = Real::new(a).times(Real::new(b));
    let addend = Real::new(c);
    match product.plus(addend) {
        Some(sum) => sum.to_f32(),
        None if product.mantissa == 0 && product.negative && addend.negative => -0.0,
        None => 0.0,
    }
}

/// Numbers at which something changes: zeros, subnormals, the ends of f32, infinities, NaNs with
/// payloads, quiet and signalling.
pub fn extremes() -> Vec<f32> {
    let positive = [
        0x0000_0000u32,
        0x0000_0001,
        0x0000_0002,
        0x0040_0000,
        0x007F_FFFF,
        0x0080_0000,
        0x0080_0001,
        0x3380_0000,
        0x3EFF_FFFF,
        0x3F00_0000,
        0x3F00_0001,
        0x3F7F_FFFF,
        0x3F80_0000,
        0x3FC0_0000,
        0x4020_0000,
        0x4AFF_FFFF,
        0x4B00_0000,
        0x4B00_0001,
        0x4EFF_FFFF,
        0x4F00_0000,
        0x4F80_0000,
        0x5F00_0000,
        0x7F7F_FFFF,
        0x7F80_0000,
        0x7F80_0001,
        0x7FA0_0000,
        0x7FBF_FFFF,
        0x7FC0_0000,
        0x7FC1_2345,
        0x7FFF_FFFF,
    ];
    positive.iter().flat_map(|&b| [f32::from_bits(b), f32::from_bits(b | 1 << 31)]).collect()
}

/// A generator for one test, from the run's seed.
pub fn rng(test: u64) -> Rng {
    Rng::new(seed().wrapping_mul(0x1000).wrapping_add(test))
}

/// The f32 `steps` above (below, if negative) a finite number, in the order of f32; stops at the
/// ends.
pub fn beside(x: f32, steps: i32) -> f32 {
    let mut x = x;
    for _ in 0..steps.unsigned_abs() {
        x = if steps > 0 { x.next_up() } else { x.next_down() };
    }
    x
}

/// `floor(numerator / 2^shift + 1/2)`.
pub fn half_up(numerator: i128, shift: u32) -> i128 {
    if shift == 0 { numerator } else { (numerator + (1 << (shift - 1))) >> shift }
}

/// `numerator / 2^shift`, rounded to nearest, ties away from zero.
pub fn half_away(numerator: i128, shift: u32) -> i128 {
    half_up(numerator.abs(), shift) * numerator.signum()
}
