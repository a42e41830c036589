//! Depthwise layers, by a kernel of their own: no gathering, and no products with the zeros that fill a panel's other
//! channels.
//!
//! A task takes some output channels, as many as lines of them stay near. It widens input rows into lines of its own,
//! each once while neighbouring output rows need it, with the zero point where there is padding: so neither borders nor
//! odd numbers of channels are anything special to the kernel. What differs between layouts ends there too: a line has
//! the channels of a pixel side by side, and an input channel as often as it has outputs.
//!
//! Dilation ends there as well. With `g` the greatest common divisor of stride and dilation, `s = stride / g` and `d = dilation / g`,
//! output `x` has tap `k` at column `g * (x * s + k * d)`, and output `x + d` has it `s` taps further. So the outputs of the same
//! remainder by `d`, a class, have lines of their own, of the columns at multiples of the dilation from the first one's first tap
//! on, in which taps are neighbours. Classes are no more than a task has outputs in a row, however large the dilation.
//!
//! Weights are kept less their zero points, so that a sum is `start + Σ a * (w - zw)`, with `start = bias - za * Σ (w - zw)` over
//! all taps.

mod layout;
mod lines;

use super::{Conv, Ends, ImageLayout, Taps};
use crate::memory::{ALIGNMENT, Allocator, Buffer};
use crate::plan::{Destination, Engine, OneStep, Residual, find, size};
use crate::{Parallel, Result};
use core::slice;
use fewbit_kernels::depthwise::{
    CHANNELS, Codes, DEPTHWISE, DepthwiseArgs, DepthwiseFn, Results, WIDEN_S8, WIDEN_U8, WidenFn,
    pairs, taps_of_pair,
};
use fewbit_kernels::registry::Bound;
use fewbit_simd::Supported;
use layout::transpose;
use lines::{LineShape, Lines, Memory};

/// Bytes of a task's lines: what a second cache has for sure. They are read in order, so that it is fast enough, and longer lines save more
/// calls and parts of pixels' lines of caches than a first cache would save loads (144 channels of 56 by 56: 144 us with 24 KiB, 127 us so).
const LINES: usize = 64 << 10;

/// Pixels of a call of the kernel at most, whose sums stay in the first cache until they are results.
const PIXELS: usize = 56;

/// Channels of a task: at least a line of most caches, at most what makes the calls short.
const FEWEST: usize = 64;
const MOST: usize = 256;

/// Pixels that the kernel likes at once, and that it may compute beyond those asked for.
const TILE: usize = 7;
const BEYOND: usize = 3;

/// What the kernel wants of a layer.
pub(super) struct Depthwise {
    kernel: Bound<DepthwiseFn>,
    widen: Bound<WidenFn>,
    /// `[blocks][pairs][CHANNELS][2]`, each less its zero point.
    weights: Buffer<i16>,
    /// Weights of a block.
    block: usize,
    /// Outputs of an input channel.
    multiplier: usize,
    /// Rows of taps.
    lines: usize,
    /// Output channels of a task.
    span: usize,
    /// Output pixels of a row that the lines reach over.
    chunk: usize,
    /// `s` and `d` above.
    stride: usize,
    apart: usize,
    shape: LineShape,
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
        let block = size(&[pairs(lines, width.kernel), CHANNELS, 2])?;
        let len = size(&[padded / CHANNELS, block, size_of::<i16>()])? / size_of::<i16>();
        let mut weights = Buffer::zeroed(len, allocator, "desc.weights")?;
        let blocks = weights.as_mut_slice().chunks_exact_mut(block.max(1));
        for (first, to) in (0..packed.columns).step_by(CHANNELS).zip(blocks) {
            for (pair, to) in to.chunks_exact_mut(CHANNELS * 2).enumerate() {
                let (one, other) = taps_of_pair(lines, width.kernel, pair);
                for (channel, to) in (first..packed.columns).zip(to.chunks_exact_mut(2)) {
                    for ((line, tap), to) in [Some(one), other].into_iter().flatten().zip(to) {
                        *to = packed.difference(channel, line * width.kernel + tap) as i16;
                    }
                }
            }
        }
        let unsigned = engine.is_unsigned();
        let mut depthwise = Depthwise {
            kernel: find(DEPTHWISE, supported)?,
            widen: find(if unsigned { WIDEN_U8 } else { WIDEN_S8 }, supported)?,
            weights,
            block,
            multiplier: packed.columns.checked_div(taps.in_channels).unwrap_or(1),
            lines,
            span: padded,
            chunk: 0,
            stride: 1,
            apart: 1,
            shape: LineShape { classes: 1, dilation: 1, columns: 0, room: 0 },
        };
        depthwise.cut(taps, padded)?;
        Ok(depthwise)
    }

    /// Chooses how much a task has at once.
    fn cut(&mut self, taps: &Taps, padded: usize) -> Result<()> {
        let [.., width] = taps.axes;
        let [.., pixels] = taps.out_dims;
        let pixels = pixels.max(1);
        // One pixel has no stride, and one tap no dilation, however large.
        let stride = if pixels > 1 { width.stride.max(1) } else { 1 };
        let dilation = if width.kernel > 1 { width.dilation.max(1) } else { 1 };
        let step = common_divisor(stride, dilation);
        let stride = stride.checked_div(step).unwrap_or(1).max(1);
        let apart = dilation.checked_div(step).unwrap_or(1).max(1);
        // Columns that so many outputs need of a class, and of all of them. No overflow: they are pixels of the padded image, or
        // taps of outputs.
        let columns = |pixels: usize| {
            (pixels.div_ceil(apart).saturating_sub(1) * stride).saturating_add(width.kernel)
        };
        let all = |pixels: usize| columns(pixels).saturating_mul(apart.min(pixels));
        let column = size(&[self.lines, size_of::<i16>()])?.max(1);
        let fitting = LINES / column.saturating_mul(all(pixels)).max(1);
        let most = (fitting / CHANNELS * CHANNELS).clamp(FEWEST, MOST);
        let spans = padded.div_ceil(most).max(1);
        self.span = padded.div_ceil(spans).next_multiple_of(CHANNELS);
        // As many pixels as fit, at least four tiles.
        let room = LINES / column.saturating_mul(self.span).max(1);
        let fitting = match (room / apart).checked_sub(width.kernel) {
            Some(beyond) => (beyond / stride + 1).saturating_mul(apart),
            None => room / width.kernel.max(1),
        };
        let fitting = fitting.max(4 * TILE);
        let chunks = pixels.div_ceil(fitting).max(1);
        self.chunk = pixels.div_ceil(chunks).next_multiple_of(TILE).min(pixels);
        (self.stride, self.apart) = (stride, apart);
        let classes = apart.min(self.chunk).max(1);
        // Whole tiles, and the column that the last pair of an odd row may read beyond.
        let most = self.chunk.div_ceil(apart) + BEYOND;
        let room = size(&[most, stride])?.saturating_add(width.kernel);
        // An odd number of lines of a cache: the same column of several lines is then not in the same set.
        let room = room.saturating_add(1) | 1;
        let room = size(&[room, classes, CHANNELS])? / CHANNELS / classes;
        self.shape = LineShape { classes, dilation, columns: columns(self.chunk), room };
        self.memory(taps).map(|_| ())
    }

    pub(super) fn name(&self) -> &'static str {
        self.kernel.name()
    }

    /// Bytes of a worker's memory.
    pub(super) fn memory(&self, taps: &Taps) -> Result<usize> {
        Ok(self.places(taps)?.end)
    }

    /// Elements of a line.
    fn line(&self) -> usize {
        // No overflow: its size in bytes is computed in `places` first, with checks.
        self.span.wrapping_mul(self.shape.classes).wrapping_mul(self.shape.room)
    }

    /// Where its parts are.
    fn places(&self, taps: &Taps) -> Result<Places> {
        let mut end = 0usize;
        let mut take = |factors: &[usize]| -> Result<usize> {
            let at = end;
            end = size(&[size(factors)?.div_ceil(ALIGNMENT) + end / ALIGNMENT, ALIGNMENT])?;
            Ok(at)
        };
        let nchw = taps.layout == ImageLayout::Nchw;
        let bytes = nchw || self.multiplier > 1;
        Ok(Places {
            // The lines, and one of padding.
            lines: take(&[self.lines + 1, self.line(), size_of::<i16>()])?,
            bytes: take(&[if bytes { self.shape.columns } else { 0 }, self.span])?,
            sums: take(&[PIXELS, CHANNELS, size_of::<i32>()])?,
            results: take(&[if nchw { PIXELS * CHANNELS } else { 0 }, size_of::<i32>()])?,
            start: take(&[self.span, size_of::<i32>()])?,
            taps: take(&[self.lines, size_of::<*const i16>()])?,
            held: take(&[self.lines, size_of::<usize>()])?,
            end,
        })
    }
}

/// The greatest number that divides both; neither is 0.
fn common_divisor(a: usize, b: usize) -> usize {
    let (mut a, mut b) = (a, b);
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

/// Offsets of the parts of a worker's memory.
struct Places {
    lines: usize,
    bytes: usize,
    sums: usize,
    results: usize,
    start: usize,
    taps: usize,
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
        (depthwise, engine): (&Depthwise, &Engine<'_>),
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
        let (from, to) = (piece * rows, (depth * height).min(piece * rows + rows));
        let [_, vertical, _] = self.taps.axes;
        let common = common_divisor(vertical.stride.max(1), vertical.dilation.max(1));
        let apart = vertical.dilation.checked_div(common).unwrap_or(1);
        let apart = apart.min(to.saturating_sub(from)).max(1);
        // SAFETY: places within the workspace's parts and the images, as sized in `carve` and checked in `run_raw`.
        unsafe {
            let memory = ends.rows.add(slot * places.end);
            let (scale, zero_point) = self.quantizer.row(ends.scales, ends.zero_points, image);
            let start = memory.add(places.start).cast::<i32>();
            // (Zeros first: a slice is not of memory that nobody wrote.)
            start.write_bytes(0, n);
            let starts = slice::from_raw_parts_mut(start, n);
            engine.packed.starts(first, zero_point, starts);
            let mut lines = Lines {
                taps: &self.taps,
                widen: depthwise.widen,
                codes: ends.codes.add(image * self.image),
                padding: zero_point as i16,
                channels: (first, n),
                multiplier: depthwise.multiplier,
                shape: depthwise.shape,
                span: depthwise.span,
                memory: Memory {
                    lines: memory.add(places.lines).cast(),
                    bytes: memory.add(places.bytes),
                    taps: memory.add(places.taps).cast(),
                    held: memory.add(places.held).cast(),
                    count: depthwise.lines,
                },
            };
            lines.pad();
            let made = &Made::by(engine);
            let mut x = 0;
            while x < width {
                let end = width.min(x + depthwise.chunk.max(1));
                lines.begin(&(x..end));
                // With dilation, rows that share lines are as far apart.
                for class in 0..apart {
                    for row in (from + class..to).step_by(apart) {
                        lines.reach((row / height.max(1), row % height.max(1)), &(x..end));
                        let (x, channels) = (x..end, (first, n));
                        let chunk = Chunk { image, row, x, channels, scale, made };
                        self.depthwise_chunk((depthwise, engine), ends, &chunk, (memory, &places));
                    }
                }
                x = end;
            }
        }
    }

    /// Computes a chunk of a row whose lines are there: class by class of pixels. The kernel leaves results where they belong,
    /// if it can make them itself and images have channels innermost. Others lie in the worker's memory first, block by
    /// block of channels.
    ///
    /// # Safety
    /// As [`depthwise_task`](Conv::depthwise_task).
    unsafe fn depthwise_chunk(
        &self,
        (depthwise, engine): (&Depthwise, &Engine<'_>),
        ends: &Ends,
        chunk: &Chunk<'_>,
        (memory, places): (*mut u8, &Places),
    ) {
        let [.., axis] = self.taps.axes;
        let [.., width] = self.taps.out_dims;
        let (first, n) = chunk.channels;
        let (stride, shape) = (depthwise.stride, &depthwise.shape);
        let apart = depthwise.apart.max(1);
        let pixels = chunk.x.len();
        let made = chunk.made;
        let in_place = self.taps.layout == ImageLayout::Nhwc && !matches!(made, Made::Sums);
        let (most, at_once) = if in_place { (n, pixels) } else { (CHANNELS, PIXELS) };
        for from in (0..n).step_by(most.max(1)) {
            let (channel, channels) = (first + from, (n - from).min(most));
            for class in 0..shape.classes.min(pixels) {
                // (Dividing costs what a few pixels do.)
                let left = pixels - class;
                let count = if apart > 1 { left.div_ceil(apart) } else { left };
                for done in (0..count).step_by(at_once.max(1)) {
                    let pixels = (count - done).min(at_once);
                    let columns = shape.class(from / CHANNELS, class) + done * stride;
                    let x = chunk.x.start + class + done * apart;
                    let pixel = chunk.row * width + x;
                    // SAFETY: by this function's contract; blocks of the span, columns of the lines.
                    unsafe {
                        let to = self.destination(ends, (chunk.image, pixel, channel), apart);
                        let beside = memory.add(places.sums);
                        let (dst, dst_stride) = match in_place {
                            true => (to.base, to.row_stride),
                            false => (beside, CHANNELS),
                        };
                        let weights = depthwise.weights.as_slice().as_ptr();
                        let start = memory.add(places.start).cast::<i32>();
                        (depthwise.kernel.run())(&DepthwiseArgs {
                            taps: memory.add(places.taps).cast(),
                            offset: columns * CHANNELS,
                            block: shape.class(1, 0) * CHANNELS,
                            lines: depthwise.lines,
                            width: axis.kernel,
                            stride,
                            pixels,
                            weights: weights.add(channel / CHANNELS * depthwise.block),
                            start: start.add(from),
                            channels,
                            results: made.results(channel, (dst, dst_stride)),
                        });
                        if !in_place {
                            let results = (beside, memory.add(places.results));
                            let place = (channel, chunk.scale, made);
                            self.store_depthwise(engine, results, (pixels, channels), place, &to);
                        }
                    }
                }
            }
        }
    }

    /// Makes results of what the kernel left beside, and copies them to their places. Those of neighbouring pixels, where they
    /// lie side by side, are made in order of the sums, by vectors of channels, and then turned.
    ///
    /// # Safety
    /// As [`depthwise_task`](Conv::depthwise_task); the results' own memory has room for them.
    unsafe fn store_depthwise(
        &self,
        engine: &Engine<'_>,
        (left, results): (*mut u8, *mut u8),
        (pixels, channels): (usize, usize),
        (channel, scale, made): (usize, f32, &Made),
        to: &Destination,
    ) {
        let turned = to.row_stride == 1 && to.column_stride != 1;
        let element = self.output.of_sums().element_size();
        let sums = (left.cast_const().cast::<i32>(), CHANNELS);
        let (size, place) = ((pixels, channels), (channel, scale));
        // SAFETY: by this function's contract.
        unsafe {
            let made = match made {
                Made::Sums if !turned || self.residual != Residual::None => {
                    return engine.store(sums, size, place, to);
                }
                Made::Sums => {
                    let beside = Destination {
                        base: results,
                        row_stride: CHANNELS,
                        column_stride: 1,
                        ..*to
                    };
                    engine.store(sums, size, place, &beside);
                    results
                }
                Made::Results | Made::Codes(_) => left,
            };
            let rows = if turned { pixels } else { 1 };
            for pixel in (0..pixels).step_by(rows.max(1)) {
                let from = made.add(pixel * CHANNELS * element).cast_const();
                let (base, stride) = (to.at(pixel, 0, element, 0).base, to.column_stride);
                let size = (rows, channels);
                match element {
                    1 => transpose((from, CHANNELS), (base, stride), size),
                    2 => transpose::<u16>((from.cast(), CHANNELS), (base.cast(), stride), size),
                    _ => transpose::<u32>((from.cast(), CHANNELS), (base.cast(), stride), size),
                }
            }
        }
    }

    /// Where results of a pixel, and of others some pixels apart, go from a channel on.
    ///
    /// # Safety
    /// They exist.
    unsafe fn destination(
        &self,
        ends: &Ends,
        (image, pixel, channel): (usize, usize, usize),
        apart: usize,
    ) -> Destination {
        let element = self.output.of_sums().element_size();
        let (pixel_stride, column_stride) = match self.taps.layout {
            ImageLayout::Nhwc => (self.out_channels, 1),
            ImageLayout::Nchw => (1, self.pixels),
        };
        let at = image * self.pixels * self.out_channels
            + pixel * pixel_stride
            + channel * column_stride;
        // Where there is but one place, any stride is.
        let row_stride = pixel_stride.wrapping_mul(apart);
        Destination {
            // SAFETY: by this function's contract.
            base: unsafe { ends.y.add(at * element) },
            row_stride,
            column_stride,
            residual: ends.residual.wrapping_add(at * self.residual.element_size()),
            residual_row_stride: row_stride,
        }
    }

    /// Runs all images.
    ///
    /// # Safety
    /// As [`Conv::run_raw`], with the workspace's parts.
    pub(super) unsafe fn run_depthwise(
        &self,
        (depthwise, engine): (&Depthwise, &Engine<'_>),
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
            unsafe { self.depthwise_task((depthwise, engine), ends, (images, task, slot)) }
        });
        Ok(())
    }
}

/// A chunk of a row of output pixels.
struct Chunk<'a> {
    image: usize,
    /// The row's number among the image's.
    row: usize,
    x: core::ops::Range<usize>,
    /// The first channel, and how many.
    channels: (usize, usize),
    /// The input's scale.
    scale: f32,
    made: &'a Made,
}

/// What the kernel makes.
enum Made {
    /// Sums, from which results are made.
    Sums,
    /// Sums, which are the results.
    Results,
    /// Codes, which are the results.
    Codes(OneStep),
}

impl Made {
    fn by(engine: &Engine<'_>) -> Made {
        match engine.one_step_codes() {
            Some(step) => Made::Codes(step),
            None if engine.is_identity() => Made::Results,
            None => Made::Sums,
        }
    }

    /// What the kernel is told, for the channels from `channel` on.
    fn results(&self, channel: usize, (dst, stride): (*mut u8, usize)) -> Results {
        match self {
            Made::Sums | Made::Results => Results::Sums { dst: dst.cast(), stride },
            Made::Codes(step) => Results::Codes(Codes {
                dst,
                stride,
                signed: step.signed,
                factors: step.factors.wrapping_add(channel),
                zero_point: step.zero_point,
                clamp: step.clamp,
                saturates: step.saturates,
            }),
        }
    }
}
