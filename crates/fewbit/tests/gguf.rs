//! GGUF blocks as they are in a file, taken apart into weights with a scale a block: each number is what dequantizing
//! gives, and a plan of them is the definition of block scales.

mod common;

use common::layers::{GOOD, create};
use common::workspace;
use fewbit::scheme::block::gguf::{Gguf, dequantize, first_without_scale, quantize, unpack};
use fewbit::scheme::float16::f32_to_f16;
use fewbit::scheme::{IntFormat, QuantParams, pack};
use fewbit::{Code, Input, LinearDesc, Serial, Weights};
use fewbit_testkit::{Rng, seed};

const FORMATS: [Gguf; 3] = [Gguf::Q4_0, Gguf::Q5_0, Gguf::Q8_0];

/// Blocks taken apart.
struct Parts {
    codes: Vec<u8>,
    scales: Vec<f32>,
    zero_points: Vec<i32>,
}

fn take_apart(format: Gguf, blocks: &[u8]) -> Parts {
    let count = blocks.len() / format.block_bytes();
    let unit = format.code_format().unwrap().codes_per_byte();
    let mut parts = Parts {
        codes: vec![0x5A; count * 32 / unit],
        scales: vec![f32::NAN; count],
        zero_points: vec![i32::MAX; count],
    };
    unpack(format, blocks, &mut parts.codes, &mut parts.scales, &mut parts.zero_points);
    parts
}

fn code(of: IntFormat, codes: &[u8], i: usize) -> i32 {
    match of {
        IntFormat::S8 => i32::from(codes[i] as i8),
        _ => {
            let (byte, slot) = pack::position(of, i);
            pack::get(of, codes[byte], slot)
        }
    }
}

/// Any bytes with any finite scale: also negative ones, zeros and subnormals, which no quantizer of ours writes.
fn any_blocks(rng: &mut Rng, format: Gguf, count: usize) -> Vec<u8> {
    let mut blocks = rng.bytes(count * format.block_bytes());
    for block in blocks.chunks_exact_mut(format.block_bytes()) {
        let d = match rng.below(5) {
            0 => 0,
            1 => 0x8000,
            2 => rng.below(0x400) as u16 | 0x8000,
            _ => f32_to_f16(rng.unit() - 0.5),
        };
        block[..2].copy_from_slice(&d.to_le_bytes());
    }
    blocks
}

#[test]
fn parts_are_the_numbers() {
    let mut rng = Rng::new(seed() ^ 0x66);
    for format in FORMATS {
        let of = format.code_format().unwrap();
        let blocks = any_blocks(&mut rng, format, 300);
        let parts = take_apart(format, &blocks);
        let mut numbers = vec![0f32; 300 * 32];
        dequantize(format, &blocks, &mut numbers);
        for (i, &number) in numbers.iter().enumerate() {
            let (scale, zero_point) = (parts.scales[i / 32], parts.zero_points[i / 32]);
            assert!(scale > 0.0 && matches!(zero_point, -1 | 0), "{format:?} {i}");
            let difference = code(of, &parts.codes, i) - zero_point;
            // The sign of a zero is not kept.
            assert_eq!(scale * difference as f32, number, "{format:?} {i}");
        }
    }
}

#[test]
fn what_cannot_be_taken_apart_is_told() {
    for format in FORMATS {
        let mut blocks = any_blocks(&mut Rng::new(3), format, 3);
        assert_eq!(first_without_scale(format, &blocks), None);
        let at = 2 * format.block_bytes();
        for d in [0x7C00u16, 0xFC00, 0x7E01] {
            blocks[at..at + 2].copy_from_slice(&d.to_le_bytes());
            assert_eq!(first_without_scale(format, &blocks), Some(2));
        }
    }
    for format in [Gguf::Q4_1, Gguf::Q5_1] {
        assert_eq!(format.code_format(), None);
        let (mut codes, mut scales, mut zero_points) = ([7; 32], [7.0], [7]);
        unpack(format, &[1; 24], &mut codes, &mut scales, &mut zero_points);
        assert_eq!((codes, scales, zero_points), ([7; 32], [7.0], [7]));
    }
}

/// A layer of the blocks: `y = fma(f32(sum of a block), x scale * d, y)` block by block, to the bit; and near what
/// dequantizing and multiplying in double precision gives.
#[test]
fn plans_read_what_files_hold() {
    let mut rng = Rng::new(seed() ^ 0x67);
    let (m, n, k) = (3, 21, 160);
    let blocks_of_k = k / 32;
    for format in FORMATS {
        for any in [false, true] {
            let numbers: Vec<f32> = (0..n * k).map(|_| rng.unit() - 0.5).collect();
            let mut blocks = any_blocks(&mut rng, format, n * blocks_of_k);
            if !any {
                quantize(format, &numbers, &mut blocks);
            }
            let of = format.code_format().unwrap();
            let parts = take_apart(format, &blocks);
            let weights = Weights {
                format: of,
                codes: &parts.codes,
                scales: &parts.scales,
                zero_points: &parts.zero_points,
                block: 32,
                ..GOOD.weights
            };
            let params = QuantParams { scale: 0.03, zero_point: -7 };
            let input = Input::Codes(Code::S8, params);
            let desc = LinearDesc { in_features: k, out_features: n, weights, input, ..GOOD };
            let plan = create(&desc).unwrap();
            let mut memory = workspace(plan.workspace(m, 1).unwrap().size);
            let (x, mut y) = (rng.bytes(m * k), vec![0f32; m * n]);
            plan.run(m, &x, &mut memory, &Serial, &mut y).unwrap();

            let mut numbers = vec![0f32; n * k];
            dequantize(format, &blocks, &mut numbers);
            for (i, &got) in y.iter().enumerate() {
                let (row, channel) = (i / n, i % n);
                let difference = |i: usize| i32::from(x[row * k + i] as i8) - params.zero_point;
                let (mut want, mut exact, mut magnitude) = (0f32, 0f64, 0f64);
                for block in 0..blocks_of_k {
                    let of_block = channel * blocks_of_k + block;
                    let mut sum = 0;
                    for i in block * 32..block * 32 + 32 {
                        let at = channel * k + i;
                        sum += difference(i)
                            * (code(of, &parts.codes, at) - parts.zero_points[of_block]);
                        let product = f64::from(difference(i))
                            * f64::from(params.scale)
                            * f64::from(numbers[at]);
                        exact += product;
                        magnitude += product.abs();
                    }
                    want = (sum as f32).mul_add(params.scale * parts.scales[of_block], want);
                }
                assert_eq!(got, want, "{format:?} {i}");
                // Two roundings a block: of the factor, and of the step.
                let bound = magnitude * (2 * blocks_of_k) as f64 * f64::from(f32::EPSILON);
                assert!((f64::from(got) - exact).abs() <= bound, "{format:?} {i}: {got} {exact}");
            }
        }
    }
}
