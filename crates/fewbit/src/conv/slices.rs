//! Runs of a convolution on slices.

use super::{Conv, ConvRun};
use crate::memory::Plain;
use crate::plan::{View, ViewMut, places};
use crate::{Parallel, Result};

impl Conv<'_> {
    /// Runs `images` images from slices.
    ///
    /// # Errors
    /// As [`run_raw`](Conv::run_raw), and [`Status::BufferTooSmall`](crate::Status::BufferTooSmall) for the slices.
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
        let run =
            self.whole(images, View::new(x), View::new(residual), workspace, ViewMut::new(y))?;
        // SAFETY: the slices hold `images` images of elements of the right size.
        unsafe { self.run_raw(&run, parallel) }
    }

    /// Runs a plan whose output is [`Output::DynamicPerRow`](crate::Output::DynamicPerRow): as
    /// [`run_with_residual`](Conv::run_with_residual), whose residual is not looked at without one in the plan; and
    /// each image's scale and zero point are written too, the first `images` of each.
    ///
    /// # Errors
    /// As [`run_dynamic_raw`](Conv::run_dynamic_raw), and [`Status::BufferTooSmall`](crate::Status::BufferTooSmall) for the slices.
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
        let run =
            self.whole(images, View::new(x), View::new(residual), workspace, ViewMut::new(y))?;
        let params = places((scales, zero_points), images)?;
        // SAFETY: the slices hold `images` images of elements of the right size, or values.
        unsafe { self.run_dynamic_raw(&run, &params, parallel) }
    }

    /// A run on slices that hold images of the plan's types.
    fn whole<X: Plain, R: Plain, Y: Plain>(
        &self,
        images: usize,
        x: View<'_, X>,
        residual: View<'_, R>,
        workspace: &mut [u8],
        mut y: ViewMut<'_, Y>,
    ) -> Result<ConvRun> {
        let (read, written) = self.image_elements();
        let (read, written) = ((1, images, read), (1, images, written));
        x.operand().check("x", read, self.input.element_size())?;
        y.operand().check("y", written, self.output.element_size())?;
        residual.operand().check("residual", written, self.residual.element_size())?;
        Ok(ConvRun {
            images,
            x: x.at(),
            residual: residual.at(),
            workspace: workspace.as_mut_ptr(),
            workspace_size: workspace.len(),
            y: y.at(),
        })
    }
}
