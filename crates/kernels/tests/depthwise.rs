//! Depthwise convolution against sums in i64: every row, all small numbers of channels, taps and pixels, strides, extremes,
//! between guard pages.

mod common;

use common::runnable;
use fewbit_kernels::depthwise::{
    CHANNELS, Codes, DEPTHWISE, DepthwiseArgs, Results, WIDEN_S8, WIDEN_U8, WidenArgs, WidenFn,
    computed, pairs, taps_of_pair,
};
use fewbit_kernels::registry::{Bound, bind};
use fewbit_scheme::{IntFormat, requantize};
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

/// A call of up to three blocks.
struct Layer {
    height: usize,
    width: usize,
    stride: usize,
    pixels: usize,
    channels: usize,
    /// Elements of a block's lines.
    block: usize,
    /// `[blocks][height][columns][CHANNELS]`, in the kernel's order.
    codes: Vec<i16>,
    /// `[blocks][pairs][CHANNELS][2]`.
    weights: Vec<i16>,
    start: Vec<i32>,
}

impl Layer {
    fn random(rng: &mut Rng, channels: usize, round: usize) -> Layer {
        let shapes = [(3, 3), (3, 3), (5, 5), (7, 7), (1, 3), (2, 5), (4, 7), (1, 1), (2, 2)];
        let (height, width) = match round % 2 {
            0 => rng.pick(&shapes),
            _ => (1 + rng.below(7), 1 + rng.below(9)),
        };
        let (stride, pixels) = (1 + rng.below(3), 1 + rng.below(30));
        let (signed, count) = (rng.below(2) == 0, pairs(height, width));
        let blocks = channels.div_ceil(CHANNELS);
        let columns = (computed(pixels) - 1) * stride + width + 1;
        let block = height * columns * CHANNELS;
        // Widened codes, of any kind beyond the channels.
        let mut codes: Vec<i16> = (0..blocks * block)
            .map(|_| rng.below(256) as i16 - if signed { 128 } else { 0 })
            .collect();
        let mut weights: Vec<i16> =
            (0..blocks * count * CHANNELS * 2).map(|_| rng.below(511) as i16 - 255).collect();
        match round % 8 {
            3 => (codes.fill(if signed { -128 } else { 255 }), weights.fill(-255)).0,
            5 => (codes.fill(if signed { 127 } else { 255 }), weights.fill(255)).0,
            _ => {}
        }
        // What has no tap has weights 0.
        for (pair, weights) in weights.chunks_exact_mut(CHANNELS * 2).enumerate() {
            if taps_of_pair(height, width, pair % count).1.is_none() {
                weights.chunks_exact_mut(2).for_each(|pair| pair[1] = 0);
            }
        }
        let start = (0..blocks * CHANNELS).map(|_| rng.next_u32() as i32).collect();
        Layer { height, width, stride, pixels, channels, block, codes, weights, start }
    }

    /// The sums, `[pixels][channels]`, where a block's channels are at these places.
    fn sums(&self, places: &[usize]) -> Vec<i32> {
        let (count, columns) =
            (pairs(self.height, self.width), self.block / self.height / CHANNELS);
        let sum = |pixel: usize, channel: usize| {
            let (block, c) = (channel / CHANNELS, channel % CHANNELS);
            let product = |(line, tap): (usize, usize), w: i16| {
                let column = pixel * self.stride + tap;
                let at = block * self.block + (line * columns + column) * CHANNELS + places[c];
                i64::from(self.codes[at]) * i64::from(w)
            };
            let mut sum = i64::from(self.start[channel]);
            for pair in 0..count {
                let (first, second) = taps_of_pair(self.height, self.width, pair);
                let w = &self.weights[((block * count + pair) * CHANNELS + c) * 2..][..2];
                sum += product(first, w[0]) + second.map_or(0, |tap| product(tap, w[1]));
            }
            sum as i32
        };
        (0..self.pixels).flat_map(|p| (0..self.channels).map(move |c| sum(p, c))).collect()
    }
}

/// Codes to make of sums of some channels: whether s8, factors, zero point, bounds, and whether sums leave nothing to bound.
type Wanted = (bool, Vec<f32>, i32, (i32, i32), bool);

fn random_codes(rng: &mut Rng, channels: usize) -> Wanted {
    let signed = rng.below(2) == 0;
    let format = if signed { IntFormat::S8 } else { IntFormat::U8 };
    let saturates = rng.below(2) == 0;
    // Products of up to 2^30, of which many are within the codes, or any.
    let least = if saturates { -30 } else { -36 };
    let exponents = if saturates { 30 } else { 60 };
    let mut factors: Vec<f32> = (0..channels)
        .map(|_| 0.5 * (1.0 + rng.unit()) * 2f32.powi(least + rng.below(exponents) as i32))
        .collect();
    if saturates {
        factors.iter_mut().for_each(|factor| *factor = factor.min(0.5));
    } else if rng.below(4) == 0 {
        factors.fill(f32::INFINITY);
    }
    let (low, high) = (format.qmin(), format.qmax());
    let zero_point = low + rng.below(256) as i32;
    let clamp = match saturates || rng.below(2) == 0 {
        true => (low, high),
        false => (low + rng.below(100) as i32, high - rng.below(100) as i32),
    };
    (signed, factors, zero_point, clamp, saturates)
}

#[test]
fn results_are_exact() {
    let mut rng = Rng::new(seed() ^ 91);
    let [mut lines, mut weights, mut start, mut taps, mut dst, mut numbers] =
        [(); 6].map(|()| GuardedBuf::new(1 << 20));
    let rounds = (160 / fraction("depthwise rounds", 4)).max(8);
    for row in runnable(DEPTHWISE) {
        let widen = WIDEN_S8.iter().find(|widen| widen.required == row.row().required).unwrap();
        let order = order(bind(widen, limited()).unwrap());
        let place = |c: usize| order.iter().position(|&channel| channel == c).unwrap();
        let places: Vec<usize> = (0..CHANNELS).map(place).collect();
        let mut calls = 0;
        for (channels, round) in (1..=CHANNELS).flat_map(|c| (0..rounds).map(move |r| (c, r))) {
            let channels = channels + rng.pick(&[0, 0, 1, 2]) * CHANNELS;
            let layer = Layer::random(&mut rng, channels, round);
            let want = layer.sums(&places);
            let offset = rng.below(1000);
            let base = lines.at_end(&layer.codes).cast_const();
            let line = layer.block / layer.height;
            let addresses: Vec<*const i16> = (0..layer.height)
                .map(|number| base.wrapping_add(number * line).wrapping_sub(offset))
                .collect();
            let apart = channels + rng.pick(&[0, 0, 3, 64]);
            let len = (layer.pixels - 1) * apart + channels;
            let (codes, to) = match rng.below(2) {
                0 => (None, dst.at_end(&vec![0x5A5A_5A5A_i32; len]).cast::<u8>()),
                _ => (Some(random_codes(&mut rng, channels)), dst.at_end(&vec![0x5A_u8; len])),
            };
            let results = match &codes {
                None => Results::Sums { dst: to.cast(), stride: apart },
                Some((signed, factors, zero_point, clamp, saturates)) => Results::Codes(Codes {
                    dst: to,
                    stride: apart,
                    signed: *signed,
                    factors: numbers.at_end(factors),
                    zero_point: *zero_point,
                    clamp: *clamp,
                    saturates: *saturates,
                }),
            };
            let args = DepthwiseArgs {
                taps: taps.at_end(&addresses),
                offset,
                block: layer.block,
                lines: layer.height,
                width: layer.width,
                stride: layer.stride,
                pixels: layer.pixels,
                weights: weights.at_end(&layer.weights),
                start: start.at_end(&layer.start),
                channels,
                results,
            };
            // SAFETY: the row is bound; the buffers hold what the arguments say.
            unsafe { row.run()(&args) };
            let name = format!(
                "{}: {channels} x {} x {}, stride {}",
                row.name(),
                layer.height,
                layer.width,
                layer.stride
            );
            for (i, number) in (0..len).map(|i| (i, (i / apart, i % apart))) {
                let (pixel, c) = number;
                // SAFETY: one of the results.
                let got = unsafe {
                    match codes {
                        None => to.cast::<i32>().add(i).read_unaligned(),
                        Some(_) => i32::from(to.add(i).read()),
                    }
                };
                let sum = want.get(pixel * channels + c).copied().filter(|_| c < channels);
                let want = match (sum, &codes) {
                    // Between pixels nothing is written.
                    (None, None) => 0x5A5A_5A5A,
                    (None, Some(_)) => 0x5A,
                    (Some(sum), None) => sum,
                    (Some(sum), Some((signed, factors, zero_point, clamp, _))) => {
                        let format = if *signed { IntFormat::S8 } else { IntFormat::U8 };
                        let code = requantize(sum, factors[c], *zero_point, format, *clamp);
                        i32::from(code as u8)
                    }
                };
                assert_eq!(got, want, "{name}, {pixel} {c}: {codes:?}");
            }
            calls += 1;
        }
        common::count(DEPTHWISE, row, calls);
    }
    report();
}
