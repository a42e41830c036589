//! Dot products of signed bytes with codes of four, two or one bit.
//!
//! A group is `4 * PARTS` neighbouring k-values, `PARTS = 8 / bits`: each column has four bytes of it, and part `p`
//! of byte `j`, the bits from `p * bits` on, is the code of k-value `4 p + j`. So one load gives `PARTS` vectors of
//! bytes, by a shift and a mask each, and part `p` meets the four lhs bytes from `4 p` on:
//!
//! ```text
//! packed, a column (4 bits):   [ k4 k0 | k5 k1 | k6 k2 | k7 k3 ]     high nibble, low nibble of bytes 0 to 3
//! part 0:  [ k0 k1 k2 k3 ] * lhs[0..4]        part 1:  [ k4 k5 k6 k7 ] * lhs[4..8]
//! ```
//!
//! Codes are unsigned here (0 to 15, 0 to 3, 0 and 1, or 0 and 2 for -1 and +1); signed ones are moved there with their
//! zero points when they are packed.
//!
//! **Exact.** Dot products of bytes add in int32; where there are none, products are added in int16 first, and widened before
//! they could leave it (short.rs).

use super::{Dot, LhsForm, Scaling, Steps};
use core::marker::PhantomData;

/// A backend's vectors of bytes.
///
/// # Safety
/// As [`Dot`].
#[allow(
    clippy::missing_safety_doc,
    reason = "the contract is the same for all methods and stated once, on the trait"
)]
pub unsafe trait Bytes: Dot {
    /// `4 * LANES` unsigned bytes.
    type Vector: Copy;
    /// [`Dot::CHAINS`] of these products.
    const CHAINS: usize;

    /// Reads `4 * LANES` bytes at `from`.
    unsafe fn load_bytes(from: *const u8) -> Self::Vector;
    /// Each byte moved right by `shift` bits (left by -`shift`), and masked.
    unsafe fn part(bytes: Self::Vector, shift: i32, mask: u8) -> Self::Vector;
    /// `acc` plus, for each part `p` and lane, the four products of its bytes, each at most 15, with the signed bytes
    /// from `lhs + 4 p` on, modulo 2^32. Reads `4 * PARTS` bytes at `lhs`.
    unsafe fn dot_parts<const PARTS: usize>(
        acc: Self::Acc,
        lhs: *const u8,
        parts: [Self::Vector; PARTS],
    ) -> Self::Acc;
    /// [`Dot::steps`] of codes up to `MASK`.
    #[inline(always)]
    unsafe fn few_steps<const ROWS: usize, const NV: usize, const PARTS: usize, const MASK: u8>(
        acc: &mut [[Self::Acc; NV]; ROWS],
        steps: Steps,
    ) -> bool {
        let _ = (acc, steps);
        false
    }
    /// [`Dot::scaled_steps`] likewise.
    #[inline(always)]
    unsafe fn few_scaled_steps<
        const ROWS: usize,
        const NV: usize,
        const PARTS: usize,
        const MASK: u8,
    >(
        steps: Steps,
        scaling: Scaling,
        real: &mut [[Self::Real; NV]; ROWS],
    ) -> bool {
        let _ = (steps, scaling, real);
        false
    }
}

/// Part `p` of bytes of packed codes.
///
/// # Safety
/// The caller is compiled for `B`.
#[inline(always)]
pub(super) unsafe fn part_of<B: Bytes, const PARTS: usize, const MASK: u8>(
    bytes: B::Vector,
    p: usize,
) -> B::Vector {
    // A bit that stands for 2 is moved to where a 2 is.
    let place = if PARTS == 8 && MASK == 2 { 1 } else { 0 };
    // SAFETY: by this function's contract.
    unsafe { B::part(bytes, (p * 8 / PARTS) as i32 - place, MASK) }
}

/// [`Dot`] of codes packed `PARTS` to a byte; `MASK` is the largest, or 2 for codes whose bit stands for 0 or 2.
#[derive(Clone, Copy, Debug)]
pub struct Few<B, const PARTS: usize, const MASK: u8>(PhantomData<B>);

// SAFETY: sums are the backend's own; `load_rhs` reads four bytes a lane, `RHS_BYTES` of them, and `dot` as many lhs
// bytes as a group has.
unsafe impl<B: Bytes, const PARTS: usize, const MASK: u8> Dot for Few<B, PARTS, MASK> {
    sums_of!(B);
    const CHAINS: usize = <B as Bytes>::CHAINS;

    /// Where the group is: its bytes are repeated in the lanes when they are multiplied.
    type Lhs = *const u8;
    type Rhs = [B::Vector; PARTS];
    const LHS: LhsForm = match PARTS {
        2 => LhsForm::S8x8,
        4 => LhsForm::S8x16,
        _ => LhsForm::S8x32,
    };
    const RHS_BYTES: usize = 4;

    #[inline(always)]
    unsafe fn load_lhs(from: *const u8) -> *const u8 {
        from
    }

    #[inline(always)]
    unsafe fn load_rhs(from: *const i8) -> [B::Vector; PARTS] {
        // SAFETY: as above.
        unsafe {
            let bytes = B::load_bytes(from.cast());
            let mut parts = [bytes; PARTS];
            for (p, part) in parts.iter_mut().enumerate() {
                *part = part_of::<B, PARTS, MASK>(bytes, p);
            }
            parts
        }
    }

    #[inline(always)]
    unsafe fn dot(acc: B::Acc, lhs: *const u8, rhs: [B::Vector; PARTS]) -> B::Acc {
        // SAFETY: as above.
        unsafe { B::dot_parts(acc, lhs, rhs) }
    }

    #[inline(always)]
    unsafe fn steps<const ROWS: usize, const NV: usize>(
        acc: &mut [[B::Acc; NV]; ROWS],
        steps: Steps,
    ) -> bool {
        // SAFETY: as above.
        unsafe { B::few_steps::<ROWS, NV, PARTS, MASK>(acc, steps) }
    }

    #[inline(always)]
    unsafe fn scaled_steps<const ROWS: usize, const NV: usize>(
        steps: Steps,
        scaling: Scaling,
        real: &mut [[B::Real; NV]; ROWS],
    ) -> bool {
        // SAFETY: as above.
        unsafe { B::few_scaled_steps::<ROWS, NV, PARTS, MASK>(steps, scaling, real) }
    }
}

// SAFETY: plain arithmetic on exactly the bytes documented.
unsafe impl Bytes for super::ScalarDot {
    type Vector = [u32; 4];
    const CHAINS: usize = 1;

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> [u32; 4] {
        // SAFETY: 16 bytes, by the trait's contract; any alignment.
        unsafe { crate::opaque(from).cast::<[u32; 4]>().read_unaligned() }
    }

    /// Words are moved: bits of a neighbour come in, and are masked.
    #[inline(always)]
    unsafe fn part(bytes: [u32; 4], shift: i32, mask: u8) -> [u32; 4] {
        let mask = u32::from_ne_bytes([mask; 4]);
        bytes.map(|word| if shift < 0 { word << -shift } else { word >> shift } & mask)
    }

    #[inline(always)]
    unsafe fn dot_parts<const PARTS: usize>(
        mut acc: [i32; 4],
        lhs: *const u8,
        parts: [[u32; 4]; PARTS],
    ) -> [i32; 4] {
        for (p, part) in parts.into_iter().enumerate() {
            // SAFETY: four of the group's bytes, by the trait's contract.
            let lhs = unsafe { lhs.add(4 * p).cast::<[i8; 4]>().read_unaligned() };
            for (sum, column) in acc.iter_mut().zip(part.map(u32::to_ne_bytes)) {
                for (a, w) in lhs.into_iter().zip(column) {
                    *sum = sum.wrapping_add(a as i32 * w as i32);
                }
            }
        }
        acc
    }
}

/// Implements [`Bytes`] of an x86-64 backend from its intrinsics.
#[cfg(target_arch = "x86_64")]
macro_rules! bytes_backend {
    (
        $backend:ty, $vector:ty, $chains:expr,
        [$load:ident, $set8:ident, $and:ident, $add8:ident, $shift:ident],
        $($dot:item)*
    ) => {
        // SAFETY: the intrinsics compute what the trait documents; loads touch exactly the bytes stated, at any
        // alignment.
        unsafe impl Bytes for $backend {
            type Vector = $vector;
            const CHAINS: usize = $chains;

            #[inline(always)]
            unsafe fn load_bytes(from: *const u8) -> $vector {
                // SAFETY: the caller is compiled for this instruction set; the bytes by the trait's contract.
                unsafe { $load(from.cast()) }
            }

            #[inline(always)]
            unsafe fn part(bytes: $vector, shift: i32, mask: u8) -> $vector {
                // SAFETY: as above.
                unsafe {
                    let moved = match shift {
                        0 => bytes,
                        // Once to the left: what is doubled beyond a byte is masked.
                        ..0 => $add8(bytes, bytes),
                        // Words are moved: bits of a neighbour come in at the top, and are masked.
                        _ => $shift(bytes, _mm_cvtsi32_si128(shift)),
                    };
                    $and(moved, $set8(mask as i8))
                }
            }

            $($dot)*
        }
    };
}

/// [`bytes_backend`] of one with a dot product of bytes.
#[cfg(target_arch = "x86_64")]
macro_rules! dot_of_bytes {
    ($backend:ty, $vector:ty, $of_bytes:tt, $set32:ident, $dot:ident) => {
        bytes_backend! {
            $backend, $vector, <$backend as Dot>::CHAINS, $of_bytes,
            #[inline(always)]
            unsafe fn dot_parts<const PARTS: usize>(
                acc: $vector,
                lhs: *const u8,
                parts: [$vector; PARTS],
            ) -> $vector {
                let mut sums = acc;
                for (p, part) in parts.into_iter().enumerate() {
                    // SAFETY: as above; the group's bytes by the trait's contract.
                    unsafe {
                        let group = $set32(lhs.add(4 * p).cast::<i32>().read_unaligned());
                        sums = $dot(sums, part, group);
                    }
                }
                sums
            }
        }
    };
}

/// [`bytes_backend`] of one that adds pairs of products in int16.
#[cfg(target_arch = "x86_64")]
macro_rules! pairs_of_bytes {
    (
        $backend:ty, $vector:ty, $of_bytes:tt,
        [$zero:ident, $set16:ident, $set32:ident],
        [$maddubs:ident, $add16:ident, $madd:ident, $add32:ident]
        $(, $turns:ident, $scaled:ident)?
    ) => {
        bytes_backend! {
            $backend, $vector, 1, $of_bytes,
            #[inline(always)]
            unsafe fn dot_parts<const PARTS: usize>(
                acc: $vector,
                lhs: *const u8,
                parts: [$vector; PARTS],
            ) -> $vector {
                // SAFETY: by the trait's contract.
                unsafe { dot_short::<$backend, PARTS>(acc, lhs, parts) }
            }
            #[inline(always)]
            unsafe fn few_steps<
                const ROWS: usize,
                const NV: usize,
                const PARTS: usize,
                const MASK: u8,
            >(
                acc: &mut [[$vector; NV]; ROWS],
                steps: Steps,
            ) -> bool {
                // SAFETY: by the trait's contract.
                unsafe { short_steps::<$backend, ROWS, NV, PARTS, MASK>(acc, steps) };
                true
            }

            $(
                #[inline(always)]
                unsafe fn few_scaled_steps<
                    const ROWS: usize,
                    const NV: usize,
                    const PARTS: usize,
                    const MASK: u8,
                >(
                    steps: Steps,
                    scaling: Scaling,
                    real: &mut [[Self::Real; NV]; ROWS],
                ) -> bool {
                    // SAFETY: by the trait's contract.
                    unsafe { $scaled::<ROWS, NV, PARTS, MASK>(steps, scaling, real) }
                }
            )?
        }

        // SAFETY: the intrinsics compute what the trait documents; loads touch exactly the bytes stated, at any
        // alignment.
        unsafe impl Short for $backend {
            type Sums = $vector;
            type Group = $vector;
            const PRODUCTS: usize = 2;

            #[inline(always)]
            unsafe fn no_sums() -> $vector {
                // SAFETY: the caller is compiled for this instruction set.
                unsafe { $zero() }
            }

            #[inline(always)]
            unsafe fn load_group(from: *const u8) -> $vector {
                // SAFETY: as above; the bytes by the trait's contract.
                unsafe { $set32(from.cast::<i32>().read_unaligned()) }
            }

            #[inline(always)]
            unsafe fn add_products(sums: $vector, codes: $vector, group: $vector) -> $vector {
                // SAFETY: as above.
                unsafe { $add16(sums, $maddubs(codes, group)) }
            }

            #[inline(always)]
            unsafe fn widen(acc: $vector, sums: $vector) -> $vector {
                // SAFETY: as above.
                unsafe { $add32(acc, $madd(sums, $set16(1))) }
            }

            $(
                #[inline(always)]
                unsafe fn add_turns<
                    const ROWS: usize,
                    const NV: usize,
                    const PARTS: usize,
                    const MASK: u8,
                >(
                    acc: &mut [[$vector; NV]; ROWS],
                    at: &mut Steps,
                    turns: usize,
                    run: usize,
                ) -> bool {
                    // SAFETY: as above.
                    unsafe { $turns::<ROWS, NV, PARTS, MASK>(acc, at, turns, run) }
                }
            )?
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::maddubs::{scaled, turns};
    use super::super::short::{Short, dot_short, short_steps};
    use super::super::{Avx2Pair, Avx512Pair, Avx512Vnni, AvxVnni, Dot, Scaling, Steps};
    use super::Bytes;
    use core::arch::x86_64::*;

    pairs_of_bytes! {
        Avx2Pair, __m256i,
        [_mm256_loadu_si256, _mm256_set1_epi8, _mm256_and_si256, _mm256_add_epi8, _mm256_srl_epi16],
        [_mm256_setzero_si256, _mm256_set1_epi16, _mm256_set1_epi32],
        [_mm256_maddubs_epi16, _mm256_add_epi16, _mm256_madd_epi16, _mm256_add_epi32],
        turns, scaled
    }

    pairs_of_bytes! {
        Avx512Pair, __m512i,
        [_mm512_loadu_si512, _mm512_set1_epi8, _mm512_and_si512, _mm512_add_epi8, _mm512_srl_epi16],
        [_mm512_setzero_si512, _mm512_set1_epi16, _mm512_set1_epi32],
        [_mm512_maddubs_epi16, _mm512_add_epi16, _mm512_madd_epi16, _mm512_add_epi32]
    }

    dot_of_bytes! {
        Avx512Vnni, __m512i,
        [_mm512_loadu_si512, _mm512_set1_epi8, _mm512_and_si512, _mm512_add_epi8, _mm512_srl_epi16],
        _mm512_set1_epi32,
        _mm512_dpbusd_epi32
    }

    dot_of_bytes! {
        AvxVnni, __m256i,
        [_mm256_loadu_si256, _mm256_set1_epi8, _mm256_and_si256, _mm256_add_epi8, _mm256_srl_epi16],
        _mm256_set1_epi32,
        _mm256_dpbusd_avx_epi32
    }
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon {
    use super::super::neon::sdot;
    use super::super::short::{Short, dot_short, short_steps};
    use super::super::{Dot, NeonPair, NeonSdot, Steps};
    use super::Bytes;
    use core::arch::aarch64::*;

    /// # Safety
    /// As [`Bytes::part`].
    #[inline(always)]
    unsafe fn part(bytes: uint8x16_t, shift: i32, mask: u8) -> uint8x16_t {
        // SAFETY: the caller is compiled for this instruction set.
        unsafe { vandq_u8(vshlq_u8(bytes, vdupq_n_s8(-shift as i8)), vdupq_n_u8(mask)) }
    }

    /// # Safety
    /// Four bytes can be read at `lhs + 4 p`.
    #[inline(always)]
    unsafe fn group(lhs: *const u8, p: usize) -> int8x16_t {
        // SAFETY: by this function's contract.
        unsafe {
            let four = lhs.add(4 * p).cast::<i32>().read_unaligned();
            vreinterpretq_s8_s32(vdupq_n_s32(four))
        }
    }

    // SAFETY: the intrinsics compute what the trait documents; loads touch exactly 16 bytes, at any alignment.
    unsafe impl Bytes for NeonPair {
        type Vector = uint8x16_t;
        const CHAINS: usize = 1;

        #[inline(always)]
        unsafe fn load_bytes(from: *const u8) -> uint8x16_t {
            // SAFETY: by the trait's contract, here and below.
            unsafe { vld1q_u8(from) }
        }

        #[inline(always)]
        unsafe fn part(bytes: uint8x16_t, shift: i32, mask: u8) -> uint8x16_t {
            // SAFETY: as above.
            unsafe { part(bytes, shift, mask) }
        }

        #[inline(always)]
        unsafe fn dot_parts<const PARTS: usize>(
            acc: int32x4_t,
            lhs: *const u8,
            parts: [uint8x16_t; PARTS],
        ) -> int32x4_t {
            // SAFETY: as above.
            unsafe { dot_short::<NeonPair, PARTS>(acc, lhs, parts) }
        }

        #[inline(always)]
        unsafe fn few_steps<
            const ROWS: usize,
            const NV: usize,
            const PARTS: usize,
            const MASK: u8,
        >(
            acc: &mut [[int32x4_t; NV]; ROWS],
            steps: Steps,
        ) -> bool {
            // SAFETY: as above.
            unsafe { short_steps::<NeonPair, ROWS, NV, PARTS, MASK>(acc, steps) };
            true
        }
    }

    // SAFETY: as above; `smlal` adds a product to each int16, and loads touch exactly 4 bytes.
    unsafe impl Short for NeonPair {
        /// Of the first two columns and of the others, four of each.
        type Sums = (int16x8_t, int16x8_t);
        type Group = int8x16_t;
        const PRODUCTS: usize = 1;

        #[inline(always)]
        unsafe fn no_sums() -> (int16x8_t, int16x8_t) {
            // SAFETY: as above.
            unsafe { (vdupq_n_s16(0), vdupq_n_s16(0)) }
        }

        #[inline(always)]
        unsafe fn load_group(from: *const u8) -> int8x16_t {
            // SAFETY: as above.
            unsafe { group(from, 0) }
        }

        #[inline(always)]
        unsafe fn add_products(
            (low, high): (int16x8_t, int16x8_t),
            codes: uint8x16_t,
            group: int8x16_t,
        ) -> (int16x8_t, int16x8_t) {
            // SAFETY: as above.
            unsafe {
                let codes = vreinterpretq_s8_u8(codes);
                let low = vmlal_s8(low, vget_low_s8(codes), vget_low_s8(group));
                (low, vmlal_high_s8(high, codes, group))
            }
        }

        #[inline(always)]
        unsafe fn widen(acc: int32x4_t, (low, high): (int16x8_t, int16x8_t)) -> int32x4_t {
            // SAFETY: as above.
            unsafe { vaddq_s32(acc, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high))) }
        }
    }

    // SAFETY: as above; `sdot` adds in int32.
    unsafe impl Bytes for NeonSdot {
        type Vector = uint8x16_t;
        const CHAINS: usize = <NeonSdot as Dot>::CHAINS;

        #[inline(always)]
        unsafe fn load_bytes(from: *const u8) -> uint8x16_t {
            // SAFETY: by the trait's contract, here and below.
            unsafe { vld1q_u8(from) }
        }

        #[inline(always)]
        unsafe fn part(bytes: uint8x16_t, shift: i32, mask: u8) -> uint8x16_t {
            // SAFETY: as above.
            unsafe { part(bytes, shift, mask) }
        }

        #[inline(always)]
        unsafe fn dot_parts<const PARTS: usize>(
            acc: int32x4_t,
            lhs: *const u8,
            parts: [uint8x16_t; PARTS],
        ) -> int32x4_t {
            let mut sums = acc;
            for (p, part) in parts.into_iter().enumerate() {
                // SAFETY: as above.
                unsafe { sums = sdot(sums, group(lhs, p), vreinterpretq_s8_u8(part)) };
            }
            sums
        }
    }
}
