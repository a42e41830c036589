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

impl Taps {
    /// Whether all taps of an output pixel lie inside the image along depth and height.
    pub(super) fn has_all(&self, at_d: usize, at_h: usize) -> bool {
        let [depth, height, _] = &self.axes;
        let all = |axis: &ConvAxis, at| {
            tap(axis, at, 0).is_some() && tap(axis, at, axis.kernel - 1).is_some()
        };
        all(depth, at_d) && all(height, at_h)
    }

    /// Writes the address of each tap's codes, in the order of the taps, of an output pixel of channels-last images;
    /// with an odd number of taps the last one's twice. A tap on padding is at `padding`.
    ///
    /// # Safety
    /// `codes` is a channel of an image; an even number of addresses can be written; the pixel exists.
    pub(super) unsafe fn addresses(
        &self,
        codes: *const u8,
        [at_d, at_h, at_w]: [usize; 3],
        padding: *const u8,
        mut to: *mut *const u8,
    ) {
        let [depth, height, width] = &self.axes;
        for kd in 0..depth.kernel {
            let d = tap(depth, at_d, kd);
            for kh in 0..height.kernel {
                let h = tap(height, at_h, kh);
                for kw in 0..width.kernel {
                    let address = match (d, h, tap(width, at_w, kw)) {
                        (Some(d), Some(h), Some(w)) => {
                            let pixel = (d * height.size + h) * width.size + w;
                            codes.wrapping_add(pixel * self.in_channels)
                        }
                        _ => padding,
                    };
                    // SAFETY: by this function's contract.
                    unsafe {
                        to.write(address);
                        to = to.add(1);
                    }
                }
            }
        }
        if (depth.kernel * height.kernel * width.kernel) % 2 == 1 {
            // SAFETY: by this function's contract; at least one was written.
            unsafe { to.write(to.sub(1).read()) }
        }
    }
}

/// The input pixel under a tap of an output pixel, unless it is padding.
fn tap(axis: &ConvAxis, out: usize, k: usize) -> Option<usize> {
    (out * axis.stride + k * axis.dilation)
        .checked_sub(axis.pad_begin)
        .filter(|&pixel| pixel < axis.size)
}
