//! Blocks of GGUF files, byte for byte as the `gguf` package for Python makes them (`gguf/quants.py`),
//! which is the C reference of ggml in numpy.
//!
//! | format | bytes | stored |
//! |---|---|---|
//! | `Q8_0` | 34 | f16 `d`; 32 codes -127..=127 |
//! | `Q4_0` | 18 | f16 `d`; 32 codes 0..=15 |
//! | `Q4_1` | 20 | f16 `d`, f16 `m`; 32 codes 0..=15 |
//! | `Q5_0` | 22 | f16 `d`; the codes' fifth bits; their low bits as in `Q4_0` |
//! | `Q5_1` | 24 | f16 `d`, f16 `m`; the codes' fifth bits; their low bits |
//! | `Q4_K` | 144 | f16 `d`, f16 `dmin`; eight scales and minima of 6 bits; 256 codes 0..=15 |
//! | `Q5_K` | 176 | as `Q4_K`, with the codes' fifth bits before their low bits |
//! | `Q6_K` | 210 | 256 codes 0..=63: low bits, upper bits; sixteen s8 scales; f16 `d` |
//!
//! Words are little-endian. Byte `j` of the 16 with nibbles holds code `j` in its low nibble and code
//! `j + 16` in its high one. Bit `i` of the fifth bits, a 32-bit word, is code `i`'s. The K formats have
//! blocks of 256 numbers; [`code`] and [`factors`] say where their bits are. They are read, and not made.
//!
//! Every operation is one rounded f32 operation. `d` is rounded to f16 only when it is stored: codes
//! come from the f32. `id = 1 / d`, or 0 where `d` is 0.

use super::BLOCK;
use crate::IntFormat;
use crate::float16;
use crate::real::{canonical, max, min, round_half_away};

/// A block format of GGUF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gguf {
    /// `d = amax / 127`, `q = round_half_away(x * id)`, `x = d * q`.
    Q8_0,
    /// `d = extreme / -8`, `q = min(trunc(x * id + 8.5), 15)`, `x = d * (q - 8)`. The extreme is the
    /// number of the largest magnitude with its sign, the first of several.
    Q4_0,
    /// `d = (max - min) / 15`, `m = min`, `q = min(trunc((x - m) * id + 0.5), 15)`, `x = d * q + m`.
    Q4_1,
    /// As `Q4_0`, with `d = extreme / -16` and codes up to 31: `trunc(x * id + 16.5)`.
    Q5_0,
    /// As `Q4_1`, with `d = (max - min) / 31` and codes up to 31.
    Q5_1,
    /// `x = (d * scale) * q - dmin * min`, a scale and a minimum for each 32 numbers.
    Q4K,
    /// As `Q4K`, with codes up to 31.
    Q5K,
    /// `x = (d * scale) * (q - 32)`, a scale for each 16 numbers.
    Q6K,
}

impl Gguf {
    /// Every format that [`quantize`] makes.
    pub const MADE: [Gguf; 5] = [Gguf::Q8_0, Gguf::Q4_0, Gguf::Q4_1, Gguf::Q5_0, Gguf::Q5_1];
    /// Every format.
    pub const ALL: [Gguf; 8] = [
        Gguf::Q8_0,
        Gguf::Q4_0,
        Gguf::Q4_1,
        Gguf::Q5_0,
        Gguf::Q5_1,
        Gguf::Q4K,
        Gguf::Q5K,
        Gguf::Q6K,
    ];

    /// Whether it is one of the K formats.
    pub const fn is_k(self) -> bool {
        matches!(self, Gguf::Q4K | Gguf::Q5K | Gguf::Q6K)
    }

    /// Numbers of a block.
    pub const fn block_len(self) -> usize {
        if self.is_k() { 256 } else { BLOCK }
    }

    /// Neighbouring numbers of a block that share their [`factors`].
    pub const fn run_len(self) -> usize {
        if matches!(self, Gguf::Q6K) { 16 } else { BLOCK }
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Gguf::Q8_0 => 34,
            Gguf::Q4_0 => 18,
            Gguf::Q4_1 => 20,
            Gguf::Q5_0 => 22,
            Gguf::Q5_1 => 24,
            Gguf::Q4K => 144,
            Gguf::Q5K => 176,
            Gguf::Q6K => 210,
        }
    }

    /// The format that [`unpack`] gives codes in; none for blocks with a minimum, which integers do not express, and for
    /// the K formats.
    pub const fn code_format(self) -> Option<IntFormat> {
        match self {
            Gguf::Q4_0 => Some(IntFormat::S4),
            Gguf::Q5_0 | Gguf::Q8_0 => Some(IntFormat::S8),
            _ => None,
        }
    }

    /// Whether numbers have a minimum, which is added to them.
    pub const fn has_min(self) -> bool {
        matches!(self, Gguf::Q4_1 | Gguf::Q5_1 | Gguf::Q4K | Gguf::Q5K)
    }

    /// Whether codes have a fifth bit.
    const fn has_fifth(self) -> bool {
        matches!(self, Gguf::Q5_0 | Gguf::Q5_1)
    }
}

/// Quantizes whole blocks, of a format of [`Gguf::MADE`]: does nothing for others. Stops at the end of the shorter side.
///
/// - A product `x * id` that is not finite gives the code 0, as it does in the reference on x86-64:
///   with an infinite or NaN `x`, or where `d` is below 2^-128, so that `id` is infinite (and `d`,
///   as f16, is 0).
/// - A NaN anywhere in a block makes `d` and `m` the f16 NaN 0x7E00 and all codes 0: it is read as NaN.
/// - An infinity makes `d` infinite, and so does the rounding of a `d` beyond 65504 to f16: the block is
///   read as infinities and NaN. What is NaN without a NaN in the block (`max - min` of infinities) is
///   stored as 0x7E00.
/// - Of zeros the smallest is -0, for the sign of `m`.
pub fn quantize(format: Gguf, x: &[f32], blocks: &mut [u8]) {
    if format.is_k() {
        return;
    }
    let (numbers, _) = x.as_chunks::<BLOCK>();
    for (x, block) in numbers.iter().zip(blocks.chunks_exact_mut(format.block_bytes())) {
        let (d, m, codes) = encode(format, x);
        let head = [Some(d), if format.has_min() { Some(m) } else { None }];
        let mut rest = block;
        for word in head.into_iter().flatten() {
            let word = if word.is_nan() { 0x7E00 } else { float16::f32_to_f16(word) };
            rest = put(rest, word.to_le_bytes());
        }
        if format == Gguf::Q8_0 {
            put(rest, codes);
            continue;
        }
        if format.has_fifth() {
            rest = put(rest, fifth_bits(&codes).to_le_bytes());
        }
        let (low, high) = codes.split_at(BLOCK / 2);
        for ((byte, low), high) in rest.iter_mut().zip(low).zip(high) {
            *byte = (low & 0xF) | high << 4;
        }
    }
}

/// `d`, `m` and the codes of a block.
fn encode(format: Gguf, x: &[f32; BLOCK]) -> (f32, f32, [u8; BLOCK]) {
    if x.iter().any(|x| x.is_nan()) {
        return (f32::NAN, f32::NAN, [0; BLOCK]);
    }
    let (largest, smallest) = (
        x.iter().copied().fold(f32::NEG_INFINITY, max),
        x.iter().copied().fold(f32::INFINITY, min),
    );
    match format {
        Gguf::Q8_0 => {
            let d = extreme(x).abs() / 127.0;
            let id = inverse(d);
            (d, 0.0, x.map(|x| round_half_away(finite(x * id)) as i8 as u8))
        }
        Gguf::Q4_0 => centred(x, extreme(x) / -8.0, 8.5, 15.0),
        Gguf::Q5_0 => centred(x, extreme(x) / -16.0, 16.5, 31.0),
        Gguf::Q4_1 => between(x, smallest, (largest - smallest) / 15.0, 15.0),
        _ => between(x, smallest, (largest - smallest) / 31.0, 31.0),
    }
}

fn centred(x: &[f32; BLOCK], d: f32, offset: f32, qmax: f32) -> (f32, f32, [u8; BLOCK]) {
    let id = inverse(d);
    (d, 0.0, x.map(|x| encoded(x * id, offset, qmax)))
}

fn between(x: &[f32; BLOCK], m: f32, d: f32, qmax: f32) -> (f32, f32, [u8; BLOCK]) {
    let id = inverse(d);
    (d, m, x.map(|x| encoded((x - m) * id, 0.5, qmax)))
}

/// The sum is never negative: a product is at least -8 (-16) but for its rounding.
fn encoded(product: f32, offset: f32, qmax: f32) -> u8 {
    if product.is_finite() { (product + offset).min(qmax) as u8 } else { 0 }
}

fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

/// The number, or 0 in the place of infinities and NaN.
fn finite(x: f32) -> f32 {
    if x.is_finite() { x } else { 0.0 }
}

/// The number of the largest magnitude, the first of several.
fn extreme(x: &[f32; BLOCK]) -> f32 {
    let mut x = x.iter().copied();
    let first = x.next().unwrap_or(0.0);
    x.fold(first, |most, x| if x.abs() > most.abs() { x } else { most })
}

/// Bit 4 of each code, the first one lowest.
fn fifth_bits(codes: &[u8; BLOCK]) -> u32 {
    codes.iter().rev().fold(0, |bits, code| bits << 1 | u32::from(code >> 4 & 1))
}

/// Writes the bytes and gives what is behind them.
fn put<const N: usize>(to: &mut [u8], bytes: [u8; N]) -> &mut [u8] {
    match to.split_first_chunk_mut::<N>() {
        Some((head, rest)) => {
            *head = bytes;
            rest
        }
        None => &mut [],
    }
}

/// Takes bytes off the front.
fn take<'a, const N: usize>(from: &mut &'a [u8]) -> &'a [u8; N] {
    match from.split_first_chunk::<N>() {
        Some((head, rest)) => {
            *from = rest;
            head
        }
        None => &[0; N],
    }
}

/// Byte `at` of a block.
fn byte(block: &[u8], at: usize) -> u8 {
    block.get(at).copied().unwrap_or(0)
}

/// The f16 at byte `at` of a block.
fn half(block: &[u8], at: usize) -> f32 {
    float16::f16_to_f32(u16::from_le_bytes([byte(block, at), byte(block, at + 1)]))
}

/// Code `i` of a block, `i < block_len`, less the format's zero, if that is not 0: 8 (Q4_0), 16 (Q5_0), 32 (Q6_K).
pub fn code(format: Gguf, block: &[u8], i: usize) -> i32 {
    // Nibble `high` of a byte, and bit `bit` of one.
    let nibble = |at: usize, high: usize| i32::from(byte(block, at) >> (4 * (high & 1)) & 0xF);
    let bit = |at: usize, bit: usize| i32::from(byte(block, at) >> (bit & 7) & 1);
    // Of 32 numbers: nibbles and fifth bits, from those bytes on.
    let small = |nibbles: usize| nibble(nibbles + i % 16, i / 16);
    let fifth = |bits: usize| bit(bits + i / 8, i) << 4;
    // Of 256: 64 numbers share 32 bytes, the first 32 in the low nibbles.
    let large = |nibbles: usize| nibble(nibbles + i / 64 * 32 + i % 32, i / 32);
    match format {
        Gguf::Q8_0 => i32::from(byte(block, 2 + i) as i8),
        Gguf::Q4_0 => small(2) - 8,
        Gguf::Q4_1 => small(4),
        Gguf::Q5_0 => (small(6) | fifth(2)) - 16,
        Gguf::Q5_1 => small(8) | fifth(4),
        Gguf::Q4K => large(16),
        // Bit `j` of byte `l` is the fifth of number `32 j + l`.
        Gguf::Q5K => large(48) | bit(16 + i % 32, i / 32) << 4,
        Gguf::Q6K => {
            // Of 128 numbers, four rows of 32: 64 bytes with the low bits of rows 0 and 1, and, in their high nibbles,
            // of 2 and 3; 32 bytes with the upper two bits of rows 0 to 3, from the least significant ones on.
            let (half, row, column) = (i / 128, i / 32 % 4, i % 32);
            let low = nibble(half * 64 + row % 2 * 32 + column, row / 2);
            let upper = byte(block, 128 + half * 32 + column) >> (2 * row) & 3;
            (low | i32::from(upper) << 4) - 32
        }
    }
}

/// What makes numbers of the codes of run `run` of a block: a scale, and a minimum to add, 0 where there is none. Of the K
/// formats both are products, exact: 11 bits of `d` times 6, 7 or 8.
pub fn factors(format: Gguf, block: &[u8], run: usize) -> (f32, f32) {
    match format {
        Gguf::Q4_1 | Gguf::Q5_1 => (half(block, 0), half(block, 2)),
        Gguf::Q4K | Gguf::Q5K => {
            // Bytes 4..8: six bits of scale 0..4, and the upper two of 4..8. 8..12: likewise minima. 12..16: the lower
            // four of scale and minimum 4..8.
            let (scale, min) = (byte(block, 4 + run % 4), byte(block, 8 + run % 4));
            let (scale, min) = match run {
                0..4 => (scale & 63, min & 63),
                _ => {
                    let lower = byte(block, 8 + run);
                    (lower & 0xF | scale >> 6 << 4, lower >> 4 | min >> 6 << 4)
                }
            };
            (half(block, 0) * f32::from(scale), -(half(block, 2) * f32::from(min)))
        }
        Gguf::Q6K => (half(block, 208) * f32::from(byte(block, 192 + run) as i8), 0.0),
        _ => (half(block, 0), 0.0),
    }
}

/// Dequantizes whole blocks; stops at the end of the shorter side. `code * scale` is exact, the sum with the minimum, where
/// there is one, rounded once; NaN becomes the canonical one.
pub fn dequantize(format: Gguf, blocks: &[u8], x: &mut [f32]) {
    let numbers = x.chunks_exact_mut(format.block_len());
    for (block, x) in blocks.chunks_exact(format.block_bytes()).zip(numbers) {
        for (i, x) in x.iter_mut().enumerate() {
            let (scale, min) = factors(format, block, i / format.run_len());
            let product = code(format, block, i) as f32 * scale;
            *x = canonical(if format.has_min() { product + min } else { product });
        }
    }
}

/// The first block whose scale `d` is infinite or NaN, by its number; `None` if all are finite: then [`unpack`] takes
/// them. Of the formats that it takes.
pub fn first_without_scale(format: Gguf, blocks: &[u8]) -> Option<usize> {
    let mut blocks = blocks.chunks_exact(format.block_bytes());
    blocks.position(|mut block| !scale(&mut block).is_finite())
}

/// A block's `d`, taken off its front.
fn scale(block: &mut &[u8]) -> f32 {
    float16::f16_to_f32(u16::from_le_bytes(*take(block)))
}

/// Takes whole blocks apart into what weights with a scale a block are made of, exactly: `codes` of
/// [`Gguf::code_format`], as [`pack`](crate::pack) lays them out, and a scale and a zero point a block, so that each number is
/// `scale * (code - zero_point)`. Stops at the end of the shortest side; does nothing for formats without codes.
///
/// A scale is greater than 0, but `d` may not be. Where it is negative the code `c` becomes `-1 - c`, of the same
/// format, with the zero point -1: `|d| ((-1 - c) + 1) = d c`. Where it is 0 codes are 0 and the scale is 1.
pub fn unpack(
    format: Gguf,
    blocks: &[u8],
    codes: &mut [u8],
    scales: &mut [f32],
    zero_points: &mut [i32],
) {
    let Some(of) = format.code_format() else { return };
    let blocks = blocks.chunks_exact(format.block_bytes());
    let codes = codes.chunks_exact_mut(BLOCK / of.codes_per_byte().max(1));
    let params = scales.iter_mut().zip(zero_points);
    for ((mut block, codes), (scale_at, zero_point)) in blocks.zip(codes).zip(params) {
        let d = scale(&mut block);
        // -1 - c is its complement.
        let flip = if d < 0.0 { 0xFF } else { 0 };
        let keep = if d == 0.0 { 0 } else { 0xFF };
        *scale_at = if d == 0.0 { 1.0 } else { d.abs() };
        *zero_point = if d < 0.0 { -1 } else { 0 };
        let stored = |c: u8| (c ^ flip) & keep;
        match format {
            Gguf::Q8_0 => {
                codes.iter_mut().zip(block).for_each(|(code, &q)| *code = stored(q));
            }
            Gguf::Q4_0 => {
                // Code `i` is nibble `i / 16` of byte `i % 16`, less 8: of four bits, its top one flipped.
                let nibble = |i: usize| {
                    let byte = block.get(i % 16).copied().unwrap_or(0);
                    stored((byte >> (i / 16 * 4)) ^ 8) & 0xF
                };
                for (j, byte) in codes.iter_mut().enumerate() {
                    *byte = nibble(2 * j) | nibble(2 * j + 1) << 4;
                }
            }
            _ => {
                let fifth = u32::from_le_bytes(*take(&mut block));
                for (i, code) in codes.iter_mut().enumerate() {
                    let nibble = block.get(i % 16).map_or(0, |byte| byte >> (i / 16 * 4) & 0xF);
                    let q = nibble | ((fifth >> i & 1) as u8) << 4;
                    *code = stored(q.wrapping_sub(16));
                }
            }
        }
    }
}
