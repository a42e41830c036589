//! Packing of the rhs.

use super::decode::Coding;

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

/// Packs `columns` columns, up to `nr`, of `k` codes with their factors into a panel, which is [`panel_bytes`] long and starts
/// with the factors: `code(c, i)` is code `i` of a column, its low bits; `factors(c, b)` are those of its block `b`. What is beyond the columns or k becomes 0.
///
/// [`panel_bytes`]: Coding::panel_bytes
pub fn pack_codes(
    coding: Coding,
    (code, factors): (impl Fn(usize, usize) -> u8, impl Fn(usize, usize) -> [f32; 2]),
    (columns, k, block): (usize, usize, usize),
    nr: usize,
    panel: &mut [u8],
) {
    let nr = nr.max(1);
    let each = coding.factors();
    let head = coding.factor_bytes(k, block, nr).min(panel.len());
    let (head, codes) = panel.split_at_mut(head);
    for (b, to) in head.chunks_mut((4 * nr * each).max(1)).enumerate() {
        for (i, to) in to.chunks_mut(4).enumerate() {
            let (which, c) = (i / nr, i % nr);
            let value = if c < columns { factors(c, b) } else { [0.0; 2] };
            let value = if which == 0 { value[0] } else { value[1] };
            to.iter_mut().zip(value.to_ne_bytes()).for_each(|(to, byte)| *to = byte);
        }
    }
    for (step, to) in codes.chunks_mut(nr).enumerate() {
        for (c, to) in to.iter_mut().enumerate() {
            let code = |i: usize| if c < columns && i < k { code(c, i) } else { 0 };
            *to = match coding.is_nibbles() {
                true => code(2 * step) & 0xF | code(2 * step + 1) << 4,
                false => code(step),
            };
        }
    }
}
