//! Sums and products of two codes, each with its own parameters.

use crate::quantize::to_code;
use crate::requantize_fixed;
use crate::{FixedMultiplier, FixedRounding, IntFormat, QuantParams, Rounding, dequantize};

/// The code of the sum of two numbers that are codes: `quantize(dequantize(a) + dequantize(b))`, clamped to `clamp`, the
/// smallest and largest code wanted.
///
/// Four roundings of f32, `((f32(a - za) * sa) + (f32(b - zb) * sb)) / s`, then to the nearest integer, ties to even. A
/// NaN (infinities of both signs) gives the zero point. ONNX's DequantizeLinear, Add and QuantizeLinear, one by one.
pub fn add(
    (a, from_a): (i32, QuantParams),
    (b, from_b): (i32, QuantParams),
    to: QuantParams,
    format: IntFormat,
    clamp: (i32, i32),
) -> i32 {
    let sum = dequantize(a, from_a) + dequantize(b, from_b);
    to_code(sum / to.scale, to.zero_point, format, Rounding::HalfEven).max(clamp.0).min(clamp.1)
}

/// The code of the product of two numbers that are codes: `quantize(dequantize(a) * dequantize(b))`, clamped to `clamp`;
/// otherwise as [`add`]. A NaN is infinity times 0, or infinity by infinity where `to.scale` is.
pub fn multiply(
    (a, from_a): (i32, QuantParams),
    (b, from_b): (i32, QuantParams),
    to: QuantParams,
    format: IntFormat,
    clamp: (i32, i32),
) -> i32 {
    let product = dequantize(a, from_a) * dequantize(b, from_b);
    let steps = product / to.scale;
    to_code(steps, to.zero_point, format, Rounding::HalfEven).max(clamp.0).min(clamp.1)
}

/// The multipliers of [`add_fixed`]: of `a`, of `b`, and of their sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddMultipliers {
    /// Of the first number's steps.
    pub a: FixedMultiplier,
    /// Of the second number's steps.
    pub b: FixedMultiplier,
    /// Of the sum.
    pub sum: FixedMultiplier,
}

/// Bits that the steps of both numbers are shifted to the left before they are multiplied: TensorFlow Lite's for 8-bit
/// codes.
pub const ADD_SHIFT: u32 = 20;

impl AddMultipliers {
    /// TensorFlow Lite's: with `twice = 2 max(a, b)`, in f64, those of `a / twice`, `b / twice` and `twice / (2^20 * to)`.
    /// `None` if the last one is not less than 1, which TensorFlow Lite does not have either.
    pub fn from_scales(a: f32, b: f32, to: f32) -> Option<AddMultipliers> {
        let twice = 2.0 * if a > b { a as f64 } else { b as f64 };
        let sum = twice / ((1 << ADD_SHIFT) as f64 * to as f64);
        let below_one = |real: f64| {
            let multiplier = if real < 1.0 { FixedMultiplier::from_real(real) } else { None };
            multiplier.filter(|multiplier| multiplier.shift <= 0)
        };
        Some(AddMultipliers {
            a: below_one(a as f64 / twice)?,
            b: below_one(b as f64 / twice)?,
            sum: below_one(sum)?,
        })
    }
}

/// The sum of two numbers that are codes, in integers only: each `q - zero_point`, shifted by [`ADD_SHIFT`] bits to the
/// left, times its multiplier; their sum times the last one, plus `zero_point`, clamped. Products are those of
/// [`FixedRounding::Double`]. TensorFlow Lite's ADD of 8-bit codes.
pub fn add_fixed(
    (a, zero_a): (i32, i32),
    (b, zero_b): (i32, i32),
    multipliers: &AddMultipliers,
    zero_point: i32,
    format: IntFormat,
    clamp: (i32, i32),
) -> i32 {
    let scaled = |q: i32, zero: i32, multiplier: FixedMultiplier| {
        multiplier.apply(q.wrapping_sub(zero).wrapping_shl(ADD_SHIFT), FixedRounding::Double)
    };
    let sum = scaled(a, zero_a, multipliers.a).wrapping_add(scaled(b, zero_b, multipliers.b));
    requantize_fixed(sum, multipliers.sum, FixedRounding::Double, zero_point, format, clamp)
}

/// The product of two numbers that are codes, in integers only: [`requantize_fixed`] of `(a - zero_a) (b - zero_b)` under
/// [`FixedRounding::Double`]. TensorFlow Lite's MUL of 8-bit codes, whose multiplier is that of [`multiply_multiplier`].
pub fn multiply_fixed(
    (a, zero_a): (i32, i32),
    (b, zero_b): (i32, i32),
    multiplier: FixedMultiplier,
    zero_point: i32,
    format: IntFormat,
    clamp: (i32, i32),
) -> i32 {
    let product = a.wrapping_sub(zero_a).wrapping_mul(b.wrapping_sub(zero_b));
    requantize_fixed(product, multiplier, FixedRounding::Double, zero_point, format, clamp)
}

/// [`FixedMultiplier::from_real`] of `a * b / to`, a product and a quotient of f32, each rounded, as TensorFlow Lite has
/// them.
pub fn multiply_multiplier(a: f32, b: f32, to: f32) -> Option<FixedMultiplier> {
    FixedMultiplier::from_real((a * b / to) as f64)
}
