//! Every row of the epilogue of products by block against the scalar contract, bit for bit: tiles of every width between
//! unreadable pages, with everything that real numbers do on the way.

mod common;

use common::{bytes, count, extremes, runnable};
use fewbit_kernels::scale::{S32_F32_BLOCK, ScaleBlockArgs, Tile};
use fewbit_testkit::{GuardedBuf, Rng, report, seed};

#[test]
fn blocks_of_a_tile() {
    let mut rng = Rng::new(seed() ^ 13);
    let [mut sums_at, mut results_at] = [(); 2].map(|()| GuardedBuf::new(8192));
    let [mut factors_at, mut bias_at, mut rows_at] = [(); 3].map(|()| GuardedBuf::new(4096));
    let numbers = extremes(1.0);
    for row in runnable(S32_F32_BLOCK) {
        let mut calls = 0;
        for n in 0..=70 {
            for rows in [1, 2, 5] {
                let blocks = 1 + rng.below(4);
                let (src_row_stride, dst_row_stride) = (n + rng.below(2), n + rng.below(3));
                let (with_rows, with_bias, relu) =
                    (rng.below(4) != 0, rng.below(2) == 0, rng.below(2) == 0);
                // Row factors and their products with the columns' may be infinite or vanish, and sums be what f32
                // does not hold.
                let row_factors: Vec<f32> = (0..rows)
                    .map(|_| match with_rows {
                        true => rng.pick(&[1.0, 0.013, f32::MIN_POSITIVE, f32::MAX, f32::INFINITY]),
                        false => 1.0,
                    })
                    .collect();
                let factors: Vec<f32> = (0..blocks * n)
                    .map(|_| match rng.pick(&numbers) {
                        x if rng.below(3) == 0 && x.is_finite() && x != 0.0 => x.abs(),
                        _ => rng.unit() + 1e-3,
                    })
                    .collect();
                let sums: Vec<i32> = (0..blocks * rows * src_row_stride)
                    .map(|_| match rng.below(9) {
                        0 => rng.pick(&[0, i32::MAX, i32::MIN, 16_777_217]),
                        _ => rng.next_u32() as i32 >> rng.below(32),
                    })
                    .collect();
                let bias: Vec<f32> = (0..n)
                    .map(|_| if rng.below(3) == 0 { rng.pick(&numbers) } else { rng.normal() })
                    .collect();
                let gaps = vec![-7.0f32; rows * dst_row_stride];
                let mut want = gaps.clone();
                for r in 0..rows {
                    for i in 0..n {
                        let of = |b: usize| sums[(b * rows + r) * src_row_stride + i];
                        let acc: Vec<i32> = (0..blocks).map(of).collect();
                        let by: Vec<f32> = (0..blocks).map(|b| factors[b * n + i]).collect();
                        let bias = with_bias.then(|| bias[i]);
                        want[r * dst_row_stride + i] =
                            fewbit_scheme::scale_blocks(&acc, row_factors[r], &by, bias, relu);
                    }
                }
                // Behind the last row no gap is there to be touched.
                let len = (rows - 1) * dst_row_stride + n;
                let src_len = (rows - 1) * src_row_stride + n;
                let dst = results_at.at_end(&gaps[..len]);
                for b in 0..blocks {
                    let sums = &sums[b * rows * src_row_stride..][..src_len];
                    let args = ScaleBlockArgs {
                        tile: Tile {
                            src: sums_at.at_end(sums),
                            dst,
                            dst_stride: 1,
                            n,
                            rows,
                            src_row_stride,
                            dst_row_stride,
                            row_factors: match with_rows {
                                true => rows_at.at_end(&row_factors),
                                false => std::ptr::null(),
                            },
                            factors: factors_at.at_end(&factors[b * n..][..n]),
                        },
                        first: b == 0,
                        last: b + 1 == blocks,
                        bias: if with_bias { bias_at.at_end(&bias) } else { std::ptr::null() },
                        relu,
                    };
                    // SAFETY: the row is bound; everything is as long as it says.
                    unsafe { row.run()(&args) };
                }
                // SAFETY: `len` results at the guard.
                let got = unsafe { std::slice::from_raw_parts(dst, len) };
                let label = format!("{} {rows} rows of {n}, {blocks} blocks", row.name());
                assert!(bytes(got) == bytes(&want[..len]), "{label}\n{got:?}\n{want:?}");
                calls += blocks;
            }
        }
        count(S32_F32_BLOCK, row, calls);
    }
    report();
}
