//! Depthwise convolution against sums in i64: every row, all small numbers of channels, taps and pixels, strides, extremes,
//! between guard pages.

mod common;

use common::runnable;
use fewbit_kernels::depthwise::{
    CHANNELS, DEPTHWISE, DepthwiseArgs, WIDEN_S8, WIDEN_U8, WidenArgs, WidenFn, computed, pairs,
    taps_of_pair,
};
use fewbit_kernels::registry::{Bound, bind};
use fewbit_testkit::{GuardedBuf, Rng, fraction, limited, report, seed};

/// The value of each of a block's elements: all codes of a line with one channel set at a time would be slow, so elements are
/// found by widening the numbers of channels.
fn order(widen: Bound<WidenFn>) -> Vec<usize> {
    let numbers: Vec<u8> = (0..CHANNELS as u8).collect();
    let mut line = vec![0i16; CHANNELS];
    // SAFETY: one pixel of a block.
    unsafe {
        widen.run()(&WidenArgs {
            src: numbers.as_ptr(),
            src_stride: 0,
            pixels: 1,
            channels: CHANNELS,
            dst: line.as_mut_ptr(),
            dst_stride: CHANNELS,
        });
    }
    let mut sorted = line.clone();
    sorted.sort_unstable();
    assert!(sorted.iter().zip(0..).all(|(&value, i)| value == i), "{}: {line:?}", widen.name());
    line.iter().map(|&channel| channel as usize).collect()
}

#[test]
fn codes_are_widened_once_each() {
    let mut rng = Rng::new(seed() ^ 90);
    let [mut src, mut dst] = [(); 2].map(|()| GuardedBuf::new(1 << 17));
    for (table, signed) in [(WIDEN_S8, true), (WIDEN_U8, false)] {
        for row in runnable(table) {
            let (order, mut calls) = (order(row), 0);
            for (channels, pixels) in (1..=70).flat_map(|c| (0..9).map(move |p| (c, p))) {
                let src_stride = channels + rng.pick(&[0, 0, 1, 5, 40, 100]);
                let bytes = if pixels == 0 { 0 } else { (pixels - 1) * src_stride + channels };
                let codes = rng.bytes(bytes);
                let blocks = channels.div_ceil(CHANNELS);
                let dst_stride = (pixels + rng.below(2)) * CHANNELS;
                let len =
                    if pixels == 0 { 0 } else { (blocks - 1) * dst_stride + pixels * CHANNELS };
                let args = WidenArgs {
                    src: src.at_end(&codes),
                    src_stride,
                    pixels,
                    channels,
                    dst: dst.at_end(&vec![0x5A5A_i16; len]),
                    dst_stride,
                };
                // SAFETY: the row is bound; the buffers hold what the arguments say.
                let got = unsafe {
                    row.run()(&args);
                    std::slice::from_raw_parts(args.dst, len)
                };
                for (pixel, block) in (0..pixels).flat_map(|p| (0..blocks).map(move |b| (p, b))) {
                    let got = &got[block * dst_stride + pixel * CHANNELS..][..CHANNELS];
                    for (&got, &place) in got.iter().zip(&order) {
                        let channel = block * CHANNELS + place;
                        if channel < channels {
                            let code = codes[pixel * src_stride + channel];
                            let want = if signed { i16::from(code as i8) } else { i16::from(code) };
                            assert_eq!(got, want, "{}: {channels}, {pixel} {channel}", row.name());
                        }
                    }
                }
                // Between blocks of pixels nothing is written.
                let blocks = if pixels == 0 { 0 } else { blocks };
                let between = (pixels * CHANNELS..dst_stride).flat_map(|i| {
                    (0..blocks.saturating_sub(1)).map(move |block| block * dst_stride + i)
                });
                for i in between {
                    assert_eq!(got[i], 0x5A5A, "{}: {channels} x {pixels} at {i}", row.name());
                }
                calls += 1;
            }
            common::count(table, row, calls);
        }
    }
    report();
}

#[test]
fn pairs_have_every_tap_once() {
    for (lines, width) in (1..=9).flat_map(|lines| (1..=9).map(move |width| (lines, width))) {
        let mut taps: Vec<_> = (0..pairs(lines, width))
            .flat_map(|pair| {
                let (first, second) = taps_of_pair(lines, width, pair);
                [Some(first), second].into_iter().flatten()
            })
            .collect();
        taps.sort_unstable();
        let all: Vec<_> = (0..lines).flat_map(|l| (0..width).map(move |tap| (l, tap))).collect();
        assert_eq!(taps, all, "{lines} x {width}");
    }
}

#[test]
fn few_pixels_are_computed_in_vain() {
    for pixels in 0..300 {
        assert!((pixels..=pixels + 3).contains(&computed(pixels)), "{pixels}");
    }
}

#[test]
fn sums_are_exact() {
    let mut rng = Rng::new(seed() ^ 91);
    let [mut lines, mut weights, mut start, mut taps, mut dst] =
        [(); 5].map(|()| GuardedBuf::new(1 << 18));
    let rounds = (160 / fraction("depthwise rounds", 4)).max(8);
    for row in runnable(DEPTHWISE) {
        let widen = WIDEN_S8.iter().find(|widen| widen.required == row.row().required).unwrap();
        let order = order(bind(widen, limited()).unwrap());
        let mut calls = 0;
        for (channels, round) in (1..=CHANNELS).flat_map(|c| (0..rounds).map(move |r| (c, r))) {
            let shapes = [(3, 3), (3, 3), (5, 5), (7, 7), (1, 3), (2, 5), (4, 7), (1, 1), (2, 2)];
            let (height, width) = match round % 2 {
                0 => rng.pick(&shapes),
                _ => (1 + rng.below(7), 1 + rng.below(9)),
            };
            let (stride, pixels) = (1 + rng.below(3), 1 + rng.below(30));
            let (signed, count) = (rng.below(2) == 0, pairs(height, width));
            // Widened codes, of any kind beyond the channels.
            let columns = (computed(pixels) - 1) * stride + width + 1;
            let mut codes: Vec<i16> = (0..height * columns * CHANNELS)
                .map(|_| rng.below(256) as i16 - if signed { 128 } else { 0 })
                .collect();
            let mut w: Vec<i16> =
                (0..count * CHANNELS * 2).map(|_| rng.below(511) as i16 - 255).collect();
            match round % 8 {
                3 => (codes.fill(if signed { -128 } else { 255 }), w.fill(-255)).0,
                5 => (codes.fill(if signed { 127 } else { 255 }), w.fill(255)).0,
                _ => {}
            }
            // What has no tap has weights 0.
            for pair in 0..count {
                if taps_of_pair(height, width, pair).1.is_none() {
                    for w in w[pair * CHANNELS * 2..][..CHANNELS * 2].chunks_exact_mut(2) {
                        w[1] = 0;
                    }
                }
            }
            let s: Vec<i32> = (0..CHANNELS).map(|_| rng.next_u32() as i32).collect();
            let offset = rng.below(1000);
            let base = lines.at_end(&codes).cast_const();
            let addresses: Vec<*const i16> = (0..height)
                .map(|line| base.wrapping_add(line * columns * CHANNELS).wrapping_sub(offset))
                .collect();
            let sums = computed(pixels) * CHANNELS;
            let args = DepthwiseArgs {
                taps: taps.at_end(&addresses),
                offset,
                lines: height,
                width,
                stride,
                pixels,
                weights: weights.at_end(&w),
                start: start.at_end(&s),
                channels,
                dst: dst.at_end(&vec![0_i32; sums]),
            };
            // SAFETY: the row is bound; the buffers hold what the arguments say.
            let got = unsafe {
                row.run()(&args);
                std::slice::from_raw_parts(args.dst, sums)
            };
            let place = |c: usize| order.iter().position(|&channel| channel == c).unwrap();
            let places: Vec<usize> = (0..channels).map(place).collect();
            for (pixel, c) in (0..pixels).flat_map(|p| (0..channels).map(move |c| (p, c))) {
                let product = |(line, tap): (usize, usize), w: i16| {
                    let column = pixel * stride + tap;
                    let code = codes[(line * columns + column) * CHANNELS + places[c]];
                    i64::from(code) * i64::from(w)
                };
                let mut want = i64::from(s[c]);
                for pair in 0..count {
                    let (first, second) = taps_of_pair(height, width, pair);
                    let w = &w[(pair * CHANNELS + c) * 2..][..2];
                    want += product(first, w[0]) + second.map_or(0, |tap| product(tap, w[1]));
                }
                let name = row.name();
                assert_eq!(
                    got[pixel * CHANNELS + c],
                    want as i32,
                    "{name}: {channels} x {height} x {width}, stride {stride}, {pixel} {c}"
                );
            }
            calls += 1;
        }
        common::count(DEPTHWISE, row, calls);
    }
    report();
}
