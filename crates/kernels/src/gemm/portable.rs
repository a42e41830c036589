//! The portable tiles: two rows of eight columns, for CPUs that no other tile is for. They are to be small, so that there is
//! code for one row only, which is run for each.

use super::blocks::BlocksArgs;
use super::complete::complete;
use super::tile::{TileArgs, blocks_of, tile_of};
use fewbit_simd::dot::Dot;

/// Rows.
pub(super) const MR: usize = 2;
/// Vectors of a row.
pub(super) const NV: usize = 2;

/// # Safety
/// As [`TileFn`](super::TileFn), of a portable backend.
pub(super) unsafe fn tile<D: Dot>(args: &TileArgs) {
    // SAFETY: by this function's contract.
    unsafe {
        for row in 0..args.rows {
            tile_of::<D, 1, NV>(&args.rest_from(row));
        }
        complete::<D, NV, true>(args, |products| products);
    }
}

/// # Safety
/// As [`BlocksFn`](super::BlocksFn), of a portable backend.
pub(super) unsafe fn blocks<D: Dot>(args: &BlocksArgs) {
    for row in 0..args.tile.rows {
        // SAFETY: by this function's contract.
        unsafe { blocks_of::<D, 1, NV>(&args.rest_from(row)) }
    }
}

/// A portable tile, of rhs codes in some form.
macro_rules! portable_row {
    ($rhs:ident $sums:literal $real:literal: $shape:expr, $backend:ty) => {
        Tile {
            // SAFETY: portable code needs no feature.
            row: unsafe {
                let name = concat!("gemm_", $sums, "_", $shape);
                Row::new(name, IsaSet::SCALAR, crate::gemm::portable::tile::<$backend>)
            },
            // SAFETY: as above.
            blocks: Some(unsafe {
                let name = concat!("gemm_", $real, "_", $shape);
                Row::new(name, IsaSet::SCALAR, crate::gemm::portable::blocks::<$backend>)
            }),
            mr: crate::gemm::portable::MR,
            nr: crate::gemm::portable::NV * <$backend as Dot>::LANES,
            lhs: <$backend as Dot>::LHS,
            rhs: RhsForm::$rhs,
        }
    };
}
pub(super) use portable_row;
