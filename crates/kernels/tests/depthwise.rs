//! Depthwise convolution against sums in i64: every row, all small numbers of channels, taps and pixels, extremes,
//! between guard pages.

mod common;

use common::{count, runnable};
use fewbit_kernels::depthwise::{CHANNELS, DEPTHWISE_S8, DEPTHWISE_U8, DepthwiseArgs};
use fewbit_testkit::{GuardedBuf, Rng, fraction, report, seed};

#[test]
fn sums_are_exact() {
    let mut rng = Rng::new(seed() ^ 91);
    let [mut codes, mut weights, mut start, mut taps, mut dst] =
        [(); 5].map(|()| GuardedBuf::new(1 << 18));
    let rounds = (40 / fraction("depthwise rounds", 4)).max(4);
    for (table, signed) in [(DEPTHWISE_S8, true), (DEPTHWISE_U8, false)] {
        let value = |q: u8| if signed { i64::from(q as i8) } else { i64::from(q) };
        for row in runnable(table) {
            let mut calls = 0;
            for (channels, round) in (1..=70).flat_map(|c| (0..rounds).map(move |r| (c, r))) {
                let tap_count: usize = rng.pick(&[1, 2, 3, 4, 8, 9, 25]);
                let pairs = tap_count.div_ceil(2);
                let pixels = rng.below(11);
                let (step, gap) = (1 + rng.below(3), rng.below(4));
                let pixel_stride = step * channels + gap;
                let reach = pixels.saturating_sub(1) * pixel_stride + channels;
                let mut q = rng.bytes(reach + 64);
                let padded = channels.next_multiple_of(CHANNELS);
                let weight_channels = padded + CHANNELS * rng.below(2);
                let extra = weight_channels - padded;
                let mut w: Vec<i16> = (0..pairs * weight_channels * 2 - 2 * extra)
                    .map(|_| rng.below(511) as i16 - 255)
                    .collect();
                let s: Vec<i32> = (0..padded).map(|_| rng.next_u32() as i32 >> 8).collect();
                match round % 4 {
                    1 => (q.fill(0x80), w.fill(-255)).0,
                    2 => (q.fill(0xFF), w.fill(255)).0,
                    _ => {}
                }
                // Places of the taps' codes: the last one ends at the guard.
                let mut at: Vec<usize> = (0..2 * pairs).map(|_| rng.below(65)).collect();
                at[tap_count - 1] = 64;
                let offset = rng.below(1000);
                let base = codes.at_end(&q).cast_const();
                let addresses: Vec<*const u8> =
                    at.iter().map(|&at| base.wrapping_add(at).wrapping_sub(offset)).collect();
                let dst_stride = channels + rng.below(3);
                let sums = pixels.saturating_sub(1) * dst_stride + channels;
                let sums = if pixels == 0 { 0 } else { sums };
                let args = DepthwiseArgs {
                    taps: taps.at_end(&addresses),
                    offset,
                    pairs,
                    pixels,
                    pixel_stride,
                    weights: weights.at_end(&w),
                    weight_channels,
                    start: start.at_end(&s),
                    channels,
                    dst: dst.at_end(&vec![0x5A5A_5A5A_i32; sums]),
                    dst_stride,
                };
                // SAFETY: the row is bound; the buffers hold what the arguments say.
                let got = unsafe {
                    row.run()(&args);
                    std::slice::from_raw_parts(args.dst, sums)
                };
                for (i, &got) in got.iter().enumerate() {
                    let (pixel, c) = (i / dst_stride, i % dst_stride);
                    let want = if c < channels {
                        let product = |(tap, at): (usize, &usize)| {
                            let w = w[(tap / 2 * weight_channels + c) * 2 + tap % 2];
                            value(q[at + pixel * pixel_stride + c]) * i64::from(w)
                        };
                        i64::from(s[c]) + at.iter().enumerate().map(product).sum::<i64>()
                    } else {
                        0x5A5A_5A5A
                    };
                    let name = row.name();
                    assert_eq!(
                        i64::from(got),
                        want,
                        "{name}: {channels} x {tap_count}, {pixel} {c}"
                    );
                }
                calls += 1;
            }
            count(table, row, calls);
        }
    }
    report();
}
