//! The functions of f64 that metrics need, as one chain of basic operations each: the same bits on
//! every machine, where the C library's differ.

/// ln(2) / ln(10): the first bits, so few that any exponent times them is exact, and the rest.
const LOG10_2: (f64, f64) = (f64::from_bits(0x3FD3_4413_509F_0000), 1.733_665_960_375_285_3e-12);

/// The common logarithm, within 3 ulp: -infinity of 0, NaN below.
///
/// `x = m * 2^e` with m in 0.707..1.414; `ln(m) = 2 atanh(s)`, `s = (m - 1) / (m + 1)`, by its series (the rearrangement
/// of fdlibm's log).
pub fn log10(x: f64) -> f64 {
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if x == f64::INFINITY {
        return x;
    }
    let (mantissa, exponent) = normalised(x);
    // The mantissa as a number in 1..2.
    let m = f64::from_bits(mantissa & !(1 << 52) | 1023 << 52);
    let (m, e) =
        if m > core::f64::consts::SQRT_2 { (m * 0.5, exponent + 53) } else { (m, exponent + 52) };
    let f = m - 1.0;
    let s = f / (m + 1.0);
    let z = s * s;
    // 1/23, 1/21, ... 1/3: the next term is below 2^-60 of the first, as z < 0.0295.
    let odd = [23.0, 21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0];
    let series = 2.0 * odd.into_iter().fold(0.0, |sum, k| (sum + 1.0 / k) * z);
    // 2 s = f - s f, where f is exact and s f small: all that is rounded is small.
    let half_square = 0.5 * f * f;
    let log_m = (f - (half_square - s * (half_square + series))) * core::f64::consts::LOG10_E;
    let e = f64::from(e);
    e * LOG10_2.0 + (e * LOG10_2.1 + log_m)
}

/// The square root, correctly rounded; NaN below 0.
pub fn sqrt(x: f64) -> f64 {
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 || x == f64::INFINITY {
        return x;
    }
    let (mantissa, exponent) = normalised(x);
    // An even exponent, and as many digits that the root has 54: one more than the result.
    let shift = 54 + (exponent & 1).unsigned_abs();
    let mut rest = u128::from(mantissa) << shift;
    let (mut root, mut bit) = (0u128, 1u128 << 106);
    while bit != 0 {
        if rest >= root + bit {
            rest -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
        bit >>= 2;
    }
    let up = root & 1 == 1 && (rest != 0 || root & 2 == 2);
    let rounded = (root as u64 >> 1) + u64::from(up);
    // `exponent - shift` is even, and the result is always a normal number.
    let scale = (exponent - shift as i32) / 2 + 1;
    rounded as f64 * f64::from_bits(((scale + 1023) as u64) << 52)
}

/// A positive finite number as `mantissa * 2^exponent`, the mantissa of exactly 53 bits.
fn normalised(x: f64) -> (u64, i32) {
    let bits = x.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    match (bits >> 52 & 0x7FF) as i32 {
        0 => {
            let up = fraction.leading_zeros().saturating_sub(11);
            (fraction << up.min(52), -1074 - up as i32)
        }
        exponent => (fraction | 1 << 52, exponent - 1075),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fewbit_testkit::{Rng, seed};
    use std::println;

    fn inputs() -> impl Iterator<Item = f64> {
        let mut rng = Rng::new(seed());
        let edges = [f64::MIN_POSITIVE, f64::MAX, 5e-324, 1.0, 2.0, 4.0, 10.0, 100.0, 0.1];
        let beside_one = (1..2000u64)
            .flat_map(|i| [1.0f64.to_bits() + i, 1.0f64.to_bits() - i])
            .chain((0..2000).map(|i| core::f64::consts::SQRT_2.to_bits() - 1000 + i))
            .map(f64::from_bits);
        let powers = (-1074..1024).map(|e| 2f64.powi(e)).chain((-320..309).map(|e| 10f64.powi(e)));
        let random = (0..2_000_000).map(move |i| match i % 4 {
            0 => f64::from_bits(rng.next_u64() >> 1),
            1 => f64::from_bits(rng.next_u64() >> (12 + i % 52)),
            _ => f64::from_bits(rng.next_u64() >> 12 | (1021 + i as u64 % 4) << 52),
        });
        let usable = |x: &f64| x.is_finite() && *x > 0.0;
        edges.into_iter().chain(beside_one).chain(powers).chain(random).filter(usable)
    }

    #[test]
    fn log10_is_within_3_ulp_of_std() {
        let mut worst = 0;
        for x in inputs() {
            let (got, expected) = (log10(x), x.log10());
            assert!(got.is_finite(), "log10({x:e}) = {got:e}");
            let off = got.to_bits().abs_diff(expected.to_bits());
            assert!(off <= 3 || got == expected, "log10({x:e}) = {got:e}, not {expected:e}");
            worst = worst.max(off);
        }
        println!("log10: at most {worst} ulp from std");
        assert_eq!(log10(1.0).to_bits(), 0);
        assert_eq!(log10(0.0), f64::NEG_INFINITY);
        assert_eq!(log10(-0.0), f64::NEG_INFINITY);
        assert_eq!(log10(f64::INFINITY), f64::INFINITY);
        assert!(log10(-1e-300).is_nan() && log10(f64::NAN).is_nan());
    }

    #[test]
    fn the_constant_is_log10_of_2() {
        assert_eq!(LOG10_2.0 + LOG10_2.1, core::f64::consts::LOG10_2);
        // 11 bits of exponent times the first part are exact.
        assert_eq!(LOG10_2.0.to_bits() & 0xFFF, 0);
    }

    #[test]
    fn sqrt_is_that_of_std() {
        for x in inputs() {
            assert_eq!(sqrt(x).to_bits(), x.sqrt().to_bits(), "{x:e}");
        }
        assert_eq!(sqrt(-0.0).to_bits(), (-0.0f64).to_bits());
        assert_eq!((sqrt(0.0), sqrt(f64::INFINITY)), (0.0, f64::INFINITY));
        assert!(sqrt(-1.0).is_nan() && sqrt(f64::NAN).is_nan());
    }
}
