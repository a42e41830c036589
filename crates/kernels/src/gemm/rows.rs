//! Numbers of rows that tiles have code for. A tile takes any number up to its largest: those that it has no code for are taken apart
//! into some that it has.

/// The first, which is the largest, of the numbers of rows that a tile has code for.
pub(crate) const fn most_rows(rows: &[usize]) -> usize {
    match rows {
        [most, ..] => *most,
        [] => 0,
    }
}

/// Whether rows that are left over are not a single one, which does less than half of what others do: seven rows are four
/// and three, not six and one. Where there is code for three; elsewhere they would be more pieces.
#[inline(always)]
pub(crate) const fn leaves_no_row(left: usize, rows: &[usize]) -> bool {
    left != 1 || !matches!(rows, [.., 3, 2, 1])
}

/// Whether there is code for every number of rows up to the largest, which come in falling order.
pub(crate) const fn is_whole(all: &[usize]) -> bool {
    all.len() == most_rows(all)
}
