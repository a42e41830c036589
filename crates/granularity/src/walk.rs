//! A tensor as runs.

use crate::{Layout, MAX_RANK};

/// Equally spaced elements of `N` layouts walked together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<const N: usize> {
    /// The first element's offset in each layout.
    pub offsets: [usize; N],
    /// The distance of consecutive elements in each layout; 1 if there is only one.
    pub strides: [usize; N],
    /// The number of elements, at least 1.
    pub len: usize,
    /// The first element's parameter.
    pub param: usize,
    /// 0: the whole run shares `param`. 1: element `i` has parameter `param + i`.
    pub param_step: usize,
}

/// Runs side by side: the same run `rows` times, each time moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid<const N: usize> {
    /// The first run.
    pub run: Run<N>,
    /// The number of runs, at least 1.
    pub rows: usize,
    /// The distance of their first elements in each layout; 0 if there is only one run.
    pub row_strides: [usize; N],
    /// The distance of their first elements' parameters.
    pub param_stride: usize,
}

/// One axis of the loop nest: after merging, possibly several axes of the tensor.
#[derive(Clone, Copy, Debug)]
struct Loop<const N: usize> {
    dim: usize,
    /// Elements that share a parameter along this loop.
    extent: usize,
    strides: [usize; N],
    /// Parameters between neighbouring blocks of this loop.
    param_stride: usize,
}

/// The runs of a tensor in row-major order. Axes that lie behind one another in every layout, and whose
/// parameters do too, are walked as one, so that a tensor without gaps and with one parameter is a
/// single run.
#[derive(Clone, Debug)]
pub struct Walk<const N: usize> {
    loops: [Loop<N>; MAX_RANK],
    /// Loops outside the innermost one; `loops[outer]` is the innermost.
    outer: usize,
    /// Indices into the outer loops.
    index: [usize; MAX_RANK],
    /// Where they lead: offsets and parameter of the innermost loop's first element.
    row_offsets: [usize; N],
    row_param: usize,
    /// The next element's index in the innermost loop.
    inner: usize,
    /// Elements still to visit.
    left: usize,
}

impl<const N: usize> Walk<N> {
    /// `extents` are at least 1.
    pub(crate) fn new(layouts: [&Layout; N], extents: [usize; MAX_RANK]) -> Walk<N> {
        let unit = Loop { dim: 1, extent: 1, strides: [1; N], param_stride: 0 };
        let mut loops = [unit; MAX_RANK];
        let mut count = 0usize;
        let rank = layouts.first().map_or(0, |layout| layout.rank());
        let dim_of =
            |axis: usize| layouts.first().and_then(|l| l.dims().get(axis)).map_or(1, |&dim| dim);
        let mut param_stride = 1usize;
        // From the innermost axis outwards; `loops` is filled innermost first and reversed below.
        for axis in (0..rank).rev() {
            let dim = dim_of(axis);
            let extent = extents.get(axis).map_or(1, |&e| e.clamp(1, dim.max(1)));
            let blocks = dim.div_ceil(extent.max(1));
            let strides = layouts.map(|l| l.strides().get(axis).map_or(1, |&stride| stride));
            let this = Loop { dim, extent, strides, param_stride };
            param_stride = param_stride.saturating_mul(blocks);
            if dim == 1 {
                continue;
            }
            let last = count.checked_sub(1).and_then(|last| loops.get_mut(last));
            match last.and_then(|inner| Some((merged(&this, inner)?, inner))) {
                Some((both, inner)) => *inner = both,
                None => {
                    if let Some(slot) = loops.get_mut(count) {
                        *slot = this;
                    }
                    count += 1;
                }
            }
        }
        if let Some(used) = loops.get_mut(..count) {
            used.reverse();
        }
        Walk {
            loops,
            outer: count.saturating_sub(1),
            index: [0; MAX_RANK],
            row_offsets: [0; N],
            row_param: 0,
            inner: 0,
            left: layouts.first().map_or(0, |layout| layout.len()),
        }
    }

    /// The rest of this walk as grids: the same elements in the same order, in far fewer pieces.
    pub fn grids(self) -> Grids<N> {
        Grids(self)
    }

    /// The run that begins where the walk stands.
    fn run(&self) -> Option<Run<N>> {
        if self.left == 0 {
            return None;
        }
        let inner = self.loops.get(self.outer)?;
        let extent = inner.extent.max(1);
        let mut offsets = self.row_offsets;
        for (offset, stride) in offsets.iter_mut().zip(inner.strides) {
            *offset = offset.wrapping_add(self.inner.wrapping_mul(stride));
        }
        let block = self.inner / extent;
        let param = self.row_param.wrapping_add(block.wrapping_mul(inner.param_stride));
        // Innermost, so parameters of single elements follow each other: one run.
        let each = extent == 1;
        let row_left = inner.dim.saturating_sub(self.inner);
        let block_left = extent.saturating_sub(self.inner % extent);
        let len = if each { row_left } else { row_left.min(block_left) }.min(self.left);
        let strides = if len > 1 { inner.strides } else { [1; N] };
        Some(Run { offsets, strides, len, param, param_step: usize::from(each && len > 1) })
    }

    /// Moves on by that many of the elements left.
    fn advance(&mut self, elements: usize) {
        self.left = self.left.saturating_sub(elements);
        self.inner = self.inner.wrapping_add(elements);
        let dim = self.loops.get(self.outer).map_or(1, |inner| inner.dim.max(1));
        if self.inner < dim || self.left == 0 {
            return;
        }
        // The place of the next element, in mixed radix.
        let mut carry = self.inner / dim;
        self.inner %= dim;
        for (index, l) in self.index.iter_mut().zip(&self.loops).take(self.outer).rev() {
            *index = index.wrapping_add(carry);
            if *index < l.dim {
                break;
            }
            carry = *index / l.dim.max(1);
            *index %= l.dim.max(1);
        }
        self.enter_row();
    }

    /// The run that begins where the walk stands with those of its like that follow: how many, at
    /// what distances.
    fn grid(&self) -> Option<Grid<N>> {
        let run = self.run()?;
        let single = Grid { run, rows: 1, row_strides: [0; N], param_stride: 0 };
        let inner = self.loops.get(self.outer)?;
        let (rows, row_strides, param_stride) = if self.inner.wrapping_add(run.len) < inner.dim {
            // Whole blocks of the innermost axis.
            if run.len < inner.extent {
                return Some(single);
            }
            let rows = inner.dim.saturating_sub(self.inner) / run.len.max(1);
            let strides = inner.strides.map(|stride| stride.wrapping_mul(run.len));
            (rows, strides, inner.param_stride)
        } else {
            // Whole rows, along the axis outside the innermost one.
            let Some(axis) = self.outer.checked_sub(1).filter(|_| self.inner == 0) else {
                return Some(single);
            };
            let (l, &index) = (self.loops.get(axis)?, self.index.get(axis)?);
            let extent = l.extent.max(1);
            let (rows, param_stride) = if extent == 1 {
                (l.dim.saturating_sub(index), l.param_stride)
            } else {
                let block_left = extent.saturating_sub(index % extent);
                (block_left.min(l.dim.saturating_sub(index)), 0)
            };
            (rows, l.strides, param_stride)
        };
        let rows = rows.min(self.left / run.len.max(1));
        Some(if rows > 1 { Grid { run, rows, row_strides, param_stride } } else { single })
    }

    /// Elements that are left.
    pub fn elements(&self) -> usize {
        self.left
    }

    /// The walk of the elements `begin..end` only, in row-major order, counted from where this walk
    /// stands and cut to what is left. Disjoint ranges visit disjoint elements, so that threads may
    /// walk them; a run is cut where a range ends. (Codes of less than a byte need ranges that are
    /// whole rows of the innermost axis, lest two threads write one byte.)
    #[must_use]
    pub fn range(&self, begin: usize, end: usize) -> Walk<N> {
        let mut part = self.clone();
        let end = end.min(self.left);
        let begin = begin.min(end);
        part.advance(begin);
        part.left = end - begin;
        part
    }

    /// Piece `index` of `parts` pieces of nearly the same number of elements; those beyond are
    /// empty.
    #[must_use]
    pub fn split(&self, index: usize, parts: usize) -> Walk<N> {
        let parts = parts.max(1);
        let (each, more) = (self.left / parts, self.left % parts);
        let begin = |piece: usize| each.saturating_mul(piece).saturating_add(piece.min(more));
        self.range(begin(index), begin(index.saturating_add(1)))
    }

    /// Offsets and parameter of the row that the outer indices say.
    fn enter_row(&mut self) {
        (self.row_offsets, self.row_param) = ([0; N], 0);
        for (&index, l) in self.index.iter().zip(&self.loops).take(self.outer) {
            for (offset, stride) in self.row_offsets.iter_mut().zip(l.strides) {
                *offset = offset.wrapping_add(index.wrapping_mul(stride));
            }
            let block = index / l.extent.max(1);
            self.row_param = self.row_param.wrapping_add(block.wrapping_mul(l.param_stride));
        }
    }
}

/// What `outer` and the loop right inside it are as one, if their elements lie behind one another in
/// every layout, and either all of both share one parameter, or the blocks of the inner one (single
/// elements and whole rows among them), continued through the outer one, have parameters that follow
/// each other.
fn merged<const N: usize>(outer: &Loop<N>, inner: &Loop<N>) -> Option<Loop<N>> {
    let dim = inner.dim.checked_mul(outer.dim)?;
    let adjacent =
        outer.strides.iter().zip(inner.strides).all(|(&o, i)| i.checked_mul(inner.dim) == Some(o));
    let shared = inner.extent == inner.dim && outer.extent == outer.dim;
    let blocks = inner.dim / inner.extent.max(1);
    let each = outer.extent == 1
        && inner.dim.is_multiple_of(inner.extent)
        && inner.param_stride.checked_mul(blocks) == Some(outer.param_stride);
    let extent = if shared { dim } else { inner.extent };
    (adjacent && (shared || each)).then_some(Loop { dim, extent, ..*inner })
}

impl<const N: usize> Iterator for Walk<N> {
    type Item = Run<N>;

    fn next(&mut self) -> Option<Run<N>> {
        let run = self.run()?;
        self.advance(run.len);
        Some(run)
    }
}

/// The grids of a walk, in row-major order: see [`Walk::grids`].
#[derive(Clone, Debug)]
pub struct Grids<const N: usize>(Walk<N>);

impl<const N: usize> Iterator for Grids<N> {
    type Item = Grid<N>;

    fn next(&mut self) -> Option<Grid<N>> {
        let grid = self.0.grid()?;
        self.0.advance(grid.rows.wrapping_mul(grid.run.len));
        Some(grid)
    }
}
