//! Sums and products of codes against the contract: every row, every pair of codes, parameters of all kinds, all small
//! lengths, rows, in place and not, between guard pages.

mod common;

use common::{count, runnable};
use fewbit_kernels::binary::{
    self, AddFixedArgs, BinaryArgs, BinaryFn, MultiplyFixedArgs, Operands,
};
use fewbit_kernels::registry::{Bound, Row};
use fewbit_scheme::{
    AddMultipliers, IntFormat, QuantParams, add, add_fixed, multiply, multiply_fixed,
    multiply_multiplier,
};
use fewbit_testkit::{GuardedBuf, Rng, fraction, report, seed};

type Contract =
    fn((i32, QuantParams), (i32, QuantParams), QuantParams, IntFormat, (i32, i32)) -> i32;

const TABLES: [(&[Row<BinaryFn>], IntFormat, Contract); 4] = [
    (binary::ADD_S8, IntFormat::S8, add),
    (binary::ADD_U8, IntFormat::U8, add),
    (binary::MULTIPLY_S8, IntFormat::S8, multiply),
    (binary::MULTIPLY_U8, IntFormat::U8, multiply),
];

fn value(format: IntFormat, byte: u8) -> i32 {
    if format == IntFormat::S8 { i32::from(byte as i8) } else { i32::from(byte) }
}

fn zero_point(rng: &mut Rng, format: IntFormat) -> i32 {
    let ends = [format.qmin(), format.qmax(), 0];
    if rng.below(2) == 0 { rng.pick(&ends) } else { format.qmin() + rng.below(256) as i32 }
}

/// Three scales: ordinary ones, those with many ties, and those at the ends of what is quick.
fn scales(rng: &mut Rng, round: usize) -> [f32; 3] {
    let ends = [f32::from_bits(1), 1e-38, 1.2e-38, 1e-20, 1.0, 1e20, 3.4e35, 2e37, f32::MAX];
    let ratios = [2f32.powi(-21), 2f32.powi(-19), 8191.0, 8193.0, 1_048_575.0, 1_048_577.0];
    let s = 0.001 + rng.unit();
    match round % 6 {
        0 => [(); 3].map(|()| rng.pick(&ends)),
        1 => [(); 3].map(|()| rng.pick(&[0.25, 0.5, 1.0, 2.0])),
        2 => [s * rng.pick(&ratios), s * rng.unit(), s],
        3 => [s, s, s * rng.pick(&[1.0, 2.0, 3.0, 1.5])],
        4 => [1e-19 * s, 1.2e-19 * rng.unit(), 1e-38 * rng.pick(&[1.0, 2.0, 4.0])],
        _ => [s, 0.01 + rng.unit(), 0.01 + rng.unit() * rng.pick(&[1.0, 10.0])],
    }
}

/// Every pair of codes, in an order that makes fours of all kinds.
fn pairs(rng: &mut Rng) -> [Vec<u8>; 2] {
    let mut pairs: Vec<u16> = (0..=u16::MAX).collect();
    for i in (1..pairs.len()).rev() {
        pairs.swap(i, rng.below(i + 1));
    }
    [pairs.iter().map(|p| *p as u8).collect(), pairs.iter().map(|p| (p >> 8) as u8).collect()]
}

#[test]
fn every_pair_of_codes_is_the_contract() {
    let mut rng = Rng::new(seed() ^ 111);
    let rounds = (60 / fraction("parameters of sums", 5)).max(6);
    for (table, format, contract) in TABLES {
        let full = (format.qmin(), format.qmax());
        for round in 0..rounds {
            let [a, b] = pairs(&mut rng);
            let params = scales(&mut rng, round)
                .map(|scale| QuantParams { scale, zero_point: zero_point(&mut rng, format) });
            let clamp = match round % 3 {
                0 => full,
                1 => (params[2].zero_point, full.1),
                _ => (full.0 + rng.below(100) as i32, full.1 - rng.below(100) as i32),
            };
            let [pa, pb, to] = params;
            let want: Vec<u8> = (a.iter().zip(&b))
                .map(|(&a, &b)| {
                    let (a, b) = (value(format, a), value(format, b));
                    contract((a, pa), (b, pb), to, format, clamp) as u8
                })
                .collect();
            for row in runnable(table) {
                let mut dst = vec![0; a.len()];
                let operands = Operands {
                    a: a.as_ptr(),
                    b: b.as_ptr(),
                    b_is_one: false,
                    dst: dst.as_mut_ptr(),
                    n: a.len(),
                    rows: 1,
                    strides: [0; 3],
                };
                // SAFETY: the row is bound; as many codes on all sides.
                unsafe { row.run()(&BinaryArgs { operands, params, clamp }) };
                let wrong = dst.iter().zip(&want).position(|(got, want)| got != want);
                let wrong = wrong.map(|i| (value(format, a[i]), value(format, b[i]), dst[i]));
                assert_eq!(wrong, None, "{} {params:?} {clamp:?}", row.name());
                count(table, row, a.len());
            }
        }
    }
    report();
}

/// Rows of all shapes up to the guards; second operands one a row and not; in the place of either operand.
struct Shapes {
    buffers: [GuardedBuf; 3],
}

impl Shapes {
    /// Gives the number of calls. `want` is told the two codes.
    fn check(
        &mut self,
        rng: &mut Rng,
        name: &str,
        mut call: impl FnMut(Operands),
        want: impl Fn(u8, u8) -> u8,
    ) -> usize {
        let mut calls = 0;
        for n in (1..=140).chain([255, 256, 257, 1000]) {
            let (rows, b_is_one) = (1 + rng.below(3), rng.below(3) == 0);
            let [mut by_a, mut by_b, by_dst] = [(); 3].map(|()| n + rng.below(4));
            let place = rng.below(4);
            match place {
                0 => by_a = by_dst,
                1 => by_b = by_dst,
                _ => {}
            }
            let place = if place == 1 && b_is_one { 2 } else { place };
            if b_is_one {
                by_b = rng.below(3);
            } else if place != 1 && rng.below(3) == 0 {
                by_b = 0;
            }
            let span = |by: usize, n: usize| (rows - 1) * by + n;
            let a = rng.bytes(span(by_a, n));
            let b = rng.bytes(span(by_b, if b_is_one { 1 } else { n }));
            let results = vec![0x5A; span(by_dst, n)];
            let [for_a, for_b, for_dst] = &mut self.buffers;
            let (at_a, at_b, to) = if rng.below(2) == 0 {
                (for_a.at_end(&a), for_b.at_end(&b), for_dst.at_end(&results))
            } else {
                (for_a.at_start(&a), for_b.at_start(&b), for_dst.at_start(&results))
            };
            let (dst, before) = match place {
                0 => (at_a, &a),
                1 => (at_b, &b),
                _ => (to, &results),
            };
            let strides = [by_a, by_b, by_dst];
            call(Operands { a: at_a, b: at_b, b_is_one, dst, n, rows, strides });
            // SAFETY: the results' memory, which the call has left.
            let got = unsafe { std::slice::from_raw_parts(dst, results.len()) };
            for (at, &got) in got.iter().enumerate() {
                let (row, i) = (at / by_dst, at % by_dst);
                let want = if i < n {
                    let b = b[row * by_b + if b_is_one { 0 } else { i }];
                    want(a[row * by_a + i], b)
                } else {
                    before[at]
                };
                assert_eq!(got, want, "{name}: {n} x {rows}, {strides:?}, {b_is_one} {place} {at}");
            }
            calls += 1;
        }
        calls
    }
}

#[test]
fn rows_of_every_shape() {
    let mut rng = Rng::new(seed() ^ 112);
    let mut shapes = Shapes { buffers: [(); 3].map(|()| GuardedBuf::new(8192)) };
    for (table, format, contract) in TABLES {
        let check = |row: Bound<BinaryFn>, rng: &mut Rng, shapes: &mut Shapes| {
            let params = [0.05, 0.03, 0.07]
                .map(|scale| QuantParams { scale, zero_point: zero_point(rng, format) });
            let clamp = (format.qmin(), format.qmax() - rng.below(2) as i32);
            let call = |operands| {
                // SAFETY: the row is bound; the operands are those of the test's buffers.
                unsafe { row.run()(&BinaryArgs { operands, params, clamp }) }
            };
            let [pa, pb, to] = params;
            shapes.check(rng, row.name(), call, |a, b| {
                let (a, b) = (value(format, a), value(format, b));
                contract((a, pa), (b, pb), to, format, clamp) as u8
            })
        };
        for row in runnable(table) {
            let calls = (0..4).map(|_| check(row, &mut rng, &mut shapes)).sum();
            count(table, row, calls);
        }
    }
    report();
}

#[test]
fn fixed_point_is_the_contract() {
    let mut rng = Rng::new(seed() ^ 113);
    let mut shapes = Shapes { buffers: [(); 3].map(|()| GuardedBuf::new(8192)) };
    let rounds = (40 / fraction("multipliers", 4)).max(8);
    for (sums, products, format) in [
        (binary::ADD_FIXED_S8, binary::MULTIPLY_FIXED_S8, IntFormat::S8),
        (binary::ADD_FIXED_U8, binary::MULTIPLY_FIXED_U8, IntFormat::U8),
    ] {
        for round in 0..rounds {
            let [sa, sb, s] = match round % 3 {
                0 => [0.5, 0.25, 0.75],
                1 => [(); 3].map(|()| 0.001 + rng.unit()),
                _ => [1e-4 * rng.unit() + 1e-6, 0.01 + rng.unit(), 0.01 * rng.unit() + 1e-3],
            };
            let zero_points = [(); 3].map(|()| zero_point(&mut rng, format));
            let [za, zb, zero] = zero_points;
            let clamp = (format.qmin() + (round % 7) as i32, format.qmax());
            let multipliers = AddMultipliers::from_scales(sa, sb, s).unwrap();
            let multiplier = multiply_multiplier(sa, sb, s).unwrap();
            for row in runnable(sums) {
                let call = |operands| {
                    let args = AddFixedArgs { operands, zero_points, multipliers, clamp };
                    // SAFETY: the row is bound; the operands are those of the test's buffers.
                    unsafe { row.run()(&args) }
                };
                let calls = shapes.check(&mut rng, row.name(), call, |a, b| {
                    let (a, b) = ((value(format, a), za), (value(format, b), zb));
                    add_fixed(a, b, &multipliers, zero, format, clamp) as u8
                });
                count(sums, row, calls);
            }
            for row in runnable(products) {
                let call = |operands| {
                    let args = MultiplyFixedArgs { operands, zero_points, multiplier, clamp };
                    // SAFETY: as above.
                    unsafe { row.run()(&args) }
                };
                let calls = shapes.check(&mut rng, row.name(), call, |a, b| {
                    let (a, b) = ((value(format, a), za), (value(format, b), zb));
                    multiply_fixed(a, b, multiplier, zero, format, clamp) as u8
                });
                count(products, row, calls);
            }
        }
    }
    report();
}
