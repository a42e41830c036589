//! Every row of the epilogue of products against the scalar contract, bit for bit: all lengths and strides,
//! factors and bias of every kind, between unreadable pages.

mod common;

use common::{Arenas, Case, N, bytes, count, extremes, runnable};
use fewbit_kernels::scale::{self, ScaleArgs, ScaleCodesArgs, Tile};
use fewbit_scheme::IntFormat;
use fewbit_testkit::{GuardedBuf, Rng, report, seed};

/// [`N`] sums: extremes, those whose f32 is inexact, and random ones of all sizes.
fn sums(rng: &mut Rng) -> Vec<i32> {
    let mut sums = vec![0, 1, -1, i32::MAX, i32::MIN, 16_777_217, -16_777_219, 33_554_434];
    sums.resize_with(N, || rng.next_u32() as i32 >> rng.below(32));
    sums
}

/// Numbers of all kinds, random ones between them.
fn numbers(rng: &mut Rng) -> Vec<f32> {
    let extremes = extremes(1.0);
    (0..N).map(|_| if rng.below(2) == 0 { rng.pick(&extremes) } else { rng.normal() }).collect()
}

#[test]
fn scale_rows() {
    let mut arenas = Arenas::new();
    let [mut packed, mut factors_at, mut bias_at] = [(); 3].map(|()| GuardedBuf::new(4096));
    let mut rng = Rng::new(seed() ^ 9);
    for row in runnable(scale::S32_F32) {
        let (name, run) = (row.name(), row.run());
        let mut calls = 0;
        // Column factors are scales: positive and finite. Row factors may be products that overflowed.
        let row_factors =
            [1.0, 0.013, f32::MIN_POSITIVE, f32::from_bits(1), f32::MAX, f32::INFINITY];
        for row_factor in row_factors {
            for (with_bias, relu) in [(false, false), (true, false), (false, true), (true, true)] {
                let acc = sums(&mut rng);
                let factors: Vec<f32> = numbers(&mut rng)
                    .into_iter()
                    .map(|x| if x.is_finite() && x != 0.0 { x.abs() } else { 0.5 })
                    .collect();
                let bias = numbers(&mut rng);
                let want: Vec<f32> = (0..N)
                    .map(|i| {
                        let bias = with_bias.then_some(bias[i]);
                        fewbit_scheme::scale(acc[i], row_factor, factors[i], bias, relu)
                    })
                    .collect();
                let case = Case {
                    label: format!("{name} row factor {row_factor} bias {with_bias} relu {relu}"),
                    src_size: 4,
                    src: bytes(&acc),
                    dst_size: 4,
                    want: bytes(&want),
                };
                calls += arenas.check(&case, &mut |src, src_stride, dst, dst_stride, n| {
                    // The op's sums are contiguous: those given with a stride go between guards too.
                    let src = if src_stride == 1 { src.cast() } else { packed.at_end(&acc[..n]) };
                    let args = ScaleArgs {
                        tile: Tile {
                            src,
                            dst: dst.cast(),
                            dst_stride,
                            n,
                            rows: 1,
                            src_row_stride: 0,
                            dst_row_stride: 0,
                            row_factors: &row_factor,
                            factors: factors_at.at_end(&factors[..n]),
                        },
                        bias: if with_bias { bias_at.at_end(&bias[..n]) } else { std::ptr::null() },
                        may_be_nan: true,
                        relu,
                    };
                    // SAFETY: the row is bound; sums, factors, bias and results are as long as the run.
                    unsafe { run(&args) }
                });
            }
        }
        count(scale::S32_F32, row, calls);
    }
    report();
}

/// A code's multiplier, as the op makes it of a row's factor, a column's and the step; whole: the column's.
fn multiplier(row_factor: Option<f32>, factor: f32, step: f32) -> f32 {
    row_factor.map_or(factor, |row_factor| row_factor * factor / step)
}

#[test]
fn scale_rows_to_codes() {
    let mut arenas = Arenas::new();
    let [mut packed, mut factors_at] = [(); 2].map(|()| GuardedBuf::new(4096));
    let mut rng = Rng::new(seed() ^ 11);
    for (table, format) in [(scale::S32_S8, IntFormat::S8), (scale::S32_U8, IntFormat::U8)] {
        let (qmin, qmax) = (format.qmin(), format.qmax());
        for row in runnable(table) {
            let (name, run) = (row.name(), row.run());
            let mut calls = 0;
            // Row factors may be products that overflowed or vanished, and so may multipliers.
            for (row_factor, step) in [
                (None, 1.0),
                (Some(0.013), 0.7),
                (Some(f32::from_bits(1)), f32::MAX),
                (Some(f32::MAX), f32::MIN_POSITIVE),
                (Some(f32::INFINITY), 2.0),
            ] {
                for zero_point in [qmin, qmin + 7, qmax] {
                    let mut clamp = [qmin, qmax];
                    if rng.below(2) == 0 {
                        clamp = [(); 2].map(|()| qmin + rng.below(256) as i32);
                        clamp.sort_unstable();
                    }
                    let clamp = (clamp[0], clamp[1]);
                    let acc = sums(&mut rng);
                    // Column factors are scales, or as whole ones quotients of scales: 0 and infinity too.
                    let factors: Vec<f32> = numbers(&mut rng)
                        .into_iter()
                        .map(|x| match x {
                            _ if x.is_nan() => 0.5,
                            _ if row_factor.is_some() && x.is_infinite() => 2.0,
                            _ => x.abs() * 2f32.powi(-(rng.below(32) as i32)),
                        })
                        // A scale is greater than 0.
                        .map(|x| match row_factor {
                            Some(_) => x.max(f32::from_bits(1)),
                            None => x,
                        })
                        .collect();
                    let want: Vec<u8> = (0..N)
                        .map(|i| {
                            let m = multiplier(row_factor, factors[i], step);
                            fewbit_scheme::requantize(acc[i], m, zero_point, format, clamp) as u8
                        })
                        .collect();
                    let case = Case {
                        label: format!(
                            "{name} {row_factor:?} / {step} + {zero_point} in {clamp:?}"
                        ),
                        src_size: 4,
                        src: bytes(&acc),
                        dst_size: 1,
                        want: &want,
                    };
                    calls += arenas.check(&case, &mut |src, src_stride, dst, dst_stride, n| {
                        let src =
                            if src_stride == 1 { src.cast() } else { packed.at_end(&acc[..n]) };
                        let args = ScaleCodesArgs {
                            tile: Tile {
                                src,
                                dst,
                                dst_stride,
                                n,
                                rows: 1,
                                src_row_stride: 0,
                                dst_row_stride: 0,
                                row_factors: row_factor.as_ref().map_or(std::ptr::null(), |f| f),
                                factors: factors_at.at_end(&factors[..n]),
                            },
                            step,
                            zero_point,
                            clamp,
                            saturates: false,
                        };
                        // SAFETY: the row is bound; sums, factors and results are as long as the run.
                        unsafe { run(&args) }
                    });
                }
            }
            count(table, row, calls);
        }
    }
    report();
}

/// Rows and columns of a tile, and how far rows are apart beside them.
const SHAPES: [(usize, usize, usize); 9] = [
    (1, 1, 0),
    (2, 3, 5),
    (12, 32, 0),
    (12, 31, 7),
    (5, 257, 3),
    (7, 24, 2),
    (27, 63, 1),
    (0, 4, 0),
    (3, 0, 1),
];

/// Tiles to codes: as [`rows_of_a_tile`].
#[test]
fn rows_of_a_tile_to_codes() {
    let mut rng = Rng::new(seed() ^ 12);
    for (table, format) in [(scale::S32_S8, IntFormat::S8), (scale::S32_U8, IntFormat::U8)] {
        for row in runnable(table) {
            for (i, (rows, n, apart)) in
                SHAPES.into_iter().cycle().take(4 * SHAPES.len()).enumerate()
            {
                let whole = i / SHAPES.len() % 2 == 1;
                // Products are below 2^25 here, and of all sizes.
                let saturates = i / SHAPES.len() >= 2;
                let (src_row_stride, dst_row_stride) = (n + apart, n + 2 * apart);
                let acc: Vec<i32> = (0..rows * src_row_stride)
                    .map(|_| rng.next_u32() as i32 >> rng.below(32))
                    .collect();
                let row_factors: Vec<f32> = (0..rows).map(|_| rng.unit()).collect();
                let factors: Vec<f32> = (0..n).map(|_| rng.unit() * 0.01).collect();
                let (step, zero_point) = (0.7, format.qmin() + 9);
                let clamp = match saturates {
                    true => (format.qmin(), format.qmax()),
                    false => (format.qmin() + 2, format.qmax() - 3),
                };
                let mut want = vec![99u8; rows * dst_row_stride];
                let mut got = want.clone();
                for r in 0..rows {
                    for i in 0..n {
                        let factor = (!whole).then(|| row_factors[r]);
                        let m = multiplier(factor, factors[i], step);
                        let sum = acc[r * src_row_stride + i];
                        want[r * dst_row_stride + i] =
                            fewbit_scheme::requantize(sum, m, zero_point, format, clamp) as u8;
                    }
                }
                let args = ScaleCodesArgs {
                    tile: Tile {
                        src: acc.as_ptr(),
                        dst: got.as_mut_ptr(),
                        dst_stride: 1,
                        n,
                        rows,
                        src_row_stride,
                        dst_row_stride,
                        row_factors: if whole { std::ptr::null() } else { row_factors.as_ptr() },
                        factors: factors.as_ptr(),
                    },
                    step,
                    zero_point,
                    clamp,
                    saturates,
                };
                // SAFETY: the row is bound; rows and factors are as long as they say.
                unsafe { row.run()(&args) };
                assert!(got == want, "{} {rows} rows of {n}", row.name());
                count(table, row, rows * n);
            }
        }
    }
    report();
}

/// Tiles of sums: rows apart on both sides, each with a factor of its own; what lies between them stays.
#[test]
fn rows_of_a_tile() {
    let mut rng = Rng::new(seed() ^ 10);
    for row in runnable(scale::S32_F32) {
        for (i, (rows, n, apart)) in SHAPES.into_iter().cycle().take(2 * SHAPES.len()).enumerate() {
            // Without factors of the rows those of the columns are whole.
            let whole = i >= SHAPES.len();
            let (src_row_stride, dst_row_stride) = (n + apart, n + 2 * apart);
            let acc: Vec<i32> = (0..rows * src_row_stride)
                .map(|_| rng.next_u32() as i32 >> rng.below(32))
                .collect();
            let row_factor = |_| if whole { 1.0 } else { rng.unit() };
            let row_factors: Vec<f32> = (0..rows).map(row_factor).collect();
            let factors: Vec<f32> = (0..n).map(|_| rng.unit()).collect();
            let bias: Vec<f32> = (0..n).map(|_| rng.normal()).collect();
            let mut want = vec![-7.0f32; rows * dst_row_stride];
            let mut got = want.clone();
            for r in 0..rows {
                for i in 0..n {
                    let sum = acc[r * src_row_stride + i];
                    want[r * dst_row_stride + i] =
                        fewbit_scheme::scale(sum, row_factors[r], factors[i], Some(bias[i]), false);
                }
            }
            let args = ScaleArgs {
                tile: Tile {
                    src: acc.as_ptr(),
                    dst: got.as_mut_ptr(),
                    dst_stride: 1,
                    n,
                    rows,
                    src_row_stride,
                    dst_row_stride,
                    row_factors: if whole { std::ptr::null() } else { row_factors.as_ptr() },
                    factors: factors.as_ptr(),
                },
                bias: bias.as_ptr(),
                may_be_nan: false,
                relu: false,
            };
            // SAFETY: the row is bound; rows, factors and bias are as long as they say.
            unsafe { row.run()(&args) };
            assert!(bytes(&got) == bytes(&want), "{} {rows} rows of {n}", row.name());
            count(scale::S32_F32, row, rows * n);
        }
    }
    report();
}
