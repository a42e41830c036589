//! The portable tiles: two rows of eight columns, for CPUs that no other tile is for. They are to be small: rows are a loop. Of
//! packed codes, which cost more to unpack, it is in each step, and sums are where they are stored.

use super::blocks::BlocksArgs;
use super::complete::{add_rhs_zero, complete, has_rhs_zero};
use super::tile::{TileArgs, blocks_of, starts, store, tile_of};
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
        if const { has_rhs_zero::<D>() } {
            packed::<D>(args);
            complete::<D, NV, true, false>(args, |products| products);
        } else {
            for row in 0..args.rows {
                tile_of::<D, 1, NV>(&args.rest_from(row));
            }
            complete::<D, NV, true, true>(args, |products| products);
        }
    }
}

/// The sums of the whole groups of packed codes, which all rows share when they are unpacked.
///
/// # Safety
/// As [`TileFn`](super::TileFn), of a portable backend.
#[inline(always)]
unsafe fn packed<D: Dot>(args: &TileArgs) {
    // SAFETY: by this function's contract; rows are gone on with while there are any.
    unsafe {
        let mut row = *args;
        for _ in 0..args.rows {
            let mut sums = starts::<D, 1, NV>(&row);
            add_rhs_zero::<D, 1, NV>(&row, &mut sums, 1);
            store::<D, 1, NV>(&row, &sums, 1);
            row = row.rest_from(1);
        }
        let (mut lhs, mut rhs) = (args.lhs, args.rhs);
        for _ in 0..args.k_groups {
            let second = rhs.wrapping_add(D::LANES * D::RHS_BYTES);
            let columns = [D::load_rhs(rhs), D::load_rhs(second)];
            let (mut group, mut dst) = (lhs, args.dst);
            for _ in 0..args.rows {
                for (v, column) in columns.into_iter().enumerate() {
                    let to = dst.add(v * D::LANES);
                    D::store(to, D::dot(D::load(to), D::load_lhs(group), column));
                }
                group = group.wrapping_add(args.lhs_row_stride);
                dst = dst.wrapping_add(args.dst_stride);
            }
            lhs = lhs.wrapping_add(args.lhs_group_stride);
            rhs = second.wrapping_add(D::LANES * D::RHS_BYTES);
        }
    }
}

/// A row at a time.
///
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
