//! Tiles of bits by bits: the same body, with the backends of [`fewbit_simd::dot::Bits`].
//!
//! Register budget: mr * nr / lanes accumulators, nr / lanes vectors of words (two of nibbles where bytes are counted by a
//! table), the lhs word likewise, and what counts bits. Where bytes are counted, their counts are in registers, and the int32
//! sums in the first cache.
//!
//! | backend | mr x nr | accumulators + rhs + lhs + constants | registers |
//! |---|---|---|---|
//! | avx512_vpopcntdq | 12 x 32 | 24 + 2 + 1 | 32 |
//! | avx512 | 6 x 32 | 12 + 4 + 2 + 2 | 32 |
//! | avx2 | 4 x 16 | 8 + 4 + 2 + 2 | 16 |
//! | neon | 4 x 16 | 16 + 4 + 1 | 32 |
//!
//! By how much a common bit counts differs between the three kinds of codes, and is known in time when all bits are counted:
//! a backend's kernels of the three kinds are one body.

use super::complete::complete;
use super::rows::{is_whole, leaves_no_row, most_rows};
use super::tile::{MAX_MR, MAX_NR, RhsForm, Tile, TileArgs, TileFn};
use super::tile::{ZEROS, add_up_chained, by_rows, starts, store};
use crate::registry::Row;
use fewbit_simd::dot::{Bits, Count, Dot, LhsForm};
use fewbit_simd::{Isa, IsaSet};

/// The work of one tile.
struct BitsArgs {
    tile: TileArgs,
    /// A common bit counts `1 << shift`.
    shift: u32,
}

impl BitsArgs {
    /// As [`TileArgs::rest_from`].
    #[inline(always)]
    fn rest_from(&self, row: usize) -> BitsArgs {
        BitsArgs { tile: self.tile.rest_from(row), shift: self.shift }
    }
}

/// Stores the sums of the whole groups of some rows.
///
/// # Safety
/// As [`TileFn`], with `rows == ROWS`, within an entry compiled for `B`.
#[inline(always)]
unsafe fn count<B: Count, const ROWS: usize, const NV: usize>(args: &BitsArgs) {
    // SAFETY: by this function's contract.
    unsafe {
        let from_0 = TileArgs { start: ZEROS.as_ptr(), row_start: core::ptr::null(), ..args.tile };
        let counts = add_up_chained::<Bits<B>, ROWS, NV>(&from_0);
        let mut sums = starts::<Bits<B>, ROWS, NV>(&args.tile);
        for (sums, counts) in sums.iter_mut().zip(counts) {
            for (sum, counts) in sums.iter_mut().zip(counts) {
                *sum = B::add(*sum, B::shl(counts, args.shift));
            }
        }
        store::<Bits<B>, ROWS, NV>(&args.tile, &sums, ROWS)
    }
}

/// A backend: a module with its body, and its tile of each kind of codes.
macro_rules! backend {
    ($name:ident, $backend:ty, $rows:tt, $nv:tt, $required:expr $(, $features:literal)?) => {
        mod $name {
            use super::*;

            const MR: usize = most_rows(&$rows);
            const NR: usize = $nv * <$backend as Dot>::LANES;

            /// # Safety
            /// As [`TileFn`], on a CPU that has what is required.
            $(#[target_feature(enable = $features)])?
            #[inline(never)]
            unsafe fn entry(args: &TileArgs, shift: u32) {
                let args = &BitsArgs { tile: *args, shift };
                // SAFETY: compiled for the backend; the rest is this function's contract.
                unsafe {
                    by_rows!(args: BitsArgs, args.tile.rows, count::<$backend, $nv>, $rows $rows);
                    let times = |counts| <$backend as Count>::shl(counts, shift);
                    complete::<Bits<$backend>, $nv, true>(&args.tile, times);
                }
            }

            /// # Safety
            /// As [`entry`].
            $(#[target_feature(enable = $features)])?
            unsafe fn by<const SHIFT: u32>(args: &TileArgs) {
                // SAFETY: by this function's contract.
                unsafe { entry(args, SHIFT) }
            }

            /// The tile of codes of which a common bit counts `1 << SHIFT`.
            pub(super) const fn tile<const SHIFT: u32>(name: &'static str, rhs: RhsForm) -> Tile {
                const { assert!(MR <= MAX_MR && NR <= MAX_NR) };
                // SAFETY: the features required are those that the functions were compiled with.
                let row = unsafe { Row::<TileFn>::new(name, $required, by::<SHIFT>) };
                Tile { row, blocks: None, mr: MR, nr: NR, lhs: LhsForm::Bits, rhs }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
backend!(
    avx512_vpopcntdq,
    fewbit_simd::dot::Avx512Popcnt,
    [12, 6, 4, 2, 1],
    2,
    Isa::Avx512Vpopcntdq.closure(),
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,avx2,fma"
);
#[cfg(target_arch = "x86_64")]
backend!(
    avx512,
    fewbit_simd::dot::Avx512Pair,
    [6, 4, 2, 1],
    2,
    Isa::Avx512.closure(),
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"
);
#[cfg(target_arch = "x86_64")]
backend!(avx2, fewbit_simd::dot::Avx2Pair, [4, 3, 2, 1], 2, Isa::Avx2.closure(), "avx2,fma");
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
backend!(neon, fewbit_simd::dot::NeonPair, [4, 3, 2, 1], 4, Isa::Neon.closure(), "neon");
backend!(scalar, fewbit_simd::dot::ScalarDot, [2, 1], 2, IsaSet::SCALAR);

/// The table of one kind of codes: its name, and by how much a common bit counts.
macro_rules! tiles {
    ($rhs:ident, $op:literal, $shift:literal) => {
        &[
            #[cfg(target_arch = "x86_64")]
            avx512_vpopcntdq::tile::<$shift>(
                concat!("gemm_", $op, "_12x32x32_avx512_vpopcntdq"),
                RhsForm::$rhs,
            ),
            #[cfg(target_arch = "x86_64")]
            avx512::tile::<$shift>(concat!("gemm_", $op, "_6x32x32_avx512"), RhsForm::$rhs),
            #[cfg(target_arch = "x86_64")]
            avx2::tile::<$shift>(concat!("gemm_", $op, "_4x16x32_avx2"), RhsForm::$rhs),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            neon::tile::<$shift>(concat!("gemm_", $op, "_4x16x32_neon"), RhsForm::$rhs),
            scalar::tile::<$shift>(concat!("gemm_", $op, "_2x8x32_scalar"), RhsForm::$rhs),
        ]
    };
}

pub(super) static TILES_BY_1: &[Tile] = tiles!(BitsBy1, "u1u1s32", 0);
pub(super) static TILES_BY_2: &[Tile] = tiles!(BitsBy2, "u1b1s32", 1);
pub(super) static TILES_BY_4: &[Tile] = tiles!(BitsBy4, "b1b1s32", 2);
