//! The digests of pooling, and of sums and products of codes.

use crate::kernels::each;
use crate::values::{SCALES, zero_point};
use crate::{Book, Digest};
use fewbit::kernels::binary::{
    self, AddFixedArgs, AddFixedFn, BinaryArgs, BinaryFn, MultiplyFixedArgs, MultiplyFixedFn,
    Operands,
};
use fewbit::kernels::pool::{self, MaxArgs, MaxFn, SumsArgs, SumsFn, Windows};
use fewbit::scheme::{AddMultipliers, IntFormat, QuantParams, multiply_multiplier};
use fewbit::{Average, Code, ConvAxis, ImageLayout, PoolDesc, Serial, average_pool, max_pool};
use fewbit_testkit::{Rng, supported_sets};

pub(crate) fn enter(book: &mut Book) {
    for table in [pool::MAX_S8, pool::MAX_U8] {
        each(book, table, digest_maxima);
    }
    for table in [pool::SUMS_S8, pool::SUMS_U8] {
        each(book, table, digest_sums);
    }
    for (table, format) in [
        (binary::ADD_S8, IntFormat::S8),
        (binary::ADD_U8, IntFormat::U8),
        (binary::MULTIPLY_S8, IntFormat::S8),
        (binary::MULTIPLY_U8, IntFormat::U8),
    ] {
        each(book, table, |run, digest| digest_binary(run, format, digest));
    }
    for (sums, products, format) in [
        (binary::ADD_FIXED_S8, binary::MULTIPLY_FIXED_S8, IntFormat::S8),
        (binary::ADD_FIXED_U8, binary::MULTIPLY_FIXED_U8, IntFormat::U8),
    ] {
        each(book, sums, |run, digest| digest_add_fixed(run, format, digest));
        each(book, products, |run, digest| digest_multiply_fixed(run, format, digest));
    }
    for supported in supported_sets() {
        let mut digest = Digest::new();
        let mut rng = Rng::new(22);
        for round in 0..24 {
            let axis = |size, kernel| ConvAxis {
                size,
                kernel,
                stride: 1 + round % 3,
                pad_begin: round % 2,
                pad_end: round / 2 % 2,
                ..ConvAxis::NONE
            };
            let desc = PoolDesc {
                channels: [1, 3, 16, 37][round % 4],
                axes: [ConvAxis::NONE, axis(11, 3), axis(29, 2 + round % 5)],
                layout: if round < 12 { ImageLayout::Nhwc } else { ImageLayout::Nchw },
                ceil_mode: round % 5 > 2,
                code: if round % 2 == 0 { Code::S8 } else { Code::U8 },
            };
            let mut params = || QuantParams {
                scale: 0.1 + rng.unit(),
                zero_point: zero_point(&mut rng, desc.code.format()),
            };
            let numbers = Average::Numbers {
                from: params(),
                to: params(),
                count_include_pad: round % 3 == 0,
            };
            let (elements_in, elements_out) = desc.image_elements().unwrap();
            let (x, mut y) = (rng.bytes(elements_in), vec![0; elements_out]);
            max_pool(&desc, 1, &x, &mut y, &Serial, supported).unwrap();
            digest.bytes(&y);
            for average in [numbers, Average::Codes] {
                average_pool(&desc, &average, 1, &x, &mut y, &Serial, supported).unwrap();
                digest.bytes(&y);
            }
        }
        book.enter("pool", supported.set(), digest);
    }
}

/// Windows of 1 to 140 codes over a corpus, and the number of results.
fn windows(rng: &mut Rng, n: usize, codes: &[u8]) -> Windows {
    let counts = [1 + rng.below(2), 1 + rng.below(4), 1 + rng.below(70)];
    let strides = [1 + rng.below(50), 1 + rng.below(50), 1 + rng.below(20)];
    let from = codes[rng.below(100)..].as_ptr();
    Windows { src: from, counts, strides, pixels: 2, pixel_stride: 1 + rng.below(40), n }
}

fn digest_maxima(run: MaxFn, digest: &mut Digest) {
    let mut rng = Rng::new(20);
    let codes = rng.bytes(4096);
    for n in 1..140 {
        let windows = windows(&mut rng, n, &codes);
        let mut dst = vec![0; 2 * n];
        // SAFETY: the taps lie within the codes.
        unsafe { run(&MaxArgs { windows, dst: dst.as_mut_ptr(), dst_stride: n }) };
        digest.bytes(&dst);
    }
}

fn digest_sums(run: SumsFn, digest: &mut Digest) {
    let mut rng = Rng::new(21);
    let codes = rng.bytes(4096);
    for n in 1..140 {
        let windows = windows(&mut rng, n, &codes);
        let mut dst = vec![0; 2 * n];
        let start = rng.next_u32() as i32;
        // SAFETY: the taps lie within the codes.
        unsafe { run(&SumsArgs { windows, start, dst: dst.as_mut_ptr(), dst_stride: n }) };
        digest.i32s(&dst);
    }
}

/// Every pair of codes.
fn pairs() -> [Vec<u8>; 2] {
    let each = 0..=u16::MAX;
    [each.clone().map(|pair| pair as u8).collect(), each.map(|pair| (pair >> 8) as u8).collect()]
}

fn operands([a, b]: &[Vec<u8>; 2], dst: &mut [u8]) -> Operands {
    Operands {
        a: a.as_ptr(),
        b: b.as_ptr(),
        b_is_one: false,
        dst: dst.as_mut_ptr(),
        n: dst.len(),
        rows: 1,
        strides: [0; 3],
    }
}

fn digest_binary(run: BinaryFn, format: IntFormat, digest: &mut Digest) {
    let mut rng = Rng::new(23);
    let pairs = pairs();
    for round in 0..24 {
        let scales = match round % 3 {
            0 => [(); 3].map(|()| rng.pick(&SCALES)),
            1 => [(); 3].map(|()| 0.01 + rng.unit()),
            _ => [(); 3].map(|()| rng.pick(&[0.25, 0.5, 1.0])),
        };
        let params =
            scales.map(|scale| QuantParams { scale, zero_point: zero_point(&mut rng, format) });
        let clamp = (format.qmin(), format.qmax() - round);
        let mut dst = vec![0; pairs[0].len()];
        let operands = operands(&pairs, &mut dst);
        // SAFETY: as many codes on all sides.
        unsafe { run(&BinaryArgs { operands, params, clamp }) };
        digest.bytes(&dst);
    }
}

fn digest_add_fixed(run: AddFixedFn, format: IntFormat, digest: &mut Digest) {
    let mut rng = Rng::new(24);
    let pairs = pairs();
    for _ in 0..4 {
        let [a, b, to] = [(); 3].map(|()| 0.01 + rng.unit());
        let multipliers = AddMultipliers::from_scales(a, b, to).unwrap();
        let zero_points = [(); 3].map(|()| zero_point(&mut rng, format));
        let clamp = (format.qmin() + 3, format.qmax());
        let mut dst = vec![0; pairs[0].len()];
        let operands = operands(&pairs, &mut dst);
        // SAFETY: as above.
        unsafe { run(&AddFixedArgs { operands, zero_points, multipliers, clamp }) };
        digest.bytes(&dst);
    }
}

fn digest_multiply_fixed(run: MultiplyFixedFn, format: IntFormat, digest: &mut Digest) {
    let mut rng = Rng::new(25);
    let pairs = pairs();
    for _ in 0..4 {
        let [a, b, to] = [(); 3].map(|()| 0.01 + rng.unit());
        let multiplier = multiply_multiplier(a, b, to).unwrap();
        let zero_points = [(); 3].map(|()| zero_point(&mut rng, format));
        let clamp = (format.qmin() + 3, format.qmax());
        let mut dst = vec![0; pairs[0].len()];
        let operands = operands(&pairs, &mut dst);
        // SAFETY: as above.
        unsafe { run(&MultiplyFixedArgs { operands, zero_points, multiplier, clamp }) };
        digest.bytes(&dst);
    }
}
