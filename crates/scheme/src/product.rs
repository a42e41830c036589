//! Products of real numbers: one chain of fused multiply-adds an output, in the order of k.

use crate::real::{canonical, fma};

/// `x[0] w[0] + x[1] w[1] + ...`: `acc = fma(x[k], w[k], acc)` from +0 on, in the order of the pairs. A result that is
/// NaN is the canonical one.
///
/// The chain is of the output alone, so that vectors run across outputs, and neither an instruction set nor a
/// division of the work can show.
pub fn dot(pairs: impl Iterator<Item = (f32, f32)>) -> f32 {
    canonical(pairs.fold(0.0, |acc, (x, w)| fma(x, w, acc)))
}

/// [`dot`] plus a bias, rounded once more; what is NaN is the canonical NaN.
pub fn dot_with_bias(pairs: impl Iterator<Item = (f32, f32)>, bias: f32) -> f32 {
    canonical(dot(pairs) + bias)
}

/// `x w + y`, rounded once, to nearest even, with numbers below 2^-126 flushed, as a step of `vdpbf16ps` (AVX512_BF16): operands that
/// are subnormal count as zeros of their sign, and a result that is still below 2^-126 when it is rounded to 24 bits becomes a zero of its
/// sign. Otherwise this is [`fma`]. A NaN's bits are unspecified.
pub fn fma_flushed(x: f32, w: f32, y: f32) -> f32 {
    // 2^-126 less half the distance of the numbers of 24 bits below it: from here on they round to it.
    const TINY: f64 = f64::from_bits((1023 - 126) << 52) - f64::from_bits((1023 - 151) << 52);
    let flushed = |v: f32| f64::from(if v.is_subnormal() { 0.0f32.copysign(v) } else { v });
    // The product is exact, and the sum, of 53 bits, rounded to odd: what rounds it again to 24 bits rounds as if it were the first.
    let sum = sum_odd(flushed(x) * flushed(w), flushed(y));
    if sum.abs() < TINY {
        return f32::from_bits((sum.to_bits() >> 32) as u32 & 0x8000_0000);
    }
    sum as f32
}

/// `a + b`, exact, or rounded to odd: of the two nearest f64 the one whose last bit is set.
fn sum_odd(a: f64, b: f64) -> f64 {
    let sum = a + b;
    if !sum.is_finite() {
        return sum;
    }
    // What rounding has lost, exactly.
    let b_part = sum - a;
    let lost = (a - (sum - b_part)) + (b - b_part);
    if lost == 0.0 || sum.to_bits() & 1 == 1 {
        return sum;
    }
    let farther = (lost > 0.0) == (sum > 0.0);
    f64::from_bits(if farther { sum.to_bits() + 1 } else { sum.to_bits() - 1 })
}

/// [`dot`] of bf16 as `vdpbf16ps` (AVX512_BF16) does it: the chain in the order of the pairs, of [`fma_flushed`] instead of fused
/// multiply-adds that keep subnormal numbers. It takes pairs two at a time: an odd number of them is followed by `0 * 0`, which
/// makes +0 of -0.
pub fn dot_bf16(pairs: impl Iterator<Item = (f32, f32)>) -> f32 {
    let mut odd = false;
    let sum = pairs.fold(0.0, |acc, (x, w)| {
        odd = !odd;
        fma_flushed(x, w, acc)
    });
    canonical(if odd { fma_flushed(0.0, 0.0, sum) } else { sum })
}
