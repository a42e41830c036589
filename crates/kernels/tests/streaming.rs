//! Runs so large that their results go around the caches: the same bytes as piece by piece, for every
//! row that does so (the x86 ones), at destinations that do and do not begin with a line: one a run, all in the
//! full tier.

mod common;

use common::{bytes, count, runnable};
use fewbit_kernels::Rows;
use fewbit_kernels::convert::{self, ConvertArgs};
use fewbit_kernels::dequantize::{self, DequantizeArgs};
use fewbit_kernels::quantize::{self, QuantizeArgs};
use fewbit_kernels::registry::{Bound, Row};
use fewbit_kernels::requantize::{self, RequantizeArgs};
use fewbit_scheme::QuantizeMode;
use fewbit_testkit::{Rng, report, sampled, seed};

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
        for offset in sampled("offsets", 3, [0, dst_size, 64 - dst_size].into_iter()) {
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
    let quantizers = [
        (quantize::F32_S8, (-128, 127), (4, 1)),
        (quantize::F32_U8, (0, 255), (4, 1)),
        (quantize::F32_S16, (-32_768, 32_767), (4, 2)),
        (quantize::F16_S8, (-128, 127), (2, 1)),
        (quantize::BF16_U8, (0, 255), (2, 1)),
    ];
    for (table, clamp, size) in sampled("quantizers", 1, quantizers.into_iter()) {
        check(table, size, |row, src, dst, n| {
            let args = QuantizeArgs {
                src,
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
    let dequantizers = [
        (dequantize::S8_F32, (1, 4), true),
        (dequantize::U8_F32, (1, 4), false),
        (dequantize::S16_F32, (2, 4), false),
        (dequantize::S8_F16, (1, 2), true),
        (dequantize::U8_BF16, (1, 2), false),
    ];
    for (table, sizes, signed) in sampled("dequantizers", 1, dequantizers.into_iter()) {
        check(table, sizes, |row, src, dst, n| {
            let args = DequantizeArgs {
                src,
                src_stride: 1,
                signed,
                dst,
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
    let requantizers = [(requantize::S32_S8, (-128, 127)), (requantize::S32_U8, (3, 250))];
    for (table, clamp) in sampled("requantizers", 1, requantizers.into_iter()) {
        check(table, (4, 1), |row, src, dst, n| {
            let args = RequantizeArgs {
                src: src.cast(),
                src_stride: 1,
                dst,
                dst_stride: 1,
                n,
                multipliers: &1.7e-8,
                zero_points: &3,
                param_step: 0,
                rows: Rows::ONE,
                clamp,
            };
            // SAFETY: as above.
            unsafe { row.run()(&args) }
        });
    }
    let conversions = [
        (convert::F32_F16, (4, 2)),
        (convert::F32_F16_SATURATE, (4, 2)),
        (convert::F32_BF16, (4, 2)),
        (convert::F16_F32, (2, 4)),
        (convert::BF16_F32, (2, 4)),
    ];
    for (table, sizes) in sampled("conversions", 1, conversions.into_iter()) {
        check(table, sizes, |row, src, dst, n| {
            let args = ConvertArgs { src, src_stride: 1, dst, dst_stride: 1, n };
            // SAFETY: as above.
            unsafe { row.run()(&args) }
        });
    }
    report();
}

/// Blocks of a parameter each, wherever the destination begins: vectors must not straddle two of them.
#[test]
fn large_runs_of_blocks_are_the_same_codes() {
    let mut rng = Rng::new(seed() ^ 78);
    let most = TOTAL / 5 + 256;
    let x: Vec<f32> = (0..most).map(|i| (i % 65_521) as f32 * 1e-4 - 3.0).collect();
    let q: Vec<u8> = rng.bytes(65_536).into_iter().cycle().take(most).collect();
    let scales: Vec<f32> = (0..most / 16).map(|i| 0.01 * (1 + i % 5) as f32).collect();
    let zero_points: Vec<i32> = (0..most / 16).map(|i| (i % 7) as i32).collect();
    let (mut whole, mut pieces) = (vec![0u32; most + 64], vec![0u32; most + 64]);
    for n in sampled("block lengths", 1, [16, 32, 48, 64].into_iter()) {
        let count = TOTAL / 5 / n + 1;
        let rows = |count| Rows { count, src_stride: n, dst_stride: n, param_stride: 1 };
        for row in runnable(dequantize::U8_F32).into_iter().filter(|row| row.name().contains("avx"))
        {
            for offset in sampled("offsets", 5, [1, 4, 8, 15, 0].into_iter()) {
                let base = whole.as_mut_ptr().cast::<u8>();
                let at = base.align_offset(64) / 4 + offset;
                let run = |first: usize, count: usize, dst: *mut f32| {
                    let args = DequantizeArgs {
                        src: q[first * n..].as_ptr(),
                        src_stride: 1,
                        signed: false,
                        dst: dst.cast(),
                        dst_stride: 1,
                        n,
                        scales: scales[first..].as_ptr(),
                        zero_points: zero_points[first..].as_ptr(),
                        param_step: 0,
                        rows: rows(count),
                    };
                    // SAFETY: the row is bound; there are `count` blocks on both sides.
                    unsafe { row.run()(&args) }
                };
                run(0, count, whole[at..].as_mut_ptr().cast());
                for first in (0..count).step_by(999) {
                    run(first, 999.min(count - first), pieces[first * n..].as_mut_ptr().cast());
                }
                let same = whole[at..at + count * n] == pieces[..count * n];
                assert!(same, "{} blocks of {n} at {offset}", row.name());
                count_one(dequantize::U8_F32, row);
            }
        }
        for row in runnable(quantize::F32_U8).into_iter().filter(|row| row.name().contains("avx")) {
            for offset in sampled("offsets", 5, [1, 16, 31, 63, 0].into_iter()) {
                let base = whole.as_mut_ptr().cast::<u8>();
                let at = base.align_offset(64) + offset;
                let run = |first: usize, count: usize, dst: *mut u8| {
                    let args = QuantizeArgs {
                        src: x[first * n..].as_ptr().cast(),
                        src_stride: 1,
                        dst,
                        dst_stride: 1,
                        n,
                        scales: scales[first..].as_ptr(),
                        zero_points: zero_points[first..].as_ptr(),
                        param_step: 0,
                        rows: rows(count),
                        mode: QuantizeMode::default(),
                        clamp: (0, 255),
                    };
                    // SAFETY: as above; a code needs less room than the `u32` that is there for it.
                    unsafe { row.run()(&args) }
                };
                // SAFETY: the buffers hold four bytes for each code, and more.
                let (got, want) = unsafe {
                    run(0, count, base.add(at));
                    let to = pieces.as_mut_ptr().cast::<u8>();
                    for first in (0..count).step_by(999) {
                        run(first, 999.min(count - first), to.add(first * n));
                    }
                    let slice = |from: *const u8| std::slice::from_raw_parts(from, count * n);
                    (slice(base.add(at)), slice(to))
                };
                assert!(got == want, "{} blocks of {n} at {offset}", row.name());
                count_one(quantize::F32_U8, row);
            }
        }
    }
    report();
}

fn count_one<F: Copy>(table: &'static [Row<F>], row: Bound<F>) {
    count(table, row, 1);
}
