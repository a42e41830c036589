//! x86-64: pairs of i16 (`vpmaddwd`) where there is no dot product of bytes, `vpdpbusd` where there
//! is.
//!
//! `vpmaddwd` on widened codes is exact: |a| <= 255 and |w| <= 128, so a pair's sum stays far from
//! 2^31. (`vpmaddubsw`, twice as wide, saturates pair sums to i16 and is not used.) `vpdpbusd`
//! multiplies unsigned lhs with signed rhs bytes and adds four products without saturation;
//! `vpdpbusds`, which saturates, is not used.

use super::{Dot, LhsForm, Steps};
use crate::lanes::{Avx2, Avx512, Lanes};
use core::arch::x86_64::*;

/// Implements [`Dot`] for a backend from its vector type, the floats beside it, lane count, lhs form and intrinsics.
macro_rules! dot_backend {
    (
        $(#[$doc:meta])*
        $name:ident, $vector:ty, $real:ty, $lanes:literal, $form:expr, $chains:literal,
        [$zero:ident, $splat:ident, $load:ident, $add:ident, $mul:ident, $shl:ident],
        |$rhs:ident| $load_rhs:expr, |$acc:ident, $a:ident, $b:ident| $dot:expr, $store:ident $(, $steps:path)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        // SAFETY: the intrinsics compute what the trait documents; loads and stores touch exactly
        // 4 bytes, `LANES * KR` bytes and `LANES` sums, at any alignment.
        unsafe impl Dot for $name {
            type Acc = $vector;
            type Lhs = $vector;
            type Rhs = $vector;
            type Real = <$real as Lanes>::F32;
            const LANES: usize = $lanes;
            const LHS: LhsForm = $form;
            const CHAINS: usize = $chains;

            #[inline(always)]
            unsafe fn zero() -> $vector {
                // SAFETY: the caller is compiled for this instruction set.
                unsafe { $zero() }
            }

            #[inline(always)]
            unsafe fn splat(v: i32) -> $vector {
                // SAFETY: as above.
                unsafe { $splat(v) }
            }

            #[inline(always)]
            unsafe fn load(from: *const i32) -> $vector {
                // SAFETY: as above; `LANES` readable values by the trait's contract.
                unsafe { $load(from.cast()) }
            }

            #[inline(always)]
            unsafe fn add(a: $vector, b: $vector) -> $vector {
                // SAFETY: as above.
                unsafe { $add(a, b) }
            }

            #[inline(always)]
            unsafe fn mul(a: $vector, b: $vector) -> $vector {
                // SAFETY: as above.
                unsafe { $mul(a, b) }
            }

            #[inline(always)]
            unsafe fn shl(acc: $vector, by: u32) -> $vector {
                // SAFETY: as above.
                unsafe { $shl(acc, _mm_cvtsi32_si128(by as i32)) }
            }

            #[inline(always)]
            unsafe fn load_lhs(from: *const u8) -> $vector {
                // SAFETY: as above; 4 readable bytes by the trait's contract.
                unsafe { $splat(from.cast::<i32>().read_unaligned()) }
            }

            #[inline(always)]
            unsafe fn load_rhs($rhs: *const i8) -> $vector {
                // SAFETY: as above; `LANES * KR` readable bytes by the trait's contract.
                unsafe { $load_rhs }
            }

            #[inline(always)]
            unsafe fn dot($acc: $vector, $a: $vector, $b: $vector) -> $vector {
                // SAFETY: as above.
                unsafe { $dot }
            }

            #[inline(always)]
            unsafe fn store(to: *mut i32, acc: $vector) {
                // SAFETY: as above; `LANES` writable sums by the trait's contract.
                unsafe { $store(to.cast(), acc) }
            }

            #[inline(always)]
            unsafe fn splat_real(v: f32) -> Self::Real {
                // SAFETY: as above.
                unsafe { <$real>::splat_f32(v) }
            }

            #[inline(always)]
            unsafe fn load_real(from: *const f32) -> Self::Real {
                // SAFETY: as above; `LANES` readable values by the trait's contract.
                unsafe { <$real>::load_f32(from, Self::LANES) }
            }

            #[inline(always)]
            unsafe fn mul_real(a: Self::Real, b: Self::Real) -> Self::Real {
                // SAFETY: as above.
                unsafe { <$real>::mul(a, b) }
            }

            #[inline(always)]
            unsafe fn add_scaled(sums: Self::Acc, factor: Self::Real, y: Self::Real) -> Self::Real {
                // SAFETY: as above.
                unsafe { <$real>::fma(<$real>::f32_from_i32(sums), factor, y) }
            }

            #[inline(always)]
            unsafe fn store_real(to: *mut f32, v: Self::Real) {
                // SAFETY: as above; `LANES` writable values by the trait's contract.
                unsafe { <$real>::store_f32(to, v, Self::LANES) }
            }

            $(
                #[inline(always)]
                unsafe fn steps<const ROWS: usize, const NV: usize>(
                    acc: &mut [[$vector; NV]; ROWS],
                    steps: Steps,
                ) -> bool {
                    // SAFETY: as above; the operands are there by the trait's contract.
                    unsafe { $steps(acc, steps) }
                }
            )?
        }
    };
}

dot_backend! {
    /// AVX2: pairs of i16, 8 columns.
    Avx2Pair, __m256i, Avx2, 8, LhsForm::I16, 8,
    [_mm256_setzero_si256, _mm256_set1_epi32, _mm256_loadu_si256, _mm256_add_epi32, _mm256_mullo_epi32, _mm256_sll_epi32],
    |from| _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast())),
    |acc, a, b| _mm256_add_epi32(acc, _mm256_madd_epi16(a, b)),
    _mm256_storeu_si256,
    super::pairs::steps
}

dot_backend! {
    /// AVX-512 BW: pairs of i16, 16 columns.
    Avx512Pair, __m512i, Avx512, 16, LhsForm::I16, 1,
    [_mm512_setzero_si512, _mm512_set1_epi32, _mm512_loadu_si512, _mm512_add_epi32, _mm512_mullo_epi32, _mm512_sll_epi32],
    |from| _mm512_cvtepi8_epi16(_mm256_loadu_si256(from.cast())),
    |acc, a, b| _mm512_add_epi32(acc, _mm512_madd_epi16(a, b)),
    _mm512_storeu_si512
}

dot_backend! {
    /// As [`Avx512Pair`], on a CPU that counts bits (`vpopcntd`): for [`Bits`](super::Bits).
    Avx512Popcnt, __m512i, Avx512, 16, LhsForm::I16, 1,
    [_mm512_setzero_si512, _mm512_set1_epi32, _mm512_loadu_si512, _mm512_add_epi32, _mm512_mullo_epi32, _mm512_sll_epi32],
    |from| _mm512_cvtepi8_epi16(_mm256_loadu_si256(from.cast())),
    |acc, a, b| _mm512_add_epi32(acc, _mm512_madd_epi16(a, b)),
    _mm512_storeu_si512
}

dot_backend! {
    /// AVX-512 VNNI: groups of four bytes, 16 columns.
    Avx512Vnni, __m512i, Avx512, 16, LhsForm::U8, 16,
    [_mm512_setzero_si512, _mm512_set1_epi32, _mm512_loadu_si512, _mm512_add_epi32, _mm512_mullo_epi32, _mm512_sll_epi32],
    |from| _mm512_loadu_si512(from.cast()),
    |acc, a, b| _mm512_dpbusd_epi32(acc, a, b),
    _mm512_storeu_si512
}

dot_backend! {
    /// AVX-512 VNNI with VL: the 256-bit form, 8 columns.
    Avx512VnniYmm, __m256i, Avx2, 8, LhsForm::U8, 16,
    [_mm256_setzero_si256, _mm256_set1_epi32, _mm256_loadu_si256, _mm256_add_epi32, _mm256_mullo_epi32, _mm256_sll_epi32],
    |from| _mm256_loadu_si256(from.cast()),
    |acc, a, b| _mm256_dpbusd_epi32(acc, a, b),
    _mm256_storeu_si256
}

dot_backend! {
    /// AVX-VNNI: the 256-bit form in the VEX encoding, 8 columns.
    AvxVnni, __m256i, Avx2, 8, LhsForm::U8, 8,
    [_mm256_setzero_si256, _mm256_set1_epi32, _mm256_loadu_si256, _mm256_add_epi32, _mm256_mullo_epi32, _mm256_sll_epi32],
    |from| _mm256_loadu_si256(from.cast()),
    |acc, a, b| _mm256_dpbusd_avx_epi32(acc, a, b),
    _mm256_storeu_si256
}
