//! Tensors of int32 sums to codes.

use super::{at_param, kernel, layout_error, share};
use crate::observe::check_places;
use crate::plan::check_params;
use crate::{Code, Error, Parallel, Result, Status};
use fewbit_granularity::{Granularity, Grid, Layout, Walk};
use fewbit_kernels::Rows;
use fewbit_kernels::registry::Bound;
use fewbit_kernels::requantize::{
    self, RequantizeArgs, RequantizeFixedArgs, RequantizeFixedFn, RequantizeFn,
};
use fewbit_scheme::{FixedMultiplier, FixedRounding, QuantParams};
use fewbit_simd::Supported;

/// What sums are multiplied with, a multiplier a parameter: row-major over the grid of blocks.
#[derive(Clone, Copy, Debug)]
pub enum Multipliers<'a> {
    /// Float mode, as [`fewbit_scheme::requantize`]: finite and not negative.
    Float(&'a [f32]),
    /// Fixed point, as [`fewbit_scheme::requantize_fixed`]: integers only.
    Fixed {
        /// In units of 2^-31, not negative.
        multipliers: &'a [i32],
        /// As many, -31..=30, left if positive.
        shifts: &'a [i32],
        /// How the product is rounded.
        rounding: FixedRounding,
    },
}

impl Multipliers<'_> {
    fn len(&self) -> usize {
        match self {
            Multipliers::Float(multipliers) => multipliers.len(),
            Multipliers::Fixed { multipliers, .. } => multipliers.len(),
        }
    }

    fn check(&self) -> Result<()> {
        match *self {
            Multipliers::Float(multipliers) => {
                let wrong = |m: &f32| !(0.0..f32::INFINITY).contains(m);
                let Some(index) = multipliers.iter().position(wrong) else { return Ok(()) };
                let text = "has {} at index {}, but a multiplier is finite and not negative";
                let value = multipliers.get(index).copied().unwrap_or_default();
                Err(Error::new(Status::InvalidArgument, "multipliers", text)
                    .with(value)
                    .with(index))
            }
            Multipliers::Fixed { multipliers, shifts, .. } => {
                check_places("shifts", shifts.len(), multipliers.len())?;
                for (index, (&multiplier, &shift)) in multipliers.iter().zip(shifts).enumerate() {
                    if !(FixedMultiplier { multiplier, shift }).is_valid() {
                        let text = "has {} with shift {} at index {}, but a multiplier is not \
                                    negative and its shift is -31 to 30";
                        return Err(Error::new(Status::InvalidArgument, "multipliers", text)
                            .with(multiplier)
                            .with(shift)
                            .with(index));
                    }
                }
                Ok(())
            }
        }
    }
}

/// How a tensor of sums becomes codes.
#[derive(Clone, Copy, Debug)]
pub struct TensorRequantize {
    /// The codes.
    pub code: Code,
    /// Which sums share a multiplier and a zero point.
    pub granularity: Granularity,
}

/// Requantizes a tensor of sums, each with its own multiplier and zero point (`zero_points` holds as many as there
/// are multipliers, or none: all 0).
///
/// # Errors
/// [`Status::InvalidArgument`] for shapes that differ, a granularity that does not fit, counts other than
/// [`param_count`](super::param_count), multipliers and zero points out of range; [`Status::Overlap`] for codes that
/// share a place.
///
/// # Safety
/// Every element of `acc` can be read, every one of `q` written; the two do not overlap. Nothing need be
/// aligned.
pub unsafe fn requantize(
    (acc, acc_layout): (*const i32, &Layout),
    how: &TensorRequantize,
    (multipliers, zero_points): (&Multipliers<'_>, &[i32]),
    (q, q_layout): (*mut u8, &Layout),
    parallel: &dyn Parallel,
    supported: Supported,
) -> Result<()> {
    let refused = |error| layout_error(error, "q_shape");
    let needed = how.granularity.param_count(acc_layout).map_err(refused)?;
    check_places("count", multipliers.len(), needed)?;
    multipliers.check()?;
    if !zero_points.is_empty() {
        check_places("zero_points", zero_points.len(), needed)?;
    }
    let format = how.code.format();
    for &zero_point in zero_points {
        check_params(QuantParams { scale: 1.0, zero_point }, format, "zero_points")?;
    }
    if q_layout.overlaps_itself() {
        return Err(Error::new(Status::Overlap, "q_shape", "puts two elements in one place"));
    }
    let walk = how.granularity.walk([acc_layout, q_layout]).map_err(refused)?;
    let (float, fixed) = match how.code.is_unsigned() {
        true => (requantize::S32_U8, requantize::S32_U8_FIXED),
        false => (requantize::S32_S8, requantize::S32_S8_FIXED),
    };
    let work = Requantizing {
        acc,
        q,
        multipliers,
        zero_points,
        clamp: (format.qmin(), format.qmax()),
        float: kernel(float, supported)?,
        fixed: kernel(fixed, supported)?,
    };
    // SAFETY: the part's elements by this function's contract, and no other part has them;
    // parameters and layouts were checked.
    share(&walk, 1, parallel, |part| unsafe { work.part(part) });
    Ok(())
}

/// Sums on their way to codes; everything was checked.
struct Requantizing<'a> {
    acc: *const i32,
    q: *mut u8,
    multipliers: &'a Multipliers<'a>,
    zero_points: &'a [i32],
    clamp: (i32, i32),
    float: Bound<RequantizeFn>,
    fixed: Bound<RequantizeFixedFn>,
}
// SAFETY: tasks read `acc` and write disjoint elements of `q`.
unsafe impl Sync for Requantizing<'_> {}

impl Requantizing<'_> {
    /// # Safety
    /// The walk's elements can be read and written, their parameters are those that were checked.
    unsafe fn part(&self, walk: Walk<2>) {
        for Grid { run, rows, row_strides: [src_row, dst_row], param_stride } in walk.grids() {
            let ([from, to], [src_stride, dst_stride]) = (run.offsets, run.strides);
            let (src, dst) = (self.acc.wrapping_add(from), self.q.wrapping_add(to));
            let zero_points = at_param(self.zero_points, run.param);
            let rows = Rows { count: rows, src_stride: src_row, dst_stride: dst_row, param_stride };
            // SAFETY: by this function's contract.
            unsafe {
                match *self.multipliers {
                    Multipliers::Float(multipliers) => self.float.run()(&RequantizeArgs {
                        src,
                        src_stride,
                        dst,
                        dst_stride,
                        n: run.len,
                        multipliers: at_param(multipliers, run.param),
                        zero_points,
                        param_step: run.param_step,
                        rows,
                        clamp: self.clamp,
                    }),
                    Multipliers::Fixed { multipliers, shifts, rounding } => {
                        self.fixed.run()(&RequantizeFixedArgs {
                            src,
                            src_stride,
                            dst,
                            dst_stride,
                            n: run.len,
                            multipliers: at_param(multipliers, run.param),
                            shifts: at_param(shifts, run.param),
                            zero_points,
                            param_step: run.param_step,
                            rows,
                            clamp: self.clamp,
                            rounding,
                        });
                    }
                }
            }
        }
    }
}
