//! Runs of a linear layer on slices.

use super::{Linear, LinearRun};
use crate::memory::Plain;
use crate::plan::{OutputParams, size};
use crate::{Error, Parallel, Result, Status};

impl Linear<'_> {
    /// Runs the layer on slices: `x` holds `(rows - 1) * x_stride + K` elements of the input's type.
    ///
    /// # Errors
    /// As [`run_raw`](Linear::run_raw), and [`Status::BufferTooSmall`] for the slices.
    pub fn run<X: Plain, Y: Plain>(
        &self,
        rows: usize,
        x: &[X],
        workspace: &mut [u8],
        parallel: &dyn Parallel,
        y: &mut [Y],
    ) -> Result<()> {
        self.run_with_residual::<X, u8, Y>(rows, x, &[], workspace, parallel, y)
    }

    /// As [`run`](Linear::run) for a plan with a residual: `residual` holds `rows` contiguous rows of N elements.
    ///
    /// # Errors
    /// As [`run`](Linear::run).
    pub fn run_with_residual<X: Plain, R: Plain, Y: Plain>(
        &self,
        rows: usize,
        x: &[X],
        residual: &[R],
        workspace: &mut [u8],
        parallel: &dyn Parallel,
        y: &mut [Y],
    ) -> Result<()> {
        let sides = (
            (x.len(), size_of::<X>()),
            (residual.len(), size_of::<R>()),
            (y.len(), size_of::<Y>()),
        );
        self.check_slices(rows, sides)?;
        let whole = (0..rows, 0..self.out_features);
        // SAFETY: both slices hold `rows` contiguous rows, and elements of the right size.
        unsafe { self.run_raw(&self.whole(rows, x, residual, workspace, y), parallel, whole) }
    }

    /// Runs a plan whose output is [`Output::DynamicPerRow`](crate::Output::DynamicPerRow): as
    /// [`run_with_residual`](Linear::run_with_residual), whose residual is not looked at without one in the plan; and
    /// each row's scale and zero point are written too, the first `rows` of each.
    ///
    /// # Errors
    /// As [`run_dynamic_raw`](Linear::run_dynamic_raw), and [`Status::BufferTooSmall`] for the slices.
    #[allow(clippy::too_many_arguments, reason = "each is one of the call's operands")]
    pub fn run_dynamic<X: Plain, R: Plain, Y: Plain>(
        &self,
        rows: usize,
        x: &[X],
        residual: &[R],
        workspace: &mut [u8],
        parallel: &dyn Parallel,
        y: &mut [Y],
        (scales, zero_points): (&mut [f32], &mut [i32]),
    ) -> Result<()> {
        let sides = (
            (x.len(), size_of::<X>()),
            (residual.len(), size_of::<R>()),
            (y.len(), size_of::<Y>()),
        );
        self.check_slices(rows, sides)?;
        for (name, len) in [("scales", scales.len()), ("zero_points", zero_points.len())] {
            if len < rows {
                let error = Error::new(Status::BufferTooSmall, name, "has {} values for {} rows");
                return Err(error.with(len).with(rows));
            }
        }
        let params =
            OutputParams { scales: scales.as_mut_ptr(), zero_points: zero_points.as_mut_ptr() };
        let run = self.whole(rows, x, residual, workspace, y);
        // SAFETY: all slices hold `rows` contiguous rows, of elements of the right size, or values.
        unsafe { self.run_dynamic_raw(&run, &params, parallel, 0..rows) }
    }

    /// A run of contiguous rows.
    fn whole<X, R, Y>(
        &self,
        rows: usize,
        x: &[X],
        residual: &[R],
        workspace: &mut [u8],
        y: &mut [Y],
    ) -> LinearRun {
        LinearRun {
            rows,
            x: x.as_ptr().cast(),
            x_stride: self.in_features,
            residual: residual.as_ptr().cast(),
            residual_stride: self.out_features,
            workspace: workspace.as_mut_ptr(),
            workspace_size: workspace.len(),
            y: y.as_mut_ptr().cast(),
            y_stride: self.out_features,
        }
    }

    /// Whether slices, each with its length and its elements' bytes, hold contiguous rows of the plan's types.
    fn check_slices(
        &self,
        rows: usize,
        (x, residual, y): ((usize, usize), (usize, usize), (usize, usize)),
    ) -> Result<()> {
        let (k, n) = (self.in_features, self.out_features);
        let added = self.residual.element_size();
        let sides = [
            ("x", x.0, k, x.1, self.input.element_size()),
            ("y", y.0, n, y.1, self.output.element_size()),
            (
                "residual",
                residual.0,
                if added == 0 { 0 } else { n },
                if added == 0 { 0 } else { residual.1 },
                added,
            ),
        ];
        for (name, len, columns, given, wanted) in sides {
            if given != wanted {
                return Err(Error::new(
                    Status::InvalidArgument,
                    name,
                    "has elements of {} bytes, but the plan's have {}",
                )
                .with(given)
                .with(wanted));
            }
            if len < size(&[rows, columns])? {
                return Err(Error::new(
                    Status::BufferTooSmall,
                    name,
                    "has {} elements, but {} rows of {} are needed",
                )
                .with(len)
                .with(rows)
                .with(columns));
            }
        }
        Ok(())
    }
}
