//! Tensors to codes and back in one pass.

use super::{
    NO_KERNEL, Reals, RealsMut, TensorParams, TensorQuant, at_param, check_tensor_params,
    layout_error, share,
};
use crate::{Error, Parallel, Result, Status};
use fewbit_granularity::{Grid, Layout, Walk};
use fewbit_kernels::Rows;
use fewbit_kernels::quantize::{Fake, QuantizeArgs};
use fewbit_simd::Supported;

/// Quantizes and dequantizes: each element becomes the real number of its code, in the format that it
/// had, so that training sees what quantization costs. The result is that of
/// [`quantize`](super::quantize()) and then [`dequantize`](super::dequantize()), without the codes being stored; NaN becomes 0.
///
/// # Errors
/// As [`quantize`](super::quantize()).
///
/// # Safety
/// Every element of `x` can be read, every one of `y`, in the same format, written; the two do not
/// overlap. Nothing need be aligned.
pub unsafe fn fake_quantize(
    (x, x_layout): (Reals, &Layout),
    quant: &TensorQuant,
    params: &TensorParams<'_>,
    (y, y_layout): (*mut u8, &Layout),
    parallel: &dyn Parallel,
    supported: Supported,
) -> Result<()> {
    check_tensor_params(x_layout, quant, params)?;
    if y_layout.overlaps_itself() {
        return Err(Error::new(Status::Overlap, "y_shape", "puts two elements in one place"));
    }
    let walk = quant
        .granularity
        .walk([x_layout, y_layout])
        .map_err(|error| layout_error(error, "y_shape"))?;
    let kernel = Fake::new(x.format, quant.params.format, supported).ok_or(NO_KERNEL)?;
    let y = RealsMut { format: x.format, at: y };
    let work = Faking { x, y, quant, params, kernel };
    // SAFETY: the part's elements by this function's contract, and no other part has them;
    // parameters and layouts were checked.
    share(&walk, 1, parallel, |part| unsafe { work.part(part) });
    Ok(())
}

/// A tensor on its way; everything was checked.
struct Faking<'a> {
    x: Reals,
    y: RealsMut,
    quant: &'a TensorQuant,
    params: &'a TensorParams<'a>,
    kernel: Fake,
}
// SAFETY: tasks read `x` and write disjoint elements of `y`.
unsafe impl Sync for Faking<'_> {}

impl Faking<'_> {
    /// # Safety
    /// The walk's elements can be read and written, their parameters are those that were checked.
    unsafe fn part(&self, walk: Walk<2>) {
        let format = self.quant.params.format;
        for Grid { run, rows, row_strides: [src_row, dst_row], param_stride } in walk.grids() {
            let ([from, to], [src_stride, dst_stride]) = (run.offsets, run.strides);
            let args = QuantizeArgs {
                src: self.x.from(from).at,
                src_stride,
                dst: self.y.from(to).at,
                dst_stride,
                n: run.len,
                scales: at_param(self.params.scales, run.param),
                zero_points: at_param(self.params.zero_points, run.param),
                param_step: run.param_step,
                rows: Rows { count: rows, src_stride: src_row, dst_stride: dst_row, param_stride },
                mode: self.quant.mode,
                clamp: (format.qmin(), format.qmax()),
            };
            // SAFETY: by this function's contract.
            unsafe { self.kernel.run(&args) };
        }
    }
}
