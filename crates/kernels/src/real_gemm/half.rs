//! The tile whose products are added in f16: up to mr rows times a packed rhs panel of nr columns, f16 on both sides, a block of k at a time
//! ([`fewbit_scheme::dot_f16`]).
//!
//! | backend | mr x nr | sums + rhs + lhs | registers |
//! |---|---|---|---|
//! | neon_fp16 | 6 x 32 | 24 + 4 + 1 | 32 |
//! | scalar | 2 x 8 | plain code | |
//!
//! ```text
//! rhs: panels of nr columns;  a panel: [k] x [nr columns], k filled to an even number
//! ```
//!
//! A block's sums are f16 and fill the registers, so the f32 sums of blocks wait in the results' place. Adding to them costs eight instructions for each of
//! the 24 vectors, where a block has 64 multiply-adds for each of them.

use super::tile::{RealTile, RealTileArgs, each_row, finished};
use crate::registry::Row;
use fewbit_scheme::{F16_BLOCK, float16, fma_f16};
use fewbit_simd::{IsaSet, Lanes, Scalar, prefetch};

/// Vectors of f16, twice the lanes of those of f32.
trait Halves: Lanes {
    type Half: Copy;

    /// # Safety
    /// Compiled for these vectors, as all methods; the number can be read.
    unsafe fn splat(from: *const u16) -> Self::Half;

    /// # Safety
    /// Twice [`LANES`](Lanes::LANES) numbers can be read.
    unsafe fn load(from: *const u16) -> Self::Half;

    /// +0.
    ///
    /// # Safety
    /// As said.
    unsafe fn zero() -> Self::Half;

    /// [`fma_f16`].
    ///
    /// # Safety
    /// As said.
    unsafe fn fma_half(x: Self::Half, w: Self::Half, y: Self::Half) -> Self::Half;

    /// Exact.
    ///
    /// # Safety
    /// As said.
    unsafe fn widen(x: Self::Half) -> [Self::F32; 2];
}

impl Halves for Scalar {
    type Half = [u16; 2];

    #[inline(always)]
    unsafe fn splat(from: *const u16) -> [u16; 2] {
        // SAFETY: by the trait's contract.
        unsafe { [from.read(); 2] }
    }

    #[inline(always)]
    unsafe fn load(from: *const u16) -> [u16; 2] {
        // SAFETY: by the trait's contract; at any address.
        unsafe { from.cast::<[u16; 2]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn zero() -> [u16; 2] {
        [0; 2]
    }

    #[inline(always)]
    unsafe fn fma_half(x: [u16; 2], w: [u16; 2], y: [u16; 2]) -> [u16; 2] {
        [fma_f16(x[0], w[0], y[0]), fma_f16(x[1], w[1], y[1])]
    }

    #[inline(always)]
    unsafe fn widen(x: [u16; 2]) -> [f32; 2] {
        x.map(float16::f16_to_f32)
    }
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon {
    use super::Halves;
    use core::arch::aarch64::*;
    use fewbit_simd::{HalfLanes, Neon, fmla_f16};

    impl Halves for Neon {
        type Half = uint16x8_t;

        #[inline(always)]
        unsafe fn splat(from: *const u16) -> uint16x8_t {
            // SAFETY: by the trait's contract.
            unsafe { vld1q_dup_u16(from) }
        }

        #[inline(always)]
        unsafe fn load(from: *const u16) -> uint16x8_t {
            // SAFETY: by the trait's contract.
            unsafe { vld1q_u16(from) }
        }

        #[inline(always)]
        unsafe fn zero() -> uint16x8_t {
            // SAFETY: NEON by the trait's contract.
            unsafe { vdupq_n_u16(0) }
        }

        #[inline(always)]
        unsafe fn fma_half(x: uint16x8_t, w: uint16x8_t, y: uint16x8_t) -> uint16x8_t {
            // SAFETY: the only entry is compiled for fp16 too.
            unsafe { fmla_f16(y, x, w) }
        }

        #[inline(always)]
        unsafe fn widen(x: uint16x8_t) -> [float32x4_t; 2] {
            // SAFETY: NEON by the trait's contract.
            unsafe { [Neon::f16_to_f32(vget_low_u16(x)), Neon::f16_to_f32(vget_high_u16(x))] }
        }
    }
}

/// How far ahead a panel's bytes are asked for.
const AHEAD: usize = 8192;

/// # Safety
/// As [`RealTileFn`](super::RealTileFn) with pairs for numbers, with `rows == ROWS`, one panel, within an entry compiled for `V`.
#[inline(always)]
unsafe fn tile<V: Halves, const ROWS: usize, const NV: usize>(args: &RealTileArgs) {
    let nr = 2 * NV * V::LANES;
    // SAFETY: rows and panel are read for k pairs of each; `dst` holds ROWS rows of the panel's columns.
    unsafe {
        let mut done = 0;
        while done < args.k {
            let pairs = (args.k - done).min(F16_BLOCK / 2);
            let mut sums = [[V::zero(); NV]; ROWS];
            let mut lhs = args.lhs.wrapping_add(done).cast::<u16>();
            let mut rhs = args.rhs.cast::<u16>().wrapping_add(2 * done * nr);
            for _ in 0..pairs {
                let mut line = 0;
                while line < 4 * nr {
                    prefetch(rhs.cast::<u8>().wrapping_add(AHEAD + line));
                    line += 64;
                }
                for _ in 0..2 {
                    let mut columns = [V::zero(); NV];
                    for (v, column) in columns.iter_mut().enumerate() {
                        *column = V::load(rhs.wrapping_add(2 * v * V::LANES));
                    }
                    for (r, row) in sums.iter_mut().enumerate() {
                        let x = V::splat(lhs.wrapping_add(2 * r * args.lhs_row_stride));
                        for (sum, column) in row.iter_mut().zip(columns) {
                            *sum = V::fma_half(x, column, *sum);
                        }
                    }
                    lhs = lhs.wrapping_add(1);
                    rhs = rhs.wrapping_add(nr);
                }
            }
            let goes_on = done > 0 || args.resume;
            done += pairs;
            for (r, row) in sums.into_iter().enumerate() {
                for (v, sum) in row.into_iter().enumerate() {
                    for (h, of_block) in V::widen(sum).into_iter().enumerate() {
                        let column = (2 * v + h) * V::LANES;
                        let place = args.dst.add(r * args.dst_stride + column);
                        let before = match goes_on {
                            true => V::load_f32(place.cast_const(), V::LANES),
                            false => V::splat_f32(0.0),
                        };
                        let mut sum = V::add(before, of_block);
                        if done == args.k {
                            sum = finished::<V>(args, column, sum);
                        }
                        V::store_f32(place, sum, V::LANES);
                    }
                }
            }
        }
    }
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
#[target_feature(enable = "neon,fp16")]
unsafe fn neon_fp16(args: &RealTileArgs) {
    use fewbit_simd::Neon;
    // SAFETY: compiled for NEON and fp16; the rest is this function's contract.
    unsafe {
        match args.rows {
            1 => tile::<Neon, 1, 4>(args),
            2 => tile::<Neon, 2, 4>(args),
            3 => tile::<Neon, 3, 4>(args),
            4 => tile::<Neon, 4, 4>(args),
            5 => tile::<Neon, 5, 4>(args),
            _ => tile::<Neon, 6, 4>(args),
        }
    }
}

unsafe fn scalar(args: &RealTileArgs) {
    // SAFETY: by this function's contract.
    unsafe { each_row(args, tile::<Scalar, 1, 4>) }
}

/// Tiles that add in f16.
pub(super) static F16_FMA: &[RealTile] = &[
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    RealTile::of_one_panel(
        // SAFETY: the features required are those that the entry was compiled with.
        unsafe {
            let required = fewbit_simd::Isa::NeonFp16.closure();
            Row::new("gemm_f16f16f32_6x32_neon_fp16", required, neon_fp16)
        },
        (6, 32),
        1,
    ),
    RealTile::of_one_panel(
        // SAFETY: portable code needs no feature.
        unsafe { Row::new("gemm_f16f16f32_2x8_scalar", IsaSet::SCALAR, scalar) },
        (2, 8),
        1,
    ),
];
