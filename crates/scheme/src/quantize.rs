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
/// Parameters are those that [`QuantParams::check`] accepts.
pub fn quantize(x: f32, params: QuantParams, format: IntFormat, mode: QuantizeMode) -> i32 {
    let quotient = match mode.quotient {
        Quotient::Divide => x / params.scale,
        Quotient::Multiply => x * (1.0 / params.scale),
    };
    let t = if quotient.is_nan() { 0.0 } else { quotient };
    if format == IntFormat::B1 {
        return if t >= 0.0 { 1 } else { -1 };
    }
    let low = (format.qmin() - params.zero_point) as f32;
    let high = (format.qmax() - params.zero_point) as f32;
    let clamped = if t < low {
        low
    } else if t > high {
        high
    } else {
        t
    };
    let rounded = match mode.rounding {
        Rounding::HalfEven => real::round_half_even(clamped),
        Rounding::HalfAway => real::round_half_away(clamped),
    };
    rounded as i32 + params.zero_point
}

/// The real number of a code: `f32(q - zero_point) * scale`; the difference is exact, the product
/// rounds once.
pub fn dequantize(q: i32, params: QuantParams) -> f32 {
    q.wrapping_sub(params.zero_point) as f32 * params.scale
}
