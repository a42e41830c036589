//! Lines of output pixels: which taps of a window lie inside, and which windows go together.
//!
//! Channels-last images have a pixel's channels side by side; in channels-first ones each channel is an image of its own,
//! whose pixels are single codes. Both are planes of pixels of `unit` codes.
//!
//! The windows of a line whose taps are all inside along the width have one shape. If they are one pixel apart, they are
//! one window of many codes. If they are farther apart and their pixels are small, they are computed at every place,
//! and those in between dropped: vectors make that cheaper than a window at a time. The others are side by side.

use super::PoolDesc;
use crate::{ConvAxis, ImageLayout};
use core::ops::Range;
use fewbit_kernels::pool::Windows;

/// What is made of windows.
///
/// # Safety
/// The methods' shared contract: the windows' taps can be read and `dst` be written, as many codes as said; the two do not
/// overlap. `counted` is the number of taps in a window that are inside or padding.
pub(super) trait Pooling: Sync {
    /// The most codes of [`picked`](Pooling::picked).
    const POSITIONS: usize;

    /// Results of all windows, side by side.
    unsafe fn windows(&self, windows: &Windows, counted: usize, dst: *mut u8);

    /// Results of `pixels` pixels of `unit` codes that lie `step` codes apart in a single window's `n` results, at most
    /// [`POSITIONS`](Pooling::POSITIONS).
    unsafe fn picked(
        &self,
        positions: &Windows,
        counted: usize,
        unit_step_pixels: (usize, usize, usize),
        dst: *mut u8,
    );

    /// One result, of all codes of up to two windows of at most [`ACROSS`] codes each.
    unsafe fn across(&self, runs: [Option<Windows>; 2], counted: usize, dst: *mut u8);

    /// `n` results of windows without taps.
    unsafe fn nothing(&self, dst: *mut u8, n: usize);
}

/// Codes beside each other that belong to one window: taken as so many windows, whose results are then put together.
pub(super) const ACROSS: usize = 256;
/// Fewer are taps one by one.
const FEW: usize = 8;

/// Pixels from so many codes on fill vectors by themselves.
const SMALL: usize = 16;
/// Strides up to which all places are computed for the sake of small pixels.
const NEAR: usize = 8;

/// All lines of output pixels.
pub(super) struct Lines<'a, P> {
    pooling: &'a P,
    axes: [ConvAxis; 3],
    out: [usize; 3],
    /// Codes of a pixel.
    unit: usize,
    x: *const u8,
    y: *mut u8,
    /// The number of lines.
    pub count: usize,
    /// Codes, of input or output, whichever are more.
    pub elements: usize,
    /// Output pixels of a line whose taps are all inside.
    inside: Range<usize>,
}
// SAFETY: lines are read from `x`, and each writes its own codes of `y`.
unsafe impl<P: Sync> Sync for Lines<'_, P> {}

/// Taps of an output pixel along an axis.
#[derive(Clone, Copy)]
struct Span {
    /// The pixel under the first tap inside; without any, 0.
    first: usize,
    /// Taps inside.
    inside: usize,
    /// Taps inside or on padding.
    counted: usize,
}

impl Span {
    fn of(axis: &ConvAxis, out: usize) -> Span {
        // Places are counted from the padding's begin on.
        let begin = out * axis.stride;
        let end = axis.pad_begin + axis.size;
        let dilation = axis.dilation.max(1);
        // Taps before a place.
        let before = |place: usize| place.saturating_sub(begin).div_ceil(dilation).min(axis.kernel);
        let (outside, until) = (before(axis.pad_begin), before(end));
        let inside = until.saturating_sub(outside);
        let first = match inside {
            0 => 0,
            _ => (begin + outside * dilation).saturating_sub(axis.pad_begin),
        };
        Span { first, inside, counted: before(end + axis.pad_end) }
    }
}

/// Taps of a window that count. Averages are checked to have few; a maximum does not look.
fn counted(taps: [usize; 3]) -> usize {
    taps.iter().fold(1, |product: usize, &taps| product.saturating_mul(taps))
}

impl<'a, P: Pooling> Lines<'a, P> {
    /// A description that was checked, and its memory.
    pub(super) fn new(
        desc: &PoolDesc,
        out: [usize; 3],
        images: usize,
        pooling: &'a P,
        x: *const u8,
        y: *mut u8,
    ) -> Self {
        let (planes, unit) = match desc.layout {
            ImageLayout::Nhwc => (images, desc.channels),
            ImageLayout::Nchw => (images * desc.channels, 1),
        };
        let [depth, height, width] = desc.axes;
        let [od, oh, ow] = out;
        let reach = (width.kernel - 1) * width.dilation + 1;
        // The last window that ends inside, if the first place has one.
        let end = (width.pad_begin + width.size)
            .checked_sub(reach)
            .and_then(|last| last.checked_div(width.stride))
            .map_or(0, |last| (last + 1).min(ow));
        let begin = width.pad_begin.div_ceil(width.stride.max(1)).min(end);
        let elements = planes * unit * depth.size * height.size * width.size;
        let elements = elements.max(planes * unit * od * oh * ow);
        let (axes, count) = (desc.axes, planes * od * oh);
        Lines { pooling, axes, out, unit, x, y, count, elements, inside: begin..end }
    }

    /// Makes a line.
    ///
    /// # Safety
    /// The line exists; the images can be read and written, the line by nobody else.
    pub(super) unsafe fn pool(&self, line: usize) {
        let [depth, height, width] = &self.axes;
        let [od, oh, ow] = self.out;
        let (rest, at_h) = (line / oh.max(1), line % oh.max(1));
        let (plane, at_d) = (rest / od.max(1), rest % od.max(1));
        let (d, h) = (Span::of(depth, at_d), Span::of(height, at_h));
        let first = ((plane * depth.size + d.first) * height.size + h.first) * width.size;
        // Not `add`: where no tap is inside, that is a place outside.
        let x = self.x.wrapping_add(first * self.unit);
        let y = self.y.wrapping_add(line * ow * self.unit);
        // SAFETY: by this function's contract; windows have taps inside only, and results within the line.
        unsafe {
            if d.inside == 0 || h.inside == 0 {
                return self.pooling.nothing(y, ow * self.unit);
            }
            let mut at = 0;
            while at < ow {
                let to = y.add(at * self.unit);
                if at == self.inside.start && self.inside.len() > 1 {
                    self.alike(x, [d, h], to);
                    at = self.inside.end;
                } else {
                    self.single(x, [d, h, Span::of(width, at)], to);
                    at += 1;
                }
            }
        }
    }

    /// Windows over one pixel's codes.
    fn windows(&self, src: *const u8, counts: [usize; 3]) -> Windows {
        let [depth, height, width] = &self.axes;
        let line = width.size * self.unit;
        let strides = [
            depth.dilation.wrapping_mul(height.size * line),
            height.dilation.wrapping_mul(line),
            width.dilation.wrapping_mul(self.unit),
        ];
        Windows { src, counts, strides, pixels: 1, pixel_stride: 0, n: self.unit }
    }

    /// All windows of a line whose taps are inside.
    ///
    /// # Safety
    /// As [`pool`](Lines::pool); `x` is the first tap's line, and the spans are not empty.
    unsafe fn alike(&self, x: *const u8, [d, h]: [Span; 2], y: *mut u8) {
        let [.., width] = &self.axes;
        let Range { start, end } = self.inside;
        let (unit, pixels) = (self.unit, end - start);
        let src = x.wrapping_add((start * width.stride - width.pad_begin) * unit);
        let windows = self.windows(src, [d.inside, h.inside, width.kernel]);
        let counted = counted([d.counted, h.counted, width.kernel]);
        let step = width.stride * unit;
        // SAFETY: by this function's contract.
        unsafe {
            if width.stride == 1 {
                let windows = Windows { n: pixels * unit, ..windows };
                return self.pooling.windows(&windows, counted, y);
            }
            if unit >= SMALL || width.stride > NEAR {
                let windows = Windows { pixels, pixel_stride: step, ..windows };
                return self.pooling.windows(&windows, counted, y);
            }
            let most = 1 + (P::POSITIONS - unit).checked_div(step).unwrap_or(0);
            let mut done = 0;
            while done < pixels {
                let some = most.min(pixels - done);
                let src = src.add(done * step);
                let positions = Windows { src, n: (some - 1) * step + unit, ..windows };
                self.pooling.picked(&positions, counted, (unit, step, some), y.add(done * unit));
                done += some;
            }
        }
    }

    /// One window.
    ///
    /// # Safety
    /// As [`alike`](Lines::alike), but along the width there may be no tap.
    unsafe fn single(&self, x: *const u8, [d, h, w]: [Span; 3], y: *mut u8) {
        let [_, height, width] = &self.axes;
        let counted = counted([d.counted, h.counted, w.counted]);
        // SAFETY: by this function's contract.
        unsafe {
            if w.inside == 0 {
                return self.pooling.nothing(y, self.unit);
            }
            let src = x.add(w.first * self.unit);
            let windows = self.windows(src, [d.inside, h.inside, w.inside]);
            if self.unit > 1 || w.inside < FEW || width.dilation != 1 {
                return self.pooling.windows(&windows, counted, y);
            }
            // The taps along the width lie side by side, and if they are all of a line, those of the lines do too.
            let whole = w.inside == width.size && height.dilation == 1;
            let (lines, n) = if whole { (1, h.inside * w.inside) } else { (h.inside, w.inside) };
            let each = n.clamp(1, ACROSS);
            let (times, rest) = (n / each, n % each);
            let strides = [windows.strides[0], windows.strides[1], each];
            let counts = [d.inside, lines, times];
            let many = Windows { counts, strides, n: each, ..windows };
            let src = src.add(times * each);
            let few = Windows { src, counts: [d.inside, lines, 1], strides, n: rest, ..windows };
            let few = if rest > 0 { Some(few) } else { None };
            self.pooling.across([Some(many), few], counted, y);
        }
    }
}
