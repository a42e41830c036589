//! AVX2 with FMA and F16C: 8 lanes. Rounding directions are in the instruction, not in MXCSR,
//! wherever there is a choice.

use super::{HalfLanes, Lanes, partial};
use core::arch::x86_64::*;

/// 8 lanes in a ymm register. Its methods need `avx2`, `fma` and `f16c`.
#[derive(Clone, Copy)]
pub struct Avx2;

/// All ones in the lanes below `n`, zero in the others.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn first(n: usize) -> __m256i {
    // SAFETY: features by the contract of `Lanes`.
    unsafe {
        let index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), index)
    }
}

/// Up to 8 bytes, zero above.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn load_bytes(from: *const u8, n: usize) -> __m128i {
    // SAFETY: features and `n` readable bytes by the contract of `Lanes`.
    unsafe {
        if n == Avx2::LANES {
            _mm_loadl_epi64(from.cast())
        } else {
            _mm_cvtsi64_si128(partial::load(from, n) as i64)
        }
    }
}

/// The bytes of four vectors, packed in pairs, one behind the other. Packing works in halves: 4 bytes of each
/// vector, then 4 more.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn in_order(bytes: __m256i) -> __m256i {
    // SAFETY: features by the contract of `Lanes`.
    unsafe { _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)) }
}

/// Four vectors as the nearest bytes, one behind the other.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn s8_of_4([a, b, c, d]: [__m256i; 4]) -> __m256i {
    // SAFETY: features by the contract of `Lanes`.
    unsafe {
        let (ab, cd) = (_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
        in_order(_mm256_packs_epi16(ab, cd))
    }
}

/// Four vectors as the nearest bytes, one behind the other.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn u8_of_4([a, b, c, d]: [__m256i; 4]) -> __m256i {
    // SAFETY: features by the contract of `Lanes`.
    unsafe {
        let (ab, cd) = (_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
        in_order(_mm256_packus_epi16(ab, cd))
    }
}

/// Four vectors plus what all lanes of `add` are, as the nearest s16 in packing's order: half the additions
/// than before packing. What saturates is beyond the bytes with anything added.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn s16_sums_of_4([a, b, c, d]: [__m256i; 4], add: __m256i) -> (__m256i, __m256i) {
    // SAFETY: features by the contract of `Lanes`.
    unsafe {
        let add = _mm256_packs_epi32(add, add);
        let (ab, cd) = (_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
        (_mm256_adds_epi16(ab, add), _mm256_adds_epi16(cd, add))
    }
}

/// The high halves of two vectors' lanes, one behind the other.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn high_of_2(a: __m256i, b: __m256i) -> __m256i {
    // SAFETY: features by the contract of `Lanes`.
    unsafe {
        // Packing works in halves: 4 of each vector, then 4 more.
        let packed = _mm256_packus_epi32(_mm256_srli_epi32::<16>(a), _mm256_srli_epi32::<16>(b));
        _mm256_permute4x64_epi64::<0b11_01_10_00>(packed)
    }
}

/// Stores a vector, with `STREAM` around the caches, at an aligned address.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn store<const STREAM: bool>(to: *mut __m256i, v: __m256i) {
    // SAFETY: features, elements and alignment by the contract of `Lanes`.
    unsafe { if STREAM { _mm256_stream_si256(to, v) } else { _mm256_storeu_si256(to, v) } }
}

/// `floor(x / 2^n + 1/2)` of 64-bit lanes, the nearest i32 in the lower half of each; `n` in 1..=62.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn round_shr(x: __m256i, n: __m256i) -> __m256i {
    // SAFETY: features by the contract of `Lanes`.
    unsafe {
        let one = _mm256_set1_epi64x(1);
        let half = _mm256_sllv_epi64(one, _mm256_sub_epi64(n, one));
        // There is no signed shift of 64 bits: of a number 2^63 larger the unsigned one is 2^(63 - n) larger.
        let sign = _mm256_set1_epi64x(i64::MIN);
        let biased = _mm256_xor_si256(_mm256_add_epi64(x, half), sign);
        let y = _mm256_sub_epi64(_mm256_srlv_epi64(biased, n), _mm256_srlv_epi64(sign, n));
        let (low, high) =
            (_mm256_set1_epi64x(i32::MIN as i64), _mm256_set1_epi64x(i32::MAX as i64));
        let y = _mm256_blendv_epi8(y, high, _mm256_cmpgt_epi64(y, high));
        _mm256_blendv_epi8(y, low, _mm256_cmpgt_epi64(low, y))
    }
}

// SAFETY: each method is its instruction; loads and stores of part of a vector use masked moves,
// which do not access masked-off elements, or the pieces of `partial`.
unsafe impl Lanes for Avx2 {
    type F32 = __m256;
    type I32 = __m256i;
    const LANES: usize = 8;
    const FUSED: bool = true;
    const STREAMS: bool = true;

    #[inline(always)]
    unsafe fn load_f32(from: *const f32, n: usize) -> __m256 {
        // SAFETY: features and `n` elements by the contract of `Lanes`; masked lanes are not read.
        unsafe {
            if n == Self::LANES {
                _mm256_loadu_ps(from)
            } else {
                _mm256_maskload_ps(from, first(n))
            }
        }
    }

    #[inline(always)]
    unsafe fn load_i32(from: *const i32, n: usize) -> __m256i {
        // SAFETY: features and `n` elements by the contract of `Lanes`; masked lanes are not read.
        unsafe {
            if n == Self::LANES {
                _mm256_loadu_si256(from.cast())
            } else {
                _mm256_maskload_epi32(from, first(n))
            }
        }
    }

    #[inline(always)]
    unsafe fn load_u8(from: *const u8, n: usize) -> __m256i {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe { _mm256_cvtepu8_epi32(load_bytes(from, n)) }
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const i8, n: usize) -> __m256i {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe { _mm256_cvtepi8_epi32(load_bytes(from.cast(), n)) }
    }

    #[inline(always)]
    unsafe fn store_f32(to: *mut f32, v: __m256, n: usize) {
        // SAFETY: features and `n` elements by the contract of `Lanes`; masked lanes stay unwritten.
        unsafe {
            if n == Self::LANES {
                _mm256_storeu_ps(to, v);
            } else {
                _mm256_maskstore_ps(to, first(n), v);
            }
        }
    }

    #[inline(always)]
    unsafe fn store_i32(to: *mut i32, v: __m256i, n: usize) {
        // SAFETY: features and `n` elements by the contract of `Lanes`; masked lanes stay unwritten.
        unsafe {
            if n == Self::LANES {
                _mm256_storeu_si256(to.cast(), v);
            } else {
                _mm256_maskstore_epi32(to, first(n), v);
            }
        }
    }

    #[inline(always)]
    unsafe fn store_u8(to: *mut u8, v: __m256i, n: usize) {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe {
            // The low byte of each lane to the bottom of its half, then the halves together.
            let low = _mm256_shuffle_epi8(v, _mm256_set1_epi32(0x0C08_0400));
            let bytes =
                _mm_unpacklo_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256::<1>(low));
            if n == Self::LANES {
                _mm_storel_epi64(to.cast(), bytes);
            } else {
                partial::store(to, _mm_cvtsi128_si64(bytes) as u64 as u128, n);
            }
        }
    }

    #[inline(always)]
    unsafe fn splat_f32(v: f32) -> __m256 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_set1_ps(v) }
    }

    #[inline(always)]
    unsafe fn splat_i32(v: i32) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_set1_epi32(v) }
    }

    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_div_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn min(a: __m256, b: __m256) -> __m256 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_min_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn max(a: __m256, b: __m256) -> __m256 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn replace_nan(a: __m256, b: __m256) -> __m256 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_blendv_ps(a, b, _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a)) }
    }

    #[inline(always)]
    unsafe fn round_half_even(a: __m256) -> __m256 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    unsafe fn round_half_away(a: __m256) -> __m256 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            // The f32 below one half: adding one half itself would carry 0.5 - 2^-25 up to 1. The
            // sum rounds up to the integer for every tie and never for the number below a tie.
            let half = _mm256_set1_ps(0.5_f32.next_down());
            let sign = _mm256_and_ps(a, _mm256_set1_ps(-0.0));
            let sum = _mm256_add_ps(a, _mm256_or_ps(half, sign));
            _mm256_round_ps::<{ _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC }>(sum)
        }
    }

    #[inline(always)]
    unsafe fn i32_from_f32(a: __m256) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_cvttps_epi32(a) }
    }

    #[inline(always)]
    unsafe fn nearest_i32(a: __m256) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_cvtps_epi32(a) }
    }

    #[inline(always)]
    unsafe fn f32_from_i32(a: __m256i) -> __m256 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_cvtepi32_ps(a) }
    }

    #[inline(always)]
    unsafe fn add_i32(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_add_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn sub_i32(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_sub_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn min_i32(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_min_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn max_i32(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_max_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn or_xor(acc: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_or_si256(acc, _mm256_xor_si256(a, b)) }
    }

    #[inline(always)]
    unsafe fn or_i32(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_or_si256(a, b) }
    }

    #[inline(always)]
    unsafe fn and_i32(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_and_si256(a, b) }
    }

    #[inline(always)]
    unsafe fn is_zero(a: __m256i) -> bool {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_testz_si256(a, a) == 1 }
    }

    #[inline(always)]
    unsafe fn is_zero_without_nan(a: __m256i, [x0, x1, x2, x3]: [__m256; 4]) -> bool {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            let nan = _mm256_or_ps(
                _mm256_cmp_ps::<_CMP_UNORD_Q>(x0, x1),
                _mm256_cmp_ps::<_CMP_UNORD_Q>(x2, x3),
            );
            let any = _mm256_or_si256(a, _mm256_castps_si256(nan));
            _mm256_testz_si256(any, any) == 1
        }
    }

    #[inline(always)]
    unsafe fn from_bits(a: __m256i) -> __m256 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_castsi256_ps(a) }
    }

    #[inline(always)]
    unsafe fn bits(a: __m256) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_castps_si256(a) }
    }

    #[inline(always)]
    unsafe fn shl<const N: u32>(a: __m256i) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_sll_epi32(a, _mm_cvtsi32_si128(N as i32)) }
    }

    #[inline(always)]
    unsafe fn shr<const N: u32>(a: __m256i) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_srl_epi32(a, _mm_cvtsi32_si128(N as i32)) }
    }

    #[inline(always)]
    unsafe fn select_gt(a: __m256i, b: __m256i, c: __m256i, d: __m256i) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_blendv_epi8(d, c, _mm256_cmpgt_epi32(a, b)) }
    }

    #[inline(always)]
    unsafe fn min_across(a: __m256) -> f32 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            let four = _mm_min_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_min_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_min_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    unsafe fn max_across(a: __m256) -> f32 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            let four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    unsafe fn min_across_i32(a: __m256i) -> i32 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            let four = _mm_min_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
            let two = _mm_min_epi32(four, _mm_shuffle_epi32::<0b00_00_11_10>(four));
            _mm_cvtsi128_si32(_mm_min_epi32(two, _mm_shuffle_epi32::<1>(two)))
        }
    }

    #[inline(always)]
    unsafe fn max_across_i32(a: __m256i) -> i32 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            let four = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
            let two = _mm_max_epi32(four, _mm_shuffle_epi32::<0b00_00_11_10>(four));
            _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32::<1>(two)))
        }
    }

    #[inline(always)]
    unsafe fn shl_each(a: __m256i, n: __m256i) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_sllv_epi32(a, n) }
    }

    #[inline(always)]
    unsafe fn shr_each(a: __m256i, n: __m256i) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_srav_epi32(a, n) }
    }

    #[inline(always)]
    unsafe fn lookup_8(table: &[f32; 8], index: __m256i) -> __m256 {
        // SAFETY: features by the contract of `Lanes`; eight entries.
        unsafe { _mm256_permutevar8x32_ps(_mm256_loadu_ps(table.as_ptr()), index) }
    }

    #[inline(always)]
    unsafe fn mul_round_shr(a: __m256i, b: __m256i, n: __m256i) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            // Every second lane; then the others, moved to where these are.
            let (a1, b1) = (_mm256_srli_epi64::<32>(a), _mm256_srli_epi64::<32>(b));
            let n0 = _mm256_blend_epi32::<0b10_10_10_10>(n, _mm256_setzero_si256());
            let even = round_shr(_mm256_mul_epi32(a, b), n0);
            let odd = round_shr(_mm256_mul_epi32(a1, b1), _mm256_srli_epi64::<32>(n));
            _mm256_blend_epi32::<0b10_10_10_10>(even, _mm256_slli_epi64::<32>(odd))
        }
    }

    #[inline(always)]
    unsafe fn sum_across_i32(a: __m256i) -> i32 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            let four = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
            let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b00_00_11_10>(four));
            _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
        }
    }

    #[inline(always)]
    unsafe fn add_bytes(acc: __m256i, from: *const u8, flip: __m256i) -> __m256i {
        // SAFETY: features and elements by the contract of `Lanes`.
        unsafe {
            let bytes = _mm256_xor_si256(_mm256_loadu_si256(from.cast()), flip);
            // Sums of eight, in every second lane.
            _mm256_add_epi32(acc, _mm256_sad_epu8(bytes, _mm256_setzero_si256()))
        }
    }

    #[inline(always)]
    unsafe fn store_s8_of_4<const STREAM: bool>(to: *mut i8, v: [__m256i; 4]) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe { store::<STREAM>(to.cast(), s8_of_4(v)) }
    }

    #[inline(always)]
    unsafe fn store_bytes_of_4<const STREAM: bool>(to: *mut u8, v: [__m256i; 4], flip: __m256i) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe { store::<STREAM>(to.cast(), _mm256_xor_si256(u8_of_4(v), flip)) }
    }

    #[inline(always)]
    unsafe fn store_s8_sums_of_4<const STREAM: bool>(to: *mut i8, v: [__m256i; 4], add: __m256i) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe {
            let (ab, cd) = s16_sums_of_4(v, add);
            store::<STREAM>(to.cast(), in_order(_mm256_packs_epi16(ab, cd)));
        }
    }

    #[inline(always)]
    unsafe fn store_byte_sums_of_4<const STREAM: bool>(
        to: *mut u8,
        v: [__m256i; 4],
        add: __m256i,
        flip: __m256i,
    ) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe {
            let (ab, cd) = s16_sums_of_4(v, add);
            let bytes = in_order(_mm256_packus_epi16(ab, cd));
            store::<STREAM>(to.cast(), _mm256_xor_si256(bytes, flip));
        }
    }

    #[inline(always)]
    unsafe fn pack_nibbles(from: *const u8, to: *mut u8) {
        // SAFETY: features and elements by the contract of `Lanes`.
        unsafe {
            let codes = _mm256_and_si256(_mm256_loadu_si256(from.cast()), _mm256_set1_epi8(15));
            // Each pair as the first plus 16 times the second.
            let pairs = _mm256_maddubs_epi16(codes, _mm256_set1_epi16(0x1001));
            let bytes = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi16(pairs, pairs));
            _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(bytes));
        }
    }

    #[inline(always)]
    unsafe fn unpack_nibbles(from: *const u8, to: *mut u8, sign: u8) {
        // SAFETY: features and elements by the contract of `Lanes`.
        unsafe {
            let bytes = _mm256_cvtepu8_epi16(_mm_loadu_si128(from.cast()));
            let both = _mm256_or_si256(bytes, _mm256_slli_epi16::<4>(bytes));
            let nibbles = _mm256_and_si256(both, _mm256_set1_epi8(15));
            let sign = _mm256_set1_epi8(sign as i8);
            _mm256_storeu_si256(to.cast(), _mm256_sub_epi8(_mm256_xor_si256(nibbles, sign), sign));
        }
    }

    #[inline(always)]
    unsafe fn stream_f32(to: *mut f32, v: __m256) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe { _mm256_stream_ps(to, v) }
    }

    #[inline(always)]
    unsafe fn fence() {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe { _mm_sfence() }
    }

    #[inline(always)]
    unsafe fn order_key(a: __m256) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            let bits = _mm256_castps_si256(a);
            _mm256_xor_si256(bits, _mm256_srli_epi32::<1>(_mm256_srai_epi32::<31>(bits)))
        }
    }
}

// SAFETY: as above.
unsafe impl HalfLanes for Avx2 {
    type U16 = __m128i;

    #[inline(always)]
    unsafe fn load_u16(from: *const u16, n: usize) -> __m128i {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe {
            if n == Self::LANES {
                _mm_loadu_si128(from.cast())
            } else {
                let bits = partial::load(from.cast(), 2 * n);
                _mm_set_epi64x((bits >> 64) as i64, bits as i64)
            }
        }
    }

    #[inline(always)]
    unsafe fn store_u16(to: *mut u16, v: __m128i, n: usize) {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe {
            if n == Self::LANES {
                _mm_storeu_si128(to.cast(), v);
            } else {
                let low = _mm_cvtsi128_si64(v) as u64;
                let high = _mm_extract_epi64::<1>(v) as u64;
                partial::store(to.cast(), u128::from(high) << 64 | u128::from(low), 2 * n);
            }
        }
    }

    #[inline(always)]
    unsafe fn stream_u16(to: *mut u16, v: __m128i) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe { _mm_stream_si128(to.cast(), v) }
    }

    #[inline(always)]
    unsafe fn store_s16_of_4<const STREAM: bool>(to: *mut u16, [a, b, c, d]: [__m256i; 4]) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe {
            // Packing works in halves: 4 of each vector, then 4 more.
            let ab = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(a, b));
            let cd = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(c, d));
            store::<STREAM>(to.cast(), ab);
            store::<STREAM>(to.add(16).cast(), cd);
        }
    }

    #[inline(always)]
    unsafe fn store_high_of_4<const STREAM: bool>(to: *mut u16, [a, b, c, d]: [__m256i; 4]) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe {
            store::<STREAM>(to.cast(), high_of_2(a, b));
            store::<STREAM>(to.add(16).cast(), high_of_2(c, d));
        }
    }

    #[inline(always)]
    unsafe fn any_low_zero([a, b, c, d]: [__m256i; 4]) -> bool {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            let least = _mm256_min_epu16(_mm256_min_epu16(a, b), _mm256_min_epu16(c, d));
            let zero = _mm256_cmpeq_epi16(least, _mm256_setzero_si256());
            _mm256_testz_si256(zero, _mm256_set1_epi32(0xFFFF)) == 0
        }
    }

    #[inline(always)]
    unsafe fn narrow_i32(v: __m256i) -> __m128i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            // The low halves of each half's lanes to its bottom, then the halves together.
            let order = _mm256_setr_epi8(
                0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 4, 5, 8, 9, 12, 13,
                -1, -1, -1, -1, -1, -1, -1, -1,
            );
            let low = _mm256_shuffle_epi8(v, order);
            _mm_unpacklo_epi64(_mm256_castsi256_si128(low), _mm256_extracti128_si256::<1>(low))
        }
    }

    #[inline(always)]
    unsafe fn high_u16(v: __m128i) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(v)) }
    }

    #[inline(always)]
    unsafe fn widen_i16(v: __m128i) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_cvtepi16_epi32(v) }
    }

    #[inline(always)]
    unsafe fn f16_to_f32(v: __m128i) -> __m256 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_cvtph_ps(v) }
    }

    #[inline(always)]
    unsafe fn f32_to_f16(v: __m256) -> __m128i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(v) }
    }

    #[inline(always)]
    unsafe fn load_high_u8(from: *const u8, n: usize) -> __m128i {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe { _mm_unpacklo_epi8(_mm_setzero_si128(), load_bytes(from, n)) }
    }

    #[inline(always)]
    unsafe fn e4m3fn_to_f32(v: __m128i) -> __m256 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            // The sign came along, into the exponent's top.
            let half = _mm_and_si128(_mm_srai_epi16::<1>(v), _mm_set1_epi16(!0x4000));
            let nan = _mm_or_si128(v, _mm_set1_epi16(i16::MIN));
            let nan = _mm_cmpeq_epi16(nan, _mm_set1_epi16(-1 << 8));
            // From 0x3F80 to 0x7E00.
            let half = _mm_xor_si128(half, _mm_and_si128(nan, _mm_set1_epi16(0x4180)));
            _mm256_mul_ps(_mm256_cvtph_ps(half), _mm256_set1_ps(256.0))
        }
    }

    #[inline(always)]
    unsafe fn bf16_to_f32(v: __m128i) -> __m256 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            let bits = _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(v));
            let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x0040_0000));
            Self::replace_nan(_mm256_castsi256_ps(bits), _mm256_castsi256_ps(quiet))
        }
    }

    #[inline(always)]
    unsafe fn f32_to_bf16(v: __m256) -> __m128i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            // On the bits, as `vcvtneps2bf16` flushes subnormals. Adding 0x7FFF and the bit that
            // becomes the last one rounds to even; the carry moves the exponent up, to infinity
            // where it must. A NaN keeps its top bits and gets the quiet bit instead.
            let bits = _mm256_castps_si256(v);
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            let rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd);
            let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x0040_0000));
            let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(v, v);
            let chosen =
                _mm256_blendv_ps(_mm256_castsi256_ps(rounded), _mm256_castsi256_ps(quiet), nan);
            let high = _mm256_srli_epi32::<16>(_mm256_castps_si256(chosen));
            _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256::<1>(high))
        }
    }
}
