//! The one shape of float reductions, and extremes.
//!
//! A sum of floats depends on its order, so the order is part of the contract: the data is cut into
//! blocks of [`BLOCK`]; in a block, element `i` is added to lane `i mod LANES` in index order; the
//! lanes are folded by halves (lane `l` += lane `l + 32`, then `+ 16`, ... `+ 1`); the blocks' sums
//! are added in index order, starting from +0. Vectors of any width up to 64 lanes compute exactly
//! this, and threads may take whole blocks.

use crate::real;
use core::ops::AddAssign;

/// Lanes of a block's partial sums.
pub const LANES: usize = 64;
/// Elements of a block.
pub const BLOCK: usize = 4096;

/// The sum of one block's values, in f32 or f64 as they are, in the defined shape. Values beyond
/// [`BLOCK`] are ignored.
pub fn block_sum<T: Copy + Default + AddAssign>(values: impl Iterator<Item = T>) -> T {
    let mut lanes = [T::default(); LANES];
    values.take(BLOCK).enumerate().for_each(|(i, v)| {
        if let Some(lane) = lanes.get_mut(i % LANES) {
            *lane += v;
        }
    });
    fold(lanes)
}

fn fold<T: Copy + AddAssign>(mut lanes: [T; LANES]) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        let (low, high) = lanes.split_at_mut(half);
        low.iter_mut().zip(high).for_each(|(l, h)| *l += *h);
        half /= 2;
    }
    let [first, ..] = lanes;
    first
}

/// The sum of f32 numbers, each widened to f64, in the defined shape; NaN is the canonical one.
pub fn sum(x: &[f32]) -> f64 {
    canonical(
        x.chunks(BLOCK)
            .fold(0.0, |total, block| total + block_sum(block.iter().map(|&v| v as f64))),
    )
}

/// The sum of f32 numbers in f32, in the defined shape; NaN is the canonical one.
pub fn sum_f32(x: &[f32]) -> f32 {
    real::canonical(
        x.chunks(BLOCK).fold(0.0, |total, block| total + block_sum(block.iter().copied())),
    )
}

/// The sum of products, each exact in f64, in the defined shape; the end of the shorter side ends
/// both. NaN is the canonical one.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    canonical(a.chunks(BLOCK).zip(b.chunks(BLOCK)).fold(0.0, |total, (a, b)| {
        total + block_sum(a.iter().zip(b).map(|(&a, &b)| a as f64 * b as f64))
    }))
}

/// `sum(x) / n` in f64, rounded once more to f32; the canonical NaN of nothing.
pub fn mean(x: &[f32]) -> f32 {
    real::canonical((sum(x) / x.len() as f64) as f32)
}

fn canonical(x: f64) -> f64 {
    if x.is_nan() { f64::from_bits(0x7FF8_0000_0000_0000) } else { x }
}

/// The smallest and largest of the numbers that are not NaN, with -0 < +0; (+inf, -inf) if there
/// are none. Any order of evaluation gives the same result.
pub fn min_max(x: &[f32]) -> (f32, f32) {
    x.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| {
        (real::min(low, v), real::max(high, v))
    })
}

/// The largest magnitude of the numbers that are not NaN, +0 if there are none.
pub fn absmax(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |largest, v| real::max(largest, f32::from_bits(v.to_bits() & 0x7FFF_FFFF)))
}

/// The sum of codes.
pub fn code_sum(codes: impl Iterator<Item = i32>) -> i64 {
    codes.map(i64::from).sum()
}
