//! Maxima and sums of windows against plain loops: every row, all small numbers of codes, boxes of taps, windows,
//! extremes, between guard pages.

mod common;

use common::{count, runnable};
use fewbit_kernels::pool::{self, MaxArgs, SumsArgs, Windows};
use fewbit_testkit::{GuardedBuf, Rng, fraction, report, seed};

/// A box of taps and its windows.
struct Case {
    counts: [usize; 3],
    strides: [usize; 3],
    pixels: usize,
    pixel_stride: usize,
    n: usize,
    dst_stride: usize,
    codes: Vec<u8>,
}

impl Case {
    fn new(rng: &mut Rng, n: usize, round: usize) -> Case {
        let counts = match round % 8 {
            // Sums beyond 16 bits, and rows of taps on both sides of where they are widened.
            0 => [1, rng.pick(&[1, 3]), rng.pick(&[127, 128, 129, 300])],
            1 => [2, 30 + rng.below(9), 1 + rng.below(5)],
            _ => [1 + rng.below(3), 1 + rng.below(4), 1 + rng.below(5)],
        };
        let any = 3 + rng.below(40);
        let strides = [(); 3].map(|()| rng.pick(&[0, 1, n, 2 * n + 1, any]));
        let (pixels, pixel_stride) = (rng.below(4), rng.pick(&[1, n, 2 * n + 3]));
        let reach = |count: usize, stride: usize| count.saturating_sub(1) * stride;
        let taps: usize = counts.iter().zip(strides).map(|(&c, s)| reach(c, s)).sum();
        let len = if pixels == 0 { 0 } else { taps + reach(pixels, pixel_stride) + n };
        let mut codes = rng.bytes(len);
        match round % 5 {
            1 => codes.fill(0x80),
            2 => codes.fill(0xFF),
            3 => codes.fill(0x7F),
            _ => {}
        }
        let dst_stride = n + rng.below(3);
        Case { counts, strides, pixels, pixel_stride, n, dst_stride, codes }
    }

    /// The codes under a window's code number `i`.
    fn taps(&self, pixel: usize, i: usize) -> impl Iterator<Item = u8> {
        let [depth, height, width] = self.counts;
        let [by_depth, by_height, by_width] = self.strides;
        let from = pixel * self.pixel_stride + i;
        (0..depth).flat_map(move |d| {
            (0..height).flat_map(move |h| {
                (0..width)
                    .map(move |w| self.codes[from + d * by_depth + h * by_height + w * by_width])
            })
        })
    }

    fn windows(&self, src: *const u8) -> Windows {
        let Case { counts, strides, pixels, pixel_stride, n, .. } = *self;
        Windows { src, counts, strides, pixels, pixel_stride, n }
    }

    /// Results, gaps included.
    fn results(&self) -> usize {
        if self.pixels == 0 { 0 } else { (self.pixels - 1) * self.dst_stride + self.n }
    }
}

/// Cases of every small number of codes and some larger ones.
fn cases(rng: &mut Rng, mut check: impl FnMut(&mut Rng, &Case)) -> usize {
    let rounds = (24 / fraction("pool rounds", 4)).max(8);
    let mut calls = 0;
    for n in (1..=140).chain([159, 192, 255, 256, 257, 300]) {
        for round in 0..rounds {
            let case = Case::new(rng, n, round);
            check(rng, &case);
            calls += 1;
        }
    }
    calls
}

#[test]
fn maxima_are_the_largest_codes() {
    let mut rng = Rng::new(seed() ^ 101);
    let [mut codes, mut dst] = [(); 2].map(|()| GuardedBuf::new(1 << 18));
    for (table, signed) in [(pool::MAX_S8, true), (pool::MAX_U8, false)] {
        for row in runnable(table) {
            let calls = cases(&mut rng, |rng, case| {
                let results = vec![0x5A_u8; case.results()];
                // Both ends against a guard.
                let (src, to) = if rng.below(2) == 0 {
                    (codes.at_end(&case.codes), dst.at_end(&results))
                } else {
                    (codes.at_start(&case.codes), dst.at_start(&results))
                };
                let windows = case.windows(src);
                // SAFETY: the row is bound; the buffers hold what the arguments say.
                let got = unsafe {
                    row.run()(&MaxArgs { windows, dst: to, dst_stride: case.dst_stride });
                    std::slice::from_raw_parts(to, results.len())
                };
                for (at, &got) in got.iter().enumerate() {
                    let (pixel, i) = (at / case.dst_stride, at % case.dst_stride);
                    let want = match i < case.n {
                        true if signed => case.taps(pixel, i).map(|q| q as i8).max().unwrap() as u8,
                        true => case.taps(pixel, i).max().unwrap(),
                        false => 0x5A,
                    };
                    assert_eq!(got, want, "{}: {windows:?} {at}", row.name());
                }
            });
            count(table, row, calls);
        }
    }
    report();
}

#[test]
fn sums_are_exact() {
    let mut rng = Rng::new(seed() ^ 102);
    let mut codes = GuardedBuf::new(1 << 18);
    let mut dst = GuardedBuf::new(1 << 18);
    for (table, signed) in [(pool::SUMS_S8, true), (pool::SUMS_U8, false)] {
        let value = |q: u8| if signed { i64::from(q as i8) } else { i64::from(q) };
        for row in runnable(table) {
            let calls = cases(&mut rng, |rng, case| {
                let results = vec![0x5A5A_5A5A_i32; case.results()];
                let (src, to) = if rng.below(2) == 0 {
                    (codes.at_end(&case.codes), dst.at_end(&results))
                } else {
                    (codes.at_start(&case.codes), dst.at_start(&results))
                };
                let windows = case.windows(src);
                let start = rng.pick(&[0, -1000, 1 << 29, i32::MIN / 2]);
                let args = SumsArgs { windows, start, dst: to, dst_stride: case.dst_stride };
                // SAFETY: as above.
                let got = unsafe {
                    row.run()(&args);
                    std::slice::from_raw_parts(to, results.len())
                };
                for (at, &got) in got.iter().enumerate() {
                    let (pixel, i) = (at / case.dst_stride, at % case.dst_stride);
                    let want = match i < case.n {
                        true => i64::from(start) + case.taps(pixel, i).map(value).sum::<i64>(),
                        false => 0x5A5A_5A5A,
                    };
                    assert_eq!(i64::from(got), want, "{}: {windows:?} {at}", row.name());
                }
            });
            count(table, row, calls);
        }
    }
    report();
}

/// The longest window that sums take, of the codes whose sum is largest.
#[test]
fn the_largest_window_is_exact() {
    let taps = fewbit_scheme::MAX_AVERAGE;
    for (table, code, want) in
        [(pool::SUMS_S8, 0x80_u8, -128 * (1_i64 << 23)), (pool::SUMS_U8, 0xFF, 255 * (1_i64 << 23))]
    {
        for row in runnable(table) {
            let (codes, mut dst) = ([code; 70], [0_i32; 70]);
            let windows = Windows {
                src: codes.as_ptr(),
                counts: [1, 8, taps / 8],
                strides: [0; 3],
                pixels: 1,
                pixel_stride: 0,
                n: if fraction("the largest window", 70) == 1 { 70 } else { 1 },
            };
            // SAFETY: every tap is the codes.
            unsafe {
                row.run()(&SumsArgs { windows, start: 0, dst: dst.as_mut_ptr(), dst_stride: 0 });
            }
            assert!(dst[..windows.n].iter().all(|&sum| i64::from(sum) == want), "{}", row.name());
            count(table, row, 1);
        }
    }
    report();
}
