//! The general way: the taps under output pixels, copied into rows of blocks, which meet panels of columns.
//!
//! Rows are copied run by run into the form that the tile reads, one row behind the other (`kernels/gather`): as a tile takes any
//! distance of rows, they need no interleaving, and so no copy before it. (The tile of `smmla` reads pairs of rows, which are
//! interleaved from there; numbers of 16 bits are widened from there.) Images of planes are turned a strip at a time, so that channels are
//! neighbours. Results that are not equally far apart, or not side by side, go by way of the worker's memory.

use super::run::Ends;
use super::window::{Source, Window};
use super::{Conv, ImageLayout};
use crate::memory::ALIGNMENT;
use crate::plan::{
    Block, Cut, Destination, EitherEngine, MAX_BLOCKS, RealBlock, Slots, block_count, cut,
    each_with_slot, size,
};
use crate::{Parallel, Result};
use core::mem::MaybeUninit;
use core::ops::Range;
use fewbit_kernels::gather::Run;

/// With more panels than this a task copies even rows that could be multiplied where they are.
const DIRECT_PANELS: usize = 8;

/// What a worker's memory has beside blocks: at multiples of [`ALIGNMENT`].
#[derive(Clone, Copy)]
struct Memory {
    /// A line of taps on padding.
    padding: usize,
    /// Rows before they are interleaved or widened.
    rows: usize,
    /// A strip of the input, channels last.
    strip: usize,
    /// Results of a panel, and residuals.
    results: usize,
    residuals: usize,
    /// Bytes in all; runs come first.
    size: usize,
}

/// Output pixels of a task, which follow each other in a window, what is under them, and memory for their blocks.
pub(super) struct Part<'a> {
    pub window: &'a Window,
    /// Of bytes: a pixel's distance, and the bytes of its channels.
    pub source: Source,
    /// The first pixel, and its place.
    pub first_pixel: usize,
    pub from: [usize; 3],
    pub pixels: usize,
    /// Blocks, `block` bytes apart.
    pub rows: *mut u8,
    pub block: usize,
    /// The runs of a block, and rows before they are interleaved or widened.
    pub runs: *mut Run,
    pub copies: *mut u8,
    /// Whether rows that could be multiplied where they are meet few panels.
    pub few_panels: bool,
}

impl Conv<'_> {
    /// Bytes of a block of rows.
    pub(super) fn block_bytes(&self) -> Result<usize> {
        match &self.engine {
            EitherEngine::Codes(engine) if self.gather.by_copies => Ok(engine.block_size()),
            EitherEngine::Real(engine) => Ok(engine.block_distance()),
            EitherEngine::Codes(_) => size(&[self.gather.row_stride, self.engine.shape().0]),
        }
    }

    /// A worker's memory for tasks of up to `blocks` blocks.
    fn memory(&self, blocks: usize) -> Result<Memory> {
        let (mr, nr) = self.engine.shape();
        let channels = size(&[self.taps.group_channels, self.unit])?;
        let pixels = size(&[blocks, mr])?;
        let (mut runs, mut padding, mut span) = (0, 0, 0);
        for phase in 0..self.phases {
            let window = self.taps.window(phase);
            runs = runs.max(window.runs());
            padding = padding.max(window.lines[2].taps);
            span = span.max(window.most_span(pixels));
        }
        let mut used = size(&[runs, mr, size_of::<Run>()])?;
        let mut take = |bytes: usize| {
            let at = size(&[used.div_ceil(ALIGNMENT), ALIGNMENT])?;
            used = at.saturating_add(bytes);
            Ok(at)
        };
        let padding = take(size(&[padding, channels])?)?;
        let rows = if self.gather.by_copies { size(&[self.gather.row_stride, mr])? } else { 0 };
        let rows = take(rows)?;
        let by_planes = self.taps.layout == ImageLayout::Nchw;
        let strip = take(if by_planes { size(&[span, channels])? } else { 0 })?;
        let places = if self.results_are_direct() { 0 } else { size(&[pixels, nr])? };
        let results = take(size(&[places, self.output.of_sums().element_size()])?)?;
        let residuals = take(size(&[places, self.residual.element_size()])?)?;
        let size = take(0)?;
        Ok(Memory { padding, rows, strip, results, residuals, size })
    }

    /// Bytes of a worker's memory beside the blocks.
    pub(super) fn memory_bytes(&self, blocks: usize) -> Result<usize> {
        Ok(self.memory(blocks)?.size)
    }

    /// The most output pixels that a window has.
    pub(super) fn most_pixels(&self) -> usize {
        (0..self.phases).map(|phase| self.taps.window(phase).pixels()).max().unwrap_or(0)
    }

    /// Runs all images by tiles; the parts of the workspace are those of this run, and the codes are there.
    pub(super) fn run_tiles(
        &self,
        ends: &Ends,
        images: usize,
        parallel: &dyn Parallel,
    ) -> Result<()> {
        // SAFETY: the flags are a part of the workspace of their own.
        let slots = unsafe { Slots::new(ends.busy, ends.workers) };
        let memory = self.memory(ends.most_blocks)?;
        let ((mr, nr), map) = (self.engine.shape(), self.engine.columns());
        let row_blocks = block_count(self.most_pixels(), mr);
        let copies = images.saturating_mul(self.groups);
        let cut = cut(row_blocks, map.panels, ends.most_blocks, copies, ends.workers);
        let row_tasks = cut.row_tasks(row_blocks);
        let column_tasks = cut.column_tasks(map.panels);
        let tasks = size(&[images, self.groups, row_tasks, column_tasks])?;
        each_with_slot(parallel, tasks, &slots, |task, slot| {
            let (column_tasks, row_tasks) = (column_tasks.max(1), row_tasks.max(1));
            let (rest, column_task) = (task / column_tasks, task % column_tasks);
            let (rest, row_task) = (rest / row_tasks, rest % row_tasks);
            let groups = self.groups.max(1);
            let (image, group) = (rest / groups, rest % groups);
            let span = cut.panels * nr;
            let start = column_task * span;
            let columns = start..map.columns.min(start + span);
            let first = row_task * cut.blocks;
            // SAFETY: image, group, blocks and columns exist; the slot's memory is this task's alone;
            // no two tasks share an output.
            unsafe { self.task(ends, &memory, (image, group), (first, cut), columns, slot) }
        });
        Ok(())
    }

    /// Computes some blocks of output pixels of a window, from number `first` on, in some columns of a group.
    ///
    /// # Safety
    /// As written where it is called; windows may have fewer blocks, or none.
    unsafe fn task(
        &self,
        ends: &Ends,
        memory: &Memory,
        (image, group): (usize, usize),
        (first, cut): (usize, Cut),
        columns: Range<usize>,
        slot: usize,
    ) {
        let (mr, _) = self.engine.shape();
        let channels = self.taps.group_channels * self.unit;
        let phases = self.phases.max(1);
        let (member, phase) = (group / phases, group % phases);
        let window = self.taps.window(phase);
        let first_pixel = first * mr;
        let pixels = window.pixels().saturating_sub(first_pixel).min(cut.blocks * mr);
        if pixels == 0 {
            return;
        }
        let from = window.place(first_pixel);
        // SAFETY: places within the workspace's parts and the images, as sized in `carve` and checked
        // in `run_raw`.
        unsafe {
            let own = ends.rows.add(slot * memory.size);
            let codes = ends.codes.add(image * self.image * self.unit);
            // The number 0 is bytes of 0, too.
            let (scale, zero_point) = match &self.engine {
                EitherEngine::Codes(_) => self.quantizer.row(ends.scales, ends.zero_points, image),
                EitherEngine::Real(_) => (1.0, 0),
            };
            let padding = own.add(memory.padding);
            padding.write_bytes(zero_point as u8, window.lines[2].taps * channels);
            let source = match self.taps.layout {
                ImageLayout::Nhwc => Source {
                    codes: codes.add(member * channels),
                    pixel_stride: self.taps.in_channels * self.unit,
                    channels,
                    padding,
                },
                ImageLayout::Nchw => {
                    let span = window.span(from, window.place(first_pixel + pixels - 1));
                    let strip = own.add(memory.strip);
                    self.strip(codes, member, span, strip);
                    Source {
                        codes: strip.wrapping_sub(span.0 * channels),
                        pixel_stride: channels,
                        channels,
                        padding,
                    }
                }
            };
            let part = Part {
                window: &window,
                source,
                first_pixel,
                from,
                pixels,
                rows: ends.blocks.add(slot * ends.most_blocks * ends.block),
                block: ends.block,
                runs: own.cast(),
                copies: own.add(memory.rows),
                few_panels: cut.panels <= DIRECT_PANELS,
            };
            let results = Results {
                window: &window,
                first_pixel,
                from,
                pixels,
                at: image * self.pixels * self.out_channels,
                channel: member * self.engine.columns().columns,
                own: (own.add(memory.results), own.add(memory.residuals)),
            };
            match &self.engine {
                EitherEngine::Codes(engine) => {
                    let mut blocks = [const { MaybeUninit::<Block>::uninit() }; MAX_BLOCKS];
                    let count = self.code_blocks(engine, &part, (zero_point, scale), &mut blocks);
                    let blocks = blocks.get(..count).unwrap_or_default().assume_init_ref();
                    self.results(ends, &results, columns, |columns, to| {
                        engine.multiply(blocks, group, columns, to);
                    });
                }
                EitherEngine::Real(engine) => {
                    let mut blocks = [const { MaybeUninit::<RealBlock>::uninit() }; MAX_BLOCKS];
                    let count = self.real_blocks(engine, &part, &mut blocks);
                    let blocks = blocks.get(..count).unwrap_or_default().assume_init_ref();
                    self.results(ends, &results, columns, |columns, to| {
                        // Numbers are not decoded, which would need memory.
                        engine.multiply(blocks, group, columns, to, core::ptr::null_mut());
                    });
                }
            }
        }
    }

    /// Makes results, by `multiply`, of some columns of a task's pixels, and puts them in their places.
    ///
    /// # Safety
    /// The pixels and columns exist, and are this task's alone; `multiply` writes its columns' results of all pixels from a
    /// destination on.
    unsafe fn results(
        &self,
        ends: &Ends,
        results: &Results<'_>,
        columns: Range<usize>,
        multiply: impl Fn(Range<usize>, &Destination),
    ) {
        let Results { window, first_pixel, from, pixels, at, channel, own } = *results;
        let (_, nr) = self.engine.shape();
        let (element, residual) =
            (self.output.of_sums().element_size(), self.residual.element_size());
        // SAFETY: by this function's contract.
        unsafe {
            if self.results_are_direct() {
                let at = at + first_pixel * self.out_channels + channel;
                let destination = Destination {
                    base: ends.y.add(at * element),
                    row_stride: self.out_channels,
                    column_stride: 1,
                    residual: ends.residual.wrapping_add(at * residual),
                    residual_row_stride: self.out_channels,
                };
                return multiply(columns, &destination);
            }
            let mut first = columns.start;
            while first < columns.end {
                let end = columns.end.min(first + nr);
                let panel = Panel {
                    window,
                    from,
                    pixels,
                    at,
                    channel: channel + first,
                    columns: end - first,
                };
                self.take_residuals(ends, &panel, own.1);
                let destination = Destination {
                    base: own.0,
                    row_stride: nr,
                    column_stride: 1,
                    residual: own.1,
                    residual_row_stride: nr,
                };
                multiply(first..end, &destination.before(first, element, residual));
                self.put_results(ends, &panel, own.0);
                first = end;
            }
        }
    }
}

/// Where a task's results go: output pixels of a window, one behind the other, of a group's channels.
struct Results<'a> {
    window: &'a Window,
    /// The first pixel, and its place.
    first_pixel: usize,
    from: [usize; 3],
    pixels: usize,
    /// The image's first result.
    at: usize,
    /// The group's first output channel.
    channel: usize,
    /// Memory for results of a panel and for residuals.
    own: (*mut u8, *mut u8),
}

/// Output pixels of a window, one behind the other, and output channels of a panel.
pub(super) struct Panel<'a> {
    pub window: &'a Window,
    /// The first pixel's place.
    pub from: [usize; 3],
    pub pixels: usize,
    /// The image's first result.
    pub at: usize,
    /// The first output channel.
    pub channel: usize,
    pub columns: usize,
}

/// How many groups are packed side by side: the most that divide the groups evenly and whose
/// columns fit into a panel of `nr`.
pub(super) fn fusion(groups: usize, columns: usize, nr: usize) -> usize {
    let most = nr.checked_div(columns).unwrap_or(1).min(groups).max(1);
    (1..=most).rev().find(|&fused| groups.is_multiple_of(fused)).unwrap_or(1)
}
