//! Depthwise layers, by a kernel of their own: no gathering, and no products with the zeros that fill a panel's other
//! channels.
//!
//! A task takes some output channels, as many as lines of them fit the first cache. It widens input rows into lines of its own,
//! each once while neighbouring output rows need it, with the zero point where there is padding: so neither borders nor
//! odd numbers of channels are anything special to the kernel. What differs between layouts ends there too: a line has
//! the channels of a pixel side by side, and an input channel as often as it has outputs.
//!
//! Weights are kept less their zero points, so that a sum is `start + Σ a * (w - zw)`, with `start = bias - za * Σ (w - zw)` over
//! all taps.

mod lines;

use super::{Conv, Ends, ImageLayout, Taps};
use crate::memory::{ALIGNMENT, Allocator, Buffer};
use crate::plan::{Destination, Engine, find, size};
use crate::{Parallel, Result};
use fewbit_kernels::depthwise::{
    CHANNELS, DEPTHWISE, DepthwiseArgs, DepthwiseFn, WIDEN_S8, WIDEN_U8, WidenFn, pairs,
    taps_of_pair,
};
use fewbit_kernels::registry::Bound;
use fewbit_simd::Supported;
use lines::{Lines, Memory};

/// Bytes of a task's lines: most of a first cache.
const LINES: usize = 24 << 10;

/// Sums of a call of the kernel, which stay in the first cache until they are results.
const SUMS: usize = 2 << 10;

/// Channels of a task: at least a line of most caches, at most what makes the calls short.
const FEWEST: usize = 64;
const MOST: usize = 256;

/// Pixels that the kernel likes at once, and that it may compute beyond those asked for.
const PIXELS: usize = 7;
const BEYOND: usize = 4;

/// What the kernel wants of a layer.
pub(super) struct Depthwise {
    kernel: Bound<DepthwiseFn>,
    widen: Bound<WidenFn>,
    /// `[pairs][padded][2]`, each less its zero point.
    weights: Buffer<i16>,
    /// Output channels, rounded up.
    padded: usize,
    /// Outputs of an input channel.
    multiplier: usize,
    /// Rows of taps.
    lines: usize,
    /// Output channels of a task.
    span: usize,
    /// Output pixels of a row that the lines reach over.
    chunk: usize,
    /// Output pixels of a call of the kernel.
    piece: usize,
    /// Every so many pixels belong to a call: with dilation these have taps in common, as neighbours have without.
    classes: usize,
    /// Input pixels of a line that a chunk needs, and with those that are only read.
    columns: usize,
    line: usize,
}

impl Depthwise {
    /// From an engine of one group with a column an output channel.
    pub(super) fn new(
        engine: &Engine<'_>,
        taps: &Taps,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Depthwise> {
        let packed = &engine.packed;
        let [depth, height, width] = taps.axes;
        let lines = size(&[depth.kernel, height.kernel])?;
        let padded = packed.columns.next_multiple_of(CHANNELS);
        let count = pairs(lines, width.kernel);
        let len = size(&[count, padded, 2, size_of::<i16>()])? / size_of::<i16>();
        let mut weights = Buffer::zeroed(len, allocator, "desc.weights")?;
        let pair_len = (padded * 2).max(1);
        for (pair, to) in weights.as_mut_slice().chunks_exact_mut(pair_len).enumerate() {
            let (first, second) = taps_of_pair(lines, width.kernel, pair);
            for (channel, to) in to.chunks_exact_mut(2).enumerate().take(packed.columns) {
                for ((line, tap), to) in [Some(first), second].into_iter().flatten().zip(to) {
                    *to = packed.difference(channel, line * width.kernel + tap) as i16;
                }
            }
        }
        let unsigned = engine.is_unsigned();
        let mut depthwise = Depthwise {
            kernel: find(DEPTHWISE, supported)?,
            widen: find(if unsigned { WIDEN_U8 } else { WIDEN_S8 }, supported)?,
            weights,
            padded,
            multiplier: packed.columns.checked_div(taps.in_channels).unwrap_or(1),
            lines,
            span: padded,
            chunk: 0,
            piece: 0,
            classes: 1,
            columns: 0,
            line: 0,
        };
        depthwise.cut(taps)?;
        Ok(depthwise)
    }

    /// Chooses how much a task has at once.
    fn cut(&mut self, taps: &Taps) -> Result<()> {
        let [.., width] = taps.axes;
        let [.., pixels] = taps.out_dims;
        let (stride, reach) = (width.stride.max(1), (width.kernel - 1) * width.dilation);
        // No overflow: the taps fit the padded image, and a row of it is within memory.
        let columns = |pixels: usize| (pixels.saturating_sub(1)) * stride + reach + 1;
        let a_column = size(&[self.lines, size_of::<i16>()])?.max(1);
        let fitting = LINES.checked_div(a_column.saturating_mul(columns(pixels))).unwrap_or(0);
        let most = (fitting / CHANNELS * CHANNELS).clamp(FEWEST, MOST);
        let spans = self.padded.div_ceil(most).max(1);
        self.span = self.padded.div_ceil(spans).next_multiple_of(CHANNELS);
        // As many pixels as fit, at least four tiles.
        let fitting = LINES.checked_div(a_column.saturating_mul(self.span)).unwrap_or(0);
        let fitting = fitting.saturating_sub(reach + 1) / stride + 1;
        let chunks = pixels.div_ceil(fitting.max(4 * PIXELS)).max(1);
        self.chunk = pixels.div_ceil(chunks).next_multiple_of(PIXELS).min(pixels.max(1));
        // Few classes only: each is computed in whole tiles.
        if width.dilation.is_multiple_of(stride) && width.dilation / stride <= BEYOND {
            self.classes = (width.dilation / stride).max(1);
        }
        let tiles = PIXELS * self.classes;
        let piece = SUMS.checked_div(self.span).unwrap_or(0);
        self.piece = (piece.checked_div(tiles).unwrap_or(0).max(1) * tiles).min(self.chunk);
        self.columns = columns(self.chunk);
        let reach = size(&[width.kernel, width.dilation])?;
        let line = size(&[self.chunk + BEYOND * self.classes, stride])?.saturating_add(reach);
        self.line = size(&[line])?;
        self.memory(taps).map(|_| ())
    }

    pub(super) fn name(&self) -> &'static str {
        self.kernel.name()
    }

    /// Bytes of a worker's memory.
    pub(super) fn memory(&self, taps: &Taps) -> Result<usize> {
        Ok(self.places(taps)?.end)
    }

    /// Where its parts are.
    fn places(&self, taps: &Taps) -> Result<Places> {
        let mut end = 0usize;
        let mut take = |factors: &[usize]| -> Result<usize> {
            let at = end;
            end = size(&[size(factors)?.div_ceil(ALIGNMENT) + end / ALIGNMENT, ALIGNMENT])?;
            Ok(at)
        };
        let bytes = self.multiplier > 1 || taps.layout == ImageLayout::Nchw;
        Ok(Places {
            // The lines, and one of padding.
            lines: take(&[self.lines + 1, self.line, self.span, size_of::<i16>()])?,
            bytes: take(&[if bytes { self.columns } else { 0 }, self.span])?,
            sums: take(&[self.piece + BEYOND * self.classes, self.span, size_of::<i32>()])?,
            start: take(&[self.span, size_of::<i32>()])?,
            taps: take(&[self.lines, size_of::<*const i16>()])?,
            wanted: take(&[self.lines, size_of::<usize>()])?,
            held: take(&[self.lines, size_of::<usize>()])?,
            end,
        })
    }
}

/// Offsets of the parts of a worker's memory.
struct Places {
    lines: usize,
    bytes: usize,
    sums: usize,
    start: usize,
    taps: usize,
    wanted: usize,
    held: usize,
    end: usize,
}

impl Conv<'_> {
    /// Rows of pixels of a task, and spans of channels.
    fn depthwise_cut(
        &self,
        depthwise: &Depthwise,
        images: usize,
        workers: usize,
    ) -> (usize, usize) {
        let [depth, height, _] = self.taps.out_dims;
        let spans = self.out_channels.div_ceil(depthwise.span.max(1));
        let wanted = if workers > 1 { workers.saturating_mul(4) } else { 1 };
        let pieces = wanted.div_ceil(images.saturating_mul(spans).max(1));
        ((depth * height).div_ceil(pieces.max(1)).max(1), spans)
    }

    /// Computes some rows of pixels of some channels of an image.
    ///
    /// # Safety
    /// As [`Conv::task`](super::Conv::task), with a task of those that [`run_depthwise`](Conv::run_depthwise) counts.
    unsafe fn depthwise_task(
        &self,
        depthwise: &Depthwise,
        ends: &Ends,
        (images, task, slot): (usize, usize, usize),
    ) {
        let [depth, height, width] = self.taps.out_dims;
        let (rows, spans) = self.depthwise_cut(depthwise, images, ends.workers);
        let (rows, spans) = (rows.max(1), spans.max(1));
        let pieces = (depth * height).div_ceil(rows).max(1);
        let (rest, piece) = (task / pieces, task % pieces);
        let (image, first) = (rest / spans, rest % spans * depthwise.span);
        let n = self.out_channels.saturating_sub(first).min(depthwise.span);
        let Ok(places) = depthwise.places(&self.taps) else { return };
        // SAFETY: places within the workspace's parts and the images, as sized in `carve` and checked in `run_raw`.
        unsafe {
            let memory = ends.rows.add(slot * places.end);
            let (scale, zero_point) = self.quantizer.row(ends.scales, ends.zero_points, image);
            let start = memory.add(places.start).cast::<i32>();
            for c in 0..n {
                start.add(c).write(self.engine.packed.start(first + c, zero_point));
            }
            let mut lines = Lines {
                taps: &self.taps,
                widen: depthwise.widen,
                codes: ends.codes.add(image * self.image),
                padding: zero_point as i16,
                channels: (first, n),
                multiplier: depthwise.multiplier,
                line: depthwise.line * depthwise.span,
                span: depthwise.span,
                memory: Memory {
                    lines: memory.add(places.lines).cast(),
                    bytes: memory.add(places.bytes),
                    taps: memory.add(places.taps).cast(),
                    wanted: memory.add(places.wanted).cast(),
                    held: memory.add(places.held).cast(),
                    count: depthwise.lines,
                },
            };
            lines.pad(depthwise.columns);
            let mut x = 0;
            while x < width {
                let end = width.min(x + depthwise.chunk.max(1));
                lines.begin();
                for row in (piece * rows..depth * height).take(rows) {
                    lines.reach((row / height.max(1), row % height.max(1)), x..end);
                    let at = Row { image, row, x: x..end, channels: (first, n), scale };
                    self.depthwise_row(depthwise, ends, &at, memory, &places);
                }
                x = end;
            }
        }
    }

    /// Computes a chunk of a row whose lines are there.
    ///
    /// # Safety
    /// As [`depthwise_task`](Conv::depthwise_task).
    unsafe fn depthwise_row(
        &self,
        depthwise: &Depthwise,
        ends: &Ends,
        row: &Row,
        memory: *mut u8,
        places: &Places,
    ) {
        let [.., axis] = self.taps.axes;
        let [.., width] = self.taps.out_dims;
        let (first, n) = row.channels;
        let (span, classes) = (depthwise.span, depthwise.classes.max(1));
        let element = self.output.of_sums().element_size();
        let residual = self.residual.element_size();
        let (pixel_stride, channel_stride) = match self.taps.layout {
            ImageLayout::Nhwc => (self.out_channels, 1),
            ImageLayout::Nchw => (1, self.pixels),
        };
        // SAFETY: by this function's contract.
        unsafe {
            let sums = memory.add(places.sums).cast::<i32>();
            let taps = memory.add(places.taps).cast::<*const i16>();
            let mut x = row.x.start;
            while x < row.x.end {
                let pixels = depthwise.piece.max(1).min(row.x.end - x);
                for class in 0..classes.min(pixels) {
                    // The lines' first pixels are those of the chunk's first.
                    let offset = (x - row.x.start + class) * axis.stride * span;
                    (depthwise.kernel.run())(&DepthwiseArgs {
                        taps,
                        offset,
                        lines: depthwise.lines,
                        width: axis.kernel,
                        tap_stride: axis.dilation.wrapping_mul(span),
                        pixel_stride: (axis.stride * classes).wrapping_mul(span),
                        pixels: (pixels - class).div_ceil(classes),
                        weights: depthwise.weights.as_slice().as_ptr().add(2 * first),
                        weight_channels: depthwise.padded,
                        start: memory.add(places.start).cast::<i32>(),
                        channels: n,
                        dst: sums.add(class * span),
                        dst_stride: classes * span,
                    });
                }
                let pixel = row.row * width + x;
                let at = row.image * self.pixels * self.out_channels
                    + pixel * pixel_stride
                    + first * channel_stride;
                let destination = Destination {
                    base: ends.y.add(at * element),
                    row_stride: pixel_stride,
                    column_stride: channel_stride,
                    residual: ends.residual.wrapping_add(at * residual),
                    residual_row_stride: pixel_stride,
                };
                self.engine.store((sums, span), (pixels, n), (first, row.scale), &destination);
                x += pixels;
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
        let [depth, height, _] = self.taps.out_dims;
        let (rows, spans) = self.depthwise_cut(depthwise, images, ends.workers);
        let tasks = size(&[images, spans, (depth * height).div_ceil(rows.max(1))])?;
        crate::plan::each_with_slot(parallel, tasks, &slots, |task, slot| {
            // SAFETY: the task exists; the slot's memory is its alone; no two tasks share an output.
            unsafe { self.depthwise_task(depthwise, ends, (images, task, slot)) }
        });
        Ok(())
    }
}

/// A chunk of a row of output pixels.
struct Row {
    image: usize,
    /// Its number among the image's rows.
    row: usize,
    /// Its pixels.
    x: core::ops::Range<usize>,
    /// The first channel, and how many.
    channels: (usize, usize),
    /// The input's scale.
    scale: f32,
}
