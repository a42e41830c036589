//! What is made of the single operations: products of numbers, the epilogue of blocks, multipliers of scales, GGUF's blocks as
//! codes. Each against arithmetic that has none of their code.

mod common;

use common::{fused, rng};
use fewbit_scheme::block::BLOCK;
use fewbit_scheme::block::gguf::{self, Gguf};
use fewbit_scheme::{
    FixedMultiplier, FixedRounding, IntFormat, RealFormat, dot, dot_with_bias, float16, pack,
    scale_blocks,
};

#[test]
fn products_are_chains_of_one_rounding_a_step() {
    let mut rng = rng(0xD07);
    for n in (0..40).chain([100, 1000]) {
        for _ in 0..20 {
            let pairs: Vec<(f32, f32)> =
                (0..n).map(|_| (rng.normal(), rng.normal() * 3.0)).collect();
            let want = pairs.iter().fold(0.0, |acc, &(x, w)| fused(x, w, acc));
            assert_eq!(dot(pairs.iter().copied()).to_bits(), want.to_bits(), "{n}");
            let bias = rng.normal();
            let got = dot_with_bias(pairs.iter().copied(), bias);
            assert_eq!(got.to_bits(), (want + bias).to_bits(), "{n}");
        }
    }
    // From +0; fused; NaN is the one that is always meant.
    assert_eq!(dot([(-1.0, 0.0)].into_iter()).to_bits(), 0);
    let close = 1.0 + f32::EPSILON;
    assert_eq!(
        dot([(1.0, -1.0), (close, close)].into_iter()),
        2.0 * f32::EPSILON + f32::EPSILON.powi(2)
    );
    let (odd, nan) = (f32::from_bits(0xFFC1_2345), 0x7FC0_0000);
    assert_eq!(dot([(odd, 1.0)].into_iter()).to_bits(), nan);
    assert_eq!(dot([(f32::INFINITY, 0.0)].into_iter()).to_bits(), nan);
    assert_eq!(dot_with_bias([(f32::INFINITY, 1.0)].into_iter(), f32::NEG_INFINITY).to_bits(), nan);
    assert_eq!(dot_with_bias([(1.0, 1.0)].into_iter(), odd).to_bits(), nan);
}

#[test]
fn blocks_are_a_chain_too() {
    let mut rng = rng(0xB10C);
    for count in 0..20 {
        let sums: Vec<i32> = (0..count).map(|_| rng.next_u32() as i32 >> rng.below(24)).collect();
        let factors: Vec<f32> = (0..count).map(|_| rng.normal() * 0.01).collect();
        let row = rng.normal();
        let chain =
            sums.iter().zip(&factors).fold(0.0, |y, (&sum, &f)| fused(sum as f32, row * f, y));
        for (bias, relu) in [(None, false), (Some(0.75), false), (None, true), (Some(-0.5), true)] {
            let y = bias.map_or(chain, |bias: f32| chain + bias);
            let want = if relu { y.max(0.0) } else { y };
            let got = scale_blocks(&sums, row, &factors, bias, relu);
            assert_eq!(got, want, "{count} {bias:?} {relu}");
        }
    }
    let with = |factor, bias, relu| scale_blocks(&[1], 1.0, &[factor], bias, relu);
    assert_eq!(with(f32::INFINITY, Some(f32::NEG_INFINITY), false).to_bits(), 0x7FC0_0000);
    assert!(with(f32::NAN, None, true).is_nan(), "a NaN stays");
    assert_eq!(with(-1.0, None, true).to_bits(), 0);
    // -0 is not less than 0.
    assert_eq!(with(0.0, Some(-0.0), true).to_bits(), 0);
    // As many blocks as both sides have.
    assert_eq!(scale_blocks(&[2, 3], 0.5, &[4.0], None, false), 4.0);
    assert_eq!(scale_blocks(&[], 0.5, &[4.0], None, false).to_bits(), 0);
}

#[test]
fn multipliers_of_scales() {
    let by_hand = |input, weight, output| FixedMultiplier::from_scales(input, weight, output);
    let made = |multiplier, shift| Some(FixedMultiplier { multiplier, shift });
    assert_eq!(by_hand(0.5, 0.5, 1.0), made(1 << 30, -1));
    assert_eq!(by_hand(0.75, 2.0, 1.0), made(3 << 29, 1));
    assert_eq!(by_hand(1.0, 1.0, 4.0), made(1 << 30, -1));
    assert_eq!(by_hand(1e30, 1e30, 1.0), None);
    assert_eq!(by_hand(1.0, 1.0, f32::NAN), None);
    // The product does not fit f32: it is of f64.
    assert_eq!(by_hand(1e-30, 1e-30, 1e-60_f64 as f32), None);
    assert_eq!(by_hand(1e-30, 1e-30, 1e-38), made(0, 0));
    let mut rng = rng(0x5CA1E);
    for _ in 0..1000 {
        let [a, b, c] = [(); 3].map(|()| (rng.normal() * 3.0).exp());
        let got = by_hand(a, b, c).unwrap();
        let real = f64::from(a) * f64::from(b) / f64::from(c);
        let is = f64::from(got.multiplier) / 2f64.powi(31) * 2f64.powi(got.shift);
        assert!(got.is_valid() && (is / real - 1.0).abs() <= 2f64.powi(-31), "{a} {b} {c}");
    }
    // The one product that is too large.
    let most = FixedMultiplier { multiplier: i32::MAX, shift: 30 };
    assert_eq!(most.apply(i32::MIN, FixedRounding::Double), -i32::MAX);
    let beyond = FixedMultiplier { multiplier: i32::MIN, shift: 0 };
    assert!(!beyond.is_valid());
    assert_eq!(beyond.apply(i32::MIN, FixedRounding::Double), i32::MAX);
}

#[test]
fn gguf_blocks_are_codes_with_scales() {
    let mut rng = rng(0x66F);
    for (format, codes_of) in
        [(Gguf::Q4_0, IntFormat::S4), (Gguf::Q5_0, IntFormat::S8), (Gguf::Q8_0, IntFormat::S8)]
    {
        assert_eq!(format.code_format(), Some(codes_of));
        let size = format.block_bytes();
        for d in [0x3C00u16, 0xBC00, 0x0001, 0x8001, 0x7BFF, 0xFBFF, 0x0000, 0x8000, 0x2E66] {
            let mut blocks = rng.bytes(3 * size);
            blocks
                .chunks_exact_mut(size)
                .for_each(|block| block[..2].copy_from_slice(&d.to_le_bytes()));
            assert_eq!(gguf::first_without_scale(format, &blocks), None);
            let mut packed = vec![0xA5; pack::packed_len(codes_of, 3 * BLOCK)];
            let (mut scales, mut zero_points) = ([0.0; 3], [7; 3]);
            gguf::unpack(format, &blocks, &mut packed, &mut scales, &mut zero_points);
            let (mut codes, mut numbers) = (vec![0i8; 3 * BLOCK], vec![0.0; 3 * BLOCK]);
            pack::unpack(codes_of, &packed, &mut codes);
            gguf::dequantize(format, &blocks, &mut numbers);
            for (i, (&code, &number)) in codes.iter().zip(&numbers).enumerate() {
                let steps = i32::from(code) - zero_points[i / BLOCK];
                assert!(scales[i / BLOCK] > 0.0);
                assert_eq!(scales[i / BLOCK] * steps as f32, number, "{format:?} {d:#x} {i}");
            }
        }
        for d in [0x7C00u16, 0xFC00, 0x7E00, 0x7C01] {
            let mut blocks = vec![0; 3 * size];
            blocks[2 * size..][..2].copy_from_slice(&d.to_le_bytes());
            assert_eq!(gguf::first_without_scale(format, &blocks), Some(2), "{d:#x}");
        }
    }
    for format in [Gguf::Q4_1, Gguf::Q5_1, Gguf::Q4K, Gguf::Q5K, Gguf::Q6K] {
        assert_eq!(format.code_format(), None);
        let (mut codes, mut scale, mut zero_point) = ([1; 32], [2.0], [3]);
        gguf::unpack(format, &[9; 256], &mut codes, &mut scale, &mut zero_point);
        assert_eq!((codes, scale, zero_point), ([1; 32], [2.0], [3]), "nothing is done");
    }
}

#[test]
fn bytes_of_codes_and_numbers() {
    assert_eq!(
        [RealFormat::F32, RealFormat::F16, RealFormat::Bf16].map(RealFormat::size),
        [4, 2, 2]
    );
    for format in [IntFormat::S8, IntFormat::U8] {
        let codes: Vec<i8> = (-128..=127).collect();
        let (mut bytes, mut back) = (vec![0; 256], vec![0i8; 256]);
        pack::pack(format, &codes, 0, &mut bytes);
        assert!(bytes.iter().zip(&codes).all(|(&byte, &code)| byte == code as u8));
        pack::unpack(format, &bytes, &mut back);
        assert_eq!(back, codes);
    }
    assert_eq!(float16::f16_to_f32(0x2E66), 0.099_975_586);
}
