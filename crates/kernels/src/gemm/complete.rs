//! What only some products have, beside those of whole groups and what sums start with: a rest, and zero points. Tiles store
//! their sums first, and then each row's are completed in memory, one row after the other: the code is there once for all
//! numbers of rows, and where nothing is to be done there is a test. In registers stay the sums of blocks, and those of codes of
//! few bits until the columns' zero points, which most have, are seen to.

use super::tile::{TileArgs, step, store};
use core::mem::MaybeUninit;
use core::ptr::null;
use fewbit_simd::dot::{Dot, LhsForm, MAX_GROUP};
use fewbit_simd::opaque;

/// Whether rhs codes are of so few bits that they are packed, and unsigned: then columns usually have zero points, which tiles
/// see to before they store sums.
pub(super) const fn has_rhs_zero<D: Dot>() -> bool {
    D::RHS_BYTES < D::LHS.kr()
}

/// Adds to stored sums the products of a rest, if `REST`, as `products` has them, and what zero points contribute, the columns' if
/// `RHS_ZERO`.
///
/// # Safety
/// As [`TileFn`](super::TileFn), behind the tiles of all rows, within an entry compiled for `D`.
#[inline(always)]
pub(super) unsafe fn complete<D: Dot, const NV: usize, const REST: bool, const RHS_ZERO: bool>(
    args: &TileArgs,
    products: impl Fn(D::Acc) -> D::Acc,
) {
    let mut row = *args;
    if !RHS_ZERO {
        row.rhs_zero = null();
    }
    // Widened codes are always packed.
    let rest = REST && !matches!(D::LHS, LhsForm::I16) && args.k_rest > 0;
    if row.lhs_zero.is_null() && row.rhs_zero.is_null() && !rest {
        return;
    }
    row.lhs = row.lhs.wrapping_add(args.k_groups * args.lhs_group_stride);
    row.rhs = row.rhs.wrapping_add(args.k_groups * NV * D::LANES * D::RHS_BYTES);
    for _ in 0..args.rows {
        // SAFETY: `dst` holds the rows of nr sums; the rest of the row and the panel's group lie behind the whole groups.
        unsafe {
            let mut sums = [[D::zero(); NV]; 1];
            for (v, sum) in sums.as_flattened_mut().iter_mut().enumerate() {
                *sum = D::load(row.dst.add(v * D::LANES));
            }
            if rest {
                let rest = rest_of::<D, NV>(&row);
                for (sum, &rest) in sums.as_flattened_mut().iter_mut().zip(rest.as_flattened()) {
                    *sum = D::add(*sum, products(rest));
                }
            }
            correct::<D, 1, NV>(&row, &mut sums, 1);
            store::<D, 1, NV>(&row, &sums, 1);
        }
        row = row.rest_from(1);
    }
}

/// The products of a row's rest, which is where `args` say that the row and the panel begin.
///
/// # Safety
/// The rest of a row and a group of the panel can be read; compiled for `D`.
#[inline(always)]
unsafe fn rest_of<D: Dot, const NV: usize>(args: &TileArgs) -> [[D::Acc; NV]; 1] {
    let mut group = MaybeUninit::<[u8; MAX_GROUP]>::uninit();
    // An address of which nothing is known: a loop, not a copy of the body for each byte and rest.
    let to = opaque(group.as_mut_ptr().cast()).cast_mut();
    // SAFETY: by this function's contract; a group is no longer than `MAX_GROUP`.
    unsafe {
        for j in 0..D::LHS.group_bytes() {
            let code = if j < args.k_rest { args.lhs.add(j).read() } else { 0 };
            to.add(j).write(code);
        }
        let mut sums = [[D::zero(); NV]; 1];
        step::<D, 1, NV>(&mut sums, |_| to.cast_const(), args.rhs);
        sums
    }
}

/// Adds what the zero points contribute to the sums of the first `rows` rows.
///
/// # Safety
/// As [`TileFn`](super::TileFn), within an entry compiled for `D`; nothing is written.
#[inline(always)]
pub(super) unsafe fn correct<D: Dot, const ROWS: usize, const NV: usize>(
    args: &TileArgs,
    sums: &mut [[D::Acc; NV]; ROWS],
    rows: usize,
) {
    // SAFETY: row and column arrays are as long as documented.
    unsafe {
        // acc + za (K zw - Σw) - zw Σa, modulo 2^32.
        if !args.lhs_zero.is_null() {
            for (r, row) in sums.iter_mut().enumerate().take(rows) {
                let za = D::splat(args.lhs_zero.add(r).read_unaligned());
                for (v, sum) in row.iter_mut().enumerate() {
                    let fold = D::load(args.rhs_fold.add(v * D::LANES));
                    *sum = D::add(*sum, D::mul(za, fold));
                }
            }
        }
        add_rhs_zero::<D, ROWS, NV>(args, sums, rows);
    }
}

/// Adds what the columns' zero points contribute to the sums of the first `rows` rows.
///
/// # Safety
/// As [`TileFn`](super::TileFn), within an entry compiled for `D`; nothing is written.
#[inline(always)]
pub(super) unsafe fn add_rhs_zero<D: Dot, const ROWS: usize, const NV: usize>(
    args: &TileArgs,
    sums: &mut [[D::Acc; NV]; ROWS],
    rows: usize,
) {
    // SAFETY: row and column arrays are as long as documented.
    unsafe {
        if !args.rhs_zero.is_null() {
            for (r, row) in sums.iter_mut().enumerate().take(rows) {
                let minus_sum = D::splat(args.lhs_sum.add(r).read_unaligned().wrapping_neg());
                for (v, sum) in row.iter_mut().enumerate() {
                    let zero = D::load(args.rhs_zero.add(v * D::LANES));
                    *sum = D::add(*sum, D::mul(minus_sum, zero));
                }
            }
        }
    }
}
