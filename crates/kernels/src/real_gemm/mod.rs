//! Products of real numbers: `dst[m][n] = Σ_k lhs[m][k] * rhs[n][k]`, an f32 lhs and an rhs of f32, f16 or bf16.
//!
//! # The contract
//! Each output is one chain of f32 fused multiply-adds in the order of k, from +0 ([`fewbit_scheme::dot`]). Vectors run
//! across the columns, so that neither their width nor the tile's shape can show. Numbers of 16 bits are widened on the way, which is exact. (A NaN's bits
//! do depend on the order of a product's factors: the end of the chain replaces it by the canonical NaN.)
//!
//! # Packing
//! ```text
//! rhs: panels of nr columns;  a panel: [k] x [nr columns]                 f32 and f16, as they are stored
//!                                      [ceil(k / 2)] x [nr columns] x [2] bf16
//! lhs: rows of f32, any distance apart
//! ```
//! An rhs of codes, with scales a block of k, lies in panels of its own and becomes a panel of f32 some steps at a time: `decode.rs`.
//!
//! Columns past the last are zeros, and their results are nobody's; so is the second bf16 of the last pair of an odd k,
//! which is not multiplied.

mod decode;
mod half;
mod number;
mod pack;
mod paired;
mod tile;

pub use decode::{Coding, DecodeArgs, DecodeFn};
pub use pack::{pack_codes, pack_rhs};
pub use paired::Paired;
pub use tile::{MAX_MR, MAX_NR, MAX_PANELS, RealTile, RealTileArgs, RealTileFn};

use crate::registry::RowInfo;
use fewbit_scheme::RealFormat;
use fewbit_simd::IsaSet;

/// Every tile for an rhs of a format on this architecture, best first, scalar last.
pub fn tiles(format: RealFormat) -> &'static [RealTile] {
    match format {
        RealFormat::F32 => tile::F32,
        RealFormat::F16 => tile::F16,
        RealFormat::Bf16 => tile::BF16,
    }
}

/// The best tile of a set of features. Pure, like [`crate::registry::select`].
pub fn select(format: RealFormat, set: IsaSet) -> Option<&'static RealTile> {
    tiles(format).iter().find(|tile| set.contains(tile.row.required))
}

/// The rows of this op's tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    let tables =
        [("gemm_f32", tile::F32), ("gemm_f16f32", tile::F16), ("gemm_bf16f32", tile::BF16)];
    let of_tiles = tables.into_iter().flat_map(|(op, tiles)| {
        let info =
            move |tile: &RealTile| RowInfo { op, name: tile.row.name, required: tile.row.required };
        tiles.iter().map(info)
    });
    of_tiles.chain(paired::rows()).chain(decode::rows())
}
