//! Layer and root-mean-square normalization against f64, within a bound that follows from the steps; and what is said of
//! extremes.

use fewbit_scheme::norm::{layer_norm, mean, rms_norm, square_sum};
use fewbit_testkit::{Rng, seed};

const U: f64 = 1.0 / 16_777_216.0;

/// A row in f64: mean and variance about it, or about 0.
fn moments(x: &[f32], centered: bool) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = if centered { x.iter().map(|&v| f64::from(v)).sum::<f64>() / n } else { 0.0 };
    (mean, x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n)
}

#[test]
fn rows_are_within_the_bound() {
    let mut rng = Rng::new(seed() ^ 0x4077);
    let mut worst = [0.0f64; 2];
    for n in (1..140).chain([255, 256, 768, 1000, 1024, 4095, 4096, 4097, 9000]) {
        for offset in [0.0f32, 1.0, 30.0] {
            let spread = rng.pick(&[1e-3, 1.0, 1e3]);
            let x: Vec<f32> = (0..n).map(|_| (rng.normal() + offset) * spread).collect();
            let gamma: Vec<f32> = (0..n).map(|_| rng.normal()).collect();
            let beta: Vec<f32> = (0..n).map(|_| rng.normal()).collect();
            let epsilon = rng.pick(&[1e-5f32, 1e-12]);
            for (centered, worst) in [true, false].into_iter().zip(&mut worst) {
                let mut y = vec![0.0; n];
                let of = if centered { layer_norm } else { rms_norm };
                of(&x, Some(&gamma), Some(&beta), epsilon, &mut y);
                let (mean, variance) = moments(&x, centered);
                let deviation = (variance + f64::from(epsilon)).sqrt();
                let magnitude = x.iter().map(|&v| f64::from(v).abs()).sum::<f64>() / n as f64;
                // Additions of a sum, and the division: relative to the mean of the magnitudes.
                let sums = (n.div_ceil(64).min(64) + 8 + n / 4096) as f64 * U;
                let of_mean = if centered { sums * magnitude / deviation } else { 0.0 };
                for (i, &y) in y.iter().enumerate() {
                    let t = (f64::from(x[i]) - mean) / deviation;
                    let want = t * f64::from(gamma[i]) + f64::from(beta[i]);
                    // The mean's error; half of the variance's, which is that of the sum and of squares about a mean that is
                    // off; roundings of the last steps.
                    let of_t = of_mean
                        + t.abs()
                            * (0.5 * (sums + of_mean * of_mean) + of_mean * of_mean + 6.0 * U);
                    let bound = of_t * f64::from(gamma[i]).abs() * 1.01
                        + 2.0 * U * (want.abs() + f64::from(beta[i]).abs());
                    let error = (f64::from(y) - want).abs();
                    assert!(
                        error <= bound + 1e-30,
                        "{n}, offset {offset}: {y} {want}: {error:e} {bound:e}"
                    );
                    if offset == 0.0 && n > 1 {
                        *worst = worst.max(error);
                    }
                }
            }
        }
    }
    println!("largest errors of centred rows: layer {:e}, rms {:e}", worst[0], worst[1]);
    assert!(worst.iter().all(|&worst| worst < 4e-6), "{worst:?}");
}

#[test]
fn simple_rows_are_exact() {
    let mut y = [0.0; 4];
    layer_norm(&[1.0, -1.0, 1.0, -1.0], None, None, 0.0, &mut y);
    assert_eq!(y, [1.0, -1.0, 1.0, -1.0]);
    layer_norm(&[7.0; 4], None, Some(&[1.0, 2.0, 3.0, 4.0]), 1e-12, &mut y);
    assert_eq!(y, [1.0, 2.0, 3.0, 4.0]);
    rms_norm(&[2.0, -2.0, 2.0, -2.0], Some(&[1.0, 2.0, 3.0, 4.0]), None, 0.0, &mut y);
    assert_eq!(y, [1.0, -2.0, 3.0, -4.0]);
    assert_eq!(square_sum(&[], 1.0), 0.0);
}

/// 10^-12 counts in f32, where it would be 0 in f16.
#[test]
fn a_small_epsilon_counts() {
    let (mut with, mut without) = ([0.0; 2], [0.0; 2]);
    layer_norm(&[1e-6, -1e-6], None, None, 1e-12, &mut with);
    layer_norm(&[1e-6, -1e-6], None, None, 0.0, &mut without);
    assert!((without[0] - 1.0).abs() < 1e-6);
    assert!((f64::from(with[0]) - 0.5f64.sqrt()).abs() < 1e-6);
}

#[test]
fn what_is_not_finite() {
    let nan = |x: &[f32], epsilon: f32| {
        let mut y = vec![0.0; x.len()];
        layer_norm(x, None, None, epsilon, &mut y);
        assert!(y.iter().all(|y| y.to_bits() == 0x7FC0_0000), "{x:?}: {y:?}");
    };
    nan(&[1.0, f32::NAN, 2.0], 1e-5);
    nan(&[1.0, f32::INFINITY, 2.0], 1e-5);
    nan(&[f32::NEG_INFINITY, f32::INFINITY], 1e-5);
    nan(&[f32::MAX, f32::MAX], 1e-5);
    // No variance and no epsilon.
    nan(&[3.0, 3.0], 0.0);
    nan(&[3.0], 0.0);
    // The mean square is infinite, and so its inverse 0.
    let mut y = [1.0; 3];
    rms_norm(&[f32::INFINITY, 1.0, -2.0], None, Some(&[0.5; 3]), 1e-5, &mut y);
    assert_eq!((y[0].to_bits(), &y[1..]), (0x7FC0_0000, &[0.5; 2][..]));
    let mut y = [1.0; 2];
    layer_norm(&[1e30, -1e30], None, None, 1e-5, &mut y);
    assert_eq!(y, [0.0, -0.0]);
    rms_norm(
        &[1.0, 2.0],
        Some(&[f32::INFINITY, 1.0]),
        Some(&[f32::NEG_INFINITY, 0.0]),
        0.0,
        &mut y,
    );
    assert_eq!(y[0].to_bits(), 0x7FC0_0000);
    assert!(mean(&[]).is_nan());
}
