//! Copies between layouts: of neighbouring elements to where they lie apart, and of channels to where they come several times.
//! Plain code, which is enough beside the products.

/// Copies `rows` rows of `columns` elements to columns: the element of row `r` and column `c`, at `from + r * from_stride + c`,
/// to `to + c * to_stride + r`.
///
/// # Safety
/// The elements can be read, and written; nothing need be aligned.
pub(super) unsafe fn transpose<T: Copy>(
    (from, from_stride): (*const T, usize),
    (to, to_stride): (*mut T, usize),
    (rows, columns): (usize, usize),
) {
    // Whole blocks of bytes go eight by eight.
    let whole = if size_of::<T>() == 1 { (rows / 8 * 8, columns / 8 * 8) } else { (0, 0) };
    // SAFETY: by this function's contract; no element is beyond rows and columns.
    unsafe {
        for row in (0..whole.0).step_by(8) {
            for column in (0..whole.1).step_by(8) {
                let from = from.add(row * from_stride + column).cast();
                let to = to.add(column * to_stride + row).cast();
                transpose_8((from, from_stride), (to, to_stride));
            }
        }
        for row in 0..rows {
            let first = if row < whole.0 { whole.1 } else { 0 };
            for column in first..columns {
                let element = from.add(row * from_stride + column).read_unaligned();
                to.add(column * to_stride + row).write_unaligned(element);
            }
        }
    }
}

/// Eight rows of eight bytes, by exchanging halves, quarters and eighths of words.
///
/// # Safety
/// As [`transpose`].
unsafe fn transpose_8((from, from_stride): (*const u8, usize), (to, to_stride): (*mut u8, usize)) {
    const HALVES: u64 = 0x0000_0000_FFFF_FFFF;
    const QUARTERS: u64 = 0x0000_FFFF_0000_FFFF;
    const EIGHTHS: u64 = 0x00FF_00FF_00FF_00FF;
    fn exchange(a: u64, b: u64, bits: u32, mask: u64) -> (u64, u64) {
        let differing = ((a >> bits) ^ b) & mask;
        (a ^ (differing << bits), b ^ differing)
    }
    // SAFETY: by this function's contract.
    let row = |i: usize| unsafe { from.add(i * from_stride).cast::<u64>().read_unaligned() };
    let [a, b, c, d, e, f, g, h] = core::array::from_fn(row).map(u64::from_le);
    let ((a, e), (b, f)) = (exchange(a, e, 32, HALVES), exchange(b, f, 32, HALVES));
    let ((c, g), (d, h)) = (exchange(c, g, 32, HALVES), exchange(d, h, 32, HALVES));
    let ((a, c), (b, d)) = (exchange(a, c, 16, QUARTERS), exchange(b, d, 16, QUARTERS));
    let ((e, g), (f, h)) = (exchange(e, g, 16, QUARTERS), exchange(f, h, 16, QUARTERS));
    let ((a, b), (c, d)) = (exchange(a, b, 8, EIGHTHS), exchange(c, d, 8, EIGHTHS));
    let ((e, f), (g, h)) = (exchange(e, f, 8, EIGHTHS), exchange(g, h, 8, EIGHTHS));
    for (i, column) in [a, b, c, d, e, f, g, h].into_iter().enumerate() {
        // SAFETY: by this function's contract.
        unsafe { to.add(i * to_stride).cast::<u64>().write_unaligned(column.to_le()) }
    }
}

/// Writes `n` bytes, of which every `times` are copies of one at `from`, less the first `skip`.
///
/// # Safety
/// The bytes can be read, and written.
pub(super) unsafe fn repeat(from: *const u8, to: *mut u8, n: usize, times: usize, skip: usize) {
    // SAFETY: by this function's contract.
    unsafe {
        match (times, skip, n % times.max(1)) {
            (2, 0, 0) => repeat_all::<2>(from, to, n / 2),
            (4, 0, 0) => repeat_all::<4>(from, to, n / 4),
            _ => {
                let (mut from, mut copy) = (from, skip);
                for i in 0..n {
                    to.add(i).write(from.read());
                    copy += 1;
                    if copy == times {
                        // Not `add`: behind the last byte it may lie beyond the image.
                        (from, copy) = (from.wrapping_add(1), 0);
                    }
                }
            }
        }
    }
}

/// # Safety
/// As [`repeat`], with `n` bytes to read.
unsafe fn repeat_all<const TIMES: usize>(from: *const u8, to: *mut u8, n: usize) {
    for i in 0..n {
        // SAFETY: by this function's contract.
        unsafe { to.add(i * TIMES).cast::<[u8; TIMES]>().write([from.add(i).read(); TIMES]) }
    }
}
