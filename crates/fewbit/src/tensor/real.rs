//! The formats of a tensor's real numbers.

use fewbit_scheme::RealFormat;

/// A real number as tensors hold it: f32, [`F16`], [`Bf16`].
///
/// # Safety
/// The type is laid out as [`FORMAT`](Real::FORMAT) says, and all its bits are values.
pub unsafe trait Real: Copy {
    /// The format.
    const FORMAT: RealFormat;
}

// SAFETY: f32 is IEEE binary32.
unsafe impl Real for f32 {
    const FORMAT: RealFormat = RealFormat::F32;
}

/// The bits of an IEEE binary16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct F16(pub u16);

// SAFETY: 16 bits.
unsafe impl Real for F16 {
    const FORMAT: RealFormat = RealFormat::F16;
}

/// The bits of a bfloat16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

// SAFETY: 16 bits.
unsafe impl Real for Bf16 {
    const FORMAT: RealFormat = RealFormat::Bf16;
}

/// Real numbers to read.
#[derive(Clone, Copy, Debug)]
pub struct Reals {
    /// Their format.
    pub format: RealFormat,
    /// Element 0.
    pub at: *const u8,
}

impl Reals {
    /// Those of a slice.
    pub fn of<T: Real>(x: &[T]) -> Reals {
        Reals { format: T::FORMAT, at: x.as_ptr().cast() }
    }

    /// From element `first` on.
    pub(crate) fn from(self, first: usize) -> Reals {
        Reals { at: self.at.wrapping_add(first.wrapping_mul(self.format.size())), ..self }
    }
}

/// Real numbers to write.
#[derive(Clone, Copy, Debug)]
pub struct RealsMut {
    /// Their format.
    pub format: RealFormat,
    /// Element 0.
    pub at: *mut u8,
}

impl RealsMut {
    /// Those of a slice.
    pub fn of<T: Real>(x: &mut [T]) -> RealsMut {
        RealsMut { format: T::FORMAT, at: x.as_mut_ptr().cast() }
    }

    /// From element `first` on.
    pub(crate) fn from(self, first: usize) -> RealsMut {
        RealsMut { at: self.at.wrapping_add(first.wrapping_mul(self.format.size())), ..self }
    }
}
