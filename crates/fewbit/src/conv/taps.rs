//! Which input pixels lie under an output pixel, and their codes in the order that weights are packed
//! in: `[kd, kh, kw, channel of the group]`.

use super::{ConvAxis, ImageLayout};

/// The geometry of one image.
pub(super) struct Taps {
    pub axes: [ConvAxis; 3],
    pub out_dims: [usize; 3],
    pub layout: ImageLayout,
    pub in_channels: usize,
    /// Channels of a group, as packed.
    pub group_channels: usize,
}

impl Taps {
    /// The k codes under an output pixel: where they are, if they lie in the image side by side, and
    /// otherwise a copy in `row`. A tap on padding is `padding`, the code of real 0.
    ///
    /// # Safety
    /// `codes` is an image; `row` can be written for k codes; the pixel and the group exist.
    pub(super) unsafe fn gather(
        &self,
        codes: *const u8,
        group: usize,
        pixel: usize,
        padding: u8,
        row: *mut u8,
    ) -> *const u8 {
        let [depth, height, width] = self.axes;
        let [_, oh, ow] = self.out_dims;
        let (oh, ow) = (oh.max(1), ow.max(1));
        let (at_w, at_h, at_d) = (pixel % ow, pixel / ow % oh, pixel / ow / oh);
        let channels = self.group_channels;
        // Elements between neighbouring pixels and channels.
        let (pixel_stride, channel_stride) = match self.layout {
            ImageLayout::Nhwc => (self.in_channels, 1),
            ImageLayout::Nchw => (1, depth.size * height.size * width.size),
        };
        // SAFETY: the group exists, so its first channel is one of the image's planes or channels.
        let codes = unsafe { codes.add(group * channels * channel_stride) };
        let single = depth.kernel == 1 && height.kernel == 1 && width.kernel == 1;
        // Neighbouring taps of all channels lie side by side.
        let side_by_side = channel_stride == 1 && channels == pixel_stride && width.dilation == 1;
        let (before, inside, behind) = if side_by_side { split(&width, at_w) } else { (0, 0, 0) };
        // The first tap inside, if there is one.
        let first = (at_w * width.stride + before).saturating_sub(width.pad_begin);
        let mut to = row;
        for kd in 0..depth.kernel {
            let d = tap(&depth, at_d, kd);
            for kh in 0..height.kernel {
                let line = match (d, tap(&height, at_h, kh)) {
                    (Some(d), Some(h)) => Some((d * height.size + h) * width.size),
                    _ => None,
                };
                // SAFETY: a tap inside the image is one of its pixels, whose channels can be read; the
                // row is as long as the three kernels times the channels, and `to` moves through it.
                unsafe {
                    let Some(line) = line else {
                        to.write_bytes(padding, width.kernel * channels);
                        to = to.add(width.kernel * channels);
                        continue;
                    };
                    if side_by_side {
                        // Not `add`: without a tap inside it may lie beyond the image, unread.
                        let from = codes.wrapping_add((line + first) * pixel_stride);
                        if single && inside == 1 {
                            return from;
                        }
                        to.write_bytes(padding, before * channels);
                        to = to.add(before * channels);
                        from.copy_to_nonoverlapping(to, inside * channels);
                        to = to.add(inside * channels);
                        to.write_bytes(padding, behind * channels);
                        to = to.add(behind * channels);
                        continue;
                    }
                    for kw in 0..width.kernel {
                        match tap(&width, at_w, kw) {
                            Some(w) => {
                                let from = codes.add((line + w) * pixel_stride);
                                if channel_stride == 1 {
                                    if single {
                                        return from;
                                    }
                                    from.copy_to_nonoverlapping(to, channels);
                                } else {
                                    for c in 0..channels {
                                        to.add(c).write(from.add(c * channel_stride).read());
                                    }
                                }
                            }
                            None => to.write_bytes(padding, channels),
                        }
                        to = to.add(channels);
                    }
                }
            }
        }
        row
    }
}

/// The input pixel under a tap of an output pixel, unless it is padding.
pub(super) fn tap(axis: &ConvAxis, out: usize, k: usize) -> Option<usize> {
    (out * axis.stride + k * axis.dilation)
        .checked_sub(axis.pad_begin)
        .filter(|&pixel| pixel < axis.size)
}

/// How many taps of an output pixel, without dilation, lie before the input, in it, and behind it.
fn split(axis: &ConvAxis, out: usize) -> (usize, usize, usize) {
    let first = out * axis.stride;
    let before = axis.pad_begin.saturating_sub(first).min(axis.kernel);
    let end = (axis.pad_begin + axis.size).saturating_sub(first).min(axis.kernel);
    let inside = end.saturating_sub(before);
    (before, inside, axis.kernel - before - inside)
}
