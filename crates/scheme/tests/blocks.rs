//! Block formats: against what another implementation made (`golden/gguf.bin`), against arithmetic in
//! integers and tables, and at the ends of their ranges.

mod common;

use common::{divide, extremes, multiply, rng};
use fewbit_scheme::block::BLOCK;
use fewbit_scheme::block::gguf::{self, Gguf};
use fewbit_scheme::block::mx::{self, Mx, SCALE_NAN};
use fewbit_scheme::block::nvfp4;
use fewbit_scheme::{float16, fp8};
use fewbit_testkit::Rng;

fn encoded(format: Gguf, x: &[f32]) -> Vec<u8> {
    let mut blocks = vec![0xA5; x.len() / BLOCK * format.block_bytes()];
    gguf::quantize(format, x, &mut blocks);
    blocks
}

fn decoded(format: Gguf, blocks: &[u8]) -> Vec<f32> {
    let mut x = vec![1e30; blocks.len() / format.block_bytes() * BLOCK];
    gguf::dequantize(format, blocks, &mut x);
    x
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn gguf_as_the_package_gguf() {
    let golden = include_bytes!("golden/gguf.bin");
    let (count, mut rest) = golden.split_at(4);
    let blocks = u32::from_le_bytes(count.try_into().unwrap()) as usize;
    assert!(blocks > 20);
    let mut take = |bytes: usize| {
        let (head, tail) = rest.split_at(bytes);
        rest = tail;
        head
    };
    let floats = |bytes: &[u8]| -> Vec<f32> {
        bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let x = floats(take(blocks * BLOCK * 4));
    let stored = Gguf::MADE.map(|format| take(blocks * format.block_bytes()));
    for (format, want) in Gguf::MADE.into_iter().zip(stored) {
        let got = encoded(format, &x);
        for (i, (got, want)) in
            got.chunks(format.block_bytes()).zip(want.chunks(format.block_bytes())).enumerate()
        {
            assert_eq!(got, want, "{format:?} block {i}");
        }
        let want = floats(take(blocks * BLOCK * 4));
        for (i, (got, want)) in decoded(format, &got).iter().zip(want).enumerate() {
            // Another library's NaN may be any.
            let want = if want.is_nan() { f32::from_bits(0x7FC0_0000) } else { want };
            assert_eq!(got.to_bits(), want.to_bits(), "{format:?} number {i}");
        }
    }
    assert!(rest.is_empty());
}

/// The definition again, element by element, with quotients and products in integers.
fn reference(format: Gguf, x: &[f32]) -> Vec<u8> {
    let largest = x.iter().copied().fold(x[0], f32::max);
    let smallest = x.iter().copied().min_by(f32::total_cmp).unwrap();
    let magnitude = x.iter().map(|x| x.abs()).fold(0.0, f32::max);
    let first = *x.iter().find(|x| x.abs() == magnitude).unwrap();
    let (d, m, offset, top) = match format {
        Gguf::Q8_0 => (divide(magnitude, 127.0), 0.0, 0.0, 127),
        Gguf::Q4_0 => (divide(first, -8.0), 0.0, 8.5, 15),
        Gguf::Q5_0 => (divide(first, -16.0), 0.0, 16.5, 31),
        Gguf::Q4_1 => (divide(largest - smallest, 15.0), smallest, 0.5, 15),
        _ => (divide(largest - smallest, 31.0), smallest, 0.5, 31),
    };
    let inverse = if d == 0.0 { 0.0 } else { divide(1.0, d) };
    let codes: Vec<i32> = x
        .iter()
        .map(|x| match format {
            _ if inverse.is_infinite() => 0,
            Gguf::Q8_0 => multiply(*x, inverse).round() as i32,
            _ => ((multiply(*x - m, inverse) + offset).trunc() as i32).min(top),
        })
        .collect();
    let mut bytes = float16::f32_to_f16(d).to_le_bytes().to_vec();
    if matches!(format, Gguf::Q4_1 | Gguf::Q5_1) {
        bytes.extend(float16::f32_to_f16(m).to_le_bytes());
    }
    if format == Gguf::Q8_0 {
        bytes.extend(codes.iter().map(|&q| q as i8 as u8));
        return bytes;
    }
    if matches!(format, Gguf::Q5_0 | Gguf::Q5_1) {
        let word = (0..32).map(|i| ((codes[i] as u32) >> 4 & 1) << i).sum::<u32>();
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend((0..16).map(|j| (codes[j] as u8 & 15) | (codes[j + 16] as u8) << 4));
    bytes
}

/// Finite blocks: normal numbers of every size, on a grid that has ties, with few bits, and any bits.
fn block(rng: &mut Rng) -> Vec<f32> {
    let kind = rng.below(5);
    let scale = f32::from_bits((rng.below(254) as u32 + 1) << 23);
    let mut x: Vec<f32> = (0..BLOCK)
        .map(|_| match kind {
            0 => rng.normal() * scale.min(1e37),
            1 => (rng.below(65) as f32 - 32.0) * 0.5 * scale.min(1e37),
            2 => rng.pick(&[0.0, -0.0, 1.0, -1.0, 0.5, 7.5]) * scale.min(1e37),
            3 => f32::from_bits(rng.next_u32() & 0x807F_FFFF), // subnormal
            _ => match rng.any_f32() {
                x if x.is_finite() => x,
                _ => 0.0,
            },
        })
        .collect();
    if kind == 1 {
        // A magnitude that makes steps whole for one of the formats.
        let at = rng.below(BLOCK);
        x[at] = rng.pick(&[127.0, 8.0, -8.0, 16.0, -16.0, 15.0, 31.0]) * scale.min(1e35);
    }
    x
}

#[test]
fn gguf_as_defined() {
    let mut rng = rng(50);
    for _ in 0..20_000 {
        let x = block(&mut rng);
        for format in Gguf::MADE {
            if !(x.iter().copied().fold(0.0, f32::max) - x.iter().copied().fold(0.0, f32::min))
                .is_finite()
            {
                continue;
            }
            assert_eq!(encoded(format, &x), reference(format, &x), "{format:?} {x:?}");
        }
    }
}

#[test]
fn gguf_ties_zeros_and_signs() {
    let mut x = [0.0; BLOCK];
    (x[0], x[1], x[2], x[3]) = (127.0, 2.5, -3.5, 0.49999997);
    // d is 1; halves go away from zero.
    assert_eq!(encoded(Gguf::Q8_0, &x)[..6], [0x00, 0x3C, 127, 3, -4i8 as u8, 0]);
    // The extreme is +8, so d is -1, and halves go up before the sign is turned: trunc(q + 8.5).
    (x[0], x[1], x[2], x[16]) = (8.0, 2.5, -2.5, -8.0);
    assert_eq!(encoded(Gguf::Q4_0, &x)[..5], [0x00, 0xBC, 0xF0, 0x86, 0x8B]);
    (x[0], x[16]) = (-8.0, 8.0);
    assert_eq!(encoded(Gguf::Q4_0, &x)[..5], [0x00, 0x3C, 0xF0, 0x8B, 0x86]);
    // No magnitude: d has the sign that +0 / -8 has.
    let mut want = vec![0x88; 18];
    (want[0], want[1]) = (0x00, 0x80);
    assert_eq!(encoded(Gguf::Q4_0, &[0.0; BLOCK]), want);
    want[1] = 0;
    assert_eq!(encoded(Gguf::Q4_0, &[-0.0; BLOCK]), want);
    // -0 is the smallest of zeros.
    x = [0.0; BLOCK];
    x[31] = -0.0;
    assert_eq!(encoded(Gguf::Q4_1, &x)[..4], [0, 0, 0, 0x80]);
    assert_eq!(encoded(Gguf::Q5_1, &[0.0; BLOCK]), [0; 24]);
}

#[test]
fn gguf_without_numbers() {
    for at in [0, 17, 31] {
        let mut x: Vec<f32> = (0..32).map(|i| i as f32 - 9.0).collect();
        for nan in [0x7FC0_0000, 0xFFC0_0000, 0x7F80_0001, 0xFFFF_FFFF].map(f32::from_bits) {
            x[at] = nan;
            for format in Gguf::MADE {
                let got = encoded(format, &x);
                let words = if got.len().is_multiple_of(4) { 2 } else { 1 };
                let (head, codes) = got.split_at(2 * words);
                assert!(head.chunks(2).all(|word| word == [0x00, 0x7E]), "{format:?} {got:x?}");
                assert!(codes.iter().all(|&byte| byte == 0), "{format:?} {got:x?}");
                let back = decoded(format, &got);
                assert!(back.iter().all(|x| x.to_bits() == 0x7FC0_0000));
            }
        }
        for infinity in [f32::INFINITY, f32::NEG_INFINITY] {
            x[at] = infinity;
            let q8 = encoded(Gguf::Q8_0, &x);
            assert_eq!(q8[..2], [0x00, 0x7C]);
            assert!(q8[2..].iter().all(|&q| q == 0));
            let back = decoded(Gguf::Q4_0, &encoded(Gguf::Q4_0, &x));
            for (i, y) in back.iter().enumerate() {
                assert!(if i == at { *y == infinity } else { y.is_nan() });
            }
            let q4 = encoded(Gguf::Q4_1, &x);
            assert_eq!(q4[..2], [0x00, 0x7C]);
            assert!(q4[4..].iter().all(|&q| q == 0));
        }
    }
    // inf - inf.
    assert_eq!(encoded(Gguf::Q5_1, &[f32::INFINITY; 32])[..4], [0x00, 0x7E, 0x00, 0x7C]);
    // 65504 * 127 is the largest magnitude whose d is finite, but for rounding; beyond, codes stay.
    let mut x = [65504.0 * 127.0; 32];
    assert_eq!(encoded(Gguf::Q8_0, &x)[..3], [0xFF, 0x7B, 127]);
    x[0] = f32::MAX;
    assert_eq!(encoded(Gguf::Q8_0, &x)[..4], [0x00, 0x7C, 127, 0]);
    // d is so small that its inverse is infinite.
    x = [1e-37; 32];
    assert_eq!(encoded(Gguf::Q8_0, &x), [0; 34]);
}

#[test]
fn gguf_every_code() {
    let mut rng = rng(51);
    for d in [0x0000, 0x8000, 0x0001, 0x3C00, 0xB801, 0x7BFF, 0x7C00, 0xFC00, 0x7E00, 0x7C01] {
        let (d, m) = (d as u16, rng.next_u32() as u16);
        let (scale, shift) = (float16::f16_to_f32(d), float16::f16_to_f32(m));
        let canonical = |x: f32| if x.is_nan() { 0x7FC0_0000 } else { x.to_bits() };
        for first in (0..256).step_by(32) {
            let mut q8 = d.to_le_bytes().to_vec();
            q8.extend((first..first + 32).map(|q| q as u8));
            for (i, got) in decoded(Gguf::Q8_0, &q8).iter().enumerate() {
                let q = (first + i) as u8 as i8;
                assert_eq!(got.to_bits(), canonical(f32::from(q) * scale));
            }
        }
        for round in 0..64 {
            let fifth = rng.next_u32();
            let nibbles: Vec<u8> = (0..16)
                .map(|j| if round < 16 { (round * 16 + j) as u8 } else { rng.byte() })
                .collect();
            let code = |i: usize, bits: u32| {
                let nibble = nibbles[i % 16] >> (i / 16 * 4) & 15;
                f32::from(nibble) + if bits >> i & 1 == 1 { 16.0 } else { 0.0 }
            };
            for format in [Gguf::Q4_0, Gguf::Q4_1, Gguf::Q5_0, Gguf::Q5_1] {
                let mut block = d.to_le_bytes().to_vec();
                let min = matches!(format, Gguf::Q4_1 | Gguf::Q5_1);
                if min {
                    block.extend(m.to_le_bytes());
                }
                let five = matches!(format, Gguf::Q5_0 | Gguf::Q5_1);
                if five {
                    block.extend(fifth.to_le_bytes());
                }
                block.extend(&nibbles);
                assert_eq!(block.len(), format.block_bytes());
                for (i, got) in decoded(format, &block).iter().enumerate() {
                    let q = code(i, if five { fifth } else { 0 });
                    let want = match (min, five) {
                        (true, _) => q * scale + shift,
                        (_, false) => (q - 8.0) * scale,
                        (_, true) => (q - 16.0) * scale,
                    };
                    assert_eq!(got.to_bits(), canonical(want), "{format:?} {block:x?} {i}");
                }
            }
        }
    }
}

#[test]
fn gguf_stops_at_the_shorter_side() {
    let x = [1.0; 100];
    for format in Gguf::MADE {
        let size = format.block_bytes();
        for bytes in [0, 1, size - 1, size, 2 * size + 5, 9 * size] {
            for n in [0, 31, 32, 64, 100] {
                let whole = (n / BLOCK).min(bytes / size);
                let mut blocks = vec![0xA5; bytes];
                gguf::quantize(format, &x[..n], &mut blocks);
                assert_eq!(blocks[..whole * size], encoded(format, &x[..whole * BLOCK]));
                assert!(blocks[whole * size..].iter().all(|&byte| byte == 0xA5));
                let mut back = vec![9.0; n];
                gguf::dequantize(format, &blocks, &mut back);
                assert!(back[whole * BLOCK..].iter().all(|&x| x == 9.0));
            }
        }
    }
}

/// The magnitudes of a format's codes, in order, from what the formats are.
fn magnitudes(format: Mx) -> Vec<f64> {
    let float = |mantissa_bits: u32, bias: i32, largest: f64| -> Vec<f64> {
        (0..128u32)
            .map(|code| {
                let (exponent, mantissa) =
                    (code >> mantissa_bits, code & ((1 << mantissa_bits) - 1));
                let fraction = f64::from(mantissa) / f64::from(1 << mantissa_bits);
                match exponent {
                    0 => fraction * 2f64.powi(1 - bias),
                    _ => (1.0 + fraction) * 2f64.powi(exponent as i32 - bias),
                }
            })
            .take_while(|&value| value <= largest)
            .collect()
    };
    match format {
        Mx::Fp8E4m3 => float(3, 7, 448.0),
        Mx::Fp8E5m2 => float(2, 15, 57344.0),
        Mx::Fp4E2m1 => vec![0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0],
        Mx::Int8 => (0..128).map(|q| f64::from(q) / 64.0).collect(),
    }
}

/// The nearest code of a number, the even one of two, as a byte.
fn nearest(format: Mx, v: f64) -> u8 {
    let table = magnitudes(format);
    let best = (0..table.len())
        .min_by(|&a, &b| {
            let distance = |i: usize| (table[i] - v.abs()).abs();
            distance(a).total_cmp(&distance(b)).then((a % 2).cmp(&(b % 2)))
        })
        .unwrap() as u8;
    match (format, v.is_sign_negative()) {
        (Mx::Int8, true) => best.wrapping_neg(),
        (Mx::Fp4E2m1, true) => best | 8,
        (_, true) => best | 0x80,
        (_, false) => best,
    }
}

fn mx_encoded(format: Mx, x: &[f32]) -> (Vec<u8>, Vec<u8>) {
    let mut scales = vec![0xA5; mx::scale_count(x.len())];
    let mut elements = vec![0xA5; format.element_bytes(x.len())];
    mx::quantize(format, x, &mut scales, &mut elements);
    (scales, elements)
}

fn mx_decoded(format: Mx, scales: &[u8], elements: &[u8], n: usize) -> Vec<f32> {
    let mut x = vec![1e30; n];
    mx::dequantize(format, scales, elements, &mut x);
    x
}

/// The code of element `i`.
fn mx_code(format: Mx, elements: &[u8], i: usize) -> u8 {
    match format {
        Mx::Fp4E2m1 => elements[i / 2] >> (i % 2 * 4) & 15,
        _ => elements[i],
    }
}

#[test]
fn mx_as_defined() {
    let mut rng = rng(52);
    for round in 0..3000 {
        let n = if round % 3 == 0 { 32 } else { 1 + rng.below(70) };
        let x: Vec<f32> = (0..n.div_ceil(BLOCK)).flat_map(|_| block(&mut rng)).take(n).collect();
        for format in Mx::ALL {
            let (scales, elements) = mx_encoded(format, &x);
            let emax = magnitudes(format).last().unwrap().log2().floor();
            assert_eq!(f64::from(format.emax()), emax);
            for (b, x) in x.chunks(BLOCK).enumerate() {
                let amax = x.iter().map(|x| f64::from(x.abs())).fold(0.0, f64::max);
                let exponent = (amax.log2().floor() - emax).max(-127.0);
                assert_eq!(f64::from(scales[b]) - 127.0, exponent, "{format:?} {x:?}");
                for (i, &x) in x.iter().enumerate() {
                    let got = mx_code(format, &elements, b * BLOCK + i);
                    let want = nearest(format, f64::from(x) / exponent.exp2());
                    assert_eq!(got, want, "{format:?} {x:e} of {amax:e}");
                }
            }
            if format == Mx::Fp4E2m1 && n % 2 == 1 {
                assert_eq!(elements[n / 2] >> 4, 0, "the last nibble");
            }
            // What was stored is read exactly, and stored again as the same.
            let back = mx_decoded(format, &scales, &elements, n);
            for (i, x) in back.iter().enumerate() {
                let code = mx_code(format, &elements, i);
                let scale = (f64::from(scales[i / BLOCK]) - 127.0).exp2();
                assert_eq!(f64::from(*x), value(format, code) * scale);
            }
        }
    }
}

/// The number of a code that is one.
fn value(format: Mx, code: u8) -> f64 {
    let table = magnitudes(format);
    let (negative, magnitude) = match format {
        Mx::Int8 => return f64::from(code as i8) / 64.0,
        Mx::Fp4E2m1 => (code & 8 != 0, code & 7),
        _ => (code & 0x80 != 0, code & 0x7F),
    };
    table[usize::from(magnitude)] * if negative { -1.0 } else { 1.0 }
}

#[test]
fn mx_ties_and_ends() {
    let codes = |format, x: &[f32]| -> (u8, Vec<u8>) {
        let (scales, elements) = mx_encoded(format, x);
        (scales[0], (0..x.len()).map(|i| mx_code(format, &elements, i)).collect())
    };
    // E2M1 under a scale of 1: to even; 7 saturates; -0 stays.
    let x = [4.0, 0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 7.0, -0.25, -5.0, -0.0, 0.2500001];
    assert_eq!(codes(Mx::Fp4E2m1, &x), (127, vec![6, 0, 2, 2, 4, 4, 6, 6, 7, 8, 14, 8, 1]));
    // 464 is a tie between 448 and NaN's place.
    let x = [256.0, 448.0, 464.0, 511.99, -511.99, 0.0009765625, 0.0009765626];
    assert_eq!(codes(Mx::Fp8E4m3, &x), (127, vec![0x78, 0x7E, 0x7E, 0x7E, 0xFE, 0, 1]));
    let x = [32768.0, 57344.0, 65535.0, -65535.0, 0.0];
    assert_eq!(codes(Mx::Fp8E5m2, &x), (127, vec![0x78, 0x7B, 0x7B, 0xFB, 0]));
    let x = [1.0, 1.999, -1.999, -1.0, 0.5 / 64.0, 1.5 / 64.0, -2.5 / 64.0, -0.0];
    assert_eq!(codes(Mx::Int8, &x), (127, vec![64, 127, 129, 192, 0, 2, 254, 0]));
    for format in Mx::ALL {
        let emax = format.emax() as u8;
        assert_eq!(codes(format, &[f32::MAX]).0, 254 - emax);
        assert_eq!(codes(format, &[0.0, -0.0]).0, 0);
        assert_eq!(codes(format, &[f32::from_bits(1)]), (0, vec![0]));
        assert_eq!(codes(format, &[f32::MIN_POSITIVE]).0, 1u8.saturating_sub(emax));
        let x = f32::MIN_POSITIVE.next_down();
        assert_eq!(codes(format, &[x]), (0, vec![nearest(format, f64::from(x) * 127f64.exp2())]));
        for bad in extremes().into_iter().filter(|x| !x.is_finite()) {
            assert_eq!(codes(format, &[1.0, bad, -2.0]), (SCALE_NAN, vec![0; 3]));
            let mut x = [3.0; 70];
            x[40] = bad;
            let (scales, _) = mx_encoded(format, &x);
            assert_eq!(
                scales.iter().map(|&s| s == SCALE_NAN).collect::<Vec<_>>(),
                [false, true, false]
            );
        }
    }
}

#[test]
fn mx_every_scale_and_element() {
    for format in Mx::ALL {
        let count: usize = if format == Mx::Fp4E2m1 { 16 } else { 256 };
        let elements: Vec<u8> = match format {
            Mx::Fp4E2m1 => (0..8).map(|i| 0x22 * i + 0x10).collect(),
            _ => (0..=255).collect(),
        };
        for scale in 0..=255u8 {
            let x = mx_decoded(format, &vec![scale; count.div_ceil(BLOCK)], &elements, count);
            for (code, got) in x.iter().enumerate() {
                let element = match format {
                    Mx::Fp8E4m3 => f64::from(fp8::e4m3fn_to_f32(code as u8)),
                    Mx::Fp8E5m2 => f64::from(fp8::e5m2_to_f32(code as u8)),
                    _ => value(format, code as u8),
                };
                let want = match scale {
                    SCALE_NAN => f32::NAN,
                    _ => (element * (f64::from(scale) - 127.0).exp2()) as f32,
                };
                let want = if want.is_nan() { 0x7FC0_0000 } else { want.to_bits() };
                assert_eq!(got.to_bits(), want, "{format:?} {code:#x} scale {scale}");
            }
        }
    }
}

#[test]
fn e2m1_alone() {
    for (code, &magnitude) in magnitudes(Mx::Fp4E2m1).iter().enumerate() {
        assert_eq!(f64::from(mx::e2m1_to_f32(code as u8)), magnitude);
        assert_eq!(mx::e2m1_to_f32(code as u8 | 8).to_bits(), (-magnitude as f32).to_bits());
        assert_eq!(mx::f32_to_e2m1(magnitude as f32), code as u8);
    }
    for x in extremes().into_iter().filter(|x| !x.is_nan()) {
        let want = nearest(Mx::Fp4E2m1, f64::from(x).clamp(-1e9, 1e9));
        assert_eq!(mx::f32_to_e2m1(x), want, "{x:e}");
    }
}

#[test]
fn mx_stops_at_the_shortest_side() {
    let x = [1.0; 100];
    for format in Mx::ALL {
        for scales in 0..5 {
            for bytes in [0, 1, 16, 17, 33, 64, 100] {
                let (mut s, mut e) = (vec![0xA5; scales], vec![0xA5; bytes]);
                mx::quantize(format, &x, &mut s, &mut e);
                let mut back = [9.0; 100];
                mx::dequantize(format, &s, &e, &mut back);
                let codes = if format == Mx::Fp4E2m1 { 2 * bytes } else { bytes };
                let n = codes.min(scales * BLOCK).min(100);
                assert_eq!(bits(&back[..n]), bits(&x[..n]), "{format:?} {scales} {bytes}");
                assert!(back[n..].iter().all(|&x| x == 9.0));
            }
        }
    }
    assert_eq!([0, 1, 32, 33].map(mx::scale_count), [0, 1, 1, 2]);
    assert_eq!([0, 1, 32, 33].map(|n| Mx::Fp4E2m1.element_bytes(n)), [0, 1, 16, 17]);
    assert_eq!(mx::scale_count(usize::MAX), usize::MAX / 32 + 1);
}

/// The nearest of numbers in order, the one at an even place of two.
fn nearest_of(table: &[f64], v: f64) -> usize {
    let distance = |i: usize| (table[i] - v).abs();
    (0..table.len())
        .min_by(|&a, &b| distance(a).total_cmp(&distance(b)).then((a % 2).cmp(&(b % 2))))
        .unwrap()
}

#[test]
fn nvfp4_as_defined() {
    let mut rng = rng(54);
    let (scales_of, elements_of) = (magnitudes(Mx::Fp8E4m3), magnitudes(Mx::Fp4E2m1));
    for round in 0..2000 {
        let n = if round % 3 == 0 { 64 } else { 1 + rng.below(70) };
        let exponent = 2f32.powi(rng.below(80) as i32 - 40);
        let number = |rng: &mut Rng| match rng.below(6) {
            0 => (rng.below(49) as f32 - 24.0) * 0.25 * exponent,
            1 => rng.normal() * exponent * 2f32.powi(-(rng.below(12) as i32)),
            _ => rng.normal() * exponent,
        };
        let x: Vec<f32> = (0..n).map(|_| number(&mut rng)).collect();
        let amax = x.iter().fold(0f32, |most, x| most.max(x.abs()));
        let scale = match rng.below(2) {
            0 => nvfp4::tensor_scale(amax),
            _ => exponent * 2f32.powi(-(rng.below(12) as i32)),
        };
        assert!(scale > 0.0 && (amax == 0.0 || nvfp4::tensor_scale(amax) == divide(amax, 2688.0)));
        let mut scales = vec![0xA5; nvfp4::scale_count(n)];
        let mut elements = vec![0xA5; n.div_ceil(2)];
        nvfp4::quantize(scale, &x, &mut scales, &mut elements);
        let mut back = vec![1e30; n];
        nvfp4::dequantize(scale, &scales, &elements, &mut back);
        for (b, x) in x.chunks(16).enumerate() {
            let amax = x.iter().fold(0f32, |most, x| most.max(x.abs()));
            let quotient = f64::from(divide(divide(amax, 6.0), scale)).min(448.0);
            let byte = nearest_of(&scales_of, quotient);
            assert_eq!(usize::from(scales[b]), byte, "block {b} of {x:?}");
            let step = multiply(scales_of[byte] as f32, scale);
            for (i, &x) in x.iter().enumerate() {
                let at = 16 * b + i;
                let code = elements[at / 2] >> (at % 2 * 4) & 15;
                let want = match step > 0.0 {
                    true => {
                        nearest_of(&elements_of, f64::from(divide(x.abs(), step)).min(6.0)) as u8
                    }
                    false => 0,
                };
                let sign = if x.is_sign_negative() && step > 0.0 { 8 } else { 0 };
                assert_eq!(code, want | sign, "{x} of step {step}");
                let value = multiply(elements_of[usize::from(want)] as f32, step);
                let value = if sign == 0 { value } else { -value };
                assert_eq!(back[at].to_bits(), value.to_bits());
            }
        }
        if n % 2 == 1 {
            assert_eq!(elements[n / 2] >> 4, 0);
        }
    }
}

#[test]
fn nvfp4_without_numbers() {
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = [1.5f32; 32];
        x[20] = odd;
        let (mut scales, mut elements, mut back) = ([0; 2], [0xA5; 16], [0f32; 32]);
        nvfp4::quantize(0.5, &x, &mut scales, &mut elements);
        assert_eq!(scales[1], 0x7F);
        assert_eq!(elements[8..], [0; 8]);
        nvfp4::dequantize(0.5, &scales, &elements, &mut back);
        assert!(back[..16].iter().all(|&x| x == 1.5));
        assert!(back[16..].iter().all(|x| x.to_bits() == 0x7FC0_0000));
    }
    assert_eq!(nvfp4::tensor_scale(0.0), 1.0);
    assert_eq!(nvfp4::tensor_scale(1e-45), 1.0);
    assert_eq!(nvfp4::tensor_scale(2688.0), 1.0);
}
