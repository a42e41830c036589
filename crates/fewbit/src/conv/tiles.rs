//! The general way: output pixels gathered into blocks of rows, which meet panels of columns.

use super::run::Ends;
use super::{Conv, ImageLayout};
use crate::plan::{
    Block, Cut, Destination, MAX_BLOCKS, Slots, block_count, cut, each_with_slot, size,
};
use crate::{Parallel, Result};
use core::mem::MaybeUninit;
use core::ops::Range;
use fewbit_kernels::gemm::MAX_MR;

impl Conv<'_> {
    /// Runs all images by tiles; the parts of the workspace are those of this run, and the codes are there.
    pub(super) fn run_tiles(
        &self,
        ends: &Ends,
        images: usize,
        parallel: &dyn Parallel,
    ) -> Result<()> {
        // SAFETY: the flags are a part of the workspace of their own.
        let slots = unsafe { Slots::new(ends.busy, ends.workers) };
        let packed = &self.engine.packed;
        let row_blocks = block_count(self.pixels, packed.mr);
        let copies = images.saturating_mul(self.groups);
        let cut = cut(row_blocks, packed.panels, ends.most_blocks, copies, ends.workers);
        let row_tasks = cut.row_tasks(row_blocks);
        let column_tasks = cut.column_tasks(packed.panels);
        let tasks = size(&[images, self.groups, row_tasks, column_tasks])?;
        each_with_slot(parallel, tasks, &slots, |task, slot| {
            let (column_tasks, row_tasks) = (column_tasks.max(1), row_tasks.max(1));
            let (rest, column_task) = (task / column_tasks, task % column_tasks);
            let (rest, row_task) = (rest / row_tasks, rest % row_tasks);
            let groups = self.groups.max(1);
            let (image, group) = (rest / groups, rest % groups);
            let span = cut.panels * packed.nr;
            let start = column_task * span;
            let columns = start..packed.columns.min(start + span);
            let first = row_task * cut.blocks;
            // SAFETY: image, group, blocks and columns exist; the slot's memory is this task's alone;
            // no two tasks share an output.
            unsafe { self.task(ends, (image, group), (first, cut), columns, slot) }
        });
        Ok(())
    }

    /// Computes some blocks of output pixels, from number `first` on, in some columns of a group.
    ///
    /// # Safety
    /// As written where it is called.
    unsafe fn task(
        &self,
        ends: &Ends,
        (image, group): (usize, usize),
        (first, cut): (usize, Cut),
        columns: Range<usize>,
        slot: usize,
    ) {
        let packed = &self.engine.packed;
        let mr = packed.mr;
        let element = self.output.of_sums().element_size();
        let first_pixel = first * mr;
        let mut blocks = [const { MaybeUninit::<Block>::uninit() }; MAX_BLOCKS];
        let count = block_count(self.pixels.saturating_sub(first_pixel), mr).min(cut.blocks);
        // SAFETY: places within the workspace's parts and the images, as sized in `carve` and checked
        // in `run_raw`.
        unsafe {
            let codes = ends.codes.add(image * self.image);
            let copy = ends.rows.add(slot * packed.k * mr);
            let (scale, zero_point) = self.quantizer.row(ends.scales, ends.zero_points, image);
            for (b, block) in blocks.iter_mut().enumerate().take(count) {
                let begin = first_pixel + b * mr;
                let rows = self.pixels.saturating_sub(begin).min(mr);
                let memory = ends.blocks.add((slot * ends.most_blocks + b) * ends.block);
                let mut at = [core::ptr::null(); MAX_MR];
                for (r, row) in at.iter_mut().enumerate().take(rows) {
                    let copy = copy.add(r * packed.k);
                    *row = self.taps.gather(codes, group, begin + r, zero_point as u8, copy);
                }
                let row = |r: usize| at.get(r).copied().unwrap_or(core::ptr::null());
                block.write(self.engine.block(memory, rows, row, |_| (zero_point, scale)));
            }
            let (row_stride, column_stride) = match self.taps.layout {
                ImageLayout::Nhwc => (self.out_channels, 1),
                ImageLayout::Nchw => (1, self.pixels),
            };
            let at = image * self.pixels * self.out_channels
                + group * packed.columns * column_stride
                + first_pixel * row_stride;
            let destination = Destination {
                base: ends.y.add(at * element),
                row_stride,
                column_stride,
                residual: ends.residual.wrapping_add(at * self.residual.element_size()),
                residual_row_stride: row_stride,
            };
            let blocks = blocks.get(..count).unwrap_or_default().assume_init_ref();
            self.engine.multiply(blocks, group, columns, &destination);
        }
    }
}

/// How many groups are packed side by side: the most that divide the groups evenly and whose
/// columns fit into a panel of `nr`.
pub(super) fn fusion(groups: usize, columns: usize, nr: usize) -> usize {
    let most = nr.checked_div(columns).unwrap_or(1).min(groups).max(1);
    (1..=most).rev().find(|&fused| groups.is_multiple_of(fused)).unwrap_or(1)
}
