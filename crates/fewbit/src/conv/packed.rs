//! A convolution's packed weights, written to memory and read where they lie; and what a plan tells of itself.

use super::{Conv, ConvDesc};
use crate::Result;
use crate::memory::Allocator;
use crate::plan::{Input, Output, check_apart, save, saved_size};
use fewbit_simd::Supported;

impl<'w> Conv<'w> {
    /// As [`create`](Conv::create), with weights that [`save_packed`](Conv::save_packed) wrote, read where they lie.
    /// `desc` has everything but them: its `weights` and `filter_layout` are not used. Image sizes, strides,
    /// dilations, padding, input, bias, output and activation need not be those of the plan that wrote them; the image
    /// layout must be, if the layer is depthwise.
    ///
    /// # Errors
    /// As [`Linear::create_packed`](crate::Linear::create_packed).
    pub fn create_packed(
        desc: &ConvDesc<'_>,
        packed: &'w [u8],
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Conv<'w>> {
        Conv::build(desc, Some(packed), supported, allocator)
    }

    /// What is read.
    pub fn input(&self) -> Input {
        self.input
    }

    /// What is written.
    pub fn output(&self) -> Output {
        self.output
    }

    /// Bytes that [`save_packed`](Conv::save_packed) writes.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`](crate::Status::InvalidArgument) if they are beyond memory.
    pub fn packed_size(&self) -> Result<usize> {
        saved_size(&self.engine.packed)
    }

    /// Writes the packed weights, as [`Linear::save_packed`](crate::Linear::save_packed) does.
    ///
    /// # Errors
    /// [`Status::BufferTooSmall`](crate::Status::BufferTooSmall); nothing is written then.
    pub fn save_packed(&self, packed: &mut [u8]) -> Result<()> {
        save(&self.engine.packed, self.kernel, packed)
    }

    /// As [`Linear::save_packed_raw`](crate::Linear::save_packed_raw).
    ///
    /// # Errors
    /// As [`save_packed`](Conv::save_packed), and [`Status::Overlap`](crate::Status::Overlap).
    ///
    /// # Safety
    /// `packed` can be written for `size` bytes.
    pub unsafe fn save_packed_raw(&self, packed: *mut u8, size: usize) -> Result<()> {
        check_apart(self.engine.packed.codes(), packed, size)?;
        // SAFETY: by this function's contract; apart from what the plan reads.
        self.save_packed(unsafe { core::slice::from_raw_parts_mut(packed, size) })
    }
}
