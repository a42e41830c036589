//! Depthwise layers of real numbers, with channels innermost and one output a channel, by a kernel of their own: nothing is gathered, and no panel's
//! columns are left idle.
//!
//! A task takes neighbouring output pixels, whatever rows they are in, and lists the addresses of their taps, a few pixels at a time: in the image, or in a line of zeros
//! where padding is. Weights are the engine's, made f32 once.

use super::run::Ends;
use super::taps::tap;
use super::{Conv, Taps};
use crate::memory::{ALIGNMENT, Allocator, Buffer};
use crate::plan::{Destination, RealEngine, Slots, each_with_slot, find, size};
use crate::{Parallel, Result};
use core::mem::MaybeUninit;
use fewbit_kernels::real_depthwise::{
    CHANNELS, DEPTHWISE_BF16, DEPTHWISE_F16, DEPTHWISE_F32, PIXELS, RealDepthwiseArgs,
    RealDepthwiseFn,
};
use fewbit_kernels::registry::Bound;
use fewbit_scheme::RealFormat;
use fewbit_simd::Supported;

/// What the kernel wants of a layer.
pub(super) struct RealDepthwise {
    kernel: Bound<RealDepthwiseFn>,
    /// `[blocks][taps][CHANNELS]`.
    weights: Buffer<f32>,
    taps: usize,
    /// Bytes of a number of the input.
    unit: usize,
}

impl RealDepthwise {
    /// From an engine of one group with a column an output channel.
    pub(super) fn new(
        engine: &RealEngine<'_>,
        input: RealFormat,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<RealDepthwise> {
        let (taps, channels) = (engine.k(), engine.columns().columns);
        let len = size(&[channels.div_ceil(CHANNELS), taps, CHANNELS, size_of::<f32>()])?;
        let mut weights = Buffer::zeroed(len / size_of::<f32>(), allocator, "desc.weights")?;
        let blocks = weights.as_mut_slice().chunks_exact_mut((taps * CHANNELS).max(1));
        for (first, block) in (0..channels).step_by(CHANNELS).zip(blocks) {
            for (tap, to) in block.chunks_exact_mut(CHANNELS).enumerate() {
                for (channel, to) in (first..channels).zip(to) {
                    *to = engine.number(channel, tap);
                }
            }
        }
        let table = match input {
            RealFormat::F32 => DEPTHWISE_F32,
            RealFormat::F16 => DEPTHWISE_F16,
            RealFormat::Bf16 => DEPTHWISE_BF16,
        };
        Ok(RealDepthwise { kernel: find(table, supported)?, weights, taps, unit: input.size() })
    }

    /// The kernel's name.
    pub(super) fn name(&self) -> &'static str {
        self.kernel.name()
    }

    /// Bytes of the list of addresses, and of a worker's memory: that, and a line of zeros.
    fn sizes(&self, taps: &Taps) -> Result<(usize, usize)> {
        let list = size(&[self.taps, size_of::<[*const u8; PIXELS]>()])?;
        let list = size(&[list.div_ceil(ALIGNMENT), ALIGNMENT])?;
        let zeros = size(&[taps.in_channels, self.unit])?;
        let zeros = size(&[zeros.div_ceil(ALIGNMENT), ALIGNMENT])?;
        Ok((list, size(&[list / ALIGNMENT + zeros / ALIGNMENT, ALIGNMENT])?))
    }

    /// Bytes of a worker's memory.
    pub(super) fn memory(&self, taps: &Taps) -> Result<usize> {
        Ok(self.sizes(taps)?.1)
    }
}

impl Conv<'_> {
    /// Lists the taps of `pixels` output pixels from `first` on; where there are fewer than a list has, those of the last one again.
    ///
    /// # Safety
    /// The pixels exist; the list can be written.
    unsafe fn list_taps(
        &self,
        unit: usize,
        (image, zeros): (*const u8, *const u8),
        (first, pixels): (usize, usize),
        list: *mut [*const u8; PIXELS],
    ) {
        let [depth, height, width] = &self.taps.axes;
        let [_, out_height, out_width] = self.taps.out_dims.map(|size| size.max(1));
        let pixel_bytes = self.taps.in_channels * unit;
        let count = depth.kernel * height.kernel * width.kernel;
        let mut p = 0;
        while p < pixels {
            // Pixels of a row together.
            let (row, x) = ((first + p) / out_width, (first + p) % out_width);
            let (z, y) = (row / out_height, row % out_height);
            let run = (pixels - p).min(out_width - x);
            let mut to = list.cast::<*const u8>().wrapping_add(p);
            for kd in 0..depth.kernel {
                let plane = tap(depth, z, kd).map(|d| d * height.size);
                for kh in 0..height.kernel {
                    let line = match (plane, tap(height, y, kh)) {
                        (Some(plane), Some(h)) => Some((plane + h) * width.size * pixel_bytes),
                        _ => None,
                    };
                    // Of a line of padding no column is inside.
                    let size = if line.is_some() { width.size } else { 0 };
                    let line = image.wrapping_add(line.unwrap_or(0));
                    for kw in 0..width.kernel {
                        // As `tap`: what is before the image wraps around, and is beyond it.
                        let mut column =
                            (x * width.stride + kw * width.dilation).wrapping_sub(width.pad_begin);
                        let mut from = line.wrapping_add(column.wrapping_mul(pixel_bytes));
                        for i in 0..run {
                            // SAFETY: the list has PIXELS addresses for each tap.
                            unsafe { to.add(i).write(if column < size { from } else { zeros }) };
                            column = column.wrapping_add(width.stride);
                            from = from.wrapping_add(width.stride.wrapping_mul(pixel_bytes));
                        }
                        to = to.wrapping_add(PIXELS);
                    }
                }
            }
            p += run;
        }
        if (1..PIXELS).contains(&pixels) {
            for tap in 0..count {
                // SAFETY: as above; the last pixel's address is there.
                unsafe {
                    let of_tap = list.add(tap).cast::<*const u8>();
                    for p in pixels..PIXELS {
                        of_tap.add(p).write(of_tap.add(pixels - 1).read());
                    }
                }
            }
        }
    }

    /// Computes some output pixels of an image.
    ///
    /// # Safety
    /// They exist, and are this task's alone, as the slot's memory is.
    unsafe fn real_depthwise_task(
        &self,
        (depthwise, engine): (&RealDepthwise, &RealEngine<'_>),
        ends: &Ends,
        image: usize,
        pixels: core::ops::Range<usize>,
        slot: usize,
    ) {
        let Ok((list, memory)) = depthwise.sizes(&self.taps) else { return };
        let channels = self.out_channels;
        let (bias, relu) = engine.bias_and_relu();
        let in_place = engine.is_identity();
        let element = self.output.of_sums().element_size();
        // Results that are not finished lie here, a block of channels of each pixel.
        let mut left = MaybeUninit::<[f32; PIXELS * CHANNELS]>::uninit();
        let left = left.as_mut_ptr().cast::<f32>();
        // SAFETY: places within the workspace's parts and the images, as sized in `carve` and checked in `run_to`.
        unsafe {
            let own = ends.rows.add(slot * memory);
            let zeros = own.add(list);
            zeros.write_bytes(0, channels * depthwise.unit);
            let from = ends.codes.add(image * self.image * depthwise.unit);
            let mut first = pixels.start;
            while first < pixels.end {
                let count = (pixels.end - first).min(PIXELS);
                let taps = own.cast::<[*const u8; PIXELS]>();
                self.list_taps(depthwise.unit, (from, zeros.cast_const()), (first, count), taps);
                let at = (image * self.pixels + first) * channels;
                let block = if in_place { channels } else { CHANNELS };
                for channel in (0..channels).step_by(block.max(1)) {
                    let n = block.min(channels - channel);
                    let to = Destination {
                        base: ends.y.add((at + channel) * element),
                        row_stride: channels,
                        column_stride: 1,
                        residual: ends
                            .residual
                            .wrapping_add((at + channel) * self.residual.element_size()),
                        residual_row_stride: channels,
                    };
                    let weights = depthwise.weights.as_slice().as_ptr();
                    (depthwise.kernel.run())(&RealDepthwiseArgs {
                        taps: taps.cast_const(),
                        count: depthwise.taps,
                        pixels: count,
                        offset: channel * depthwise.unit,
                        channels: n,
                        weights: weights.add(channel * depthwise.taps),
                        bias: if bias.is_null() { bias } else { bias.add(channel) },
                        relu,
                        dst: if in_place { to.base.cast() } else { left },
                        dst_stride: if in_place { channels } else { n },
                    });
                    if !in_place {
                        engine.finish(left, (count, n), &to);
                    }
                }
                first += count;
            }
        }
    }

    /// Runs all images.
    ///
    /// # Safety
    /// As [`Conv::run_raw`], with the workspace's parts.
    pub(super) unsafe fn run_real_depthwise(
        &self,
        engines: (&RealDepthwise, &RealEngine<'_>),
        ends: &Ends,
        images: usize,
        parallel: &dyn Parallel,
    ) -> Result<()> {
        // SAFETY: the flags are a part of the workspace of their own.
        let slots = unsafe { Slots::new(ends.busy, ends.workers) };
        let wanted = if ends.workers > 1 { ends.workers.saturating_mul(4) } else { 1 };
        let pieces = wanted.div_ceil(images.max(1)).max(1);
        // Whole lists of pixels.
        let span = self.pixels.div_ceil(pieces).next_multiple_of(PIXELS).max(PIXELS);
        let pieces = self.pixels.div_ceil(span).max(1);
        each_with_slot(parallel, size(&[images, pieces])?, &slots, |task, slot| {
            let (image, piece) = (task / pieces.max(1), task % pieces.max(1));
            let pixels = piece * span..self.pixels.min((piece + 1) * span);
            // SAFETY: the pixels exist; the slot's memory is its alone; no two tasks share an output.
            unsafe { self.real_depthwise_task(engines, ends, image, pixels, slot) }
        });
        Ok(())
    }
}
