//! Every row of softmax's steps against the contract, bit for bit: rows of every length between unreadable pages, with gaps
//! that stay as they are, in place and not, extremes among the numbers.

mod common;

use common::{bytes, count, extremes, runnable};
use fewbit_kernels::registry::Row;
use fewbit_kernels::softmax::{
    EXP_SUMS, EXPS, LOG_SOFTMAX, PEAKS, SOFTMAX, SoftmaxArgs, SoftmaxFn,
};
use fewbit_scheme::reduce::BLOCK;
use fewbit_scheme::softmax::{exp, exp_sum, ln, peak};
use fewbit_testkit::{GuardedBuf, Rng, report, seed};

/// Lengths of rows: all short ones, around the sums' lanes and blocks.
fn lengths() -> impl Iterator<Item = usize> {
    (0..=200).chain([255, 256, 257, 511, 512, 513, 1023, 1500, 4031, 4095, 4096])
}

/// Rows whose peaks are finite, most of them; others have what makes a row NaN.
fn numbers(rng: &mut Rng, n: usize) -> Vec<f32> {
    let (spread, offset) = (rng.pick(&[1e-3, 1.0, 30.0, 1e4]), rng.pick(&[0.0, -50.0, 1e5]));
    let mut x: Vec<f32> = (0..n)
        .map(|_| match rng.below(40) {
            0 => f32::NEG_INFINITY,
            1 => rng.pick(&[0.0, -0.0, 1e-40, f32::MIN]),
            _ => rng.normal() * spread + offset,
        })
        .collect();
    if rng.below(4) == 0 && n > 0 {
        let at = rng.below(n);
        x[at] = rng.pick(&extremes(1.0));
    }
    if rng.below(20) == 0 {
        x.fill(f32::NEG_INFINITY);
    }
    x
}

/// One row's results, as the contract has them: `None` where they are unspecified.
fn want(op: &str, x: &[f32], peak: f32, sum: f32) -> Vec<Option<f32>> {
    let nan = f32::from_bits(0x7FC0_0000);
    let of = |x: f32| match op {
        "exps_f32" => peak.is_finite().then(|| exp(x - peak)),
        "softmax_f32" => Some(if sum.is_nan() { nan } else { x * (1.0 / sum) }),
        _ => Some(if sum.is_nan() { nan } else { (x - peak) - ln(sum) }),
    };
    x.iter().map(|&x| of(x)).collect()
}

/// Runs a step's rows over rows of all lengths.
fn check(table: &'static [Row<SoftmaxFn>], op: &str, results: bool, sums: bool) {
    let mut rng = Rng::new(seed() ^ 0x50F7);
    let [mut src_at, mut dst_at] = [(); 2].map(|()| GuardedBuf::new(1 << 16));
    let [mut peaks_at, mut sums_at] = [(); 2].map(|()| GuardedBuf::new(4096));
    for row in runnable(table) {
        for n in lengths() {
            let in_place = results && rng.below(3) == 0;
            let rows = 1 + rng.below(3);
            let src_stride = n + rng.below(3);
            let dst_stride = if in_place { src_stride } else { n + rng.below(3) };
            let mut x: Vec<f32> = vec![-7.0; (rows - 1) * src_stride + n];
            let (mut peaks, mut totals) = (vec![0.0; rows], vec![0.0; rows]);
            for r in 0..rows {
                let values = numbers(&mut rng, n);
                let highest = peak(&values);
                let total = if highest.is_finite() { exp_sum(&values, highest) } else { f32::NAN };
                (peaks[r], totals[r]) = (highest, fewbit_scheme::real::canonical(total));
                // Shares are made of exponentials.
                let values = match op {
                    "softmax_f32" if highest.is_finite() => {
                        values.iter().map(|v| exp(v - highest)).collect()
                    }
                    _ => values,
                };
                x[r * src_stride..][..n].copy_from_slice(&values);
            }
            let gaps = vec![-7.0f32; (rows - 1) * dst_stride + n];
            let src = src_at.at_end(&x);
            let given =
                |values: &[f32], is: bool| if is { values.to_vec() } else { vec![9.0; rows] };
            let args = SoftmaxArgs {
                src,
                dst: match (results, in_place) {
                    (false, _) => std::ptr::null_mut(),
                    (true, true) => src,
                    (true, false) => dst_at.at_end(&gaps),
                },
                n,
                rows,
                src_stride,
                dst_stride,
                peaks: peaks_at.at_end(&given(&peaks, op != "peaks_f32")),
                sums: sums_at.at_end(&given(&totals, !sums)),
            };
            // SAFETY: the row is bound; the buffers hold rows, peaks and sums.
            let (got_peaks, got_sums) = unsafe {
                row.run()(&args);
                (
                    std::slice::from_raw_parts(args.peaks, rows),
                    std::slice::from_raw_parts(args.sums, rows),
                )
            };
            let label = format!("{} {rows} rows of {n}", row.name());
            assert!(
                got_peaks.iter().zip(&peaks).all(|(a, b)| a == b),
                "{label}: {got_peaks:?} {peaks:?}"
            );
            if sums {
                assert_eq!(bytes(got_sums), bytes(&totals), "{label}: {got_sums:?} {totals:?}");
            }
            if !results {
                continue;
            }
            // SAFETY: what the kernel was given to write.
            let got = unsafe { std::slice::from_raw_parts(args.dst, gaps.len()) };
            for (r, part) in got.chunks(dst_stride.max(1)).enumerate() {
                let (values, gap) = part.split_at(n);
                assert!(gap.iter().all(|&got| got == -7.0), "{label}: wrote between rows");
                let want = want(op, &x[r * src_stride..][..n], peaks[r], totals[r]);
                for (i, (got, want)) in values.iter().zip(want).enumerate() {
                    if let Some(want) = want {
                        let same = got.to_bits() == want.to_bits();
                        assert!(same, "{label}: {r} {i}: {got:e} {want:e}");
                    }
                }
            }
        }
        count(table, row, lengths().count());
    }
    report();
}

#[test]
fn peaks_of_rows() {
    check(PEAKS, "peaks_f32", false, false);
}

#[test]
fn exponentials() {
    check(EXPS, "exps_f32", true, true);
}

#[test]
fn sums_of_exponentials() {
    check(EXP_SUMS, "exp_sums_f32", false, true);
}

#[test]
fn shares() {
    check(SOFTMAX, "softmax_f32", true, false);
}

#[test]
fn logarithms() {
    check(LOG_SOFTMAX, "log_softmax_f32", true, false);
}

/// The exponential of every kind of difference, not of those alone that rows happen to have.
#[test]
fn the_exponential() {
    let (first, stride) = fewbit_testkit::sweep("vector exp", 16_411);
    for row in runnable(EXPS) {
        let mut bits = Some(first);
        while let Some(b) = bits {
            let mut x = vec![0.0f32];
            while let Some(b) = bits.filter(|_| x.len() < BLOCK) {
                let d = -f32::from_bits(b & 0x7FFF_FFFF);
                x.push(if d.is_nan() { f32::NEG_INFINITY } else { d });
                bits = b.checked_add(stride);
            }
            let (mut y, mut highest, mut sum) = (vec![0.0; x.len()], 0.0, 0.0);
            let args = SoftmaxArgs {
                src: x.as_ptr(),
                dst: y.as_mut_ptr(),
                n: x.len(),
                rows: 1,
                src_stride: 0,
                dst_stride: 0,
                peaks: &raw mut highest,
                sums: &raw mut sum,
            };
            // SAFETY: the row is bound; the vectors are as long as it says.
            unsafe { row.run()(&args) };
            for (x, y) in x.iter().zip(&y) {
                assert_eq!(y.to_bits(), exp(*x).to_bits(), "{} {x:e} at {b:x}", row.name());
            }
        }
    }
}
