//! Every row of normalization's steps against the contract, bit for bit: rows of every length between unreadable pages, with
//! gaps that stay as they are, in place and not, extremes among the numbers.

mod common;

use common::{count, extremes, runnable};
use fewbit_kernels::norm::{NORMALIZE, NormalizeArgs, SQUARE_SUMS, SquareSumsArgs};
use fewbit_scheme::norm::{mean, normalized, square_sum};
use fewbit_testkit::{GuardedBuf, Rng, report, seed};
use std::ptr::null;

/// Lengths of rows: all short ones, around the sums' lanes and blocks.
fn lengths() -> impl Iterator<Item = usize> {
    (0..=200).chain([255, 256, 257, 511, 512, 513, 767, 768, 1500, 4031, 4095, 4096])
}

/// Numbers, now and then with extremes among them.
fn numbers(rng: &mut Rng, n: usize) -> Vec<f32> {
    let any = extremes(1.0);
    let (spread, odd) = (rng.pick(&[1e-20, 1.0, 1e19]), rng.below(3) == 0);
    (0..n)
        .map(|_| match odd && rng.below(50) == 0 {
            true => rng.pick(&any),
            false => rng.normal() * spread,
        })
        .collect()
}

#[test]
fn sums_of_squares() {
    let mut rng = Rng::new(seed() ^ 0x4070);
    let mut src = GuardedBuf::new(1 << 16);
    let [mut centers, mut sums] = [(); 2].map(|()| GuardedBuf::new(4096));
    for row in runnable(SQUARE_SUMS) {
        for n in lengths() {
            let rows = 1 + rng.below(3);
            let row_stride = n + rng.below(3);
            let x = numbers(&mut rng, (rows - 1) * row_stride + n);
            let centered = rng.below(3) > 0;
            let means: Vec<f32> = (0..rows).map(|r| mean(&x[r * row_stride..][..n])).collect();
            let args = SquareSumsArgs {
                src: src.at_end(&x),
                n,
                rows,
                row_stride,
                centers: if centered { centers.at_end(&means) } else { null() },
                sums: sums.at_end(&vec![1.0f32; rows]),
            };
            // SAFETY: the row is bound; the buffers hold rows and sums.
            let got = unsafe {
                row.run()(&args);
                std::slice::from_raw_parts(args.sums, rows)
            };
            for (r, got) in got.iter().enumerate() {
                let center = if centered { means[r] } else { 0.0 };
                let want = square_sum(&x[r * row_stride..][..n], center);
                assert_eq!(got.to_bits(), want.to_bits(), "{} {n}: {got:e} {want:e}", row.name());
            }
        }
        count(SQUARE_SUMS, row, lengths().count());
    }
    report();
}

#[test]
fn normalized_rows() {
    let mut rng = Rng::new(seed() ^ 0x4071);
    let [mut src_at, mut dst_at] = [(); 2].map(|()| GuardedBuf::new(1 << 16));
    let [mut gamma_at, mut beta_at] = [(); 2].map(|()| GuardedBuf::new(1 << 14));
    let [mut centers_at, mut factors_at] = [(); 2].map(|()| GuardedBuf::new(4096));
    for row in runnable(NORMALIZE) {
        for n in lengths() {
            let in_place = rng.below(3) == 0;
            let rows = 1 + rng.below(3);
            let src_stride = n + rng.below(3);
            let dst_stride = if in_place { src_stride } else { n + rng.below(3) };
            let x = numbers(&mut rng, (rows - 1) * src_stride + n);
            let (gamma, beta) = (numbers(&mut rng, n), numbers(&mut rng, n));
            let [centered, with_gamma, with_beta] = [(); 3].map(|()| rng.below(3) > 0);
            let centers = numbers(&mut rng, rows);
            let factors: Vec<f32> = (0..rows)
                .map(|_| rng.pick(&[1.0, 0.37, 1e-30, 0.0, f32::INFINITY, f32::NAN]))
                .collect();
            let gaps = vec![-7.0f32; (rows - 1) * dst_stride + n];
            let src = src_at.at_end(&x);
            let args = NormalizeArgs {
                src,
                dst: if in_place { src } else { dst_at.at_end(&gaps) },
                n,
                rows,
                src_stride,
                dst_stride,
                centers: if centered { centers_at.at_end(&centers) } else { null() },
                factors: factors_at.at_end(&factors),
                gamma: if with_gamma { gamma_at.at_end(&gamma) } else { null() },
                beta: if with_beta { beta_at.at_end(&beta) } else { null() },
            };
            // SAFETY: the row is bound; everything is as long as it says.
            let got = unsafe {
                row.run()(&args);
                std::slice::from_raw_parts(args.dst, gaps.len())
            };
            for (at, got) in got.iter().enumerate() {
                let (r, i) = (at / dst_stride, at % dst_stride);
                let want = match i < n {
                    true => normalized(
                        x[r * src_stride + i],
                        if centered { centers[r] } else { 0.0 },
                        factors[r],
                        with_gamma.then(|| gamma[i]),
                        with_beta.then(|| beta[i]),
                    ),
                    false if in_place => x[at],
                    false => -7.0,
                };
                assert_eq!(
                    got.to_bits(),
                    want.to_bits(),
                    "{} {rows} rows of {n}, {r} {i}: {got:e} {want:e}",
                    row.name()
                );
            }
        }
        count(NORMALIZE, row, lengths().count());
    }
    report();
}
