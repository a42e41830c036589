//! Tensors to codes with parameters from their own data, in one go.

use super::quantize::{check_codes, quantize};
use super::{PART, Reals, TensorParams, TensorQuant, layout_error, param_count};
use crate::observe::{check_places, choose_params, places};
use crate::plan::tasks;
use crate::{Parallel, Result, Serial};
use fewbit_granularity::Layout;
use fewbit_scheme::{IntFormat, pack};
use fewbit_simd::Supported;

/// Chooses parameters and quantizes: [`choose_params`], then [`quantize()`]. Where each index of the first
/// axis has parameters of its own (per row, blocks along a row), a few rows at a time, while they are in
/// the cache, and large tensors by the caller's threads; the result is the same.
///
/// # Errors
/// As both. Nothing is written then.
///
/// # Safety
/// As [`quantize()`].
pub unsafe fn quantize_dynamic(
    (x, x_layout): (Reals, &Layout),
    quant: &TensorQuant,
    (scales, mut zero_points): (&mut [f32], Option<&mut [i32]>),
    (q, q_layout): (*mut u8, &Layout),
    parallel: &dyn Parallel,
    supported: Supported,
) -> Result<()> {
    check_codes(q_layout, quant.params.format)?;
    let shapes = quant.granularity.walk([x_layout, q_layout]);
    let elements = shapes.map_err(|error| layout_error(error, "q_shape"))?.elements();
    let needed = param_count(x_layout, quant)?;
    check_places("count", scales.len(), needed)?;
    places(&quant.params, needed, zero_points.as_deref_mut())?;
    let first = |values: &[usize]| values.first().copied().unwrap_or(0);
    let rows = first(x_layout.dims());
    let (row_stride, code_stride) = (first(x_layout.strides()), first(q_layout.strides()));
    let extents = quant.granularity.block_extents(x_layout);
    // Rows with parameters of their own, and, packed, with bytes of their own.
    let by_row = extents.is_ok_and(|extents| extents.first() == Some(&1))
        && rows > 1
        && needed >= rows
        && (x_layout.rank() > 1 || quant.params.format.codes_per_byte() == 1);
    if !by_row {
        // SAFETY: by this function's contract.
        return unsafe {
            piecewise(x, x_layout, quant, scales, zero_points, q, q_layout, supported)
        };
    }
    let per_row = needed / rows.max(1);
    // Rows that stay in the second-level cache between their two visits.
    let together = (CACHED / (elements / rows.max(1)).max(1)).clamp(1, rows);
    let pieces = rows.div_ceil(together.max(1));
    let (all_scales, all_zero_points) =
        (scales.as_mut_ptr(), zero_points.map_or(core::ptr::null_mut(), <[i32]>::as_mut_ptr));
    let work = Dynamic { x, q, scales: all_scales, zero_points: all_zero_points };
    let piece = |piece: usize| {
        let work = &work;
        let first = piece * together;
        let count = together.min(rows - first);
        let code = first.wrapping_mul(code_stride);
        let (byte, _) = pack::position(quant.params.format, code);
        let byte = if quant.params.format == IntFormat::S16 { 2 * code } else { byte };
        // SAFETY: each row has `per_row` parameters of its own, and no other piece has these rows.
        unsafe {
            let scales =
                core::slice::from_raw_parts_mut(work.scales.add(first * per_row), count * per_row);
            let zero_points = (!work.zero_points.is_null()).then(|| {
                let places = work.zero_points.add(first * per_row);
                core::slice::from_raw_parts_mut(places, count * per_row)
            });
            let (x_part, q_part) = (x_layout.rows(count), q_layout.rows(count));
            let (Some(x_part), Some(q_part)) = (x_part, q_part) else { return };
            let (x, q) = (work.x.from(first.wrapping_mul(row_stride)), work.q.wrapping_add(byte));
            // Checked above for the whole tensor; a piece of it is never refused.
            let _ = piecewise(x, &x_part, quant, scales, zero_points, q, &q_part, supported);
        }
    };
    if parallel.max_workers() > 1 && elements >= 2 * PART {
        tasks::each(parallel, pieces, piece);
    } else {
        (0..pieces).for_each(piece);
    }
    Ok(())
}

/// Elements whose f32 stay in the second-level cache.
const CACHED: usize = 1 << 16;

/// The pointers of [`quantize_dynamic`], for tasks.
struct Dynamic {
    x: Reals,
    q: *mut u8,
    scales: *mut f32,
    zero_points: *mut i32,
}
// SAFETY: tasks read `x` and write disjoint rows and parameters of the rest.
unsafe impl Sync for Dynamic {}

/// # Safety
/// As [`quantize_dynamic`].
#[allow(clippy::too_many_arguments, reason = "one place uses it")]
unsafe fn piecewise(
    x: Reals,
    x_layout: &Layout,
    quant: &TensorQuant,
    scales: &mut [f32],
    mut zero_points: Option<&mut [i32]>,
    q: *mut u8,
    q_layout: &Layout,
    supported: Supported,
) -> Result<()> {
    // SAFETY: by this function's contract.
    unsafe {
        choose_params(x, x_layout, quant, scales, zero_points.as_deref_mut(), supported)?;
        let zero_points = zero_points.as_deref().unwrap_or_default();
        let params = TensorParams { scales, zero_points };
        quantize((x, x_layout), quant, &params, (q, q_layout), &Serial, supported)
    }
}
