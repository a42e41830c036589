//! The tile of `smmla`, which multiplies two rows of eight codes with two columns of eight, and adds the four
//! sums of eight products to a 2 x 2 block of int32. Nothing saturates; all is modulo 2^32.
//!
//! Packing, with groups of eight codes: two neighbouring rows of a block, and two neighbouring columns of a
//! panel, are a vector.
//!
//! ```text
//!                 columns 2c, 2c + 1 (a vector: 8 codes, 8 codes)
//! rows 2p,     |  acc[p][c] = [ r c,     r c + 1,
//! 2p + 1       |                r + 1 c, r + 1 c + 1 ]
//! ```
//!
//! Register budget of 8 x 8: 16 accumulators, 4 rhs vectors, 4 lhs vectors, of 32. A step of eight k-values is 8
//! loads and 16 `smmla`. Rows that are not packed, and the last one of an odd number (which is taken twice), are
//! loaded by halves.

use super::blocks::{BlockSums, BlocksArgs, add_blocks};
use super::complete::complete;
use super::tile::{TileArgs, ZEROS, store};
use core::arch::aarch64::*;
use fewbit_simd::dot::{Dot, LhsForm, NeonSdot, smmla};

/// Rows.
pub(super) const MR: usize = 2 * PAIRS;
/// Columns.
pub(super) const NR: usize = 2 * COLUMN_PAIRS;

/// Pairs of rows.
const PAIRS: usize = 4;
/// Pairs of columns.
const COLUMN_PAIRS: usize = 4;
/// k-values of a group.
const KR: usize = LhsForm::S8x8.kr();
/// int32 vectors of a row.
const NV: usize = NR / NeonSdot::LANES;

/// # Safety
/// As [`super::TileFn`]; the CPU has i8mm.
#[target_feature(enable = "neon,dotprod,i8mm")]
pub(super) unsafe fn entry(args: &TileArgs) {
    // SAFETY: by this function's contract; packed rows are a group apart.
    unsafe {
        match args.rows {
            1 | 2 => tile::<1, 2, false>(args),
            3 | 4 => tile::<2, 4, false>(args),
            5 | 6 => tile::<3, 6, false>(args),
            8 if args.lhs_row_stride == KR => tile::<PAIRS, MR, true>(args),
            _ => tile::<PAIRS, MR, false>(args),
        }
        complete::<NeonSdot, NV, false, true>(args, |products| products);
    }
}

/// # Safety
/// As [`super::BlocksFn`]; the CPU has i8mm.
#[target_feature(enable = "neon,dotprod,i8mm")]
pub(super) unsafe fn blocks_entry(args: &BlocksArgs) {
    // SAFETY: by this function's contract; packed rows are a group apart.
    unsafe {
        match args.tile.rows {
            1 | 2 => blocks::<1, 2, false>(args),
            3 | 4 => blocks::<2, 4, false>(args),
            5 | 6 => blocks::<3, 6, false>(args),
            8 if args.tile.lhs_row_stride == KR => blocks::<PAIRS, MR, true>(args),
            _ => blocks::<PAIRS, MR, false>(args),
        }
    }
}

/// # Safety
/// As [`blocks_entry`], with `2 * P - 1` or `2 * P` rows.
#[inline(always)]
unsafe fn blocks<const P: usize, const ROWS: usize, const WHOLE: bool>(args: &BlocksArgs) {
    // SAFETY: by this function's contract.
    unsafe { add_blocks::<NeonSdot, Pairs<P, WHOLE>, ROWS, NV>(args, args.tile.rows) }
}

/// Sums as [`add_up`] gives them.
struct Pairs<const P: usize, const WHOLE: bool>;

impl<const P: usize, const WHOLE: bool, const ROWS: usize> BlockSums<NeonSdot, ROWS, NV>
    for Pairs<P, WHOLE>
{
    const RHS_BYTES: usize = KR;

    #[inline(always)]
    unsafe fn of(args: &TileArgs) -> [[int32x4_t; NV]; ROWS] {
        // SAFETY: by this function's contract.
        unsafe { add_up::<P, ROWS, WHOLE>(args) }
    }
}

/// # Safety
/// As [`add_up`].
#[inline(always)]
unsafe fn tile<const P: usize, const ROWS: usize, const WHOLE: bool>(args: &TileArgs) {
    // SAFETY: by this function's contract.
    unsafe { store::<NeonSdot, ROWS, NV>(args, &add_up::<P, ROWS, WHOLE>(args), args.rows) }
}

/// Sums of `P` pairs of rows, `ROWS == 2 * P`, and what they start with; `WHOLE`: all rows exist, and those of a pair
/// follow each other.
///
/// # Safety
/// As [`entry`], with `2 * P - 1` or `2 * P` rows.
#[inline(always)]
unsafe fn add_up<const P: usize, const ROWS: usize, const WHOLE: bool>(
    args: &TileArgs,
) -> [[int32x4_t; NV]; ROWS] {
    const { assert!(ROWS == 2 * P) };
    let last = args.rows - 1;
    let row = |r: usize| args.lhs.wrapping_add(r.min(last) * args.lhs_row_stride);
    // SAFETY: groups of the rows and of the panel are read where the contract says they are; the rest of the
    // rows byte by byte.
    unsafe {
        let mut acc = [[vdupq_n_s32(0); COLUMN_PAIRS]; P];
        let mut rows = [(row(0), row(0)); P];
        for (p, pair) in rows.iter_mut().enumerate() {
            *pair = (row(2 * p), row(2 * p + 1));
        }
        let mut rhs = args.rhs;
        for _ in 0..args.k_groups {
            let mut lhs = [vdupq_n_s8(0); P];
            for (codes, (low, high)) in lhs.iter_mut().zip(&mut rows) {
                *codes = match WHOLE {
                    true => vld1q_s8(low.cast()),
                    false => vcombine_s8(vld1_s8(low.cast()), vld1_s8(high.cast())),
                };
                *low = low.wrapping_add(args.lhs_group_stride);
                *high = high.wrapping_add(args.lhs_group_stride);
            }
            step(&mut acc, lhs, rhs);
            rhs = rhs.wrapping_add(NR * KR);
        }
        if args.k_rest > 0 {
            let mut lhs = [vdupq_n_s8(0); P];
            for (codes, &(low, high)) in lhs.iter_mut().zip(&rows) {
                let mut bytes = [[0u8; KR]; 2];
                for (bytes, from) in bytes.iter_mut().zip([low, high]) {
                    for (j, byte) in bytes.iter_mut().enumerate().take(args.k_rest) {
                        *byte = from.add(j).read();
                    }
                }
                *codes = vld1q_s8(bytes.as_ptr().cast());
            }
            step(&mut acc, lhs, rhs);
        }
        // Blocks of two rows to rows.
        let of_rows = if args.row_start.is_null() { ZEROS.as_ptr() } else { args.row_start };
        let mut sums = [[vdupq_n_s32(0); NV]; ROWS];
        for (p, (pair, blocks)) in sums.chunks_exact_mut(2).zip(&acc).enumerate() {
            let [even, odd] = pair else { continue };
            let [of_even, of_odd] =
                [2 * p, 2 * p + 1].map(|r| vdupq_n_s32(of_rows.add(r.min(last)).read_unaligned()));
            for (v, two) in blocks.chunks_exact(2).enumerate() {
                let &[left, right] = two else { continue };
                let start = NeonSdot::load(args.start.add(v * NeonSdot::LANES));
                let (left, right) = (vreinterpretq_s64_s32(left), vreinterpretq_s64_s32(right));
                let of_even = vaddq_s32(start, of_even);
                let of_odd = vaddq_s32(start, of_odd);
                even[v] = vaddq_s32(of_even, vreinterpretq_s32_s64(vzip1q_s64(left, right)));
                odd[v] = vaddq_s32(of_odd, vreinterpretq_s32_s64(vzip2q_s64(left, right)));
            }
        }
        sums
    }
}

/// Adds one k-step to the sums.
///
/// # Safety
/// A group of the panel at `rhs`; the CPU has i8mm.
#[inline(always)]
unsafe fn step<const P: usize>(
    acc: &mut [[int32x4_t; COLUMN_PAIRS]; P],
    lhs: [int8x16_t; P],
    rhs: *const i8,
) {
    // SAFETY: by this function's contract.
    unsafe {
        let mut columns = [vdupq_n_s8(0); COLUMN_PAIRS];
        for (c, column) in columns.iter_mut().enumerate() {
            *column = vld1q_s8(rhs.add(2 * KR * c));
        }
        for (sums, codes) in acc.iter_mut().zip(lhs) {
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum = smmla(*sum, codes, column);
            }
        }
    }
}
