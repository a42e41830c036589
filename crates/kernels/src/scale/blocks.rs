//! Sums of a block of products, added to real results: weights that have a scale for each block along k.
//!
//! `y = fma(f32(acc), row_factor * factor[i], y)`, from +0 for the first block; behind the last one `+ bias[i]` where
//! there is a bias, then NaN becomes the canonical one, then `max(0, y)` where ReLU is asked for (a NaN stays). With a
//! call a block, in order, that is [`fewbit_scheme::scale_blocks`].

use super::{Results, Tile, tile};
use crate::elementwise::rows;
use fewbit_simd::Lanes;

/// A tile of a block's sums, and the real results that they are added to.
#[derive(Clone, Copy, Debug)]
pub struct ScaleBlockArgs {
    /// Sums, results and factors. Results of a row are contiguous.
    pub tile: Tile<f32>,
    /// Whether this is the first block: what the results are before is not read.
    pub first: bool,
    /// Whether this is the last block.
    pub last: bool,
    /// A bias an element of a row, for the last block. NULL: none.
    pub bias: *const f32,
    /// Whether negative results become 0, in the last block.
    pub relu: bool,
}

/// A kernel of this op.
///
/// # Safety
/// As [`ScaleFn`](super::ScaleFn), with `dst_stride` of 1; unless `first`, the results can also be read.
pub type ScaleBlockFn = unsafe fn(&ScaleBlockArgs);

rows! {
    /// s32 to f32, added.
    S32_F32_BLOCK: ScaleBlockFn = "scale_block_s32f32", |args: &ScaleBlockArgs|,
    tile::<V, f32, _>(&args.tile, args)
}

impl<V: Lanes> Results<V, f32> for ScaleBlockArgs {
    /// Factors and bias.
    type Columns = (V::F32, V::F32);
    const FOURS: bool = false;

    #[inline(always)]
    unsafe fn columns(&self, first: usize, n: usize) -> (V::F32, V::F32) {
        // SAFETY: by this function's contract.
        unsafe {
            let factors = V::load_f32(self.tile.factors.add(first), n);
            let bias = match self.bias.is_null() {
                true => factors,
                false => V::load_f32(self.bias.add(first), n),
            };
            (factors, bias)
        }
    }

    #[inline(always)]
    unsafe fn store(
        &self,
        (mut factors, bias): (V::F32, V::F32),
        row: usize,
        src: *const i32,
        dst: *mut f32,
        n: usize,
    ) {
        // SAFETY: by this function's contract.
        unsafe {
            if !self.tile.row_factors.is_null() {
                let factor = self.tile.row_factors.add(row).read_unaligned();
                factors = V::mul(V::splat_f32(factor), factors);
            }
            let before = match self.first {
                true => V::splat_f32(0.0),
                false => V::load_f32(dst, n),
            };
            let mut y = V::fma(V::f32_from_i32(V::load_i32(src, n)), factors, before);
            if self.last {
                if !self.bias.is_null() {
                    y = V::add(y, bias);
                }
                y = V::replace_nan(y, V::splat_f32(f32::from_bits(0x7FC0_0000)));
                if self.relu {
                    // `if 0 > y { 0 } else { y }`: a NaN stays.
                    y = V::max(V::splat_f32(0.0), y);
                }
            }
            V::store_f32(dst, y, n);
        }
    }
}
