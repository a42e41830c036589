//! Every row of every block format against the contract, between guard pages: whole and ragged blocks,
//! any bits, ties, zeros, NaN and infinities.

mod common;

use common::{bytes, count, runnable};
use fewbit_kernels::block;
use fewbit_scheme::block::BLOCK;
use fewbit_scheme::block::gguf::{self, Gguf};
use fewbit_scheme::block::mx::{self, Mx};
use fewbit_scheme::block::nvfp4;
use fewbit_testkit::{GuardedBuf, Rng, fraction, report, seed};

const FILL: u8 = 0xA5;

/// A block of one of many kinds.
fn block_of(rng: &mut Rng) -> Vec<f32> {
    let exponent = rng.below(254) as u32 + 1;
    let scale = f32::from_bits(exponent << 23);
    let kind = rng.below(12);
    let mut x: Vec<f32> = (0..BLOCK)
        .map(|_| match kind {
            0..=3 => rng.normal() * scale,
            4 | 5 => (rng.below(129) as f32 - 64.0) * 0.25 * scale,
            6 => rng.pick(&[0.0, -0.0]),
            7 => rng.pick(&[0.0, -0.0, 1.0, -1.0]) * scale,
            8 => f32::from_bits(rng.next_u32() & 0x807F_FFFF),
            9 => f32::from_bits(rng.next_u32()),
            10 => rng.unit() + 1.0,
            _ => rng.any_f32(),
        })
        .collect();
    let at = rng.below(BLOCK);
    match rng.below(8) {
        // Steps that are whole, hence ties.
        0 if kind == 4 => x[at] = rng.pick(&[127.0, 8.0, -8.0, 16.0, -16.0, 15.0]) * scale,
        1 => x[at] = rng.pick(&[f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN]),
        2 => {
            x[at] = f32::from_bits(rng.pick(&[0x7F80_0001, 0xFF80_0001, 0x7FC0_0000, 0xFFFF_FFFF]))
        }
        3 => x[at] = -x[rng.below(BLOCK)],
        _ => {}
    }
    x
}

/// Memory that a call reads and writes, against the lower or the upper guard.
struct Places {
    bufs: Vec<GuardedBuf>,
    at_end: bool,
}

impl Places {
    fn new() -> Places {
        Places { bufs: (0..3).map(|_| GuardedBuf::new(1 << 14)).collect(), at_end: false }
    }

    fn source<T: Copy>(&mut self, which: usize, values: &[T]) -> *const T {
        let buf = &mut self.bufs[which];
        if self.at_end { buf.at_end(values) } else { buf.at_start(values) }
    }

    /// A destination of `len` bytes, all others of its buffer filled too.
    fn target(&mut self, which: usize, len: usize) -> *mut u8 {
        let buf = &mut self.bufs[which];
        buf.as_mut_slice().fill(FILL);
        let at = if self.at_end { buf.len() - len } else { 0 };
        buf.as_mut_slice()[at..].as_mut_ptr()
    }

    /// What was written; nothing else was.
    fn written(&mut self, which: usize, len: usize) -> &[u8] {
        let at_end = self.at_end;
        let all = self.bufs[which].as_mut_slice();
        let (other, written) = if at_end {
            all.split_at(all.len() - len)
        } else {
            let (written, other) = all.split_at(len);
            (other, written)
        };
        assert!(other.iter().all(|&byte| byte == FILL), "wrote outside");
        written
    }
}

/// Shows the first block that differs.
fn same(got: &[u8], want: &[u8], size: usize, label: &dyn std::fmt::Display) {
    for (i, (got, want)) in got.chunks(size).zip(want.chunks(size)).enumerate() {
        assert_eq!(got, want, "{label} block {i}");
    }
    assert_eq!(got.len(), want.len());
}

#[test]
fn gguf_rows() {
    let rounds = 30_000 / fraction("gguf blocks", 10);
    let mut places = Places::new();
    for format in Gguf::ALL {
        let size = format.block_bytes();
        let (quantize, dequantize) = block::gguf(format);
        for row in runnable(quantize) {
            let mut rng = Rng::new(seed() ^ 90);
            for round in 0..rounds {
                let blocks = if round < 10 { round } else { 1 + rng.below(30) };
                let x: Vec<f32> = (0..blocks).flat_map(|_| block_of(&mut rng)).collect();
                let mut want = vec![0; blocks * size];
                gguf::quantize(format, &x, &mut want);
                places.at_end = round % 2 == 0;
                let from = places.source(0, &x);
                let to = places.target(1, blocks * size);
                // SAFETY: the row is bound; numbers and blocks of that count.
                unsafe { row.run()(from, to, blocks) };
                let got = places.written(1, blocks * size);
                for (i, (got, want)) in got.chunks(size).zip(want.chunks(size)).enumerate() {
                    let x = &x[i * BLOCK..][..BLOCK];
                    assert_eq!(got, want, "{} block {i} of {x:?}", row.name());
                }
            }
            count(quantize, row, rounds);
        }
        for row in runnable(dequantize) {
            let mut rng = Rng::new(seed() ^ 91);
            // A block of 256 numbers is as much as eight others.
            let rounds = (rounds * BLOCK / format.block_len()).max(1);
            for round in 0..rounds {
                let most = 30 * BLOCK / format.block_len();
                let blocks = if round < 10 { round.min(most) } else { 1 + rng.below(most) };
                // Any bytes; at times an f16 that is zero, subnormal, infinite or NaN.
                let mut q: Vec<u8> = (0..blocks * size).map(|_| rng.next_u32() as u8).collect();
                for block in q.chunks_mut(size) {
                    if rng.below(4) == 0 {
                        let half =
                            [0u16, 0x8000, 1, 0x83FF, 0x7BFF, 0x7C00, 0xFC00, 0x7E00, 0xFD01];
                        let at = if format == Gguf::Q6K { size - 2 } else { 2 * rng.below(2) };
                        block[at..at + 2].copy_from_slice(&rng.pick(&half).to_le_bytes());
                    }
                }
                let mut want = vec![0f32; blocks * format.block_len()];
                gguf::dequantize(format, &q, &mut want);
                places.at_end = round % 2 == 0;
                let from = places.source(0, &q);
                let to = places.target(1, 4 * want.len());
                // SAFETY: the row is bound; blocks and numbers of that count.
                unsafe { row.run()(from, to.cast(), blocks) };
                let got = places.written(1, 4 * want.len());
                same(got, bytes(&want), 4 * BLOCK, &row.name());
            }
            count(dequantize, row, rounds);
        }
    }
    report();
}

#[test]
fn mx_rows() {
    let rounds = 30_000 / fraction("mx blocks", 10);
    let mut places = Places::new();
    for format in Mx::ALL {
        let (quantize, dequantize) = block::mx(format);
        // Every number up to three blocks, then any.
        let n_of = |round: usize, rng: &mut Rng| {
            if round < 3 * BLOCK + 2 { round } else { rng.below(30 * BLOCK) }
        };
        for row in runnable(quantize) {
            let mut rng = Rng::new(seed() ^ 92);
            for round in 0..rounds {
                let n = n_of(round, &mut rng);
                let x: Vec<f32> =
                    (0..n.div_ceil(BLOCK)).flat_map(|_| block_of(&mut rng)).take(n).collect();
                let (scales, elements) = (mx::scale_count(n), format.element_bytes(n));
                let (mut want, mut want_scales) = (vec![0; elements], vec![0; scales]);
                mx::quantize(format, &x, &mut want_scales, &mut want);
                places.at_end = round % 2 == 0;
                let from = places.source(0, &x);
                let (to, to_scales) = (places.target(1, elements), places.target(2, scales));
                // SAFETY: the row is bound; `n` numbers, their scales and elements.
                unsafe { row.run()(from, n, to_scales, to) };
                assert_eq!(places.written(2, scales), want_scales, "{} n {n}", row.name());
                let size = format.element_bytes(BLOCK);
                same(places.written(1, elements), &want, size, &row.name());
            }
            count(quantize, row, rounds);
        }
        for row in runnable(dequantize) {
            let mut rng = Rng::new(seed() ^ 93);
            for round in 0..rounds {
                let n = n_of(round, &mut rng);
                let any = |rng: &mut Rng, n: usize| -> Vec<u8> {
                    (0..n).map(|_| rng.next_u32() as u8).collect()
                };
                let mut scales = any(&mut rng, mx::scale_count(n));
                for scale in &mut scales {
                    if rng.below(4) == 0 {
                        *scale = rng.pick(&[0, 1, 2, 127, 253, 254, 255]);
                    }
                }
                let elements = any(&mut rng, format.element_bytes(n));
                let mut want = vec![0f32; n];
                mx::dequantize(format, &scales, &elements, &mut want);
                places.at_end = round % 2 == 0;
                let (from, from_scales) = (places.source(0, &elements), places.source(2, &scales));
                let to = places.target(1, 4 * n);
                // SAFETY: the row is bound; scales, elements and numbers of that count.
                unsafe { row.run()(from_scales, from, n, to.cast()) };
                same(places.written(1, 4 * n), bytes(&want), 4 * BLOCK, &row.name());
            }
            count(dequantize, row, rounds);
        }
    }
    report();
}

/// A tensor's scale: what the numbers suggest, or any that a caller may give.
fn tensor_scale(rng: &mut Rng, x: &[f32]) -> f32 {
    let suggested = x.iter().filter(|x| x.is_finite()).fold(0f32, |most, x| most.max(x.abs()));
    let scale = match rng.below(3) {
        0 => nvfp4::tensor_scale(suggested),
        1 => rng.pick(&[f32::from_bits(1), f32::MIN_POSITIVE, 1.0, 1.0 / 64.0, f32::MAX]),
        _ => f32::from_bits(1 + rng.below(0x7F7F_FFFF) as u32),
    };
    assert!(scale > 0.0 && scale.is_finite());
    scale
}

#[test]
fn nvfp4_rows() {
    let rounds = 30_000 / fraction("nvfp4 blocks", 10);
    let mut places = Places::new();
    // Every number up to three blocks; groups of blocks and what is around them; any.
    let n_of = |round: usize, rng: &mut Rng| match round {
        0..50 => round,
        50..90 => 236 + round - 50,
        _ => rng.below(600),
    };
    for row in runnable(block::F32_NVFP4) {
        let mut rng = Rng::new(seed() ^ 94);
        for round in 0..rounds {
            let n = n_of(round, &mut rng);
            let x: Vec<f32> =
                (0..n.div_ceil(BLOCK)).flat_map(|_| block_of(&mut rng)).take(n).collect();
            let scale = tensor_scale(&mut rng, &x);
            let (scales, elements) = (nvfp4::scale_count(n), n.div_ceil(2));
            let (mut want, mut want_scales) = (vec![0; elements], vec![0; scales]);
            nvfp4::quantize(scale, &x, &mut want_scales, &mut want);
            places.at_end = round % 2 == 0;
            let from = places.source(0, &x);
            let (to, to_scales) = (places.target(1, elements), places.target(2, scales));
            // SAFETY: the row is bound; `n` numbers, their scales and elements.
            unsafe { row.run()(scale, from, n, to_scales, to) };
            assert_eq!(places.written(2, scales), want_scales, "{} n {n} {scale}", row.name());
            same(places.written(1, elements), &want, nvfp4::BLOCK / 2, &row.name());
        }
        count(block::F32_NVFP4, row, rounds);
    }
    for row in runnable(block::NVFP4_F32) {
        let mut rng = Rng::new(seed() ^ 95);
        for round in 0..rounds {
            let n = n_of(round, &mut rng);
            let scale = tensor_scale(&mut rng, &[1.0]);
            // Any bytes, NaN and negative scales among them.
            let (scales, elements) = (rng.bytes(nvfp4::scale_count(n)), rng.bytes(n.div_ceil(2)));
            let mut want = vec![0f32; n];
            nvfp4::dequantize(scale, &scales, &elements, &mut want);
            places.at_end = round % 2 == 0;
            let (from, from_scales) = (places.source(0, &elements), places.source(2, &scales));
            let to = places.target(1, 4 * n);
            // SAFETY: the row is bound; scales, elements and numbers of that count.
            unsafe { row.run()(scale, from_scales, from, n, to.cast()) };
            same(places.written(1, 4 * n), bytes(&want), 4 * nvfp4::BLOCK, &row.name());
        }
        count(block::NVFP4_F32, row, rounds);
    }
    report();
}

/// Every f32 of a sweep, as the numbers over a scale of 1.
#[test]
fn mx_elements_of_a_sweep() {
    let (start, step) = fewbit_testkit::sweep("mx elements", 2053);
    for format in Mx::ALL {
        let table = block::mx(format).0;
        let one = f32::from_bits((127 + format.emax()) << 23);
        let limit = (2.0 * one).to_bits();
        for row in runnable(table) {
            let mut next = u64::from(start);
            let mut cases = 0;
            while next < 1 << 32 {
                let mut x = [one; 512];
                for x in x.chunks_mut(BLOCK).flat_map(|block| &mut block[1..]) {
                    let bits = next as u32;
                    if bits & 0x7FFF_FFFF < limit {
                        *x = f32::from_bits(bits);
                    }
                    next += u64::from(step);
                }
                let (mut scales, mut got, mut want) = ([0; 16], [0; 512], [0; 512]);
                mx::quantize(format, &x, &mut scales, &mut want);
                assert_eq!(scales, [127; 16]);
                // SAFETY: the row is bound; 512 numbers, 16 scales and room for their elements.
                unsafe { row.run()(x.as_ptr(), x.len(), scales.as_mut_ptr(), got.as_mut_ptr()) };
                assert_eq!(got, want, "{} {x:?}", row.name());
                cases += 1;
            }
            count(table, row, cases);
        }
    }
    report();
}
