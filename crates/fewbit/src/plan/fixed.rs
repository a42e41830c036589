//! Sums to codes in integers only: what a plan's fixed-point output needs of each column.

use super::columns::Columns;
use super::epilogue::{Sums, find};
use super::{Code, Operands, Output};
use crate::memory::{Allocator, Buffer};
use crate::{Error, Result, Status};
use fewbit_kernels::Rows;
use fewbit_kernels::gemm::MAX_NR;
use fewbit_kernels::registry::Bound;
use fewbit_kernels::requantize::{
    RequantizeFixedArgs, RequantizeFixedFn, S32_S8_FIXED, S32_U8_FIXED,
};
use fewbit_scheme::{FixedMultiplier, FixedRounding, QuantParams};
use fewbit_simd::Supported;

pub(crate) struct Fixed {
    /// Each column's multiplier and shift, padded to whole panels.
    multipliers: Buffer<i32>,
    shifts: Buffer<i32>,
    zero_point: i32,
    rounding: FixedRounding,
    requantize: Bound<RequantizeFixedFn>,
}

impl Fixed {
    /// For codes with the parameters given; `None` if the output is not by fixed point. The operands are checked.
    pub(crate) fn new(
        operands: &Operands<'_>,
        (code, params): (Code, QuantParams),
        columns: Columns,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Option<Fixed>> {
        let Operands { weights, input, output, .. } = operands;
        let (&Output::FixedPoint(_, _, rounding), Some(input)) = (output, input.fixed_params())
        else {
            return Ok(None);
        };
        let padded = columns.padded();
        let mut multipliers = Buffer::zeroed(padded, allocator, "desc.weights.multipliers")?;
        let mut shifts = Buffer::zeroed(padded, allocator, "desc.weights.multipliers")?;
        for group in 0..columns.groups {
            for column in 0..columns.columns {
                let channel = group * columns.columns + column;
                let index = columns.slot(group, 0) + column;
                let scale = weights.scale(channel);
                let made = || FixedMultiplier::from_scales(input.scale, scale, params.scale);
                let value = weights.multiplier(channel).or_else(made).ok_or_else(|| {
                    let text = "needs the multiplier {} * {} / {}, but fixed point ends below 2^30";
                    Error::new(Status::InvalidArgument, "desc.output", text)
                        .with(input.scale)
                        .with(scale)
                        .with(params.scale)
                })?;
                let places = [(&mut multipliers, value.multiplier), (&mut shifts, value.shift)];
                for (values, value) in places {
                    if let Some(slot) = values.as_mut_slice().get_mut(index) {
                        *slot = value;
                    }
                }
            }
        }
        let rows = if code.is_unsigned() { S32_U8_FIXED } else { S32_S8_FIXED };
        Ok(Some(Fixed {
            multipliers,
            shifts,
            zero_point: params.zero_point,
            rounding,
            requantize: find(rows, supported)?,
        }))
    }

    /// Requantizes sums to codes within `clamp`, rows and columns of codes as far apart as told.
    ///
    /// # Safety
    /// The sums can be read and the codes written.
    pub(crate) unsafe fn run(
        &self,
        sums: &Sums<'_>,
        (to, row_stride, column_stride): (*mut u8, usize, usize),
        clamp: (i32, i32),
    ) {
        let zero_points = [self.zero_point; MAX_NR];
        // As many columns at a time as there are zero points.
        for first in (0..sums.n).step_by(MAX_NR) {
            let at =
                |values: &Buffer<i32>| values.as_slice().as_ptr().wrapping_add(sums.slot + first);
            let args = RequantizeFixedArgs {
                src: sums.at.wrapping_add(first),
                src_stride: 1,
                dst: to.wrapping_add(first * column_stride),
                dst_stride: column_stride,
                n: (sums.n - first).min(MAX_NR),
                multipliers: at(&self.multipliers),
                shifts: at(&self.shifts),
                zero_points: zero_points.as_ptr(),
                param_step: 1,
                rows: Rows {
                    count: sums.rows,
                    src_stride: sums.row_stride,
                    dst_stride: row_stride,
                    param_stride: 0,
                },
                clamp,
                rounding: self.rounding,
            };
            // SAFETY: by this function's contract; each column has its parameters.
            unsafe { self.requantize.run()(&args) }
        }
    }
}
