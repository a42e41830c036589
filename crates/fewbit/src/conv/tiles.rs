//! The general way: the taps under output pixels, copied into rows of blocks, which meet panels of columns.
//!
//! Rows are copied run by run into the form that the tile reads, one row behind the other (`kernels/gather`): as a tile takes any
//! distance of rows, they need no interleaving, and so no copy before it. (The tile of `smmla` reads pairs of rows, which are
//! interleaved from there.) Images of planes are turned a strip at a time, so that channels are neighbours. Results
//! that are not equally far apart, or not side by side, go by way of the worker's memory.

use super::run::Ends;
use super::window::{Runs, Source, Window};
use super::{Conv, ImageLayout};
use crate::memory::ALIGNMENT;
use crate::plan::{
    Block, Cut, Destination, Engine, MAX_BLOCKS, Slots, block_count, cut, each_with_slot, find,
    size,
};
use crate::{Parallel, Result};
use core::mem::MaybeUninit;
use core::ops::Range;
use fewbit_kernels::gather::{GATHER_S8_S16, GATHER_U8, GATHER_U8_S16, GatherArgs, GatherFn, Run};
use fewbit_kernels::gemm::{code_shift_lhs, pack_lhs, sum_lhs, sum_packed};
use fewbit_kernels::registry::Bound;
use fewbit_simd::Supported;
use fewbit_simd::dot::LhsForm;

/// With more panels than this a task copies even rows that could be multiplied where they are.
const DIRECT_PANELS: usize = 8;
/// From this distance on, rows are kept from beginning at the same place of a page: the first-level cache
/// has few places for lines that do.
const FAR: usize = 2048;

/// How rows get into blocks.
pub(super) struct Gather {
    kernel: Bound<GatherFn>,
    mask: u8,
    /// Bytes of what a code becomes.
    bytes: usize,
    /// Bytes between rows.
    row_stride: usize,
}

/// What a worker's memory has beside blocks: at multiples of [`ALIGNMENT`].
#[derive(Clone, Copy)]
struct Memory {
    /// A line of taps on padding.
    padding: usize,
    /// Rows before they are interleaved.
    rows: usize,
    /// A strip of the input, channels last.
    strip: usize,
    /// Results of a panel, and residuals.
    results: usize,
    residuals: usize,
    /// Bytes in all; runs come first.
    size: usize,
}

impl Gather {
    pub(super) fn new(engine: &Engine<'_>, supported: Supported) -> Result<Gather> {
        let (unsigned, form) = (engine.is_unsigned(), engine.packed.form);
        let (rows, bytes) = match (form, unsigned) {
            (LhsForm::I16, true) => (GATHER_U8_S16, 2),
            (LhsForm::I16, false) => (GATHER_S8_S16, 2),
            _ => (GATHER_U8, 1),
        };
        // What is interleaved is moved there.
        let moved = code_shift_lhs(unsigned, form) != 0 && form != LhsForm::S8x8;
        let k = engine.packed.k.next_multiple_of(form.kr().max(1)) * bytes;
        let row_stride = match k {
            0..FAR => k,
            _ => k.next_multiple_of(ALIGNMENT) + ALIGNMENT,
        };
        let mask = if moved { 0x80 } else { 0 };
        Ok(Gather { kernel: find(rows, supported)?, mask, bytes, row_stride })
    }
}

impl Conv<'_> {
    /// Bytes of a block of rows.
    pub(super) fn block_bytes(&self) -> Result<usize> {
        match self.engine.packed.form {
            LhsForm::S8x8 => Ok(self.engine.block_size()),
            _ => size(&[self.gather.row_stride, self.engine.packed.mr]),
        }
    }

    /// A worker's memory for tasks of up to `blocks` blocks.
    fn memory(&self, blocks: usize) -> Result<Memory> {
        let packed = &self.engine.packed;
        let (mr, channels) = (packed.mr, self.taps.group_channels);
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
        let rows = if packed.form == LhsForm::S8x8 { size(&[packed.k, mr])? } else { 0 };
        let rows = take(rows)?;
        let by_planes = self.taps.layout == ImageLayout::Nchw;
        let strip = take(if by_planes { size(&[span, channels])? } else { 0 })?;
        let places = if self.results_are_direct() { 0 } else { size(&[pixels, packed.nr])? };
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
        let packed = &self.engine.packed;
        let memory = self.memory(ends.most_blocks)?;
        let row_blocks = block_count(self.most_pixels(), packed.mr);
        let copies = images.saturating_mul(self.groups);
        let cut = cut(row_blocks, packed.panels, ends.most_blocks, copies, ends.workers);
        let row_tasks = cut.row_tasks(row_blocks);
        let column_tasks = cut.column_tasks(packed.panels);
        let tasks = size(&[images, self.groups, row_tasks, column_tasks])?;
        each_with_slot(parallel, tasks, &slots, |task, slot| {
            let (column_tasks, row_tasks) = (column_tasks.max(1), row_tasks.max(1));
            let (rest, column_task) = (task / column_tasks, task % column_tasks);
            let (rest, row_task) = (rest / row_tasks, rest % row_tasks);
            let groups = self.groups.max(1);
            let (image, group) = (rest / groups, rest % groups);
            let span = cut.panels * packed.nr;
            let start = column_task * span;
            let columns = start..packed.columns.min(start + span);
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
        let packed = &self.engine.packed;
        let (mr, channels) = (packed.mr, self.taps.group_channels);
        let phases = self.phases.max(1);
        let (member, phase) = (group / phases, group % phases);
        let window = self.taps.window(phase);
        let first_pixel = first * mr;
        let pixels = window.pixels().saturating_sub(first_pixel).min(cut.blocks * mr);
        if pixels == 0 {
            return;
        }
        let mut blocks = [const { MaybeUninit::<Block>::uninit() }; MAX_BLOCKS];
        let count = block_count(pixels, mr);
        let k = window.taps() * channels;
        let from = window.place(first_pixel);
        // SAFETY: places within the workspace's parts and the images, as sized in `carve` and checked
        // in `run_raw`.
        unsafe {
            let own = ends.rows.add(slot * memory.size);
            let codes = ends.codes.add(image * self.image);
            let (scale, zero_point) = self.quantizer.row(ends.scales, ends.zero_points, image);
            let padding = own.add(memory.padding);
            padding.write_bytes(zero_point as u8, window.lines[2].taps * channels);
            let source = match self.taps.layout {
                ImageLayout::Nhwc => Source {
                    codes: codes.add(member * channels),
                    pixel_stride: self.taps.in_channels,
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
            let direct = self.engine.is_direct()
                && cut.panels <= DIRECT_PANELS
                && window.is_pointwise()
                && k == packed.k;
            let mut runs = Runs::new(own.cast(), self.gather.bytes);
            // Rows that follow each other, in the image and in all blocks: copied at once.
            let rows = ends.blocks.add(slot * ends.most_blocks * ends.block);
            let at_once = !direct && packed.form != LhsForm::S8x8 && window.is_pointwise();
            if at_once {
                let row_stride = self.gather.row_stride;
                let joined = source.pixel_stride == k && row_stride == k * self.gather.bytes;
                let (len, count) = if joined { (pixels * k, 1) } else { (k, pixels) };
                runs.push(Run {
                    from: source.codes.wrapping_add(first_pixel * source.pixel_stride),
                    len,
                    to: 0,
                    count,
                    from_stride: source.pixel_stride,
                    to_stride: row_stride,
                });
                self.gather(&runs, pixels, k, rows);
            }
            let mut place = from;
            for (b, block) in blocks.iter_mut().enumerate().take(count) {
                // In place: a block is some hundred bytes to move.
                let block = block.write(Block::EMPTY);
                let count = (pixels - b * mr).min(mr);
                let params = (zero_point, scale);
                if direct {
                    let first =
                        source.codes.wrapping_add((first_pixel + b * mr) * source.pixel_stride);
                    let row = |r: usize| first.wrapping_add(r * source.pixel_stride);
                    self.engine.fill(block, core::ptr::null_mut(), count, row, |_| params);
                    continue;
                }
                if at_once {
                    let at = rows.cast_const().add(b * mr * self.gather.row_stride);
                    self.gathered(block, at, count, 0..k, params);
                    continue;
                }
                let to = rows.add(b * ends.block);
                let places = (&mut place, count);
                let to = (to, own.add(memory.rows));
                self.fill(block, (&window, &source), places, &mut runs, to, params);
            }
            let blocks = blocks.get(..count).unwrap_or_default().assume_init_ref();
            let at = image * self.pixels * self.out_channels;
            let channel = member * packed.columns;
            if self.results_are_direct() {
                let at = at + first_pixel * self.out_channels + channel;
                let destination = Destination {
                    base: ends.y.add(at * self.output.of_sums().element_size()),
                    row_stride: self.out_channels,
                    column_stride: 1,
                    residual: ends.residual.wrapping_add(at * self.residual.element_size()),
                    residual_row_stride: self.out_channels,
                };
                self.engine.multiply(blocks, group, columns, &destination);
                return;
            }
            let mut first = columns.start;
            while first < columns.end {
                let end = columns.end.min(first + packed.nr);
                let own = (own.add(memory.results), own.add(memory.residuals));
                let panel = Panel {
                    window: &window,
                    from,
                    pixels,
                    at,
                    channel: channel + first,
                    columns: end - first,
                };
                self.take_residuals(ends, &panel, own.1);
                let destination = Destination {
                    base: own.0,
                    row_stride: packed.nr,
                    column_stride: 1,
                    residual: own.1,
                    residual_row_stride: packed.nr,
                };
                let destination = destination.before(
                    first,
                    self.output.of_sums().element_size(),
                    self.residual.element_size(),
                );
                self.engine.multiply(blocks, group, first..end, &destination);
                self.put_results(ends, &panel, own.0);
                first = end;
            }
        }
    }

    /// In place of an empty block, one of `rows` output pixels from a place on, which moves behind them.
    ///
    /// # Safety
    /// The places exist; there is room for their runs, a block and, interleaved, rows before that.
    unsafe fn fill(
        &self,
        block: &mut Block,
        (window, source): (&Window, &Source),
        (place, rows): (&mut [usize; 3], usize),
        runs: &mut Runs,
        (to, copies): (*mut u8, *mut u8),
        params: (i32, f32),
    ) {
        let (form, unsigned) = (self.engine.packed.form, self.engine.is_unsigned());
        let k = window.taps() * source.channels;
        // Where padding is 0, lines of taps that are on padding for all of the pixels need no multiplying.
        let line = window.lines[2].taps * source.channels;
        let is_zero = params.0 + code_shift_lhs(unsigned, form) == 0;
        let lines = match is_zero && line.is_multiple_of(form.kr().max(1)) {
            true => window.lines_inside(*place, rows),
            false => 0..window.lines[0].taps * window.lines[1].taps,
        };
        let used = lines.start * line..lines.end * line;
        let interleaved = form == LhsForm::S8x8;
        let row_stride = if interleaved { k } else { self.gather.row_stride };
        // SAFETY: rows of `row_stride` bytes fit the block, or the rows before it; each run is a part of one.
        unsafe {
            if window.is_pointwise() {
                runs.count = 0;
                let [d, h, w] = *place;
                let [_, height, width] = window.lines;
                let pixel = (d * height.count + h) * width.count + w;
                runs.push(Run {
                    from: source.codes.wrapping_add(pixel * source.pixel_stride),
                    len: k,
                    to: 0,
                    count: rows,
                    from_stride: source.pixel_stride,
                    to_stride: row_stride,
                });
                *place = window.place(pixel + rows);
            } else {
                // Runs of the row before, if its neighbour's are the same ones, a step further.
                let step = window.step(source);
                for r in 0..rows {
                    let inside = window.lines[2].is_inside(place[2]);
                    let shares = inside && runs.shared > 0 && place[2] > 0;
                    if r == 0 && shares && runs.lines == lines {
                        runs.keep_shared(step);
                    } else if r > 0 && shares {
                        runs.again(step, row_stride);
                    } else {
                        if r == 0 {
                            runs.count = 0;
                        }
                        let before = runs.count;
                        window.row(source, *place, &lines, r * row_stride, runs);
                        runs.shared = if inside { runs.count - before } else { 0 };
                    }
                    runs.row = r * row_stride;
                    *place = window.next(*place);
                }
                runs.lines = lines;
            }
            if !interleaved {
                self.gather(runs, rows, k, to);
                return self.gathered(block, to, rows, used, params);
            }
            self.gather(runs, 0, k, copies);
            let group = form.group_bytes();
            let (begin, n) = (used.start, used.len());
            let row = |r: usize| copies.cast_const().wrapping_add(r * k + begin);
            pack_lhs(row, rows, n, unsigned, form, to);
            let sum = |r: usize| sum_lhs(row(r), n, unsigned, form);
            self.engine.place(block, to, (group, rows * group), (rows, used), params, sum);
        }
    }

    /// Copies runs into `rows` rows of `k` codes from `to` on.
    ///
    /// # Safety
    /// The runs are parts of them; there is room for the rows, whole groups each.
    unsafe fn gather(&self, runs: &Runs, rows: usize, k: usize, to: *mut u8) {
        let form = self.engine.packed.form;
        let (kr, group) = (form.kr().max(1), form.group_bytes());
        // SAFETY: by this function's contract.
        unsafe {
            if !k.is_multiple_of(kr) {
                // The last group first, whose beginning the codes overwrite.
                for r in 0..rows {
                    let last = r * self.gather.row_stride + k / kr * group;
                    to.add(last).cast::<u32>().write_unaligned(0);
                }
            }
            (self.gather.kernel.run())(&GatherArgs {
                runs: runs.list.cast_const(),
                count: runs.count,
                to,
                mask: self.gather.mask,
            });
        }
    }

    /// In place of an empty block, one of rows that were gathered, of which the codes `used` are to be multiplied.
    ///
    /// # Safety
    /// They lie at `rows`.
    #[inline]
    unsafe fn gathered(
        &self,
        block: &mut Block,
        rows: *const u8,
        count: usize,
        used: Range<usize>,
        params: (i32, f32),
    ) {
        let (form, row_stride) = (self.engine.packed.form, self.gather.row_stride);
        let (begin, n) = (used.start * self.gather.bytes, used.len());
        let row = |r: usize| rows.wrapping_add(r * row_stride + begin);
        // SAFETY: by this function's contract.
        let sum = |r: usize| unsafe { sum_packed(row(r), n, form) };
        let strides = (row_stride, form.group_bytes());
        self.engine.place(block, row(0), strides, (count, used), params, sum);
    }
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
