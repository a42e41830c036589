//! `requantize` in float and fixed point, and `rescale`, against arithmetic in integers.

mod common;

use common::{Real, half_away, half_up, multiply, rng};
use fewbit_scheme::{
    FixedMultiplier, FixedRounding, IntFormat, QuantParams, QuantizeMode, quantize, requantize,
    requantize_fixed, rescale, rescale_fixed, scale,
};

const BOTH: [FixedRounding; 2] = [FixedRounding::Double, FixedRounding::Single];

/// Sums at which something changes, and random ones of every size.
fn sums(test: u64, random: usize) -> Vec<i32> {
    let mut rng = rng(test);
    let mut sums = vec![i32::MIN, i32::MIN + 1, i32::MAX, i32::MAX - 1];
    sums.extend(-260..=260);
    for bit in 1..31 {
        sums.extend([-1, 0, 1].map(|d| (1 << bit) + d));
        sums.extend([-1, 0, 1].map(|d| -(1 << bit) + d));
    }
    // f32 does not hold these exactly; two of them are ties.
    sums.extend([16_777_217, 16_777_219, 33_554_434, 33_554_435, 33_554_438, -16_777_217]);
    sums.extend((0..random).map(|i| rng.next_u32() as i32 >> (i % 31)));
    sums
}

/// `f32(acc)`, in integers.
fn rounded(acc: i32) -> f32 {
    let mantissa = u128::from(acc.unsigned_abs());
    Real { negative: acc < 0, mantissa, exponent: 0, more: false }.to_f32()
}

#[test]
fn float_mode_equals_arithmetic_in_integers() {
    let mut rng = rng(10);
    let mut multipliers = vec![
        1.0,
        0.5,
        0.25,
        1.5,
        1.0 / 3.0,
        0.3,
        0.0123,
        9.765_625e-4,
        0.0,
        1e-45,
        1e-38,
        1e38,
        255.0,
        f32::MAX,
        3.0e-8,
        0.999_999_94,
    ];
    multipliers.extend((0..40).map(|_| f32::from_bits(rng.next_u32() >> 1 & 0x7F7F_FFFF)));
    multipliers.extend((0..60).map(|_| rng.unit() / 64.0));
    let sums = sums(11, 300);
    for format in [IntFormat::S8, IntFormat::U8, IntFormat::S16, IntFormat::S4] {
        for zero_point in [format.qmin(), format.qmin() + 5, format.qmax()] {
            for &multiplier in &multipliers {
                for &acc in &sums {
                    let product = f64::from(multiply(rounded(acc), multiplier)).clamp(-1e6, 1e6);
                    let code = product.round_ties_even() as i32 + zero_point;
                    let whole = (format.qmin(), format.qmax());
                    let part = (zero_point, format.qmax() - 1);
                    for clamp in [whole, part] {
                        let want = code.clamp(whole.0, whole.1).max(clamp.0).min(clamp.1);
                        let got = requantize(acc, multiplier, zero_point, format, clamp);
                        assert_eq!(got, want, "{acc} * {multiplier:e} + {zero_point} {format:?}");
                    }
                }
            }
        }
    }
    let whole = (-128, 127);
    // Infinite multipliers: 0 stays real 0, the rest saturates.
    let infinite = |acc| requantize(acc, f32::INFINITY, 3, IntFormat::S8, whole);
    assert_eq!([0, 1, -1].map(infinite), [3, 127, -128]);
    assert_eq!(requantize(5, f32::NAN, 3, IntFormat::S8, whole), 3);
    // A zero point that no caller may pass: some code, no panic.
    requantize(5, 1.0, i32::MIN, IntFormat::S8, whole);
    requantize(5, 1.0, i32::MAX, IntFormat::U8, whole);
}

/// `MultiplyByQuantizedMultiplier`: each of its roundings is a rational number's, in i128. What does
/// not fit int32 saturates.
fn fixed_reference(acc: i32, m: FixedMultiplier, rounding: FixedRounding) -> i128 {
    let saturate = |x: i128| x.clamp(i128::from(i32::MIN), i128::from(i32::MAX));
    let (acc, multiplier) = (i128::from(acc), i128::from(m.multiplier));
    match rounding {
        FixedRounding::Double => {
            let shifted = saturate(acc << m.shift.max(0));
            let high = saturate(half_up(shifted * multiplier, 31));
            half_away(high, (-m.shift).max(0) as u32)
        }
        FixedRounding::Single => saturate(half_up(acc * multiplier, (31 - m.shift) as u32)),
    }
}

#[test]
fn fixed_mode_equals_its_definition() {
    let sums = sums(12, 200);
    let mut rng = rng(13);
    for shift in -31..=30 {
        let mut multipliers =
            vec![1 << 30, (1 << 30) + 1, i32::MAX, i32::MAX - 1, 0, 1, 0x5555_5555];
        multipliers.extend((0..12).map(|_| (1 << 30 | rng.next_u32() >> 2) as i32));
        for multiplier in multipliers {
            let m = FixedMultiplier { multiplier, shift };
            assert!(m.is_valid());
            for rounding in BOTH {
                for &acc in &sums {
                    let want = fixed_reference(acc, m, rounding);
                    let got = m.apply(acc, rounding);
                    assert_eq!(i128::from(got), want, "{acc} {m:?} {rounding:?}");
                    for (format, zero_point) in
                        [(IntFormat::S8, -128), (IntFormat::S8, 127), (IntFormat::U8, 3)]
                    {
                        let clamp = (format.qmin(), format.qmax() - 7);
                        let code = (want + i128::from(zero_point))
                            .clamp(i128::from(clamp.0), i128::from(clamp.1));
                        let got = requantize_fixed(acc, m, rounding, zero_point, format, clamp);
                        assert_eq!(i128::from(got), code);
                    }
                }
            }
        }
    }
}

#[test]
fn fixed_mode_by_hand() {
    let half = FixedMultiplier { multiplier: 1 << 30, shift: 0 };
    let apply =
        |m: FixedMultiplier, rounding| [-3, -2, -1, 0, 1, 2, 3].map(|acc| m.apply(acc, rounding));
    // One rounding, ties upwards, in both modes.
    assert_eq!(apply(half, FixedRounding::Double), [-1, -1, 0, 0, 1, 1, 2]);
    assert_eq!(apply(half, FixedRounding::Single), [-1, -1, 0, 0, 1, 1, 2]);
    // A quarter: the halves -1.5, -1, -0.5 ... are rounded first, then halved again, ties away.
    let quarter = FixedMultiplier { multiplier: 1 << 30, shift: -1 };
    assert_eq!(apply(quarter, FixedRounding::Double), [-1, -1, 0, 0, 1, 1, 1]);
    assert_eq!(apply(quarter, FixedRounding::Single), [-1, 0, 0, 0, 0, 1, 1]);
    // The ends.
    let one = FixedMultiplier { multiplier: 1 << 30, shift: 1 };
    assert_eq!(one.apply(i32::MIN / 2, FixedRounding::Double), i32::MIN / 2);
    assert_eq!(one.apply(i32::MIN, FixedRounding::Double), i32::MIN / 2); // saturated on the way
    assert_eq!(one.apply(i32::MIN, FixedRounding::Single), i32::MIN);
    let far = FixedMultiplier { multiplier: i32::MAX, shift: 30 };
    for (acc, code) in [(i32::MAX, 127), (1, 127), (-1, -128), (i32::MIN, -128), (0, 0)] {
        for rounding in BOTH {
            let q = requantize_fixed(acc, far, rounding, 0, IntFormat::S8, (-128, 127));
            assert_eq!(q, code, "{acc} * 2^30");
        }
    }
}

/// How many of the sums -20000..=20000 the two roundings give different results for: known counts of
/// the reference's C++ code.
#[test]
fn double_and_single_rounding_differ_as_often_as_in_the_reference() {
    for (real, count) in [
        (1.0 / 3.0, 13_334),
        (0.3, 8_000),
        (0.25, 10_000),
        (0.125, 5_000),
        (0.0123, 312),
        (2f64.powi(-10), 40),
    ] {
        let m = FixedMultiplier::from_real(real).unwrap();
        let different = (-20_000..=20_000)
            .filter(|&acc| {
                m.apply(acc, FixedRounding::Double) != m.apply(acc, FixedRounding::Single)
            })
            .count();
        assert_eq!(different, count, "{real}");
    }
}

/// `QuantizeMultiplier` with `frexp` and `round` from std's f64.
fn quantize_multiplier(real: f64) -> Option<(i64, i32)> {
    if real == 0.0 {
        return Some((0, 0));
    }
    // frexp by repeated scaling, exact.
    let (mut fraction, mut exponent) = (real, 0);
    while fraction >= 1.0 {
        (fraction, exponent) = (fraction / 2.0, exponent + 1);
    }
    while fraction < 0.5 {
        (fraction, exponent) = (fraction * 2.0, exponent - 1);
    }
    let mut multiplier = (fraction * 2_147_483_648.0).round() as i64;
    if multiplier == 1 << 31 {
        (multiplier, exponent) = (multiplier / 2, exponent + 1);
    }
    if exponent < -31 {
        return Some((0, 0));
    }
    (exponent <= 30).then_some((multiplier, exponent))
}

#[test]
fn multipliers_from_real_numbers() {
    let mut rng = rng(14);
    let mut reals = vec![
        0.0,
        1.0,
        0.5,
        1.0 / 3.0,
        0.75,
        1e-300,
        5e-324,
        f64::MIN_POSITIVE,
        1e300,
        f64::MAX,
        1.0f64.next_down(),
        0.5f64.next_down(),
        1_073_741_824.0,
        1_073_741_824.0f64.next_down(),
        // Ties in the 32nd bit.
        0.5 + 2f64.powi(-32),
        0.5 + 3.0 * 2f64.powi(-32),
        (0.5 + 2f64.powi(-32)).next_down(),
        // Rounds up to the next power of two.
        1.0 - 2f64.powi(-33),
        1.0 - 2f64.powi(-32),
        1.0 - 3.0 * 2f64.powi(-33),
    ];
    for exponent in [-33, -32, -31, -30, 0, 29, 30] {
        let power = 2f64.powi(exponent);
        reals.extend([power.next_down(), power, power.next_up(), power * (1.0 - 2f64.powi(-33))]);
    }
    reals.extend((0..20_000).map(|_| f64::from_bits(rng.next_u64() >> 1)));
    reals.extend(
        (0..20_000).map(|_| {
            f64::from_bits(rng.next_u64() >> 12 | (1023 - 35 + rng.below(70) as u64) << 52)
        }),
    );
    for real in reals.into_iter().filter(|r| r.is_finite()) {
        let got = FixedMultiplier::from_real(real);
        let want = quantize_multiplier(real);
        assert_eq!(got.map(|m| (i64::from(m.multiplier), m.shift)), want, "{real:e}");
        if let Some(m) = got {
            assert!(m.is_valid());
            let value = f64::from(m.multiplier) * 2f64.powi(m.shift - 31);
            let error = (value - real).abs();
            assert!(error <= real * 2f64.powi(-31) || value == 0.0 && real < 2f64.powi(-32));
        }
    }
    assert_eq!(FixedMultiplier::from_real(-0.0), FixedMultiplier::from_real(0.0));
    for real in [-1.0, -1e-300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2f64.powi(30)] {
        assert_eq!(FixedMultiplier::from_real(real), None, "{real}");
    }
    assert!(!FixedMultiplier { multiplier: -1, shift: 0 }.is_valid());
    assert!(!FixedMultiplier { multiplier: 1, shift: 31 }.is_valid());
    assert!(!FixedMultiplier { multiplier: 1, shift: -32 }.is_valid());
}

#[test]
fn fixed_mode_is_within_a_step_of_the_real_product() {
    let mut rng = rng(15);
    for _ in 0..200_000 {
        let real = f64::from(rng.unit()) / 64.0;
        let m = FixedMultiplier::from_real(real).unwrap();
        let acc = rng.next_u32() as i32 >> 8;
        let product = f64::from(acc) * real;
        let single = f64::from(m.apply(acc, FixedRounding::Single));
        let double = f64::from(m.apply(acc, FixedRounding::Double));
        // Half for the rounding, and what the multiplier's 31 bits lose.
        assert!((single - product).abs() <= 0.5 + 1e-3, "{acc} * {real}");
        // The first of two roundings moves the sum by at most half a unit of 2^shift.
        assert!((double - product).abs() <= 0.75 + 1e-3, "{acc} * {real}");
    }
}

#[test]
fn rescaling() {
    let from = QuantParams { scale: 0.1, zero_point: 5 };
    for to in [
        from,
        QuantParams { scale: 0.05, zero_point: -3 },
        QuantParams { scale: 0.2, zero_point: 127 },
        QuantParams { scale: 3.7, zero_point: -128 },
    ] {
        let quotient = f64::from(from.scale) / f64::from(to.scale);
        let m = FixedMultiplier::from_real(quotient).unwrap();
        for q in -128..=127 {
            let steps = f64::from(multiply((q - 5) as f32, from.scale / to.scale));
            let want = (steps.round_ties_even() as i32 + to.zero_point).clamp(-128, 127);
            assert_eq!(rescale(q, from, to, IntFormat::S8), want);
            for rounding in BOTH {
                let fixed = rescale_fixed(q, 5, m, rounding, to.zero_point, IntFormat::S8);
                let want = fixed_reference(q - 5, m, rounding) + i128::from(to.zero_point);
                assert_eq!(i128::from(fixed), want.clamp(-128, 127));
            }
            if to == from {
                assert_eq!(rescale(q, from, to, IntFormat::S8), q);
            }
        }
        assert_eq!(rescale(5, from, to, IntFormat::S8), to.zero_point);
    }
    // From u8 to s8 by the zero point alone, as engines do it.
    let from = QuantParams { scale: 0.3, zero_point: 128 };
    let to = QuantParams { scale: 0.3, zero_point: 0 };
    assert!((0..=255).all(|q| rescale(q, from, to, IntFormat::S8) == q - 128));
    // A quotient that leaves f32.
    let (large, small) =
        (QuantParams { scale: 1e38, zero_point: 1 }, QuantParams { scale: 1e-38, zero_point: 2 });
    assert_eq!([0, 1, 2].map(|q| rescale(q, large, small, IntFormat::S8)), [-128, 2, 127]);
    assert_eq!([0, 1, 2].map(|q| rescale(q, small, large, IntFormat::S8)), [1, 1, 1]);
}

#[test]
fn the_float_epilogue_is_three_rounded_operations() {
    let mut rng = rng(16);
    let sums = sums(17, 100);
    let factors = [0.1f32, 1.0, 1e-30, 1e30, f32::MIN_POSITIVE, 0.007, f32::MAX];
    for &acc in &sums {
        for &row in &factors {
            for &column in &factors {
                for bias in [None, Some(0.0), Some(-0.0), Some(1.5), Some(rng.normal())] {
                    let unit = multiply(row, column);
                    if unit.is_infinite() {
                        continue;
                    }
                    let product = multiply(rounded(acc), unit);
                    let y = match bias {
                        Some(bias) if product.is_finite() => {
                            Real::new(product).plus(Real::new(bias)).map_or_else(
                                || {
                                    if product.is_sign_negative() && bias.is_sign_negative() {
                                        -0.0
                                    } else {
                                        0.0
                                    }
                                },
                                Real::to_f32,
                            )
                        }
                        _ => product,
                    };
                    let got = scale(acc, row, column, bias, false);
                    assert_eq!(got.to_bits(), y.to_bits(), "{acc} {row:e} {column:e} {bias:?}");
                    let relu = scale(acc, row, column, bias, true);
                    let want = if y < 0.0 { 0.0 } else { y };
                    assert_eq!(relu.to_bits(), want.to_bits());
                }
            }
        }
    }
    // NaN is the canonical one, and ReLU keeps it.
    for relu in [false, true] {
        let nan = scale(0, f32::MAX, f32::MAX, None, relu);
        assert_eq!(nan.to_bits(), 0x7FC0_0000);
        let nan = scale(1, 1.0, 1.0, Some(f32::from_bits(0xFF80_1234)), relu);
        assert_eq!(nan.to_bits(), 0x7FC0_0000);
    }
}

#[test]
fn requantize_is_quantize_of_the_real_sum_up_to_a_rounding() {
    // Where the multiplier is a power of two nothing rounds but the code: both are the same.
    let mut rng = rng(18);
    for _ in 0..100_000 {
        let acc = rng.next_u32() as i32 >> 8;
        let (shift, zero_point) = (rng.below(20) as i32, rng.below(256) as i32 - 128);
        let params = QuantParams { scale: 2f32.powi(shift), zero_point };
        let direct = quantize(acc as f32, params, IntFormat::S8, QuantizeMode::default());
        let got = requantize(acc, 2f32.powi(-shift), zero_point, IntFormat::S8, (-128, 127));
        assert_eq!(got, direct);
    }
}
