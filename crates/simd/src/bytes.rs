//! Vectors of 8-bit codes as they are: the larger of two, and sums in 16 and then 32 bits. What pooling is made of.

use crate::Scalar;
use crate::lanes::partial;

/// Neighbouring codes, one a byte.
///
/// # Safety
/// An implementation's methods must do as documented here on every CPU with the implementation's
/// instruction set, and access no memory but what they document.
///
/// The methods' shared contract: the caller is compiled for the instruction set and the CPU has it;
/// pointers are valid for what is accessed, at any alignment. `n`, where a method takes it, is the number of
/// elements in memory, `1..=BYTES`. Codes are s8 or, not `SIGNED`, u8.
#[allow(
    clippy::missing_safety_doc,
    reason = "the contract is the same for all methods and stated once, on the trait"
)]
pub unsafe trait Bytes: 'static {
    /// The codes.
    type Codes: Copy;
    /// A 16-bit sum a code.
    type Sums16: Copy;
    /// A 32-bit sum a code.
    type Sums: Copy;
    /// Codes at once.
    const BYTES: usize;

    /// `n` codes; the others are 0.
    unsafe fn load(from: *const u8, n: usize) -> Self::Codes;
    /// Stores the first `n` codes.
    unsafe fn store(to: *mut u8, codes: Self::Codes, n: usize);
    /// The larger of each two.
    unsafe fn max<const SIGNED: bool>(a: Self::Codes, b: Self::Codes) -> Self::Codes;
    /// Zeros.
    unsafe fn zeros() -> Self::Sums16;
    /// `sum + code` modulo 2^16: [`MAX_ADDED`] codes stay within i16.
    unsafe fn add<const SIGNED: bool>(sums: Self::Sums16, codes: Self::Codes) -> Self::Sums16;
    /// `v` everywhere.
    unsafe fn splat(v: i32) -> Self::Sums;
    /// `a + b` modulo 2^32, the latter signed.
    unsafe fn widen(a: Self::Sums, b: Self::Sums16) -> Self::Sums;
    /// Stores the first `n` sums.
    unsafe fn store_sums(to: *mut i32, sums: Self::Sums, n: usize);
}

/// Codes whose sum an i16 holds, from 0 on: `128 * 255 < 2^15`.
pub const MAX_ADDED: usize = 128;

// SAFETY: portable code, which accesses what the trait documents.
unsafe impl Bytes for Scalar {
    type Codes = [u8; 8];
    type Sums16 = [i16; 8];
    type Sums = [i32; 8];
    const BYTES: usize = 8;

    #[inline(always)]
    unsafe fn load(from: *const u8, n: usize) -> [u8; 8] {
        // SAFETY: `n` bytes by the contract of `Bytes`.
        unsafe {
            if n == 8 {
                return from.cast::<[u8; 8]>().read_unaligned();
            }
            (partial::load(from, n) as u64).to_le_bytes()
        }
    }

    #[inline(always)]
    unsafe fn store(to: *mut u8, codes: [u8; 8], n: usize) {
        // SAFETY: `n` bytes by the contract of `Bytes`.
        unsafe {
            if n == 8 {
                return to.cast::<[u8; 8]>().write_unaligned(codes);
            }
            partial::store(to, u64::from_le_bytes(codes) as u128, n);
        }
    }

    #[inline(always)]
    unsafe fn max<const SIGNED: bool>(mut a: [u8; 8], b: [u8; 8]) -> [u8; 8] {
        for (a, b) in a.iter_mut().zip(b) {
            *a = if SIGNED { (*a as i8).max(b as i8) as u8 } else { (*a).max(b) };
        }
        a
    }

    #[inline(always)]
    unsafe fn zeros() -> [i16; 8] {
        [0; 8]
    }

    #[inline(always)]
    unsafe fn add<const SIGNED: bool>(mut sums: [i16; 8], codes: [u8; 8]) -> [i16; 8] {
        for (sum, code) in sums.iter_mut().zip(codes) {
            *sum = sum.wrapping_add(if SIGNED { code as i8 as i16 } else { code as i16 });
        }
        sums
    }

    #[inline(always)]
    unsafe fn splat(v: i32) -> [i32; 8] {
        [v; 8]
    }

    #[inline(always)]
    unsafe fn widen(mut a: [i32; 8], b: [i16; 8]) -> [i32; 8] {
        for (a, b) in a.iter_mut().zip(b) {
            *a = a.wrapping_add(b as i32);
        }
        a
    }

    #[inline(always)]
    unsafe fn store_sums(to: *mut i32, sums: [i32; 8], n: usize) {
        for (i, sum) in sums.into_iter().enumerate().take(n) {
            // SAFETY: `n` sums by the contract of `Bytes`.
            unsafe { to.add(i).write_unaligned(sum) }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Bytes, partial};
    use crate::{Avx2, Lanes};
    use core::arch::x86_64::*;

    /// Fewer than 16 bytes, zero above.
    ///
    /// # Safety
    /// Within a function compiled for AVX2; the bytes can be read.
    #[inline(always)]
    unsafe fn some(from: *const u8, n: usize) -> __m128i {
        // SAFETY: by this function's contract.
        unsafe {
            let bytes = partial::load(from, n);
            _mm_set_epi64x((bytes >> 64) as i64, bytes as i64)
        }
    }

    // SAFETY: 32 codes are loaded and stored, or `n` of them.
    unsafe impl Bytes for Avx2 {
        type Codes = __m256i;
        type Sums16 = [__m256i; 2];
        type Sums = [__m256i; 4];
        const BYTES: usize = 32;

        #[inline(always)]
        unsafe fn load(from: *const u8, n: usize) -> __m256i {
            // SAFETY: features and `n` bytes by the contract of `Bytes`.
            unsafe {
                if n == 32 {
                    return _mm256_loadu_si256(from.cast());
                }
                if n < 16 {
                    return _mm256_zextsi128_si256(some(from, n));
                }
                let low = _mm_loadu_si128(from.cast());
                _mm256_set_m128i(some(from.add(16), n - 16), low)
            }
        }

        #[inline(always)]
        unsafe fn store(to: *mut u8, codes: __m256i, n: usize) {
            // SAFETY: features and `n` bytes by the contract of `Bytes`.
            unsafe {
                if n == 32 {
                    return _mm256_storeu_si256(to.cast(), codes);
                }
                let (mut to, mut n, mut half) = (to, n, _mm256_castsi256_si128(codes));
                if n >= 16 {
                    _mm_storeu_si128(to.cast(), half);
                    (to, n, half) = (to.add(16), n - 16, _mm256_extracti128_si256::<1>(codes));
                }
                let low = _mm_cvtsi128_si64(half) as u64 as u128;
                let high = _mm_extract_epi64::<1>(half) as u64 as u128;
                partial::store(to, low | high << 64, n);
            }
        }

        #[inline(always)]
        unsafe fn max<const SIGNED: bool>(a: __m256i, b: __m256i) -> __m256i {
            // SAFETY: features by the contract of `Bytes`.
            unsafe { if SIGNED { _mm256_max_epi8(a, b) } else { _mm256_max_epu8(a, b) } }
        }

        #[inline(always)]
        unsafe fn zeros() -> [__m256i; 2] {
            // SAFETY: features by the contract of `Bytes`.
            unsafe { [_mm256_setzero_si256(); 2] }
        }

        #[inline(always)]
        unsafe fn add<const SIGNED: bool>(
            [low, high]: [__m256i; 2],
            codes: __m256i,
        ) -> [__m256i; 2] {
            // SAFETY: features by the contract of `Bytes`.
            unsafe {
                let (first, second) =
                    (_mm256_castsi256_si128(codes), _mm256_extracti128_si256::<1>(codes));
                let (first, second) = if SIGNED {
                    (_mm256_cvtepi8_epi16(first), _mm256_cvtepi8_epi16(second))
                } else {
                    (_mm256_cvtepu8_epi16(first), _mm256_cvtepu8_epi16(second))
                };
                [_mm256_add_epi16(low, first), _mm256_add_epi16(high, second)]
            }
        }

        #[inline(always)]
        unsafe fn splat(v: i32) -> [__m256i; 4] {
            // SAFETY: features by the contract of `Bytes`.
            unsafe { [_mm256_set1_epi32(v); 4] }
        }

        #[inline(always)]
        unsafe fn widen([a, b, c, d]: [__m256i; 4], [low, high]: [__m256i; 2]) -> [__m256i; 4] {
            // SAFETY: features by the contract of `Bytes`.
            unsafe {
                [
                    _mm256_add_epi32(a, _mm256_cvtepi16_epi32(_mm256_castsi256_si128(low))),
                    _mm256_add_epi32(b, _mm256_cvtepi16_epi32(_mm256_extracti128_si256::<1>(low))),
                    _mm256_add_epi32(c, _mm256_cvtepi16_epi32(_mm256_castsi256_si128(high))),
                    _mm256_add_epi32(d, _mm256_cvtepi16_epi32(_mm256_extracti128_si256::<1>(high))),
                ]
            }
        }

        #[inline(always)]
        unsafe fn store_sums(to: *mut i32, sums: [__m256i; 4], n: usize) {
            for (i, sums) in sums.into_iter().enumerate() {
                if n > 8 * i {
                    // SAFETY: features and `n` sums by the contract of `Bytes`.
                    unsafe { Avx2::store_i32(to.add(8 * i), sums, (n - 8 * i).min(8)) }
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::Bytes;
    use crate::{Avx512, Lanes};
    use core::arch::x86_64::*;

    /// The lowest `n` of 64 bits, `1..=64`.
    #[inline(always)]
    fn first(n: usize) -> u64 {
        u64::MAX >> ((64 - n) & 63)
    }

    // SAFETY: masked moves access the first `n` codes only.
    unsafe impl Bytes for Avx512 {
        type Codes = __m512i;
        type Sums16 = [__m512i; 2];
        type Sums = [__m512i; 4];
        const BYTES: usize = 64;

        #[inline(always)]
        unsafe fn load(from: *const u8, n: usize) -> __m512i {
            // SAFETY: features and `n` bytes by the contract of `Bytes`; masked ones are not read.
            unsafe {
                if n == 64 {
                    return _mm512_loadu_si512(from.cast());
                }
                _mm512_maskz_loadu_epi8(first(n), from.cast())
            }
        }

        #[inline(always)]
        unsafe fn store(to: *mut u8, codes: __m512i, n: usize) {
            // SAFETY: features and `n` bytes by the contract of `Bytes`; masked ones stay unwritten.
            unsafe {
                if n == 64 {
                    return _mm512_storeu_si512(to.cast(), codes);
                }
                _mm512_mask_storeu_epi8(to.cast(), first(n), codes);
            }
        }

        #[inline(always)]
        unsafe fn max<const SIGNED: bool>(a: __m512i, b: __m512i) -> __m512i {
            // SAFETY: features by the contract of `Bytes`.
            unsafe { if SIGNED { _mm512_max_epi8(a, b) } else { _mm512_max_epu8(a, b) } }
        }

        #[inline(always)]
        unsafe fn zeros() -> [__m512i; 2] {
            // SAFETY: features by the contract of `Bytes`.
            unsafe { [_mm512_setzero_si512(); 2] }
        }

        #[inline(always)]
        unsafe fn add<const SIGNED: bool>(
            [low, high]: [__m512i; 2],
            codes: __m512i,
        ) -> [__m512i; 2] {
            // SAFETY: features by the contract of `Bytes`.
            unsafe {
                let (first, second) =
                    (_mm512_castsi512_si256(codes), _mm512_extracti64x4_epi64::<1>(codes));
                let (first, second) = if SIGNED {
                    (_mm512_cvtepi8_epi16(first), _mm512_cvtepi8_epi16(second))
                } else {
                    (_mm512_cvtepu8_epi16(first), _mm512_cvtepu8_epi16(second))
                };
                [_mm512_add_epi16(low, first), _mm512_add_epi16(high, second)]
            }
        }

        #[inline(always)]
        unsafe fn splat(v: i32) -> [__m512i; 4] {
            // SAFETY: features by the contract of `Bytes`.
            unsafe { [_mm512_set1_epi32(v); 4] }
        }

        #[inline(always)]
        unsafe fn widen([a, b, c, d]: [__m512i; 4], [low, high]: [__m512i; 2]) -> [__m512i; 4] {
            // SAFETY: features by the contract of `Bytes`.
            unsafe {
                let upper = _mm512_extracti64x4_epi64::<1>(low);
                let last = _mm512_extracti64x4_epi64::<1>(high);
                [
                    _mm512_add_epi32(a, _mm512_cvtepi16_epi32(_mm512_castsi512_si256(low))),
                    _mm512_add_epi32(b, _mm512_cvtepi16_epi32(upper)),
                    _mm512_add_epi32(c, _mm512_cvtepi16_epi32(_mm512_castsi512_si256(high))),
                    _mm512_add_epi32(d, _mm512_cvtepi16_epi32(last)),
                ]
            }
        }

        #[inline(always)]
        unsafe fn store_sums(to: *mut i32, sums: [__m512i; 4], n: usize) {
            for (i, sums) in sums.into_iter().enumerate() {
                if n > 16 * i {
                    // SAFETY: features and `n` sums by the contract of `Bytes`.
                    unsafe { Avx512::store_i32(to.add(16 * i), sums, (n - 16 * i).min(16)) }
                }
            }
        }
    }
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon {
    use super::{Bytes, partial};
    use crate::{Lanes, Neon};
    use core::arch::aarch64::*;

    // SAFETY: 16 codes are loaded and stored, or `n` of them.
    unsafe impl Bytes for Neon {
        type Codes = uint8x16_t;
        type Sums16 = [int16x8_t; 2];
        type Sums = [int32x4_t; 4];
        const BYTES: usize = 16;

        #[inline(always)]
        unsafe fn load(from: *const u8, n: usize) -> uint8x16_t {
            // SAFETY: features and `n` bytes by the contract of `Bytes`.
            unsafe {
                if n == 16 {
                    return vld1q_u8(from);
                }
                let bytes = partial::load(from, n);
                vcombine_u8(vcreate_u8(bytes as u64), vcreate_u8((bytes >> 64) as u64))
            }
        }

        #[inline(always)]
        unsafe fn store(to: *mut u8, codes: uint8x16_t, n: usize) {
            // SAFETY: features and `n` bytes by the contract of `Bytes`.
            unsafe {
                if n == 16 {
                    return vst1q_u8(to, codes);
                }
                let halves = vreinterpretq_u64_u8(codes);
                let low = vgetq_lane_u64::<0>(halves) as u128;
                let high = vgetq_lane_u64::<1>(halves) as u128;
                partial::store(to, low | high << 64, n);
            }
        }

        #[inline(always)]
        unsafe fn max<const SIGNED: bool>(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
            // SAFETY: features by the contract of `Bytes`.
            unsafe {
                if SIGNED {
                    let (a, b) = (vreinterpretq_s8_u8(a), vreinterpretq_s8_u8(b));
                    vreinterpretq_u8_s8(vmaxq_s8(a, b))
                } else {
                    vmaxq_u8(a, b)
                }
            }
        }

        #[inline(always)]
        unsafe fn zeros() -> [int16x8_t; 2] {
            // SAFETY: features by the contract of `Bytes`.
            unsafe { [vdupq_n_s16(0); 2] }
        }

        #[inline(always)]
        unsafe fn add<const SIGNED: bool>(
            [low, high]: [int16x8_t; 2],
            codes: uint8x16_t,
        ) -> [int16x8_t; 2] {
            // SAFETY: features by the contract of `Bytes`.
            unsafe {
                if SIGNED {
                    let codes = vreinterpretq_s8_u8(codes);
                    [vaddw_s8(low, vget_low_s8(codes)), vaddw_high_s8(high, codes)]
                } else {
                    let (low, high) = (vreinterpretq_u16_s16(low), vreinterpretq_u16_s16(high));
                    [
                        vreinterpretq_s16_u16(vaddw_u8(low, vget_low_u8(codes))),
                        vreinterpretq_s16_u16(vaddw_high_u8(high, codes)),
                    ]
                }
            }
        }

        #[inline(always)]
        unsafe fn splat(v: i32) -> [int32x4_t; 4] {
            // SAFETY: features by the contract of `Bytes`.
            unsafe { [vdupq_n_s32(v); 4] }
        }

        #[inline(always)]
        unsafe fn widen(
            [a, b, c, d]: [int32x4_t; 4],
            [low, high]: [int16x8_t; 2],
        ) -> [int32x4_t; 4] {
            // SAFETY: features by the contract of `Bytes`.
            unsafe {
                [
                    vaddw_s16(a, vget_low_s16(low)),
                    vaddw_high_s16(b, low),
                    vaddw_s16(c, vget_low_s16(high)),
                    vaddw_high_s16(d, high),
                ]
            }
        }

        #[inline(always)]
        unsafe fn store_sums(to: *mut i32, sums: [int32x4_t; 4], n: usize) {
            for (i, sums) in sums.into_iter().enumerate() {
                if n > 4 * i {
                    // SAFETY: features and `n` sums by the contract of `Bytes`.
                    unsafe { Neon::store_i32(to.add(4 * i), sums, (n - 4 * i).min(4)) }
                }
            }
        }
    }
}
