//! Tiles whose products count 1, 2 or 4, as codes of one bit stand for 0 and 1 or for 0 and 2. How much is known in time when all
//! products are added up, so that a backend's kernels for such codes are one body, and each a function that calls it.

use super::complete::add_rhs_zero;
use super::tile::{TileArgs, ZEROS, add_up_chained, starts, store};
use fewbit_simd::dot::Dot;

/// Stores the sums of the whole groups of some rows.
///
/// # Safety
/// As [`TileFn`], with `rows == ROWS`, within an entry compiled for `D`.
#[inline(always)]
pub(super) unsafe fn shifted_of<D: Dot, const ROWS: usize, const NV: usize>(
    args: &TileArgs,
    shift: u32,
) {
    // SAFETY: by this function's contract.
    unsafe {
        let from_0 = TileArgs { start: ZEROS.as_ptr(), row_start: core::ptr::null(), ..*args };
        let products = add_up_chained::<D, ROWS, NV>(&from_0);
        let mut sums = starts::<D, ROWS, NV>(args);
        for (sums, products) in sums.iter_mut().zip(products) {
            for (sum, products) in sums.iter_mut().zip(products) {
                *sum = D::add(*sum, D::shl(products, shift));
            }
        }
        add_rhs_zero::<D, ROWS, NV>(args, &mut sums, ROWS);
        store::<D, ROWS, NV>(args, &sums, ROWS)
    }
}

/// A backend: a module with its body, and its tile of each kind of codes.
macro_rules! shifted {
    ($name:ident, $backend:ty, $rows:tt, $nv:tt, $required:expr $(, $features:literal)?) => {
        mod $name {
            use crate::gemm::complete::complete;
            use crate::gemm::rows::{is_whole, leaves_no_row, most_rows};
            use crate::gemm::shifted::shifted_of;
            use crate::gemm::tile::{MAX_MR, MAX_NR, RhsForm, Tile, TileArgs, TileFn, by_rows};
            use crate::registry::Row;
            use fewbit_simd::dot::Dot;
            use super::*;

            const MR: usize = most_rows(&$rows);
            const NR: usize = $nv * <$backend as Dot>::LANES;

            /// # Safety
            /// As [`TileFn`], on a CPU that has what is required.
            $(#[target_feature(enable = $features)])?
            #[inline(never)]
            unsafe fn entry(args: &TileArgs, shift: u32) {
                // SAFETY: compiled for the backend; the rest is this function's contract.
                unsafe {
                    by_rows!(
                        args: TileArgs, args.rows,
                        |some, N| shifted_of::<$backend, N, $nv>(some, shift), $rows $rows
                    );
                    let times = |products| <$backend as Dot>::shl(products, shift);
                    complete::<$backend, $nv, true, false>(args, times);
                }
            }

            /// # Safety
            /// As [`entry`].
            $(#[target_feature(enable = $features)])?
            unsafe fn by<const SHIFT: u32>(args: &TileArgs) {
                // SAFETY: by this function's contract.
                unsafe { entry(args, SHIFT) }
            }

            /// The tile of codes of which a product counts `1 << SHIFT`.
            pub(super) const fn tile<const SHIFT: u32>(name: &'static str, rhs: RhsForm) -> Tile {
                const { assert!(MR <= MAX_MR && NR <= MAX_NR) };
                // SAFETY: the features required are those that the functions were compiled with.
                let row = unsafe { Row::<TileFn>::new(name, $required, by::<SHIFT>) };
                Tile { row, blocks: None, mr: MR, nr: NR, lhs: <$backend as Dot>::LHS, rhs }
            }
        }
    };
}
pub(super) use shifted;
