//! Runs so large that their results go around the caches: the same bytes as piece by piece, for every
//! row that does so (the x86 ones), at destinations that do and do not begin with a line.

mod common;

use common::{bytes, count, runnable};
use fewbit_kernels::Rows;
use fewbit_kernels::convert::{self, ConvertArgs};
use fewbit_kernels::dequantize::{self, DequantizeArgs};
use fewbit_kernels::quantize::{self, QuantizeArgs};
use fewbit_kernels::registry::{Bound, Row};
use fewbit_scheme::QuantizeMode;
use fewbit_testkit::{Rng, report, seed};

/// Bytes of source and destination: more than from which on results are streamed.
const TOTAL: usize = 33 << 20;
/// Elements of a piece that is not streamed.
const PIECE: usize = 10_007;

/// Runs `call(row, source, destination, elements)` on the whole and on pieces.
fn check<F: Copy>(
    table: &'static [Row<F>],
    (src_size, dst_size): (usize, usize),
    call: impl Fn(Bound<F>, *const u8, *mut u8, usize),
) {
    let n = TOTAL / (src_size + dst_size);
    let mut rng = Rng::new(seed() ^ 77);
    let pattern: Vec<f32> =
        (0..65_521).map(|i| rng.normal() * if i % 97 == 0 { 1e6 } else { 1.0 }).collect();
    let mut src: Vec<u8> = Vec::with_capacity(n * src_size + 4 * pattern.len());
    while src.len() < n * src_size {
        src.extend_from_slice(bytes(&pattern));
    }
    let (mut whole, mut pieces) = (vec![0u32; (n * dst_size) / 4 + 64], vec![0u8; n * dst_size]);
    for row in runnable(table) {
        if !row.name().contains("avx") {
            continue;
        }
        // A line's start, and places before and behind one; elements stay aligned.
        for offset in [0, dst_size, 64 - dst_size] {
            whole.fill(0xA5A5_A5A5);
            let base = whole.as_mut_ptr().cast::<u8>();
            let to = base.align_offset(64) + offset;
            // SAFETY: `to + n * dst_size` is less than 128 bytes beyond `n * dst_size`.
            let got = unsafe {
                call(row, src.as_ptr(), base.add(to), n);
                std::slice::from_raw_parts(base, 4 * whole.len())
            };
            for first in (0..n).step_by(PIECE) {
                let (from, to) = (&src[first * src_size..], &mut pieces[first * dst_size..]);
                call(row, from.as_ptr(), to.as_mut_ptr(), PIECE.min(n - first));
            }
            assert!(got[to..to + n * dst_size] == pieces, "{} at {offset}", row.name());
            let mut rest = got[..to].iter().chain(&got[to + n * dst_size..]);
            assert!(rest.all(|&byte| byte == 0xA5), "{} wrote outside", row.name());
            count(table, row, 1);
        }
    }
}

#[test]
fn large_runs_are_the_same_bytes() {
    for (table, clamp, size) in [
        (quantize::F32_S8, (-128, 127), 1),
        (quantize::F32_U8, (0, 255), 1),
        (quantize::F32_S16, (-32_768, 32_767), 2),
    ] {
        check(table, (4, size), |row, src, dst, n| {
            let args = QuantizeArgs {
                src: src.cast(),
                src_stride: 1,
                dst,
                dst_stride: 1,
                n,
                scales: &0.0173,
                zero_points: &3,
                param_step: 0,
                rows: Rows::ONE,
                mode: QuantizeMode::default(),
                clamp,
            };
            // SAFETY: the row is bound; there are `n` elements on both sides.
            unsafe { row.run()(&args) }
        });
    }
    for (table, size) in
        [(dequantize::S8_F32, 1), (dequantize::U8_F32, 1), (dequantize::S16_F32, 2)]
    {
        check(table, (size, 4), |row, src, dst, n| {
            let args = DequantizeArgs {
                src,
                src_stride: 1,
                dst: dst.cast(),
                dst_stride: 1,
                n,
                scales: &0.0173,
                zero_points: &3,
                param_step: 0,
                rows: Rows::ONE,
            };
            // SAFETY: as above.
            unsafe { row.run()(&args) }
        });
    }
    for (table, sizes) in [
        (convert::F32_F16, (4, 2)),
        (convert::F32_F16_SATURATE, (4, 2)),
        (convert::F32_BF16, (4, 2)),
        (convert::F16_F32, (2, 4)),
        (convert::BF16_F32, (2, 4)),
    ] {
        check(table, sizes, |row, src, dst, n| {
            let args = ConvertArgs { src, src_stride: 1, dst, dst_stride: 1, n };
            // SAFETY: as above.
            unsafe { row.run()(&args) }
        });
    }
    report();
}
