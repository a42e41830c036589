//! Dot products of bits: 32 neighbouring k-values a group, a bit each, the lowest bit first on both sides.
//!
//! A lane adds the number of bits that both words have. Codes are 0 and 1, or 0 and 2 for -1 and +1 (their zero points are 1
//! then), and one side of 2s doubles every product, two quadruple it: sums are moved left ([`Dot::shl`]) when all bits are
//! counted. So `xor` is not needed:
//!
//! ```text
//! Σ (2a - 1)(2w - 1)  =  4 Σ a w  -  2 Σ a  -  2 Σ w  +  K      for bits a, w
//! ```
//!
//! which is what the tiles do for zero points anyway. Where no instruction counts the bits of a lane, those of bytes are
//! counted ([`CountBytes`]) and added up in bytes for as long as they fit. Bits beyond the last k are 0 on the rhs, so what the lhs has there
//! does not count.

use super::{AHEAD, Dot, LhsForm, Steps};
use crate::prefetch;
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
    /// `acc` plus the number of bits set in both words, lane by lane, modulo 2^32.
    unsafe fn add_common(acc: Self::Acc, lhs: Self::Words, rhs: Self::Words) -> Self::Acc;
    /// [`Dot::steps`] of bits.
    #[inline(always)]
    unsafe fn bit_steps<const ROWS: usize, const NV: usize>(
        acc: &mut [[Self::Acc; NV]; ROWS],
        steps: Steps,
    ) -> bool {
        let _ = (acc, steps);
        false
    }
}

/// A backend that counts the bits of bytes.
///
/// # Safety
/// As [`Dot`].
#[allow(
    clippy::missing_safety_doc,
    reason = "the contract is the same for all methods and stated once, on the trait"
)]
pub unsafe trait CountBytes: Count {
    /// `4 * LANES` counts.
    type Counts: Copy;
    /// Words as they are counted with many others.
    type Prepared: Copy;

    /// Zeros.
    unsafe fn no_counts() -> Self::Counts;
    /// What all rows share of the rhs.
    unsafe fn prepare_rhs(rhs: Self::Words) -> Self::Prepared;
    /// What all columns share of the lhs.
    unsafe fn prepare_lhs(lhs: Self::Words) -> Self::Prepared;
    /// `counts` plus the number of bits set in both, byte by byte: up to 8; nothing may leave a byte.
    unsafe fn count(counts: Self::Counts, lhs: Self::Prepared, rhs: Self::Prepared)
    -> Self::Counts;
    /// `acc` plus the counts of each lane's four bytes, modulo 2^32.
    unsafe fn widen_counts(acc: Self::Acc, counts: Self::Counts) -> Self::Acc;
}

/// [`Bits`]' words, of bytes counted: groups whose counts fit a byte, 8 of each, are added up before they are widened.
///
/// # Safety
/// As [`Dot::steps`].
#[inline(always)]
unsafe fn byte_steps<B: CountBytes, const ROWS: usize, const NV: usize>(
    acc: &mut [[B::Acc; NV]; ROWS],
    steps: Steps,
) {
    const RUN: usize = 255 / 8;
    let Steps { mut lhs, row_stride, group_stride, mut rhs, count, .. } = steps;
    let mut left = count;
    // SAFETY: the caller is compiled for `B`; `count` groups of all rows and of the panel by this function's contract, at
    // most `RUN` of them before counts are widened.
    unsafe {
        while left > 0 {
            let run = if left < RUN { left } else { RUN };
            left -= run;
            let mut counts = [[B::no_counts(); NV]; ROWS];
            for _ in 0..run {
                let from = rhs.cast::<u8>();
                prefetch(from.wrapping_add(AHEAD));
                let mut columns = [B::prepare_rhs(B::load_words(from)); NV];
                for (v, column) in columns.iter_mut().enumerate().skip(1) {
                    *column = B::prepare_rhs(B::load_words(from.add(v * 4 * B::LANES)));
                }
                for (r, row) in counts.iter_mut().enumerate() {
                    let group = B::repeat_word(lhs.wrapping_add(r * row_stride));
                    let group = B::prepare_lhs(group);
                    for (counts, &column) in row.iter_mut().zip(&columns) {
                        *counts = B::count(*counts, group, column);
                    }
                }
                lhs = lhs.wrapping_add(group_stride);
                rhs = rhs.wrapping_add(NV * 4 * B::LANES);
            }
            for (row, counts) in acc.iter_mut().zip(counts) {
                for (acc, counts) in row.iter_mut().zip(counts) {
                    *acc = B::widen_counts(*acc, counts);
                }
            }
        }
    }
}

/// [`Dot`] of bits, each common one counted once.
#[derive(Clone, Copy, Debug)]
pub struct Bits<B>(PhantomData<B>);

// SAFETY: sums are the backend's own; groups are of 4 bytes on both sides.
unsafe impl<B: Count> Dot for Bits<B> {
    sums_of!(B);
    const CHAINS: usize = 1;

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
        unsafe { B::add_common(acc, lhs, rhs) }
    }

    #[inline(always)]
    unsafe fn steps<const ROWS: usize, const NV: usize>(
        acc: &mut [[B::Acc; NV]; ROWS],
        steps: Steps,
    ) -> bool {
        // SAFETY: as above.
        unsafe { B::bit_steps::<ROWS, NV>(acc, steps) }
    }
}

// SAFETY: plain arithmetic on exactly the bytes documented.
unsafe impl Count for super::ScalarDot {
    type Words = [u32; 4];

    #[inline(always)]
    unsafe fn load_words(from: *const u8) -> [u32; 4] {
        // SAFETY: 16 bytes, by the trait's contract; any alignment.
        unsafe { crate::opaque(from).cast::<[u32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn repeat_word(from: *const u8) -> [u32; 4] {
        // SAFETY: 4 bytes, by the trait's contract; any alignment.
        [unsafe { from.cast::<u32>().read_unaligned() }; 4]
    }

    #[inline(always)]
    unsafe fn add_common(mut acc: [i32; 4], lhs: [u32; 4], rhs: [u32; 4]) -> [i32; 4] {
        for (sum, (a, w)) in acc.iter_mut().zip(lhs.into_iter().zip(rhs)) {
            *sum = sum.wrapping_add((a & w).count_ones() as i32);
        }
        acc
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::{Avx2Pair, Avx512Pair, Avx512Popcnt};
    use super::{Count, CountBytes, Steps, byte_steps};
    use core::arch::x86_64::*;

    /// Implements [`Count`] by a table of the bits in each nibble, looked up by `vpshufb`; bytes become words by
    /// `vpmaddubsw` and `vpmaddwd` with ones. Words that are counted with many others are taken apart into
    /// their nibbles first; of the lhs' nibbles only those of the rhs are left when they have met.
    macro_rules! by_table {
        (
            $backend:ty, $vector:ty,
            [$zero:ident, $load:ident, $set8:ident, $set16:ident, $set32:ident],
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
                unsafe fn add_common(acc: $vector, lhs: $vector, rhs: $vector) -> $vector {
                    // SAFETY: as above.
                    unsafe {
                        let (lhs, rhs) = (Self::prepare_lhs(lhs), Self::prepare_rhs(rhs));
                        Self::widen_counts(acc, Self::count(Self::no_counts(), lhs, rhs))
                    }
                }

                #[inline(always)]
                unsafe fn bit_steps<const ROWS: usize, const NV: usize>(
                    acc: &mut [[$vector; NV]; ROWS],
                    steps: Steps,
                ) -> bool {
                    // SAFETY: as above.
                    unsafe { byte_steps::<$backend, ROWS, NV>(acc, steps) };
                    true
                }
            }

            // SAFETY: as above.
            unsafe impl CountBytes for $backend {
                type Counts = $vector;
                /// Bytes whose low nibbles matter: those of the words, and of the words moved by four bits.
                type Prepared = [$vector; 2];

                #[inline(always)]
                unsafe fn no_counts() -> $vector {
                    // SAFETY: as above.
                    unsafe { $zero() }
                }

                #[inline(always)]
                unsafe fn prepare_rhs(rhs: $vector) -> [$vector; 2] {
                    // SAFETY: as above.
                    unsafe { [$and(rhs, $set8(15)), $and($shift::<4>(rhs), $set8(15))] }
                }

                #[inline(always)]
                unsafe fn prepare_lhs(lhs: $vector) -> [$vector; 2] {
                    // SAFETY: as above.
                    unsafe { [lhs, $shift::<4>(lhs)] }
                }

                #[inline(always)]
                unsafe fn count(counts: $vector, lhs: [$vector; 2], rhs: [$vector; 2]) -> $vector {
                    // SAFETY: as above.
                    unsafe {
                        let table = $table;
                        let low = $shuffle(table, $and(lhs[0], rhs[0]));
                        let high = $shuffle(table, $and(lhs[1], rhs[1]));
                        $add8($add8(counts, low), high)
                    }
                }

                #[inline(always)]
                unsafe fn widen_counts(acc: $vector, counts: $vector) -> $vector {
                    // SAFETY: as above.
                    unsafe { $add32(acc, $madd($maddubs(counts, $set8(1)), $set16(1))) }
                }
            }
        };
    }

    by_table! {
        Avx2Pair, __m256i,
        [_mm256_setzero_si256, _mm256_loadu_si256, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32],
        [_mm256_and_si256, _mm256_srli_epi16, _mm256_shuffle_epi8, _mm256_add_epi8, _mm256_maddubs_epi16, _mm256_madd_epi16, _mm256_add_epi32],
        _mm256_broadcastsi128_si256(_mm_loadu_si128(NIBBLES.as_ptr().cast()))
    }

    by_table! {
        Avx512Pair, __m512i,
        [_mm512_setzero_si512, _mm512_loadu_si512, _mm512_set1_epi8, _mm512_set1_epi16, _mm512_set1_epi32],
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
        unsafe fn add_common(acc: __m512i, lhs: __m512i, rhs: __m512i) -> __m512i {
            // SAFETY: as above.
            unsafe { _mm512_add_epi32(acc, _mm512_popcnt_epi32(_mm512_and_si512(lhs, rhs))) }
        }
    }
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon {
    use super::super::NeonPair;
    use super::{Count, CountBytes, Steps, byte_steps};
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
        unsafe fn add_common(acc: int32x4_t, lhs: uint8x16_t, rhs: uint8x16_t) -> int32x4_t {
            // SAFETY: as above.
            unsafe { Self::widen_counts(acc, Self::count(Self::no_counts(), lhs, rhs)) }
        }

        #[inline(always)]
        unsafe fn bit_steps<const ROWS: usize, const NV: usize>(
            acc: &mut [[int32x4_t; NV]; ROWS],
            steps: Steps,
        ) -> bool {
            // SAFETY: as above.
            unsafe { byte_steps::<NeonPair, ROWS, NV>(acc, steps) };
            true
        }
    }

    // SAFETY: as above.
    unsafe impl CountBytes for NeonPair {
        type Counts = uint8x16_t;
        type Prepared = uint8x16_t;

        #[inline(always)]
        unsafe fn no_counts() -> uint8x16_t {
            // SAFETY: as above.
            unsafe { vdupq_n_u8(0) }
        }

        #[inline(always)]
        unsafe fn prepare_rhs(rhs: uint8x16_t) -> uint8x16_t {
            rhs
        }

        #[inline(always)]
        unsafe fn prepare_lhs(lhs: uint8x16_t) -> uint8x16_t {
            lhs
        }

        #[inline(always)]
        unsafe fn count(counts: uint8x16_t, lhs: uint8x16_t, rhs: uint8x16_t) -> uint8x16_t {
            // SAFETY: as above.
            unsafe { vaddq_u8(counts, vcntq_u8(vandq_u8(lhs, rhs))) }
        }

        #[inline(always)]
        unsafe fn widen_counts(acc: int32x4_t, counts: uint8x16_t) -> int32x4_t {
            // SAFETY: as above.
            unsafe {
                let acc = vreinterpretq_u32_s32(acc);
                vreinterpretq_s32_u32(vpadalq_u16(acc, vpaddlq_u8(counts)))
            }
        }
    }
}
