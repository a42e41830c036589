//! Plain definitions in i64 and f64, written without looking at the library: a second opinion on the
//! scalar contract, not a copy of it.

/// `dst[m][n] = Σ_k (lhs[m][k] - lhs_zero) * (rhs[n][k] - rhs_zero[n])`, both matrices row-major
/// with `k` innermost, in i64.
pub fn matmul(
    (m, n, k): (usize, usize, usize),
    lhs: &[i64],
    lhs_zero: &[i64],
    rhs: &[i64],
    rhs_zero: &[i64],
) -> Vec<i64> {
    let mut dst = Vec::with_capacity(m * n);
    for row in 0..m {
        for column in 0..n {
            let mut sum = 0i64;
            for i in 0..k {
                let a = lhs[row * k + i] - lhs_zero[row % lhs_zero.len()];
                let b = rhs[column * k + i] - rhs_zero[column % rhs_zero.len()];
                sum += a * b;
            }
            dst.push(sum);
        }
    }
    dst
}

/// One spatial axis of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct ConvAxis {
    /// Input size.
    pub input: usize,
    /// Kernel taps.
    pub taps: usize,
    /// Distance of neighbouring outputs' windows.
    pub stride: usize,
    /// Distance of neighbouring taps.
    pub dilation: usize,
    /// Padding before the first element.
    pub before: usize,
    /// Padding behind the last element.
    pub after: usize,
}

impl ConvAxis {
    /// Output size: the windows that fit the padded input.
    pub fn output(self) -> usize {
        let padded = self.before + self.input + self.after;
        let window = (self.taps - 1) * self.dilation + 1;
        if padded < window { 0 } else { (padded - window) / self.stride + 1 }
    }

    /// The input position under a tap, if it is not padding.
    fn position(self, output: usize, tap: usize) -> Option<usize> {
        (output * self.stride + tap * self.dilation)
            .checked_sub(self.before)
            .filter(|&at| at < self.input)
    }
}

/// Grouped convolution of one image over three spatial axes, channels innermost:
/// `src[depth][height][width][channel]`, `weights[out][kd][kh][kw][channel of the group]`,
/// `dst[od][oh][ow][out]`, sums of `(src - src_zero) * (weight - weight_zero[out])` in i64. Padding is
/// real 0: it adds nothing.
pub fn conv(
    axes: [ConvAxis; 3],
    (channels, outputs, groups): (usize, usize, usize),
    src: &[i64],
    src_zero: i64,
    weights: &[i64],
    weight_zero: &[i64],
) -> Vec<i64> {
    let [d, h, w] = axes;
    let (per_group, outputs_per_group) = (channels / groups, outputs / groups);
    let mut dst = Vec::new();
    for od in 0..d.output() {
        for oh in 0..h.output() {
            for ow in 0..w.output() {
                for out in 0..outputs {
                    let group = out / outputs_per_group;
                    let mut sum = 0i64;
                    for kd in 0..d.taps {
                        for kh in 0..h.taps {
                            for kw in 0..w.taps {
                                let (Some(z), Some(y), Some(x)) =
                                    (d.position(od, kd), h.position(oh, kh), w.position(ow, kw))
                                else {
                                    continue;
                                };
                                for channel in 0..per_group {
                                    let pixel = (z * h.input + y) * w.input + x;
                                    let a = src[pixel * channels + group * per_group + channel];
                                    let tap = ((out * d.taps + kd) * h.taps + kh) * w.taps + kw;
                                    let b = weights[tap * per_group + channel];
                                    let zero = weight_zero[out % weight_zero.len()];
                                    sum += (a - src_zero) * (b - zero);
                                }
                            }
                        }
                    }
                    dst.push(sum);
                }
            }
        }
    }
    dst
}

/// The code of `x` for scale and zero point, from the exact real quotient: f32 divisions are only
/// rounded in the contract, so codes may differ where the quotient is within one f32 rounding of a
/// tie; `None` there. NaN gives the zero point.
pub fn quantize(x: f32, scale: f32, zero_point: i64, qmin: i64, qmax: i64) -> Option<i64> {
    if x.is_nan() {
        return Some(zero_point);
    }
    // f64 holds the quotient of two f32 to 53 bits.
    let quotient = f64::from(x) / f64::from(scale);
    // Far beyond all codes, and small enough for the margin below to be less than a step.
    let bounded = quotient.clamp(-1e6, 1e6);
    let fraction = (bounded - bounded.floor() - 0.5).abs();
    if fraction != 0.0 && fraction < bounded.abs() * 1.2e-7 {
        return None;
    }
    // An exact tie, or far from one.
    let code = bounded.round_ties_even() as i64 + zero_point;
    Some(code.clamp(qmin, qmax))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_by_hand() {
        // [1 2; 3 4] minus 1, times ([5 6; 7 8] minus [5, 6]) transposed.
        let product = matmul((2, 2, 2), &[1, 2, 3, 4], &[1], &[5, 6, 7, 8], &[5, 6]);
        assert_eq!(product, [1, 2, 3, 8]);
    }

    #[test]
    fn a_convolution_by_hand() {
        let one = ConvAxis { input: 1, taps: 1, stride: 1, dilation: 1, before: 0, after: 0 };
        let axis = ConvAxis { input: 4, taps: 2, before: 1, dilation: 2, ..one };
        assert_eq!(axis.output(), 3);
        // Windows (pad, x1), (x0, x2), (x1, x3) of 10 20 30 40 minus 10, taps 1 and 100.
        let sums = conv([one, one, axis], (1, 1, 1), &[10, 20, 30, 40], 10, &[1, 100], &[0]);
        assert_eq!(sums, [1000, 2000, 3010]);
        // Two groups of one channel each do not meet.
        let pixel = conv([one, one, one], (2, 2, 2), &[3, 5], 0, &[7, 11], &[1, 0]);
        assert_eq!(pixel, [18, 55]);
    }

    #[test]
    fn codes_by_hand() {
        assert_eq!(quantize(1.25, 0.5, 3, -128, 127), Some(5)); // 2.5 is a tie: to 2
        assert_eq!(quantize(-1e30, 0.5, 3, -128, 127), Some(-128));
        assert_eq!(quantize(f32::NAN, 0.5, 3, -128, 127), Some(3));
        // 0.15f32 / 0.1f32 is within a rounding of 1.5 without being it.
        assert_eq!(quantize(0.15, 0.1, 0, -128, 127), None);
    }
}
