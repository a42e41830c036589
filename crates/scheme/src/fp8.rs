//! The 8-bit float formats of the OCP 8-bit Floating Point Specification, as bits: E4M3FN (bias 7,
//! largest 448, no infinity, NaN 0x7F and 0xFF) and E5M2 (bias 15, largest 57344, infinity 0x7C, NaN
//! 0x7D to 0x7F).
//!
//! From f32: round to nearest, ties to even, once; subnormals are kept; NaN stays NaN with its sign
//! (stored as 0x7F in E4M3FN and 0x7E in E5M2). What rounds beyond the largest number follows
//! [`Overflow`]; ONNX Cast's two modes. To f32: exact.

/// What becomes of numbers that round beyond the largest, infinities included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Overflow {
    /// The largest number of that sign.
    #[default]
    Saturate,
    /// The infinity of that sign; NaN in E4M3FN, which has none.
    NonFinite,
}

/// Rounds a magnitude (f32 bits without sign, not NaN) to a format of `MANTISSA` bits and exponent
/// bias `BIAS`, without a limit above: the result's bits, in order of magnitude.
pub(crate) fn round_magnitude<const MANTISSA: u32, const BIAS: u32>(magnitude: u32) -> u32 {
    let drop = 23 - MANTISSA;
    let rebias = (127 - BIAS) << 23;
    if magnitude >= rebias + (1 << 23) {
        let odd = magnitude >> drop & 1;
        (magnitude - rebias + (1 << (drop - 1)) - 1 + odd) >> drop
    } else {
        // Subnormal: the format's step is 2^(1 - BIAS - MANTISSA). Added to a number whose last
        // place is that step, the magnitude is rounded by the addition, ties to even.
        let anchor = f32::from_bits((127 + 1 - BIAS - MANTISSA + 23) << 23);
        (f32::from_bits(magnitude) + anchor).to_bits() - anchor.to_bits()
    }
}

/// f32 to E4M3FN bits.
pub fn f32_to_e4m3fn(x: f32, overflow: Overflow) -> u8 {
    let sign = (x.to_bits() >> 24 & 0x80) as u8;
    let magnitude = x.to_bits() & 0x7FFF_FFFF;
    if magnitude > 0x7F80_0000 {
        return sign | 0x7F;
    }
    // From 480 = 1.875 * 2^8 on the code would be NaN's, and beyond 464 numbers round to it.
    let code = round_magnitude::<3, 7>(magnitude);
    match (code > 0x7E, overflow) {
        (false, _) => sign | code as u8,
        (true, Overflow::Saturate) => sign | 0x7E,
        (true, Overflow::NonFinite) => sign | 0x7F,
    }
}

/// f32 to E5M2 bits.
pub fn f32_to_e5m2(x: f32, overflow: Overflow) -> u8 {
    let sign = (x.to_bits() >> 24 & 0x80) as u8;
    let magnitude = x.to_bits() & 0x7FFF_FFFF;
    if magnitude > 0x7F80_0000 {
        return sign | 0x7E;
    }
    let code = round_magnitude::<2, 15>(magnitude);
    match (code > 0x7B, overflow) {
        (false, _) => sign | code as u8,
        (true, Overflow::Saturate) => sign | 0x7B,
        (true, Overflow::NonFinite) => sign | 0x7C,
    }
}

/// The number of a magnitude without its special codes.
#[inline]
pub(crate) const fn widen<const MANTISSA: u32, const BIAS: u32>(magnitude: u32) -> f32 {
    if magnitude >> MANTISSA == 0 {
        let step = f32::from_bits((127 + 1 - BIAS - MANTISSA) << 23);
        magnitude as f32 * step
    } else {
        f32::from_bits((magnitude << (23 - MANTISSA)) + ((127 - BIAS) << 23))
    }
}

/// E4M3FN bits to f32; NaN becomes the canonical quiet NaN with its sign.
#[inline]
pub fn e4m3fn_to_f32(code: u8) -> f32 {
    let magnitude = code as u32 & 0x7F;
    let value =
        if magnitude == 0x7F { f32::from_bits(0x7FC0_0000) } else { widen::<3, 7>(magnitude) };
    f32::from_bits(value.to_bits() | (code as u32 & 0x80) << 24)
}

/// E5M2 bits to f32; a NaN keeps its sign and payload, quieted.
pub fn e5m2_to_f32(code: u8) -> f32 {
    let magnitude = code as u32 & 0x7F;
    let bits = match magnitude {
        0x7C => 0x7F80_0000,
        0x7D..=0x7F => 0x7FC0_0000 | magnitude << 21,
        _ => widen::<2, 15>(magnitude).to_bits(),
    };
    f32::from_bits((bits & 0x7FFF_FFFF) | (code as u32 & 0x80) << 24)
}
