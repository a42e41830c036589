//! Tiles of bits by bits: the loops of bytes, with the backends of [`fewbit_simd::dot::Bits`], which count the bits that both
//! sides have.
//!
//! Codes are 0 and 1, or 0 and 2 for -1 and +1 (their zero points are 1 then). One side of 2s doubles every product, two
//! quadruple it: counts are multiplied once, at the end, and there is one function for the three tables. So `xor` is not
//! needed:
//!
//! ```text
//! Σ (2a - 1)(2w - 1)  =  4 Σ a w  -  2 Σ a  -  2 Σ w  +  K      for bits a, w
//! ```
//!
//! which is what the tiles do for zero points anyway.
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

use super::tile::{MAX_MR, MAX_NR, Part, RhsForm, Tile, TileArgs, add_up_chained, by_rows, finish};
use crate::registry::Row;
use fewbit_simd::dot::{Bits, Dot, ScalarDot};
use fewbit_simd::{Isa, IsaSet};

/// A tile's work, and by how much a common bit counts.
#[derive(Clone, Copy)]
struct Counted {
    tile: TileArgs,
    factor: i32,
}

impl Part for Counted {
    #[inline(always)]
    fn rows(&self) -> usize {
        self.tile.rows
    }

    #[inline(always)]
    fn part(&self, first: usize, rows: usize) -> Counted {
        Counted { tile: self.tile.part(first, rows), ..*self }
    }
}

/// What counting starts with.
static ZEROS: [i32; MAX_NR] = [0; MAX_NR];

/// # Safety
/// As [`TileFn`](super::TileFn), with `rows == ROWS`, within an entry compiled for `D`.
#[inline(always)]
unsafe fn tile_of<D: Dot, const ROWS: usize, const NV: usize>(args: &Counted) {
    let Counted { tile, factor } = args;
    let counted = TileArgs { start: ZEROS.as_ptr(), ..*tile };
    // SAFETY: by this function's contract; a panel has at most MAX_NR columns.
    unsafe {
        let mut sums = add_up_chained::<D, ROWS, NV>(&counted);
        let factor = D::splat(*factor);
        for row in &mut sums {
            for (v, sum) in row.iter_mut().enumerate() {
                let start = D::load(tile.start.add(v * D::LANES));
                *sum = D::add(D::mul(*sum, factor), start);
            }
        }
        finish::<D, ROWS, NV>(tile, sums, ROWS);
    }
}

/// The function of a backend, for all tables.
macro_rules! function {
    ($name:ident, $backend:ty, $mr:tt, $nv:tt $(, $features:literal)?) => {
        /// # Safety
        /// As [`TileFn`](super::TileFn), on a CPU with the features.
        $(#[target_feature(enable = $features)])?
        #[inline(never)]
        unsafe fn $name(tile: &TileArgs, factor: i32) {
            let args = &Counted { tile: *tile, factor };
            // SAFETY: compiled for the backend; the rest is this function's contract.
            unsafe { by_rows!($mr, tile_of::<Bits<$backend, 0>, $nv>(args), 1 2 3 4 5 6 7 8 9 10 11) }
        }
    };
}

#[cfg(target_arch = "x86_64")]
function!(
    avx512_vpopcntdq,
    fewbit_simd::dot::Avx512Popcnt,
    12,
    2,
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,avx2,fma"
);
#[cfg(target_arch = "x86_64")]
function!(
    avx512,
    fewbit_simd::dot::Avx512Pair,
    6,
    2,
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"
);
#[cfg(target_arch = "x86_64")]
function!(avx2, fewbit_simd::dot::Avx2Pair, 4, 2, "avx2,fma");
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
function!(neon, fewbit_simd::dot::NeonPair, 4, 4, "neon");
function!(scalar, ScalarDot, 2, 2);

/// An entry, which is no more than a jump, and its row.
macro_rules! row {
    (
        $rhs:ident, $factor:literal, $op:literal, $shape:literal, $function:ident, $backend:ty, $mr:literal, $nv:literal,
        $required:expr $(, $features:literal)?
    ) => {{
        $(#[target_feature(enable = $features)])?
        unsafe fn entry(args: &TileArgs) {
            // SAFETY: the same features, and this function's contract.
            unsafe { $function(args, $factor) }
        }
        const {
            assert!($mr <= MAX_MR && $nv * <$backend as Dot>::LANES <= MAX_NR);
        }
        Tile {
            // SAFETY: the features required are those that the entry was compiled with.
            row: unsafe { Row::new(concat!("gemm_", $op, "_", $shape), $required, entry) },
            blocks: None,
            mr: $mr,
            nr: $nv * <$backend as Dot>::LANES,
            lhs: <Bits<$backend, 0> as Dot>::LHS,
            rhs: RhsForm::$rhs,
        }
    }};
}

/// The table of one kind of codes: its name, and by how much a common bit counts.
macro_rules! tiles {
    ($rhs:ident, $op:literal, $factor:literal) => {
        &[
            #[cfg(target_arch = "x86_64")]
            row!(
                $rhs,
                $factor,
                $op,
                "12x32x32_avx512_vpopcntdq",
                avx512_vpopcntdq,
                fewbit_simd::dot::Avx512Popcnt,
                12,
                2,
                Isa::Avx512Vpopcntdq.closure(),
                "avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,avx2,fma"
            ),
            #[cfg(target_arch = "x86_64")]
            row!(
                $rhs,
                $factor,
                $op,
                "6x32x32_avx512",
                avx512,
                fewbit_simd::dot::Avx512Pair,
                6,
                2,
                Isa::Avx512.closure(),
                "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"
            ),
            #[cfg(target_arch = "x86_64")]
            row!(
                $rhs,
                $factor,
                $op,
                "4x16x32_avx2",
                avx2,
                fewbit_simd::dot::Avx2Pair,
                4,
                2,
                Isa::Avx2.closure(),
                "avx2,fma"
            ),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            row!(
                $rhs,
                $factor,
                $op,
                "4x16x32_neon",
                neon,
                fewbit_simd::dot::NeonPair,
                4,
                4,
                Isa::Neon.closure(),
                "neon"
            ),
            row!($rhs, $factor, $op, "2x8x32_scalar", scalar, ScalarDot, 2, 2, IsaSet::SCALAR),
        ]
    };
}

pub(super) static TILES_BY_1: &[Tile] = tiles!(BitsBy1, "u1u1s32", 1);
pub(super) static TILES_BY_2: &[Tile] = tiles!(BitsBy2, "u1b1s32", 2);
pub(super) static TILES_BY_4: &[Tile] = tiles!(BitsBy4, "b1b1s32", 4);
