//! Ranges averaged over batches, which outliers of single batches move less than they move the
//! range of all data.

use crate::MinMax;
use crate::exact::{ExactSum, parts};
use core::num::NonZeroU64;
use fewbit_scheme::{ParamError, ParamSpec, QuantParams, params_from_range, real};
use fewbit_simd::Supported;

/// The cumulative moving average of the batches' ranges: after `n` batches,
/// `min = (min_1 + ... + min_n) / n` and `max` likewise, every batch weighing the same.
///
/// The sums are held exactly (384 bits each, in units of 2^-149, f32's smallest step) and rounded
/// once, when [`range`](MovingAverage::range) is read. Adding batches and merging observers is
/// therefore commutative and associative bit for bit: threads may share out the batches in any way
/// and merge in any order. (An exponential average weighs a batch by its place in the stream, and a
/// merge would have to know the places of both streams: see [`ExponentialAverage`].)
///
/// A batch is one call of [`observe`](MovingAverage::observe). A batch divided among threads is one
/// [`MinMax`] per thread, merged, then seen by [`observe_range`](MovingAverage::observe_range) once.
///
/// Infinite ends of a batch's range count as the largest finite number of that sign; NaN is ignored
/// and counted; a batch without numbers is not a batch. The limit is 2^64 - 1 batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct MovingAverage {
    /// Batches that had a number.
    pub batches: u64,
    /// Elements seen, NaN included. Counts stop at the largest u64.
    pub count: u64,
    /// How many of them were NaN.
    pub nan_count: u64,
    min_sum: ExactSum<6>,
    max_sum: ExactSum<6>,
}

impl Default for MovingAverage {
    fn default() -> MovingAverage {
        MovingAverage::EMPTY
    }
}

impl MovingAverage {
    /// Nothing seen.
    pub const EMPTY: MovingAverage = MovingAverage {
        batches: 0,
        count: 0,
        nan_count: 0,
        min_sum: ExactSum::ZERO,
        max_sum: ExactSum::ZERO,
    };

    /// Sees one batch.
    pub fn observe(&mut self, batch: &[f32], supported: Supported) {
        let mut range = MinMax::EMPTY;
        range.observe(batch, supported);
        self.observe_range(&range);
    }

    /// Sees one batch, whose range was observed before.
    pub fn observe_range(&mut self, batch: &MinMax) {
        self.count = self.count.saturating_add(batch.count);
        self.nan_count = self.nan_count.saturating_add(batch.nan_count);
        if batch.is_empty() {
            return;
        }
        self.batches = self.batches.wrapping_add(1);
        for (sum, end) in [(&mut self.min_sum, batch.min), (&mut self.max_sum, batch.max)] {
            let (negative, mantissa, shift) = parts(end.clamp(f32::MIN, f32::MAX));
            sum.add(mantissa, shift, negative);
        }
    }

    /// Takes over what another observer has seen.
    pub fn merge(&mut self, other: &MovingAverage) {
        self.batches = self.batches.wrapping_add(other.batches);
        self.count = self.count.saturating_add(other.count);
        self.nan_count = self.nan_count.saturating_add(other.nan_count);
        self.min_sum.merge(&other.min_sum);
        self.max_sum.merge(&other.max_sum);
    }

    /// The averaged ends, each the exact mean rounded once, half to even; (+inf, -inf) before the
    /// first batch.
    pub fn range(&self) -> (f32, f32) {
        match NonZeroU64::new(self.batches) {
            Some(batches) => (self.min_sum.mean_f32(batches), self.max_sum.mean_f32(batches)),
            None => (f32::INFINITY, f32::NEG_INFINITY),
        }
    }

    /// Parameters that cover the averaged range, by [`params_from_range`].
    ///
    /// # Errors
    /// [`ParamError`] if the fields are no range; those of an observer always are.
    pub fn params(&self, spec: &ParamSpec) -> Result<QuantParams, ParamError> {
        let (min, max) = self.range();
        params_from_range(min, max, spec)
    }
}

/// The exponential moving average of the batches' ranges, in the order in which they are seen: the
/// first batch gives the range, each later one moves it, `min = min + constant * (min_b - min)` and
/// `max` likewise: three f32 operations, each rounded, which is what PyTorch's
/// `MovingAverageMinMaxObserver` computes (its default constant is 0.01).
///
/// A batch's weight depends on its place in the stream, so there is no merge: a stream has one
/// observer. [`MovingAverage`] is the one to share among threads.
///
/// Infinite ends, of a batch or from an overflow of the difference, become the largest finite number
/// of that sign; NaN is ignored and counted; a batch without numbers is not a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct ExponentialAverage {
    /// Batches that had a number. Counts stop at the largest u64.
    pub batches: u64,
    /// Elements seen, NaN included.
    pub count: u64,
    /// How many of them were NaN.
    pub nan_count: u64,
    /// The averaged minimum; +infinity before the first batch.
    pub min: f32,
    /// The averaged maximum; -infinity before the first batch.
    pub max: f32,
    /// The weight of the newest batch, in 0..=1 and not 0.
    pub constant: f32,
    /// Not used; 0.
    pub reserved: u32,
}

impl ExponentialAverage {
    /// Nothing seen; `None` unless `0 < constant <= 1`.
    pub fn new(constant: f32) -> Option<ExponentialAverage> {
        (constant > 0.0 && constant <= 1.0).then_some(ExponentialAverage {
            batches: 0,
            count: 0,
            nan_count: 0,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            constant,
            reserved: 0,
        })
    }

    /// Sees the next batch.
    pub fn observe(&mut self, batch: &[f32], supported: Supported) {
        let mut range = MinMax::EMPTY;
        range.observe(batch, supported);
        self.observe_range(&range);
    }

    /// Sees the next batch, whose range was observed before.
    pub fn observe_range(&mut self, batch: &MinMax) {
        self.count = self.count.saturating_add(batch.count);
        self.nan_count = self.nan_count.saturating_add(batch.nan_count);
        if batch.is_empty() {
            return;
        }
        let (min, max) = (finite(batch.min), finite(batch.max));
        if self.batches == 0 {
            (self.min, self.max) = (min, max);
        } else {
            self.min = finite(self.min + self.constant * (min - self.min));
            self.max = finite(self.max + self.constant * (max - self.max));
        }
        self.batches = self.batches.saturating_add(1);
    }

    /// The averaged ends; (+inf, -inf) before the first batch.
    pub fn range(&self) -> (f32, f32) {
        (self.min, self.max)
    }

    /// Parameters that cover the averaged range, by [`params_from_range`].
    ///
    /// # Errors
    /// [`ParamError`] if the fields are no range; those of an observer always are.
    pub fn params(&self, spec: &ParamSpec) -> Result<QuantParams, ParamError> {
        params_from_range(self.min, self.max, spec)
    }
}

fn finite(x: f32) -> f32 {
    real::max(real::min(x, f32::MAX), f32::MIN)
}
