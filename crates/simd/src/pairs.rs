//! Products of two taps at a time, channel by channel: what a depthwise convolution is made of.
//!
//! Codes are widened to i16, so that every product and the sum of two of them is exact whatever the codes are.

use crate::Scalar;
use crate::lanes::partial;

/// Sums of products for some neighbouring channels.
///
/// # Safety
/// An implementation's methods must do as documented here on every CPU with the implementation's
/// instruction set, and access no memory but what they document.
///
/// The methods' shared contract: the caller is compiled for the instruction set and the CPU has it;
/// pointers are valid for what is accessed, at any alignment. `n`, where a method takes it, is the number of
/// elements in memory, `1..=CHANNELS`.
#[allow(
    clippy::missing_safety_doc,
    reason = "the contract is the same for all methods and stated once, on the trait"
)]
pub unsafe trait Pairs: 'static {
    /// Bytes, one a channel.
    type Codes: Copy;
    /// Two 16-bit weights a channel.
    type Weights: Copy;
    /// A 32-bit sum a channel.
    type Sums: Copy;
    /// Channels at once, at most [`MAX_PAIR_CHANNELS`].
    const CHANNELS: usize;

    /// `n` bytes; other channels are 0.
    unsafe fn codes(from: *const u8, n: usize) -> Self::Codes;
    /// `[CHANNELS][2]` weights.
    unsafe fn weights(from: *const i16) -> Self::Weights;
    /// [`CHANNELS`](Pairs::CHANNELS) sums.
    unsafe fn sums(from: *const i32) -> Self::Sums;
    /// `sum + a * w[0] + b * w[1]` modulo 2^32, for each channel; `a` and `b` are s8 or, not `SIGNED`, u8.
    unsafe fn add_products<const SIGNED: bool>(
        sums: Self::Sums,
        a: Self::Codes,
        b: Self::Codes,
        weights: Self::Weights,
    ) -> Self::Sums;
    /// Stores the first `n` sums.
    unsafe fn store(sums: Self::Sums, to: *mut i32, n: usize);
}

/// The most channels that a backend takes at once.
pub const MAX_PAIR_CHANNELS: usize = 32;

// SAFETY: portable code, which accesses what the trait documents.
unsafe impl Pairs for Scalar {
    type Codes = [u8; 8];
    type Weights = [[i16; 2]; 8];
    type Sums = [i32; 8];
    const CHANNELS: usize = 8;

    #[inline(always)]
    unsafe fn codes(from: *const u8, n: usize) -> [u8; 8] {
        // SAFETY: `n` bytes by the contract of `Pairs`.
        unsafe {
            if n == 8 {
                return from.cast::<[u8; 8]>().read_unaligned();
            }
            (partial::load(from, n) as u64).to_le_bytes()
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
    unsafe fn add_products<const SIGNED: bool>(
        mut sums: [i32; 8],
        a: [u8; 8],
        b: [u8; 8],
        weights: Self::Weights,
    ) -> [i32; 8] {
        let wide = |code: u8| if SIGNED { code as i8 as i32 } else { code as i32 };
        for (((sum, a), b), [v, w]) in sums.iter_mut().zip(a).zip(b).zip(weights) {
            let pair = (wide(a) * v as i32).wrapping_add(wide(b) * w as i32);
            *sum = sum.wrapping_add(pair);
        }
        sums
    }

    #[inline(always)]
    unsafe fn store(sums: [i32; 8], to: *mut i32, n: usize) {
        for (i, sum) in sums.into_iter().enumerate().take(n) {
            // SAFETY: `n` sums by the contract of `Pairs`.
            unsafe { to.add(i).write_unaligned(sum) }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Pairs, partial};
    use crate::{Avx2, Lanes};
    use core::arch::x86_64::*;

    // SAFETY: 16 channels are loaded and stored, or `n` of them.
    unsafe impl Pairs for Avx2 {
        type Codes = __m128i;
        type Weights = [__m256i; 2];
        type Sums = [__m256i; 2];
        const CHANNELS: usize = 16;

        #[inline(always)]
        unsafe fn codes(from: *const u8, n: usize) -> __m128i {
            // SAFETY: features and `n` bytes by the contract of `Pairs`.
            unsafe {
                if n == 16 {
                    return _mm_loadu_si128(from.cast());
                }
                let bytes = partial::load(from, n);
                _mm_set_epi64x((bytes >> 64) as i64, bytes as i64)
            }
        }

        #[inline(always)]
        unsafe fn weights(from: *const i16) -> [__m256i; 2] {
            // SAFETY: features and 32 weights by the contract of `Pairs`.
            unsafe { [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(16).cast())] }
        }

        #[inline(always)]
        unsafe fn sums(from: *const i32) -> [__m256i; 2] {
            // SAFETY: features and 16 sums by the contract of `Pairs`.
            unsafe { [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(8).cast())] }
        }

        #[inline(always)]
        unsafe fn add_products<const SIGNED: bool>(
            [low, high]: [__m256i; 2],
            a: __m128i,
            b: __m128i,
            [w_low, w_high]: [__m256i; 2],
        ) -> [__m256i; 2] {
            // SAFETY: features by the contract of `Pairs`.
            unsafe {
                let widen = |v: __m128i| {
                    if SIGNED { _mm256_cvtepi8_epi16(v) } else { _mm256_cvtepu8_epi16(v) }
                };
                let first = _mm256_madd_epi16(widen(_mm_unpacklo_epi8(a, b)), w_low);
                let second = _mm256_madd_epi16(widen(_mm_unpackhi_epi8(a, b)), w_high);
                [_mm256_add_epi32(low, first), _mm256_add_epi32(high, second)]
            }
        }

        #[inline(always)]
        unsafe fn store([low, high]: [__m256i; 2], to: *mut i32, n: usize) {
            // SAFETY: features and `n` sums by the contract of `Pairs`.
            unsafe {
                Avx2::store_i32(to, low, n.min(8));
                if n > 8 {
                    Avx2::store_i32(to.add(8), high, n - 8);
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::Pairs;
    use crate::{Avx512, Lanes};
    use core::arch::x86_64::*;

    /// Channels as `unpack` orders them: each 128 bits of a result has a half of those of its operands.
    #[inline(always)]
    unsafe fn halves() -> (__m512i, __m512i) {
        // SAFETY: called where the features are.
        unsafe {
            (
                _mm512_setr_epi32(0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27),
                _mm512_setr_epi32(4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31),
            )
        }
    }

    /// Two vectors in the order of channels, to that of `unpack`.
    #[inline(always)]
    unsafe fn split(from: *const i32) -> [__m512i; 2] {
        // SAFETY: called where the features are, with 32 words.
        unsafe {
            let (low, high) = halves();
            let (a, b) = (_mm512_loadu_si512(from.cast()), _mm512_loadu_si512(from.add(16).cast()));
            [_mm512_permutex2var_epi32(a, low, b), _mm512_permutex2var_epi32(a, high, b)]
        }
    }

    // SAFETY: 32 channels are loaded and stored, or `n` of them.
    unsafe impl Pairs for Avx512 {
        type Codes = __m256i;
        type Weights = [__m512i; 2];
        type Sums = [__m512i; 2];
        const CHANNELS: usize = 32;

        #[inline(always)]
        unsafe fn codes(from: *const u8, n: usize) -> __m256i {
            // SAFETY: features and `n` bytes by the contract of `Pairs`; a masked load touches no others.
            unsafe {
                if n == 32 {
                    return _mm256_loadu_si256(from.cast());
                }
                _mm256_maskz_loadu_epi8((1 << n) - 1, from.cast())
            }
        }

        #[inline(always)]
        unsafe fn weights(from: *const i16) -> [__m512i; 2] {
            // SAFETY: features and 64 weights by the contract of `Pairs`.
            unsafe { split(from.cast()) }
        }

        #[inline(always)]
        unsafe fn sums(from: *const i32) -> [__m512i; 2] {
            // SAFETY: features and 32 sums by the contract of `Pairs`.
            unsafe { split(from) }
        }

        #[inline(always)]
        unsafe fn add_products<const SIGNED: bool>(
            [low, high]: [__m512i; 2],
            a: __m256i,
            b: __m256i,
            [w_low, w_high]: [__m512i; 2],
        ) -> [__m512i; 2] {
            // SAFETY: features by the contract of `Pairs`.
            unsafe {
                let widen = |v: __m256i| {
                    if SIGNED { _mm512_cvtepi8_epi16(v) } else { _mm512_cvtepu8_epi16(v) }
                };
                let (a, b) = (widen(a), widen(b));
                let first = _mm512_madd_epi16(_mm512_unpacklo_epi16(a, b), w_low);
                let second = _mm512_madd_epi16(_mm512_unpackhi_epi16(a, b), w_high);
                [_mm512_add_epi32(low, first), _mm512_add_epi32(high, second)]
            }
        }

        #[inline(always)]
        unsafe fn store([low, high]: [__m512i; 2], to: *mut i32, n: usize) {
            // SAFETY: features and `n` sums by the contract of `Pairs`.
            unsafe {
                // Where each of 32 channels in order lies in the two vectors.
                let first =
                    _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
                let second =
                    _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
                Avx512::store_i32(to, _mm512_permutex2var_epi32(low, first, high), n.min(16));
                if n > 16 {
                    let behind = _mm512_permutex2var_epi32(low, second, high);
                    Avx512::store_i32(to.add(16), behind, n - 16);
                }
            }
        }
    }
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon {
    use super::{Pairs, partial};
    use crate::{Lanes, Neon};
    use core::arch::aarch64::*;

    // SAFETY: 8 channels are loaded and stored, or `n` of them.
    unsafe impl Pairs for Neon {
        type Codes = uint8x8_t;
        type Weights = int16x8x2_t;
        type Sums = [int32x4_t; 2];
        const CHANNELS: usize = 8;

        #[inline(always)]
        unsafe fn codes(from: *const u8, n: usize) -> uint8x8_t {
            // SAFETY: features and `n` bytes by the contract of `Pairs`.
            unsafe {
                if n == 8 {
                    return vld1_u8(from);
                }
                vcreate_u8(partial::load(from, n) as u64)
            }
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
        unsafe fn add_products<const SIGNED: bool>(
            [low, high]: [int32x4_t; 2],
            a: uint8x8_t,
            b: uint8x8_t,
            int16x8x2_t(v, w): int16x8x2_t,
        ) -> [int32x4_t; 2] {
            // SAFETY: features by the contract of `Pairs`.
            unsafe {
                let widen = |codes: uint8x8_t| {
                    if SIGNED {
                        vmovl_s8(vreinterpret_s8_u8(codes))
                    } else {
                        vreinterpretq_s16_u16(vmovl_u8(codes))
                    }
                };
                let (a, b) = (widen(a), widen(b));
                let low = vmlal_s16(low, vget_low_s16(a), vget_low_s16(v));
                let high = vmlal_high_s16(high, a, v);
                [vmlal_s16(low, vget_low_s16(b), vget_low_s16(w)), vmlal_high_s16(high, b, w)]
            }
        }

        #[inline(always)]
        unsafe fn store([low, high]: [int32x4_t; 2], to: *mut i32, n: usize) {
            // SAFETY: features and `n` sums by the contract of `Pairs`.
            unsafe {
                Neon::store_i32(to, low, n.min(4));
                if n > 4 {
                    Neon::store_i32(to.add(4), high, n - 4);
                }
            }
        }
    }
}
