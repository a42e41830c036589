//! Products of real numbers: one chain of fused multiply-adds an output, in the order of k.

use crate::real::{canonical, fma};

/// `x[0] w[0] + x[1] w[1] + ...`: `acc = fma(x[k], w[k], acc)` from +0 on, in the order of the pairs. A result that is
/// NaN is the canonical one.
///
/// The chain is of the output alone, so that vectors run across outputs, and neither an instruction set nor a
/// division of the work can show.
pub fn dot(pairs: impl Iterator<Item = (f32, f32)>) -> f32 {
    canonical(pairs.fold(0.0, |acc, (x, w)| fma(x, w, acc)))
}

/// [`dot`] plus a bias, rounded once more; what is NaN is the canonical NaN.
pub fn dot_with_bias(pairs: impl Iterator<Item = (f32, f32)>, bias: f32) -> f32 {
    canonical(dot(pairs) + bias)
}
