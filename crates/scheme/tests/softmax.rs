//! Softmax against f64: the exponential over a sweep of all its arguments, the logarithm, rows of every length within a bound
//! that follows from the steps, and what is said of infinities and NaN.

use fewbit_scheme::softmax::{exp, ln, log_softmax, softmax};
use fewbit_testkit::{Rng, seed, sweep};

/// The distance of f32 around x.
fn ulp(x: f64) -> f64 {
    let x = (x.abs() as f32).max(f32::MIN_POSITIVE);
    f64::from(f32::from_bits(x.to_bits() & 0x7F80_0000)) * 2f64.powi(-23)
}

/// From here on the exponential is not 0.
const LEAST: f32 = -86.9;

/// Half a unit in the last place of 1: what a rounding may add, relative to the result.
const U: f64 = 1.0 / 16_777_216.0;

#[test]
fn the_exponential() {
    let (first, stride) = sweep("exp", 1009);
    let (mut worst, mut at) = (0.0f64, 0.0);
    let mut bits = Some(first);
    while let Some(b) = bits {
        let d = -f32::from_bits(b & 0x7FFF_FFFF);
        if (LEAST..=0.0).contains(&d) {
            let want = f64::from(d).exp();
            let got = exp(d);
            assert!(got.is_normal() && got <= 1.0, "{d:e}: {got:e}");
            let error = (f64::from(got) - want).abs() / ulp(want);
            if error > worst {
                (worst, at) = (error, d);
            }
        } else if d < LEAST - 0.2 {
            assert_eq!(exp(d).to_bits(), 0, "{d:e}");
        }
        bits = b.checked_add(stride);
    }
    println!("exp: {worst:.3} ulp at {at:e}");
    assert!(worst <= 1.2, "{worst} ulp at {at:e}");
    assert_eq!((exp(0.0), exp(-0.0), exp(f32::NEG_INFINITY)), (1.0, 1.0, 0.0));
}

#[test]
fn the_logarithm() {
    let mut worst = 0.0f64;
    let (first, stride) = sweep("ln", 1009);
    let mut bits = Some(first);
    while let Some(b) = bits {
        let x = f32::from_bits(b);
        if x.is_finite() && x >= 1.0 {
            let want = f64::from(x).ln();
            worst = worst.max((f64::from(ln(x)) - want).abs() / ulp(want));
        }
        bits = b.checked_add(stride);
    }
    println!("ln: {worst:.4} ulp");
    assert!(worst <= 0.51, "{worst} ulp");
    assert_eq!(ln(1.0).to_bits(), 0);
    // Between the root of 2 and 2, and nearly in the middle between two results: a series of a larger number, which the
    // halving saves, would be off.
    for (x, want) in
        [(0x3FEF_B18A, 0x3F20_98C1), (0x3FE8_800A, 0x3F18_CBDC), (0x3FF3_E83C, 0x3F25_0ED3)]
    {
        assert_eq!(ln(f32::from_bits(x)).to_bits(), want, "{x:#x}");
    }
}

/// Softmax and its logarithm in f64, and how far each number is below the largest.
fn exact(x: &[f32]) -> Vec<(f64, f64, f64)> {
    let peak = x.iter().fold(f64::NEG_INFINITY, |peak, &v| peak.max(f64::from(v)));
    let sum: f64 = x.iter().map(|&v| (f64::from(v) - peak).exp()).sum();
    x.iter().map(|&v| f64::from(v) - peak).map(|d| (d.exp() / sum, d - sum.ln(), -d)).collect()
}

/// The bound: the difference `d` rounded is off by `u d`, and so is its exponential, which adds 2.4 u; the sum has the errors
/// of its terms, weighted by the terms, whose mean `d` is at most `ln n`, and those of its additions; inverse and product.
#[test]
fn rows_are_within_the_bound() {
    let mut rng = Rng::new(seed() ^ 0x50F7);
    let (mut worst, mut worst_log) = (0.0f64, 0.0f64);
    for n in (1..140).chain([255, 256, 1000, 1024, 4095, 4096, 4097, 9000]) {
        for spread in [0.01f32, 1.0, 8.0, 60.0] {
            let offset = rng.pick(&[0.0, 100.0, -3e4]);
            let x: Vec<f32> = (0..n).map(|_| rng.normal() * spread + offset).collect();
            let (mut y, mut log) = (vec![0.0; n], vec![0.0; n]);
            softmax(&x, &mut y);
            log_softmax(&x, &mut log);
            let additions = (n.div_ceil(64).min(64) + 6 + n / 4096) as f64;
            let of_sum = (n as f64).ln() + 2.4 + additions;
            for (((want, want_log, d), y), log) in exact(&x).into_iter().zip(y).zip(log) {
                if d > 86.9 {
                    // The exponential is 0, or, at the edge, 1.6e-38 or more, and divided by the sum subnormal at worst.
                    let near = (f64::from(y) - want).abs() <= want * 1e-4 + 2f64.powi(-149);
                    assert!(y == 0.0 || d < 87.0 && near, "{n}: {y:e}, {want:e}");
                    continue;
                }
                // Results of a subnormal product have a larger error; here there are none to see.
                let relative = (f64::from(y) - want).abs() / want;
                let bound = (d + of_sum + 2.4 + 2.5) * U;
                assert!(
                    relative <= bound || want < 1e-37,
                    "{n}: {y:e} {want:e} {relative} {bound}"
                );
                let error = (f64::from(log) - want_log).abs();
                let bound = (d + of_sum + 2.0 + 2.0 * want_log.abs()) * U;
                assert!(error <= bound, "{n}: {log} {want_log} {error} {bound}");
                if d < 20.0 {
                    worst = worst.max(relative);
                    worst_log = worst_log.max(error);
                }
            }
        }
    }
    println!(
        "largest errors up to 20 below the peak: {worst:e} relative, logarithms {worst_log:e}"
    );
    assert!(worst < 2e-6 && worst_log < 5e-6, "{worst:e} {worst_log:e}");
}

#[test]
fn shares_sum_to_one() {
    let mut rng = Rng::new(seed() ^ 0x50F8);
    for n in [1, 2, 3, 10, 100, 1000, 5000] {
        let x: Vec<f32> = (0..n).map(|_| rng.normal() * 3.0).collect();
        let mut y = vec![0.0; n];
        softmax(&x, &mut y);
        let sum: f64 = y.iter().map(|&y| f64::from(y)).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{n}: {sum}");
    }
    let mut y = [0.0; 3];
    softmax(&[5.0; 2], &mut y);
    assert_eq!(y, [0.5, 0.5, 0.0]);
}

/// Both functions of a row.
fn both(x: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut y, mut log) = (vec![7.0; x.len()], vec![7.0; x.len()]);
    softmax(x, &mut y);
    log_softmax(x, &mut log);
    (y, log)
}

#[test]
fn what_is_not_finite() {
    const INF: f32 = f32::INFINITY;
    for nowhere in
        [&[1.0, INF, 2.0][..], &[-INF, -INF], &[f32::NAN, 1.0], &[-INF, -f32::NAN], &[INF]]
    {
        let (y, log) = both(nowhere);
        for v in y.into_iter().chain(log) {
            assert_eq!(v.to_bits(), 0x7FC0_0000, "{nowhere:?}");
        }
    }
    let (y, log) = both(&[-INF, 3.0, -INF, 3.0]);
    assert_eq!(y, [0.0, 0.5, 0.0, 0.5]);
    assert_eq!(log[0], -INF);
    assert!((log[1] + std::f32::consts::LN_2).abs() < 1e-7);
    // A difference beyond f32, and zeros of either sign.
    assert_eq!(both(&[f32::MAX, f32::MIN]), (vec![1.0, 0.0], vec![0.0, -INF]));
    assert_eq!(both(&[0.0, -0.0]).0, [0.5, 0.5]);
    assert_eq!(both(&[]), (vec![], vec![]));
}
