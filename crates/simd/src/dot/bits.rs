//! Dot products of bits: 32 neighbouring k-values a group, a bit each, the lowest bit first on both sides.
//!
//! A lane adds the number of bits that both words have, times `1 << SHIFT`: codes are 0 and 1, or 0 and 2 for -1 and +1
//! (their zero points are 1 then), and one side of 2s doubles every product, two quadruple it. So `xor` is not needed:
//!
//! ```text
//! Σ (2a - 1)(2w - 1)  =  4 Σ a w  -  2 Σ a  -  2 Σ w  +  K      for bits a, w
//! ```
//!
//! which is what the tiles do for zero points anyway. Bits beyond the last k are 0 on the rhs, so what the lhs has there
//! does not count.

use super::{Dot, LhsForm};
use core::marker::PhantomData;

/// A backend's way to count bits.
///
/// # Safety
/// As [`Dot`].
#[allow(
    clippy::missing_safety_doc,
    reason = "the contract is the same for all methods and stated once, on the trait"
)]
pub unsafe trait Count: Dot {
    /// `LANES` words of 32 bits.
    type Words: Copy;

    /// Reads `LANES` words at `from`.
    unsafe fn load_words(from: *const u8) -> Self::Words;
    /// Reads 4 bytes at `from`, into every lane.
    unsafe fn repeat_word(from: *const u8) -> Self::Words;
    /// `acc` plus `scale` (1, 2 or 4) times the number of bits set in both words, lane by lane, modulo 2^32.
    unsafe fn add_common(
        acc: Self::Acc,
        lhs: Self::Words,
        rhs: Self::Words,
        scale: i32,
    ) -> Self::Acc;
}

/// [`Dot`] of bits, each common one counted `1 << SHIFT` times.
#[derive(Clone, Copy, Debug)]
pub struct Bits<B, const SHIFT: u32>(PhantomData<B>);

// SAFETY: sums are the backend's own; groups are of 4 bytes on both sides.
unsafe impl<B: Count, const SHIFT: u32> Dot for Bits<B, SHIFT> {
    sums_of!(B);

    type Lhs = B::Words;
    type Rhs = B::Words;
    const LHS: LhsForm = LhsForm::Bits;
    const RHS_BYTES: usize = 4;

    #[inline(always)]
    unsafe fn load_lhs(from: *const u8) -> B::Words {
        // SAFETY: as above.
        unsafe { B::repeat_word(from) }
    }

    #[inline(always)]
    unsafe fn load_rhs(from: *const i8) -> B::Words {
        // SAFETY: as above.
        unsafe { B::load_words(from.cast()) }
    }

    #[inline(always)]
    unsafe fn dot(acc: B::Acc, lhs: B::Words, rhs: B::Words) -> B::Acc {
        // SAFETY: as above.
        unsafe { B::add_common(acc, lhs, rhs, const { 1 << SHIFT }) }
    }
}

// SAFETY: plain arithmetic on exactly the bytes documented.
unsafe impl Count for super::ScalarDot {
    type Words = [u32; 4];

    #[inline(always)]
    unsafe fn load_words(from: *const u8) -> [u32; 4] {
        // SAFETY: 16 bytes, by the trait's contract; any alignment.
        unsafe { from.cast::<[u32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn repeat_word(from: *const u8) -> [u32; 4] {
        // SAFETY: 4 bytes, by the trait's contract; any alignment.
        [unsafe { from.cast::<u32>().read_unaligned() }; 4]
    }

    #[inline(always)]
    unsafe fn add_common(mut acc: [i32; 4], lhs: [u32; 4], rhs: [u32; 4], scale: i32) -> [i32; 4] {
        for (sum, (a, w)) in acc.iter_mut().zip(lhs.into_iter().zip(rhs)) {
            *sum = sum.wrapping_add((a & w).count_ones() as i32 * scale);
        }
        acc
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::{Avx2Pair, Avx512Pair, Avx512Popcnt};
    use super::Count;
    use core::arch::x86_64::*;

    /// Implements [`Count`] by a table of the bits in each nibble, looked up by `vpshufb`; bytes of 0 to 8 become words by
    /// `vpmaddubsw` with the scale and `vpmaddwd` with ones.
    macro_rules! by_table {
        (
            $backend:ty, $vector:ty,
            [$load:ident, $set8:ident, $set16:ident, $set32:ident],
            [$and:ident, $shift:ident, $shuffle:ident, $add8:ident, $maddubs:ident, $madd:ident, $add32:ident],
            $table:expr
        ) => {
            // SAFETY: the intrinsics compute what the trait documents; loads touch exactly the bytes stated.
            unsafe impl Count for $backend {
                type Words = $vector;

                #[inline(always)]
                unsafe fn load_words(from: *const u8) -> $vector {
                    // SAFETY: the caller is compiled for this instruction set; the bytes by the trait's contract.
                    unsafe { $load(from.cast()) }
                }

                #[inline(always)]
                unsafe fn repeat_word(from: *const u8) -> $vector {
                    // SAFETY: as above.
                    unsafe { $set32(from.cast::<i32>().read_unaligned()) }
                }

                #[inline(always)]
                unsafe fn add_common(
                    acc: $vector,
                    lhs: $vector,
                    rhs: $vector,
                    scale: i32,
                ) -> $vector {
                    // SAFETY: as above.
                    unsafe {
                        let (low, table) = ($set8(15), $table);
                        let common = $and(lhs, rhs);
                        let of_low = $shuffle(table, $and(common, low));
                        let of_high = $shuffle(table, $and($shift::<4>(common), low));
                        let bits = $maddubs($add8(of_low, of_high), $set8(scale as i8));
                        $add32(acc, $madd(bits, $set16(1)))
                    }
                }
            }
        };
    }

    by_table! {
        Avx2Pair, __m256i,
        [_mm256_loadu_si256, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32],
        [_mm256_and_si256, _mm256_srli_epi16, _mm256_shuffle_epi8, _mm256_add_epi8, _mm256_maddubs_epi16, _mm256_madd_epi16, _mm256_add_epi32],
        _mm256_broadcastsi128_si256(_mm_loadu_si128(NIBBLES.as_ptr().cast()))
    }

    by_table! {
        Avx512Pair, __m512i,
        [_mm512_loadu_si512, _mm512_set1_epi8, _mm512_set1_epi16, _mm512_set1_epi32],
        [_mm512_and_si512, _mm512_srli_epi16, _mm512_shuffle_epi8, _mm512_add_epi8, _mm512_maddubs_epi16, _mm512_madd_epi16, _mm512_add_epi32],
        _mm512_broadcast_i32x4(_mm_loadu_si128(NIBBLES.as_ptr().cast()))
    }

    /// How many bits each nibble has.
    static NIBBLES: [u8; 16] = [0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4];

    // SAFETY: as above.
    unsafe impl Count for Avx512Popcnt {
        type Words = __m512i;

        #[inline(always)]
        unsafe fn load_words(from: *const u8) -> __m512i {
            // SAFETY: by the trait's contract, here and below.
            unsafe { _mm512_loadu_si512(from.cast()) }
        }

        #[inline(always)]
        unsafe fn repeat_word(from: *const u8) -> __m512i {
            // SAFETY: as above.
            unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
        }

        #[inline(always)]
        unsafe fn add_common(acc: __m512i, lhs: __m512i, rhs: __m512i, scale: i32) -> __m512i {
            // SAFETY: as above.
            unsafe {
                let bits = _mm512_popcnt_epi32(_mm512_and_si512(lhs, rhs));
                let bits = match scale {
                    1 => bits,
                    2 => _mm512_slli_epi32::<1>(bits),
                    _ => _mm512_slli_epi32::<2>(bits),
                };
                _mm512_add_epi32(acc, bits)
            }
        }
    }
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon {
    use super::super::NeonPair;
    use super::Count;
    use core::arch::aarch64::*;

    // SAFETY: the intrinsics compute what the trait documents; loads touch exactly the bytes stated.
    unsafe impl Count for NeonPair {
        type Words = uint8x16_t;

        #[inline(always)]
        unsafe fn load_words(from: *const u8) -> uint8x16_t {
            // SAFETY: by the trait's contract, here and below.
            unsafe { vld1q_u8(from) }
        }

        #[inline(always)]
        unsafe fn repeat_word(from: *const u8) -> uint8x16_t {
            // SAFETY: as above.
            unsafe { vreinterpretq_u8_u32(vdupq_n_u32(from.cast::<u32>().read_unaligned())) }
        }

        #[inline(always)]
        unsafe fn add_common(
            acc: int32x4_t,
            lhs: uint8x16_t,
            rhs: uint8x16_t,
            scale: i32,
        ) -> int32x4_t {
            // SAFETY: as above.
            unsafe {
                let bits = vcntq_u8(vandq_u8(lhs, rhs));
                let bits = match scale {
                    1 => bits,
                    2 => vshlq_n_u8::<1>(bits),
                    _ => vshlq_n_u8::<2>(bits),
                };
                let words = vpadalq_u16(vreinterpretq_u32_s32(acc), vpaddlq_u8(bits));
                vreinterpretq_s32_u32(words)
            }
        }
    }
}
