//! Quantization parameters, and how a range becomes parameters.

use crate::{IntFormat, real};

/// `x = scale * (q - zero_point)`: the step between neighbouring codes and the code of real 0.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct QuantParams {
    /// The size of one step, in the tensor's unit; finite and positive (subnormal allowed).
    pub scale: f32,
    /// The code of real 0, within the format's codes.
    pub zero_point: i32,
}

/// Why parameters or a range were refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParamError {
    /// The scale is NaN, infinite, zero or negative.
    Scale(f32),
    /// The zero point is not a code of the format.
    ZeroPoint {
        /// The refused zero point.
        zero_point: i32,
        /// The smallest code.
        qmin: i32,
        /// The largest code.
        qmax: i32,
    },
    /// A range's end is NaN.
    RangeNan,
    /// `min > max`, and the range is not the empty one, (+inf, -inf).
    RangeOrder {
        /// The lower end.
        min: f32,
        /// The upper end.
        max: f32,
    },
}

impl QuantParams {
    /// Checks the parameters for a format. `B1` has no zero point: it must be 0.
    ///
    /// # Errors
    /// [`ParamError::Scale`], [`ParamError::ZeroPoint`].
    pub fn check(self, format: IntFormat) -> Result<(), ParamError> {
        if !(self.scale > 0.0 && self.scale < f32::INFINITY) {
            return Err(ParamError::Scale(self.scale));
        }
        let (qmin, qmax) = match format {
            IntFormat::B1 => (0, 0),
            _ => (format.qmin(), format.qmax()),
        };
        if self.zero_point < qmin || self.zero_point > qmax {
            return Err(ParamError::ZeroPoint { zero_point: self.zero_point, qmin, qmax });
        }
        Ok(())
    }
}

/// How a range is covered by codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Scheme {
    /// The range widened to contain 0, with a zero point.
    #[default]
    Affine,
    /// The range made symmetric about 0; the zero point is 0.
    Symmetric,
}

/// Which codes the symmetric scheme of a signed format uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SymmetricRange {
    /// `-qmax..=qmax` (int8: -127..=127): as many steps on either side of 0.
    #[default]
    Narrow,
    /// `qmin..=qmax` (int8: -128..=127): the step is `amax / -qmin`, one code finer; +amax itself
    /// saturates to `qmax`.
    Full,
}

/// How to choose parameters from a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParamSpec {
    /// The format of the codes.
    pub format: IntFormat,
    /// Affine or symmetric.
    pub scheme: Scheme,
    /// The codes of the symmetric scheme.
    pub range: SymmetricRange,
    /// Whether the scale is rounded up to a power of two, so that scaling is a shift.
    pub power_of_two: bool,
}

impl ParamSpec {
    /// Affine parameters for a format.
    pub const fn affine(format: IntFormat) -> ParamSpec {
        ParamSpec {
            format,
            scheme: Scheme::Affine,
            range: SymmetricRange::Narrow,
            power_of_two: false,
        }
    }

    /// Symmetric parameters for a format, narrow range.
    pub const fn symmetric(format: IntFormat) -> ParamSpec {
        ParamSpec { scheme: Scheme::Symmetric, ..ParamSpec::affine(format) }
    }
}

/// The smallest positive f32.
const TINY: f32 = f32::from_bits(1);

/// Parameters that cover a range.
///
/// * Infinite ends are taken as the largest finite f32 of that sign. The empty range (+inf, -inf),
///   what an observer that saw nothing holds, gives scale 1.
/// * **Affine**: the range is widened to contain 0; `scale = (max - min) / (qmax - qmin)` in f32, or,
///   where the difference overflows, `max / steps - min / steps`; `zero_point =
///   clamp(round_half_even(qmin - min / scale), qmin, qmax)` (ONNX DynamicQuantizeLinear's formulas).
/// * **Symmetric**: `amax = max(|min|, |max|)`, `scale = amax / qmax` (narrow) or `amax / -qmin`
///   (full), zero point 0. An unsigned format has no codes below 0: `scale = amax / qmax`, and
///   negative numbers saturate to 0.
/// * `B1`, under either scheme: scale `amax`, zero point 0.
/// * A range of zeros only gives scale 1. A scale that would underflow to 0 is the smallest positive
///   f32, and one that would overflow (a range wider than f32 in the one step of `U1`) the largest.
///   A subnormal scale is rounded as f32 rounds: to a multiple of 2^-149, so that the ends of a range
///   below 2^-126 times the number of steps may saturate.
/// * `power_of_two`: the scale is the smallest power of two that is not below the one above (but at
///   most 2^127), and the zero point follows from it.
///
/// # Errors
/// [`ParamError::RangeNan`], [`ParamError::RangeOrder`].
pub fn params_from_range(min: f32, max: f32, spec: &ParamSpec) -> Result<QuantParams, ParamError> {
    if min.is_nan() || max.is_nan() {
        return Err(ParamError::RangeNan);
    }
    let empty = min == f32::INFINITY && max == f32::NEG_INFINITY;
    if min > max && !empty {
        return Err(ParamError::RangeOrder { min, max });
    }
    // Widened to contain 0; the empty range becomes (0, 0).
    let low = if empty { 0.0 } else { min.clamp(f32::MIN, 0.0) };
    let high = if empty { 0.0 } else { max.clamp(0.0, f32::MAX) };
    let amax = if -low > high { -low } else { high };
    let (qmin, qmax) = (spec.format.qmin(), spec.format.qmax());
    let symmetric = spec.scheme == Scheme::Symmetric || spec.format == IntFormat::B1;
    let exact = if symmetric {
        amax / symmetric_steps(spec)
    } else {
        let steps = (qmax - qmin) as f32;
        let width = high - low;
        if width == f32::INFINITY { high / steps - low / steps } else { width / steps }
    };
    // A single step (u1) may need more than the largest f32.
    let bounded = real::min(real::max(exact, TINY), f32::MAX);
    let scale = match (amax == 0.0, spec.power_of_two) {
        (true, _) => 1.0,
        (false, false) => bounded,
        (false, true) => power_of_two_not_below(bounded),
    };
    let zero_point = if symmetric {
        0
    } else {
        let unrounded = qmin as f32 - low / scale;
        let clamped = real::min(real::max(unrounded, qmin as f32), qmax as f32);
        real::round_half_even(clamped) as i32
    };
    Ok(QuantParams { scale, zero_point })
}

/// Steps between 0 and the largest magnitude.
fn symmetric_steps(spec: &ParamSpec) -> f32 {
    match (spec.format.qmin(), spec.range) {
        (qmin @ i32::MIN..=-1, SymmetricRange::Full) => -qmin as f32,
        _ => spec.format.qmax() as f32,
    }
}

/// The smallest power of two that is not below a positive finite number, at most 2^127.
fn power_of_two_not_below(x: f32) -> f32 {
    let bits = x.to_bits();
    if bits < 0x0080_0000 {
        // Subnormal: the bits count units of 2^-149.
        return f32::from_bits(bits.next_power_of_two());
    }
    let exponent = bits & 0x7F80_0000;
    let up = if bits == exponent { exponent } else { exponent + 0x0080_0000 };
    f32::from_bits(if up > 0x7F00_0000 { 0x7F00_0000 } else { up })
}
