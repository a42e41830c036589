//! Lines: input rows, widened, as the kernel reads them.

use super::super::taps::tap;
use super::super::{ConvAxis, ImageLayout, Taps};
use super::layout::{repeat, transpose};
use core::ops::Range;
use fewbit_kernels::depthwise::{CHANNELS, WidenArgs, WidenFn};
use fewbit_kernels::registry::Bound;

/// No row.
const NONE: usize = usize::MAX;

/// What a line is: `[blocks][classes][room][CHANNELS]`. Column `i` of class `c` is `dilation * i` columns of the input behind
/// that of the first tap of the class's first output, number `c` of the chunk.
#[derive(Clone, Copy)]
pub(super) struct LineShape {
    pub classes: usize,
    pub dilation: usize,
    /// Columns of a class that outputs need.
    pub columns: usize,
    /// With those that are only read.
    pub room: usize,
}

impl LineShape {
    /// Where a class of a block begins, in columns.
    pub(super) fn class(&self, block: usize, class: usize) -> usize {
        (block * self.classes + class) * self.room
    }
}

/// Which of the lines has an output's first tap along an axis.
fn turn(axis: &ConvAxis, at: usize) -> usize {
    let position = at * axis.stride;
    let row = if axis.dilation > 1 { position / axis.dilation } else { position };
    row.checked_rem(axis.kernel).unwrap_or(0)
}

/// A worker's memory for lines.
pub(super) struct Memory {
    /// `count` lines, and one of padding.
    pub lines: *mut i16,
    /// The codes of a line by channel, where the image has them otherwise.
    pub bytes: *mut u8,
    /// For each row of taps its line's address.
    pub taps: *mut *const i16,
    /// For each line the row that it has, or [`NONE`].
    pub held: *mut usize,
    pub count: usize,
}

/// The lines of some channels of an image.
pub(super) struct Lines<'a> {
    pub taps: &'a Taps,
    pub widen: Bound<WidenFn>,
    /// The image.
    pub codes: *const u8,
    /// The code of real 0.
    pub padding: i16,
    /// The first output channel, and how many.
    pub channels: (usize, usize),
    /// Outputs of an input channel.
    pub multiplier: usize,
    pub shape: LineShape,
    /// Channels that a line has.
    pub span: usize,
    pub memory: Memory,
}

impl Lines<'_> {
    /// Fills the line of padding.
    ///
    /// # Safety
    /// The memory can be written.
    pub(super) unsafe fn pad(&mut self) {
        for class in 0..self.shape.classes {
            // SAFETY: by this function's contract.
            unsafe { self.fill_padding(self.at(self.memory.count), class, 0..self.shape.columns) }
        }
    }

    /// Forgets all rows: another chunk begins. Its columns of padding are the same in all of them.
    ///
    /// # Safety
    /// The memory can be written.
    pub(super) unsafe fn begin(&mut self, pixels: &Range<usize>) {
        for line in 0..self.memory.count {
            // SAFETY: by this function's contract.
            unsafe {
                self.memory.held.add(line).write(NONE);
                for class in 0..self.shape.classes.min(pixels.len()) {
                    let Range { start, end } = self.inside(class, pixels).1;
                    self.fill_padding(self.at(line), class, 0..start);
                    self.fill_padding(self.at(line), class, end..self.shape.columns);
                }
            }
        }
    }

    /// Makes the lines of a row of output pixels, those that are not there yet, and lists their addresses.
    ///
    /// Rows a dilation apart take lines in turn, as many as there are taps: those of an output are then in different ones, and a
    /// row is in the same one for all of them.
    ///
    /// # Safety
    /// The memory can be written and the image read; row and pixels exist, and are of the chunk that begun.
    pub(super) unsafe fn reach(&mut self, (at_d, at_h): (usize, usize), pixels: &Range<usize>) {
        let [depth, height, _] = &self.taps.axes;
        let Memory { taps, held, .. } = self.memory;
        let next = |turn: usize, taps: usize| if turn + 1 < taps { turn + 1 } else { 0 };
        let (mut number, mut plane) = (0, turn(depth, at_d));
        for kd in 0..depth.kernel {
            let d = tap(depth, at_d, kd);
            let mut turn = turn(height, at_h);
            for kh in 0..height.kernel {
                let line = plane * height.kernel + turn;
                // SAFETY: by this function's contract; all numbers of lines are below `count`, which is also the number
                // of rows of taps.
                unsafe {
                    let line = match (d, tap(height, at_h, kh)) {
                        (Some(d), Some(h)) => {
                            let (row, held) = (d * height.size + h, held.add(line));
                            if held.read() != row {
                                self.fill(self.at(line), row, pixels);
                                held.write(row);
                            }
                            line
                        }
                        _ => self.memory.count,
                    };
                    taps.add(number).write(self.at(line));
                }
                number += 1;
                turn = next(turn, height.kernel);
            }
            plane = next(plane, depth.kernel);
        }
    }

    /// The address of a line.
    fn at(&self, line: usize) -> *mut i16 {
        self.memory.lines.wrapping_add(line * self.span * self.shape.classes * self.shape.room)
    }

    /// # Safety
    /// The line, the class and its columns exist.
    unsafe fn fill_padding(&self, line: *mut i16, class: usize, columns: Range<usize>) {
        for block in 0..self.channels.1.div_ceil(CHANNELS) {
            let at = self.shape.class(block, class);
            for column in at + columns.start..at + columns.end {
                // SAFETY: by this function's contract.
                unsafe {
                    let to = line.add(column * CHANNELS).cast::<[i16; CHANNELS]>();
                    to.write([self.padding; CHANNELS]);
                }
            }
        }
    }

    /// A class's first column, counted from the first column of padding, and which of its columns are pixels of the image.
    fn inside(&self, class: usize, pixels: &Range<usize>) -> (usize, Range<usize>) {
        let [.., width] = &self.taps.axes;
        let LineShape { dilation, columns, .. } = self.shape;
        let begin = (pixels.start + class) * width.stride;
        // The class's next columns are `dilation` further.
        let before = |column: usize| {
            let column = column.saturating_sub(begin);
            if dilation > 1 { column.div_ceil(dilation) } else { column }
        };
        let first = before(width.pad_begin).min(columns);
        let end = before(width.pad_begin + width.size).min(columns).max(first);
        (begin, first..end)
    }

    /// Writes an input row, as far as the output pixels need it, to a line.
    ///
    /// # Safety
    /// As [`reach`](Lines::reach); the row exists.
    unsafe fn fill(&self, line: *mut i16, row: usize, pixels: &Range<usize>) {
        let [.., width] = &self.taps.axes;
        let LineShape { classes, dilation: apart, room, .. } = self.shape;
        for class in 0..classes.min(pixels.len()) {
            let (begin, Range { start: first, end }) = self.inside(class, pixels);
            if first == end {
                continue;
            }
            // SAFETY: by this function's contract; the columns from `first` to `end` are pixels of the row.
            unsafe {
                let pixel = row * width.size + (begin + first * apart - width.pad_begin);
                let (src, src_stride) = self.side_by_side(pixel, end - first, apart);
                (self.widen.run())(&WidenArgs {
                    src,
                    src_stride,
                    pixels: end - first,
                    channels: self.channels.1,
                    dst: line.add((self.shape.class(0, class) + first) * CHANNELS),
                    dst_stride: classes * room * CHANNELS,
                });
            }
        }
    }

    /// The codes of pixels' channels, side by side: where, and how far the pixels are apart. Either the
    /// image's own, or copies.
    ///
    /// # Safety
    /// As [`fill`](Lines::fill), with pixels of a row, `apart` from each other.
    unsafe fn side_by_side(&self, pixel: usize, pixels: usize, apart: usize) -> (*const u8, usize) {
        let (first, n) = self.channels;
        let (bytes, span, multiplier) = (self.memory.bytes, self.span, self.multiplier.max(1));
        let [depth, height, width] = &self.taps.axes;
        let (pixel_stride, channel_stride) = match self.taps.layout {
            ImageLayout::Nhwc => (self.taps.in_channels, 1),
            ImageLayout::Nchw => (1, depth.size * height.size * width.size),
        };
        // Where there is but one place, any stride is.
        let stride = pixel_stride.wrapping_mul(apart);
        // SAFETY: by this function's contract; the bytes have room for a class's columns.
        unsafe {
            if multiplier == 1 && channel_stride == 1 {
                return (self.codes.add(pixel * pixel_stride + first), stride);
            }
            let (channel, skip) = (first / multiplier, first % multiplier);
            let from = self.codes.add(pixel * pixel_stride + channel * channel_stride);
            if channel_stride == 1 {
                for x in 0..pixels {
                    repeat(from.add(x * stride), bytes.add(x * span), n, multiplier, skip);
                }
            } else if stride == 1 && multiplier == 1 {
                transpose((from, channel_stride), (bytes, span), (n, pixels));
            } else {
                for c in 0..n {
                    let from = from.add((skip + c) / multiplier * channel_stride);
                    for x in 0..pixels {
                        bytes.add(x * span + c).write(from.add(x * stride).read());
                    }
                }
            }
        }
        (bytes, span)
    }
}
