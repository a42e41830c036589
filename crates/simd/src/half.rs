//! Instructions of aarch64 that compute with 16-bit floats. Stable Rust has none of them as functions.

use core::arch::aarch64::{float32x4_t, uint16x8_t};
use core::arch::asm;

/// One `bfdot`: to each sum the products of a pair of bf16 in its lane, as [`fewbit_scheme::add_bf16_odd`] has it with FPCR.EBF 0.
///
/// # Safety
/// The CPU has FEAT_BF16.
#[inline]
#[target_feature(enable = "neon,bf16")]
pub unsafe fn bfdot(mut acc: float32x4_t, lhs: float32x4_t, rhs: float32x4_t) -> float32x4_t {
    // SAFETY: only the named registers are read and written; the instruction exists by this function's contract.
    unsafe {
        asm!(
            "bfdot {acc:v}.4s, {lhs:v}.8h, {rhs:v}.8h",
            acc = inout(vreg) acc,
            lhs = in(vreg) lhs,
            rhs = in(vreg) rhs,
            options(pure, nomem, nostack),
        );
    }
    acc
}

/// One `fmla` of f16, lane by lane: [`fewbit_scheme::fma_f16`] in the default floating-point environment.
///
/// # Safety
/// The CPU has FEAT_FP16.
#[inline]
#[target_feature(enable = "neon,fp16")]
pub unsafe fn fmla_f16(mut acc: uint16x8_t, lhs: uint16x8_t, rhs: uint16x8_t) -> uint16x8_t {
    // SAFETY: only the named registers are read and written; the instruction exists by this function's contract.
    // FPSR changes, which `preserves_flags` would promise to keep.
    unsafe {
        asm!(
            "fmla {acc:v}.8h, {lhs:v}.8h, {rhs:v}.8h",
            acc = inout(vreg) acc,
            lhs = in(vreg) lhs,
            rhs = in(vreg) rhs,
            options(pure, nomem, nostack),
        );
    }
    acc
}
