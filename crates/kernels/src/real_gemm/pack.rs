//! Packing of the rhs.

/// Packs `columns` columns, up to `nr`, of `k` numbers into a panel, `[ceil(k / kr)] x [nr] x [kr]` bits of numbers:
/// `number(c, i)` is number `i` of a column. What is beyond the columns or k becomes 0.
pub fn pack_rhs<T: Copy + Default>(
    number: impl Fn(usize, usize) -> T,
    (columns, k): (usize, usize),
    (nr, kr): (usize, usize),
    panel: &mut [T],
) {
    let kr = kr.max(1);
    for (group, to) in panel.chunks_mut((nr * kr).max(1)).enumerate() {
        for (c, to) in to.chunks_mut(kr).enumerate() {
            for (i, to) in to.iter_mut().enumerate() {
                let i = group * kr + i;
                *to = if c < columns && i < k { number(c, i) } else { T::default() };
            }
        }
    }
}
