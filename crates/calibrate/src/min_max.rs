//! The range of all data seen.

use fewbit_kernels::reduce;
use fewbit_kernels::registry::best;
use fewbit_scheme::{ParamError, ParamSpec, QuantParams, params_from_range, real};
use fewbit_simd::Supported;

/// The smallest and the largest number seen, with -0 < +0; NaN is counted and otherwise ignored.
///
/// Merging is commutative, associative and exact: observers of parts of the data, merged in any
/// order, hold what one observer of all of it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct MinMax {
    /// The smallest number; +infinity if there was none.
    pub min: f32,
    /// The largest number; -infinity if there was none.
    pub max: f32,
    /// Elements seen, NaN included. Counts stop at the largest u64.
    pub count: u64,
    /// How many of them were NaN.
    pub nan_count: u64,
}

impl Default for MinMax {
    fn default() -> MinMax {
        MinMax::EMPTY
    }
}

impl MinMax {
    /// Nothing seen.
    pub const EMPTY: MinMax =
        MinMax { min: f32::INFINITY, max: f32::NEG_INFINITY, count: 0, nan_count: 0 };

    /// Sees more elements.
    pub fn observe(&mut self, x: &[f32], supported: Supported) {
        // SAFETY: the elements of a slice.
        unsafe { self.observe_raw(x.as_ptr(), 1, x.len(), supported) }
    }

    /// Sees `n` elements at distance `stride`, in elements.
    ///
    /// # Safety
    /// For `i < n`, `x + i * stride` can be read; it need not be aligned. With `n = 0` the pointer is
    /// not used.
    pub unsafe fn observe_raw(
        &mut self,
        x: *const f32,
        stride: usize,
        n: usize,
        supported: Supported,
    ) {
        let mut nan_count = 0;
        for i in 0..n {
            // SAFETY: by this function's contract.
            nan_count += u64::from(unsafe { x.add(i * stride).read_unaligned() }.is_nan());
        }
        // The table's last row needs no feature, so there always is a kernel.
        let (min, max) = match best(reduce::MIN_MAX, supported) {
            // SAFETY: by this function's contract.
            Some(kernel) => unsafe { kernel.run()(x.cast(), stride, n) },
            None => (f32::INFINITY, f32::NEG_INFINITY),
        };
        self.merge(&MinMax { min, max, count: n as u64, nan_count });
    }

    /// Sees one element.
    pub fn observe_one(&mut self, x: f32) {
        self.min = real::min(self.min, x);
        self.max = real::max(self.max, x);
        self.count = self.count.saturating_add(1);
        self.nan_count = self.nan_count.saturating_add(u64::from(x.is_nan()));
    }

    /// Takes over what another observer has seen.
    pub fn merge(&mut self, other: &MinMax) {
        self.min = real::min(self.min, other.min);
        self.max = real::max(self.max, other.max);
        self.count = self.count.saturating_add(other.count);
        self.nan_count = self.nan_count.saturating_add(other.nan_count);
    }

    /// Whether no number was seen: nothing, or NaN only.
    pub fn is_empty(&self) -> bool {
        // Also of a state whose fields are NaN, which no observer makes.
        !matches!(self.min.partial_cmp(&self.max), Some(o) if o.is_le())
    }

    /// Parameters that cover the range, by [`params_from_range`]: an observer that saw no number
    /// gives scale 1.
    ///
    /// # Errors
    /// [`ParamError`] if the fields are no range; those of an observer always are.
    pub fn params(&self, spec: &ParamSpec) -> Result<QuantParams, ParamError> {
        params_from_range(self.min, self.max, spec)
    }
}
