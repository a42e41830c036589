//! Runs by stages: parts of rows whose elements fit a buffer on the stack.

use super::QuantizeArgs;
use crate::Rows;
use crate::params::further;

/// Of a stage, the elements of a row, where rows have the same parameters one after the other: what kernels make of
/// parameters first then serves as many rows as a stage holds.
const COLUMNS: usize = 128;

/// Elements `first..first + len` of rows `row..row + count`.
#[derive(Clone, Copy)]
pub(super) struct Stage {
    pub first: usize,
    pub len: usize,
    pub row: usize,
    pub count: usize,
}

/// Calls `work` with stages of at most `SIZE` elements each, until all elements have had their turn.
#[inline]
pub(super) fn by_stages<const SIZE: usize>(args: &QuantizeArgs, mut work: impl FnMut(Stage)) {
    let QuantizeArgs { n, param_step, rows, .. } = *args;
    let again = param_step != 0 && rows.param_stride == 0 && rows.count > 1;
    let most = n.min(if again { COLUMNS } else { SIZE });
    // Without elements there is nothing to do, nor to divide by.
    let together = SIZE.checked_div(most).unwrap_or(1).max(1);
    let mut first = 0;
    while first < n {
        let len = most.min(n - first);
        let mut row = 0;
        while row < rows.count {
            let count = together.min(rows.count - row);
            work(Stage { first, len, row, count });
            row += count;
        }
        first += len;
    }
}

impl QuantizeArgs {
    /// A stage's numbers, of `size` bytes each, and its parameters. Where its codes go is not told.
    ///
    /// # Safety
    /// The stage is of these runs, whose numbers and parameters exist.
    pub(super) unsafe fn at(&self, stage: Stage, size: usize) -> QuantizeArgs {
        let Stage { first, len, row, count } = stage;
        let param = row * self.rows.param_stride + first * self.param_step;
        let from = (row * self.rows.src_stride + first * self.src_stride) * size;
        // SAFETY: elements and parameters of the runs.
        unsafe {
            QuantizeArgs {
                src: self.src.add(from),
                n: len,
                scales: self.scales.add(param),
                zero_points: further(self.zero_points, param),
                rows: Rows { count, ..self.rows },
                ..*self
            }
        }
    }
}
