//! Products of real numbers: one chain of fused multiply-adds an output, in the order of k.

use crate::float16::{f16_to_f32, f32_to_f16};
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

/// A subnormal number as a zero of its sign.
fn flushed(v: f32) -> f64 {
    f64::from(if v.is_subnormal() { 0.0f32.copysign(v) } else { v })
}

/// Rounded to odd: of the two nearest f32 the one whose last bit is set. From 2^128 on an infinity.
fn to_odd(x: f64) -> f32 {
    const END: f64 = f64::from_bits((1023 + 128) << 52);
    let nearest = x as f32;
    if x.is_nan() || f64::from(nearest) == x || x.abs() >= END {
        return nearest;
    }
    let farther = f64::from(nearest).abs() > x.abs();
    f32::from_bits((nearest.to_bits() - u32::from(farther)) | 1)
}

/// [`to_odd`], and a zero of its sign of what is below 2^-126 before it is rounded.
fn to_odd_flushed(x: f64) -> f32 {
    const LEAST: f64 = f64::from_bits((1023 - 126) << 52);
    if x.abs() < LEAST {
        f32::from_bits((x.to_bits() >> 32) as u32 & 0x8000_0000)
    } else {
        to_odd(x)
    }
}

/// `y + (x[0] w[0] + x[1] w[1])` of bf16 as `bfdot` (FEAT_BF16, with FPCR.EBF 0) has it: the two products, which f32 holds, their sum, and the sum
/// with `y`, each rounded to odd, whatever the direction in force; an infinity from 2^128 on; operands that are subnormal count as zeros of
/// their sign, and so does a result that is below 2^-126 before it is rounded. A NaN's bits are unspecified.
pub fn add_bf16_odd(x: [f32; 2], w: [f32; 2], y: f32) -> f32 {
    let ([a, b], [c, d]) = (x, w);
    let product = |x: f32, w: f32| f64::from(to_odd_flushed(flushed(x) * flushed(w)));
    let pair = to_odd_flushed(sum_odd(product(a, c), product(b, d)));
    to_odd_flushed(sum_odd(flushed(y), f64::from(pair)))
}

/// Products of bf16 as `bfdot` and `bfmmla` (FEAT_BF16, with FPCR.EBF 0) add them up: a chain of [`add_bf16_odd`] over neighbours, in the order of the
/// pairs, from +0 on. Products come four at a time, as `bfmmla` takes them: what is missing is `0 * 0`, which makes +0 of -0.
pub fn dot_bf16_odd(mut pairs: impl Iterator<Item = (f32, f32)>) -> f32 {
    let mut sum = 0.0;
    loop {
        let Some(first) = pairs.next() else { return canonical(sum) };
        let mut next = || pairs.next().unwrap_or_default();
        let four = [first, next(), next(), next()];
        let [[a, b], [c, d]] = [[four[0], four[1]], [four[2], four[3]]];
        sum = add_bf16_odd([a.0, b.0], [a.1, b.1], sum);
        sum = add_bf16_odd([c.0, d.0], [c.1, d.1], sum);
    }
}

/// `x w + y` of f16, as bits, rounded once, to nearest even, subnormal numbers kept: what `fmla` of f16 (FEAT_FP16) computes. A NaN's bits are unspecified.
pub fn fma_f16(x: u16, w: u16, y: u16) -> u16 {
    let wide = |h: u16| f64::from(f16_to_f32(h));
    // The product, of 22 bits, is exact; what is rounded to odd, twice even, rounds as if it were the sum itself.
    f32_to_f16(to_odd(sum_odd(wide(x) * wide(w), wide(y))))
}

/// Products that [`dot_f16`] adds up in f16.
pub const F16_BLOCK: usize = 64;

/// Products of f16, as bits: in each block of [`F16_BLOCK`] of them a chain of [`fma_f16`] in the order of the pairs, from +0 on; the blocks' sums are
/// widened, which is exact, and added in f32, in order, from +0 on.
pub fn dot_f16(mut pairs: impl Iterator<Item = (u16, u16)>) -> f32 {
    let (mut sum, mut block, mut count) = (0f32, 0, 0);
    loop {
        let pair = pairs.next();
        if let Some((x, w)) = pair {
            block = fma_f16(x, w, block);
            count += 1;
        }
        if count == F16_BLOCK || pair.is_none() {
            sum += f16_to_f32(block);
            (block, count) = (0, 0);
        }
        if pair.is_none() {
            return canonical(sum);
        }
    }
}
