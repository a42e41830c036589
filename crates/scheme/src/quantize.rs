//! Real numbers to codes and back.

use crate::{IntFormat, QuantParams, float16, real};

/// How a quotient between two codes is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Rounding {
    /// To nearest, ties to the even integer: ONNX, PyTorch, XNNPACK.
    #[default]
    HalfEven,
    /// To nearest, ties away from zero: TensorFlow Lite.
    HalfAway,
}

/// How the quotient `x / scale` is formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Quotient {
    /// A correctly rounded f32 division: ONNX, TensorFlow Lite.
    #[default]
    Divide,
    /// A product with the rounded inverse, `x * (1 / scale)`: PyTorch, FBGEMM. Differs from the
    /// division near ties.
    Multiply,
}

/// The rule that turns a real number into a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct QuantizeMode {
    /// Rounding of the quotient.
    pub rounding: Rounding,
    /// How the quotient is formed.
    pub quotient: Quotient,
}

/// The code of a real number:
/// `clamp(t, qmin - zero_point, qmax - zero_point)`, rounded, plus `zero_point`, where `t` is
/// `x / scale` or `x * (1 / scale)` in f32, and 0 where that is NaN.
///
/// The clamp is in f32 before rounding, so that infinities and huge numbers saturate; both bounds are
/// integers that f32 holds exactly, so it equals a clamp of the sum. NaN gives the zero point, the
/// code of real 0. `B1` gives +1 for `t >= 0` (so for -0, and for NaN) and -1 otherwise.
///
/// With `Quotient::Multiply` the inverse of a scale up to 2^-128 is infinite: then 0 still gives the
/// zero point (0 * inf is NaN) and every other number saturates.
///
/// Parameters are those that [`QuantParams::check`] accepts.
///
/// ```
/// use fewbit_scheme::{IntFormat, QuantParams, QuantizeMode, quantize};
/// let params = QuantParams { scale: 0.5, zero_point: 3 };
/// let code = |x| quantize(x, params, IntFormat::S8, QuantizeMode::default());
/// assert_eq!(code(1.0), 5);
/// assert_eq!(code(1.25), 5); // 2.5 steps, a tie: to the even 2, and then 3 is added
/// assert_eq!(code(f32::INFINITY), 127);
/// assert_eq!(code(f32::NAN), 3);
/// ```
#[inline]
pub fn quantize(x: f32, params: QuantParams, format: IntFormat, mode: QuantizeMode) -> i32 {
    let quotient = match mode.quotient {
        Quotient::Divide => x / params.scale,
        Quotient::Multiply => x * (1.0 / params.scale),
    };
    if format == IntFormat::B1 {
        return if quotient >= 0.0 || quotient.is_nan() { 1 } else { -1 };
    }
    to_code(quotient, params.zero_point, format, mode.rounding)
}

/// A number of steps from real 0 to a code: NaN as 0, clamped to `qmin - zero_point ..= qmax -
/// zero_point`, rounded, plus the zero point. For a zero point out of the codes' range the result is
/// some number, without a panic.
#[inline]
pub(crate) fn to_code(steps: f32, zero_point: i32, format: IntFormat, rounding: Rounding) -> i32 {
    let t = if steps.is_nan() { 0.0 } else { steps };
    let low = format.qmin().wrapping_sub(zero_point) as f32;
    let high = format.qmax().wrapping_sub(zero_point) as f32;
    let clamped = if t < low {
        low
    } else if t > high {
        high
    } else {
        t
    };
    let rounded = match rounding {
        Rounding::HalfEven => real::round_half_even(clamped),
        Rounding::HalfAway => real::round_half_away(clamped),
    };
    (rounded as i32).wrapping_add(zero_point)
}

/// The real number of a code: `f32(q - zero_point) * scale`; the difference is exact, the product
/// rounds once.
pub fn dequantize(q: i32, params: QuantParams) -> f32 {
    q.wrapping_sub(params.zero_point) as f32 * params.scale
}

/// As [`dequantize`], to the bits of an f16: the exact product, rounded once; overflow to infinity.
pub fn dequantize_f16(q: i32, params: QuantParams) -> u16 {
    float16::f32_to_f16(dequantize_odd(q, params))
}

/// As [`dequantize`], to the bits of a bf16: the exact product, rounded once; overflow to infinity.
pub fn dequantize_bf16(q: i32, params: QuantParams) -> u16 {
    float16::f32_to_bf16(dequantize_odd(q, params))
}

/// The product of [`dequantize`] rounded to odd: towards zero, and where that is not exact, the last
/// bit set. Rounded again, to a format with at least two bits less, it gives what the exact product
/// would (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using
/// rounding to odd", 2008).
fn dequantize_odd(q: i32, params: QuantParams) -> f32 {
    // At most 32 and 24 bits, and no exponent beyond f64's.
    let exact = q.wrapping_sub(params.zero_point) as f64 * params.scale as f64;
    let nearest = exact as f32;
    let bits = nearest.to_bits();
    let widened = nearest as f64;
    let odd = bits & 1 == 1;
    if widened == exact || odd || exact.is_nan() {
        return nearest;
    }
    // The neighbour on the other side is odd.
    f32::from_bits(if widened.abs() > exact.abs() { bits - 1 } else { bits + 1 })
}

/// Quantization and its inverse at once, for training that is to see what it costs:
/// `dequantize(quantize(x))`.
pub fn fake_quantize(x: f32, params: QuantParams, format: IntFormat, mode: QuantizeMode) -> f32 {
    dequantize(quantize(x, params, format, mode), params)
}
