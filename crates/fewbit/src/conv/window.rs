//! The taps under output pixels, as runs of codes to copy into rows of a block, in the order that weights are packed in:
//! `[kd, kh, kw, channel of the group]`.
//!
//! A transposed convolution is `stride` ordinary ones of stride 1 along each axis, which take turns: output pixel `o` meets tap `k`
//! where `o + pad - k * dilation` is a multiple of the stride, and that input pixel is there. The taps that an output pixel meets
//! depend on `(o + pad) % stride` only, its phase, and each of them has its own: no product with a zero between pixels is made.

use super::taps::Taps;
use core::ops::Range;
use fewbit_kernels::gather::Run;

/// One axis of a window.
#[derive(Clone, Copy)]
pub(super) struct Line {
    /// Input pixels.
    size: usize,
    /// Taps.
    pub taps: usize,
    /// Input pixels between taps, at least 1.
    dilation: usize,
    /// Input pixels between output pixels.
    stride: usize,
    /// The input pixel under the first tap of the first output pixel: before the input, if it is negative.
    start: isize,
    /// Output pixels.
    pub count: usize,
    /// The place of the first one along the output's axis, and how far the others are apart.
    first: usize,
    step: usize,
    /// The output's axis.
    out: usize,
}

impl Line {
    /// The input pixel under the first tap of an output pixel, and the taps that lie within the input.
    fn inside(&self, out: usize) -> (isize, usize, usize) {
        let at = self.start + (out * self.stride) as isize;
        let size = self.size as isize;
        let reach = (self.taps.saturating_sub(1) * self.dilation) as isize;
        if at >= 0 && at + reach < size {
            return (at, 0, self.taps);
        }
        let dilation = self.dilation.max(1);
        let before = at.min(0).unsigned_abs().div_ceil(dilation).min(self.taps);
        let end = match size - 1 - at {
            ..0 => 0,
            left => (left as usize / dilation + 1).min(self.taps),
        };
        (at, before, end.max(before))
    }

    /// Whether all taps of an output pixel lie within the input.
    pub(super) fn is_inside(&self, out: usize) -> bool {
        let (_, begin, end) = self.inside(out);
        end - begin == self.taps
    }

    /// The first and the last input pixel under some taps of the output pixels `from..=to`, if any is.
    fn span(&self, from: usize, to: usize) -> Option<(usize, usize)> {
        let reach = (self.taps.checked_sub(1)? * self.dilation) as isize;
        let first = self.start + (from * self.stride) as isize;
        let last = self.start + (to * self.stride) as isize + reach;
        let (size, first) = (self.size as isize, first.max(0));
        let last = last.min(size - 1);
        (first <= last).then_some((first as usize, last as usize))
    }
}

/// How many taps, and which of them a phase has: those of `from`, `from + step`, ...
#[derive(Clone, Copy)]
pub(super) struct Phase {
    pub taps: usize,
    from: usize,
    step: usize,
}

impl Phase {
    /// The taps that meet output pixels of a phase.
    pub(super) fn of(kernel: usize, stride: usize, dilation: usize, phase: usize) -> Phase {
        let stride = stride.max(1);
        let step = stride / common(stride, dilation % stride).max(1);
        let meets = |&k: &usize| (k % stride * (dilation % stride)) % stride == phase;
        let from = (0..step.min(kernel)).find(meets);
        let taps = from.map_or(0, |from| (kernel - 1 - from) / step.max(1) + 1);
        Phase { taps, from: from.unwrap_or(0), step }
    }

    /// The number of the tap that is packed as number `index`: the last one first, whose input pixel is the first.
    pub(super) fn tap(&self, index: usize) -> usize {
        self.from + self.taps.saturating_sub(index + 1) * self.step
    }
}

/// The greatest common divisor; of 0 and a number, that number.
fn common(a: usize, b: usize) -> usize {
    let (mut a, mut b) = (a, b);
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

/// Where codes of images are.
#[derive(Clone, Copy)]
pub(super) struct Source {
    /// The first channel of input pixel 0, which need not be there.
    pub codes: *const u8,
    /// Codes between neighbouring pixels.
    pub pixel_stride: usize,
    /// Neighbouring codes of a pixel.
    pub channels: usize,
    /// A line of taps, all of them the code of real 0.
    pub padding: *const u8,
}

/// A list of runs.
pub(super) struct Runs {
    pub list: *mut Run,
    pub count: usize,
    /// Bytes of what a code becomes.
    pub bytes: usize,
    /// The last runs, those of a row whose neighbour's are the same, a step further; 0 if it has others.
    pub shared: usize,
    /// The place of that row, and the lines of taps that it has.
    pub row: usize,
    pub lines: Range<usize>,
}

impl Runs {
    /// No runs, with room for those of a block.
    pub(super) fn new(list: *mut Run, bytes: usize) -> Runs {
        Runs { list, count: 0, bytes, shared: 0, row: 0, lines: 0..0 }
    }

    /// Of all runs keeps those that the last row shares with the first of the next block, `step` codes further.
    ///
    /// # Safety
    /// The shared ones are the last of those that are there, of the row at `row`.
    pub(super) unsafe fn keep_shared(&mut self, step: usize) {
        let first = self.count - self.shared;
        for i in 0..self.shared {
            // SAFETY: by this function's contract.
            unsafe {
                let run = self.list.add(first + i).read();
                let step = if run.from_stride == 0 { 0 } else { step };
                let from = run.from.wrapping_add(step);
                self.list.add(i).write(Run { from, to: run.to - self.row, ..run });
            }
        }
        self.count = self.shared;
    }

    /// Adds runs.
    ///
    /// # Safety
    /// There is room for another.
    pub(super) unsafe fn push(&mut self, run: Run) {
        if run.len > 0 && run.count > 0 {
            // SAFETY: by this function's contract.
            unsafe { self.list.add(self.count).write(run) };
            self.count += 1;
        }
    }

    /// Adds the shared runs once more, `step` codes further, into places `to` bytes further. Those of padding, which take the
    /// same codes again and again, do not move.
    ///
    /// # Safety
    /// There is room for as many more.
    pub(super) unsafe fn again(&mut self, step: usize, to: usize) {
        for _ in 0..self.shared {
            // SAFETY: by this function's contract.
            unsafe {
                let run = self.list.add(self.count - self.shared).read();
                let step = if run.from_stride == 0 { 0 } else { step };
                let from = run.from.wrapping_add(step);
                self.list.add(self.count).write(Run { from, to: run.to + to, ..run });
            }
            self.count += 1;
        }
    }
}

/// Output pixels that meet the same taps.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub lines: [Line; 3],
}

impl Window {
    /// The output pixels.
    pub(super) fn pixels(&self) -> usize {
        self.lines.iter().map(|line| line.count).product()
    }

    /// The taps.
    pub(super) fn taps(&self) -> usize {
        self.lines.iter().map(|line| line.taps).product()
    }

    /// The most runs that a row has.
    pub(super) fn runs(&self) -> usize {
        let [depth, height, width] = &self.lines;
        let height = if height.taps > 0 { 2 } else { 0 };
        depth.taps * (height + width.taps + 2)
    }

    /// Codes from what is under an output pixel to what is under its neighbour in the line.
    pub(super) fn step(&self, source: &Source) -> usize {
        self.lines[2].stride * source.pixel_stride
    }

    /// An output pixel's place along the axes of the window.
    pub(super) fn place(&self, pixel: usize) -> [usize; 3] {
        let [_, height, width] = &self.lines;
        let (h, w) = (height.count.max(1), width.count.max(1));
        [pixel / w / h, pixel / w % h, pixel % w]
    }

    /// The place behind one.
    pub(super) fn next(&self, [d, h, w]: [usize; 3]) -> [usize; 3] {
        let [_, height, width] = &self.lines;
        if w + 1 < width.count {
            [d, h, w + 1]
        } else if h + 1 < height.count {
            [d, h + 1, 0]
        } else {
            [d + 1, 0, 0]
        }
    }

    /// The number of an output pixel in the output.
    pub(super) fn output(&self, place: [usize; 3]) -> usize {
        let at = |line: &Line, i: usize| line.first + i * line.step;
        let [d, h, w] = place;
        let [depth, height, width] = &self.lines;
        (at(depth, d) * height.out + at(height, h)) * width.out + at(width, w)
    }

    /// Whether a row is the codes of one pixel, and neighbouring rows those of neighbouring ones.
    pub(super) fn is_pointwise(&self) -> bool {
        self.lines.iter().all(|line| {
            line.taps == 1 && line.stride == 1 && line.start == 0 && line.count == line.size
        })
    }

    /// The input pixels, from the first to behind the last, among which are those under the output pixels `from..=to`.
    pub(super) fn span(&self, from: [usize; 3], to: [usize; 3]) -> (usize, usize) {
        let [depth, height, width] = &self.lines;
        let number = |[d, h, w]: [usize; 3]| (d * height.size + h) * width.size + w;
        if self.is_pointwise() {
            return (number(from), number(to) + 1);
        }
        // Where the pixels are not of one line, the whole of the axes within.
        let within = |line: &Line, same: bool, from: usize, to: usize| match same {
            true => line.span(from, to),
            false => line.span(0, line.count.saturating_sub(1)),
        };
        let same_d = from[0] == to[0];
        let d = depth.span(from[0], to[0]);
        let h = within(height, same_d, from[1], to[1]);
        let w = within(width, same_d && from[1] == to[1], from[2], to[2]);
        match (d, h, w) {
            (Some(d), Some(h), Some(w)) => (number([d.0, h.0, w.0]), number([d.1, h.1, w.1]) + 1),
            _ => (0, 0),
        }
    }

    /// At least as many input pixels as [`span`](Window::span) gives for `count` neighbouring output pixels.
    pub(super) fn most_span(&self, count: usize) -> usize {
        let [depth, height, width] = &self.lines;
        let image = depth.size * height.size * width.size;
        if self.is_pointwise() {
            return count.min(image);
        }
        // Lines of output pixels that neighbours lie in, at most; more than one plane of them is taken for all.
        let lines = count.saturating_sub(2) / width.count.max(1) + 2;
        if depth.count > 1 || depth.taps > 1 {
            return image;
        }
        let lines = lines.min(height.count).max(1);
        let reach = height.taps.saturating_sub(1).saturating_mul(height.dilation);
        let rows =
            (lines - 1).saturating_mul(height.stride).saturating_add(reach).saturating_add(1);
        rows.min(height.size).saturating_mul(width.size)
    }

    /// The lines of taps, of all planes one behind the other, among which are those that `rows` output pixels from a place on
    /// have within the input.
    pub(super) fn lines_inside(&self, place: [usize; 3], rows: usize) -> Range<usize> {
        let [depth, height, _] = &self.lines;
        let (mut first, mut end) = (usize::MAX, 0);
        let mut place = place;
        for r in 0..rows {
            // Pixels of a line have the same ones.
            if r == 0 || place[2] == 0 {
                let (_, d_begin, d_end) = depth.inside(place[0]);
                let (_, h_begin, h_end) = height.inside(place[1]);
                if d_begin < d_end && h_begin < h_end {
                    first = first.min(d_begin * height.taps + h_begin);
                    end = end.max((d_end - 1) * height.taps + h_end);
                }
            }
            place = self.next(place);
        }
        first.min(end)..end
    }

    /// All lines of taps.
    pub(super) fn all_lines(&self) -> Range<usize> {
        0..self.lines[0].taps * self.lines[1].taps
    }

    /// The runs of `rows` output pixels' rows, `row_stride` bytes apart, from a place on, which moves behind them; of some lines
    /// of taps, where the others are on padding. The list has those of the rows before.
    ///
    /// # Safety
    /// There is room for the runs of so many rows; the places are those of the window.
    pub(super) unsafe fn collect(
        &self,
        source: &Source,
        (place, rows): (&mut [usize; 3], usize),
        lines: Range<usize>,
        row_stride: usize,
        runs: &mut Runs,
    ) {
        // SAFETY: by this function's contract.
        unsafe {
            if self.is_pointwise() {
                runs.count = 0;
                let [d, h, w] = *place;
                let [_, height, width] = self.lines;
                let pixel = (d * height.count + h) * width.count + w;
                runs.push(Run {
                    from: source.codes.wrapping_add(pixel * source.pixel_stride),
                    len: source.channels,
                    to: 0,
                    count: rows,
                    from_stride: source.pixel_stride,
                    to_stride: row_stride,
                });
                *place = self.place(pixel + rows);
                return;
            }
            // Runs of the row before, if its neighbour's are the same ones, a step further.
            let step = self.step(source);
            for r in 0..rows {
                let inside = self.lines[2].is_inside(place[2]);
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
                    self.row(source, *place, &lines, r * row_stride, runs);
                    runs.shared = if inside { runs.count - before } else { 0 };
                }
                runs.row = r * row_stride;
                *place = self.next(*place);
            }
            runs.lines = lines;
        }
    }

    /// Adds the runs of some lines of an output pixel's row, which begins `to` bytes from where places are counted. The
    /// other lines are on padding.
    ///
    /// # Safety
    /// There is room for [`runs`](Window::runs) more; the place is one of the window.
    pub(super) unsafe fn row(
        &self,
        source: &Source,
        place: [usize; 3],
        lines: &Range<usize>,
        to: usize,
        runs: &mut Runs,
    ) {
        let [depth, height, width] = &self.lines;
        let Source { pixel_stride, channels, padding, .. } = *source;
        let (d, d_begin, d_end) = depth.inside(place[0]);
        let (h, h_begin, h_end) = height.inside(place[1]);
        let (w, w_begin, w_end) = width.inside(place[2]);
        let side_by_side = width.taps == 1 || channels == pixel_stride && width.dilation == 1;
        let bytes = runs.bytes;
        let (taps, line) = (width.taps, width.taps * channels);
        let outside = d_begin == d_end || h_begin == h_end || w_begin == w_end;
        // Not 0, which is padding's. Where it wraps, one line is inside, and it has no part.
        let between = height.dilation.wrapping_mul(width.size * pixel_stride).max(1);
        for kd in 0..depth.taps {
            let to = to + kd * height.taps * line * bytes;
            let clip = |kh: usize| {
                (kd * height.taps + kh)
                    .clamp(lines.start, lines.end.max(lines.start))
                    .saturating_sub(kd * height.taps)
                    .min(height.taps)
            };
            // Taps kw of the lines kh, which are at `from`; on padding, they all are.
            let add = |runs: &mut Runs,
                       kh: (usize, usize),
                       kw: (usize, usize),
                       from,
                       from_stride| {
                let kh = (clip(kh.0), clip(kh.1));
                let (count, len) = (kh.1 - kh.0, (kw.1 - kw.0) * channels);
                let to = to + (kh.0 * line + kw.0 * channels) * bytes;
                // SAFETY: two for lines on padding, and for the others three, or one a tap.
                unsafe {
                    runs.push(Run { from, len, to, count, from_stride, to_stride: line * bytes });
                }
            };
            if outside || !(d_begin..d_end).contains(&kd) {
                add(runs, (0, height.taps), (0, taps), padding, 0);
                continue;
            }
            let inside = (h_begin, h_end);
            add(runs, (0, h_begin), (0, taps), padding, 0);
            add(runs, (h_end, height.taps), (0, taps), padding, 0);
            // The line of the first tap inside is there; the first tap of the line may be before it.
            let d = d + (kd * depth.dilation) as isize;
            let h = h + (h_begin * height.dilation) as isize;
            let pixel = (d * height.size as isize + h) * width.size as isize + w;
            let first = source.codes.wrapping_offset(pixel.wrapping_mul(pixel_stride as isize));
            // The first tap may be far before the line: products wrap, and their sum is right.
            let apart = width.dilation.wrapping_mul(pixel_stride);
            let at = |kw: usize| first.wrapping_add(kw.wrapping_mul(apart));
            add(runs, inside, (0, w_begin), padding, 0);
            if side_by_side {
                add(runs, inside, (w_begin, w_end), at(w_begin), between);
            } else {
                for kw in w_begin..w_end {
                    add(runs, inside, (kw, kw + 1), at(kw), between);
                }
            }
            add(runs, inside, (w_end, taps), padding, 0);
        }
    }
}

impl Taps {
    /// The window of a phase; an ordinary convolution has one.
    pub(super) fn window(&self, phase: usize) -> Window {
        let mut lines = [Line {
            size: 1,
            taps: 1,
            dilation: 1,
            stride: 1,
            start: 0,
            count: 1,
            first: 0,
            step: 1,
            out: 1,
        }; 3];
        let mut rest = phase;
        for ((line, axis), &out) in lines.iter_mut().zip(&self.axes).zip(&self.out_dims).rev() {
            if !self.transposed {
                *line = Line {
                    size: axis.size,
                    taps: axis.kernel,
                    dilation: axis.dilation,
                    stride: axis.stride,
                    start: -(axis.pad_begin as isize),
                    count: out,
                    first: 0,
                    step: 1,
                    out,
                };
                continue;
            }
            let stride = axis.stride.max(1);
            let phase = rest % stride;
            rest /= stride;
            let taps = Phase::of(axis.kernel, stride, axis.dilation, phase);
            // Output pixels o with o + pad = q * stride + phase, from the first q on.
            let pad = axis.pad_begin;
            let begin = pad.saturating_sub(phase).div_ceil(stride);
            let end = (out + pad).saturating_sub(phase).div_ceil(stride);
            // The last tap's input pixel: (q * stride + phase - tap * dilation) / stride, without rest.
            let reach = (taps.tap(0) * axis.dilation).saturating_sub(phase) / stride;
            let ahead = phase.saturating_sub(taps.tap(0) * axis.dilation) / stride;
            *line = Line {
                size: axis.size,
                taps: taps.taps,
                dilation: axis.dilation / common(stride, axis.dilation).max(1),
                stride: 1,
                start: (begin + ahead) as isize - reach as isize,
                count: end.saturating_sub(begin),
                first: (begin * stride + phase).saturating_sub(pad),
                step: stride,
                out,
            };
        }
        Window { lines }
    }
}
