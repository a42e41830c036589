//! Many values to one: ranges, magnitudes, sums.

mod block;
mod range;
mod sum;

use crate::registry::RowInfo;
pub(crate) use block::{Terms, block_sum, part};
pub use range::{
    COLUMN_RANGES, COLUMN_RANGES_BF16, COLUMN_RANGES_F16, MIN_MAX, MIN_MAX_BF16, MIN_MAX_F16,
    MinMaxFn, ROW_RANGES, ROW_RANGES_BF16, ROW_RANGES_F16, RangesArgs, RangesFn,
};
pub use sum::{
    ABSMAX, AbsmaxFn, CodeSumsArgs, CodeSumsFn, MAX_COLUMNS, ROW_SUMS, ROW_SUMS_S8, ROW_SUMS_U8,
    SumsArgs, SumsFn,
};

/// The rows of these ops' tables.
pub fn rows() -> impl Iterator<Item = RowInfo> {
    range::rows().chain(sum::rows())
}
