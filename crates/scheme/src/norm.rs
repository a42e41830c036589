//! Layer normalization and its form by the root mean square, over a row, in f32. Every operation rounds once and nothing is
//! fused; sums have the shape of [`reduce::sum_f32`](crate::reduce::sum_f32), so that every instruction set gives the same
//! bits.
//!
//! ```text
//! layer   mean = sum(x) / n,  variance = sum((x - mean)^2) / n,  y = ((x - mean) * (1 / sqrt(variance + epsilon))) gamma + beta
//! rms     mean = 0,           variance = sum(x^2) / n,           likewise
//! ```
//!
//! The variance is that of the population, by a second pass over the row. A NaN in a row makes all of it NaN; so do, of
//! layer normalization, an infinity, and numbers whose sum is beyond f32. RMS normalization of a row with an infinity is NaN
//! there and 0 elsewhere, before gamma and beta; squares whose sum is beyond f32 (from about 10^18 on) make `y` a 0 before gamma. Without
//! an epsilon, a row without variance is NaN. NaN is the canonical one.

use crate::real::{canonical, sqrt};
use crate::reduce::{BLOCK, block_sum, sum_f32};

/// The mean of a row: its sum in f32, divided by their number as an f32.
pub fn mean(x: &[f32]) -> f32 {
    canonical(sum_f32(x) / x.len() as f32)
}

/// The sum of `(x - center)^2`, in the defined shape; NaN is the canonical one.
pub fn square_sum(x: &[f32], center: f32) -> f32 {
    let square = |v: &f32| (v - center) * (v - center);
    canonical(x.chunks(BLOCK).fold(0.0, |total, block| total + block_sum(block.iter().map(square))))
}

/// `1 / sqrt(square_sum / n + epsilon)`, each operation correctly rounded.
pub fn factor(square_sum: f32, n: usize, epsilon: f32) -> f32 {
    1.0 / sqrt(square_sum / n as f32 + epsilon)
}

/// One number normalized: `(x - center) * factor`, times gamma, plus beta.
pub fn normalized(x: f32, center: f32, factor: f32, gamma: Option<f32>, beta: Option<f32>) -> f32 {
    let y = (x - center) * factor;
    let y = gamma.map_or(y, |gamma| y * gamma);
    canonical(beta.map_or(y, |beta| y + beta))
}

/// Layer normalization of a row; gamma and beta, where there are any, are as long as the row. The shortest side ends all.
///
/// ```
/// let mut y = [0.0; 4];
/// fewbit_scheme::norm::layer_norm(&[1.0, 3.0, 1.0, 3.0], None, Some(&[0.0, 0.0, 0.5, 0.5]), 0.0, &mut y);
/// assert_eq!(y, [-1.0, 1.0, -0.5, 1.5]);
/// ```
pub fn layer_norm(
    x: &[f32],
    gamma: Option<&[f32]>,
    beta: Option<&[f32]>,
    epsilon: f32,
    y: &mut [f32],
) {
    normalize(x, mean(x), gamma, beta, epsilon, y);
}

/// Normalization by the root mean square: [`layer_norm`] with a mean of 0.
pub fn rms_norm(
    x: &[f32],
    gamma: Option<&[f32]>,
    beta: Option<&[f32]>,
    epsilon: f32,
    y: &mut [f32],
) {
    normalize(x, 0.0, gamma, beta, epsilon, y);
}

fn normalize(
    x: &[f32],
    center: f32,
    gamma: Option<&[f32]>,
    beta: Option<&[f32]>,
    epsilon: f32,
    y: &mut [f32],
) {
    let factor = factor(square_sum(x, center), x.len(), epsilon);
    for (i, (y, &x)) in y.iter_mut().zip(x).enumerate() {
        let of = |values: Option<&[f32]>| values.and_then(|values| values.get(i).copied());
        *y = normalized(x, center, factor, of(gamma), of(beta));
    }
}
