//! int32 sums to codes, in float and in fixed point, and codes to codes of other parameters.

use crate::quantize::to_code;
use crate::{IntFormat, QuantParams, Rounding, real};

/// Float mode: `clamp(round_half_even(f32(acc) * multiplier) + zero_point, clamp.0, clamp.1)`.
///
/// `f32(acc)` rounds to nearest even above 2^24; the product rounds once. It is clamped in f32 to
/// `qmin - zero_point ..= qmax - zero_point` before rounding, so that huge products saturate; then
/// the code is clamped to `clamp`, the smallest and largest code wanted (an activation's bounds, or
/// the format's). `multiplier` is `scale_lhs * scale_rhs / scale_dst`; a NaN product (0 * inf) gives
/// the zero point. ONNX Runtime's formula (`MlasRequantizeOutput`).
pub fn requantize(
    acc: i32,
    multiplier: f32,
    zero_point: i32,
    format: IntFormat,
    clamp: (i32, i32),
) -> i32 {
    let q = to_code(acc as f32 * multiplier, zero_point, format, Rounding::HalfEven);
    q.max(clamp.0).min(clamp.1)
}

/// A real multiplier as an integer in units of 2^-31 and a power of two:
/// `real = multiplier * 2^(shift - 31)`, `multiplier` in `2^30 .. 2^31` or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct FixedMultiplier {
    /// The mantissa in units of 2^-31.
    pub multiplier: i32,
    /// Left if positive, right if negative; -31..=30.
    pub shift: i32,
}

impl FixedMultiplier {
    /// The nearest representable multiplier (mantissa ties away from zero): TensorFlow Lite's
    /// `QuantizeMultiplier`. What rounds to less than 2^-32 is 0, as is -0. `None` for a number that
    /// is negative or NaN, or rounds to 2^30 or more.
    pub fn from_real(real: f64) -> Option<FixedMultiplier> {
        // Also refuses NaN.
        if !(0.0..1_073_741_824.0).contains(&real) {
            return None;
        }
        let bits = real.to_bits() & !(1 << 63);
        // real = mantissa * 2^(exponent - 53) with mantissa in 2^52..2^53, so real is in
        // 2^(exponent - 1)..2^exponent; subnormal doubles end up as 0 below.
        let mut exponent = (bits >> 52) as i32 - 1022;
        let mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
        // mantissa / 2^53 in units of 2^-31: drop 22 bits, ties away.
        let mut multiplier = (mantissa + (1 << 21)) >> 22;
        if multiplier == 1 << 31 {
            multiplier >>= 1;
            exponent += 1;
        }
        if exponent < -31 {
            return Some(FixedMultiplier { multiplier: 0, shift: 0 });
        }
        if exponent > 30 {
            return None;
        }
        Some(FixedMultiplier { multiplier: multiplier as i32, shift: exponent })
    }

    /// The multiplier of sums of products of codes: [`from_real`](FixedMultiplier::from_real) of
    /// `input * weight / output`, evaluated in f64, where the product is exact and the quotient is rounded once.
    /// TensorFlow Lite's of convolutions and per-channel fully connected layers.
    pub fn from_scales(input: f32, weight: f32, output: f32) -> Option<FixedMultiplier> {
        FixedMultiplier::from_real(input as f64 * weight as f64 / output as f64)
    }

    /// Whether both fields are in their ranges.
    pub const fn is_valid(self) -> bool {
        self.multiplier >= 0 && self.shift >= -31 && self.shift <= 30
    }

    /// `acc * real`, rounded to an integer: TensorFlow Lite's `MultiplyByQuantizedMultiplier`
    /// wherever that is defined. Beyond int32, where it is not (it overflows), the result saturates:
    /// in `Single` mode the rounded product, in `Double` mode `acc * 2^shift` for `shift > 0`, as in
    /// gemmlowp (with a multiplier of [`from_real`](FixedMultiplier::from_real) the result is then at
    /// least 2^30 in magnitude: beyond the codes of every format).
    pub fn apply(self, acc: i32, rounding: FixedRounding) -> i32 {
        match rounding {
            FixedRounding::Double => {
                let (left, right) = (self.shift.clamp(0, 30), self.shift.clamp(-31, 0));
                let shifted = saturate((acc as i64) << left);
                let product = doubling_high_multiply(shifted, self.multiplier);
                rounding_right_shift(product, right.unsigned_abs())
            }
            FixedRounding::Single => {
                let total = 31 - self.shift.clamp(-31, 30);
                let product = acc as i64 * self.multiplier as i64;
                // |product| <= 2^62 and the rounding term is at most 2^61.
                saturate((product + (1i64 << (total - 1))) >> total)
            }
        }
    }
}

/// How a fixed-point product is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FixedRounding {
    /// A saturating rounding doubling high multiplication, then a rounding right shift with ties
    /// away from zero: TensorFlow Lite's default and gemmlowp.
    #[default]
    Double,
    /// One rounding with ties upwards: `floor(acc * real + 1/2)`: TensorFlow Lite built with
    /// `TFLITE_SINGLE_ROUNDING`, ruy, CMSIS-NN.
    Single,
}

/// The nearest int32, for numbers beyond it one of the ends.
fn saturate(x: i64) -> i32 {
    x.max(i32::MIN as i64).min(i32::MAX as i64) as i32
}

/// `floor(a * b / 2^31 + 1/2)`, so ties upwards (the truncated division of a negative tie and its
/// smaller nudge give that); `i32::MIN * i32::MIN`, the only product that is too large, saturates.
fn doubling_high_multiply(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    let product = a as i64 * b as i64;
    let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    // Truncating division by 2^31.
    ((product + nudge) / (1 << 31)) as i32
}

/// `x / 2^exponent`, ties away from zero; `exponent` in 0..=31.
fn rounding_right_shift(x: i32, exponent: u32) -> i32 {
    let mask = ((1i64 << exponent) - 1) as i32;
    let remainder = x & mask;
    let threshold = (mask >> 1) + (x < 0) as i32;
    let shifted = if exponent > 31 { 0 } else { ((x as i64) >> exponent) as i32 };
    shifted + (remainder > threshold) as i32
}

/// Fixed-point mode: `m.apply(acc) + zero_point` with a saturating sum, clamped to the format and
/// then to `clamp` as in [`requantize`]; integers only.
pub fn requantize_fixed(
    acc: i32,
    multiplier: FixedMultiplier,
    rounding: FixedRounding,
    zero_point: i32,
    format: IntFormat,
    clamp: (i32, i32),
) -> i32 {
    let q = multiplier.apply(acc, rounding).saturating_add(zero_point);
    q.max(format.qmin()).min(format.qmax()).max(clamp.0).min(clamp.1)
}

/// A code under other parameters, float mode:
/// `requantize(q - from.zero_point, from.scale / to.scale, to.zero_point)`; the quotient of the
/// scales is one f32 division (0 or infinite where it leaves f32: then real 0 stays exact, and
/// everything else becomes 0 or saturates). `q` may be a code of any format, `format` is that of the
/// result.
pub fn rescale(q: i32, from: QuantParams, to: QuantParams, format: IntFormat) -> i32 {
    let clamp = (format.qmin(), format.qmax());
    let steps = q.wrapping_sub(from.zero_point);
    requantize(steps, from.scale / to.scale, to.zero_point, format, clamp)
}

/// A code under other parameters, in integers only: [`requantize_fixed`] of `q - from_zero_point` with
/// `multiplier` = [`FixedMultiplier::from_real`] of the f64 quotient `from.scale / to.scale`.
pub fn rescale_fixed(
    q: i32,
    from_zero_point: i32,
    multiplier: FixedMultiplier,
    rounding: FixedRounding,
    to_zero_point: i32,
    format: IntFormat,
) -> i32 {
    let clamp = (format.qmin(), format.qmax());
    let steps = q.wrapping_sub(from_zero_point);
    requantize_fixed(steps, multiplier, rounding, to_zero_point, format, clamp)
}

/// The float epilogue of an int8 product: `f32(acc) * (row_factor * column_factor)`, `+ bias`, NaN
/// made canonical, negative results made 0 if `relu` (a NaN stays). Nothing is fused.
pub fn scale(acc: i32, row_factor: f32, column_factor: f32, bias: Option<f32>, relu: bool) -> f32 {
    let product = acc as f32 * (row_factor * column_factor);
    let y = real::canonical(bias.map_or(product, |bias| product + bias));
    if relu && 0.0 > y { 0.0 } else { y }
}

/// The float epilogue of an int8 product whose weights have a scale for each block along k: `factors[b]` is that of
/// block `b`, and `sums[b]` the exact sum of the block. Block by block, in order, from +0:
/// `y = fma(f32(sums[b]), row_factor * factors[b], y)`; then `+ bias`, NaN made canonical, negative results made 0 if
/// `relu` (a NaN stays). Only the multiply-add is fused.
pub fn scale_blocks(
    sums: &[i32],
    row_factor: f32,
    factors: &[f32],
    bias: Option<f32>,
    relu: bool,
) -> f32 {
    let chain = sums
        .iter()
        .zip(factors)
        .fold(0.0, |y, (&sum, factor)| real::fma(sum as f32, row_factor * factor, y));
    let y = real::canonical(bias.map_or(chain, |bias| chain + bias));
    if relu && 0.0 > y { 0.0 } else { y }
}
