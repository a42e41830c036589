//! Real numbers to codes and back.

use crate::{IntFormat, QuantParams, real};

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
