//! Which quantization parameter belongs to which element of a strided tensor.
//!
//! A [`Layout`] says where elements lie, a [`Granularity`] which of them share a parameter, and a
//! [`Walk`] visits them as runs: equally spaced elements that share one parameter, or whose parameters
//! follow each other. One walk serves every op; it copies and allocates nothing.
#![no_std]

mod granularity;
mod layout;
mod walk;

pub use granularity::Granularity;
pub use layout::Layout;
pub use walk::{Grid, Grids, Run, Walk};

/// The most axes a tensor may have.
pub const MAX_RANK: usize = 8;

/// Why a layout or a granularity was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// More than [`MAX_RANK`] axes.
    Rank {
        /// The refused rank.
        rank: usize,
    },
    /// As many strides as axes are needed.
    StrideCount {
        /// Strides given.
        strides: usize,
        /// Axes.
        rank: usize,
    },
    /// A stride of 0 along an axis of more than one element.
    ZeroStride {
        /// The axis.
        axis: usize,
    },
    /// The number of elements, or the distance between them, does not fit memory.
    Overflow,
    /// An axis that the tensor does not have.
    Axis {
        /// The refused axis.
        axis: usize,
        /// Axes of the tensor.
        rank: usize,
    },
    /// The two axes of a two-axis block are the same.
    SameAxis {
        /// The axis.
        axis: usize,
    },
    /// A block of 0 elements.
    ZeroBlock {
        /// Its axis.
        axis: usize,
    },
    /// Layouts walked together have different dimensions.
    Shape,
}
