//! Codes to tensors.

use super::{
    NO_KERNEL, RealsMut, TensorParams, TensorQuant, at_param, check_packed, check_tensor_params,
    layout_error, share,
};
use crate::{Error, Parallel, Result, Status};
use fewbit_granularity::{Grid, Layout, Walk};
use fewbit_kernels::Rows;
use fewbit_kernels::dequantize::{self, DequantizeArgs};
use fewbit_simd::Supported;

/// Dequantizes a tensor: each element as [`fewbit_scheme::dequantize`] (or as its siblings for the 16-bit
/// formats) with its own parameter.
///
/// # Errors
/// As [`quantize`](super::quantize()), the roles exchanged.
///
/// # Safety
/// As [`quantize`](super::quantize()), the roles exchanged.
pub unsafe fn dequantize(
    (q, q_layout): (*const u8, &Layout),
    quant: &TensorQuant,
    params: &TensorParams<'_>,
    (x, x_layout): (RealsMut, &Layout),
    parallel: &dyn Parallel,
    supported: Supported,
) -> Result<()> {
    let format = quant.params.format;
    check_tensor_params(x_layout, quant, params)?;
    check_packed(q_layout, format)?;
    if x_layout.overlaps_itself() {
        return Err(Error::new(Status::Overlap, "x_shape", "puts two elements in one place"));
    }
    let walk = quant
        .granularity
        .walk([q_layout, x_layout])
        .map_err(|error| layout_error(error, "x_shape"))?;
    let kernel = dequantize::Any::new(x.format, format, supported).ok_or(NO_KERNEL)?;
    let work = Dequantizing { q, x, params, kernel };
    // SAFETY: the part's elements by this function's contract, and no other part has them;
    // parameters and layouts were checked.
    share(&walk, 1, parallel, |part| unsafe { work.part(part) });
    Ok(())
}

/// Codes on their way to a tensor; everything was checked.
struct Dequantizing<'a> {
    q: *const u8,
    x: RealsMut,
    params: &'a TensorParams<'a>,
    kernel: dequantize::Any,
}
// SAFETY: tasks read `q` and write disjoint elements of `x`.
unsafe impl Sync for Dequantizing<'_> {}

impl Dequantizing<'_> {
    /// # Safety
    /// The walk's elements can be read and written, their parameters are those that were checked.
    unsafe fn part(&self, walk: Walk<2>) {
        for Grid { run, rows, row_strides: [src_row, dst_row], param_stride } in walk.grids() {
            let ([from, to], [src_stride, dst_stride]) = (run.offsets, run.strides);
            let args = DequantizeArgs {
                src: self.q,
                src_stride,
                signed: false,
                dst: self.x.from(to).at,
                dst_stride,
                n: run.len,
                scales: at_param(self.params.scales, run.param),
                zero_points: at_param(self.params.zero_points, run.param),
                param_step: run.param_step,
                rows: Rows { count: rows, src_stride: src_row, dst_stride: dst_row, param_stride },
            };
            // SAFETY: by this function's contract.
            unsafe { self.kernel.run(&args, from) };
        }
    }
}
