//! Depthwise taps of real numbers against one chain a channel: every row and format, all counts of pixels, channels around vectors and blocks, addresses of any
//! kind, any bits, between guard pages.

mod common;

use common::{count, runnable};
use fewbit_kernels::real_depthwise::{
    CHANNELS, DEPTHWISE_BF16, DEPTHWISE_F16, DEPTHWISE_F32, PIXELS, RealDepthwiseArgs,
    RealDepthwiseFn,
};
use fewbit_kernels::registry::Row;
use fewbit_scheme::{RealFormat, dot_with_bias, float16, real};
use fewbit_testkit::{GuardedBuf, Rng, report, seed};
use std::ptr::null;

fn stored(format: RealFormat, x: f32) -> Vec<u8> {
    match format {
        RealFormat::F32 => x.to_ne_bytes().to_vec(),
        RealFormat::F16 => float16::f32_to_f16(x).to_ne_bytes().to_vec(),
        RealFormat::Bf16 => float16::f32_to_bf16(x).to_ne_bytes().to_vec(),
    }
}

fn value(format: RealFormat, bytes: &[u8]) -> f32 {
    let half = || u16::from_ne_bytes(bytes[..2].try_into().unwrap());
    match format {
        RealFormat::F32 => f32::from_ne_bytes(bytes[..4].try_into().unwrap()),
        RealFormat::F16 => float16::f16_to_f32(half()),
        RealFormat::Bf16 => float16::bf16_to_f32(half()),
    }
}

fn check(format: RealFormat, table: &'static [Row<RealDepthwiseFn>]) {
    let size = format.size();
    let mut rng = Rng::new(seed() ^ 95);
    let [mut lists, mut images, mut weights, mut biases, mut results] =
        [(); 5].map(|()| GuardedBuf::new(1 << 17));
    for row in runnable(table) {
        let mut cases = 0;
        for (pixels, round) in (1..=PIXELS).flat_map(|pixels| (0..14).map(move |r| (pixels, r))) {
            let channels = [1, 3, 4, 8, 15, 16, 17, 31, 32, 33, 48, 63, 64, 75][round];
            let taps_of = rng.pick(&[1, 2, 3, 9, 11]);
            let any = rng.below(3) == 0;
            let number = |rng: &mut Rng| match any && rng.below(4) == 0 {
                true => rng.any_f32(),
                false => rng.normal(),
            };
            // Taps are pixels' channels, with others before them, some of them twice.
            let before = rng.below(3);
            let length = 7 * (before + channels);
            let image: Vec<u8> =
                (0..length).flat_map(|_| stored(format, number(&mut rng))).collect();
            let taps: Vec<[usize; PIXELS]> =
                (0..taps_of).map(|_| [(); PIXELS].map(|()| rng.below(7))).collect();
            let padded = channels.next_multiple_of(CHANNELS);
            let w: Vec<f32> = (0..padded * taps_of).map(|_| number(&mut rng)).collect();
            let bias: Vec<f32> = (0..channels).map(|_| number(&mut rng)).collect();
            let (has_bias, relu) = (rng.below(2) == 0, rng.below(2) == 0);
            let from = images.at_end(&image).cast_const();
            let list: Vec<[*const u8; PIXELS]> = taps
                .iter()
                .map(|tap| tap.map(|at| from.wrapping_add(at * (before + channels) * size)))
                .collect();
            let stride = channels + rng.below(4);
            let start = vec![-77f32; (pixels - 1) * stride + channels];
            let to = results.at_end(&start);
            let args = RealDepthwiseArgs {
                taps: lists.at_end(&list).cast_const(),
                count: taps_of,
                pixels,
                offset: before * size,
                channels,
                weights: weights.at_end(&w).cast_const(),
                bias: if has_bias { biases.at_end(&bias).cast_const() } else { null() },
                relu,
                dst: to,
                dst_stride: stride,
            };
            // SAFETY: every pointer is valid for the extent that the arguments state, and not a byte more.
            unsafe { row.run()(&args) };
            // SAFETY: so many initialised numbers.
            let got = unsafe { std::slice::from_raw_parts(to, start.len()) };
            for (i, got) in got.iter().enumerate() {
                let (p, c) = (i / stride, i % stride);
                let chain = || {
                    let products = (0..taps_of).map(|k| {
                        let at = taps[k][p] * (before + channels) + before + c;
                        let weight = w[(c / CHANNELS * taps_of + k) * CHANNELS + c % CHANNELS];
                        (value(format, &image[at * size..]), weight)
                    });
                    let products: Vec<(f32, f32)> = products.collect();
                    let y = match has_bias {
                        true => dot_with_bias(products.into_iter(), bias[c]),
                        false => real::canonical(fewbit_scheme::dot(products.into_iter())),
                    };
                    if relu && y < 0.0 { 0.0 } else { y }
                };
                // Between pixels' results nothing is written.
                let want = if c < channels { chain() } else { -77.0 };
                let place =
                    format!("{}: {p}, {c} of {pixels} x {channels} x {taps_of}", row.name());
                assert_eq!(got.to_bits(), want.to_bits(), "{place}: {got:e} {want:e}");
            }
            cases += 1;
        }
        count(table, row, cases);
    }
    report();
}

#[test]
fn f32() {
    check(RealFormat::F32, DEPTHWISE_F32);
}

#[test]
fn f16() {
    check(RealFormat::F16, DEPTHWISE_F16);
}

#[test]
fn bf16() {
    check(RealFormat::Bf16, DEPTHWISE_BF16);
}
