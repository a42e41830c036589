//! Sums of rows and the largest magnitude, and fixed-point requantization of grids, against the contract.

mod common;

use common::{count, inputs, runnable};
use fewbit_kernels::Rows;
use fewbit_kernels::reduce::{self, CodeSumsArgs, MAX_COLUMNS, SumsArgs};
use fewbit_kernels::requantize::{self, RequantizeFixedArgs};
use fewbit_scheme::reduce::{absmax, code_sum, sum_f32};
use fewbit_scheme::{FixedMultiplier, FixedRounding, IntFormat};
use fewbit_testkit::{GuardedBuf, Rng, report, seed};

/// Lengths of rows: all short ones, around the sum's lanes and blocks.
fn lengths() -> impl Iterator<Item = usize> {
    (0..=257).chain([511, 512, 513, 4031, 4095, 4096, 4097, 4160, 8191, 8192, 8193, 12_345])
}

/// Numbers whose sums depend on their order; now and then one that is not finite.
fn numbers(rng: &mut Rng, n: usize) -> Vec<f32> {
    let odd = rng.below(4) == 0;
    (0..n)
        .map(|_| match rng.below(200) {
            0 if odd => rng.pick(&[f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38]),
            1 => -0.0,
            2 => 1e-45,
            _ => rng.normal() * [1e-3, 1.0, 1e4][rng.below(3)],
        })
        .collect()
}

#[test]
fn sums_of_rows() {
    let (mut src, mut sums) = (GuardedBuf::new(1 << 18), GuardedBuf::new(4096));
    let mut rng = Rng::new(seed() ^ 81);
    for row in runnable(reduce::ROW_SUMS) {
        for n in lengths() {
            let rows = 1 + rng.below(3);
            let row_stride = n + rng.below(3);
            let x = match n {
                // Of zeros, +0.
                7 => vec![-0.0; (rows - 1) * row_stride + n],
                _ => numbers(&mut rng, (rows - 1) * row_stride + n),
            };
            let args = SumsArgs {
                src: src.at_end(&x),
                n,
                rows,
                row_stride,
                sums: sums.at_end(&vec![1.0_f32; rows]),
            };
            // SAFETY: the row is bound; the buffers hold rows and sums.
            let got = unsafe {
                row.run()(&args);
                std::slice::from_raw_parts(args.sums, rows)
            };
            for (i, got) in got.iter().enumerate() {
                let want = sum_f32(&x[i * row_stride..][..n]);
                assert_eq!(got.to_bits(), want.to_bits(), "{}: {n}: {got} {want}", row.name());
            }
        }
        count(reduce::ROW_SUMS, row, lengths().count());
    }
    report();
}

/// Rows without elements may lie at any distance: there is nothing to read, and no distance to overflow.
#[test]
fn sums_of_empty_rows() {
    let mut sums = GuardedBuf::new(64);
    for row_stride in [usize::MAX, usize::MAX / 2 + 1, usize::MAX / 3 * 2] {
        for row in runnable(reduce::ROW_SUMS) {
            let sums = sums.at_end(&[f32::NAN; 5]);
            let args = SumsArgs { src: std::ptr::null(), n: 0, rows: 5, row_stride, sums };
            // SAFETY: the row is bound; no number is read, and five sums are written.
            let got = unsafe {
                row.run()(&args);
                std::slice::from_raw_parts(args.sums, 5)
            };
            assert!(got.iter().all(|sum| sum.to_bits() == 0), "{}: {got:?}", row.name());
        }
        for table in [reduce::ROW_SUMS_S8, reduce::ROW_SUMS_U8] {
            for row in runnable(table) {
                let sums = sums.at_end(&[-1; 5]);
                let args = CodeSumsArgs { src: std::ptr::null(), n: 0, rows: 5, row_stride, sums };
                // SAFETY: as above.
                let got = unsafe {
                    row.run()(&args);
                    std::slice::from_raw_parts(args.sums, 5)
                };
                assert_eq!(got, [0; 5], "{}", row.name());
            }
        }
    }
}

#[test]
fn largest_magnitudes() {
    let mut src = GuardedBuf::new(1 << 18);
    let mut rng = Rng::new(seed() ^ 82);
    for row in runnable(reduce::ABSMAX) {
        for n in lengths() {
            let mut x = numbers(&mut rng, n);
            for (x, any) in x.iter_mut().zip(inputs(&mut rng, 1.0)) {
                *x = if rng.below(2) == 0 { any } else { *x };
            }
            if n % 5 == 4 {
                x.fill(f32::from_bits(0xFFC1_2345));
            }
            // SAFETY: the row is bound; the buffer holds the numbers.
            let got = unsafe { row.run()(src.at_end(&x), n) };
            let want = absmax(&x);
            assert_eq!(got.to_bits(), want.to_bits(), "{}: {n}: {got} {want}", row.name());
        }
        count(reduce::ABSMAX, row, lengths().count());
    }
    report();
}

#[test]
fn sums_of_codes() {
    let (mut src, mut sums) = (GuardedBuf::new(1 << 18), GuardedBuf::new(4096));
    let mut rng = Rng::new(seed() ^ 83);
    for (table, signed) in [(reduce::ROW_SUMS_S8, true), (reduce::ROW_SUMS_U8, false)] {
        let value = |q: u8| if signed { i32::from(q as i8) } else { i32::from(q) };
        for row in runnable(table) {
            for n in lengths() {
                let rows = 1 + rng.below(3);
                let row_stride = n + rng.below(3);
                let mut q = rng.bytes((rows - 1) * row_stride + n);
                match n % 7 {
                    3 => q.fill(0x80),
                    4 => q.fill(0x7F),
                    5 => q.fill(0xFF),
                    _ => {}
                }
                let args = CodeSumsArgs {
                    src: src.at_end(&q),
                    n,
                    rows,
                    row_stride,
                    sums: sums.at_end(&vec![1_i32; rows]),
                };
                // SAFETY: the row is bound; the buffers hold rows and sums.
                let got = unsafe {
                    row.run()(&args);
                    std::slice::from_raw_parts(args.sums, rows)
                };
                for (i, &got) in got.iter().enumerate() {
                    let want = code_sum(q[i * row_stride..][..n].iter().map(|&q| value(q)));
                    assert_eq!(i64::from(got), want, "{}: {n}", row.name());
                }
            }
            // The longest rows, of the largest codes.
            for code in [0x80, 0x7F, 0xFF] {
                let q = vec![code; MAX_COLUMNS];
                let mut sum = 0;
                let (n, sums) = (q.len(), &raw mut sum);
                let args = CodeSumsArgs { src: q.as_ptr(), n, rows: 1, row_stride: n, sums };
                // SAFETY: as above.
                unsafe { row.run()(&args) };
                assert_eq!(i64::from(sum), i64::from(value(code)) << 23, "{}", row.name());
            }
            count(table, row, lengths().count() + 3);
        }
    }
    report();
}

/// Per row, per column, and per tensor, in both modes.
#[test]
fn requantize_fixed_grids() {
    let mut rng = Rng::new(seed() ^ 84);
    let mut buffers: [GuardedBuf; 5] = std::array::from_fn(|_| GuardedBuf::new(1 << 16));
    let [src, dst, multipliers, shifts, zeros] = &mut buffers;
    let tables =
        [(requantize::S32_S8_FIXED, IntFormat::S8), (requantize::S32_U8_FIXED, IntFormat::U8)];
    for (table, format) in tables {
        for row in runnable(table) {
            for case in 0..600 {
                let (n, rows) = (1 + rng.below(100), 1 + rng.below(9));
                let (param_step, param_stride) = [(0, 0), (0, 1), (1, 0), (1, n)][case % 4];
                let row_stride = n + rng.below(3);
                let params = (rows - 1) * param_stride + (n - 1) * param_step + 1;
                let acc: Vec<i32> = (0..(rows - 1) * row_stride + n)
                    .map(|i| match rng.below(20) {
                        0 => rng.pick(&[i32::MIN, i32::MAX, -1, 0, 1 << 30, -(1 << 30)]),
                        _ => rng.next_u32() as i32 >> (i % 32),
                    })
                    .collect();
                let fixed: Vec<FixedMultiplier> = (0..params)
                    .map(|_| match rng.below(3) {
                        0 => FixedMultiplier {
                            multiplier: rng.pick(&[0, 1, 1 << 30, i32::MAX]),
                            shift: rng.pick(&[-31, -1, 0, 1, 30]),
                        },
                        _ => FixedMultiplier::from_real(f64::from(rng.unit()) * 0.01).unwrap(),
                    })
                    .collect();
                let mantissas: Vec<i32> = fixed.iter().map(|m| m.multiplier).collect();
                let exponents: Vec<i32> = fixed.iter().map(|m| m.shift).collect();
                let zero_points: Vec<i32> =
                    (0..params).map(|_| format.qmin() + rng.below(256) as i32).collect();
                let rounding = rng.pick(&[FixedRounding::Double, FixedRounding::Single]);
                let clamp = (format.qmin() + rng.below(9) as i32, format.qmax());
                let with_zeros = rng.below(4) > 0;
                let len = (rows - 1) * row_stride + n;
                let args = RequantizeFixedArgs {
                    src: src.at_end(&acc),
                    src_stride: 1,
                    dst: dst.at_end(&vec![0xA5_u8; len]),
                    dst_stride: 1,
                    n,
                    multipliers: multipliers.at_end(&mantissas),
                    shifts: shifts.at_end(&exponents),
                    zero_points: match with_zeros {
                        true => zeros.at_end(&zero_points),
                        false => std::ptr::null(),
                    },
                    param_step,
                    rows: Rows {
                        count: rows,
                        src_stride: row_stride,
                        dst_stride: row_stride,
                        param_stride,
                    },
                    clamp,
                    rounding,
                };
                // SAFETY: the row is bound; the buffers hold the grid and its parameters.
                let got = unsafe {
                    row.run()(&args);
                    std::slice::from_raw_parts(args.dst, len)
                };
                for (at, &got) in got.iter().enumerate() {
                    let (r, i) = (at / row_stride, at % row_stride);
                    if i >= n {
                        assert_eq!(got, 0xA5, "{} wrote between rows", row.name());
                        continue;
                    }
                    let param = r * param_stride + i * param_step;
                    let zero_point = if with_zeros { zero_points[param] } else { 0 };
                    let want = fewbit_scheme::requantize_fixed(
                        acc[at],
                        fixed[param],
                        rounding,
                        zero_point,
                        format,
                        clamp,
                    );
                    let (acc, fixed) = (acc[at], fixed[param]);
                    assert_eq!(got, want as u8, "{} {rounding:?} {acc} {fixed:?}", row.name());
                }
            }
            count(table, row, 600);
        }
    }
    report();
}
