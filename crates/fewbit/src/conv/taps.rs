//! The geometry of a convolution, and which input pixels lie under an output pixel, in the order `[kd, kh, kw]`.

use super::{ConvAxis, ImageLayout};

/// The geometry of one image.
pub(super) struct Taps {
    pub axes: [ConvAxis; 3],
    pub out_dims: [usize; 3],
    pub layout: ImageLayout,
    pub in_channels: usize,
    /// Channels of a group, as packed.
    pub group_channels: usize,
    /// Whether strides and padding are those of the output.
    pub transposed: bool,
}

/// The input pixel under a tap of an output pixel, unless it is padding.
pub(super) fn tap(axis: &ConvAxis, out: usize, k: usize) -> Option<usize> {
    (out * axis.stride + k * axis.dilation)
        .checked_sub(axis.pad_begin)
        .filter(|&pixel| pixel < axis.size)
}
