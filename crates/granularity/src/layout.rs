//! Where the elements of a tensor lie.

use crate::{Error, MAX_RANK};

/// Dimensions and strides of a tensor, both in elements; axis 0 is outermost by convention. A tensor of
/// rank 0 has one element; one with a dimension of 0 has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    rank: usize,
    dims: [usize; MAX_RANK],
    strides: [usize; MAX_RANK],
    len: usize,
    extent: usize,
}

impl Layout {
    /// Row-major without gaps.
    ///
    /// # Errors
    /// [`Error::Rank`], [`Error::Overflow`].
    pub fn contiguous(dims: &[usize]) -> Result<Layout, Error> {
        Layout::packed(dims, 1)
    }

    /// Row-major, where each innermost row starts on a multiple of `codes_per_byte` elements: codes of
    /// less than a byte, whose rows start on a byte. 0 is taken as 1.
    ///
    /// # Errors
    /// [`Error::Rank`], [`Error::Overflow`].
    pub fn packed(dims: &[usize], codes_per_byte: usize) -> Result<Layout, Error> {
        let mut strides = [0; MAX_RANK];
        let mut step = 1usize;
        let last = dims.len().wrapping_sub(1);
        for (axis, (&dim, stride)) in dims.iter().zip(&mut strides).enumerate().rev() {
            *stride = step;
            // A dimension of 0 must not hide the overflow of the others.
            let row = dim.max(1);
            let row = if axis == last {
                row.checked_next_multiple_of(codes_per_byte.max(1))
            } else {
                Some(row)
            };
            step = row.and_then(|row| step.checked_mul(row)).ok_or(Error::Overflow)?;
        }
        Layout::strided(dims, strides.get(..dims.len()).unwrap_or(&strides))
    }

    /// Any positive strides; that of an axis of 0 or 1 elements is not used and may be 0.
    ///
    /// # Errors
    /// [`Error::Rank`], [`Error::StrideCount`], [`Error::ZeroStride`], [`Error::Overflow`].
    pub fn strided(dims: &[usize], strides: &[usize]) -> Result<Layout, Error> {
        let rank = dims.len();
        if rank > MAX_RANK {
            return Err(Error::Rank { rank });
        }
        if strides.len() != rank {
            return Err(Error::StrideCount { strides: strides.len(), rank });
        }
        let mut layout =
            Layout { rank, dims: [1; MAX_RANK], strides: [0; MAX_RANK], len: 1, extent: 1 };
        let slots = layout.dims.iter_mut().zip(&mut layout.strides);
        for (axis, ((&dim, &stride), (to_dim, to_stride))) in
            dims.iter().zip(strides).zip(slots).enumerate()
        {
            if stride == 0 && dim > 1 {
                return Err(Error::ZeroStride { axis });
            }
            (*to_dim, *to_stride) = (dim, stride);
            // The size without zero dimensions must fit too, so that no partial product overflows.
            layout.len = layout.len.checked_mul(dim.max(1)).ok_or(Error::Overflow)?;
            layout.extent = dim
                .saturating_sub(1)
                .checked_mul(stride)
                .and_then(|reach| layout.extent.checked_add(reach))
                .ok_or(Error::Overflow)?;
        }
        if layout.len > isize::MAX as usize || layout.extent > isize::MAX as usize {
            return Err(Error::Overflow);
        }
        if dims.contains(&0) {
            (layout.len, layout.extent) = (0, 0);
        }
        Ok(layout)
    }

    /// The first `rows` indices of axis 0 only; `None` if there are fewer, or no axis.
    pub fn rows(&self, rows: usize) -> Option<Layout> {
        let mut dims = self.dims;
        *dims.first_mut().filter(|first| rows <= **first)? = rows;
        Layout::strided(dims.get(..self.rank)?, self.strides()).ok().filter(|_| self.rank > 0)
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Elements along each axis.
    pub fn dims(&self) -> &[usize] {
        self.dims.get(..self.rank).unwrap_or(&self.dims)
    }

    /// Distance of neighbours along each axis, in elements.
    pub fn strides(&self) -> &[usize] {
        self.strides.get(..self.rank).unwrap_or(&self.strides)
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One more than the largest offset of an element; 0 if there is none.
    pub fn extent(&self) -> usize {
        self.extent
    }

    /// Whether the elements lie in row-major order without gaps.
    pub fn is_contiguous(&self) -> bool {
        let mut step = 1usize;
        self.len == 0
            || self.dims().iter().zip(self.strides()).rev().all(|(&dim, &stride)| {
                let follows = dim == 1 || stride == step;
                step = step.saturating_mul(dim);
                follows
            })
    }

    /// Whether two elements may share an offset. Axes are taken from the smallest stride up; each must
    /// reach over all that the smaller ones span. (A layout that interleaves its axes without
    /// sharing offsets is also said to overlap; such layouts do not occur in practice.)
    pub fn overlaps_itself(&self) -> bool {
        if self.len == 0 {
            return false;
        }
        // Selection by increasing stride: at most 8 axes.
        let mut span = 1usize;
        let mut done = [false; MAX_RANK];
        for _ in 0..self.rank {
            let smallest = (0..MAX_RANK)
                .zip(self.dims().iter().zip(self.strides()))
                .filter(|(axis, _)| done.get(*axis) == Some(&false))
                .min_by_key(|(_, (dim, stride))| (**stride, **dim));
            let Some((axis, (&dim, &stride))) = smallest else { break };
            if let Some(flag) = done.get_mut(axis) {
                *flag = true;
            }
            if dim > 1 {
                if stride < span {
                    return true;
                }
                span = span.saturating_add((dim - 1).saturating_mul(stride));
            }
        }
        false
    }
}
