//! Depthwise layers of channels-last images, by a kernel of their own: no gathering, and no products with the zeros that
//! fill a panel's other channels.
//!
//! Padding is the zero point, as everywhere: a tap on it reads a few codes beside the addresses. Weights are kept less their
//! zero points, so that a sum is `start + Σ a * (w - zw)`, with `start = bias - za * Σ (w - zw)` over all taps.

use super::{Conv, Ends, Taps};
use crate::memory::{ALIGNMENT, Allocator, Buffer};
use crate::plan::{Destination, Engine, find, size};
use crate::{Parallel, Result};
use core::mem::MaybeUninit;
use core::ops::Range;
use fewbit_kernels::depthwise::{
    CHANNELS, DEPTHWISE_S8, DEPTHWISE_U8, DepthwiseArgs, DepthwiseFn, PIXELS,
};
use fewbit_kernels::registry::Bound;
use fewbit_simd::Supported;

/// Channels of a task, and sums of a few pixels of them.
const SPAN: usize = 3 * CHANNELS;
const SUMS: usize = SPAN * PIXELS;

/// What the kernel wants of the weights.
pub(super) struct Depthwise {
    kernel: Bound<DepthwiseFn>,
    /// `[pairs][padded][2]`, each less its zero point.
    weights: Buffer<i16>,
    pairs: usize,
    /// Channels, rounded up.
    padded: usize,
    /// Output pixels along the last axis with all taps inside it.
    inside: Range<usize>,
}

impl Depthwise {
    /// From an engine of one group with a column a channel.
    pub(super) fn new(
        engine: &Engine<'_>,
        taps: &Taps,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Depthwise> {
        let packed = &engine.packed;
        let (pairs, padded) = (packed.k.div_ceil(2), packed.columns.next_multiple_of(CHANNELS));
        let len = size(&[pairs, padded, 2, size_of::<i16>()])? / size_of::<i16>();
        let mut weights = Buffer::zeroed(len, allocator, "desc.weights")?;
        let pair_len = (padded * 2).max(1);
        for (pair, to) in weights.as_mut_slice().chunks_exact_mut(pair_len).enumerate() {
            for (channel, to) in to.chunks_exact_mut(2).enumerate().take(packed.columns) {
                for (tap, to) in (2 * pair..packed.k).zip(to) {
                    *to = packed.difference(channel, tap) as i16;
                }
            }
        }
        let rows = if engine.is_unsigned() { DEPTHWISE_U8 } else { DEPTHWISE_S8 };
        let [.., width] = taps.axes;
        let [.., out] = taps.out_dims;
        let reach = (width.kernel - 1) * width.dilation;
        let end = (width.pad_begin + width.size)
            .checked_sub(reach + 1)
            .and_then(|last| last.checked_div(width.stride))
            .map_or(0, |last| (last + 1).min(out));
        let inside = width.pad_begin.div_ceil(width.stride.max(1))..end;
        Ok(Depthwise { kernel: find(rows, supported)?, weights, pairs, padded, inside })
    }

    pub(super) fn name(&self) -> &'static str {
        self.kernel.name()
    }

    /// Bytes of a worker's memory: addresses, start values and padding.
    pub(super) fn memory(&self) -> Result<usize> {
        let rest = (SPAN * size_of::<i32>() + SPAN).next_multiple_of(ALIGNMENT);
        Ok(self.addresses()? + rest)
    }

    /// Bytes of the addresses.
    fn addresses(&self) -> Result<usize> {
        Ok(size(&[self.pairs, 2 * size_of::<*const u8>()])?.next_multiple_of(ALIGNMENT))
    }
}

impl Conv<'_> {
    /// Rows of pixels of a task, and channels.
    fn depthwise_cut(&self, images: usize, workers: usize) -> (usize, usize) {
        let [depth, height, _] = self.taps.out_dims;
        let spans = self.out_channels.div_ceil(SPAN);
        let wanted = if workers > 1 { workers.saturating_mul(4) } else { 1 };
        let pieces = wanted.div_ceil(images.saturating_mul(spans).max(1));
        ((depth * height).div_ceil(pieces.max(1)).max(1), spans)
    }

    /// The number of tasks of a run.
    pub(super) fn depthwise_tasks(&self, images: usize, workers: usize) -> Result<usize> {
        let [depth, height, _] = self.taps.out_dims;
        let (rows, spans) = self.depthwise_cut(images, workers);
        size(&[images, spans, (depth * height).div_ceil(rows.max(1))])
    }

    /// Computes some rows of pixels of some channels of an image.
    ///
    /// # Safety
    /// As [`Conv::task`](super::Conv::task), with a task of [`depthwise_tasks`](Conv::depthwise_tasks).
    pub(super) unsafe fn depthwise_task(
        &self,
        depthwise: &Depthwise,
        ends: &Ends,
        (images, task, slot): (usize, usize, usize),
    ) {
        let [depth, height, width] = self.taps.out_dims;
        let (rows, spans) = self.depthwise_cut(images, ends.workers);
        let (rows, spans) = (rows.max(1), spans.max(1));
        let pieces = (depth * height).div_ceil(rows).max(1);
        let (rest, piece) = (task / pieces, task % pieces);
        let (image, first) = (rest / spans, rest % spans * SPAN);
        let n = self.out_channels.saturating_sub(first).min(SPAN);
        let channels = self.out_channels;
        let packed = &self.engine.packed;
        let element = self.output.of_sums().element_size();
        let (Ok(memory), Ok(addresses)) = (depthwise.memory(), depthwise.addresses()) else {
            return;
        };
        let [.., axis] = self.taps.axes;
        // Where there is but one place, any stride is.
        let step = axis.stride.wrapping_mul(channels);
        let mut sums = MaybeUninit::<[i32; SUMS]>::uninit();
        let sums = sums.as_mut_ptr().cast::<i32>();
        // SAFETY: places within the workspace's parts and the images, as sized in `carve` and checked in `run_raw`;
        // the addresses are those of taps inside the image, or of the padding.
        unsafe {
            let memory = ends.rows.add(slot * memory);
            let taps = memory.cast::<*const u8>();
            let start = memory.add(addresses).cast::<i32>();
            let padding = start.add(SPAN).cast::<u8>();
            let codes = ends.codes.add(image * self.image + first);
            let (scale, zero_point) = self.quantizer.row(ends.scales, ends.zero_points, image);
            for c in 0..n {
                start.add(c).write(packed.start(first + c, zero_point));
            }
            padding.write_bytes(zero_point as u8, n);
            for row in (piece * rows..depth * height).take(rows) {
                let (at_d, at_h) = (row / height.max(1), row % height.max(1));
                let whole = self.taps.has_all(at_d, at_h);
                // The pixel that the addresses are of, if others of the row may use them.
                let mut listed = None;
                let mut x = 0;
                while x < width {
                    let pixels = PIXELS.min(width - x);
                    let mut done = 0;
                    while done < pixels {
                        let at = x + done;
                        let shared = whole && depthwise.inside.contains(&at);
                        let run = match shared {
                            true => (depthwise.inside.end - at).min(pixels - done),
                            false => 1,
                        };
                        let from = match listed {
                            Some(from) if shared => from,
                            _ => {
                                self.taps.addresses(codes, [at_d, at_h, at], padding, taps);
                                listed = shared.then_some(at);
                                at
                            }
                        };
                        (depthwise.kernel.run())(&DepthwiseArgs {
                            taps: taps.cast_const(),
                            offset: (at - from) * step,
                            pairs: depthwise.pairs,
                            pixels: run,
                            pixel_stride: step,
                            weights: depthwise.weights.as_slice().as_ptr().add(2 * first),
                            weight_channels: depthwise.padded,
                            start,
                            channels: n,
                            dst: sums.add(done * n),
                            dst_stride: n,
                        });
                        done += run;
                    }
                    let at = (image * self.pixels + row * width + x) * channels + first;
                    let destination = Destination {
                        base: ends.y.add(at * element),
                        row_stride: channels,
                        column_stride: 1,
                        residual: ends.residual.wrapping_add(at * self.residual.element_size()),
                        residual_row_stride: channels,
                    };
                    self.engine.store(sums, (pixels, n), (first, scale), &destination);
                    x += pixels;
                }
            }
        }
    }

    /// Runs all images.
    ///
    /// # Safety
    /// As [`Conv::run_raw`], with the workspace's parts.
    pub(super) unsafe fn run_depthwise(
        &self,
        depthwise: &Depthwise,
        ends: &Ends,
        images: usize,
        parallel: &dyn Parallel,
    ) -> Result<()> {
        // SAFETY: the flags are a part of the workspace of their own.
        let slots = unsafe { crate::plan::Slots::new(ends.busy, ends.workers) };
        let tasks = self.depthwise_tasks(images, ends.workers)?;
        crate::plan::each_with_slot(parallel, tasks, &slots, |task, slot| {
            // SAFETY: the task exists; the slot's memory is its alone; no two tasks share an output.
            unsafe { self.depthwise_task(depthwise, ends, (images, task, slot)) }
        });
        Ok(())
    }
}
