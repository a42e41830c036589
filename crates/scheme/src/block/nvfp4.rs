//! NVFP4: blocks of 16 elements of E2M1 ([`mx`](super::mx)) with a scale of E4M3 ([`fp8`]), and one f32 scale for the
//! tensor (NVIDIA, *Pretraining Large Language Models with NVFP4*, arXiv:2509.25149).
//!
//! Scales and elements are two arrays: a scale byte a block, and two elements in a byte, the first one in the low
//! nibble. The last block may have fewer elements.

use super::mx::{e2m1_to_f32, f32_to_e2m1};
use crate::fp8::{self, Overflow};
use crate::real::canonical;

/// Numbers of a block.
pub const BLOCK: usize = 16;

/// Scales, hence bytes of scales, that `n` elements need.
pub const fn scale_count(n: usize) -> usize {
    n.div_ceil(BLOCK)
}

/// The tensor's scale by its largest magnitude, `amax / (448 * 6)`, with which the largest block's scale is E4M3's largest
/// number; 1 for an `amax` of 0, and where the quotient would be 0; NaN and infinities give themselves.
pub fn tensor_scale(amax: f32) -> f32 {
    let scale = amax / (448.0 * 6.0);
    if scale == 0.0 { 1.0 } else { scale }
}

/// Quantizes `x` under the tensor's `scale`, greater than 0 and finite; stops at the end of the shortest side. Each operation is
/// one rounded f32 operation: a block's scale is `(amax / 6) / scale` as E4M3, to nearest, ties to even, at most 448;
/// elements are `x / (E4M3 scale * scale)` as E2M1, to nearest, ties to even, at most 6, and 0 where the block's scale is 0. A block
/// with a NaN or an infinity has the scale NaN (0x7F) and zeros for elements. The nibble behind an odd number of elements is 0.
pub fn quantize(scale: f32, x: &[f32], scales: &mut [u8], elements: &mut [u8]) {
    for ((x, of_block), elements) in x.chunks(BLOCK).zip(scales).zip(elements.chunks_mut(BLOCK / 2))
    {
        // Magnitudes order as their bits do, NaN above all.
        let amax = x.iter().map(|x| x.to_bits() & 0x7FFF_FFFF).fold(0, u32::max);
        let amax = f32::from_bits(amax);
        let finite = amax < f32::INFINITY;
        let quotient = (amax / 6.0) / scale;
        *of_block = if finite { fp8::f32_to_e4m3fn(quotient, Overflow::Saturate) } else { 0x7F };
        let step = fp8::e4m3fn_to_f32(*of_block) * scale;
        let code = |x: &f32| if finite && step > 0.0 { f32_to_e2m1(x / step) } else { 0 };
        for (pair, byte) in x.chunks(2).zip(elements) {
            let high = pair.get(1).map_or(0, code);
            *byte = pair.first().map_or(0, code) | high << 4;
        }
    }
}

/// Dequantizes `x.len()` elements; stops at the end of the shortest side: element times step, where a block's step is its scale
/// times the tensor's; both are rounded f32 operations. NaN becomes the canonical one.
pub fn dequantize(scale: f32, scales: &[u8], elements: &[u8], x: &mut [f32]) {
    for ((x, &of_block), elements) in
        x.chunks_mut(BLOCK).zip(scales).zip(elements.chunks(BLOCK / 2))
    {
        let step = fp8::e4m3fn_to_f32(of_block) * scale;
        for (pair, byte) in x.chunks_mut(2).zip(elements) {
            for (x, code) in pair.iter_mut().zip([byte & 0xF, byte >> 4]) {
                *x = canonical(e2m1_to_f32(code) * step);
            }
        }
    }
}
