//! The tile for weights that have a scale a block along k: `y = fma(f32(sum), row_factor * factor, y)` for each
//! block, in order, from +0, which is [`fewbit_scheme::scale_blocks`] up to the bias.
//!
//! A block is short, 32 values of k say, and 6 x 16 sums are 16 steps: a call of the tile for each, with sums and
//! results in memory in between, costs half as much again. Here the sums of a block stay in registers until they are
//! scaled, and results in the nearest cache, or in registers too where rows are few.

use super::complete::correct;
use super::tile::TileArgs;
use crate::params::further;
use fewbit_simd::dot::Dot;

/// The work of one tile on some whole blocks of a panel, one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct BlocksArgs {
    /// The first block's; `k_groups` are those of each block, and `k_rest` is 0. In the other blocks `rhs`, `start`,
    /// `rhs_fold` and `rhs_zero` follow those of the block before, `lhs` is `k_groups` groups on; `lhs_zero` is for
    /// all. `dst` is not used.
    pub tile: TileArgs,
    /// How many.
    pub count: usize,
    /// Distance of the blocks' `lhs_sum` and `row_start`.
    pub sum_stride: usize,
    /// `[count][nr]`: the blocks' factors.
    pub factors: *const f32,
    /// Each row's factor. NULL: all 1.
    pub row_factors: *const f32,
    /// `rows` rows of nr results. Which NaN is one that is not a number is unspecified.
    pub dst: *mut f32,
    /// Distance of the rows' first results.
    pub dst_stride: usize,
}

impl BlocksArgs {
    /// The rows from number `row` on; how many they are is not told.
    #[inline(always)]
    pub(super) fn rest_from(&self, row: usize) -> BlocksArgs {
        BlocksArgs {
            tile: self.tile.rest_from(row),
            row_factors: further(self.row_factors, row),
            dst: self.dst.wrapping_add(row * self.dst_stride),
            ..*self
        }
    }
}

/// A tile kernel of blocks.
///
/// # Safety
/// The pointers are valid for the extents documented at [`BlocksArgs`] and [`TileArgs`] (with the tile's nr and kr),
/// and `1 <= rows <= mr`.
pub type BlocksFn = unsafe fn(&BlocksArgs);

/// What adds up a block's products, and what they start with.
pub(super) trait BlockSums<D: Dot, const ROWS: usize, const NV: usize> {
    /// Bytes of a column's group: those of the instruction that multiplies, which need not be that of `D`.
    const RHS_BYTES: usize;

    /// # Safety
    /// As [`TileFn`](super::TileFn), within an entry compiled for `D`; nothing is written.
    unsafe fn of(args: &TileArgs) -> [[D::Acc; NV]; ROWS];
    /// Adds a block's scaled sums, zero points included, to the results, all at once, and says so; or does nothing. The
    /// factors are those of the columns and of the rows.
    ///
    /// # Safety
    /// As [`of`](BlockSums::of), and both kinds of factors can be read (those of the rows unless NULL).
    #[inline(always)]
    unsafe fn scaled(
        args: &TileArgs,
        factors: (*const f32, *const f32),
        real: &mut [[D::Real; NV]; ROWS],
    ) -> bool {
        let _ = (args, factors, real);
        false
    }
}

/// Adds the scaled sums of the first `rows` rows to their results.
///
/// # Safety
/// The factors of the columns and the rows can be read (those of the rows unless NULL), within an entry compiled for `D`.
#[inline(always)]
unsafe fn scale<D: Dot, const ROWS: usize, const NV: usize>(
    sums: &[[D::Acc; NV]; ROWS],
    (factors, row_factors): (*const f32, *const f32),
    rows: usize,
    real: &mut [[D::Real; NV]; ROWS],
) {
    // SAFETY: by this function's contract.
    unsafe {
        for v in 0..NV {
            let factor = D::load_real(factors.add(v * D::LANES));
            if row_factors.is_null() {
                for (row, sums) in real.iter_mut().zip(sums).take(rows) {
                    row[v] = D::add_scaled(sums[v], factor, row[v]);
                }
            } else {
                for (r, (row, sums)) in real.iter_mut().zip(sums).enumerate().take(rows) {
                    let of_row = D::splat_real(row_factors.add(r).read_unaligned());
                    row[v] = D::add_scaled(sums[v], D::mul_real(of_row, factor), row[v]);
                }
            }
        }
    }
}

/// The results of the first `rows` rows.
///
/// # Safety
/// As [`BlocksFn`], within an entry compiled for `D`.
#[inline(always)]
pub(super) unsafe fn add_blocks<
    D: Dot,
    S: BlockSums<D, ROWS, NV>,
    const ROWS: usize,
    const NV: usize,
>(
    args: &BlocksArgs,
    rows: usize,
) {
    let nr = NV * D::LANES;
    // No rest: the code for one is left out.
    let mut block = TileArgs { k_rest: 0, ..args.tile };
    let mut factors = args.factors;
    // SAFETY: `count` blocks, and rows and columns by this function's contract.
    unsafe {
        let mut real = [[D::splat_real(0.0); NV]; ROWS];
        for _ in 0..args.count {
            if !S::scaled(&block, (factors, args.row_factors), &mut real) {
                let mut sums = S::of(&block);
                correct::<D, ROWS, NV>(&block, &mut sums, rows);
                scale::<D, ROWS, NV>(&sums, (factors, args.row_factors), rows, &mut real);
            }
            block.lhs = block.lhs.wrapping_add(block.k_groups * block.lhs_group_stride);
            block.rhs = block.rhs.wrapping_add(block.k_groups * nr * S::RHS_BYTES);
            block.start = block.start.wrapping_add(nr);
            block.rhs_fold = block.rhs_fold.wrapping_add(nr);
            block.lhs_sum = block.lhs_sum.wrapping_add(args.sum_stride);
            if !block.row_start.is_null() {
                block.row_start = block.row_start.wrapping_add(args.sum_stride);
            }
            if !block.rhs_zero.is_null() {
                block.rhs_zero = block.rhs_zero.wrapping_add(nr);
            }
            factors = factors.wrapping_add(nr);
        }
        for (r, row) in real.iter().enumerate().take(rows) {
            for (v, &y) in row.iter().enumerate() {
                D::store_real(args.dst.add(r * args.dst_stride + v * D::LANES), y);
            }
        }
    }
}
