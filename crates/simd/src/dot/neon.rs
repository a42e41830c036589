//! aarch64: pairs of i16 (`smull`, `addp`) where there is no dot product of bytes, `sdot` where
//! there is, and `smmla` for blocks of them. The intrinsics of the last two are unstable, so they are leaves of
//! inline assembly.
#![cfg(target_feature = "neon")]

use super::{Dot, LhsForm};
use crate::lanes::{Lanes, Neon};
use core::arch::aarch64::*;
use core::arch::asm;

/// Advanced SIMD: pairs of i16, 4 columns. `|a| <= 255` and `|w| <= 128`, so products and their pair
/// sums are exact in int32.
#[derive(Clone, Copy, Debug)]
pub struct NeonPair;

// SAFETY: the intrinsics compute what the trait documents; loads and stores touch exactly 4 bytes,
// 8 bytes and 4 sums, at any alignment.
unsafe impl Dot for NeonPair {
    type Acc = int32x4_t;
    type Lhs = int16x8_t;
    type Rhs = int16x8_t;
    type Real = float32x4_t;
    const LANES: usize = 4;
    const LHS: LhsForm = LhsForm::I16;
    const CHAINS: usize = 1;

    #[inline(always)]
    unsafe fn zero() -> int32x4_t {
        // SAFETY: the caller is compiled for this instruction set.
        unsafe { vdupq_n_s32(0) }
    }

    #[inline(always)]
    unsafe fn splat(v: i32) -> int32x4_t {
        // SAFETY: as above.
        unsafe { vdupq_n_s32(v) }
    }

    #[inline(always)]
    unsafe fn load(from: *const i32) -> int32x4_t {
        // SAFETY: as above; 4 readable values by the trait's contract.
        unsafe { vld1q_s32(from) }
    }

    #[inline(always)]
    unsafe fn add(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: as above.
        unsafe { vaddq_s32(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: as above.
        unsafe { vmulq_s32(a, b) }
    }

    #[inline(always)]
    unsafe fn shl(acc: int32x4_t, by: u32) -> int32x4_t {
        // SAFETY: as above.
        unsafe { vshlq_s32(acc, vdupq_n_s32(by as i32)) }
    }

    #[inline(always)]
    unsafe fn load_lhs(from: *const u8) -> int16x8_t {
        // SAFETY: as above; 4 readable bytes by the trait's contract.
        unsafe { vreinterpretq_s16_s32(vdupq_n_s32(from.cast::<i32>().read_unaligned())) }
    }

    #[inline(always)]
    unsafe fn load_rhs(from: *const i8) -> int16x8_t {
        // SAFETY: as above; 8 readable bytes by the trait's contract.
        unsafe { vmovl_s8(vld1_s8(from)) }
    }

    #[inline(always)]
    unsafe fn dot(acc: int32x4_t, lhs: int16x8_t, rhs: int16x8_t) -> int32x4_t {
        // SAFETY: as above.
        unsafe {
            let low = vmull_s16(vget_low_s16(lhs), vget_low_s16(rhs));
            let high = vmull_high_s16(lhs, rhs);
            vaddq_s32(acc, vpaddq_s32(low, high))
        }
    }

    #[inline(always)]
    unsafe fn store(to: *mut i32, acc: int32x4_t) {
        // SAFETY: as above; 4 writable sums by the trait's contract.
        unsafe { vst1q_s32(to, acc) }
    }

    #[inline(always)]
    unsafe fn splat_real(v: f32) -> Self::Real {
        // SAFETY: as above.
        unsafe { Neon::splat_f32(v) }
    }

    #[inline(always)]
    unsafe fn load_real(from: *const f32) -> Self::Real {
        // SAFETY: as above; 4 readable values by the trait's contract.
        unsafe { Neon::load_f32(from, Self::LANES) }
    }

    #[inline(always)]
    unsafe fn mul_real(a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: as above.
        unsafe { Neon::mul(a, b) }
    }

    #[inline(always)]
    unsafe fn add_scaled(sums: Self::Acc, factor: Self::Real, y: Self::Real) -> Self::Real {
        // SAFETY: as above.
        unsafe { Neon::fma(Neon::f32_from_i32(sums), factor, y) }
    }

    #[inline(always)]
    unsafe fn store_real(to: *mut f32, v: Self::Real) {
        // SAFETY: as above; 4 writable values by the trait's contract.
        unsafe { Neon::store_f32(to, v, Self::LANES) }
    }
}

/// `sdot`: groups of four signed bytes, 4 columns.
#[derive(Clone, Copy, Debug)]
pub struct NeonSdot;

// SAFETY: `sdot` adds four exact products to each lane modulo 2^32; loads and stores touch exactly
// 4 bytes, 16 bytes and 4 sums, at any alignment.
unsafe impl Dot for NeonSdot {
    type Acc = int32x4_t;
    type Lhs = int8x16_t;
    type Rhs = int8x16_t;
    type Real = float32x4_t;
    const LANES: usize = 4;
    const LHS: LhsForm = LhsForm::S8;
    const CHAINS: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> int32x4_t {
        // SAFETY: the caller is compiled for this instruction set.
        unsafe { vdupq_n_s32(0) }
    }

    #[inline(always)]
    unsafe fn splat(v: i32) -> int32x4_t {
        // SAFETY: as above.
        unsafe { vdupq_n_s32(v) }
    }

    #[inline(always)]
    unsafe fn load(from: *const i32) -> int32x4_t {
        // SAFETY: as above; 4 readable values by the trait's contract.
        unsafe { vld1q_s32(from) }
    }

    #[inline(always)]
    unsafe fn add(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: as above.
        unsafe { vaddq_s32(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: as above.
        unsafe { vmulq_s32(a, b) }
    }

    #[inline(always)]
    unsafe fn shl(acc: int32x4_t, by: u32) -> int32x4_t {
        // SAFETY: as above.
        unsafe { vshlq_s32(acc, vdupq_n_s32(by as i32)) }
    }

    #[inline(always)]
    unsafe fn load_lhs(from: *const u8) -> int8x16_t {
        // SAFETY: as above; 4 readable bytes by the trait's contract.
        unsafe { vreinterpretq_s8_s32(vdupq_n_s32(from.cast::<i32>().read_unaligned())) }
    }

    #[inline(always)]
    unsafe fn load_rhs(from: *const i8) -> int8x16_t {
        // SAFETY: as above; 16 readable bytes by the trait's contract.
        unsafe { vld1q_s8(from) }
    }

    #[inline(always)]
    unsafe fn dot(acc: int32x4_t, lhs: int8x16_t, rhs: int8x16_t) -> int32x4_t {
        // SAFETY: as above.
        unsafe { sdot(acc, lhs, rhs) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut i32, acc: int32x4_t) {
        // SAFETY: as above; 4 writable sums by the trait's contract.
        unsafe { vst1q_s32(to, acc) }
    }

    #[inline(always)]
    unsafe fn splat_real(v: f32) -> Self::Real {
        // SAFETY: as above.
        unsafe { Neon::splat_f32(v) }
    }

    #[inline(always)]
    unsafe fn load_real(from: *const f32) -> Self::Real {
        // SAFETY: as above; 4 readable values by the trait's contract.
        unsafe { Neon::load_f32(from, Self::LANES) }
    }

    #[inline(always)]
    unsafe fn mul_real(a: Self::Real, b: Self::Real) -> Self::Real {
        // SAFETY: as above.
        unsafe { Neon::mul(a, b) }
    }

    #[inline(always)]
    unsafe fn add_scaled(sums: Self::Acc, factor: Self::Real, y: Self::Real) -> Self::Real {
        // SAFETY: as above.
        unsafe { Neon::fma(Neon::f32_from_i32(sums), factor, y) }
    }

    #[inline(always)]
    unsafe fn store_real(to: *mut f32, v: Self::Real) {
        // SAFETY: as above; 4 writable values by the trait's contract.
        unsafe { Neon::store_f32(to, v, Self::LANES) }
    }
}

/// One `sdot`.
///
/// # Safety
/// The CPU has the dot product.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn sdot(mut acc: int32x4_t, lhs: int8x16_t, rhs: int8x16_t) -> int32x4_t {
    // SAFETY: only the named registers are read and written; the instruction exists by this
    // function's contract.
    unsafe {
        asm!(
            "sdot {acc:v}.4s, {lhs:v}.16b, {rhs:v}.16b",
            acc = inout(vreg) acc,
            lhs = in(vreg) lhs,
            rhs = in(vreg) rhs,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    acc
}

/// One `smmla`: to each element `2 i + j` of a 2 x 2 block of sums, the eight products of row `i` of `lhs` and
/// row `j` of `rhs` (bytes `8 i..8 i + 8` and `8 j..8 j + 8`), modulo 2^32.
///
/// # Safety
/// The CPU has i8mm.
#[inline]
#[target_feature(enable = "neon,i8mm")]
pub unsafe fn smmla(mut acc: int32x4_t, lhs: int8x16_t, rhs: int8x16_t) -> int32x4_t {
    // SAFETY: only the named registers are read and written; the instruction exists by this
    // function's contract.
    unsafe {
        asm!(
            "smmla {acc:v}.4s, {lhs:v}.16b, {rhs:v}.16b",
            acc = inout(vreg) acc,
            lhs = in(vreg) lhs,
            rhs = in(vreg) rhs,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    acc
}
