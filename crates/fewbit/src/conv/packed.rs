//! A convolution's packed weights, written to memory and read where they lie; and what a plan tells of itself.

use super::{Conv, ConvDesc};
use crate::memory::Allocator;
use crate::plan::{Input, Output};
use crate::{Error, Result, Status};
use fewbit_simd::Supported;

impl<'w> Conv<'w> {
    /// As [`create`](Conv::create), with weights that [`save_packed`](Conv::save_packed) wrote, read where they lie.
    /// `desc` has everything but them: its `weights` and `filter_layout` are not used. Image sizes and layout, strides,
    /// dilations, padding, input, bias, output and activation need not be those of the plan that wrote them.
    ///
    /// # Errors
    /// As [`Linear::create_packed`](crate::Linear::create_packed).
    pub fn create_packed(
        desc: &ConvDesc<'_>,
        packed: &'w [u8],
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Conv<'w>> {
        Conv::build(desc, None, Some(packed), supported, allocator)
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
    /// [`Status::InvalidArgument`] if they are beyond memory;
    /// [`Status::Unsupported`] if the convolution is transposed.
    #[inline(never)]
    pub fn packed_size(&self) -> Result<usize> {
        self.check_saves()?;
        self.engine.saved_size()
    }

    /// Writes the packed weights, as [`Linear::save_packed`](crate::Linear::save_packed) does.
    ///
    /// # Errors
    /// [`Status::BufferTooSmall`]; [`Status::Unsupported`] if
    /// the convolution is transposed; nothing is written then.
    pub fn save_packed(&self, packed: &mut [u8]) -> Result<()> {
        self.check_saves()?;
        self.engine.save(self.kernel, packed)
    }

    /// The format has no place for what the panels of a transposed convolution depend on.
    fn check_saves(&self) -> Result<()> {
        if self.taps.transposed {
            let text = "is transposed: packed weights are saved of ordinary convolutions only";
            return Err(Error::new(Status::Unsupported, "conv", text));
        }
        Ok(())
    }

    /// As [`Linear::save_packed_raw`](crate::Linear::save_packed_raw).
    ///
    /// # Errors
    /// As [`save_packed`](Conv::save_packed), and [`Status::Overlap`].
    ///
    /// # Safety
    /// `packed` can be written for `size` bytes.
    #[inline(never)]
    pub unsafe fn save_packed_raw(&self, packed: *mut u8, size: usize) -> Result<()> {
        self.engine.check_apart(packed, size)?;
        // SAFETY: by this function's contract; apart from what the plan reads.
        self.save_packed(unsafe { core::slice::from_raw_parts_mut(packed, size) })
    }
}
