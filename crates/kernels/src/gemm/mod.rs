//! Exact int8 products: `dst[m][n] = Σ_k (lhs[m][k] - za[m]) * (rhs[n][k] - zw[n]) + bias[n]` in
//! int32, for s8 and u8 codes on both sides, convolution included (its lhs rows are the taps under a
//! pixel).
//!
//! # The algebra, and why it is exact
//! Codes are moved to the signedness that a kernel's instruction wants by flipping their top bit;
//! their zero point moves along, so every difference stays the same. With those codes
//!
//! ```text
//! Σ (a - za)(w - zw) = Σ a w  -  zw Σ a  -  za Σ w  +  K za zw
//! ```
//!
//! All terms are summed modulo 2^32. The left side is the mathematical value; a plan proves from its
//! weights that it (with the bias) fits int32, and then what is congruent to it modulo 2^32 and lies
//! in int32 is it: intermediate wrap-around cannot show. No instruction used saturates.
//!
//! # Packing
//! ```text
//! rhs: panels of nr columns;     a panel: [k / kr] x [nr columns] x [kr codes]   signed bytes
//! lhs: blocks of up to mr rows;  a block: [k / kr] x [rows] x [kr codes]         as LhsForm: 4 or 8 bytes a group
//! ```
//! Codes that are bytes of the right signedness can be multiplied where they are, `[rows] x [k codes]`:
//! the tile takes the strides of both. Packing pays where rows meet many panels: a group of all rows then
//! lies in one cache line, whatever the rows' distance. The last k-group is filled with zeros on both sides, whose products are 0; the sums Σ a and Σ w
//! are of real codes only. Columns past the last are zeros too, and are never stored.

mod blocks;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod mmla;
mod pack;
mod tile;

pub use blocks::{BlocksArgs, BlocksFn};
pub use pack::{
    code_shift_lhs, code_shift_rhs, is_packed_form, pack_lhs, pack_rhs, sum_lhs, sum_packed,
};
pub use tile::{MAX_MR, MAX_NR, TILES, Tile, TileArgs, TileFn};

use crate::registry::RowInfo;
use fewbit_simd::IsaSet;

/// The tile for products of `columns` columns: the best one of the set, or a narrower one of the same
/// instruction sets that holds all columns. Pure, like [`crate::registry::select`].
pub fn select(set: IsaSet, columns: usize) -> Option<&'static Tile> {
    let best = TILES.iter().find(|tile| set.contains(tile.row.required))?;
    TILES
        .iter()
        .filter(|tile| tile.row.required == best.row.required && tile.nr >= columns)
        .min_by_key(|tile| tile.nr)
        .or(Some(best))
}

/// The rows of this op's table.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    let info = |op, name, required| RowInfo { op, name, required };
    let tiles =
        TILES.iter().map(move |Tile { row, .. }| info("gemm_s8s32", row.name, row.required));
    let blocks = TILES
        .iter()
        .map(move |Tile { blocks, .. }| info("gemm_s8f32", blocks.name, blocks.required));
    tiles.chain(blocks)
}
