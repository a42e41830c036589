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

/// The code of `x` for scale and zero point, from the exact real quotient: f32 divisions are only
/// rounded in the contract, so codes may differ where the quotient is within one f32 rounding of a
/// tie; `None` there. NaN gives the zero point.
pub fn quantize(x: f32, scale: f32, zero_point: i64, qmin: i64, qmax: i64) -> Option<i64> {
    if x.is_nan() {
        return Some(zero_point);
    }
    // f64 holds the quotient of two f32 to 53 bits.
    let quotient = f64::from(x) / f64::from(scale);
    let bounded = quotient.clamp(-1e9, 1e9);
    let fraction = (bounded - bounded.floor() - 0.5).abs();
    if fraction != 0.0 && fraction < bounded.abs() * 1.2e-7 {
        return None;
    }
    // An exact tie, or far from one.
    let code = bounded.round_ties_even() as i64 + zero_point;
    Some(code.clamp(qmin, qmax))
}
