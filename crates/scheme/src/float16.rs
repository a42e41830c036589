//! The 16-bit float formats as bits: IEEE binary16 (`f16`) and bfloat16 (`bf16`).
//!
//! From f32: round to nearest, ties to even, once; subnormals are kept; what rounds beyond the
//! largest number becomes an infinity, or that number in the saturating variants; a NaN stays a NaN
//! with its sign and top payload bits, its quiet bit set. To f32: exact, a NaN quieted.

/// f32 to f16 bits. Sources: IEEE 754-2019 §4.3.1; `VCVTPS2PH` with rounding control 0.
pub fn f32_to_f16(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let magnitude = bits & 0x7FFF_FFFF;
    if magnitude > 0x7F80_0000 {
        return sign | 0x7E00 | (magnitude >> 13 & 0x3FF) as u16;
    }
    // 65520 and more round to infinity.
    if magnitude >= 0x477F_F000 {
        return sign | 0x7C00;
    }
    let rounded = if magnitude >= 0x3880_0000 {
        // Normal: rebias the exponent by 15 - 127 and round 13 bits away; a carry out of the
        // mantissa moves into the exponent, which is what rounding up to a power of two means.
        let odd = magnitude >> 13 & 1;
        (magnitude - (112 << 23) + 0xFFF + odd) >> 13
    } else {
        // Subnormal: count the units of 2^-24. The sum with 0.5 has units of 2^-24 as its last
        // place, so the addition rounds to nearest even; the low bits of the sum are the count.
        (f32::from_bits(magnitude) + 0.5).to_bits() - 0.5f32.to_bits()
    };
    sign | rounded as u16
}

/// f16 bits to f32, exact.
pub fn f16_to_f32(h: u16) -> f32 {
    let sign = (h as u32 & 0x8000) << 16;
    let magnitude = h as u32 & 0x7FFF;
    let bits = match magnitude {
        0..=0x3FF => (magnitude as f32 * f32::from_bits(0x3380_0000)).to_bits(), // units of 2^-24
        0x400..=0x7BFF => (magnitude << 13) + (112 << 23),
        0x7C00 => 0x7F80_0000,
        _ => 0x7FC0_0000 | magnitude << 13,
    };
    f32::from_bits(sign | bits & 0x7FFF_FFFF)
}

/// f32 to bf16 bits.
pub fn f32_to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    if bits & 0x7FFF_FFFF > 0x7F80_0000 {
        return (bits >> 16) as u16 | 0x40;
    }
    let odd = bits >> 16 & 1;
    // At most 0xFF80_0000 + 0x8000: no overflow.
    ((bits + 0x7FFF + odd) >> 16) as u16
}

/// bf16 bits to f32, exact.
pub fn bf16_to_f32(b: u16) -> f32 {
    let bits = (b as u32) << 16;
    let quiet = if bits & 0x7FFF_FFFF > 0x7F80_0000 { 0x0040_0000 } else { 0 };
    f32::from_bits(bits | quiet)
}

/// [`f32_to_f16`] with numbers (not infinities: they too) beyond the largest f16 stored as ±65504.
pub fn f32_to_f16_saturating(x: f32) -> u16 {
    let h = f32_to_f16(x);
    if h & 0x7FFF == 0x7C00 { h - 1 } else { h }
}

/// [`f32_to_bf16`] with everything beyond the largest bf16, infinities too, stored as ± the largest.
pub fn f32_to_bf16_saturating(x: f32) -> u16 {
    let b = f32_to_bf16(x);
    if b & 0x7FFF == 0x7F80 { b - 1 } else { b }
}
