//! The K formats of GGUF: blocks of 256 numbers whose scales have scales. Where their bits are: [`fewbit_scheme::block::gguf`].

use super::gguf::{canonical, load_half};
use fewbit_scheme::block::gguf::Gguf;
use fewbit_simd::HalfLanes;

/// Numbers of a block.
const LEN: usize = 256;
/// Numbers that share a scale and a minimum, and a byte's nibble.
const RUN: usize = 32;

/// The scales, a byte each, and the minima of a block's runs, of the twelve bytes that hold six bits of each: of runs 0 to
/// 3 in the first eight bytes; of the others the lower four bits in the last four, the upper two above those.
///
/// # Safety
/// Twelve bytes can be read.
#[inline(always)]
unsafe fn scales_and_minima(from: *const u8) -> [u64; 2] {
    // SAFETY: by this function's contract.
    let [a, b, c] = unsafe { from.cast::<[[u8; 4]; 3]>().read().map(u32::from_le_bytes) };
    let (six, four, two) = (0x3F3F_3F3F, 0x0F0F_0F0F, 0x3030_3030);
    let scales = (c & four) | (a >> 2 & two);
    let minima = (c >> 4 & four) | (b >> 2 & two);
    [u64::from(a & six) | u64::from(scales) << 32, u64::from(b & six) | u64::from(minima) << 32]
}

/// Q4_K, or with `FIFTH` bits Q5_K.
///
/// # Safety
/// As [`super::GgufDequantizeFn`], within an entry compiled for `V`.
#[inline(always)]
pub(super) unsafe fn dequantize<V: HalfLanes, const FIFTH: bool>(
    blocks: *const u8,
    x: *mut f32,
    count: usize,
) {
    const HEAD: usize = 16;
    let format = if FIFTH { Gguf::Q5K } else { Gguf::Q4K };
    for block in 0..count {
        // SAFETY: block `block` of bytes and of numbers exists by this function's contract, and vectors divide its runs.
        unsafe {
            let (from, x) = (blocks.add(block * format.block_bytes()), x.add(block * LEN));
            let (d, dmin) = (load_half::<V>(from), load_half::<V>(from.add(2)));
            let [mut scales, mut minima] = scales_and_minima(from.add(4));
            let nibbles = from.add(if FIFTH { HEAD + RUN } else { HEAD });
            for pair in 0..LEN / (2 * RUN) {
                let mut of = [(d, d); 2];
                for (scale, min) in &mut of {
                    *scale = V::mul(d, V::splat_f32(f32::from(scales as u8)));
                    // Its opposite, to add.
                    *min = V::mul(dmin, V::splat_f32(-f32::from(minima as u8)));
                    (scales, minima) = (scales >> 8, minima >> 8);
                }
                let mut at = 0;
                while at < RUN {
                    let byte = V::load_u8(nibbles.add(pair * RUN + at), V::LANES);
                    let codes = [V::and_i32(byte, V::splat_i32(15)), V::shr::<4>(byte)];
                    for (half, (scale, min)) in of.into_iter().enumerate() {
                        let run = 2 * pair + half;
                        let mut q = codes[half & 1];
                        if FIFTH {
                            let bits = V::load_u8(from.add(HEAD + at), V::LANES);
                            let bit = V::and_i32(bits, V::splat_i32(1 << run));
                            let none = V::splat_i32(0);
                            q = V::or_i32(q, V::select_gt(bit, none, V::splat_i32(16), none));
                        }
                        let y = V::add(V::mul(V::f32_from_i32(q), scale), min);
                        V::store_f32(x.add(run * RUN + at), canonical::<V>(y), V::LANES);
                    }
                    at += V::LANES;
                }
            }
        }
    }
}

/// # Safety
/// As [`super::GgufDequantizeFn`], within an entry compiled for `V`.
#[inline(always)]
pub(super) unsafe fn dequantize_q6k<V: HalfLanes>(blocks: *const u8, x: *mut f32, count: usize) {
    const UPPER: usize = 128;
    const SCALES: usize = 192;
    const D: usize = 208;
    for block in 0..count {
        // SAFETY: as in `dequantize`; a vector is at most the 16 numbers of a scale.
        unsafe {
            let (from, x) = (blocks.add(block * Gguf::Q6K.block_bytes()), x.add(block * LEN));
            let d = load_half::<V>(from.add(D));
            let (four, two) = (V::splat_i32(15), V::splat_i32(48));
            for half in 0..2 {
                let mut at = 0;
                while at < RUN {
                    let nibbles = from.add(half * 2 * RUN + at);
                    let low =
                        [V::load_u8(nibbles, V::LANES), V::load_u8(nibbles.add(RUN), V::LANES)];
                    let upper = V::load_u8(from.add(UPPER + half * RUN + at), V::LANES);
                    let codes = [
                        V::or_i32(V::and_i32(low[0], four), V::and_i32(V::shl::<4>(upper), two)),
                        V::or_i32(V::and_i32(low[1], four), V::and_i32(V::shl::<2>(upper), two)),
                        V::or_i32(V::shr::<4>(low[0]), V::and_i32(upper, two)),
                        V::or_i32(V::shr::<4>(low[1]), V::and_i32(V::shr::<2>(upper), two)),
                    ];
                    for (row, q) in codes.into_iter().enumerate() {
                        let first = (4 * half + row) * RUN + at;
                        let scale = from.add(SCALES + first / 16).cast::<i8>().read();
                        let scale = V::mul(d, V::splat_f32(f32::from(scale)));
                        let q = V::f32_from_i32(V::sub_i32(q, V::splat_i32(32)));
                        let y = canonical::<V>(V::mul(q, scale));
                        V::store_f32(x.add(first), y, V::LANES);
                    }
                    at += V::LANES;
                }
            }
        }
    }
}
