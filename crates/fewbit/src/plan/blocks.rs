//! Weights with a scale for each block along k: exact sums a block, added up as real numbers in the order of the blocks
//! ([`fewbit_scheme::scale_blocks`]).
//!
//! The packed weights of a panel are its blocks, one behind the other, each packed as a product of its own:
//!
//! ```text
//! [panels] x [blocks] x ([block / kr groups] x [nr columns] x [kr signed bytes])
//! ```
//!
//! One kernel takes a panel's blocks but the last, which may be shorter, and leaves real results; a tile's sums of
//! the last one are added to them as the bias is.

use super::codes::rhs_form;
use super::engine::{Block, Engine, RowAt};
use super::epilogue::{Destination, Epilogue, Sums, find};
use super::packed::{Layout, Packed, size, tile_columns};
use super::{Bias, Operands, Weights};
use crate::memory::{Allocator, Buffer};
use crate::{Error, Result, Status};
use core::mem::MaybeUninit;
use core::ops::Range;
use core::ptr::null;
use fewbit_kernels::gemm::{self, BlocksArgs, BlocksFn, MAX_MR, MAX_NR, TileArgs, sum_lhs};
use fewbit_kernels::registry::{Bound, bind};
use fewbit_kernels::scale::{S32_F32_BLOCK, ScaleBlockArgs, ScaleBlockFn, Tile};
use fewbit_simd::Supported;

/// Blocks are multiples of this: whole groups of k for every tile of bytes, of 4 bits and of 2 bits.
pub(crate) const STEP: usize = 16;

pub(crate) struct Blocks {
    /// Weights of a block; the last of a channel may have fewer.
    block: usize,
    /// Blocks of a channel.
    count: usize,
    /// The f32 bias of each column, padded to whole panels; empty if there is none.
    bias: Buffer<f32>,
    /// The weights' zero point in the packed form, if it is other than 0 and all share it.
    zero: Option<i32>,
    tile: Bound<BlocksFn>,
    scale: Bound<ScaleBlockFn>,
}

/// Packs `n` output channels of `k` weights, as [`Engine::new`] does.
pub(crate) fn pack<'w>(
    operands: &Operands<'_>,
    at: &dyn Fn(usize, usize) -> Option<usize>,
    (n, k): (usize, usize),
    supported: Supported,
    allocator: &Allocator,
) -> Result<(Packed<'w>, Epilogue, Blocks)> {
    let weights = operands.weights;
    // One block of fewer weights is one of as many as there are.
    let block = weights.block.min(k).max(1);
    let count = k.div_ceil(block).max(1);
    // A panel's block is a group of nr columns, one panel, of its own.
    let rhs = rhs_form(weights.format, &operands.input)?;
    let nr = tile_columns(rhs, n, supported)?.max(1);
    let groups = size(&[n.div_ceil(nr), count])?;
    let padded = size(&[groups, nr])?;
    // A group's column: the channel and the block. Those past the last channel are like it, but for their codes.
    // Neither is 0, which the compiler cannot see everywhere.
    let place = |column: usize| {
        let group = column.checked_div(nr).unwrap_or(0);
        let of = group.checked_div(count).unwrap_or(0);
        (of * nr + (column - group * nr), group - of * count)
    };
    let given = |column: usize| {
        let (channel, block) = place(column);
        channel.min(n.saturating_sub(1)) * count + block
    };
    let mut scales = Buffer::<f32>::zeroed(padded, allocator, "desc.weights.scales")?;
    for (column, scale) in scales.as_mut_slice().iter_mut().enumerate() {
        *scale = weights.scales.get(given(column)).copied().unwrap_or(1.0);
    }
    let zeros = if weights.zero_points.len() > 1 { padded } else { 0 };
    let mut zero_points = Buffer::<i32>::zeroed(zeros, allocator, "desc.weights.zero_points")?;
    for (column, zero_point) in zero_points.as_mut_slice().iter_mut().enumerate() {
        *zero_point = weights.zero_points.get(given(column)).copied().unwrap_or(0);
    }
    let columns = Operands {
        weights: Weights {
            scales: scales.as_slice(),
            zero_points: match zeros {
                0 => weights.zero_points,
                _ => zero_points.as_slice(),
            },
            ..weights
        },
        bias: Bias::None,
        ..*operands
    };
    let code = |column: usize, i: usize| {
        let ((channel, of), i) = (place(column), i);
        let i = of * block + i;
        if channel < n && i < k { at(channel, i) } else { None }
    };
    let layout = Layout::new(rhs, (groups, nr, block), supported)?;
    let packed = Packed::new(&columns, &code, layout, supported, allocator)?;
    if packed.nr != nr {
        return Err(Error::new(Status::Internal, "plan", "found a tile of another width"));
    }
    let tile = gemm::select(rhs, supported.set(), nr)
        .and_then(|tile| bind(tile.blocks.as_ref()?, supported))
        .ok_or(Error::new(Status::Internal, "plan", "found no kernel"))?;
    let epilogue = Epilogue::new(&columns, packed.map(), supported, allocator)?;
    let given = match operands.bias {
        Bias::F32(bias) => bias,
        _ => &[],
    };
    let biases = if given.is_empty() { 0 } else { size(&[n.div_ceil(nr), nr])? };
    let mut bias = Buffer::<f32>::zeroed(biases, allocator, "desc.bias")?;
    for (to, &from) in bias.as_mut_slice().iter_mut().zip(given) {
        *to = from;
    }
    let zero = packed.shared_weight_zero();
    let blocks = Blocks { block, count, bias, zero, tile, scale: find(S32_F32_BLOCK, supported)? };
    Ok((packed, epilogue, blocks))
}

impl Blocks {
    /// Sums of blocks of up to mr lhs rows, where they are needed.
    pub(crate) fn sums(&self, packed: &Packed) -> usize {
        // No overflow: fewer than the packed rows' groups.
        if packed.has_zero { self.count * packed.mr } else { 0 }
    }

    /// The sums of the lhs codes in each block, or, where all weights share a zero point, what it makes of them: `[blocks][mr]`.
    ///
    /// # Safety
    /// `row(r)` is the address of `k` codes for each of up to mr rows, and `to` can be written for
    /// [`sums`](Blocks::sums).
    pub(crate) unsafe fn sum_rows(
        &self,
        packed: &Packed,
        (row, rows, k): (RowAt<'_>, usize, usize),
        unsigned: bool,
        to: *mut i32,
    ) {
        for r in 0..rows {
            for b in 0..self.count {
                let first = b * self.block;
                let codes = self.block.min(k.saturating_sub(first));
                // SAFETY: by this function's contract.
                unsafe {
                    let sum = sum_lhs(row(r).add(first), codes, unsigned, packed.form);
                    let times = self.zero.map_or(1, i32::wrapping_neg);
                    to.add(b * packed.mr + r).write(sum.wrapping_mul(times));
                }
            }
        }
    }

    /// As [`Engine::multiply`].
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn multiply(
        &self,
        engine: &Engine,
        blocks: &[Block],
        columns: Range<usize>,
        dst: &Destination,
    ) {
        let packed = &engine.packed;
        let nr = packed.nr.max(1);
        let element = engine.output.element_size();
        let mut sums = MaybeUninit::<[i32; MAX_MR * MAX_NR]>::uninit();
        let sums = sums.as_mut_ptr().cast::<i32>();
        let mut real = MaybeUninit::<[f32; MAX_MR * MAX_NR]>::uninit();
        let real = real.as_mut_ptr().cast::<f32>();
        let mut column = columns.start;
        while column < columns.end {
            let panel = column / nr;
            let end = columns.end.min((panel + 1) * nr);
            let (first, n) = (column - panel * nr, end - column);
            let mut first_row = 0;
            for block in blocks {
                // SAFETY: the panel and its blocks exist, with nr columns; both buffers hold the largest tile;
                // the block's rows are there, and the results' places by this function's contract.
                unsafe {
                    self.add_up(engine, block, panel, (first, n), (sums, real));
                    let results = Sums {
                        at: sums,
                        row_stride: nr,
                        rows: block.rows,
                        n,
                        slot: 0,
                        row_scales: &block.scale,
                    };
                    let to = dst.at(first_row, column, element, engine.residual);
                    engine.epilogue.finish(real, &results, &to);
                }
                first_row += block.rows;
            }
            column = end;
        }
    }

    /// Real results, bias included, of a block of rows and `n` of a panel's columns from `first` on: `rows` rows of `n`
    /// at `real`.
    ///
    /// # Safety
    /// As written where it is called.
    unsafe fn add_up(
        &self,
        engine: &Engine,
        block: &Block,
        panel: usize,
        (first, n): (usize, usize),
        (sums, real): (*mut i32, *mut f32),
    ) {
        let (packed, epilogue) = (&engine.packed, &engine.epilogue);
        let (nr, groups) = (packed.nr, packed.k_groups());
        let scales = epilogue.scales.as_slice().as_ptr();
        let row_factors = if epilogue.is_whole { null() } else { block.scale.as_ptr() };
        let bias = self.bias.as_slice().as_ptr().wrapping_add(panel * nr + first);
        let at = |b: usize| {
            let rhs = packed.panel(panel * self.count + b, 0);
            let of_rows = block.block_sums.wrapping_add(b * packed.mr);
            TileArgs {
                lhs: block.lhs.wrapping_add(b * groups * block.group_stride),
                lhs_row_stride: block.row_stride,
                lhs_group_stride: block.group_stride,
                rhs: rhs.codes,
                k_groups: groups.min(block.k_groups.saturating_sub(b * groups)),
                k_rest: if b + 1 == self.count { block.k_rest } else { 0 },
                narrow: packed.narrow,
                rows: block.rows,
                start: rhs.start,
                row_start: if self.zero.is_some() { of_rows } else { null() },
                lhs_zero: if block.has_zero { block.zero.as_ptr() } else { null() },
                rhs_fold: rhs.fold,
                rhs_zero: if self.zero.is_some() { null() } else { rhs.zero },
                lhs_sum: of_rows,
                dst: sums,
                dst_stride: nr,
            }
        };
        let last = self.count.saturating_sub(1);
        let slot = |b: usize| packed.slot(panel * self.count + b, 0);
        // SAFETY: by this function's contract; blocks but the last are whole, and follow each other on both sides.
        unsafe {
            if last > 0 {
                self.tile.run()(&BlocksArgs {
                    tile: at(0),
                    count: last,
                    sum_stride: packed.mr,
                    factors: scales.wrapping_add(slot(0)),
                    row_factors,
                    dst: real,
                    dst_stride: nr,
                });
            }
            packed.tile.run()(&at(last));
            self.scale.run()(&ScaleBlockArgs {
                tile: Tile {
                    src: sums.cast_const().add(first),
                    dst: real.add(first),
                    dst_stride: 1,
                    n,
                    rows: block.rows,
                    src_row_stride: nr,
                    dst_row_stride: nr,
                    row_factors,
                    factors: scales.wrapping_add(slot(last) + first),
                },
                first: last == 0,
                last: true,
                bias: if self.bias.is_empty() { null() } else { bias },
                relu: epilogue.relu,
            });
            if n < nr {
                for row in 0..block.rows {
                    core::ptr::copy(real.add(row * nr + first), real.add(row * n), n);
                }
            }
        }
    }
}
