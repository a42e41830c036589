//! Which elements share a parameter.

use crate::{Error, Layout, MAX_RANK, Walk};

/// Which elements share a parameter.
///
/// Each granularity cuts every axis into blocks of one extent; the elements of a block (a cell of that
/// grid) share a parameter, and parameters are numbered row-major over the grid of `ceil(dim /
/// extent)` blocks an axis. The last block of an axis may be shorter.
///
/// ```
/// use fewbit_granularity::{Granularity, Layout};
/// // An image of 3 channels of 2x2 in memory order NCHW: a scale for each channel.
/// let image = Layout::contiguous(&[1, 3, 2, 2])?;
/// let per_channel = Granularity::PerAxis { axis: 1 };
/// assert_eq!(per_channel.param_count(&image)?, 3);
/// for run in per_channel.walk([&image])? {
///     assert_eq!((run.offsets, run.strides, run.len), ([4 * run.param], [1], 4));
/// }
/// # Ok::<(), fewbit_granularity::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granularity {
    /// One parameter for all: blocks as long as the axes.
    PerTensor,
    /// One parameter for each index of an axis (channel, row, column): extent 1 along it.
    PerAxis {
        /// The axis.
        axis: usize,
    },
    /// Blocks along one axis; each index of the other axes has parameters of its own (ONNX's blocked
    /// quantization, GGUF's rows of blocks): extent `block` along the axis, 1 along the others.
    PerBlock {
        /// The axis.
        axis: usize,
        /// Elements of a block.
        block: usize,
    },
    /// Rectangular blocks over two axes; each index of the other axes has parameters of its own.
    PerBlock2 {
        /// The two axes.
        axes: [usize; 2],
        /// Extents of a block along them.
        blocks: [usize; 2],
    },
}

impl Granularity {
    /// The extent of a block along each axis, for dimensions of up to [`MAX_RANK`] axes; at least 1.
    ///
    /// # Errors
    /// [`Error::Axis`], [`Error::ZeroBlock`], [`Error::SameAxis`].
    pub fn block_extents(&self, layout: &Layout) -> Result<[usize; MAX_RANK], Error> {
        let rank = layout.rank();
        let mut extents = [1; MAX_RANK];
        let mut set = |axis: usize, extent: usize| match extents.get_mut(axis) {
            Some(slot) if axis < rank => {
                *slot = extent;
                Ok(())
            }
            _ => Err(Error::Axis { axis, rank }),
        };
        match *self {
            Granularity::PerTensor | Granularity::PerAxis { .. } => {
                for (axis, &dim) in layout.dims().iter().enumerate() {
                    set(axis, dim.max(1))?;
                }
                if let Granularity::PerAxis { axis } = *self {
                    set(axis, 1)?;
                }
            }
            Granularity::PerBlock { axis, block } => {
                set(axis, block)?;
                if block == 0 {
                    return Err(Error::ZeroBlock { axis });
                }
            }
            Granularity::PerBlock2 { axes, blocks } => {
                let ([first, second], [b0, b1]) = (axes, blocks);
                set(first, b0)?;
                set(second, b1)?;
                if first == second {
                    return Err(Error::SameAxis { axis: first });
                }
                if b0 == 0 || b1 == 0 {
                    return Err(Error::ZeroBlock { axis: if b0 == 0 { first } else { second } });
                }
            }
        }
        Ok(extents)
    }

    /// The grid of parameters: blocks along each axis, for up to [`MAX_RANK`] axes, 1 beyond the rank.
    /// An axis whose elements all share is one block, even without elements, so that a tensor of no
    /// rows still has the one scale of its kind, or one for each column; other axes have `ceil(dim /
    /// extent)` blocks.
    ///
    /// # Errors
    /// As [`block_extents`](Granularity::block_extents).
    pub fn param_dims(&self, layout: &Layout) -> Result<[usize; MAX_RANK], Error> {
        let extents = self.block_extents(layout)?;
        let mut grid = [1; MAX_RANK];
        let axes = layout.dims().iter().zip(extents).enumerate();
        for (blocks, (axis, (&dim, extent))) in grid.iter_mut().zip(axes) {
            let shared = match *self {
                Granularity::PerTensor => true,
                Granularity::PerAxis { axis: own } => own != axis,
                Granularity::PerBlock { .. } | Granularity::PerBlock2 { .. } => false,
            };
            *blocks = if shared { 1 } else { dim.div_ceil(extent.max(1)) };
        }
        Ok(grid)
    }

    /// The number of parameters, the product of [`param_dims`](Granularity::param_dims).
    ///
    /// # Errors
    /// As [`block_extents`](Granularity::block_extents).
    pub fn param_count(&self, layout: &Layout) -> Result<usize, Error> {
        // No overflow: at most the product of the dimensions, zeros as ones, which a layout checks.
        Ok(self.param_dims(layout)?.iter().product())
    }

    /// The runs of one or more layouts of the same dimensions, walked together.
    ///
    /// # Errors
    /// [`Error::Shape`] if the dimensions differ; otherwise as
    /// [`block_extents`](Granularity::block_extents).
    pub fn walk<const N: usize>(&self, layouts: [&Layout; N]) -> Result<Walk<N>, Error> {
        let Some(first) = layouts.first() else { return Err(Error::Shape) };
        if layouts.iter().any(|layout| layout.dims() != first.dims()) {
            return Err(Error::Shape);
        }
        let extents = self.block_extents(first)?;
        Ok(Walk::new(layouts, extents))
    }
}
