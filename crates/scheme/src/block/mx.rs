//! The microscaling formats of the Open Compute Project (*OCP Microscaling Formats (MX) Specification*,
//! version 1.0): blocks of 32 elements and a scale of the format E8M0, a power of two.
//!
//! Scales and elements are two arrays: a scale byte a block, and the elements in order, a byte each;
//! MXFP4 two in a byte, the first one in the low nibble. The last block may have fewer elements.
//!
//! E8M0 is the exponent with a bias of 127: the byte `s` is 2^(s - 127), and 0xFF is NaN. There is no
//! zero and no infinity.

use super::BLOCK;
use crate::fp8::{self, Overflow};
use crate::real::{canonical, round_half_even};

/// A format of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mx {
    /// MXFP8 with elements of E4M3: up to 448, [`fp8`].
    Fp8E4m3,
    /// MXFP8 with elements of E5M2: up to 57344.
    Fp8E5m2,
    /// MXFP4, elements of E2M1: 0, 0.5, 1, 1.5, 2, 3, 4 and 6, bit 3 is the sign.
    Fp4E2m1,
    /// MXINT8: elements are `q / 64`, `q` in two's complement. -128 is read, but never written.
    Int8,
}

/// The byte of a scale that is NaN.
pub const SCALE_NAN: u8 = 0xFF;

impl Mx {
    /// Every format.
    pub const ALL: [Mx; 4] = [Mx::Fp8E4m3, Mx::Fp8E5m2, Mx::Fp4E2m1, Mx::Int8];

    /// The exponent of the largest element, which is between 2^emax and 2^(emax + 1).
    pub const fn emax(self) -> u32 {
        match self {
            Mx::Fp8E4m3 => 8,
            Mx::Fp8E5m2 => 15,
            Mx::Fp4E2m1 => 2,
            Mx::Int8 => 0,
        }
    }

    /// Bytes that `n` elements need.
    pub const fn element_bytes(self, n: usize) -> usize {
        match self {
            Mx::Fp4E2m1 => n.div_ceil(2),
            _ => n,
        }
    }
}

/// Scales, hence bytes of scales, that `n` elements need.
pub const fn scale_count(n: usize) -> usize {
    n.div_ceil(BLOCK)
}

/// The scale of a block by its largest magnitude: the exponent `floor(log2(amax)) - emax`, at least
/// -127, which a block of zeros has too. NaN if `amax` is NaN or infinite.
#[inline(always)]
pub fn scale_of(format: Mx, amax: f32) -> u8 {
    match amax.to_bits() >> 23 & 0xFF {
        0xFF => SCALE_NAN,
        // 0 for numbers below 2^-126, whose exponent is less than any scale's.
        exponent => exponent.saturating_sub(format.emax()) as u8,
    }
}

/// The number that a scale byte is.
#[inline(always)]
pub const fn scale_value(scale: u8) -> f32 {
    f32::from_bits(match scale {
        0 => 0x0040_0000,
        SCALE_NAN => 0x7FC0_0000,
        _ => (scale as u32) << 23,
    })
}

/// `1 / scale_value(scale)`, exact; 0 for NaN.
#[inline(always)]
pub const fn scale_inverse(scale: u8) -> f32 {
    match 0xFE - scale as i32 {
        -1 => 0.0,
        0 => scale_value(0),
        exponent => scale_value(exponent as u8),
    }
}

/// A number as an element: to nearest, ties to even, saturating, -0 kept but in MXINT8. `v` is the
/// number over the block's scale, finite.
fn element(format: Mx, v: f32) -> u8 {
    match format {
        Mx::Fp8E4m3 => fp8::f32_to_e4m3fn(v, Overflow::Saturate),
        Mx::Fp8E5m2 => fp8::f32_to_e5m2(v, Overflow::Saturate),
        Mx::Fp4E2m1 => f32_to_e2m1(v),
        // -128, which only -127.5 and less would round to, has no counterpart among positive codes.
        Mx::Int8 => round_half_even(v * 64.0).clamp(-127.0, 127.0) as i8 as u8,
    }
}

/// The number that an element is; a NaN is the canonical one.
fn value(format: Mx, element: u8) -> f32 {
    match format {
        Mx::Fp8E4m3 => fp8::e4m3fn_to_f32(element),
        Mx::Fp8E5m2 => fp8::e5m2_to_f32(element),
        Mx::Fp4E2m1 => e2m1_to_f32(element),
        Mx::Int8 => f32::from(element as i8) / 64.0,
    }
}

/// f32 to E2M1 bits, saturating at 6; not NaN.
pub fn f32_to_e2m1(v: f32) -> u8 {
    let sign = (v.to_bits() >> 28 & 8) as u8;
    sign | fp8::round_magnitude::<1, 1>(v.to_bits() & 0x7FFF_FFFF).min(7) as u8
}

/// E2M1 bits, the low nibble, to f32.
pub const fn e2m1_to_f32(code: u8) -> f32 {
    let magnitude = fp8::widen::<1, 1>(code as u32 & 7);
    f32::from_bits(magnitude.to_bits() | (code as u32 & 8) << 28)
}

/// Quantizes `x`; stops at the end of the shortest side. Elements are `x` over the block's scale,
/// rounded once. A block with a NaN or an infinity has the scale [`SCALE_NAN`] and zeros for elements.
/// The nibble behind an odd number of elements is 0.
pub fn quantize(format: Mx, x: &[f32], scales: &mut [u8], elements: &mut [u8]) {
    let bytes = format.element_bytes(BLOCK);
    for ((x, scale), elements) in x.chunks(BLOCK).zip(scales).zip(elements.chunks_mut(bytes)) {
        // Magnitudes order as their bits do, NaN above all.
        let amax = x.iter().map(|x| x.to_bits() & 0x7FFF_FFFF).fold(0, u32::max);
        *scale = scale_of(format, f32::from_bits(amax));
        // A product with a power of two is exact, or so small that its element is 0 anyway.
        let inverse = scale_inverse(*scale);
        let code = |x: &f32| if *scale == SCALE_NAN { 0 } else { element(format, x * inverse) };
        if format == Mx::Fp4E2m1 {
            for (pair, byte) in x.chunks(2).zip(elements) {
                let high = pair.get(1).map_or(0, code);
                *byte = pair.first().map_or(0, code) | high << 4;
            }
        } else {
            x.iter().zip(elements).for_each(|(x, element)| *element = code(x));
        }
    }
}

/// Dequantizes `x.len()` elements; stops at the end of the shortest side. An element times its scale:
/// exact, or infinite where f32 ends. NaN, of the element or the scale, becomes the canonical one.
pub fn dequantize(format: Mx, scales: &[u8], elements: &[u8], x: &mut [f32]) {
    let bytes = format.element_bytes(BLOCK);
    for ((x, &scale), elements) in x.chunks_mut(BLOCK).zip(scales).zip(elements.chunks(bytes)) {
        let scale = scale_value(scale);
        if format == Mx::Fp4E2m1 {
            for (pair, byte) in x.chunks_mut(2).zip(elements) {
                for (x, code) in pair.iter_mut().zip([byte & 0xF, byte >> 4]) {
                    *x = canonical(value(format, code) * scale);
                }
            }
        } else {
            for (x, &element) in x.iter_mut().zip(elements) {
                *x = canonical(value(format, element) * scale);
            }
        }
    }
}
