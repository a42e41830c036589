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
//! Rhs codes of four, two or one bit stay packed, and are unpacked in the loop (few.rs): unsigned there, with signed lhs
//! bytes. Their zero points move along as everywhere. Bits by bits (bits.rs) are counted, 32 at a time.
//!
//! Codes that are bytes of the right signedness can be multiplied where they are, `[rows] x [k codes]`:
//! the tile takes the strides of both. Packing pays where rows meet many panels: a group of all rows then
//! lies in one cache line, whatever the rows' distance. The last k-group is filled with zeros on both sides, whose products are 0; the sums Σ a and Σ w
//! are of real codes only. Columns past the last are zeros too, and are never stored.

mod bits;
mod blocks;
mod complete;
mod few;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod mmla;
mod pack;
mod portable;
mod rows;
mod shifted;
mod tile;

pub use blocks::{BlocksArgs, BlocksFn};
pub use pack::{
    code_shift_lhs, code_shift_rhs, is_packed_form, pack_lhs, pack_rhs, sum_lhs, sum_packed,
};
pub(crate) use rows::{is_whole, leaves_no_row, most_rows};
pub use tile::{MAX_MR, MAX_NR, RhsForm, TILES, Tile, TileArgs, TileFn};

use crate::registry::RowInfo;
use fewbit_simd::IsaSet;

impl RhsForm {
    /// Every form.
    pub const ALL: [RhsForm; 8] = [
        RhsForm::S8,
        RhsForm::U4,
        RhsForm::U2,
        RhsForm::U1,
        RhsForm::B1,
        RhsForm::BitsBy1,
        RhsForm::BitsBy2,
        RhsForm::BitsBy4,
    ];

    /// Every tile of the form on this architecture, best first, scalar last.
    pub const fn tiles(self) -> &'static [Tile] {
        match self {
            RhsForm::S8 => TILES,
            RhsForm::U4 => few::TILES_U4,
            RhsForm::U2 => few::TILES_U2,
            RhsForm::U1 => few::TILES_U1,
            RhsForm::B1 => few::TILES_B1,
            RhsForm::BitsBy1 => bits::TILES_BY_1,
            RhsForm::BitsBy2 => bits::TILES_BY_2,
            RhsForm::BitsBy4 => bits::TILES_BY_4,
        }
    }

    /// The op of these tiles over blocks along k, where they have it.
    pub const fn blocks_op(self) -> &'static str {
        match self {
            RhsForm::S8 => "gemm_s8f32",
            RhsForm::U4 => "gemm_s8u4f32",
            RhsForm::U2 => "gemm_s8u2f32",
            RhsForm::U1 => "gemm_s8u1f32",
            RhsForm::B1 => "gemm_s8b1f32",
            _ => "",
        }
    }

    /// The op of these tiles.
    pub const fn op(self) -> &'static str {
        match self {
            RhsForm::S8 => "gemm_s8s32",
            RhsForm::U4 => "gemm_s8u4s32",
            RhsForm::U2 => "gemm_s8u2s32",
            RhsForm::U1 => "gemm_s8u1s32",
            RhsForm::B1 => "gemm_s8b1s32",
            RhsForm::BitsBy1 => "gemm_u1u1s32",
            RhsForm::BitsBy2 => "gemm_u1b1s32",
            RhsForm::BitsBy4 => "gemm_b1b1s32",
        }
    }
}

/// The tile for products of `columns` columns: the best one of the set, or a narrower one of the same
/// instruction sets that holds all columns. Pure, like [`crate::registry::select`].
pub fn select(rhs: RhsForm, set: IsaSet, columns: usize) -> Option<&'static Tile> {
    let tiles = rhs.tiles();
    let best = tiles.iter().find(|tile| set.contains(tile.row.required))?;
    tiles
        .iter()
        .filter(|tile| tile.row.required == best.row.required && tile.nr >= columns)
        .min_by_key(|tile| tile.nr)
        .or(Some(best))
}

/// The rows of these ops' tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    let info = |op, name, required| RowInfo { op, name, required };
    RhsForm::ALL.into_iter().flat_map(move |rhs| {
        let sums =
            rhs.tiles().iter().map(move |tile| info(rhs.op(), tile.row.name, tile.row.required));
        let blocks = rhs.tiles().iter().filter_map(|tile| tile.blocks.as_ref());
        sums.chain(blocks.map(move |row| info(rhs.blocks_op(), row.name, row.required)))
    })
}
