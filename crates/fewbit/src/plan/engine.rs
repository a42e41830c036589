//! Blocks of rows times panels of columns: the part of a run that linear and convolution plans share.

use super::blocks::{self, Blocks};
use super::epilogue::{Destination, Epilogue, Sums};
use super::one_step::OneStep;
use super::packed::{Layout, Packed};
use super::quantizer::stored_code;
use super::saved::Saved;
use super::tasks::most_blocks;
use super::{Operands, Output};
use crate::Result;
use crate::memory::{ALIGNMENT, Allocator};
use core::mem::MaybeUninit;
use core::ops::Range;
use core::ptr::null;
use fewbit_kernels::gemm::{
    MAX_MR, MAX_NR, TileArgs, code_shift_lhs, is_packed_form, pack_lhs, sum_lhs,
};
use fewbit_simd::Supported;
use fewbit_simd::dot::LhsForm;

/// Sums of a panel before they become results: what few columns cost in calls is shared by many rows, and all of it stays in the
/// first cache.
const MOST_SUMS: usize = 4 * MAX_MR * MAX_NR;

pub(crate) struct Engine<'w> {
    pub packed: Packed<'w>,
    /// Products of a sum; with blocks of all of them.
    k: usize,
    lhs_unsigned: bool,
    pub(super) output: Output,
    pub(super) residual: usize,
    pub(super) epilogue: Epilogue,
    /// How weights with a scale a block are packed.
    blocks: Option<Blocks>,
    /// Bytes from one block of packed rows to the next.
    block_distance: usize,
    /// The most blocks that a task keeps.
    most_blocks: usize,
    /// Blocks whose sums become results at once.
    together: usize,
}

/// Gives the address of a row. Functions that are called once a block take it as it is here, and are compiled once.
pub(crate) type RowAt<'a> = &'a dyn Fn(usize) -> *const u8;

/// Lhs rows, packed or where they are, with their parameters.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    pub(super) lhs: *const u8,
    pub(super) row_stride: usize,
    pub(super) group_stride: usize,
    /// Groups of a panel before those that these rows meet.
    k_first: usize,
    pub(super) k_groups: usize,
    pub(super) k_rest: usize,
    pub(super) rows: usize,
    /// Whether a row's zero point is other than the shared one.
    pub(super) has_zero: bool,
    /// The rows' zero points beyond the shared one.
    pub(super) zero: [i32; MAX_MR],
    sum: [i32; MAX_MR],
    /// With blocks of k: `[blocks][mr]` sums.
    pub(super) block_sums: *const i32,
    pub(super) scale: [f32; MAX_MR],
}

impl Block {
    /// A block of no rows.
    pub(crate) const EMPTY: Block = Block {
        lhs: null(),
        row_stride: 0,
        group_stride: 0,
        k_first: 0,
        k_groups: 0,
        k_rest: 0,
        rows: 0,
        has_zero: false,
        zero: [0; MAX_MR],
        sum: [0; MAX_MR],
        block_sums: null(),
        scale: [0.0; MAX_MR],
    };
}

/// Blocks of at most `mr` rows that `rows` rows need.
pub(crate) fn block_count(rows: usize, mr: usize) -> usize {
    // Without a division where a tile is enough.
    if rows <= mr { usize::from(rows > 0) } else { rows.div_ceil(mr.max(1)) }
}

impl<'w> Engine<'w> {
    /// Packs the output channels of a layout; `at(channel, i)` is the index of a weight's code, or `None` for a real 0. The
    /// operands are checked; with blocks there is one group.
    pub(crate) fn new(
        operands: &Operands<'_>,
        at: &dyn Fn(usize, usize) -> Option<usize>,
        layout: Layout,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Engine<'w>> {
        if operands.weights.block > 0 {
            let k = layout.k;
            let (packed, epilogue, blocks) =
                blocks::pack(operands, at, (layout.columns, k), supported, allocator)?;
            return Ok(Engine::of(operands, k, packed, epilogue, Some(blocks)));
        }
        let packed = Packed::new(operands, at, layout, supported, allocator)?;
        Engine::with(operands, packed, supported, allocator)
    }

    /// Takes weights that were packed before. The operands are checked, and have the scales and zero points of
    /// the weights.
    pub(crate) fn mapped(
        operands: &Operands<'_>,
        saved: &Saved<'w>,
        layout: Layout,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Engine<'w>> {
        let packed = Packed::mapped(operands, saved, layout, supported, allocator)?;
        Engine::with(operands, packed, supported, allocator)
    }

    fn with(
        operands: &Operands<'_>,
        packed: Packed<'w>,
        supported: Supported,
        allocator: &Allocator,
    ) -> Result<Engine<'w>> {
        let mut epilogue = Epilogue::new(operands, packed.map(), supported, allocator)?;
        epilogue.set_bound(packed.bound);
        Ok(Engine::of(operands, packed.k, packed, epilogue, None))
    }

    fn of(
        operands: &Operands<'_>,
        k: usize,
        packed: Packed<'w>,
        epilogue: Epilogue,
        blocks: Option<Blocks>,
    ) -> Engine<'w> {
        let mut engine = Engine {
            k,
            lhs_unsigned: stored_code(&operands.input, packed.form).is_unsigned(),
            output: operands.output,
            residual: operands.residual.element_size(),
            epilogue,
            blocks,
            packed,
            block_distance: 0,
            most_blocks: 0,
            together: 1,
        };
        engine.block_distance = engine.block_size().next_multiple_of(ALIGNMENT);
        engine.most_blocks = most_blocks(usize::MAX, engine.block_distance);
        if engine.epilogue.is_one_step() {
            let tile = engine.packed.mr * engine.packed.nr;
            engine.together = MOST_SUMS.checked_div(tile).unwrap_or(1).max(1);
        }
        engine
    }

    /// Bytes from one block of packed rows in the workspace to the next.
    pub(crate) fn block_distance(&self) -> usize {
        self.block_distance
    }

    /// The most blocks that a task keeps, of `row_blocks`.
    pub(crate) fn most_blocks(&self, row_blocks: usize) -> usize {
        self.most_blocks.min(row_blocks.max(1))
    }

    /// Rows of each block, if `rows` rows, at least 1, are shared out evenly: tiles of middling numbers of rows do more
    /// than a whole one and one of a row or two. All but the last block have as many.
    pub(crate) fn even_rows(&self, rows: usize) -> usize {
        let mr = self.packed.mr;
        if rows <= mr {
            return rows;
        }
        // Tiles of pairs of rows multiply pairs.
        let multiple = if self.packed.form == LhsForm::S8x8 { 2 } else { 1 };
        rows.div_ceil(block_count(rows, mr).max(1)).next_multiple_of(multiple).min(mr)
    }

    /// Whether the codes to multiply are u8.
    pub(crate) fn is_unsigned(&self) -> bool {
        self.lhs_unsigned
    }

    /// Stores sums of the only group that were made without a tile: `rows`, `row_stride` apart, of `n` from column
    /// `first` on, all of inputs with the same scale.
    ///
    /// # Safety
    /// The sums can be read, results of these rows and columns be written and residuals, if any, read.
    pub(crate) unsafe fn store(
        &self,
        (sums, row_stride): (*const i32, usize),
        (rows, n): (usize, usize),
        (first, scale): (usize, f32),
        dst: &Destination,
    ) {
        let row_scales = &[scale; MAX_MR];
        // What takes one step needs no memory for others, and knows no end of rows.
        let (most_rows, most) = match self.epilogue.is_one_step() {
            true => (rows.max(1), n.max(1)),
            false => (MAX_MR, MAX_NR),
        };
        for row in (0..rows).step_by(most_rows) {
            for column in (0..n).step_by(most) {
                let to = dst.at(row, column, self.output.element_size(), self.residual);
                // SAFETY: by this function's contract.
                unsafe {
                    let sums = Sums {
                        at: sums.add(row * row_stride + column),
                        row_stride,
                        rows: (rows - row).min(most_rows),
                        n: (n - column).min(most),
                        slot: first + column,
                        row_scales,
                    };
                    self.epilogue.store(&sums, &to);
                }
            }
        }
    }

    /// Whether the sums are the results.
    pub(crate) fn is_identity(&self) -> bool {
        self.epilogue.is_identity()
    }

    /// How sums become codes, if that is one step with factors, and nothing follows.
    pub(crate) fn one_step_codes(&self) -> Option<OneStep> {
        self.epilogue.one_step_codes()
    }

    /// Whether weights have a scale a block.
    pub(crate) fn has_blocks(&self) -> bool {
        self.blocks.is_some()
    }

    /// k-groups of a row.
    fn k_groups(&self) -> usize {
        self.packed.form.groups(self.k)
    }

    /// Bytes of a packed block of up to `mr` rows.
    pub(crate) fn block_size(&self) -> usize {
        // No overflow: the packed weights, of at least as many k-groups times nr, exist.
        let sums = self.blocks.as_ref().map_or(0, |blocks| blocks.sums(&self.packed));
        self.k_groups() * self.packed.mr * self.packed.form.group_bytes() + sums * 4
    }

    /// In place of an empty block, one of `1..=mr` rows: `row(r)` gives the address of its k codes, `parameters(r)` its zero
    /// point and its scale. The codes are packed at `memory`, or left where they are if there is none.
    ///
    /// # Safety
    /// The codes can be read, and `memory`, if it is not NULL, written for
    /// [`block_size`](Engine::block_size) bytes. Without it the codes are
    /// [`is_direct`](Engine::is_direct), the rows are equally far apart, and they outlive the block.
    #[inline]
    pub(crate) unsafe fn fill(
        &self,
        block: &mut Block,
        memory: *mut u8,
        rows: usize,
        row: impl Fn(usize) -> *const u8,
        parameters: impl Fn(usize) -> (i32, f32),
    ) {
        let packed = &self.packed;
        let (k, form) = (self.k, packed.form);
        block.rows = rows;
        if memory.is_null() {
            let first = row(0);
            block.lhs = first;
            block.row_stride = if rows > 1 { row(1).addr().wrapping_sub(first.addr()) } else { 0 };
            block.group_stride = form.group_bytes();
            (block.k_groups, block.k_rest) = (form.whole_groups(k), form.rest_bytes(k));
        } else {
            // SAFETY: by this function's contract.
            unsafe { pack_lhs(&row as RowAt<'_>, rows, k, self.lhs_unsigned, form, memory) };
            block.lhs = memory;
            block.row_stride = form.group_bytes();
            block.group_stride = rows * form.group_bytes();
            block.k_groups = self.k_groups();
        }
        let shift = code_shift_lhs(self.lhs_unsigned, form) - packed.shared_zero;
        for r in 0..rows {
            let places = (block.zero.get_mut(r), block.scale.get_mut(r));
            let (Some(zero), Some(scale)) = places else { break };
            let (zero_point, row_scale) = parameters(r);
            *zero = zero_point + shift;
            *scale = row_scale;
            block.has_zero |= *zero != 0;
        }
        if packed.has_zero {
            // SAFETY: by this function's contract.
            unsafe { self.sum_rows(block, memory, rows, &row) }
        }
    }

    /// The sums of the codes of a block's rows.
    ///
    /// # Safety
    /// As [`fill`](Engine::fill).
    #[inline(never)]
    unsafe fn sum_rows(&self, block: &mut Block, memory: *mut u8, rows: usize, row: RowAt<'_>) {
        let (packed, k) = (&self.packed, self.k);
        let Some(blocks) = &self.blocks else {
            for (r, sum) in block.sum.iter_mut().enumerate().take(rows) {
                // SAFETY: k codes by this function's contract.
                *sum = unsafe { sum_lhs(row(r), k, self.lhs_unsigned, packed.form) };
            }
            return;
        };
        // SAFETY: behind the packed rows, which `memory` has room for: such rows are not direct.
        unsafe {
            let packed_rows = self.k_groups() * packed.mr * packed.form.group_bytes();
            let sums = memory.add(packed_rows).cast::<i32>();
            blocks.sum_rows(packed, (row, rows, k), self.lhs_unsigned, sums);
            block.block_sums = sums;
        }
    }

    /// In place of an empty block, one of `1..=mr` rows of which the codes of `k` lie in the packed form at `lhs`, the last
    /// group filled; rows and groups are as far apart as the strides say. What is not in `k`, which begins with a group, takes
    /// no part: there all codes of these rows are 0 in the packed form, or all weights their zero points. `sum` tells the sum
    /// of a row's codes, in the packed form.
    #[inline]
    pub(crate) fn place(
        &self,
        block: &mut Block,
        lhs: *const u8,
        (row_stride, group_stride): (usize, usize),
        (rows, k): (usize, Range<usize>),
        (zero_point, scale): (i32, f32),
        sum: impl Fn(usize) -> i32,
    ) {
        let packed = &self.packed;
        let zero = zero_point + code_shift_lhs(self.lhs_unsigned, packed.form) - packed.shared_zero;
        block.lhs = lhs;
        (block.row_stride, block.group_stride) = (row_stride, group_stride);
        block.k_first = k.start / packed.form.kr().max(1);
        block.k_groups = k.len().div_ceil(packed.form.kr().max(1));
        block.rows = rows;
        block.has_zero = zero != 0;
        block.zero = [zero; MAX_MR];
        block.scale = [scale; MAX_MR];
        if packed.has_zero {
            for (r, slot) in block.sum.iter_mut().enumerate().take(rows) {
                *slot = sum(r);
            }
        }
    }

    /// Whether rows can be multiplied where they are: the tile reads such codes.
    pub(crate) fn is_direct(&self) -> bool {
        // Sums of blocks have their place behind packed rows.
        let sums = self.blocks.is_some() && self.packed.has_zero;
        is_packed_form(self.lhs_unsigned, self.packed.form) && !sums
    }

    /// Multiplies blocks with columns of a group and stores the results. Each panel meets all blocks
    /// before the next one comes, so that it is read from afar once.
    ///
    /// # Safety
    /// The blocks were packed by this engine, and their memory is
    /// unchanged; `group` and `columns` exist; every element of the blocks' rows, which follow each other, and these
    /// columns can be written at `dst`, which is the place of row 0 of the first block and of
    /// column 0; so can residuals be read, if the plan has any.
    pub(crate) unsafe fn multiply(
        &self,
        blocks: &[Block],
        group: usize,
        columns: Range<usize>,
        dst: &Destination,
    ) {
        if let Some(by_block) = &self.blocks {
            // SAFETY: by this function's contract.
            return unsafe { by_block.multiply(self, blocks, columns, dst) };
        }
        let packed = &self.packed;
        let nr = packed.nr.max(1);
        let element = self.output.element_size();
        let mut sums = MaybeUninit::<[i32; MOST_SUMS]>::uninit();
        let sums = sums.as_mut_ptr().cast::<i32>();
        let (mut column, mut panel) = (columns.start, columns.start / nr);
        while column < columns.end {
            let end = columns.end.min((panel + 1) * nr);
            let first = column - panel * nr;
            // Sums that are the results go where they belong, if the whole panel does.
            let whole = end - column == nr && dst.column_stride == 1;
            let direct = whole && self.epilogue.is_identity();
            let rhs = packed.panel(group, panel);
            let group_bytes = packed.group_bytes();
            let mut first_row = 0;
            for blocks in blocks.chunks(self.together.max(1)) {
                let to = dst.at(first_row, column, element, self.residual);
                let mut rows = 0;
                // SAFETY: the blocks' rows are there; the panel exists, with nr columns; `sums` holds so many of the largest
                // tiles, and `to` the results by this function's contract.
                unsafe {
                    for block in blocks {
                        let (tile, tile_stride) = match direct {
                            true => {
                                (to.base.cast::<i32>().add(rows * dst.row_stride), dst.row_stride)
                            }
                            false => (sums.add(rows * nr), nr),
                        };
                        let args = TileArgs {
                            lhs: block.lhs,
                            lhs_row_stride: block.row_stride,
                            lhs_group_stride: block.group_stride,
                            rhs: rhs.codes.wrapping_add(block.k_first * group_bytes),
                            k_groups: block.k_groups,
                            k_rest: block.k_rest,
                            narrow: packed.narrow,
                            rows: block.rows,
                            start: rhs.start,
                            row_start: null(),
                            lhs_zero: if block.has_zero { block.zero.as_ptr() } else { null() },
                            rhs_fold: rhs.fold,
                            rhs_zero: rhs.zero,
                            lhs_sum: block.sum.as_ptr(),
                            dst: tile,
                            dst_stride: tile_stride,
                        };
                        packed.tile.run()(&args);
                        rows += block.rows;
                    }
                    if !direct {
                        let sums = Sums {
                            at: sums.cast_const().add(first),
                            row_stride: nr,
                            rows,
                            n: end - column,
                            slot: packed.slot(group, panel) + first,
                            // Of one block, unless there is no need of them.
                            row_scales: blocks.first().map_or(&[], |block| &block.scale),
                        };
                        self.epilogue.store(&sums, &to);
                    }
                }
                first_row += rows;
            }
            (column, panel) = (end, panel + 1);
        }
    }
}
