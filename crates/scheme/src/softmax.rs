//! Softmax and its logarithm over a row, in f32: `exp(x_i - max) / sum exp(x_k - max)`.
//!
//! Every step is a defined f32 operation, and the sum has the shape of [`reduce::sum_f32`](crate::reduce::sum_f32), so that every instruction
//! set gives the same bits. A row whose largest number is not finite (it has +infinity, or is -infinity throughout) and a
//! row with a NaN are NaN throughout, which is what the formula gives. A -infinity beside a finite number is a share of 0.
//!
//! The exponential has the polynomial of [`crate::activation`] and is within 1.2 units in the last place down to
//! `exp(-86.9)`; below, where it would soon be subnormal, it is 0, so that no number on the way is. A share, which is divided by the sum, may be.

use crate::activation::{EXP, LN_2, LN_2_REST, LOG2_E};
use crate::real::{canonical, fma};
use crate::reduce::{BLOCK, block_sum};

/// Added to a number below 2^22 in magnitude, it rounds it to an integer, ties to even: it is where the last place of an f32 is
/// 1. The bits of the sum are those of this number plus that integer.
pub const MAGIC: f32 = 12_582_912.0;
/// The least power of two that [`exp`] multiplies by; below it is 0.
pub const EXP_LEAST: i32 = -125;

/// The largest number of a row, +infinity if there is a NaN, and -infinity if there is nothing. (The sign of a zero does not
/// matter here.)
pub fn peak(x: &[f32]) -> f32 {
    x.iter().fold(f32::NEG_INFINITY, |peak, &v| {
        let v = if v.is_nan() { f32::INFINITY } else { v };
        if v > peak { v } else { peak }
    })
}

/// `exp(d)` of a number that is not positive and not NaN: `2^n exp(r)` with `n` the integer nearest to `d / ln 2`, and 0 for `n`
/// below [`EXP_LEAST`].
pub fn exp(d: f32) -> f32 {
    let t = fma(d, LOG2_E, MAGIC);
    // Signed, bits order as the numbers do but among negative ones, which are all below.
    let bits = t.to_bits() as i32;
    if bits < MAGIC.to_bits() as i32 + EXP_LEAST {
        return 0.0;
    }
    let n = t - MAGIC;
    let r = fma(n, -LN_2_REST, fma(n, -LN_2, d));
    let [c0, c1, c2, c3, c4] = EXP;
    let q = fma(fma(fma(fma(c4, r, c3), r, c2), r, c1), r, c0);
    // Within 0.7..1.5, so that the result is normal: 2^n adds to the exponent.
    let p = fma(fma(q, r, 1.0), r, 1.0);
    f32::from_bits(p.to_bits().wrapping_add((bits << 23) as u32))
}

/// The sum of `exp(x - peak)`, in the defined shape; `peak` is finite.
pub fn exp_sum(x: &[f32], peak: f32) -> f32 {
    x.chunks(BLOCK).fold(0.0, |total, block| total + block_sum(block.iter().map(|v| exp(v - peak))))
}

/// Softmax of a row: `exp(x - peak) * (1 / sum)`. The shorter side ends both.
///
/// ```
/// let mut y = [0.0; 3];
/// fewbit_scheme::softmax::softmax(&[1.0, 1.0, f32::NEG_INFINITY], &mut y);
/// assert_eq!(y, [0.5, 0.5, 0.0]);
/// ```
pub fn softmax(x: &[f32], y: &mut [f32]) {
    let peak = peak(x);
    if !peak.is_finite() {
        return y.iter_mut().take(x.len()).for_each(|y| *y = canonical(f32::NAN));
    }
    let factor = 1.0 / exp_sum(x, peak);
    y.iter_mut().zip(x).for_each(|(y, x)| *y = exp(x - peak) * factor);
}

/// The natural logarithm of softmax, of a row: `(x - peak) - ln(sum)`. The shorter side ends both.
pub fn log_softmax(x: &[f32], y: &mut [f32]) {
    let peak = peak(x);
    if !peak.is_finite() {
        return y.iter_mut().take(x.len()).for_each(|y| *y = canonical(f32::NAN));
    }
    let log = ln(exp_sum(x, peak));
    y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - peak) - log);
}

/// 1/3, 1/5, ... 1/19.
const ODD: [f64; 9] = {
    let mut inverses = [1.0 / 3.0; 9];
    let mut i = 1;
    while i < 9 {
        inverses[i] = 1.0 / (2 * i + 3) as f64;
        i += 1;
    }
    inverses
};

/// The natural logarithm of a finite number that is not less than 1, within 0.51 units in the last place: in f64, `x = 2^k
/// m` with `m` about 1, and `ln m = 2 artanh((m - 1) / (m + 1))` by its series, which ends where terms are below 2^-48.
#[inline]
pub fn ln(x: f32) -> f32 {
    let bits = (x as f64).to_bits();
    // m within sqrt(1/2)..sqrt(2): what is above is halved.
    let above = bits & ((1 << 52) - 1) > 0x6_A09E_667F_3BCD;
    let k = (bits >> 52) as i64 - 1023 + i64::from(above);
    let m = f64::from_bits(
        (bits & ((1 << 52) - 1)) | if above { 1022_u64 << 52 } else { 1023_u64 << 52 },
    );
    let t = (m - 1.0) / (m + 1.0);
    let square = t * t;
    let mut series = 0.0;
    for odd in ODD.into_iter().rev() {
        series = (series + odd) * square;
    }
    (k as f64 * core::f64::consts::LN_2 + 2.0 * (t + t * series)) as f32
}
