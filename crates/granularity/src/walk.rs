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

/// The runs of a tensor, outermost axis first. Axes that lie behind one another in every layout, and
/// whose parameters do too, are walked as one, so that a tensor without gaps and with one parameter is
/// a single run.
#[derive(Clone, Debug)]
pub struct Walk<const N: usize> {
    loops: [Loop<N>; MAX_RANK],
    /// Loops outside the innermost one; `loops[outer]` is the innermost.
    outer: usize,
    /// Indices into the outer loops.
    index: [usize; MAX_RANK],
    /// Elements of the innermost loop already yielded in this row.
    inner: usize,
    /// Runs of rows still to yield, counted in rows of the innermost loop.
    rows_left: usize,
}

impl<const N: usize> Walk<N> {
    /// `extents` are at least 1.
    pub(crate) fn new(layouts: [&Layout; N], extents: [usize; MAX_RANK]) -> Walk<N> {
        let unit = Loop { dim: 1, extent: 1, strides: [1; N], param_stride: 0 };
        let mut loops = [unit; MAX_RANK];
        let mut count = 0usize;
        let (rank, empty) = layouts.first().map_or((0, true), |l| (l.rank(), l.is_empty()));
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
            let last = loops.get_mut(count.wrapping_sub(1)).filter(|_| count > 0);
            match last {
                Some(inner) if merges(&this, inner) => {
                    // Shared throughout, or a parameter for each element in both.
                    inner.extent = if inner.extent == 1 { 1 } else { inner.extent * extent };
                    inner.dim *= dim;
                }
                _ => {
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
        let outer = count.saturating_sub(1);
        let rows = loops.iter().take(outer).map(|l| l.dim).product();
        let rows_left = if empty { 0 } else { rows };
        Walk { loops, outer, index: [0; MAX_RANK], inner: 0, rows_left }
    }

    /// Rows of the innermost loop that are left. A row yields one run or more.
    pub fn rows(&self) -> usize {
        self.rows_left
    }

    /// The walk of rows `begin..end` only (counted from where this walk stands, cut to what is left):
    /// disjoint ranges may be walked by different threads.
    #[must_use]
    pub fn rows_range(&self, begin: usize, end: usize) -> Walk<N> {
        let mut part = self.clone();
        let end = end.min(self.rows_left);
        let begin = begin.min(end);
        part.inner = 0;
        part.rows_left = end - begin;
        // The index of row `begin`, in mixed radix.
        let mut carry = begin;
        for (index, l) in part.index.iter_mut().zip(&self.loops).take(self.outer).rev() {
            let dim = l.dim.max(1);
            let total = *index + carry;
            (*index, carry) = (total % dim, total / dim);
        }
        part
    }
}

/// Whether `outer` and the loop right inside it are one: their elements lie behind one another in
/// every layout, and either all of both share one parameter or every element has its own.
fn merges<const N: usize>(outer: &Loop<N>, inner: &Loop<N>) -> bool {
    let adjacent =
        outer.strides.iter().zip(inner.strides).all(|(&o, i)| i.checked_mul(inner.dim) == Some(o));
    let shared = inner.extent == inner.dim && outer.extent == outer.dim;
    let each = inner.extent == 1
        && outer.extent == 1
        && inner.param_stride.checked_mul(inner.dim) == Some(outer.param_stride);
    adjacent && (shared || each)
}

impl<const N: usize> Iterator for Walk<N> {
    type Item = Run<N>;

    fn next(&mut self) -> Option<Run<N>> {
        if self.rows_left == 0 {
            return None;
        }
        let inner = self.loops.get(self.outer)?;
        let extent = inner.extent.max(1);
        let block = self.inner / extent;
        let mut offsets = inner.strides.map(|stride| self.inner.wrapping_mul(stride));
        let mut param = block.wrapping_mul(inner.param_stride);
        for (&index, l) in self.index.iter().zip(&self.loops).take(self.outer) {
            for (offset, stride) in offsets.iter_mut().zip(l.strides) {
                *offset = offset.wrapping_add(index.wrapping_mul(stride));
            }
            param = param.wrapping_add((index / l.extent.max(1)).wrapping_mul(l.param_stride));
        }
        // Parameters that follow each other (innermost, so `param_stride` is 1) make one run.
        let each = extent == 1 && inner.dim > 1 && inner.param_stride == 1;
        let left = inner.dim.saturating_sub(self.inner);
        let len = if each { left } else { left.min(extent) };
        let strides = if len > 1 { inner.strides } else { [1; N] };
        self.inner += len;
        if self.inner >= inner.dim {
            self.inner = 0;
            self.rows_left -= 1;
            for (index, l) in self.index.iter_mut().zip(&self.loops).take(self.outer).rev() {
                *index += 1;
                if *index < l.dim {
                    break;
                }
                *index = 0;
            }
        }
        Some(Run { offsets, strides, len, param, param_step: (each && len > 1) as usize })
    }
}
