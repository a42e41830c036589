//! Tensors to codes.

use super::{
    NO_KERNEL, Reals, TensorParams, TensorQuant, at_param, check_packed, check_tensor_params,
    layout_error, share,
};
use crate::{Error, Parallel, Result, Status};
use fewbit_granularity::{Granularity, Grid, Layout, Run, Walk};
use fewbit_kernels::Rows;
use fewbit_kernels::quantize::{self, QuantizeArgs};
use fewbit_scheme::{IntFormat, pack};
use fewbit_simd::Supported;

/// Quantizes a tensor: each element as [`fewbit_scheme::quantize`] with its own parameter. Codes of less
/// than a byte are packed, each innermost row from a byte of its own, the rest of its last byte filled
/// with the code of zero (that of the row's last parameter). No other byte is written. Large tensors
/// are shared out among the caller's threads; the result does not depend on that.
///
/// # Errors
/// [`Status::InvalidArgument`] (granularity, shapes, counts, parameters), [`Status::Overlap`] if the codes'
/// layout puts two elements in one place. Nothing is written then.
///
/// # Safety
/// Every element of `x` can be read, every one of `q` written ([`code_bytes`](super::code_bytes) bytes reach to the last);
/// the two do not overlap. Nothing need be aligned.
pub unsafe fn quantize(
    (x, x_layout): (Reals, &Layout),
    quant: &TensorQuant,
    params: &TensorParams<'_>,
    (q, q_layout): (*mut u8, &Layout),
    parallel: &dyn Parallel,
    supported: Supported,
) -> Result<()> {
    let format = quant.params.format;
    check_tensor_params(x_layout, quant, params)?;
    check_codes(q_layout, format)?;
    let walk = quant
        .granularity
        .walk([x_layout, q_layout])
        .map_err(|error| layout_error(error, "q_shape"))?;
    let kernel = quantize::Any::new(x.format, format, supported).ok_or(NO_KERNEL)?;
    let row = q_layout.dims().last().copied().unwrap_or(1);
    let packed = format.codes_per_byte() > 1;
    if packed && !fills_bytes(quant, x_layout, row) {
        // SAFETY: by this function's contract; the layout was checked.
        unsafe { clear_packed(q, q_layout, format)? };
    }
    let work = Quantizing { x, q, quant, params, kernel };
    share(&walk, if packed { row } else { 1 }, parallel, |part| {
        // SAFETY: the part's elements by this function's contract, and no other part has them, nor
        // their bytes; parameters and layouts were checked; packed bytes have been cleared.
        unsafe { if packed { work.packed(part, row) } else { work.bytes(part) } }
    });
    Ok(())
}

/// Checks the layout of codes to write.
pub(super) fn check_codes(layout: &Layout, format: IntFormat) -> Result<()> {
    check_packed(layout, format)?;
    if layout.overlaps_itself() {
        return Err(Error::new(Status::Overlap, "q_shape", "puts two elements in one place"));
    }
    Ok(())
}

/// A tensor on its way to codes; everything was checked.
struct Quantizing<'a> {
    x: Reals,
    q: *mut u8,
    quant: &'a TensorQuant,
    params: &'a TensorParams<'a>,
    kernel: quantize::Any,
}
// SAFETY: tasks read `x` and write disjoint bytes of `q`.
unsafe impl Sync for Quantizing<'_> {}

impl Quantizing<'_> {
    fn args(&self, grid: &Grid<2>) -> QuantizeArgs {
        let Grid { run, rows, row_strides: [src_row, dst_row], param_stride } = *grid;
        let format = self.quant.params.format;
        QuantizeArgs {
            src: self.x.from(run.offsets[0]).at,
            src_stride: run.strides[0],
            dst: self.q,
            dst_stride: run.strides[1],
            n: run.len,
            scales: at_param(self.params.scales, run.param),
            zero_points: at_param(self.params.zero_points, run.param),
            param_step: run.param_step,
            rows: Rows { count: rows, src_stride: src_row, dst_stride: dst_row, param_stride },
            mode: self.quant.mode,
            clamp: (format.qmin(), format.qmax()),
        }
    }

    /// Codes of whole bytes.
    ///
    /// # Safety
    /// The walk's elements can be read and written, their parameters are those that were checked.
    unsafe fn bytes(&self, walk: Walk<2>) {
        for grid in walk.grids() {
            // SAFETY: by this function's contract.
            unsafe { self.kernel.run(&self.args(&grid), grid.run.offsets[1]) };
        }
    }

    /// Packed codes, in whole rows of `row` elements; their bytes have been written before.
    ///
    /// # Safety
    /// As [`bytes`](Quantizing::bytes); nobody else writes these rows' bytes.
    unsafe fn packed(&self, walk: Walk<2>, row: usize) {
        let mut visited = 0usize;
        for grid in walk.grids() {
            let Grid { run, rows, row_strides, param_stride } = grid;
            // Runs without gaps between them fill their bytes where rows end, but for the last.
            let joined = run.strides[1] == 1 && row_strides[1] == run.len;
            let (pieces, each) = if joined { (1, rows) } else { (rows, 1) };
            for piece in 0..pieces {
                let [from, to] = run.offsets;
                let [src_row, dst_row] = row_strides.map(|stride| piece.wrapping_mul(stride));
                let offsets = [from.wrapping_add(src_row), to.wrapping_add(dst_row)];
                let param = run.param.wrapping_add(piece.wrapping_mul(param_stride));
                let grid = Grid { run: Run { offsets, param, ..run }, rows: each, ..grid };
                // SAFETY: by this function's contract.
                unsafe {
                    self.kernel.run(&self.args(&grid), grid.run.offsets[1]);
                    visited = visited.wrapping_add(run.len.wrapping_mul(each));
                    if visited.is_multiple_of(row) {
                        self.pad(&grid, row);
                    }
                }
            }
        }
    }

    /// Fills the bytes behind the last elements of rows of `row` elements that end in a grid, which was just
    /// written: at every element where rows have one each, otherwise at its last (several longer rows are in
    /// one grid only where they fill their bytes).
    ///
    /// # Safety
    /// As [`packed`](Quantizing::packed).
    unsafe fn pad(&self, grid: &Grid<2>, row: usize) {
        let Grid { run, rows, row_strides, param_stride } = *grid;
        let format = self.quant.params.format;
        let last = rows.wrapping_sub(1);
        let first = if row == 1 { 0 } else { run.len - 1 };
        for i in first..run.len {
            let param = run.param + last * param_stride + run.param_step * i;
            let zero_point = self.params.zero_points.get(param).copied().unwrap_or(0);
            let at = run.offsets[1] + last * row_strides[1] + i * run.strides[1];
            // SAFETY: the last element of a row.
            unsafe { pad_row(self.q, at, format, format.zero_code(zero_point)) };
        }
    }
}

/// Fills what is left of the byte behind a packed row's last element.
///
/// # Safety
/// The byte of element `last` can be read and written at `q`.
unsafe fn pad_row(q: *mut u8, last: usize, format: IntFormat, pad: i32) {
    let (byte, slot) = pack::position(format, last);
    let free = slot + 1..format.codes_per_byte() as u32;
    // SAFETY: by this function's contract.
    unsafe {
        let place = q.add(byte);
        place.write(free.fold(place.read(), |value, slot| pack::set(format, value, slot, pad)));
    }
}

/// Whether all runs begin and end with a byte, so that none is read before it is written: rows of `row`
/// elements do, and the blocks within them.
fn fills_bytes(quant: &TensorQuant, layout: &Layout, row: usize) -> bool {
    let per_byte = quant.params.format.codes_per_byte();
    let extents = quant.granularity.block_extents(layout);
    let block =
        extents.ok().and_then(|extents| extents.get(layout.rank().wrapping_sub(1)).copied());
    row.is_multiple_of(per_byte)
        && block.is_some_and(|block| block == 1 || block.is_multiple_of(per_byte))
}

/// Writes 0 to every byte that packed codes of a checked layout occupy, so that no byte is read
/// before it was written.
///
/// # Safety
/// The bytes of the layout's elements can be written at `q`.
unsafe fn clear_packed(q: *mut u8, layout: &Layout, format: IntFormat) -> Result<()> {
    let runs = Granularity::PerTensor.walk([layout]);
    for run in runs.map_err(|error| layout_error(error, "q_shape"))? {
        let ([offset], [stride]) = (run.offsets, run.strides);
        let (first, _) = pack::position(format, offset);
        // SAFETY: the bytes of the run's elements: rows start on a byte and are contiguous; elements
        // at a distance are rows of one element.
        unsafe {
            if stride == 1 {
                q.add(first).write_bytes(0, pack::packed_len(format, run.len));
            } else {
                let (distance, _) = pack::position(format, stride);
                (0..run.len).for_each(|i| q.add(first + i * distance).write(0));
            }
        }
    }
    Ok(())
}
