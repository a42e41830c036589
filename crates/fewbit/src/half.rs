//! 16-bit floats: what they do to numbers, and what the CPU at hand can do with them.

use crate::Result;
use crate::plan::find;
use fewbit_kernels::census::CENSUS_F32;
use fewbit_simd::Supported;

pub use fewbit_scheme::hazards::{FormatHazards, HalfHazards};
pub use fewbit_simd::HalfSupport;

/// Tells what becomes of numbers in f16 and bf16: how many overflow, underflow to 0 or become subnormal, their extremes, and
/// the power of two that avoids it. The counts are exact.
///
/// # Errors
/// [`Status::Internal`](crate::Status::Internal): never on a supported CPU.
pub fn hazards(x: &[f32], supported: Supported) -> Result<HalfHazards> {
    let kernel = find(CENSUS_F32, supported)?.run();
    // SAFETY: the slice's numbers.
    Ok(HalfHazards::new(&unsafe { kernel(x.as_ptr(), x.len()) }))
}
