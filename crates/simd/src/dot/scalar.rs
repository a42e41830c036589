//! Portable code: four columns, four signed k-values at a time.

use super::{Dot, LhsForm};
use crate::opaque;
use fewbit_scheme::real;

/// Portable dot products. It is run where there is nothing better, and is to be small: an rhs lies at an address of which
/// compilers know nothing, so that they do not make several steps of one.
#[derive(Clone, Copy, Debug)]
pub struct ScalarDot;

// SAFETY: plain arithmetic; loads and stores touch exactly the bytes documented.
unsafe impl Dot for ScalarDot {
    type Acc = [i32; 4];
    type Lhs = [i8; 4];
    type Rhs = [[i8; 4]; 4];
    type Real = [f32; 4];
    const LANES: usize = 4;
    const LHS: LhsForm = LhsForm::S8;
    const CHAINS: usize = 1;

    #[inline(always)]
    unsafe fn zero() -> [i32; 4] {
        [0; 4]
    }

    #[inline(always)]
    unsafe fn splat(v: i32) -> [i32; 4] {
        [v; 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const i32) -> [i32; 4] {
        // SAFETY: 4 values, by the trait's contract; any alignment.
        unsafe { from.cast::<[i32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn add(mut a: [i32; 4], b: [i32; 4]) -> [i32; 4] {
        a.iter_mut().zip(b).for_each(|(a, b)| *a = a.wrapping_add(b));
        a
    }

    #[inline(always)]
    unsafe fn mul(mut a: [i32; 4], b: [i32; 4]) -> [i32; 4] {
        a.iter_mut().zip(b).for_each(|(a, b)| *a = a.wrapping_mul(b));
        a
    }

    #[inline(always)]
    unsafe fn shl(acc: [i32; 4], by: u32) -> [i32; 4] {
        acc.map(|sum| sum.wrapping_shl(by))
    }

    #[inline(always)]
    unsafe fn load_lhs(from: *const u8) -> [i8; 4] {
        // SAFETY: 4 bytes, by the trait's contract; any alignment.
        unsafe { from.cast::<[i8; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_rhs(from: *const i8) -> [[i8; 4]; 4] {
        // SAFETY: 16 bytes, by the trait's contract; any alignment.
        unsafe { opaque(from.cast()).cast::<[[i8; 4]; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn dot(mut acc: [i32; 4], lhs: [i8; 4], rhs: [[i8; 4]; 4]) -> [i32; 4] {
        for (sum, column) in acc.iter_mut().zip(rhs) {
            for (a, b) in lhs.into_iter().zip(column) {
                *sum = sum.wrapping_add(a as i32 * b as i32);
            }
        }
        acc
    }

    #[inline(always)]
    unsafe fn store(to: *mut i32, acc: [i32; 4]) {
        // SAFETY: 4 sums, by the trait's contract.
        unsafe { to.cast::<[i32; 4]>().write_unaligned(acc) }
    }

    #[inline(always)]
    unsafe fn splat_real(v: f32) -> [f32; 4] {
        [v; 4]
    }

    #[inline(always)]
    unsafe fn load_real(from: *const f32) -> [f32; 4] {
        // SAFETY: 4 values, by the trait's contract; any alignment.
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn mul_real(mut a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        a.iter_mut().zip(b).for_each(|(a, b)| *a *= b);
        a
    }

    #[inline(always)]
    unsafe fn add_scaled(sums: [i32; 4], factor: [f32; 4], mut y: [f32; 4]) -> [f32; 4] {
        let scaled = y.iter_mut().zip(sums.into_iter().zip(factor));
        scaled.for_each(|(y, (sum, factor))| *y = real::fma(sum as f32, factor, *y));
        y
    }

    #[inline(always)]
    unsafe fn store_real(to: *mut f32, v: [f32; 4]) {
        // SAFETY: 4 values, by the trait's contract.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(v) }
    }
}
