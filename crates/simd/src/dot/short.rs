//! Products of few-bit codes by bytes, added in int16 while they fit: `vpmaddubsw` and `vpaddw`, or `smlal`, for every
//! vector of codes, and what widens the sums once for many of them.
//!
//! **Exact.** `vpmaddubsw` takes codes as its unsigned operand and adds two products to an int16, at most `2 * 15 * 128 = 3840`
//! of 4-bit codes, so that it cannot saturate. How many of its results an int16 holds is a constant of the width:
//!
//! ```text
//! a turn: 32 k-values, of which each int16 gets 16 products     codes up to 15    3       2       1
//! its largest sum: 16 * 128 * code                                     30720    6144    4096    2048
//! turns that fit, so many before sums are widened                          1       5       8      16
//! ```
//!
//! and eight times as many for a lhs within -16..=15. (The least sum is -32,768, which is an int16; 32,768, which is not,
//! would take a lhs of +128.) `smlal` adds one product at a time, so that twice as many turns fit.

use super::few::{Bytes, part_of};
use super::{AHEAD, Steps};
use crate::prefetch;

/// A backend that adds products in int16.
///
/// # Safety
/// As [`Dot`](super::Dot).
#[allow(
    clippy::missing_safety_doc,
    reason = "the contract is the same for all methods and stated once, on the trait"
)]
pub unsafe trait Short: Bytes {
    /// int16 sums, which make those of `LANES` columns.
    type Sums: Copy;
    /// Four lhs bytes, in every lane.
    type Group: Copy;
    /// Products that [`add_products`](Short::add_products) adds to an int16.
    const PRODUCTS: usize;

    /// Zeros.
    unsafe fn no_sums() -> Self::Sums;
    /// Reads 4 bytes at `from`.
    unsafe fn load_group(from: *const u8) -> Self::Group;
    /// `sums` plus the products of unsigned codes with signed bytes; nothing may leave int16.
    unsafe fn add_products(sums: Self::Sums, codes: Self::Vector, group: Self::Group)
    -> Self::Sums;
    /// `acc` plus the sums, modulo 2^32.
    unsafe fn widen(acc: Self::Acc, sums: Self::Sums) -> Self::Acc;
    /// Adds `turns` turns of codes up to `MASK`, of which `run` fit int16, and goes on to what is behind them, where the
    /// backend has a loop of its own; says whether it has.
    #[inline(always)]
    unsafe fn add_turns<const ROWS: usize, const NV: usize, const PARTS: usize, const MASK: u8>(
        acc: &mut [[Self::Acc; NV]; ROWS],
        at: &mut Steps,
        turns: usize,
        run: usize,
    ) -> bool {
        let _ = (acc, at, turns, run);
        false
    }
}

/// [`Bytes::dot_parts`] by way of int16.
///
/// # Safety
/// As there.
#[inline(always)]
pub(super) unsafe fn dot_short<B: Short, const PARTS: usize>(
    acc: B::Acc,
    lhs: *const u8,
    parts: [B::Vector; PARTS],
) -> B::Acc {
    // SAFETY: by this function's contract; a group's sums fit int16 at every width.
    unsafe {
        let mut sums = B::no_sums();
        for (p, part) in parts.into_iter().enumerate() {
            sums = B::add_products(sums, part, B::load_group(lhs.add(4 * p)));
        }
        B::widen(acc, sums)
    }
}

/// k-values whose products are added in int16 at least, whatever the width: a turn of the loop.
const TURN: usize = 32;

/// Adds the products of the next group of all rows and of the panel, and goes on to the one behind it.
///
/// # Safety
/// As [`Dot::steps`], and the sums fit int16.
#[inline(always)]
unsafe fn add_group<
    B: Short,
    const ROWS: usize,
    const NV: usize,
    const PARTS: usize,
    const MASK: u8,
>(
    sums: &mut [[B::Sums; NV]; ROWS],
    at: &mut Steps,
) {
    let from = at.rhs.cast::<u8>();
    prefetch(from.wrapping_add(AHEAD));
    // SAFETY: by this function's contract.
    unsafe {
        let mut bytes = [B::load_bytes(from); NV];
        for (v, bytes) in bytes.iter_mut().enumerate().skip(1) {
            *bytes = B::load_bytes(from.add(v * 4 * B::LANES));
        }
        for p in 0..PARTS {
            let mut codes = bytes;
            for codes in &mut codes {
                *codes = part_of::<B, PARTS, MASK>(*codes, p);
            }
            for (r, row) in sums.iter_mut().enumerate() {
                let group = B::load_group(at.lhs.wrapping_add(r * at.row_stride + 4 * p));
                for (sum, codes) in row.iter_mut().zip(codes) {
                    *sum = B::add_products(*sum, codes, group);
                }
            }
        }
    }
    at.lhs = at.lhs.wrapping_add(at.group_stride);
    at.rhs = at.rhs.wrapping_add(NV * 4 * B::LANES);
}

/// [`Bytes::few_steps`] by way of int16: as many turns as fit are added up before they are widened.
///
/// # Safety
/// As [`Dot::steps`].
#[inline(always)]
pub(super) unsafe fn short_steps<
    B: Short,
    const ROWS: usize,
    const NV: usize,
    const PARTS: usize,
    const MASK: u8,
>(
    acc: &mut [[B::Acc; NV]; ROWS],
    steps: Steps,
) {
    let groups = const { TURN / (4 * PARTS) };
    // Each of a turn's products is 128 times the largest code at most, or 16 times.
    let wide = const { 32768 / (128 * MASK as usize * B::PRODUCTS * (TURN / 4)) };
    let run = if steps.narrow { 8 * wide } else { wide };
    let mut at = steps;
    // SAFETY: the caller is compiled for `B`; of `count` groups each is added once, at most `run` turns of them before
    // they are widened.
    unsafe {
        let turns = at.count / groups;
        if B::add_turns::<ROWS, NV, PARTS, MASK>(acc, &mut at, turns, run) {
            at.count %= groups;
        }
        while at.count > 0 {
            let mut sums = [[B::no_sums(); NV]; ROWS];
            let most = run * groups;
            let count = if at.count < most { at.count } else { most };
            at.count -= count;
            for _ in 0..count {
                add_group::<B, ROWS, NV, PARTS, MASK>(&mut sums, &mut at);
            }
            for (row, sums) in acc.iter_mut().zip(sums) {
                for (acc, sums) in row.iter_mut().zip(sums) {
                    *acc = B::widen(*acc, sums);
                }
            }
        }
    }
}
