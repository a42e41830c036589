//! Which elements share a parameter.

use crate::{Error, Layout, MAX_RANK, Walk};

/// Which elements share a parameter.
///
/// Each granularity cuts every axis into blocks of one extent; the elements of a block (a cell of that
/// grid) share a parameter, and parameters are numbered row-major over the grid of `ceil(dim /
/// extent)` blocks an axis. The last block of an axis may be shorter.
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

    /// The number of parameters: the product of `ceil(dim / extent)`; 0 for a tensor without elements.
    ///
    /// # Errors
    /// As [`block_extents`](Granularity::block_extents).
    pub fn param_count(&self, layout: &Layout) -> Result<usize, Error> {
        let extents = self.block_extents(layout)?;
        // No overflow: the product is at most the number of elements.
        Ok(layout.dims().iter().zip(extents).map(|(&dim, e)| dim.div_ceil(e.max(1))).product())
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
