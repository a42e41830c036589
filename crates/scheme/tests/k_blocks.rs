//! The K formats of GGUF: against what another implementation reads (`golden/gguf_k.bin`), and bit by bit.

mod common;

use common::rng;
use fewbit_scheme::block::gguf::{self, Gguf};
use fewbit_scheme::float16;

const K_FORMATS: [Gguf; 3] = [Gguf::Q4K, Gguf::Q5K, Gguf::Q6K];

#[test]
fn k_blocks_as_the_package_gguf() {
    let mut rest = &include_bytes!("golden/gguf_k.bin")[..];
    let mut take = |bytes: usize| {
        let (head, tail) = rest.split_at(bytes);
        rest = tail;
        head
    };
    let count = u32::from_le_bytes(take(4).try_into().unwrap()) as usize;
    assert!(count > 3);
    for format in K_FORMATS {
        let blocks = take(count * format.block_bytes());
        let mut got = vec![1e30; count * 256];
        gguf::dequantize(format, blocks, &mut got);
        for (i, (got, want)) in got.iter().zip(take(4 * count * 256).chunks(4)).enumerate() {
            let want = f32::from_le_bytes(want.try_into().unwrap());
            // Another library's NaN may be any.
            let want = if want.is_nan() { f32::from_bits(0x7FC0_0000) } else { want };
            assert_eq!(got.to_bits(), want.to_bits(), "{format:?} number {i}");
        }
    }
    assert!(rest.is_empty());
}

/// The bits of a number, one after the other as their places are listed, the lowest first: byte and bit.
fn gather(block: &[u8], places: &[(usize, usize)]) -> i32 {
    places.iter().rev().fold(0, |q, &(byte, bit)| q << 1 | i32::from(block[byte] >> bit & 1))
}

/// `bits` neighbouring places from `first` on.
fn places(byte: usize, first: usize, bits: usize) -> Vec<(usize, usize)> {
    (first..first + bits).map(|bit| (byte, bit)).collect()
}

#[test]
fn k_blocks_as_defined() {
    let mut rng = rng(53);
    let halves = [0x0000, 0x8000, 0x0001, 0x83FF, 0x3C00, 0x7BFF, 0x7C00, 0xFC00, 0x7E00, 0x7C01];
    for round in 0..400 {
        for format in K_FORMATS {
            let mut block: Vec<u8> = (0..format.block_bytes()).map(|_| rng.byte()).collect();
            let heads: &[usize] = if format == Gguf::Q6K { &[208] } else { &[0, 2] };
            for &at in heads {
                if round % 3 == 0 {
                    block[at..at + 2].copy_from_slice(&(rng.pick(&halves) as u16).to_le_bytes());
                }
            }
            let half =
                |at: usize| float16::f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]]));
            let mut got = vec![1e30; 256];
            gguf::dequantize(format, &block, &mut got);
            for (i, got) in got.iter().enumerate() {
                let (run, column) = (i / 32, i % 32);
                let want = if format == Gguf::Q6K {
                    let (half_block, row) = (run / 4, run % 4);
                    let low = half_block * 64 + (row & 1) * 32 + column;
                    let mut bits = places(low, 4 * (row / 2), 4);
                    bits.extend(places(128 + half_block * 32 + column, 2 * row, 2));
                    let scale = f32::from(block[192 + i / 16] as i8);
                    (half(208) * scale) * (gather(&block, &bits) - 32) as f32
                } else {
                    // Six bits of a scale, and of a minimum four bytes on.
                    let six = |at: usize, shift: usize| match run {
                        0..4 => gather(&block, &places(at + run, 0, 6)),
                        _ => {
                            let mut bits = places(12 + run - 4, shift, 4);
                            bits.extend(places(at + run - 4, 6, 2));
                            gather(&block, &bits)
                        }
                    };
                    let nibbles = if format == Gguf::Q5K { 48 } else { 16 };
                    let mut bits = places(nibbles + run / 2 * 32 + column, 4 * (run % 2), 4);
                    if format == Gguf::Q5K {
                        bits.push((16 + column, run));
                    }
                    let (scale, min) = (half(0) * six(4, 0) as f32, half(2) * six(8, 4) as f32);
                    scale * gather(&block, &bits) as f32 - min
                };
                let want = if want.is_nan() { f32::from_bits(0x7FC0_0000) } else { want };
                assert_eq!(got.to_bits(), want.to_bits(), "{format:?} {i}");
            }
        }
    }
}

#[test]
fn k_blocks_are_whole_and_not_made() {
    for format in K_FORMATS {
        let (size, x) = (format.block_bytes(), [1.0; 600]);
        for (bytes, n, whole) in [(size, 255, 0), (size - 1, 256, 0), (3 * size, 600, 2)] {
            let mut back = vec![9.0; n];
            gguf::dequantize(format, &vec![0; bytes], &mut back);
            assert!(back[whole * 256..].iter().all(|&x| x == 9.0));
            assert!(back[..whole * 256].iter().all(|&x| x == 0.0));
        }
        let mut blocks = vec![0xA5; 2 * size];
        gguf::quantize(format, &x, &mut blocks);
        assert!(blocks.iter().all(|&byte| byte == 0xA5));
        assert_eq!(format.code_format(), None);
    }
}
