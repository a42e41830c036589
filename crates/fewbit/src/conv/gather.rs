//! Blocks of rows of codes: the taps under output pixels, copied run by run into the form that the tile reads.

use super::Conv;
use super::tiles::Part;
use super::window::{Runs, Source, Window};
use crate::Result;
use crate::memory::ALIGNMENT;
use crate::plan::{Block, Engine, MAX_BLOCKS, RealEngine, RowAt, block_count, find};
use core::mem::MaybeUninit;
use core::ops::Range;
use fewbit_kernels::gather::{GATHER_S8_S16, GATHER_U8, GATHER_U8_S16, GatherArgs, GatherFn, Run};
use fewbit_kernels::gemm::{code_shift_lhs, pack_lhs, sum_lhs, sum_packed};
use fewbit_kernels::registry::Bound;
use fewbit_scheme::RealFormat;
use fewbit_simd::Supported;
use fewbit_simd::dot::LhsForm;

/// From this distance on, rows are kept from beginning at the same place of a page: the first-level cache
/// has few places for lines that do.
const FAR: usize = 2048;

/// How rows get into blocks.
pub(super) struct Gather {
    kernel: Bound<GatherFn>,
    mask: u8,
    /// Bytes of what a code becomes; of numbers, which are copied as bytes, 1.
    pub bytes: usize,
    /// Bytes between rows.
    pub row_stride: usize,
    /// Whether rows are copied elsewhere first.
    pub by_copies: bool,
}

impl Gather {
    pub(super) fn new(engine: &Engine<'_>, supported: Supported) -> Result<Gather> {
        let (unsigned, form) = (engine.is_unsigned(), engine.packed.form);
        let (rows, bytes) = match (form, unsigned) {
            (LhsForm::I16, true) => (GATHER_U8_S16, 2),
            (LhsForm::I16, false) => (GATHER_S8_S16, 2),
            _ => (GATHER_U8, 1),
        };
        let interleaved = engine.packed.is_interleaved();
        // What is interleaved is moved there.
        let moved = code_shift_lhs(unsigned, form) != 0 && !interleaved;
        let k = engine.packed.k.next_multiple_of(form.kr().max(1)) * bytes;
        let row_stride = match k {
            _ if interleaved => engine.packed.k,
            0..FAR => k,
            _ => k.next_multiple_of(ALIGNMENT) + ALIGNMENT,
        };
        let mask = if moved { 0x80 } else { 0 };
        let kernel = find(rows, supported)?;
        Ok(Gather { kernel, mask, bytes, row_stride, by_copies: interleaved })
    }

    /// Of numbers: f32 go where they are multiplied, others are widened from copies.
    pub(super) fn real(
        engine: &RealEngine<'_>,
        input: RealFormat,
        supported: Supported,
    ) -> Result<Gather> {
        let by_copies = input != RealFormat::F32;
        let row_stride = match by_copies {
            true => engine.k() * input.size(),
            false => engine.row_bytes(),
        };
        Ok(Gather { kernel: find(GATHER_U8, supported)?, mask: 0, bytes: 1, row_stride, by_copies })
    }

    /// Copies runs to where they go from `to` on.
    ///
    /// # Safety
    /// As [`GatherFn`].
    pub(super) unsafe fn run(&self, runs: &Runs, to: *mut u8) {
        // SAFETY: by this function's contract.
        unsafe {
            (self.kernel.run())(&GatherArgs {
                runs: runs.list.cast_const(),
                count: runs.count,
                to,
                mask: self.mask,
            });
        }
    }
}

impl Conv<'_> {
    /// Makes blocks of a task's pixels, the first ones of `blocks`, and gives their number.
    ///
    /// # Safety
    /// The pixels and their taps exist; the task's memory is its own.
    pub(super) unsafe fn code_blocks(
        &self,
        engine: &Engine<'_>,
        part: &Part<'_>,
        params: (i32, f32),
        blocks: &mut [MaybeUninit<Block>; MAX_BLOCKS],
    ) -> usize {
        let Part { window, source, first_pixel, pixels, rows, .. } = *part;
        let packed = &engine.packed;
        let (mr, k) = (packed.mr, window.taps() * source.channels);
        let direct =
            engine.is_direct() && part.few_panels && window.is_pointwise() && k == packed.k;
        let count = block_count(pixels, mr);
        let row_stride = self.gather.row_stride;
        // SAFETY: by this function's contract: places within the workspace's parts and the images.
        unsafe {
            let mut runs = Runs::new(part.runs, self.gather.bytes);
            // Rows that follow each other, in the image and in all blocks: copied at once.
            let at_once = !direct && !self.gather.by_copies && window.is_pointwise();
            if at_once {
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
                self.gather_codes(engine, &runs, pixels, k, rows);
            }
            let mut place = part.from;
            for (b, block) in blocks.iter_mut().enumerate().take(count) {
                // In place: a block is some hundred bytes to move.
                let block = block.write(Block::EMPTY);
                let count = (pixels - b * mr).min(mr);
                if direct {
                    let first =
                        source.codes.wrapping_add((first_pixel + b * mr) * source.pixel_stride);
                    let row = |r: usize| first.wrapping_add(r * source.pixel_stride);
                    engine.fill(block, core::ptr::null_mut(), count, row, |_| params);
                    continue;
                }
                if at_once {
                    let at = rows.cast_const().add(b * mr * row_stride);
                    self.gathered(engine, block, at, count, 0..k, params);
                    continue;
                }
                let places = (&mut place, count);
                let to = (rows.add(b * part.block), part.copies);
                self.fill(engine, block, (window, &source), places, &mut runs, to, params);
            }
        }
        count
    }

    /// In place of an empty block, one of `rows` output pixels from a place on, which moves behind them.
    ///
    /// # Safety
    /// The places exist; there is room for their runs, a block and, interleaved, rows before that.
    #[allow(
        clippy::too_many_arguments,
        reason = "what the blocks of a task share, and what they do not"
    )]
    unsafe fn fill(
        &self,
        engine: &Engine<'_>,
        block: &mut Block,
        (window, source): (&Window, &Source),
        (place, rows): (&mut [usize; 3], usize),
        runs: &mut Runs,
        (to, copies): (*mut u8, *mut u8),
        params: (i32, f32),
    ) {
        let (form, unsigned) = (engine.packed.form, engine.is_unsigned());
        let k = window.taps() * source.channels;
        // Where padding is 0, lines of taps that are on padding for all of the pixels need no multiplying.
        let line = window.lines[2].taps * source.channels;
        let is_zero = params.0 + code_shift_lhs(unsigned, form) == 0;
        let lines = match is_zero && line.is_multiple_of(form.kr().max(1)) {
            true => window.lines_inside(*place, rows),
            false => window.all_lines(),
        };
        let used = lines.start * line..lines.end * line;
        let row_stride = if self.gather.by_copies { k } else { self.gather.row_stride };
        // SAFETY: rows of `row_stride` bytes fit the block, or the rows before it; each run is a part of one.
        unsafe {
            window.collect(source, (place, rows), lines, row_stride, runs);
            if !self.gather.by_copies {
                self.gather_codes(engine, runs, rows, k, to);
                return self.gathered(engine, block, to, rows, used, params);
            }
            self.gather.run(runs, copies);
            let group = form.group_bytes();
            let (begin, n) = (used.start, used.len());
            let row = |r: usize| copies.cast_const().wrapping_add(r * k + begin);
            pack_lhs(&row as RowAt<'_>, rows, n, unsigned, form, to);
            let sum = |r: usize| sum_lhs(row(r), n, unsigned, form);
            engine.place(block, to, (group, rows * group), (rows, used), params, sum);
        }
    }

    /// Copies runs into `rows` rows of `k` codes from `to` on.
    ///
    /// # Safety
    /// The runs are parts of them; there is room for the rows, whole groups each.
    unsafe fn gather_codes(
        &self,
        engine: &Engine<'_>,
        runs: &Runs,
        rows: usize,
        k: usize,
        to: *mut u8,
    ) {
        let form = engine.packed.form;
        let (kr, group) = (form.kr().max(1), form.group_bytes());
        // SAFETY: by this function's contract.
        unsafe {
            if !k.is_multiple_of(kr) {
                // The last group first, whose beginning the codes overwrite.
                for r in 0..rows {
                    to.add(r * self.gather.row_stride + k / kr * group).write_bytes(0, group);
                }
            }
            self.gather.run(runs, to);
        }
    }

    /// In place of an empty block, one of rows that were gathered, of which the codes `used` are to be multiplied.
    ///
    /// # Safety
    /// They lie at `rows`.
    #[inline(never)]
    unsafe fn gathered(
        &self,
        engine: &Engine<'_>,
        block: &mut Block,
        rows: *const u8,
        count: usize,
        used: Range<usize>,
        params: (i32, f32),
    ) {
        let (form, row_stride) = (engine.packed.form, self.gather.row_stride);
        let (begin, n) = (used.start * self.gather.bytes, used.len());
        let row = |r: usize| rows.wrapping_add(r * row_stride + begin);
        // SAFETY: by this function's contract.
        let sum = |r: usize| unsafe { sum_packed(row(r), n, form) };
        let strides = (row_stride, form.group_bytes());
        engine.place(block, row(0), strides, (count, used), params, sum);
    }
}
