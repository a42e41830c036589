//! Results that are not side by side, channel by channel, at equal distances: of images of planes, and of transposed convolutions.
//! A panel's results lie in the worker's memory first, pixel by pixel, and are put in their places from there.

use super::run::Ends;
use super::tiles::Panel;
use super::{Conv, ImageLayout};
use fewbit_simd::transpose;

impl Conv<'_> {
    /// Whether tiles write results where they belong.
    pub(super) fn results_are_direct(&self) -> bool {
        self.taps.layout == ImageLayout::Nhwc && self.phases == 1
    }

    /// Puts a panel's results, `nr` apart from pixel to pixel, in their places.
    ///
    /// # Safety
    /// The pixels and channels exist, and no other task has them; their results are at `from`.
    pub(super) unsafe fn put_results(&self, ends: &Ends, panel: &Panel<'_>, from: *const u8) {
        let from = from.cast_mut();
        // SAFETY: by this function's contract; each size is that of a type without padding.
        unsafe {
            match self.output.of_sums().element_size() {
                1 => self.exchange(ends.y, panel, from, false),
                2 => self.exchange::<u16>(ends.y.cast(), panel, from.cast(), false),
                _ => self.exchange::<u32>(ends.y.cast(), panel, from.cast(), false),
            }
        }
    }

    /// Takes a panel's residuals, if there are any, from their places to `to`.
    ///
    /// # Safety
    /// The pixels and channels exist; `to` has room for a panel.
    pub(super) unsafe fn take_residuals(&self, ends: &Ends, panel: &Panel<'_>, to: *mut u8) {
        let from = ends.residual.cast_mut();
        // SAFETY: by this function's contract; places of residuals are those of results, and only read.
        unsafe {
            match self.residual.element_size() {
                0 => {}
                1 => self.exchange(from, panel, to, true),
                2 => self.exchange::<u16>(from.cast(), panel, to.cast(), true),
                _ => self.exchange::<u32>(from.cast(), panel, to.cast(), true),
            }
        }
    }

    /// Copies a panel's elements from `own`, where they lie pixel by pixel, to their places in all images; or, if `back`, from
    /// there.
    ///
    /// # Safety
    /// As of the two above. Neither side need be aligned.
    #[inline(never)]
    unsafe fn exchange<T: Copy>(&self, all: *mut T, panel: &Panel<'_>, own: *mut T, back: bool) {
        let Panel { window, from, pixels, at, channel, columns } = *panel;
        let (_, nr) = self.engine.shape();
        let planes = self.taps.layout == ImageLayout::Nchw;
        // SAFETY: by this function's contract.
        unsafe {
            if planes && self.phases == 1 {
                let first = all.add(at + channel * self.pixels + window.output(from));
                match back {
                    true => transpose(first, self.pixels, (columns, pixels), own, nr),
                    false => transpose(own, nr, (pixels, columns), first, self.pixels),
                }
                return;
            }
            let (pixel_stride, channel_stride) =
                if planes { (1, self.pixels) } else { (self.out_channels, 1) };
            let mut place = from;
            for pixel in 0..pixels {
                let first = at + window.output(place) * pixel_stride + channel * channel_stride;
                let (there, here) = (all.add(first), own.add(pixel * nr));
                place = window.next(place);
                if !planes {
                    // Neighbours on both sides, as bytes: they need not be aligned.
                    let bytes = columns * size_of::<T>();
                    let (there, here) = (there.cast::<u8>(), here.cast::<u8>());
                    match back {
                        true => here.copy_from_nonoverlapping(there, bytes),
                        false => there.copy_from_nonoverlapping(here, bytes),
                    }
                    continue;
                }
                let ((from, from_stride), (to, to_stride)) = match back {
                    true => ((there, self.pixels), (here, 1)),
                    false => ((here, 1), (there, self.pixels)),
                };
                for c in 0..columns {
                    to.add(c * to_stride)
                        .write_unaligned(from.add(c * from_stride).read_unaligned());
                }
            }
        }
    }

    /// Turns a strip of input pixels of a group, from `span.0` to before `span.1`, so that channels are neighbours.
    ///
    /// # Safety
    /// The pixels and the group exist in the image at `codes`; `strip` has room for them.
    pub(super) unsafe fn strip(
        &self,
        codes: *const u8,
        group: usize,
        span: (usize, usize),
        strip: *mut u8,
    ) {
        let plane: usize = self.taps.axes.iter().map(|axis| axis.size).product();
        let channels = self.taps.group_channels;
        let matrix = (channels, span.1 - span.0);
        // SAFETY: by this function's contract; each size is that of a type without padding.
        unsafe {
            let first = codes.add((group * channels * plane + span.0) * self.unit);
            match self.unit {
                1 => transpose(first, plane, matrix, strip, channels),
                2 => transpose::<u16>(first.cast(), plane, matrix, strip.cast(), channels),
                _ => transpose::<u32>(first.cast(), plane, matrix, strip.cast(), channels),
            }
        }
    }
}
