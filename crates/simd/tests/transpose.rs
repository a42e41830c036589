//! Transposed matrices of every small shape against the definition, between guard pages.

use fewbit_simd::transpose;
use fewbit_testkit::{GuardedBuf, Rng, seed};

fn check<T: Copy + PartialEq + std::fmt::Debug>(element: impl Fn(u32) -> T) {
    let mut rng = Rng::new(seed());
    let [mut from, mut to] = [(); 2].map(|()| GuardedBuf::new(1 << 15));
    for (rows, columns) in (1..40).flat_map(|rows| (1..40).map(move |columns| (rows, columns))) {
        let (from_stride, to_stride) = (columns + rng.below(3), rows + rng.below(3));
        let extent = |n: usize, stride: usize, len: usize| (n - 1) * stride + len;
        let source: Vec<T> =
            (0..extent(rows, from_stride, columns)).map(|_| element(rng.next_u32())).collect();
        let fill = element(0xA5A5_A5A5);
        let mut want = vec![fill; extent(columns, to_stride, rows)];
        for (row, column) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
            want[column * to_stride + row] = source[row * from_stride + column];
        }
        let (src, dst) = (from.at_end(&source), to.at_end(&vec![fill; want.len()]));
        // SAFETY: both end at guard pages, with the elements of the matrix and of the transposed one.
        let got = unsafe {
            transpose(src.cast_const(), from_stride, (rows, columns), dst, to_stride);
            std::slice::from_raw_parts(dst, want.len())
        };
        assert_eq!(got, want, "{rows} x {columns}");
    }
}

#[test]
fn every_small_matrix() {
    check(|bits| bits as u8);
    check(|bits| bits as u16);
    check(|bits| bits);
}
