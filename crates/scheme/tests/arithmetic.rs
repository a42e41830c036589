//! Sums, products and averages of codes against i128 and f64 arithmetic that shares nothing with them.

use fewbit_scheme::{
    AddMultipliers, FixedRounding, IntFormat, MAX_AVERAGE_CODES, QuantParams, add, add_fixed,
    average, average_codes, average_codes_multiplier, multiply, multiply_fixed,
    multiply_multiplier,
};
use fewbit_testkit::{Rng, seed};

const FORMATS: [IntFormat; 2] = [IntFormat::S8, IntFormat::U8];

fn range(format: IntFormat) -> std::ops::RangeInclusive<i32> {
    format.qmin()..=format.qmax()
}

/// `sum / count` to nearest, ties away from zero, in whole numbers.
fn half_away(sum: i64, count: i64) -> i64 {
    let (whole, rest) = (sum.abs() / count, sum.abs() % count);
    let magnitude = if 2 * rest >= count { whole + 1 } else { whole };
    if sum < 0 { -magnitude } else { magnitude }
}

#[test]
fn averages_of_codes_are_rounded_away_from_zero() {
    let mut rng = Rng::new(seed() ^ 1);
    let counts = (1..=300).chain([1023, 1024, 1025, (1 << 20) + 1, MAX_AVERAGE_CODES - 1]);
    for count in counts.chain([1 << 20, MAX_AVERAGE_CODES, 1_398_101]) {
        let n = count as i64;
        let ends = [0, 1, n / 2, n / 2 + 1, n - 1, n, 255 * n, 127 * n + n / 2, 254 * n + n / 2];
        let near = |rng: &mut Rng| {
            // Around halves, where something changes.
            let half = (2 * rng.below(255) as i64 + 1) * n / 2;
            half + rng.below(3) as i64 - 1
        };
        let random: Vec<i64> = (0..200).map(|_| near(&mut rng)).collect();
        for magnitude in ends.into_iter().chain(random) {
            for sum in [magnitude, -magnitude] {
                let want = half_away(sum, n) as i32;
                assert_eq!(average_codes(sum as i32, count), want, "{sum} / {count}");
                let multiplier = average_codes_multiplier(count);
                assert!(multiplier.is_valid());
                let got = multiplier.apply(sum as i32, FixedRounding::Single);
                assert_eq!(got, want, "{sum} / {count} by {multiplier:?}");
            }
        }
    }
    assert_eq!(average_codes(7, 0), 0);
}

/// Where f64 tells without doubt which side of a tie a mean lies on, the code is that of the mean.
#[test]
fn averages_are_the_mean() {
    let mut rng = Rng::new(seed() ^ 2);
    for format in FORMATS {
        for _ in 0..20_000 {
            let count = 1 + rng.below(200);
            let zero = |rng: &mut Rng| format.qmin() + rng.below(256) as i32;
            let from = QuantParams { scale: 0.01 + rng.unit(), zero_point: zero(&mut rng) };
            let to = QuantParams { scale: 0.01 + rng.unit(), zero_point: zero(&mut rng) };
            let steps: i32 = (0..count).map(|_| zero(&mut rng) - from.zero_point).sum();
            let mean = f64::from(steps) * f64::from(from.scale) / count as f64;
            let exact = mean / f64::from(to.scale);
            let unclear = (exact - exact.floor() - 0.5).abs() < 1e-4 * (1.0 + exact.abs());
            let want = exact.round() + f64::from(to.zero_point);
            let want = want.clamp(f64::from(format.qmin()), f64::from(format.qmax())) as i32;
            let got = average(steps, count, from, to, format);
            assert!(got == want || unclear, "{steps} {count} {from:?} {to:?}: {got} {want}");
            assert!((got - want).abs() <= 1);
        }
    }
    // A tie: 5 codes of 1/2 step to the even one.
    let one = QuantParams { scale: 1.0, zero_point: 0 };
    let half = QuantParams { scale: 0.5, zero_point: 0 };
    assert_eq!(average(5, 5, half, one, IntFormat::S8), 0);
    assert_eq!(average(15, 5, half, one, IntFormat::S8), 2);
}

#[test]
fn sums_and_products_are_f32_operations_in_turn() {
    let scales = [1.0, 0.5, 0.037, 3.3e-5, 1e-38, f32::from_bits(1), 1e36, f32::MAX];
    let mut rng = Rng::new(seed() ^ 3);
    for format in FORMATS {
        for _ in 0..100_000 {
            let params = |rng: &mut Rng| QuantParams {
                scale: if rng.below(2) == 0 { rng.pick(&scales) } else { 0.001 + rng.unit() },
                zero_point: format.qmin() + rng.below(256) as i32,
            };
            let [pa, pb, to] = [(); 3].map(|()| params(&mut rng));
            let [a, b] = [(); 2].map(|()| format.qmin() + rng.below(256) as i32);
            let real = |q: i32, p: QuantParams| (q - p.zero_point) as f32 * p.scale;
            let code = |y: f32| {
                let t = (y / to.scale).clamp(-1000.0, 1000.0);
                let t = if t.is_nan() { 0.0 } else { t.round_ties_even() };
                (t as i32 + to.zero_point).clamp(format.qmin(), format.qmax())
            };
            let full = (format.qmin(), format.qmax());
            let got = add((a, pa), (b, pb), to, format, full);
            assert_eq!(got, code(real(a, pa) + real(b, pb)), "{a} {pa:?} + {b} {pb:?} {to:?}");
            let got = multiply((a, pa), (b, pb), to, format, full);
            assert_eq!(got, code(real(a, pa) * real(b, pb)), "{a} {pa:?} * {b} {pb:?} {to:?}");
            let narrow = (to.zero_point, full.1 - 3);
            let clamped = add((a, pa), (b, pb), to, format, narrow);
            let want = add((a, pa), (b, pb), to, format, full).max(narrow.0).min(narrow.1);
            assert_eq!(clamped, want);
        }
    }
}

/// The reference kernels of TensorFlow Lite, written again from their description: gemmlowp's two steps.
fn gemmlowp(x: i64, real: f64) -> i64 {
    let (mut exponent, mut mantissa) = (0, real);
    while mantissa >= 1.0 {
        mantissa /= 2.0;
        exponent += 1;
    }
    while mantissa < 0.5 {
        mantissa *= 2.0;
        exponent -= 1;
    }
    let mut fixed = (mantissa * 2f64.powi(31)).round() as i64;
    if fixed == 1 << 31 {
        fixed /= 2;
        exponent += 1;
    }
    let left = if exponent > 0 { exponent } else { 0 };
    let product = i128::from(x << left) * i128::from(fixed);
    let high = (product + (1 << 30)).div_euclid(1 << 31);
    let divisor = 1i128 << (left - exponent);
    half_away(high as i64, divisor as i64)
}

#[test]
fn fixed_point_is_that_of_tensorflow_lite() {
    let mut rng = Rng::new(seed() ^ 4);
    for format in FORMATS {
        let full = (format.qmin(), format.qmax());
        for round in 0..50_000 {
            let [sa, sb, s] = [(); 3].map(|()| 0.001 + rng.unit() * rng.pick(&[0.01, 0.3, 2.0]));
            let sb = if round % 5 == 0 { sa } else { sb };
            let [a, b, za, zb, z] = [(); 5].map(|()| format.qmin() + rng.below(256) as i32);
            let twice = 2.0 * f64::from(sa.max(sb));
            let parts = [f64::from(sa) / twice, f64::from(sb) / twice];
            let last = twice / (f64::from(1 << 20) * f64::from(s));
            let multipliers = AddMultipliers::from_scales(sa, sb, s).unwrap();
            let got = add_fixed((a, za), (b, zb), &multipliers, z, format, full);
            let sum = gemmlowp(i64::from(a - za) << 20, parts[0])
                + gemmlowp(i64::from(b - zb) << 20, parts[1]);
            let want = (gemmlowp(sum, last) + i64::from(z)).clamp(full.0.into(), full.1.into());
            assert_eq!(i64::from(got), want, "{a} {b} {sa} {sb} {s}");

            let multiplier = multiply_multiplier(sa, sb, s).unwrap();
            let got = multiply_fixed((a, za), (b, zb), multiplier, z, format, full);
            let product = i64::from(a - za) * i64::from(b - zb);
            let want = gemmlowp(product, f64::from(sa * sb / s)) + i64::from(z);
            assert_eq!(i64::from(got), want.clamp(full.0.into(), full.1.into()));
        }
    }
    assert_eq!(AddMultipliers::from_scales(1.0, 1.0, 1e-30), None);
    for code in range(IntFormat::S8) {
        // Equal parameters and a zero: the number itself.
        let multipliers = AddMultipliers::from_scales(0.3, 0.3, 0.3).unwrap();
        let full = (-128, 127);
        assert_eq!(add_fixed((code, 5), (5, 5), &multipliers, 5, IntFormat::S8, full), code);
    }
}
