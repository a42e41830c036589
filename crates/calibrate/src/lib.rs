//! Observers that watch data and give ranges, and measures of what quantization lost.
//!
//! All state is plain: copied freely, without pointers, its fields the same in C. Where a state can
//! be merged, merging is exact, so that the result is the same bits in whatever order and in
//! whatever pieces the data was seen, on every instruction set:
//!
//! * [`MinMax`]: the smallest and largest number;
//! * [`MovingAverage`]: the mean of the batches' minima and maxima, from exact sums;
//! * [`Comparison`]: two tensors compared, from exact sums; [`Quality`]: SQNR, largest error, cosine.
//!
//! [`ExponentialAverage`] weighs a batch by its place in the stream, so it has an order and no merge.
#![no_std]

#[cfg(test)]
extern crate std;

mod average;
mod compare;
mod exact;
mod math;
mod min_max;

pub use average::{ExponentialAverage, MovingAverage};
pub use compare::{Comparison, LengthMismatch, Quality};
pub use exact::ExactSum;
pub use math::{log10, sqrt};
pub use min_max::MinMax;
