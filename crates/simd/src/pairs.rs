//! Products of two taps at a time, channel by channel: what a depthwise convolution is made of.
//!
//! Codes are i16, so that every product and the sum of two of them is exact whatever the codes are. They are widened
//! once, by blocks of two vectors of channels, in the order in which an instruction pairs them.

use crate::Scalar;
use crate::lanes::partial;

/// Sums of products for some neighbouring channels.
///
/// # Safety
/// An implementation's methods must do as documented here on every CPU with the implementation's
/// instruction set, and access no memory but what they document.
///
/// The methods' shared contract: the caller is compiled for the instruction set and the CPU has it;
/// pointers are valid for what is accessed, at any alignment.
#[allow(
    clippy::missing_safety_doc,
    reason = "the contract is the same for all methods and stated once, on the trait"
)]
pub unsafe trait Pairs: 'static {
    /// Two 16-bit codes a channel.
    type Codes: Copy;
    /// Two 16-bit weights a channel.
    type Weights: Copy;
    /// A 32-bit sum a channel.
    type Sums: Copy;
    /// Channels of a vector; a block has two vectors, at most [`MAX_PAIR_CHANNELS`] channels.
    const CHANNELS: usize;
    /// Whether registers hold a tile of some pixels' sums, so that code for special shapes pays.
    const TILES: bool;
    /// Whether [`three`](Pairs::three) is there.
    const THREE: bool = false;
    /// Codes that are widened at once: whole blocks, at most [`MAX_PAIR_CHANNELS`] channels.
    const WIDENED: usize = 2 * Self::CHANNELS;

    /// Widens some blocks: the first `n` codes, `1..=WIDENED`, are at `from`, as s8 or, not `SIGNED`, u8; others are 0.
    /// All of the blocks are written.
    unsafe fn widen<const SIGNED: bool>(from: *const u8, to: *mut i16, n: usize);
    /// The codes of two taps, each of a widened block: its first vector or, if `HIGH`, its second.
    unsafe fn pair<const HIGH: bool>(a: *const i16, b: *const i16) -> Self::Codes;
    /// `[CHANNELS][2]` weights.
    unsafe fn weights(from: *const i16) -> Self::Weights;
    /// [`CHANNELS`](Pairs::CHANNELS) sums.
    unsafe fn sums(from: *const i32) -> Self::Sums;
    /// `sum + a * w[0] + b * w[1]` modulo 2^32, for each channel of a pair of codes.
    unsafe fn add_products(
        sums: Self::Sums,
        codes: Self::Codes,
        weights: Self::Weights,
    ) -> Self::Sums;
    /// Stores [`CHANNELS`](Pairs::CHANNELS) sums.
    unsafe fn store(sums: Self::Sums, to: *mut i32);
    /// The sums of three rows of three taps, of both vectors of a block, at this stride of 1 or 2: all of a pixel's taps, and one column
    /// further, are read. Nothing unless [`THREE`](Pairs::THREE).
    unsafe fn three<const STRIDE: usize>(row: &ThreeRows) {
        let _ = row;
    }
}

/// Some pixels of a row, of a block of two vectors of channels, each with three taps in three lines.
#[derive(Clone, Copy, Debug)]
pub struct ThreeRows {
    /// Of each line the block of the first pixel's first tap. Blocks of neighbouring taps are [`MAX_PAIR_CHANNELS`] apart.
    pub lines: [*const i16; 3],
    /// The weights of the first vector's pairs, `2 * MAX_PAIR_CHANNELS` from pair to pair, those of the second vector
    /// behind: the first two lines' taps one above the other, then neighbours of the last one.
    pub weights: *const i16,
    /// What sums start with.
    pub start: *const i32,
    /// The first pixel's sums.
    pub dst: *mut i32,
    /// Sums between pixels.
    pub stride: usize,
    /// The number of pixels.
    pub pixels: usize,
}

/// The most channels of a block; those of every backend divide it.
pub const MAX_PAIR_CHANNELS: usize = 32;

/// Up to 16 codes, and zeros.
///
/// # Safety
/// `n` codes can be read.
#[inline(always)]
unsafe fn some(from: *const u8, n: usize) -> [u8; 16] {
    // SAFETY: by this function's contract.
    unsafe {
        match n {
            16 => from.cast::<[u8; 16]>().read_unaligned(),
            _ => partial::load(from, n).to_le_bytes(),
        }
    }
}

// SAFETY: portable code, which accesses what the trait documents.
unsafe impl Pairs for Scalar {
    type Codes = [[i16; 8]; 2];
    type Weights = [[i16; 2]; 8];
    type Sums = [i32; 8];
    const CHANNELS: usize = 8;
    const TILES: bool = false;

    #[inline(always)]
    unsafe fn widen<const SIGNED: bool>(from: *const u8, to: *mut i16, n: usize) {
        // SAFETY: `n` codes and 16 places by the contract of `Pairs`.
        unsafe {
            let codes = some(from, n);
            let wide = |code: u8| if SIGNED { i16::from(code as i8) } else { i16::from(code) };
            to.cast::<[i16; 16]>().write_unaligned(codes.map(wide));
        }
    }

    #[inline(always)]
    unsafe fn pair<const HIGH: bool>(a: *const i16, b: *const i16) -> [[i16; 8]; 2] {
        let at = if HIGH { 8 } else { 0 };
        // SAFETY: blocks of 16 by the contract of `Pairs`.
        unsafe {
            [a.add(at).cast::<[i16; 8]>(), b.add(at).cast()].map(|codes| codes.read_unaligned())
        }
    }

    #[inline(always)]
    unsafe fn weights(from: *const i16) -> Self::Weights {
        // SAFETY: by the contract of `Pairs`.
        unsafe { from.cast::<Self::Weights>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn sums(from: *const i32) -> [i32; 8] {
        // SAFETY: by the contract of `Pairs`.
        unsafe { from.cast::<[i32; 8]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn add_products(
        mut sums: [i32; 8],
        [a, b]: [[i16; 8]; 2],
        weights: Self::Weights,
    ) -> [i32; 8] {
        for (((sum, a), b), [v, w]) in sums.iter_mut().zip(a).zip(b).zip(weights) {
            let pair = (i32::from(a) * i32::from(v)).wrapping_add(i32::from(b) * i32::from(w));
            *sum = sum.wrapping_add(pair);
        }
        sums
    }

    #[inline(always)]
    unsafe fn store(sums: [i32; 8], to: *mut i32) {
        // SAFETY: 8 sums by the contract of `Pairs`.
        unsafe { to.cast::<[i32; 8]>().write_unaligned(sums) }
    }
}

#[cfg(target_arch = "x86_64")]
mod three;

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Pairs, ThreeRows, some, three};
    use crate::Avx2;
    use core::arch::x86_64::*;

    // SAFETY: blocks of 16, two of them, and vectors of 8 channels are loaded and stored, or `n` codes.
    unsafe impl Pairs for Avx2 {
        type Codes = __m256i;
        type Weights = __m256i;
        type Sums = __m256i;
        const CHANNELS: usize = 8;
        const TILES: bool = true;
        const THREE: bool = true;
        const WIDENED: usize = 32;

        #[inline(always)]
        unsafe fn widen<const SIGNED: bool>(from: *const u8, to: *mut i16, n: usize) {
            // SAFETY: features, `n` codes and 32 places by the contract of `Pairs`.
            unsafe {
                let codes = match n == 32 {
                    true => _mm256_loadu_si256(from.cast()),
                    false => {
                        let low = some(from, n.min(16));
                        let high = match n > 16 {
                            true => some(from.add(16), n - 16),
                            false => [0; 16],
                        };
                        _mm256_loadu2_m128i(high.as_ptr().cast(), low.as_ptr().cast())
                    }
                };
                // `unpack` takes half of each 128 bits: of codes here, fours of a block's first vector there and of its second
                // beside them; of pairs later, one vector's.
                let order = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
                let codes = _mm256_permutevar8x32_epi32(codes, order);
                let zero = _mm256_setzero_si256();
                let [first, second] = if SIGNED {
                    [_mm256_unpacklo_epi8(zero, codes), _mm256_unpackhi_epi8(zero, codes)]
                        .map(|wide| _mm256_srai_epi16::<8>(wide))
                } else {
                    [_mm256_unpacklo_epi8(codes, zero), _mm256_unpackhi_epi8(codes, zero)]
                };
                _mm256_storeu_si256(to.cast(), first);
                _mm256_storeu_si256(to.add(16).cast(), second);
            }
        }

        #[inline(always)]
        unsafe fn pair<const HIGH: bool>(a: *const i16, b: *const i16) -> __m256i {
            // SAFETY: features and blocks of 16 by the contract of `Pairs`.
            unsafe {
                let (a, b) = (_mm256_loadu_si256(a.cast()), _mm256_loadu_si256(b.cast()));
                if HIGH { _mm256_unpackhi_epi16(a, b) } else { _mm256_unpacklo_epi16(a, b) }
            }
        }

        #[inline(always)]
        unsafe fn weights(from: *const i16) -> __m256i {
            // SAFETY: features and 16 weights by the contract of `Pairs`.
            unsafe { _mm256_loadu_si256(from.cast()) }
        }

        #[inline(always)]
        unsafe fn sums(from: *const i32) -> __m256i {
            // SAFETY: features and 8 sums by the contract of `Pairs`.
            unsafe { _mm256_loadu_si256(from.cast()) }
        }

        #[inline(always)]
        unsafe fn add_products(sums: __m256i, codes: __m256i, weights: __m256i) -> __m256i {
            // SAFETY: features by the contract of `Pairs`.
            unsafe { _mm256_add_epi32(sums, _mm256_madd_epi16(codes, weights)) }
        }

        #[inline(always)]
        unsafe fn store(sums: __m256i, to: *mut i32) {
            // SAFETY: features and 8 sums by the contract of `Pairs`.
            unsafe { _mm256_storeu_si256(to.cast(), sums) }
        }

        #[inline(always)]
        unsafe fn three<const STRIDE: usize>(row: &ThreeRows) {
            // SAFETY: by the contract of `Pairs`.
            unsafe {
                match STRIDE {
                    1 => three::stride_1(row),
                    _ => three::stride_2(row),
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::Pairs;
    use crate::Avx512;
    use core::arch::x86_64::*;

    // SAFETY: blocks of 32 and vectors of 16 channels are loaded and stored, or `n` codes.
    unsafe impl Pairs for Avx512 {
        type Codes = __m512i;
        type Weights = __m512i;
        type Sums = __m512i;
        const CHANNELS: usize = 16;
        const TILES: bool = true;

        #[inline(always)]
        unsafe fn widen<const SIGNED: bool>(from: *const u8, to: *mut i16, n: usize) {
            // SAFETY: features, `n` codes and 32 places by the contract of `Pairs`; a masked load touches no others.
            unsafe {
                let codes = match n == 32 {
                    true => _mm256_loadu_si256(from.cast()),
                    false => _mm256_maskz_loadu_epi8((1 << n) - 1, from.cast()),
                };
                // `unpack` takes half of each 128 bits: fours of the first vector there, of the second beside them.
                let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
                let codes = _mm256_permutevar8x32_epi32(codes, order);
                let wide =
                    if SIGNED { _mm512_cvtepi8_epi16(codes) } else { _mm512_cvtepu8_epi16(codes) };
                _mm512_storeu_si512(to.cast(), wide);
            }
        }

        #[inline(always)]
        unsafe fn pair<const HIGH: bool>(a: *const i16, b: *const i16) -> __m512i {
            // SAFETY: features and blocks of 32 by the contract of `Pairs`.
            unsafe {
                let (a, b) = (_mm512_loadu_si512(a.cast()), _mm512_loadu_si512(b.cast()));
                if HIGH { _mm512_unpackhi_epi16(a, b) } else { _mm512_unpacklo_epi16(a, b) }
            }
        }

        #[inline(always)]
        unsafe fn weights(from: *const i16) -> __m512i {
            // SAFETY: features and 32 weights by the contract of `Pairs`.
            unsafe { _mm512_loadu_si512(from.cast()) }
        }

        #[inline(always)]
        unsafe fn sums(from: *const i32) -> __m512i {
            // SAFETY: features and 16 sums by the contract of `Pairs`.
            unsafe { _mm512_loadu_si512(from.cast()) }
        }

        #[inline(always)]
        unsafe fn add_products(sums: __m512i, codes: __m512i, weights: __m512i) -> __m512i {
            // SAFETY: features by the contract of `Pairs`.
            unsafe { _mm512_add_epi32(sums, _mm512_madd_epi16(codes, weights)) }
        }

        #[inline(always)]
        unsafe fn store(sums: __m512i, to: *mut i32) {
            // SAFETY: features and 16 sums by the contract of `Pairs`.
            unsafe { _mm512_storeu_si512(to.cast(), sums) }
        }
    }
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon {
    use super::{Pairs, some};
    use crate::Neon;
    use core::arch::aarch64::*;

    // SAFETY: blocks of 16 and vectors of 8 channels are loaded and stored, or `n` codes.
    unsafe impl Pairs for Neon {
        type Codes = [int16x8_t; 2];
        type Weights = int16x8x2_t;
        type Sums = [int32x4_t; 2];
        const CHANNELS: usize = 8;
        const TILES: bool = true;

        #[inline(always)]
        unsafe fn widen<const SIGNED: bool>(from: *const u8, to: *mut i16, n: usize) {
            // SAFETY: features, `n` codes and 16 places by the contract of `Pairs`.
            unsafe {
                let codes = match n == 16 {
                    true => vld1q_u8(from),
                    false => vld1q_u8(some(from, n).as_ptr()),
                };
                let [low, high] = if SIGNED {
                    let codes = vreinterpretq_s8_u8(codes);
                    [vmovl_s8(vget_low_s8(codes)), vmovl_high_s8(codes)]
                } else {
                    [vmovl_u8(vget_low_u8(codes)), vmovl_high_u8(codes)]
                        .map(|wide| vreinterpretq_s16_u16(wide))
                };
                vst1q_s16(to, low);
                vst1q_s16(to.add(8), high);
            }
        }

        #[inline(always)]
        unsafe fn pair<const HIGH: bool>(a: *const i16, b: *const i16) -> [int16x8_t; 2] {
            let at = if HIGH { 8 } else { 0 };
            // SAFETY: features and blocks of 16 by the contract of `Pairs`.
            unsafe { [vld1q_s16(a.add(at)), vld1q_s16(b.add(at))] }
        }

        #[inline(always)]
        unsafe fn weights(from: *const i16) -> int16x8x2_t {
            // SAFETY: features and 16 weights by the contract of `Pairs`.
            unsafe { vld2q_s16(from) }
        }

        #[inline(always)]
        unsafe fn sums(from: *const i32) -> [int32x4_t; 2] {
            // SAFETY: features and 8 sums by the contract of `Pairs`.
            unsafe { [vld1q_s32(from), vld1q_s32(from.add(4))] }
        }

        #[inline(always)]
        unsafe fn add_products(
            [low, high]: [int32x4_t; 2],
            [a, b]: [int16x8_t; 2],
            int16x8x2_t(v, w): int16x8x2_t,
        ) -> [int32x4_t; 2] {
            // SAFETY: features by the contract of `Pairs`.
            unsafe {
                let low = vmlal_s16(low, vget_low_s16(a), vget_low_s16(v));
                let high = vmlal_high_s16(high, a, v);
                [vmlal_s16(low, vget_low_s16(b), vget_low_s16(w)), vmlal_high_s16(high, b, w)]
            }
        }

        #[inline(always)]
        unsafe fn store([low, high]: [int32x4_t; 2], to: *mut i32) {
            // SAFETY: features and 8 sums by the contract of `Pairs`.
            unsafe {
                vst1q_s32(to, low);
                vst1q_s32(to.add(4), high);
            }
        }
    }
}
