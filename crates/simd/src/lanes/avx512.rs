//! AVX-512 F, BW, DQ and VL: 16 lanes. Masked moves load and store part of a vector.

use super::{HalfLanes, Lanes};
use core::arch::x86_64::*;

/// 16 lanes in a zmm register. Its methods need `avx512f`, `avx512bw`, `avx512dq` and `avx512vl`.
#[derive(Clone, Copy)]
pub struct Avx512;

/// The lanes below `n`, `n <= 16`.
#[inline(always)]
fn first(n: usize) -> __mmask16 {
    ((1_u32 << (n & 31)).wrapping_sub(1)) as __mmask16
}

/// Four vectors as the nearest bytes, one behind the other.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn s8_of_4([a, b, c, d]: [__m512i; 4]) -> __m512i {
    // SAFETY: features and elements by the contract of `Lanes`.
    unsafe {
        // Packing works in quarters: 4 bytes of each vector, quarter by quarter.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let (ab, cd) = (_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
        _mm512_permutexvar_epi32(order, _mm512_packs_epi16(ab, cd))
    }
}

/// Four vectors as the nearest bytes, one behind the other.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn u8_of_4([a, b, c, d]: [__m512i; 4]) -> __m512i {
    // SAFETY: features and elements by the contract of `Lanes`.
    unsafe {
        // Packing works in quarters: 4 bytes of each vector, quarter by quarter.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let (ab, cd) = (_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
        _mm512_permutexvar_epi32(order, _mm512_packus_epi16(ab, cd))
    }
}

/// The high halves of two vectors' lanes, one behind the other.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn high_of_2(a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: features by the contract of `Lanes`.
    unsafe {
        // Word by word of each in turn, then put in order.
        let mixed = _mm512_mask_blend_epi16(0xAAAA_AAAA, _mm512_srli_epi32::<16>(a), b);
        let order = _mm512_set_epi16(
            31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1, 30, 28, 26, 24, 22, 20, 18,
            16, 14, 12, 10, 8, 6, 4, 2, 0,
        );
        _mm512_permutexvar_epi16(order, mixed)
    }
}

/// Stores a vector, with `STREAM` around the caches, at an aligned address.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn store<const STREAM: bool>(to: *mut __m512i, v: __m512i) {
    // SAFETY: features, elements and alignment by the contract of `Lanes`.
    unsafe { if STREAM { _mm512_stream_si512(to, v) } else { _mm512_storeu_si512(to, v) } }
}

/// `floor(x / 2^n + 1/2)` of 64-bit lanes, the nearest i32 in the lower half of each; `n` in 1..=62.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn round_shr(x: __m512i, n: __m512i) -> __m512i {
    // SAFETY: features by the contract of `Lanes`.
    unsafe {
        let one = _mm512_set1_epi64(1);
        let half = _mm512_sllv_epi64(one, _mm512_sub_epi64(n, one));
        let y = _mm512_srav_epi64(_mm512_add_epi64(x, half), n);
        let (low, high) = (_mm512_set1_epi64(i32::MIN as i64), _mm512_set1_epi64(i32::MAX as i64));
        _mm512_min_epi64(_mm512_max_epi64(y, low), high)
    }
}

impl Avx512 {
    /// `sum` and the products of bf16 pairs, a pair in each lane: of the upper halves first, then of the lower ones, each step
    /// [`fma_flushed`](fewbit_scheme::fma_flushed).
    ///
    /// # Safety
    /// Within a function compiled for `Avx512` and `avx512bf16`.
    #[inline(always)]
    pub unsafe fn add_bf16_products(x: __m512, w: __m512, sum: __m512) -> __m512 {
        // SAFETY: features by this function's contract; the types are as many bits.
        unsafe {
            let pairs = |v: __m512| core::mem::transmute::<__m512, __m512bh>(v);
            _mm512_dpbf16_ps(sum, pairs(x), pairs(w))
        }
    }
}

// SAFETY: each method is its instruction; masked moves do not access masked-off elements.
unsafe impl Lanes for Avx512 {
    type F32 = __m512;
    type I32 = __m512i;
    const LANES: usize = 16;
    const FUSED: bool = true;
    const STREAMS: bool = true;

    #[inline(always)]
    unsafe fn load_f32(from: *const f32, n: usize) -> __m512 {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe { _mm512_maskz_loadu_ps(first(n), from) }
    }

    #[inline(always)]
    unsafe fn load_i32(from: *const i32, n: usize) -> __m512i {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe { _mm512_maskz_loadu_epi32(first(n), from) }
    }

    #[inline(always)]
    unsafe fn load_u8(from: *const u8, n: usize) -> __m512i {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe { _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(first(n), from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const i8, n: usize) -> __m512i {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe { _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(first(n), from)) }
    }

    #[inline(always)]
    unsafe fn store_f32(to: *mut f32, v: __m512, n: usize) {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe { _mm512_mask_storeu_ps(to, first(n), v) }
    }

    #[inline(always)]
    unsafe fn store_i32(to: *mut i32, v: __m512i, n: usize) {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe { _mm512_mask_storeu_epi32(to, first(n), v) }
    }

    #[inline(always)]
    unsafe fn store_u8(to: *mut u8, v: __m512i, n: usize) {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe { _mm_mask_storeu_epi8(to.cast(), first(n), _mm512_cvtepi32_epi8(v)) }
    }

    #[inline(always)]
    unsafe fn splat_f32(v: f32) -> __m512 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_set1_ps(v) }
    }

    #[inline(always)]
    unsafe fn splat_i32(v: i32) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_set1_epi32(v) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn min(a: __m512, b: __m512) -> __m512 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn replace_nan(a: __m512, b: __m512) -> __m512 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a), a, b) }
    }

    #[inline(always)]
    unsafe fn round_half_even(a: __m512) -> __m512 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    unsafe fn round_half_away(a: __m512) -> __m512 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            // As `Avx2` does it, and for its reason.
            let half = _mm512_set1_ps(0.5_f32.next_down());
            let sign = _mm512_and_ps(a, _mm512_set1_ps(-0.0));
            let sum = _mm512_add_ps(a, _mm512_or_ps(half, sign));
            _mm512_roundscale_ps::<{ _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC }>(sum)
        }
    }

    #[inline(always)]
    unsafe fn i32_from_f32(a: __m512) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_cvttps_epi32(a) }
    }

    #[inline(always)]
    unsafe fn nearest_i32(a: __m512) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_cvtps_epi32(a) }
    }

    #[inline(always)]
    unsafe fn f32_from_i32(a: __m512i) -> __m512 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_cvtepi32_ps(a) }
    }

    #[inline(always)]
    unsafe fn add_i32(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn sub_i32(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_sub_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn min_i32(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_min_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn max_i32(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_max_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn or_xor(acc: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_ternarylogic_epi32::<0b1111_0110>(acc, a, b) }
    }

    #[inline(always)]
    unsafe fn or_i32(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_or_si512(a, b) }
    }

    #[inline(always)]
    unsafe fn and_i32(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_and_si512(a, b) }
    }

    #[inline(always)]
    unsafe fn is_zero(a: __m512i) -> bool {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_test_epi32_mask(a, a) == 0 }
    }

    #[inline(always)]
    unsafe fn is_zero_without_nan(a: __m512i, [x0, x1, x2, x3]: [__m512; 4]) -> bool {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x0, x1)
                | _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x2, x3);
            _mm512_test_epi32_mask(a, a) | nan == 0
        }
    }

    #[inline(always)]
    unsafe fn from_bits(a: __m512i) -> __m512 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_castsi512_ps(a) }
    }

    #[inline(always)]
    unsafe fn bits(a: __m512) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_castps_si512(a) }
    }

    #[inline(always)]
    unsafe fn shl<const N: u32>(a: __m512i) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_slli_epi32::<N>(a) }
    }

    #[inline(always)]
    unsafe fn shr<const N: u32>(a: __m512i) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_srli_epi32::<N>(a) }
    }

    #[inline(always)]
    unsafe fn select_gt(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_mask_blend_epi32(_mm512_cmpgt_epi32_mask(a, b), d, c) }
    }

    #[inline(always)]
    unsafe fn min_across(a: __m512) -> f32 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_reduce_min_ps(a) }
    }

    #[inline(always)]
    unsafe fn max_across(a: __m512) -> f32 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_reduce_max_ps(a) }
    }

    #[inline(always)]
    unsafe fn min_across_i32(a: __m512i) -> i32 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_reduce_min_epi32(a) }
    }

    #[inline(always)]
    unsafe fn max_across_i32(a: __m512i) -> i32 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_reduce_max_epi32(a) }
    }

    #[inline(always)]
    unsafe fn shl_each(a: __m512i, n: __m512i) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_sllv_epi32(a, n) }
    }

    #[inline(always)]
    unsafe fn shr_each(a: __m512i, n: __m512i) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_srav_epi32(a, n) }
    }

    #[inline(always)]
    unsafe fn lookup_8(table: &[f32; 8], index: __m512i) -> __m512 {
        // SAFETY: features by the contract of `Lanes`; eight entries. Both halves are the table, whichever bit 3 picks.
        unsafe {
            let table = _mm512_broadcast_f32x8(_mm256_loadu_ps(table.as_ptr()));
            _mm512_permutexvar_ps(index, table)
        }
    }

    #[inline(always)]
    unsafe fn mul_round_shr(a: __m512i, b: __m512i, n: __m512i) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            // Every second lane; then the others, moved to where these are.
            let (a1, b1) = (_mm512_srli_epi64::<32>(a), _mm512_srli_epi64::<32>(b));
            let n0 = _mm512_maskz_mov_epi32(0x5555, n);
            let even = round_shr(_mm512_mul_epi32(a, b), n0);
            let odd = round_shr(_mm512_mul_epi32(a1, b1), _mm512_srli_epi64::<32>(n));
            _mm512_mask_mov_epi32(even, 0xAAAA, _mm512_slli_epi64::<32>(odd))
        }
    }

    #[inline(always)]
    unsafe fn sum_across_i32(a: __m512i) -> i32 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_reduce_add_epi32(a) }
    }

    #[inline(always)]
    unsafe fn add_bytes(acc: __m512i, from: *const u8, flip: __m512i) -> __m512i {
        // SAFETY: features and elements by the contract of `Lanes`.
        unsafe {
            let bytes = _mm512_xor_si512(_mm512_loadu_si512(from.cast()), flip);
            // Sums of eight, in every second lane.
            _mm512_add_epi32(acc, _mm512_sad_epu8(bytes, _mm512_setzero_si512()))
        }
    }

    #[inline(always)]
    unsafe fn store_s8_of_4<const STREAM: bool>(to: *mut i8, v: [__m512i; 4]) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe { store::<STREAM>(to.cast(), s8_of_4(v)) }
    }

    #[inline(always)]
    unsafe fn store_bytes_of_4<const STREAM: bool>(to: *mut u8, v: [__m512i; 4], flip: __m512i) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe { store::<STREAM>(to.cast(), _mm512_xor_si512(u8_of_4(v), flip)) }
    }

    #[inline(always)]
    unsafe fn pack_nibbles(from: *const u8, to: *mut u8) {
        // SAFETY: features and elements by the contract of `Lanes`.
        unsafe {
            let codes = _mm512_and_si512(_mm512_loadu_si512(from.cast()), _mm512_set1_epi8(15));
            // Each pair as the first plus 16 times the second.
            let pairs = _mm512_maddubs_epi16(codes, _mm512_set1_epi16(0x1001));
            _mm256_storeu_si256(to.cast(), _mm512_cvtepi16_epi8(pairs));
        }
    }

    #[inline(always)]
    unsafe fn unpack_nibbles(from: *const u8, to: *mut u8, sign: u8) {
        // SAFETY: features and elements by the contract of `Lanes`.
        unsafe {
            let bytes = _mm512_cvtepu8_epi16(_mm256_loadu_si256(from.cast()));
            let both = _mm512_or_si512(bytes, _mm512_slli_epi16::<4>(bytes));
            let nibbles = _mm512_and_si512(both, _mm512_set1_epi8(15));
            let sign = _mm512_set1_epi8(sign as i8);
            let codes = _mm512_sub_epi8(_mm512_xor_si512(nibbles, sign), sign);
            _mm512_storeu_si512(to.cast(), codes);
        }
    }

    #[inline(always)]
    unsafe fn stream_f32(to: *mut f32, v: __m512) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe { _mm512_stream_ps(to, v) }
    }

    #[inline(always)]
    unsafe fn fence() {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe { _mm_sfence() }
    }

    #[inline(always)]
    unsafe fn order_key(a: __m512) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            let bits = _mm512_castps_si512(a);
            _mm512_xor_si512(bits, _mm512_srli_epi32::<1>(_mm512_srai_epi32::<31>(bits)))
        }
    }
}

// SAFETY: as above.
unsafe impl HalfLanes for Avx512 {
    #[inline(always)]
    unsafe fn mul_odd(a: __m512, b: __m512) -> __m512 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            // Towards zero, and the last bit set if that is not all.
            const ZERO: i32 = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
            let product = _mm512_mul_round_ps::<ZERO>(a, b);
            let lost = _mm512_fmsub_ps(a, b, product);
            // The lesser magnitude of what is lost and of the smallest number, whose bits are 1: 1 if
            // anything is lost. (By way of a mask it would be three steps more.)
            const LESSER_MAGNITUDE: i32 = 0b1010;
            let one = _mm512_castsi512_ps(_mm512_set1_epi32(1));
            let inexact = _mm512_range_ps::<LESSER_MAGNITUDE>(lost, one);
            _mm512_or_ps(product, inexact)
        }
    }

    type U16 = __m256i;

    #[inline(always)]
    unsafe fn load_u16(from: *const u16, n: usize) -> __m256i {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe { _mm256_maskz_loadu_epi16(first(n), from.cast()) }
    }

    #[inline(always)]
    unsafe fn store_u16(to: *mut u16, v: __m256i, n: usize) {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe { _mm256_mask_storeu_epi16(to.cast(), first(n), v) }
    }

    #[inline(always)]
    unsafe fn stream_u16(to: *mut u16, v: __m256i) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe { _mm256_stream_si256(to.cast(), v) }
    }

    #[inline(always)]
    unsafe fn store_s16_of_4<const STREAM: bool>(to: *mut u16, [a, b, c, d]: [__m512i; 4]) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe {
            // Packing works in quarters: 4 of each vector, quarter by quarter.
            let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
            let ab = _mm512_permutexvar_epi64(order, _mm512_packs_epi32(a, b));
            let cd = _mm512_permutexvar_epi64(order, _mm512_packs_epi32(c, d));
            store::<STREAM>(to.cast(), ab);
            store::<STREAM>(to.add(32).cast(), cd);
        }
    }

    #[inline(always)]
    unsafe fn store_high_of_4<const STREAM: bool>(to: *mut u16, [a, b, c, d]: [__m512i; 4]) {
        // SAFETY: features, elements and alignment by the contract of `Lanes`.
        unsafe {
            store::<STREAM>(to.cast(), high_of_2(a, b));
            store::<STREAM>(to.add(32).cast(), high_of_2(c, d));
        }
    }

    #[inline(always)]
    unsafe fn any_low_zero([a, b, c, d]: [__m512i; 4]) -> bool {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            let least = _mm512_min_epu16(_mm512_min_epu16(a, b), _mm512_min_epu16(c, d));
            _mm512_testn_epi32_mask(least, _mm512_set1_epi32(0xFFFF)) != 0
        }
    }

    #[inline(always)]
    unsafe fn narrow_i32(v: __m512i) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_cvtepi32_epi16(v) }
    }

    #[inline(always)]
    unsafe fn high_u16(v: __m256i) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(v)) }
    }

    #[inline(always)]
    unsafe fn widen_i16(v: __m256i) -> __m512i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_cvtepi16_epi32(v) }
    }

    #[inline(always)]
    unsafe fn f16_to_f32(v: __m256i) -> __m512 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_cvtph_ps(v) }
    }

    #[inline(always)]
    unsafe fn f32_to_f16(v: __m512) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe { _mm512_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(v) }
    }

    #[inline(always)]
    unsafe fn load_high_u8(from: *const u8, n: usize) -> __m256i {
        // SAFETY: features and `n` elements by the contract of `Lanes`.
        unsafe {
            let bytes = _mm_maskz_loadu_epi8(first(n), from.cast());
            _mm256_slli_epi16::<8>(_mm256_cvtepu8_epi16(bytes))
        }
    }

    #[inline(always)]
    unsafe fn e4m3fn_to_f32(v: __m256i) -> __m512 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            // The sign came along, into the exponent's top.
            let half = _mm256_and_si256(_mm256_srai_epi16::<1>(v), _mm256_set1_epi16(!0x4000));
            let nan = _mm256_or_si256(v, _mm256_set1_epi16(i16::MIN));
            let nan = _mm256_cmpeq_epi16_mask(nan, _mm256_set1_epi16(-1 << 8));
            // From 0x3F80 to 0x7E00.
            let half = _mm256_mask_add_epi16(half, nan, half, _mm256_set1_epi16(0x3E80));
            _mm512_mul_ps(_mm512_cvtph_ps(half), _mm512_set1_ps(256.0))
        }
    }

    #[inline(always)]
    unsafe fn bf16_to_f32(v: __m256i) -> __m512 {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            let bits = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(v));
            let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x0040_0000));
            Self::replace_nan(_mm512_castsi512_ps(bits), _mm512_castsi512_ps(quiet))
        }
    }

    #[inline(always)]
    unsafe fn f32_to_bf16(v: __m512) -> __m256i {
        // SAFETY: features by the contract of `Lanes`.
        unsafe {
            // As `Avx2` does it, and for its reasons.
            let bits = _mm512_castps_si512(v);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd);
            let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x0040_0000));
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(v, v);
            let chosen = _mm512_mask_blend_epi32(nan, rounded, quiet);
            _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(chosen))
        }
    }
}
