//! Runs of a convolution on slices.

use super::{Conv, ConvRun};
use crate::memory::Plain;
use crate::plan::{OutputParams, size};
use crate::{Error, Parallel, Result, Status};

impl Conv<'_> {
    /// Runs `images` images from slices.
    ///
    /// # Errors
    /// As [`run_raw`](Conv::run_raw), and [`Status::BufferTooSmall`] for the slices.
    pub fn run<X: Plain, Y: Plain>(
        &self,
        images: usize,
        x: &[X],
        workspace: &mut [u8],
        parallel: &dyn Parallel,
        y: &mut [Y],
    ) -> Result<()> {
        self.run_with_residual::<X, u8, Y>(images, x, &[], workspace, parallel, y)
    }

    /// As [`run`](Conv::run) for a plan with a residual, which has as many elements as `y`.
    ///
    /// # Errors
    /// As [`run`](Conv::run).
    pub fn run_with_residual<X: Plain, R: Plain, Y: Plain>(
        &self,
        images: usize,
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
        self.check_slices(images, sides)?;
        let run = whole(images, x, residual, workspace, y);
        // SAFETY: the slices hold `images` images of elements of the right size.
        unsafe { self.run_raw(&run, parallel) }
    }

    /// Runs a plan whose output is [`Output::DynamicPerRow`](crate::Output::DynamicPerRow): as
    /// [`run_with_residual`](Conv::run_with_residual), whose residual is not looked at without one in the plan; and
    /// each image's scale and zero point are written too, the first `images` of each.
    ///
    /// # Errors
    /// As [`run_dynamic_raw`](Conv::run_dynamic_raw), and [`Status::BufferTooSmall`] for the slices.
    #[allow(clippy::too_many_arguments, reason = "each is one of the call's operands")]
    pub fn run_dynamic<X: Plain, R: Plain, Y: Plain>(
        &self,
        images: usize,
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
        self.check_slices(images, sides)?;
        for (name, len) in [("scales", scales.len()), ("zero_points", zero_points.len())] {
            if len < images {
                let error = Error::new(Status::BufferTooSmall, name, "has {} values for {} images");
                return Err(error.with(len).with(images));
            }
        }
        let params =
            OutputParams { scales: scales.as_mut_ptr(), zero_points: zero_points.as_mut_ptr() };
        let run = whole(images, x, residual, workspace, y);
        // SAFETY: the slices hold `images` images of elements of the right size, or values.
        unsafe { self.run_dynamic_raw(&run, &params, parallel) }
    }

    /// Whether slices, each with its length and its elements' bytes, hold images of the plan's types.
    fn check_slices(
        &self,
        images: usize,
        (x, residual, y): ((usize, usize), (usize, usize), (usize, usize)),
    ) -> Result<()> {
        let (in_elements, out_elements) = self.image_elements();
        let added = self.residual.element_size();
        let sides = [
            ("x", x.0, in_elements, x.1, self.input.element_size()),
            ("y", y.0, out_elements, y.1, self.output.element_size()),
            (
                "residual",
                residual.0,
                if added == 0 { 0 } else { out_elements },
                if added == 0 { 0 } else { residual.1 },
                added,
            ),
        ];
        for (name, len, elements, given, wanted) in sides {
            if given != wanted || len < size(&[images, elements])? {
                return Err(Error::new(
                    Status::BufferTooSmall,
                    name,
                    "has {} elements, but {} images of {} are needed, in the plan's element type",
                )
                .with(len)
                .with(images)
                .with(elements));
            }
        }
        Ok(())
    }
}

/// A run on slices.
fn whole<X, R, Y>(
    images: usize,
    x: &[X],
    residual: &[R],
    workspace: &mut [u8],
    y: &mut [Y],
) -> ConvRun {
    ConvRun {
        images,
        x: x.as_ptr().cast(),
        residual: residual.as_ptr().cast(),
        workspace: workspace.as_mut_ptr(),
        workspace_size: workspace.len(),
        y: y.as_mut_ptr().cast(),
    }
}
