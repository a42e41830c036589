//! What quantization lost: a tensor compared with its reference.

use crate::exact::{ExactSum, parts};
use crate::math::{log10, sqrt};

/// The unit of the sums is 2^UNIT: the square of f32's smallest step.
const UNIT: i32 = -298;

/// A reference `r` and an approximation `x` compared, element by element, as exact sums of `r^2`,
/// `r x` and `x^2` (640 bits each, in units of 2^-298): products of two f32 and their sums lose no
/// bit. So it does not matter in which order and in how many parts the elements come: parts compared
/// by different threads and merged in any order give the bits of one pass, and the noise
/// `sum (r - x)^2 = sum r^2 - 2 sum r x + sum x^2` is exact however small.
///
/// Pairs of which either is NaN or infinite are counted and not summed; see [`Comparison::quality`].
/// The limit is 2^63 pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Comparison {
    /// Pairs seen. Counts stop at the largest u64.
    pub count: u64,
    /// Pairs with a NaN or an infinity.
    pub nonfinite_count: u64,
    /// The largest `|r - x|` of finite pairs, each difference rounded to f64.
    pub max_abs_error: f64,
    reference: ExactSum<10>,
    product: ExactSum<10>,
    approximation: ExactSum<10>,
}

/// How close an approximation is to its reference; [`Comparison::quality`] has the definitions.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Quality {
    /// Signal to quantization noise ratio, in decibels.
    pub sqnr_db: f64,
    /// The largest absolute error, in the tensors' unit.
    pub max_abs_error: f64,
    /// Cosine of the angle between the tensors, -1..=1.
    pub cosine: f64,
}

/// The lengths of two slices that should be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthMismatch {
    /// Elements of the reference.
    pub reference: usize,
    /// Elements of the approximation.
    pub approximation: usize,
}

impl Default for Comparison {
    fn default() -> Comparison {
        Comparison::EMPTY
    }
}

impl Comparison {
    /// Nothing compared.
    pub const EMPTY: Comparison = Comparison {
        count: 0,
        nonfinite_count: 0,
        max_abs_error: 0.0,
        reference: ExactSum::ZERO,
        product: ExactSum::ZERO,
        approximation: ExactSum::ZERO,
    };

    /// Compares more elements.
    ///
    /// # Errors
    /// [`LengthMismatch`]; nothing is compared then.
    pub fn observe(&mut self, reference: &[f32], x: &[f32]) -> Result<(), LengthMismatch> {
        if reference.len() != x.len() {
            return Err(LengthMismatch { reference: reference.len(), approximation: x.len() });
        }
        reference.iter().zip(x).for_each(|(&r, &x)| self.observe_one(r, x));
        Ok(())
    }

    /// Compares `n` elements at given distances, in elements.
    ///
    /// # Safety
    /// For `i < n`, `reference + i * reference_stride` and `x + i * x_stride` can be read; they need
    /// not be aligned. With `n = 0` the pointers are not used.
    pub unsafe fn observe_raw(
        &mut self,
        reference: *const f32,
        reference_stride: usize,
        x: *const f32,
        x_stride: usize,
        n: usize,
    ) {
        for i in 0..n {
            // SAFETY: by this function's contract.
            let (r, x) = unsafe {
                (
                    reference.add(i * reference_stride).read_unaligned(),
                    x.add(i * x_stride).read_unaligned(),
                )
            };
            self.observe_one(r, x);
        }
    }

    /// Compares one element.
    #[inline]
    pub fn observe_one(&mut self, reference: f32, x: f32) {
        self.count = self.count.saturating_add(1);
        if !(reference.is_finite() && x.is_finite()) {
            self.nonfinite_count = self.nonfinite_count.saturating_add(1);
            return;
        }
        let error = (f64::from(reference) - f64::from(x)).abs();
        if error > self.max_abs_error {
            self.max_abs_error = error;
        }
        let ((r_negative, r, r_shift), (x_negative, x, x_shift)) = (parts(reference), parts(x));
        self.reference.add(r * r, 2 * r_shift, false);
        self.product.add(r * x, r_shift + x_shift, r_negative != x_negative);
        self.approximation.add(x * x, 2 * x_shift, false);
    }

    /// Takes over what another comparison has seen.
    pub fn merge(&mut self, other: &Comparison) {
        self.count = self.count.saturating_add(other.count);
        self.nonfinite_count = self.nonfinite_count.saturating_add(other.nonfinite_count);
        if other.max_abs_error > self.max_abs_error {
            self.max_abs_error = other.max_abs_error;
        }
        self.reference.merge(&other.reference);
        self.product.merge(&other.product);
        self.approximation.merge(&other.approximation);
    }

    /// The measures, from the exact sums, each of which is rounded to f64 once:
    ///
    /// * `sqnr_db = 10 log10(sum r^2 / sum (r - x)^2)`: +infinity where there is no noise (equal
    ///   tensors, zeros and the empty pair among them), -infinity where there is noise but no signal;
    /// * `max_abs_error = max |r - x|`; 0 of nothing;
    /// * `cosine = sum r x / sqrt(sum r^2 * sum x^2)`, within -1..=1: 1 for equal tensors, 0 if one of
    ///   the two is all zeros.
    ///
    /// If any pair had a NaN or an infinity, all three are NaN: `nonfinite_count` says how many.
    pub fn quality(&self) -> Quality {
        if self.nonfinite_count != 0 {
            return Quality { sqnr_db: f64::NAN, max_abs_error: f64::NAN, cosine: f64::NAN };
        }
        let mut noise = self.product.doubled().negated();
        noise.merge(&self.reference);
        noise.merge(&self.approximation);
        let signal = self.reference.to_f64(UNIT);
        let max_abs_error = self.max_abs_error;
        if noise.is_zero() {
            return Quality { sqnr_db: f64::INFINITY, max_abs_error, cosine: 1.0 };
        }
        // No signal gives log10(0), -infinity.
        let sqnr_db = 10.0 * log10(signal / noise.to_f64(UNIT));
        let cosine = if self.reference.is_zero() || self.approximation.is_zero() {
            0.0
        } else {
            let lengths = sqrt(signal * self.approximation.to_f64(UNIT));
            (self.product.to_f64(UNIT) / lengths).clamp(-1.0, 1.0)
        };
        Quality { sqnr_db, max_abs_error, cosine }
    }
}
